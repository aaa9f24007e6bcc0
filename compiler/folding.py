"""An engine whose Program was folded: its tables are made of those that the parameters give.

What enters are the tables of the Program as it was lowered; the engine gets those that it reads. Where float64 does not
hold one of them, an engine of the Program as it was takes over, for as long as the parameters are what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.parameter import Floats
from .programs.derived import OutOfRange, derive
from .programs.fold import Folded

if TYPE_CHECKING:
    from ..backends.cpu.signed import Magnitudes, Signed
    from ..runtime.engines import Engine

NARROWEST = {4: 2.0**-90, 8: 2.0**-900}
"""How small a number of a matrix that was made may be beside its largest, by bytes: smaller ones would underflow."""


NEEDED = 2.0**-30
"""The least that a number of both signs that was made may be beside what it is without signs."""


def tables_of(folded: Folded, given: Sequence[Floats], size: int, signed: bool = False) -> list[Floats]:
    """The tables of a folded Program for code in numbers of so many bytes, from those of the Program as it was.

    Raises: OutOfRange.
    """
    return derive(given, folded.recipe, folded.indices, folded.wanted, NARROWEST[size], signed)


@dataclass(slots=True)
class Folding:
    """`fast` runs the folded Program; `plain` gives an engine of the Program as it was."""

    folded: Folded
    fast: Engine
    plain: Callable[[], Engine]
    size: int
    by_node: frozenset[int]
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

    def load(self, tables: Sequence[Floats], exactly: Callable[[Sequence[int]], Sequence[Floats]]) -> bool:
        """Tables as they lie in parameters, some by node; False where they are no engine's."""
        if not self.folded.recipe and self.folded.wanted == tuple(range(len(tables))):
            self.now = self.fast
            return self.fast.load(tables, exactly)
        operands = {number for derived in self.folded.recipe for number in derived.operands} & self.by_node
        given = [_with_sums(table) if number in operands else table for number, table in enumerate(tables)]
        try:
            found = tables_of(self.folded, given, self.size)
        except OutOfRange:
            self.now = self.plain()
            return self.now.load(tables, exactly)
        wanted = self.folded.wanted

        def some(numbers: Sequence[int]) -> list[Floats]:
            old = [wanted[number] for number in numbers if wanted[number] < len(tables)]
            exact = dict(zip(old, exactly(old), strict=True))
            return [exact.get(wanted[number], found[number]) for number in numbers]

        self.now = self.fast
        own = [tables[old] if old < len(tables) else table for old, table in zip(wanted, found, strict=True)]
        return self.fast.load([np.ascontiguousarray(table) for table in own], some)

    def run(self, codes: Any, densities: Mapping[int, Floats], threads: int = 1) -> Any:
        """The answer of the engine whose tables hold the present parameters."""
        return self.now.run(codes, densities, threads)


@dataclass(slots=True)
class SignedFolding:
    """The same for numbers of both signs: `magnitudes` gives tables as they are where no sign is negative."""

    folded: Folded
    fast: Signed
    plain: Callable[[], Signed]
    magnitudes: Callable[[Sequence[Floats]], Magnitudes]
    now: Signed = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.fast

    def refill(self, tables: Sequence[Floats]) -> None:
        """Takes other values for the tables."""
        magnitudes = self.magnitudes(tables)
        sizes = magnitudes.tables
        try:
            # rows may be run in either type of numbers: the matrices that are made must suit the narrower
            above, own = (tables_of(self.folded, given, 4, given is tables) for given in (sizes, tables))
            self._require_digits(above, own, len(tables))
            now = self.fast
        except OutOfRange:
            above, own, now = sizes, list(tables), self.plain()
        now.fill(above, own, magnitudes.rounded)
        self.now = now

    def _require_digits(self, above: Sequence[Floats], own: Sequence[Floats], given: int) -> None:
        """Raises OutOfRange where a number that was made may be rounding: both types of numbers would agree on it."""
        for number, old in enumerate(self.folded.wanted):
            if old >= given and bool((np.abs(own[number]) < NEEDED * above[number]).any()):
                raise OutOfRange

    def load(self, tables: Sequence[Floats], exactly: Callable[[Sequence[int]], Sequence[Floats]]) -> bool:
        """Tables come with their sums: `refill` takes them."""
        return False

    def run(self, codes: Any, densities: Mapping[int, Floats], threads: int = 1) -> Any:
        """The answer of the engine whose tables hold the present parameters."""
        return self.now.run(codes, densities, threads)


def _with_sums(by_node: Floats) -> Floats:
    """An input's table [values + 1, width] from its numbers by node, [width, values]."""
    return np.concatenate([by_node.T, by_node.sum(axis=1)[None]])
