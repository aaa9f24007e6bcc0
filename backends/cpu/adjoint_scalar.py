"""The engine of derivatives of a network of scalar nodes: forward and back, tile by tile, its sums folded into float64.

Tables enter, then codes of rows and a weight for each; what leaves are log-likelihoods, derivatives of the weighted sum
of them with respect to tables, and the rows whose derivatives are beyond all numbers, which count nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import Layout, Program
from . import adjoint_network, arena, levels, network
from .adjoint_stream import Streams, streams
from .batch import INTEGER, POINTER, Bools, Bytes, Codes, Make, buffers, copied, spread
from .builder import module
from .machine import Library, Target, compiled, host
from .network import Numeric
from .packed import Exactly
from .scalar import CACHE, LARGE_CACHE, ROWS
from .soft import Soft, soft_of
from .vectors import Vectors

KEPT = 1 << 28
"""Bytes that the values of a tile may take, where narrower tiles take less."""

FOLDED = 2048
"""Rows after which a thread's sums go into float64."""


@dataclass(frozen=True, slots=True)
class Derived:
    """log p per row, [batch]; rows that are not in the derivatives; derivatives by table; no flows of densities."""

    log: Floats
    unsure: Bools
    tables: list[Floats]
    densities: dict[int, Floats]


@dataclass(frozen=True, slots=True)
class _Code:
    """Code for one width of tile, with the streams that it runs, their addresses and numbers of words."""

    vectors: Vectors
    library: Library  # the code dies with it
    forward: Callable[..., Any]
    back: Callable[..., Any]
    streams: Streams
    ahead: tuple[int, int]
    behind: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Tables as the code reads them, weights after the weight 1, with their addresses; in float64 as they came."""

    leaves: Bytes
    weights: Bytes
    places: tuple[int, int]
    tables: tuple[Floats, Floats]


def tile(layout: Layout, vectors: Vectors, rows: int) -> tuple[Vectors, bool]:
    """The tile for a batch: level by level for a few rows, else depth first, as wide as slots stay in cache."""
    few = replace(vectors, width=1, row=vectors.size) if rows == 1 else replace(vectors, row=vectors.bytes)
    if rows <= vectors.width:
        return few, 2 * layout.nodes * few.row <= LARGE_CACHE
    fits = (row for row in ROWS if rows * vectors.size >= row and row * layout.size <= CACHE)
    row = next(fits, vectors.row)
    return replace(vectors, row=row if row * layout.nodes <= KEPT else vectors.bytes), False


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
    soft: Soft = field(init=False)
    layout: Layout = field(init=False)
    codes: dict[tuple[int, bool], _Code] = field(default_factory=dict[tuple[int, bool], "_Code"])
    loaded: _Loaded = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = self.target.vectors(self.size)
        self.soft, self.layout = soft_of(self.program, self.size, self.numeric == "log")

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
        self.loaded = _Loaded(first, second, (first.ctypes.data, second.ctypes.data), (leaves, weights))
        return True

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """For codes [columns, batch], logarithms of densities [nodes, batch] by source and weights [batch]; derivatives
        come in the shapes of the tables."""
        rows, loaded = codes.shape[1], self.loaded
        shares = {source: np.zeros(logs.shape) for source, logs in densities.items()}
        out = Derived(np.empty(rows), np.zeros(rows, dtype=bool), [np.zeros(t.shape) for t in loaded.tables], shares)
        if rows:
            code = self._code(-(-min(rows, FOLDED * threads) // max(1, threads)))
            step = FOLDED * max(1, threads)
            for start in range(0, rows, step):
                part = slice(start, min(start + step, rows))
                inner = {source: logs[:, part] for source, logs in densities.items()}
                self._stretch(code, loaded, codes[:, part], inner, weights[part], threads, part, out)
        if self.numeric == "log":  # flows are derivatives times values
            for found, table in zip(out.tables, loaded.tables, strict=True):
                np.divide(found, table, out=found, where=table > 0)
        return out

    def _code(self, rows: int) -> _Code:
        """The code for so many rows on a thread."""
        layout = self.layout
        vectors, by_levels = tile(layout, self.vectors, rows)
        key = (vectors.row, by_levels)
        if key not in self.codes:
            soft = self.soft.rows > 0
            forward = (levels if by_levels else network).kernel(vectors, self.numeric, soft)
            leaves, weights = (bool(each.any()) for each in self.wanted)
            back = adjoint_network.kernel(vectors, self.numeric, by_levels, leaves, weights, soft)
            library = self.make(module([forward, back], vectors), self.target)
            kinds = (POINTER, INTEGER, POINTER, POINTER, POINTER, INTEGER, POINTER, POINTER, INTEGER, INTEGER)
            places = (POINTER, INTEGER, *[POINTER] * 5, INTEGER, *[POINTER] * 5, INTEGER, INTEGER)
            made = streams(layout, self.numeric, by_levels)
            calls = library.call("network", *kinds), library.call("back", *places)
            ahead, behind = ((each.ctypes.data, len(each)) for each in (made.forward, made.back))
            self.codes[key] = _Code(vectors, library, *calls, made, ahead, behind)
        return self.codes[key]

    def _stretch(
        self,
        code: _Code,
        loaded: _Loaded,
        codes: Any,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int,
        part: slice,
        out: Derived,
    ) -> None:
        """Adds what some rows give; where derivatives of rows are beyond all numbers, once more without them."""
        v, words = code.vectors, code.streams
        floats, _ = arena.kind_of(v)
        rows = codes.shape[1]
        placed = self.soft.lay(codes, densities, v)
        tiles, again = placed.tiles, False
        own = weights if placed.unsure is None else np.where(placed.unsure, 0.0, weights)
        row, width = self.soft.words * v.lanes * 4, tiles * v.row
        # sums for leaves, then for weights after that of the weight 1, which nobody asks for
        heavy = len(loaded.tables[0]) + 1
        size = (heavy + len(loaded.tables[1])) * v.size
        while True:
            held = arena.aligned(3 * width)  # seeds, roots, and what is beyond all numbers
            seeds, roots, bad = held[:width].view(floats), held[width : 2 * width].view(floats), held[2 * width :]
            seeds[:rows] = own
            sums: list[Bytes] = []
            if again and self.soft.rows:  # the way back has written over densities
                placed = self.soft.lay(codes, densities, v)
            again = True

            def call(
                first: int, last: int, held: Bytes = held, sums: list[Bytes] = sums, laid: Bytes = placed.words
            ) -> None:
                mine = arena.aligned(size)
                kept = buffers((words.slots + words.widest + words.places) * v.row)
                kept[: words.slots * v.row] = 0
                slots, data, leaves, out = kept.ctypes.data, laid.ctypes.data, mine.ctypes.data, held.ctypes.data
                scratch = slots + words.slots * v.row
                values = scratch + words.widest * v.row
                given, answered = (*code.ahead, *loaded.places, data, row, values, out + width), out + 2 * width
                read = (*code.behind, values, slots, scratch, loaded.places[1], data, row, out)
                written = (leaves, leaves + (heavy - 1) * v.size, out + width, answered, words.root)
                for t in range(first, last):
                    code.forward(*given, t, t + 1)
                    code.back(*read, *written, t)
                sums.append(mine)

            spread(call, tiles, threads)
            beyond = bad.view(floats)[:rows] != 0
            if beyond.any():
                beyond &= own != 0
            if not beyond.any():
                break
            own = np.where(beyond, 0.0, own)
            out.unsure[part] |= beyond
        value = roots[:rows].astype(np.float64)
        if self.numeric == "linear":
            with np.errstate(divide="ignore"):
                value = np.log(value)
        if placed.taken is not None and placed.unsure is not None:
            found = self.soft.answer(value, placed)
            value, unsure = found.log, found.unsure
            out.unsure[part] |= unsure
            self._share(self.soft.read(placed, v, rows), np.where(unsure, 0.0, own), part, out)
        out.log[part] = value
        for each in sums:
            found = each.view(floats)
            out.tables[0] += found[: heavy - 1]
            out.tables[1] += found[heavy:]

    def _share(self, rows: Floats, weights: Floats, part: slice, out: Derived) -> None:
        """Writes what sources' nodes got; nodes that are no leaves got nothing, and neither did rows without weight."""
        used = np.zeros(len(rows), dtype=bool)
        layout = self.program.layouts[0]
        used[-1 - layout.leaf_offsets[layout.soft]] = True
        rows = np.where(used[:, None] & (weights != 0), rows, 0.0)
        start = 0
        for source in self.soft.sources:
            found = out.densities[source]
            found[:, part] = rows[start : start + len(found)]
            start += len(found)
