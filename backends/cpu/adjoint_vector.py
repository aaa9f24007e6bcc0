"""The engine of derivatives: a Program's adjoint in scaled numbers, tile by tile, its sums folded into float64.

Tables enter, then codes of rows and a weight for each; what leaves are log-likelihoods, derivatives of the weighted sum
of them with respect to tables, and the rows whose derivatives these numbers do not hold, which count nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.adjoint import Adjoint, adjoint
from ...ir.program.program import Program
from ...runtime.kept import Kept
from . import arena
from .adjoint_driver import adjoint_driver
from .adjoint_plan import AdjointPlan, adjoint_plan
from .adjoint_results import Derived, Laid, Loaded, Passed
from .batch import INTEGER, POINTER, Answer, Bytes, Codes, Make, buffers, copied, spread, tiled
from .builder import module
from .driver import CACHE, together
from .links import Links
from .machine import Library, Target, compiled, host
from .packed import Exactly, Packed, Packing, Unpacking
from .pulls import ANSWERS
from .state import HEAD, STATE
from .turns import Turns
from .vector import TOLERANCE, answered, laid_densities
from .vectors import ROW, Vectors

KEPT = 1 << 28
"""Bytes that the values which a tile keeps for the reverse may take; beyond it they are thinned out and made again."""

FOLDED = 64
"""Tiles after which sums in the type of the code go into float64."""


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
    known: tuple[Sequence[Floats], Laid] | None = field(init=False, default=None)

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
        self.derivatives = Kept(self._flat)
        self.packing = Packing(self.plan, shapes, self.by_node, self.vectors, self.target)
        self.unpacking = Unpacking(self.plan, shapes, self.by_node, self.vectors, self.target)
        self.heads = {(entry.kind, entry.table): entry.offset for entry in self.plan.entries}

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Tables as they lie in parameters, those `by_node` without the row of sums; False where some are negative."""
        return self._load(tables, self._signs(tables) if self.signed else self.packing.fill(tables, exactly))

    def load_through(
        self, way: Turns, free: NDArray[Any], held: NDArray[Any], tables: list[Any], exactly: Exactly
    ) -> bool:
        """What free numbers stand for, written to `held`, where the tables of parameters lie, and the other tables."""
        return self._load(tables, self.packing.filled(lambda place: way.pack(free, held, tables, place), exactly))

    def _load(self, tables: Sequence[Floats], packed: Packed | None) -> bool:
        if packed is None or (packed.small and tables[0].itemsize == 4):
            return False
        exponents = {
            (kind, table): _exponents(
                kind, self.program.tables[table], packed.place, self.heads[kind, table], self.vectors
            )
            for kind, table in self.plan.gradients
            if table in packed.exact
        }
        joins = any(kernel.kind == "pull join" for kernel in self.plan.kernels)
        if self.known is None or self.known[0] is not tables:  # the same list again holds the same arrays
            self.known = tables, Laid.of(tables)
        self.loaded = Loaded(packed, exponents, self.known[1], joins and not self.wanted.isdisjoint(packed.zero))
        return True

    def _signs(self, tables: Sequence[Floats]) -> Packed:
        """Tables of both signs; a part whose numbers cancel has no value either, so that each may be 0."""
        place, everything = arena.aligned(self.plan.arena), frozenset(range(len(tables)))
        arena.fill(self.plan, tables, self.vectors, place)
        return Packed(place, everything, everything)

    def apart(self) -> AdjointVector:
        """The same code, for tables of its own."""
        own = copy(self)
        own.spare, own.known = [], None
        own.derivatives = Kept(own._flat)
        return own

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
            self.derivatives.take(),
            loaded.laid,
            {source: np.zeros(values.shape[:2]) for source, values in densities.items()},
        )
        step = FOLDED * max(1, threads) * self.vectors.lanes
        self._clear(out, everything=not rows)
        for start in range(0, rows, step):
            part = slice(start, min(start + step, rows))
            inner = {source: values[:, part] for source, values in densities.items()}
            self._stretch(loaded, codes[:, part], inner, weights[part], threads, whole, part, out)
        return out

    def through(
        self, codes: Indices | Codes, weights: Floats, way: Turns, held: NDArray[Any], out: NDArray[Any]
    ) -> Answer | None:
        """log p of a batch, on one thread; derivatives of their weighted sum by numbers without constraints are written
        to `out`, by a way that `turns` gives. None where it takes more than one stretch, or numpy's help.
        """
        loaded, rows = self.loaded, codes.shape[1]
        if not rows or rows > FOLDED * self.vectors.lanes or loaded.packed.exact:
            return None
        passed = self._passed(loaded, codes, {}, weights, 1)
        answer = answered(passed.answers, rows, self.vectors)
        (sums,) = passed.sums
        way.bring(sums, loaded.packed.place, held, out)
        self.spare.append(sums)
        return Answer(answer.log, answer.unsure | passed.bad)

    def turns(self, links: Links, tables: NDArray[np.int64]) -> Turns | None:
        """The way of derivatives of tables, one for each parameter, through links; None where one has none or some
        are in more places."""
        reached = set(self.unpacking.tables.tolist())
        plain = self.unpacking.once and not self.plan.soft and bool(self.packing.code)
        if not plain or reached != set(tables.tolist()):
            return None
        return Turns(self.packing, self.unpacking, links, tables)

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
        """Adds what some rows give."""
        v = self.vectors
        rows = codes.shape[1]
        passed = self._passed(loaded, codes, densities, weights, threads)
        out.unsure[part] |= passed.bad
        if not v.signed:
            answer = answered(passed.answers, rows, v)
            out.log[part] = answer.log
            out.unsure[part] |= answer.unsure
        for n, each in enumerate(passed.sums):
            self._fold(loaded, each, out, whole, fresh=not part.start and not n)
            self.spare.append(each)
        if not self.plan.soft:
            return
        for source, offset in enumerate(self.plan.densities):
            first, nodes = offset // ROW + STATE, len(out.densities[source])
            own_flows = passed.flows[:, first : first + nodes].transpose(1, 0, 2).reshape(nodes, -1)
            out.densities[source][:, part] = own_flows[:, :rows]

    def _passed(
        self, loaded: Loaded, codes: Any, densities: Mapping[int, Floats], weights: Floats, threads: int
    ) -> Passed:
        """Runs the code on a stretch; where derivatives of rows are beyond all numbers, once more without them."""
        v = self.vectors
        floats, _ = arena.kind_of(v)
        rows = codes.shape[1]
        laid, tiles = tiled(codes, v)
        soft = laid_densities(densities, self.plan, v, tiles)
        own, gone = weights.copy(), np.zeros(rows, dtype=bool)
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
                    loaded.packed.place.ctypes.data,
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
            gone |= bad
            for each in sums:
                each[:] = 0
                self.spare.append(each)
        return Passed(found, gone, sums, flows.view(floats).reshape(tiles, -1, v.lanes) if self.plan.soft else found)

    def _flat(self) -> Floats:
        """An array of the derivatives of all tables."""
        laid = self.loaded.laid
        return np.zeros(laid.numbers, dtype=np.float64 if laid.outer == 8 else np.float32)

    def _clear(self, out: Derived, everything: bool) -> None:
        """Zeros where derivatives are added; those of most tables are written at first."""
        if everything or not self.unpacking.once:
            out.flat.fill(0.0)
            return
        shapes, starts = out.laid.shapes, out.laid.starts
        for table in self.unpacking.untouched | self.loaded.packed.exact:
            out.flat[starts[table] : starts[table] + prod(shapes[table])] = 0.0

    def _sums(self) -> Bytes:
        """Zeros to sum in: those of an earlier call, or new ones."""
        try:
            return self.spare.pop()
        except IndexError:
            return arena.aligned(max(self.plan.sums, ROW))

    def _fold(self, loaded: Loaded, sums: Bytes, out: Derived, whole: bool, fresh: bool) -> None:
        """Adds sums over numbers as they lie in the arena to derivatives of the numbers that the tables hold."""
        fresh = fresh and self.unpacking.once
        self.unpacking.bring(sums, loaded.packed, out.addresses, loaded.laid.outer, whole, fresh)
        floats, _ = arena.kind_of(self.vectors)
        tables = out.tables if loaded.exponents else []
        for (kind, table), exponents in loaded.exponents.items():
            offset, columns = self.plan.gradients[kind, table]
            shape = self.program.tables[table]
            part = sums[offset : offset + int(np.prod(shape[:-1])) * columns * self.vectors.size].view(floats)
            found = np.ldexp(part.reshape(*shape[:-1], columns)[..., : shape[-1]].astype(np.float64), exponents)
            part[:] = 0
            if table in self.by_node:
                found = found[:-1].T + (found[-1][:, None] if whole else 0.0)
            tables[table] += found


_NAN = {4: 0x7FC00000, 8: 0x7FF8000000000000}


def _exponents(kind: str, shape: tuple[int, ...], place: Bytes, offset: int, vectors: Vectors) -> Any:
    """The exponents, negative, of a table's numbers in the arena; of a loaded one, row by row."""
    _, integers = arena.kind_of(vectors)
    count = shape[0] if kind == "load" else 1
    found = -place[offset : offset + count * HEAD * vectors.size].view(integers)[::HEAD].astype(np.int64)
    return found[:, None] if kind == "load" else found[0]
