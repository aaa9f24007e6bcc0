"""An engine whose Program was folded: its tables are made of those that the parameters give.

What enters are the tables of the Program as it was lowered; the engine gets those that it reads. Where float64 does not
hold one of them, an engine of the Program as it was takes over, for as long as the parameters are what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..ir.expression import Floats
from .programs.derived import OutOfRange, derive
from .programs.fold import Folded

if TYPE_CHECKING:
    from ..backends.cpu.engine import Engine
    from ..backends.cpu.packed import Exactly

NARROWEST = {4: 2.0**-90, 8: 2.0**-900}
"""How small a number of a matrix that was made may be beside its largest, by bytes: smaller ones would underflow."""


def tables_of(folded: Folded, given: Sequence[Floats], size: int) -> list[Floats]:
    """The tables of a folded Program for code in numbers of so many bytes, from those of the Program as it was.

    Raises: OutOfRange.
    """
    return derive(given, folded.recipe, folded.indices, folded.wanted, NARROWEST[size])


@dataclass(slots=True)
class Folding:
    """`fast` runs the folded Program; `plain` gives an engine of the Program as it was."""

    folded: Folded
    fast: Engine
    plain: Callable[[], Engine]
    size: int
    now: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.fast

    def refill(self, tables: Sequence[Floats]) -> None:
        """Takes other values for the tables."""
        try:
            found = tables_of(self.folded, tables, self.size)
        except OutOfRange:
            self.now = self.plain()
            self.now.refill(tables)
            return
        self.fast.refill(found)
        self.now = self.fast

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Takes tables as they lie in parameters; False where some are negative. Those by node are in no recipe."""
        wanted, given = self.folded.wanted, len(tables)
        try:
            found = tables_of(self.folded, tables, self.size)
        except OutOfRange:
            self.now = self.plain()
            return self.now.load(tables, exactly)

        def of_fast(numbers: Sequence[int]) -> Sequence[Floats]:
            own = [number for number in numbers if wanted[number] < given]
            exact = dict(zip(own, exactly([wanted[number] for number in own]), strict=True))
            return [exact.get(number, found[number]) for number in numbers]

        self.now = self.fast
        return self.fast.load(found, of_fast)

    def run(self, codes: Any, densities: Mapping[int, Floats], threads: int = 1) -> Any:
        """The answer of the engine whose tables hold the present parameters."""
        return self.now.run(codes, densities, threads)
