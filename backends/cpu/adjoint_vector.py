"""The engine of derivatives: a Program's adjoint in scaled numbers, tile by tile, its sums folded into float64.

Tables enter, then codes of rows and a weight for each; what leaves are log-likelihoods, derivatives of the weighted sum
of them with respect to tables, and the rows whose derivatives these numbers do not hold, which count nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.expression import Floats
from ...ir.linear import Indices
from ...ir.program.adjoint import Adjoint, adjoint
from ...ir.program.program import Program
from . import arena
from .adjoint_driver import adjoint_driver
from .adjoint_plan import AdjointPlan, adjoint_plan
from .batch import INTEGER, POINTER, Bytes, Codes, Make, buffers, copied, spread, tiled
from .builder import module
from .driver import CACHE, together
from .kept import Kept
from .machine import Library, Target, compiled, host
from .packed import Exactly, Packing, Unpacking
from .pulls import ANSWERS
from .state import HEAD, STATE
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


@dataclass(frozen=True, slots=True)
class Loaded:
    """Tables in an arena; those that numpy has written there, with their exponents; their shapes as they came, and
    where they begin laid end to end, in bytes; and whether a wanted number is exactly 0."""

    arena: Bytes
    exact: frozenset[int]
    exponents: dict[tuple[str, int], Any]
    shapes: list[tuple[int, ...]]
    offsets: NDArray[np.int64]
    strict: bool


@dataclass(slots=True)
class AdjointVector:
    """The adjoint of a Program whose products have two factors and whose buffers are filled once.

    Derivatives of maps by tables that are not `wanted` stay 0. A `signed` one takes numbers of both signs, which come
    as `Compiled.tables` gives them; log p, and which rows are certain, are left to adjoint_signed.py.
    """

    program: Program
    size: int
    wanted: frozenset[int]
    by_node: frozenset[int] = frozenset()
    signed: bool = False
    target: Target = field(default_factory=host)
    make: Make = compiled
    vectors: Vectors = field(init=False)
    adjoint: Adjoint = field(init=False)
    plan: AdjointPlan = field(init=False)
    loaded: Loaded = field(init=False)
    library: Library = field(init=False)
    function: Callable[..., Any] = field(init=False)
    records: Bytes = field(init=False)
    words: Bytes = field(init=False)
    packing: Packing = field(init=False)
    unpacking: Unpacking = field(init=False)
    heads: dict[tuple[str, int], int] = field(init=False)
    derivatives: Kept = field(init=False)
    spare: list[Bytes] = field(init=False, default_factory=list[Bytes])

    def __post_init__(self) -> None:
        self.vectors = replace(self.target.vectors(self.size), signed=self.signed)
        self.adjoint = adjoint(self.program, KEPT // ROW)
        self.plan = adjoint_plan(self.adjoint, self.wanted, self.vectors)
        code = adjoint_driver(self.plan, TOLERANCE[self.size], self.vectors)
        self.library = self.make(module([code], self.vectors), self.target)
        places = (POINTER, INTEGER, POINTER, POINTER, POINTER, INTEGER, POINTER, INTEGER, POINTER, INTEGER)
        kinds = (*places, POINTER, POINTER, POINTER, INTEGER, POINTER, INTEGER, INTEGER, INTEGER)
        self.function = self.library.call("adjoint", *kinds)
        self.records, self.words = copied(self.plan.records), copied(self.plan.words)
        shapes = self.program.tables
        self.derivatives = Kept(lambda: np.zeros(self._numbers()))
        self.packing = Packing(self.plan, shapes, self.by_node, self.vectors, self.target)
        self.unpacking = Unpacking(self.plan, shapes, self.by_node, self.vectors, self.target)
        self.heads = {(entry.kind, entry.table): entry.offset for entry in self.plan.entries}

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Tables as they lie in parameters, those `by_node` without the row of sums; False where some are negative."""
        if self.signed:
            place, exact = arena.aligned(self.plan.arena), frozenset(range(len(tables)))
            arena.fill(self.plan, tables, self.vectors, place)
        else:
            fresh = self.packing.fill(tables, exactly)
            if fresh is None:
                return False
            place, exact = fresh
        exponents = {
            (kind, table): _exponents(kind, self.program.tables[table], place, self.heads[kind, table], self.vectors)
            for kind, table in self.plan.gradients
            if table in exact
        }
        joins = any(kernel.kind == "pull join" for kernel in self.plan.kernels)
        # of both signs, a part whose numbers cancel has no value either
        strict = joins and (self.signed or not all(tables[table].min(initial=1.0) > 0 for table in self.wanted))
        shapes = [table.shape for table in tables]
        offsets = np.cumsum([0, *(8 * prod(shape) for shape in shapes[:-1])], dtype=np.int64)[: len(shapes)]
        self.loaded = Loaded(place, exact, exponents, shapes, offsets, strict)
        return True

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """For codes [columns, batch], logarithms of densities [nodes, batch] by source, and weights [batch].

        Derivatives of tables come in the shapes in which these came; by node, with those of the sums if `whole`.
        """
        rows, loaded = codes.shape[1], self.loaded
        out = Derived(
            np.empty(rows),
            np.zeros(rows, dtype=bool),
            _zeros(self.derivatives.take(), loaded.shapes, loaded.offsets),
            {source: np.zeros(values.shape[:2]) for source, values in densities.items()},
        )
        step = FOLDED * max(1, threads) * self.vectors.lanes
        for start in range(0, rows, step):
            part = slice(start, min(start + step, rows))
            inner = {source: values[:, part] for source, values in densities.items()}
            self._stretch(loaded, codes[:, part], inner, weights[part], threads, whole, part, out)
        return out

    def _stretch(
        self,
        loaded: Loaded,
        codes: Any,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int,
        whole: bool,
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
                mine = self._sums()
                group = together(CACHE + 1, self.adjoint.buffers, last - first)
                slots = buffers(self.plan.slots * group + self.plan.panel)
                self.function(
                    self.records.ctypes.data,
                    len(self.plan.records),
                    loaded.arena.ctypes.data,
                    self.words.ctypes.data,
                    laid.ctypes.data,
                    len(codes) * v.lanes * 4,
                    soft.ctypes.data,
                    self.plan.soft,
                    slots.ctypes.data,
                    self.plan.slots * group,
                    seeds.ctypes.data,
                    mine.ctypes.data,
                    flows.ctypes.data,
                    _NAN[v.size] if loaded.strict else 0,
                    answers.ctypes.data,
                    group,
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
            for each in sums:
                each[:] = 0
                self.spare.append(each)
        if not v.signed:
            answer = answered(found, rows, v)
            out.log[part] = answer.log
            out.unsure[part] |= answer.unsure
        for each in sums:
            self._fold(loaded, each, out.tables, whole)
            self.spare.append(each)
        if not self.plan.soft:
            return
        flowing = flows.view(floats).reshape(tiles, -1, v.lanes)
        for source, offset in enumerate(self.plan.densities):
            first, nodes = offset // ROW + STATE, len(out.densities[source])
            own_flows = flowing[:, first : first + nodes].transpose(1, 0, 2).reshape(nodes, -1)
            out.densities[source][:, part] = own_flows[:, :rows]

    def _numbers(self) -> int:
        """How many numbers the tables have as they come."""
        return sum(map(prod, self.loaded.shapes))

    def _sums(self) -> Bytes:
        """Zeros to sum in: those of an earlier call, or new ones."""
        try:
            return self.spare.pop()
        except IndexError:
            return arena.aligned(max(self.plan.sums, ROW))

    def _fold(self, loaded: Loaded, sums: Bytes, tables: list[Floats], whole: bool) -> None:
        """Adds sums over numbers as they lie in the arena to derivatives of the numbers that the tables hold."""
        # the tables lie one after the other, as `_zeros` has made them
        first = tables[0].__array_interface__["data"][0] if tables else 0
        self.unpacking.add(sums, loaded.arena, first + loaded.offsets, whole, loaded.exact)
        floats, _ = arena.kind_of(self.vectors)
        for (kind, table), exponents in loaded.exponents.items():
            offset, columns = self.plan.gradients[kind, table]
            shape = self.program.tables[table]
            part = sums[offset : offset + int(np.prod(shape[:-1])) * columns * self.vectors.size].view(floats)
            found = np.ldexp(part.reshape(*shape[:-1], columns)[..., : shape[-1]].astype(np.float64), exponents)
            part[:] = 0
            if table in self.by_node:
                found = found[:-1].T + (found[-1][:, None] if whole else 0.0)
            tables[table] += found


def _zeros(flat: Floats, shapes: Sequence[tuple[int, ...]], offsets: NDArray[np.int64]) -> list[Floats]:
    """Zeros in shapes, in one piece of memory, at offsets in bytes."""
    flat.fill(0.0)
    starts = (offsets // flat.itemsize).tolist()
    return [flat[first : first + prod(shape)].reshape(shape) for first, shape in zip(starts, shapes, strict=True)]


_NAN = {4: 0x7FC00000, 8: 0x7FF8000000000000}


def _exponents(kind: str, shape: tuple[int, ...], place: Bytes, offset: int, vectors: Vectors) -> Any:
    """The exponents, negative, of a table's numbers in the arena; of a loaded one, row by row."""
    _, integers = arena.kind_of(vectors)
    count = shape[0] if kind == "load" else 1
    found = -place[offset : offset + count * HEAD * vectors.size].view(integers)[::HEAD].astype(np.int64)
    return found[:, None] if kind == "load" else found[0]
