"""What an analysis may spend before it says that it does not know."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Budget:
    """So many steps of search, each about 20 µs; and, where given, so many seconds.

    Steps are the same on every machine, and so is the answer; seconds are not.
    """

    steps: int = 500_000
    seconds: float | None = None

    def __str__(self) -> str:
        text = f"{self.steps:,} steps"
        return text if self.seconds is None else f"{text} or {self.seconds:g} seconds"


@dataclass(slots=True)
class Meter:
    """What is left of a budget."""

    budget: Budget
    spent: int = 0
    _until: float | None = field(init=False)

    def __post_init__(self) -> None:
        seconds = self.budget.seconds
        self._until = None if seconds is None else time.monotonic() + seconds

    def take(self, steps: int = 1) -> bool:
        """Spends steps; whether that was within the budget."""
        self.spent += steps
        if self.spent > self.budget.steps:
            return False
        return self._until is None or self.spent % 256 >= steps or time.monotonic() <= self._until

    @property
    def left(self) -> int:
        """The steps that are left; none where the time is over."""
        if self._until is not None and time.monotonic() > self._until:
            return 0
        return max(0, self.budget.steps - self.spent)
