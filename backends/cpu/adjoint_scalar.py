"""The engine of derivatives of a network of scalar nodes: forward and back, tile by tile, its sums folded into float64.

Tables enter, then codes of rows and a weight for each; what leaves are log-likelihoods, derivatives of the weighted sum
of them with respect to tables, and the rows whose derivatives are beyond all numbers, which count nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...ir.expression import Floats
from ...ir.linear import Indices
from ...ir.program.program import Layout, Program
from . import adjoint_network, arena, levels, network
from .adjoint_stream import streams
from .adjoint_vector import Derived
from .batch import INTEGER, POINTER, Bools, Bytes, Codes, Make, buffers, copied, spread, tiled
from .builder import module
from .machine import Library, Target, compiled, host
from .network import Numeric
from .packed import Exactly
from .scalar import LARGE_CACHE, ROWS
from .vectors import Vectors

KEPT = 1 << 28
"""Bytes that the values of a tile may take, where narrower tiles take less."""

FOLDED = 2048
"""Rows after which a thread's sums go into float64."""


@dataclass(frozen=True, slots=True)
class _Code:
    """Code for one width of tile, with the streams that it runs."""

    vectors: Vectors
    library: Library  # the code dies with it
    forward: Callable[..., Any]
    back: Callable[..., Any]
    streams: tuple[Bytes, Bytes]
    places: int
    slots: int
    widest: int
    root: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Tables as the code reads them, weights after the weight 1; in float64 as they came."""

    leaves: Bytes
    weights: Bytes
    tables: tuple[Floats, Floats]


def tile(layout: Layout, vectors: Vectors, rows: int) -> tuple[Vectors, bool]:
    """The tile for a batch: level by level for a few rows, else depth first, as wide as memory allows."""
    few = replace(vectors, width=1, row=vectors.size) if rows == 1 else replace(vectors, row=vectors.bytes)
    if rows <= vectors.width and 2 * layout.nodes * few.row <= LARGE_CACHE:
        return few, True
    fits = (row for row in ROWS if rows * vectors.size >= row and row * layout.nodes <= KEPT)
    return replace(vectors, row=next(fits, vectors.bytes)), False


@dataclass(slots=True)
class AdjointScalar:
    """The adjoint of a Program that is one network of scalar nodes.

    `wanted` says of each entry of the leaves' table and of the weights' whether its derivative is asked for; of a table
    without any such they stay 0.
    """

    program: Program
    size: int
    numeric: Numeric
    wanted: tuple[Bools, Bools]
    target: Target = field(default_factory=host)
    make: Make = compiled
    vectors: Vectors = field(init=False)
    codes: dict[tuple[int, bool], _Code] = field(default_factory=dict[tuple[int, bool], "_Code"])
    loaded: _Loaded = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = self.target.vectors(self.size)

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Tables in float64; False where some are negative or beyond float64.

        Flows do not say what a 0 would bring, so in logarithms those that are wanted must not be 0.
        """
        leaves, weights = (np.asarray(table, dtype=np.float64) for table in tables)
        if not all(table.min(initial=0.0) >= 0 and table.max(initial=0.0) < np.inf for table in (leaves, weights)):
            return False
        if self.numeric == "log" and any(
            not table[wanted].all() for table, wanted in zip((leaves, weights), self.wanted, strict=True)
        ):
            return False
        floats, _ = arena.kind_of(self.vectors)
        held = [leaves, np.concatenate([[1.0], weights])]
        if self.numeric == "log":
            with np.errstate(divide="ignore"):
                held = [np.log(table) for table in held]
        first, second = (copied(table.astype(floats)) for table in held)
        self.loaded = _Loaded(first, second, (leaves, weights))
        return True

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """For codes [columns, batch] and weights [batch]; derivatives come in the shapes of the tables."""
        assert not densities
        rows, loaded = codes.shape[1], self.loaded
        out = Derived(np.empty(rows), np.zeros(rows, dtype=bool), [np.zeros(t.shape) for t in loaded.tables], {})
        if rows:
            code = self._code(-(-min(rows, FOLDED * threads) // max(1, threads)))
            step = FOLDED * max(1, threads)
            for start in range(0, rows, step):
                part = slice(start, min(start + step, rows))
                self._stretch(code, loaded, codes[:, part], weights[part], threads, part, out)
        if self.numeric == "log":  # flows are derivatives times values
            for found, table in zip(out.tables, loaded.tables, strict=True):
                np.divide(found, table, out=found, where=table > 0)
        return out

    def _code(self, rows: int) -> _Code:
        """The code for so many rows on a thread."""
        layout = self.program.layouts[0]
        vectors, by_levels = tile(layout, self.vectors, rows)
        key = (vectors.row, by_levels)
        if key not in self.codes:
            forward = (levels if by_levels else network).kernel(vectors, self.numeric)
            wanted = [bool(each.any()) for each in self.wanted]
            back = adjoint_network.kernel(vectors, self.numeric, wanted[0], wanted[1])
            library = self.make(module([forward, back], vectors), self.target)
            kinds = (POINTER, INTEGER, POINTER, POINTER, POINTER, INTEGER, POINTER, POINTER, INTEGER, INTEGER)
            places = (POINTER, INTEGER, *[POINTER] * 5, INTEGER, *[POINTER] * 5, INTEGER, INTEGER)
            made = streams(layout, self.numeric, by_levels)
            self.codes[key] = _Code(
                vectors,
                library,
                library.call("network", *kinds),
                library.call("back", *places),
                (copied(made.forward), copied(made.back)),
                made.places,
                made.slots,
                made.widest,
                made.root,
            )
        return self.codes[key]

    def _stretch(
        self,
        code: _Code,
        loaded: _Loaded,
        codes: Any,
        weights: Floats,
        threads: int,
        part: slice,
        out: Derived,
    ) -> None:
        """Adds what some rows give; where derivatives of rows are beyond all numbers, once more without them."""
        v = code.vectors
        floats, _ = arena.kind_of(v)
        rows = codes.shape[1]
        laid, tiles = tiled(codes, v)
        own = weights.copy()
        sizes = [(len(table) + 1) * v.size for table in loaded.tables]
        while True:
            seeds, roots, bad = (arena.aligned(tiles * v.row) for _ in range(3))
            seeds.view(floats)[:rows] = own
            sums: list[list[Bytes]] = []

            def call(
                first: int,
                last: int,
                seeds: Bytes = seeds,
                roots: Bytes = roots,
                bad: Bytes = bad,
                sums: list[list[Bytes]] = sums,
            ) -> None:
                mine = [arena.aligned(size) for size in sizes]
                held = buffers((code.slots + code.widest + code.places) * v.row)
                held[: code.slots * v.row] = 0
                slots, scratch = held.ctypes.data, held.ctypes.data + code.slots * v.row
                values = scratch + code.widest * v.row
                ahead, back = code.streams
                leaves, weights = loaded.leaves.ctypes.data, loaded.weights.ctypes.data
                row = len(codes) * v.lanes * 4
                for t in range(first, last):
                    code.forward(
                        ahead.ctypes.data,
                        len(ahead) // 4,
                        leaves,
                        weights,
                        laid.ctypes.data,
                        row,
                        values,
                        roots.ctypes.data,
                        t,
                        t + 1,
                    )
                    code.back(
                        back.ctypes.data,
                        len(back) // 4,
                        values,
                        slots,
                        scratch,
                        weights,
                        laid.ctypes.data,
                        row,
                        seeds.ctypes.data,
                        mine[0].ctypes.data,
                        mine[1].ctypes.data,
                        roots.ctypes.data,
                        bad.ctypes.data,
                        code.root,
                        t,
                    )
                sums.append(mine)

            spread(call, tiles, threads)
            beyond = ~(bad.view(floats)[:rows] == 0) & (own != 0)
            if not beyond.any():
                break
            own[beyond] = 0.0
            out.unsure[part] |= beyond
        value = roots.view(floats)[:rows].astype(np.float64)
        if self.numeric == "linear":
            with np.errstate(divide="ignore"):
                value = np.log(value)
        out.log[part] = value
        for leaves, heavy in sums:
            out.tables[0] += leaves.view(floats)[: len(out.tables[0])]
            out.tables[1] += heavy.view(floats)[1 : len(out.tables[1]) + 1]
