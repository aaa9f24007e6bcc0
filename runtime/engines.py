"""What the runtime asks of code for one Program: answers, and derivatives.

The runtime knows no backend: an engine is anything that takes tables and answers codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..ir.linear import Indices
from ..ir.parameter import Floats
from .columns import Bools, Codes

Exactly = Callable[[Sequence[int]], Sequence[Floats]]
"""Tables by number, with a row for sums over values; NaN throughout where no float64 holds an entry."""


class Answer(Protocol):
    """The logarithm of the root per row, and the rows in which the engine cannot vouch for it."""

    @property
    def log(self) -> Floats: ...

    @property
    def unsure(self) -> Bools: ...


class Engine(Protocol):
    """Code for one Program."""

    def refill(self, tables: Sequence[Floats]) -> None:
        """Takes other values for the tables."""
        ...

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Takes tables as `Compiled.fed` gives them; False where they are not this engine's to hold."""
        ...

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """Answers codes [columns, batch] and logarithms of densities [nodes, batch], by source."""
        ...


class Derived(Protocol):
    """Log-likelihoods, and derivatives of their weighted sum: by table, and flows by density.

    Rows that are `unsure` are in neither.
    """

    @property
    def log(self) -> Floats: ...

    @property
    def unsure(self) -> Bools: ...

    @property
    def tables(self) -> list[Floats]: ...

    @property
    def densities(self) -> dict[int, Floats]: ...


class Reverse(Protocol):
    """Code for the adjoint of a Program."""

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """As an engine does; those of networks as `Compiled.tables` gives them."""
        ...

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """Derivatives of Σ weight · log p over codes [columns, batch], as `Engine.run` takes them.

        Those of tables that came by node come so; with what sums over their values add, if `whole`.
        """
        ...


class Resident(Protocol):
    """Tables that stay on a device while expectation maximisation moves them; counts are the device's, by table."""

    def hold(self, tables: Sequence[Floats]) -> bool:
        """Takes tables as `Engine.load` does; False where they are not the code's to hold."""
        ...

    def expected(self, codes: Indices) -> tuple[Floats, Mapping[int, Any]] | None:
        """log p and expected counts of rows, codes [columns, batch]; None where a row is unsure."""
        ...

    def prior(self) -> tuple[Floats, Mapping[int, Any]] | None:
        """The same of a row that the circuit draws."""
        ...

    def maximise(self, counts: Mapping[int, Any], pseudocount: float = 0.0) -> None:
        """Moves each row of a parameter to its share of the counts."""
        ...

    def numbers(self) -> Mapping[int, Floats]:
        """The numbers of the parameters that learn, by table."""
        ...

    def lifted(self, arrays: Mapping[int, Floats]) -> Mapping[int, Any]:
        """Counts from the host."""
        ...


class Flat(Derived, Protocol):
    """Derivatives of tables that lie end to end, in the type in which the tables came."""

    @property
    def addresses(self) -> NDArray[np.int64]:
        """Where those of each table begin, in memory."""
        ...


class FlatReverse(Reverse, Protocol):
    """Code for the adjoint of a Program of vectors, whose tables may all come in its own type."""

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Flat:
        """As a reverse does."""
        ...

    def turns(self, links: Any, tables: NDArray[np.int64]) -> Any:
        """A way from free numbers to tables, one for each parameter, and back; None where there is none."""
        ...

    def load_through(
        self, way: Any, free: NDArray[Any], held: NDArray[Any], tables: list[Any], exactly: Exactly
    ) -> bool:
        """Takes what free numbers stand for, which it writes to `held`, and the other tables."""
        ...

    def through(
        self, codes: Indices | Codes, weights: Floats, way: Any, held: NDArray[Any], out: NDArray[Any]
    ) -> Answer | None:
        """log p on one thread; derivatives by free numbers are written to `out`, where no row is unsure. None where
        these rows do not go this way."""
        ...
