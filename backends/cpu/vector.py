"""The engine of a Program of vectors of nodes: scaled numbers, and a bound on what underflow has taken.

Tables enter, then codes of rows; what leaves are logarithms of the root, and the rows in which the bound is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import Program
from . import arena
from .batch import INTEGER, POINTER, Answer, Bytes, Codes, Make, buffers, copied, padded_to, spread, tiled
from .builder import module
from .driver import ANSWERS, driver, together
from .machine import Library, Target, compiled, host
from .packed import Exactly, Packing
from .plan import Plan, plan
from .state import STATE
from .vectors import ROW, Vectors

if TYPE_CHECKING:
    from .adjoint_plan import AdjointPlan

TOLERANCE = {4: 5e-7, 8: 5e-13}
"""The relative error from underflow up to which a row is right."""


_REACH = {4: 2**28, 8: 2**57}
"""The largest exponent of a row that the code for joins still tells from that of no value at all."""


@dataclass(slots=True)
class Vector:
    """A Program of vectors of nodes; a `signed` one of numbers of both signs, whose answers only signed.py can read."""

    program: Program
    size: int
    target: Target = field(default_factory=host)
    make: Make = compiled
    by_node: frozenset[int] = frozenset()
    signed: bool = False
    vectors: Vectors = field(init=False)
    packing: Packing | None = field(init=False, default=None)
    plan: Plan = field(init=False)
    arena: Bytes = field(init=False)
    library: Library = field(init=False)  # the code dies with it
    function: Callable[..., Any] = field(init=False)
    records: Bytes = field(init=False)
    words: Bytes = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = replace(self.target.vectors(self.size), signed=self.signed)
        self.plan = plan(self.program, self.vectors)
        self.library = self.make(module([driver(self.plan, self.vectors)], self.vectors), self.target)
        kinds = (POINTER, INTEGER, POINTER, POINTER, POINTER, INTEGER, POINTER, INTEGER)
        self.function = self.library.call("program", *kinds, POINTER, INTEGER, POINTER, INTEGER, INTEGER, INTEGER)
        self.arena = arena.aligned(self.plan.arena)
        self.records = copied(self.plan.records)
        self.words = copied(self.plan.words)

    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables: no code is made again."""
        fresh = arena.aligned(self.plan.arena)
        arena.fill(self.plan, tables, self.vectors, fresh)
        self.arena = fresh

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Tables as they lie in parameters, those `by_node` without the row of sums; False where some are negative."""
        if self.packing is None:
            self.packing = Packing(self.plan, self.program.tables, self.by_node, self.vectors, self.target)
        fresh = self.packing.fill(tables, exactly)
        if fresh is None:
            return False
        self.arena = fresh.place
        return True

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """The answer for codes [columns, batch] and logarithms of densities [nodes, batch] by source."""
        return answered(self.tiles(self.arena, codes, densities, threads), codes.shape[1], self.vectors)

    def tiles(
        self, numbers: Bytes, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int
    ) -> NDArray[Any]:
        """What the code answers over an arena: [tiles, value, exponent, lost, error; lanes]."""
        laid, tiles = tiled(codes, self.vectors)
        soft = laid_densities(densities, self.plan, self.vectors, tiles)
        out = arena.aligned(tiles * ANSWERS * ROW)

        def call(first: int, last: int) -> None:
            group = together(self.plan.slots, self.program.buffers, last - first)
            slots = buffers(self.plan.slots * group)
            self.function(
                self.records.ctypes.data,
                len(self.plan.records),
                numbers.ctypes.data,
                self.words.ctypes.data,
                laid.ctypes.data,
                len(codes) * self.vectors.lanes * 4,
                soft.ctypes.data,
                self.plan.soft,
                slots.ctypes.data,
                self.plan.root,
                out.ctypes.data,
                group,
                first,
                last,
            )

        spread(call, tiles, threads)
        found: NDArray[Any] = out.view(arena.kind_of(self.vectors)[0])
        return found.reshape(tiles, ANSWERS, self.vectors.lanes)


def answered(tiles: NDArray[Any], rows: int, v: Vectors) -> Answer:
    """The answers of tiles [tiles, value, exponent, lost, error, …; lanes]."""
    value, exponent, lost, error = parts(tiles, rows, v)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(value == 0, -np.inf, np.log(value) + exponent * np.log(2.0))
        unsure = ~(error + np.where(lost == 0, 0.0, lost / value) <= TOLERANCE[v.size])
    return Answer(log, unsure)


def parts(tiles: NDArray[Any], rows: int, v: Vectors) -> tuple[Floats, Floats, Floats, Floats]:
    """Value, exponent, lost and error of so many rows, in float64; signed code says nothing of the last two."""
    _, integers = arena.kind_of(v)
    value, exponent, *more = (tiles[:, row].reshape(-1)[:rows] for row in range(2 if v.signed else 4))
    lost, error = (each.astype(np.float64) for each in more) if more else (np.zeros(rows), np.zeros(rows))
    return value.astype(np.float64), exponent.view(integers).astype(np.float64), lost, error


def laid_densities(densities: Mapping[int, Floats], plan: Plan | AdjointPlan, v: Vectors, tiles: int) -> Bytes:
    """The values of inputs on infinite domains as buffers with their states, tile by tile.

    They come as logarithms [nodes, batch], or with signs [nodes, batch, 2], which count where the vectors are signed.
    """
    laid = arena.aligned(max(plan.soft * tiles, ROW))
    if not plan.soft or not tiles:
        return laid
    floats, integers = arena.kind_of(v)
    rows = laid.view(floats).reshape(tiles, plan.soft // ROW, v.lanes)
    for source, offset in enumerate(plan.densities):
        given = densities[source]
        logs = padded_to(given[..., 0] if given.ndim == 3 else given, tiles * v.lanes).T
        top = logs.max(axis=1)
        power = np.where(np.isfinite(top), np.floor(top / np.log(2.0)), 0.0)
        with np.errstate(under="ignore"):
            exact = np.exp(logs - power[:, None] * np.log(2.0))
        if v.signed and given.ndim == 3:
            exact *= padded_to(given[..., 1], tiles * v.lanes).T
        scaled, exponent, statistics = arena.scaled_rows(exact, v)
        gone = (np.isfinite(logs) & (exact == 0)).any(axis=1)
        statistics[3] = np.where(gone, 2 * v.tiny, statistics[3])
        out_of_reach = np.abs(power) > _REACH[v.size] // len(plan.densities)
        statistics[3] = np.where(out_of_reach, np.inf, statistics[3])
        power = np.where(out_of_reach, 0.0, power)
        first = offset // ROW
        place = rows[:, first : first + STATE + scaled.shape[1]]
        place[:, 0] = (exponent + power).astype(integers).view(floats).reshape(tiles, v.lanes)
        place[:, 1:5] = statistics.reshape(4, tiles, v.lanes).transpose(1, 0, 2)
        place[:, 5] = 0
        place[:, STATE:] = scaled.reshape(tiles, v.lanes, -1).transpose(0, 2, 1)
    return laid
