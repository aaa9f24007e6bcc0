"""The engine of a Program that is one network of scalar nodes, in numbers as they are or in logarithms.

A batch of a few rows runs level by level, a larger one depth first in tiles as wide as the cache allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import Layout, Program
from . import arena, levels
from .batch import INTEGER, POINTER, Answer, Bytes, Codes, Make, buffers, copied, spread
from .builder import module
from .machine import Library, Target, compiled, host
from .network import Numeric, instructions, kernel
from .packed import Exactly
from .soft import Laid, Soft, soft_of
from .vectors import ROW, Vectors

ROWS = (512, 256, ROW)
"""Bytes of a node's row in a tile of a network, widest first: 128 rows of float32 at once are twice as fast as 32."""


CACHE = 1 << 20
"""Bytes that the live values of a tile may take: a second-level cache."""


LARGE_CACHE = 1 << 23
"""Bytes that the values of all nodes may take where none gives its place to another."""


def tile(layout: Layout, vectors: Vectors, rows: int) -> tuple[Vectors, bool]:
    """The tile of a network for a batch: level by level for a few rows, else depth first in the widest that pays."""
    few = replace(vectors, width=1, row=vectors.size) if rows == 1 else replace(vectors, row=vectors.bytes)
    if rows <= vectors.width:
        return few, layout.nodes * few.row <= LARGE_CACHE
    fits = (row for row in ROWS if rows * vectors.size >= row and row * layout.size <= CACHE)
    return replace(vectors, row=next(fits, vectors.row)), False


def text_of_network(vectors: Vectors, numeric: Numeric, by_levels: bool, soft: bool = False) -> str:
    """The code of networks for tiles of a width, as LLVM IR."""
    emit = levels.kernel if by_levels else kernel
    return module([emit(vectors, numeric, soft)], vectors)


@dataclass(frozen=True, slots=True)
class _Code:
    """A network's code for one width of tile: its function, the stream that it runs, and how many slots that takes."""

    vectors: Vectors
    library: Library  # the code dies with it
    function: Callable[..., Any]
    stream: Bytes
    slots: int


@dataclass(slots=True)
class Scalar:
    """A Program that is one network of scalar nodes, in numbers as they are or in logarithms.

    Tiles are as wide as the batch and the cache allow; the code of each width is made when it is first asked for.
    """

    program: Program
    size: int
    numeric: Numeric
    target: Target = field(default_factory=host)
    make: Make = compiled
    vectors: Vectors = field(init=False)
    soft: Soft = field(init=False)
    layout: Layout = field(init=False)
    codes: dict[tuple[int, bool], _Code] = field(default_factory=dict[tuple[int, bool], "_Code"])
    leaves: Bytes = field(init=False)
    weights: Bytes = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = self.target.vectors(self.size)
        self.soft, self.layout = soft_of(self.program, self.size, self.numeric == "log")

    def _code(self, rows: int) -> _Code:
        """The code for a batch."""
        return self._made(*tile(self.layout, self.vectors, rows))

    def _made(self, vectors: Vectors, by_levels: bool) -> _Code:
        key = (vectors.row, by_levels)
        if key not in self.codes:
            layout = self.layout
            text = text_of_network(vectors, self.numeric, by_levels, self.soft.rows > 0)
            library = self.make(text, self.target)
            kinds = (POINTER, INTEGER, POINTER, POINTER, POINTER, INTEGER, POINTER, POINTER, INTEGER, INTEGER)
            stream = copied(levels.runs(layout) if by_levels else instructions(layout))
            slots = layout.nodes if by_levels else layout.size
            self.codes[key] = _Code(vectors, library, library.call("network", *kinds), stream, slots)
        return self.codes[key]

    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables: no code is made again."""
        self.leaves, self.weights = self.packed(tables)

    def packed(self, tables: Sequence[Floats]) -> tuple[Bytes, Bytes]:
        """Leaves and weights as the code reads them."""
        floats, _ = arena.kind_of(self.vectors)
        leaves, weights = tables[0], np.concatenate([[1.0], tables[1]])
        if self.numeric == "log":
            with np.errstate(divide="ignore"):
                leaves, weights = np.log(leaves), np.log(weights)
        return copied(leaves.astype(floats)), copied(weights.astype(floats))

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Networks have their tables computed: `refill` takes them."""
        return False

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """The answer for codes [columns, batch] and logarithms of densities [nodes, batch] by source.

        Without densities every row is certain; with them plain numbers need a circuit that `peeled` holds of.
        """
        value, placed = self._run((self.leaves, self.weights), codes, densities, threads)
        if self.numeric == "linear":
            with np.errstate(divide="ignore"):
                value = np.log(value)
        if placed.taken is None or placed.unsure is None:
            return Answer(value, np.zeros(len(value), dtype=bool))
        return self.soft.answer(value, placed)

    def values(self, tables: tuple[Bytes, Bytes], codes: Indices | Codes, threads: int) -> Floats:
        """The root per row over tables that were packed, in the numbers of the code."""
        return self._run(tables, codes, {}, threads)[0]

    def _run(
        self, tables: tuple[Bytes, Bytes], codes: Indices | Codes, densities: Mapping[int, Floats], threads: int
    ) -> tuple[Floats, Laid]:
        rows = codes.shape[1]
        code = self._code(rows)
        vectors = code.vectors
        placed = self.soft.lay(codes, densities, vectors)
        laid, tiles, words = placed.words, placed.tiles, self.soft.words
        out = arena.aligned(tiles * vectors.row)
        leaves, weights = tables

        def call(first: int, last: int) -> None:
            slots = buffers(code.slots * vectors.row)
            code.function(
                code.stream.ctypes.data,
                len(code.stream) // 4,
                leaves.ctypes.data,
                weights.ctypes.data,
                laid.ctypes.data,
                words * vectors.lanes * 4,
                slots.ctypes.data,
                out.ctypes.data,
                first,
                last,
            )

        spread(call, tiles, threads)
        floats, _ = arena.kind_of(self.vectors)
        found: Floats = out.view(floats)[:rows].astype(np.float64)
        return found, placed
