"""A Program compiled for this machine's processor: tables in, then logarithms of the root for tiles of codes.

What enters is a Program after its passes; what leaves answers batches of any size on several threads. An answer says in
which rows the fast numbers cannot vouch for the result; whoever asked takes those again in float64 logarithms.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.expression import Floats
from ...ir.linear import Indices
from ...ir.program.program import Layout, Program
from . import arena, levels
from .builder import module
from .driver import ANSWERS, driver
from .machine import Library, Target, compiled, host
from .network import Numeric, instructions, kernel
from .plan import Plan, plan
from .state import STATE
from .vectors import ROW, Vectors

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Codes = NDArray[np.int32]
Call = Callable[[Bytes, Bytes, int, int], None]
Make = Callable[[str, Target], Library]
"""What gives a module's code: the compiler with its cache, or a bundle."""

TOLERANCE = {4: 5e-7, 8: 5e-13}
"""The relative error from underflow up to which a row is right."""

_REACH = {4: 2**28, 8: 2**57}
"""The largest exponent of a row that the code for joins still tells from that of no value at all."""

_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64


@dataclass(frozen=True, slots=True)
class Answer:
    """The natural logarithm of the root per row, and the rows in which it is not certain."""

    log: Floats
    unsure: Bools


def text_of(program: Program, size: int, numeric: Numeric = "linear", target: Target | None = None) -> str:
    """The code of a Program for numbers of so many bytes, as LLVM IR: of a network, with the narrowest tiles."""
    return texts_of(program, size, numeric, target or host())[0]


def texts_of(program: Program, size: int, numeric: Numeric, target: Target) -> list[str]:
    """All code that a Program may run: one module, or, for a network, one for each width of its tiles."""
    vectors = target.vectors(size)
    if not program.layouts:
        return [module([driver(plan(program, vectors), vectors)], vectors)]
    tiles = [_tile(program.layouts[0], vectors, rows) for rows in (1, 2)]
    tiles += [(replace(vectors, row=row), False) for row in ROWS]
    return [_network_text(wide, numeric, by_levels) for wide, by_levels in tiles]


def _network_text(vectors: Vectors, numeric: Numeric, by_levels: bool) -> str:
    emit = levels.kernel if by_levels else kernel
    return module([emit(vectors, numeric)], vectors)


def _tile(layout: Layout, vectors: Vectors, rows: int) -> tuple[Vectors, bool]:
    """The tile of a network for a batch: level by level for a few rows, else depth first in the widest that pays."""
    few = replace(vectors, width=1, row=vectors.size) if rows == 1 else replace(vectors, row=vectors.bytes)
    if rows <= vectors.width:
        return few, layout.nodes * few.row <= LARGE_CACHE
    fits = (row for row in ROWS if rows * vectors.size >= row and row * layout.size <= CACHE)
    return replace(vectors, row=next(fits, vectors.row)), False


