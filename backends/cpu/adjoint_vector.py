"""The engine of derivatives: a Program's adjoint in scaled numbers, tile by tile, its sums folded into float64.

Tables enter, then codes of rows and a weight for each; what leaves are log-likelihoods, derivatives of the weighted sum
of them with respect to tables, and the rows whose derivatives these numbers do not hold, which count nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ir.expression import Floats
from ...ir.linear import Indices
from ...ir.program.adjoint import Adjoint, adjoint
from ...ir.program.program import Program
from . import arena
from .adjoint_driver import adjoint_driver
from .adjoint_plan import AdjointPlan, adjoint_plan
from .batch import INTEGER, POINTER, Bytes, Codes, Make, buffers, copied, padded_to, spread, tiled
from .builder import module
from .machine import Library, Target, compiled, host
from .pulls import ANSWERS
from .state import STATE
from .vector import TOLERANCE, answered, laid_densities
from .vectors import ROW, Vectors

KEPT = 1 << 28
"""Bytes that the values which a tile keeps for the reverse may take; beyond it they are thinned out and made again."""

FOLDED = 64
"""Tiles after which sums in the type of the code go into float64."""


@dataclass(frozen=True, slots=True)
class Derived:
    """log p per row, [batch]; rows that are not in the derivatives; derivatives by table; flows [nodes, batch]."""

    log: Floats
    unsure: Any
    tables: list[Floats]
    densities: dict[int, Floats]


@dataclass(slots=True)
class AdjointVector:
    """The adjoint of a Program whose products have two factors and whose buffers are filled once.

    Derivatives of maps by tables that are not `wanted` stay 0.
    """

    program: Program
    size: int
    wanted: frozenset[int]
    target: Target = field(default_factory=host)
    make: Make = compiled
    vectors: Vectors = field(init=False)
    adjoint: Adjoint = field(init=False)
    plan: AdjointPlan = field(init=False)
    arena: Bytes = field(init=False)
    library: Library = field(init=False)
    function: Callable[..., Any] = field(init=False)
    records: Bytes = field(init=False)
    words: Bytes = field(init=False)
    shapes: list[tuple[int, ...]] = field(init=False)
    scales: dict[tuple[str, int], Any] = field(init=False)
    strict: bool = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = self.target.vectors(self.size)
        self.adjoint = adjoint(self.program, KEPT // ROW)
        self.plan = adjoint_plan(self.adjoint, self.wanted, self.vectors)
        code = adjoint_driver(self.plan, TOLERANCE[self.size], self.vectors)
        self.library = self.make(module([code], self.vectors), self.target)
        kinds = (POINTER, INTEGER, POINTER, POINTER, POINTER, INTEGER, POINTER, INTEGER, POINTER, INTEGER)
        kinds += (POINTER, POINTER, POINTER, INTEGER, POINTER, INTEGER, INTEGER)
        self.function = self.library.call("adjoint", *kinds)
        self.records, self.words = copied(self.plan.records), copied(self.plan.words)

    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables: no code is made again."""
        fresh = arena.aligned(self.plan.arena)
        arena.fill(self.plan, tables, self.vectors, fresh)
        places = {(entry.kind, entry.table): entry.offset for entry in self.plan.entries}
        self.scales = {
            (kind, table): _exponents(kind, tables[table].shape, fresh[places[kind, table] :], self.vectors)
            for kind, table in self.plan.gradients
        }
        self.strict = any((tables[table] == 0).any() for table in self.wanted)
        self.arena = fresh

    def run(
        self, codes: Indices | Codes, densities: Mapping[int, Floats], weights: Floats, threads: int = 1
    ) -> Derived:
        """For codes [columns, batch], logarithms of densities [nodes, batch] by source, and weights [batch]."""
        rows = codes.shape[1]
        out = Derived(
            np.empty(rows),
            np.zeros(rows, dtype=bool),
            [np.zeros(shape) for shape in self.program.tables],
            {source: np.zeros(values.shape) for source, values in densities.items()},
        )
        step = FOLDED * max(1, threads) * self.vectors.lanes
        for start in range(0, rows, step):
            part = slice(start, min(start + step, rows))
            inner = {source: values[:, part] for source, values in densities.items()}
            self._stretch(codes[:, part], inner, weights[part], threads, part, out)
        return out

    def _stretch(
        self,
        codes: Any,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int,
        part: slice,
        out: Derived,
    ) -> None:
        """Adds what some rows give; where derivatives of rows are beyond all numbers, once more without them."""
        v = self.vectors
        floats, _ = arena.kind_of(v)
        rows = codes.shape[1]
        laid, tiles = tiled(codes, v)
        soft = laid_densities(densities, self.plan, v, tiles)
        own = weights.copy()
        while True:
            seeds = arena.aligned(tiles * ROW)
            seeds.view(floats)[:rows] = own
            answers = arena.aligned(tiles * ANSWERS * ROW)
            flows = arena.aligned(len(soft) if self.plan.soft else ROW)
            sums: list[Bytes] = []

            def call(
                first: int,
                last: int,
                seeds: Bytes = seeds,
                answers: Bytes = answers,
                flows: Bytes = flows,
                sums: list[Bytes] = sums,
            ) -> None:
                mine = arena.aligned(max(self.plan.sums, ROW))
                slots = buffers(self.plan.slots)
                self.function(
                    self.records.ctypes.data,
                    len(self.plan.records),
                    self.arena.ctypes.data,
                    self.words.ctypes.data,
                    laid.ctypes.data,
                    len(codes) * v.lanes * 4,
                    soft.ctypes.data,
                    self.plan.soft,
                    slots.ctypes.data,
                    self.plan.panel,
                    seeds.ctypes.data,
                    mine.ctypes.data,
                    flows.ctypes.data,
                    _NAN[v.size] if self.strict else 0,
                    answers.ctypes.data,
                    first,
                    last,
                )
                sums.append(mine)

            spread(call, tiles, threads)
            found = answers.view(floats).reshape(tiles, ANSWERS, v.lanes)
            bad = ~(found[:, 4].reshape(-1)[:rows] == 0) & (own != 0)
            if not bad.any():
                break
            own[bad] = 0.0
            out.unsure[part] |= bad
        answer = answered(found, rows, v)
        out.log[part] = answer.log
        out.unsure[part] |= answer.unsure
        for each in sums:
            self._fold(each, out.tables)
        if not self.plan.soft:
            return
        flowing = flows.view(floats).reshape(tiles, -1, v.lanes)
        for source, offset in enumerate(self.plan.densities):
            first, nodes = offset // ROW + STATE, len(out.densities[source])
            own_flows = flowing[:, first : first + nodes].transpose(1, 0, 2).reshape(nodes, -1)
            out.densities[source][:, part] = own_flows[:, :rows]

    def _fold(self, sums: Bytes, tables: list[Floats]) -> None:
        """Adds sums over numbers as they lie in the arena to derivatives of the numbers that the tables hold."""
        floats, _ = arena.kind_of(self.vectors)
        for (kind, table), (offset, columns) in self.plan.gradients.items():
            shape = self.program.tables[table]
            count = int(np.prod(shape[:-1])) * columns
            part = sums[offset : offset + count * self.vectors.size].view(floats)
            part = part.reshape(*shape[:-1], columns)[..., : shape[-1]]
            tables[table] += np.ldexp(part.astype(np.float64), self.scales[kind, table])


_NAN = {4: 0x7FC00000, 8: 0x7FF8000000000000}


def _exponents(kind: str, shape: tuple[int, ...], head: Bytes, vectors: Vectors) -> Any:
    """The exponents, negative, of a table's numbers in the arena; of a loaded one, row by row."""
    _, integers = arena.kind_of(vectors)
    count = shape[0] if kind == "load" else 1
    found = -head[: count * vectors.size].view(integers).astype(np.int64)
    return found[:, None] if kind == "load" else found[0]
