"""Steps of EM, on the host or where the tables are: what enters is an executable, what leaves takes its steps."""

from __future__ import annotations

from typing import Any, Protocol, Self

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ..columns import Bools
from ..executable import Executable
from .em import Steps
from .resident import ResidentSteps


class Counted(Protocol):
    """Expected counts over some rows, with log p of each."""

    @property
    def log(self) -> Floats: ...

    def blended(self, other: Self, mine: float, theirs: float) -> Self:
        """Both, weighted."""
        ...

    def arrays(self) -> list[Floats]:
        """All numbers but `log`, in order."""
        ...

    def over(self, arrays: list[Floats]) -> Self:
        """Counts of the same circuit from such a list."""
        ...


class Stepping(Protocol):
    """The E-step and the M-step of an executable's learnable parameters."""

    def expected(self, values: Floats, observed: Bools, numbers: Indices | None = None) -> Any:
        """Expected counts of rows under the present parameters."""
        ...

    def prior(self) -> Any:
        """Expected counts of a row that is drawn from the circuit."""
        ...

    def take(self, counts: Any, pseudocount: float = 0.0) -> None:
        """Moves the parameters to what the counts make most likely."""
        ...

    def settle(self) -> None:
        """Writes the parameters to the module, if they are not there."""
        ...


def steps_of(model: Executable) -> Stepping:
    """Steps on the device that holds the tables, where it can take them; else on the host.

    Raises: DanausError `no-closed-form`.
    """
    host, compiled = Steps(model), model.compiled
    if compiled is None or compiled.staying is None:
        return host
    resident = ResidentSteps(model, host, compiled.staying)
    return resident if resident.held() else host