@dataclass(slots=True)
class Vector:
    """A Program of vectors of nodes."""

    program: Program
    size: int
    target: Target = field(default_factory=host)
    make: Make = compiled
    vectors: Vectors = field(init=False)
    plan: Plan = field(init=False)
    arena: Bytes = field(init=False)
    library: Library = field(init=False)  # the code dies with it
    function: Callable[..., Any] = field(init=False)
    records: Bytes = field(init=False)
    words: Bytes = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = self.target.vectors(self.size)
        self.plan = plan(self.program, self.vectors)
        self.library = self.make(module([driver(self.plan, self.vectors)], self.vectors), self.target)
        kinds = (_POINTER, _INTEGER, _POINTER, _POINTER, _POINTER, _INTEGER, _POINTER, _INTEGER)
        self.function = self.library.call("program", *kinds, _POINTER, _INTEGER, _POINTER, _INTEGER, _INTEGER)
        self.arena = arena.aligned(self.plan.arena)
        self.records = _copied(self.plan.records)
        self.words = _copied(self.plan.words)

    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables: no code is made again."""
        fresh = arena.aligned(self.plan.arena)
        arena.fill(self.plan, tables, self.vectors, fresh)
        self.arena = fresh

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """The answer for codes [columns, batch] and logarithms of densities [nodes, batch] by source."""
        rows = codes.shape[1]
        laid, tiles = _tiles(codes, self.vectors)
        soft = self._soft(densities, tiles)
        out = arena.aligned(tiles * ANSWERS * ROW)
        numbers = self.arena

        def call(first: int, last: int) -> None:
            slots = _buffers(self.plan.slots)
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
                first,
                last,
            )

        _spread(call, tiles, threads)
        floats, integers = arena.kind_of(self.vectors)
        answer = out.view(floats).reshape(tiles, ANSWERS, self.vectors.lanes)
        value, lost, error = (answer[:, row].reshape(-1)[:rows].astype(np.float64) for row in (0, 2, 3))
        exponent = answer[:, 1].reshape(-1)[:rows].view(integers).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.where(value == 0, -np.inf, np.log(value) + exponent * np.log(2.0))
            unsure = ~(error + np.where(lost == 0, 0.0, lost / value) <= TOLERANCE[self.size])
        return Answer(log, unsure)

    def _soft(self, densities: Mapping[int, Floats], tiles: int) -> Bytes:
        """The values of inputs on infinite domains as buffers with their states, tile by tile."""
        v = self.vectors
        laid = arena.aligned(max(self.plan.soft * tiles, ROW))
        if not self.plan.soft:
            return laid
        floats, integers = arena.kind_of(v)
        rows = laid.view(floats).reshape(tiles, self.plan.soft // ROW, v.lanes)
        for source, offset in enumerate(self.plan.densities):
            logs = _padded(densities[source], tiles * v.lanes).T
            top = logs.max(axis=1)
            power = np.where(np.isfinite(top), np.floor(top / np.log(2.0)), 0.0)
            with np.errstate(under="ignore"):
                exact = np.exp(logs - power[:, None] * np.log(2.0))
            scaled, exponent, statistics = arena.scaled_rows(exact, v)
            gone = (np.isfinite(logs) & (exact == 0)).any(axis=1)
            statistics[3] = np.where(gone, 2 * v.tiny, statistics[3])
            out_of_reach = np.abs(power) > _REACH[v.size] // len(self.plan.densities)
            statistics[3] = np.where(out_of_reach, np.inf, statistics[3])
            power = np.where(out_of_reach, 0.0, power)
            first = offset // ROW
            place = rows[:, first : first + STATE + scaled.shape[1]]
            place[:, 0] = (exponent + power).astype(integers).view(floats).reshape(tiles, v.lanes)
            place[:, 1:5] = statistics.reshape(4, tiles, v.lanes).transpose(1, 0, 2)
            place[:, 5] = 0
            place[:, STATE:] = scaled.reshape(tiles, v.lanes, -1).transpose(0, 2, 1)
        return laid


@dataclass(frozen=True, slots=True)
class _Code:
    """A network's code for one width of tile: its function, the stream that it runs, and how many slots that takes."""

    vectors: Vectors
    library: Library  # the code dies with it
    function: Callable[..., Any]
    stream: Bytes
    slots: int


ROWS = (512, 256, ROW)
"""Bytes of a node's row in a tile of a network, widest first: 128 rows of float32 at once are twice as fast as 32."""

CACHE = 1 << 20
"""Bytes that the live values of a tile may take: a second-level cache."""

