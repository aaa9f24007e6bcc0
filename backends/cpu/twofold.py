"""Engines of networks with densities: plain float64 where it holds a row, logarithms for the others.

Plain numbers are about five times as fast. They need that densities are taken out of rows (soft.py), and tables that
leave them room (reach.py); a row whose root falls below the floor is run once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import Program
from ...ir.program.ranks import Ranked, ranked
from .adjoint_scalar import AdjointScalar, Derived
from .batch import Answer, Bools, Codes, Make
from .machine import Target, compiled, host
from .packed import Exactly
from .reach import within_reach
from .scalar import Scalar


@dataclass
class Twofold:
    """The engine of a network with densities."""

    program: Program
    target: Target = field(default_factory=host)
    make: Make = compiled
    plain: bool = False
    tables: Sequence[Floats] | None = None

    @cached_property
    def net(self) -> Ranked:
        """The network by ranks."""
        return ranked(self.program.layouts[0])

    @cached_property
    def fast(self) -> Scalar:
        """In plain numbers."""
        return Scalar(self.program, 8, "linear", self.target, self.make)

    @cached_property
    def sure(self) -> Scalar:
        """In logarithms."""
        return Scalar(self.program, 8, "log", self.target, self.make)

    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables: no code is made again."""
        self.tables = tables
        self.plain = self.fast.soft.peeled and within_reach(self.net, *tables)
        if self.plain:
            self.fast.refill(tables)
        else:
            self._fill()

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Networks have their tables computed: `refill` takes them."""
        return False

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """The answer for codes [columns, batch] and logarithms of densities [nodes, batch] by source."""
        if not self.plain:
            return self.sure.run(codes, densities, threads)
        found = self.fast.run(codes, densities, threads)
        rows = np.flatnonzero(found.unsure)
        if len(rows):
            self._fill()
            again = self.sure.run(codes[:, rows], _of_rows(densities, rows), threads)
            found.log[rows], found.unsure[rows] = again.log, again.unsure
        return found

    def _fill(self) -> None:
        """Gives logarithms their tables, when they are first needed."""
        if self.tables is not None:
            self.sure.refill(self.tables)
            self.tables = None


@dataclass
class AdjointTwofold:
    """The adjoint of such a network; `wanted` as an AdjointScalar has it."""

    program: Program
    wanted: tuple[Bools, Bools]
    target: Target = field(default_factory=host)
    make: Make = compiled
    plain: bool = False
    logs: bool = False

    @cached_property
    def net(self) -> Ranked:
        """The network by ranks."""
        return ranked(self.program.layouts[0])

    @cached_property
    def fast(self) -> AdjointScalar:
        """In plain numbers."""
        return AdjointScalar(self.program, 8, "linear", self.wanted, self.target, self.make)

    @cached_property
    def sure(self) -> AdjointScalar:
        """In logarithms."""
        return AdjointScalar(self.program, 8, "log", self.wanted, self.target, self.make)

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Tables in float64; False where neither numbers hold them."""
        self.logs = self.sure.load(tables, exactly)
        peeled = self.fast.soft.peeled and self.fast.load(tables, exactly)
        self.plain = peeled and within_reach(self.net, *tables)
        return self.plain or self.logs

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """As an AdjointScalar."""
        if not self.plain:
            return self.sure.run(codes, densities, weights, threads, whole)
        found = self.fast.run(codes, densities, weights, threads, whole)
        rows = np.flatnonzero(found.unsure)
        if not len(rows) or not self.logs:
            return found
        again = self.sure.run(codes[:, rows], _of_rows(densities, rows), weights[rows], threads, whole)
        found.log[rows], found.unsure[rows] = again.log, again.unsure
        for source, shares in again.densities.items():
            found.densities[source][:, rows] = shares
        tables = [mine + theirs for mine, theirs in zip(found.tables, again.tables, strict=True)]
        return replace(found, tables=tables)


def _of_rows(densities: Mapping[int, Floats], rows: Indices) -> dict[int, Floats]:
    return {source: logs[:, rows] for source, logs in densities.items()}