LARGE_CACHE = 1 << 23
"""Bytes that the values of all nodes may take where none gives its place to another."""


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
    codes: dict[tuple[int, bool], _Code] = field(default_factory=dict[tuple[int, bool], "_Code"])
    leaves: Bytes = field(init=False)
    weights: Bytes = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = self.target.vectors(self.size)

    def _code(self, rows: int) -> _Code:
        """The code for a batch."""
        return self._made(*_tile(self.program.layouts[0], self.vectors, rows))

    def _made(self, vectors: Vectors, by_levels: bool) -> _Code:
        key = (vectors.row, by_levels)
        if key not in self.codes:
            layout = self.program.layouts[0]
            library = self.make(_network_text(vectors, self.numeric, by_levels), self.target)
            kinds = (_POINTER, _INTEGER, _POINTER, _POINTER, _POINTER, _INTEGER, _POINTER, _POINTER, _INTEGER, _INTEGER)
            stream = _copied(levels.runs(layout) if by_levels else instructions(layout))
            slots = layout.nodes if by_levels else layout.size
            self.codes[key] = _Code(vectors, library, library.call("network", *kinds), stream, slots)
        return self.codes[key]

    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables: no code is made again."""
        floats, _ = arena.kind_of(self.vectors)
        leaves, weights = tables[0], np.concatenate([[1.0], tables[1]])
        if self.numeric == "log":
            with np.errstate(divide="ignore"):
                leaves, weights = np.log(leaves), np.log(weights)
        self.leaves, self.weights = _copied(leaves.astype(floats)), _copied(weights.astype(floats))

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """The answer for codes [columns, batch]; every row is certain."""
        assert not densities
        rows = codes.shape[1]
        code = self._code(rows)
        vectors = code.vectors
        laid, tiles = _tiles(codes, vectors)
        out = arena.aligned(tiles * vectors.row)
        leaves, weights = self.leaves, self.weights

        def call(first: int, last: int) -> None:
            slots = _buffers(code.slots * vectors.row)
            code.function(
                code.stream.ctypes.data,
                len(code.stream) // 4,
                leaves.ctypes.data,
                weights.ctypes.data,
                laid.ctypes.data,
                len(codes) * vectors.lanes * 4,
                slots.ctypes.data,
                out.ctypes.data,
                first,
                last,
            )

        _spread(call, tiles, threads)
        floats, _ = arena.kind_of(self.vectors)
        value = out.view(floats)[:rows].astype(np.float64)
        if self.numeric == "linear":
            with np.errstate(divide="ignore"):
                value = np.log(value)
        return Answer(value, np.zeros(rows, dtype=bool))


Engine = Vector | Scalar

_local = threading.local()


def _buffers(size: int) -> Bytes:
    """A thread's own buffers of a tile, kept for its next call."""
    held: Bytes | None = getattr(_local, "buffers", None)
    if held is None or len(held) < size:
        held = _local.buffers = arena.aligned(size)
    return held


def _copied(array: NDArray[Any]) -> Bytes:
    """An array's bytes on a boundary of a row."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    out = arena.aligned(max(len(flat), ROW))[: len(flat)]
    out[:] = flat
    return out


def _tiles(codes: Indices | Codes, vectors: Vectors) -> tuple[Bytes, int]:
    """Codes [columns, batch] as tiles [tiles, columns, lanes] of 32-bit words, the last filled up with its last row."""
    columns, rows = codes.shape
    tiles = -(-rows // vectors.lanes)
    laid = arena.aligned(max(tiles * columns * vectors.lanes * 4, ROW))
    words = laid[: tiles * columns * vectors.lanes * 4].view(np.int32).reshape(tiles, columns, vectors.lanes)
    full, rest = divmod(rows, vectors.lanes)
    words[:full] = codes[:, : rows - rest].reshape(columns, full, vectors.lanes).transpose(1, 0, 2)
    if rest:
        words[full, :, :rest], words[full, :, rest:] = codes[:, rows - rest :], codes[:, -1:]
    return laid, tiles


def _padded(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Columns [.., batch] up to so many rows, the last repeated."""
    missing = rows - array.shape[1]
    return array if not missing else np.concatenate([array, np.repeat(array[:, -1:], missing, axis=1)], axis=1)


def _spread(call: Callable[[int, int], None], tiles: int, threads: int) -> None:
    """Runs tiles on threads, each a range of them; a thread that finds no other work runs them all."""
    parts = min(threads, tiles)
    if parts <= 1:
        if tiles:
            call(0, tiles)
        return
    bounds = [tiles * part // parts for part in range(parts + 1)]
    waiting = [_pool(parts).submit(call, first, last) for first, last in pairwise(bounds[1:])]
    call(bounds[0], bounds[1])
    for part in waiting:
        part.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="danaus")
