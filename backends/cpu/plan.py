"""From a Program to the records that compiled code runs through, and to where its tables stand.

What enters is a Program without scalar networks, after its buffers were reused; what leaves is a record of 64-bit words
per operation, the list of kernels that they name, and the layout of the arena that holds the tables. Where a Program is
run again with other parameters, only the arena is filled anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir.program.operation import (
    AllPairs,
    Contract,
    Density,
    Fill,
    Gather,
    Join,
    Load,
    Multiply,
    Network,
    Repeat,
    Scale,
    Step,
    reads,
    shifted,
    unrolled,
)
from ...ir.program.program import Program
from ...ir.program.widths import Width, widths
from .state import HEAD, STATE
from .vectors import ROW, Vectors

FIELDS = ("kernel", "out", "first", "second", "data", "column", "data_step", "column_step", "words")
LAST = len(FIELDS)
RECORD = 8 * LAST

FAR = 1 << 21
"""Bytes of loaded tables beyond which the next one is asked for ahead of time."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kind of kernel with the sizes that it is compiled for."""

    kind: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one use of a table stands in the arena."""

    kind: str
    table: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Records [operations, fields], kernels by number, the arena's entries and size in bytes, and words for indices.

    `slots` is the size of a tile's buffers, `root` the offset of the root's, `soft` that of the values of densities.
    """

    records: NDArray[np.int64]
    kernels: tuple[Kernel, ...]
    entries: tuple[Entry, ...]
    arena: int
    words: NDArray[np.uint8]
    slots: int
    root: int
    soft: int
    densities: tuple[int, ...]


def plan(program: Program, vectors: Vectors) -> Plan:
    """The records of a Program."""
    return Planner(program, vectors).plan()


@dataclass(slots=True)
class Planner:
    """Places and records while they are made; `slots` are the offsets of the buffers of a tile.

    `far` says that the tables that are loaded are more than a cache holds."""

    program: Program
    vectors: Vectors
    kernels: dict[Kernel, int] = field(default_factory=dict[Kernel, int])
    words: bytearray = field(default_factory=bytearray)
    records: list[list[int]] = field(default_factory=list[list[int]])
    places: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    soft: dict[int, int] = field(default_factory=dict[int, int])
    softness: int = 0
    far: bool = False
    slots: list[int] = field(default_factory=list[int])

    def plan(self) -> Plan:
        program = self.program
        arena = self.lay(_uses(program))
        found = iter(widths(program))
        line: list[tuple[Step, Width]] = []
        for operation in program.operations:
            if isinstance(operation, Repeat):
                self._straight(line)
                line = []
                self._loop(operation, found)
            else:
                line.append((operation, next(found)))
        self._straight(line)
        look_ahead(self.records, tuple(self.kernels), FIELDS)
        entries = tuple(Entry(kind, table, offset) for (kind, table), offset in self.places.items())
        return Plan(
            np.array(self.records, dtype=np.int64).reshape(-1, LAST),
            tuple(self.kernels),
            entries,
            arena,
            np.frombuffer(bytes(self.words) or bytes(8), dtype=np.uint8),
            self.slots[-1],
            self.slots[program.root],
            self.softness,
            tuple(self.soft[source] for source in sorted(self.soft)),
        )

    def lay(self, uses: Iterable[tuple[str, int]]) -> int:
        """Places for buffers, densities and every use of a table; the bytes that tables take.

        The tables of one kind lie in the order of their numbers, so that loops can step.
        """
        sizes = [(STATE + nodes) * ROW for nodes in self.program.buffers]
        self.slots = [int(offset) for offset in np.cumsum([0, *sizes])]
        self.softness = self._lay_densities()
        offset = loaded = 0
        for kind, table in sorted(set(uses)):
            if kind != "density":
                self.places[kind, table] = offset
                size = size_of(kind, self.program.tables[table], self.vectors)
                offset += size
                loaded += size if kind == "load" else 0
        self.far = loaded > FAR
        return offset

    def _lay_densities(self) -> int:
        """Places for the values of densities in a tile."""
        offset = 0
        nodes = {step.source: step.nodes for step in unrolled(self.program.operations) if isinstance(step, Density)}
        for source in sorted(nodes):
            self.soft[source] = offset
            offset += (STATE + nodes[source]) * ROW
        return offset

    def _loop(self, loop: Repeat, found: Iterator[Width]) -> None:
        """A loop, its body once with steps; turn after turn where the tables do not lie evenly."""
        body = [(step, next(found)) for step in loop.body]
        moves = list(zip(body, loop.columns, loop.tables, strict=True))
        if not all(self._even(step, jump, loop.count) for (step, _), _, jump in moves):
            for turn in range(loop.count):
                for (step, width), column, jump in moves:
                    self.records.append(self.record(shifted(step, turn * column, turn * jump), width))
            return
        data, column_field = FIELDS.index("data"), FIELDS.index("column")
        length = len(self.records)
        place = 0
        while place < len(moves):
            (step, width), column, jump = moves[place]
            record, following = self.record(step, width), self.record(shifted(step, column, jump), width)
            record[FIELDS.index("data_step")] = following[data] - record[data]
            record[FIELDS.index("column_step")] = following[column_field] - record[column_field]
            other = self._in_place(body, place)
            self.records.append(record if other is None else self.times(record, other))
            place += 1 if other is None else 2
        back = self._empty("repeat")
        back[1], back[2] = loop.count, (len(self.records) - length) * RECORD
        self.records.append(back)

    def _straight(self, line: Sequence[tuple[Step, Width]]) -> None:
        """Operations one after the other."""
        place = 0
        while place < len(line):
            step, width = line[place]
            other = self._in_place(line, place)
            record = self.record(step, width)
            self.records.append(record if other is None else self.times(record, other))
            place += 1 if other is None else 2

    def _in_place(self, line: Sequence[tuple[Step, Width]], place: int) -> int | None:
        """The buffer by which a load is multiplied by the operation after it, in its own buffer."""
        step, width = line[place]
        if place + 1 == len(line) or line[place + 1][0].out != step.out:
            return None
        return multiplied(step, width, line[place + 1])

    def times(self, record: list[int], other: int) -> list[int]:
        """A load whose numbers are multiplied by another buffer on their way."""
        kernel = list(self.kernels)[record[0]]
        fused = Kernel(kernel.kind, (*kernel.sizes[:-1], 1))
        record[0] = self.kernels.setdefault(fused, len(self.kernels))
        record[FIELDS.index("first")] = self.slots[other]
        return record

    def _even(self, step: Step, jump: int, count: int) -> bool:
        """Whether what a step of a loop reads turn after turn lies evenly."""
        place = table_use(step)
        if not jump or place is None:
            return True
        if isinstance(step, Density):
            offsets = [self.soft[step.source + turn * jump] for turn in range(count)]
        else:
            offsets = [self.places[place[0], place[1] + turn * jump] for turn in range(count)]
        return len(set(np.diff(offsets).tolist())) <= 1

    def _empty(self, kind: str, *sizes: int) -> list[int]:
        record = [0] * LAST
        record[0] = self.kernels.setdefault(Kernel(kind, sizes), len(self.kernels))
        return record

    def record(self, operation: Step, width: Width) -> list[int]:
        """The record of an operation that writes and reads so many nodes."""
        nodes, below = width
        lanes = self.vectors.lanes * 4
        match operation:
            case Load(_, table, column):
                record = self._empty("load", nodes, self.program.tables[table][0], int(self.far), 0)
                record[5] = column * lanes
            case Fill():
                record = self._empty("fill", nodes)
            case Density(_, source, _, _):
                record = self._empty("copy", nodes)
                record[4] = self.soft[source]
            case Multiply():
                record = self._empty("multiply", *below)
            case AllPairs():
                record = self._empty("pairs", *below)
            case Join(_, parts):
                record = self._empty("join")
                pairs = [value for part, size in zip(parts, below, strict=True) for value in (self.slots[part], size)]
                record[8] = self.word(np.array([len(parts), *pairs], dtype=np.int64))
            case Gather(_, _, index):
                record = self._empty("gather", nodes)
                record[8] = self.word(self.program.indices[index].astype(np.int32))
            case Scale():
                record = self._empty("scale", nodes)
            case Contract(_, _, table, blocks, rows, columns, read, write):
                shared = int(self.program.tables[table][0] == 1)
                sizes = (blocks, rows, columns, read.block, read.node, write.block, write.node, shared)
                record = self._empty("contract", *sizes)
            case Network():
                raise AssertionError("networks run by themselves")
        record[1] = self.slots[operation.out]
        for position, source in enumerate(reads(operation)[:2]):
            record[2 + position] = self.slots[source]
        place = table_use(operation)
        if place is not None and place[0] != "density":
            record[4] = self.places[place]
        return record

    def word(self, array: NDArray[np.int32] | NDArray[np.int64]) -> int:
        """Keeps integers, and says where."""
        offset = len(self.words)
        self.words += array.tobytes() + bytes(-array.nbytes % 8)
        return offset


def multiplied(step: Step, width: Width, after: tuple[Step, Width]) -> int | None:
    """The buffer by which the operation after a load multiplies it, node by node; None where it does not."""
    following, (nodes, below) = after
    match step, following:
        case Load(out=out), Multiply(factors=(a, b)) if {a, b} != {out} and out in (a, b):
            return (b if a == out else a) if below == (nodes, nodes) else None
        case _:
            return None


def look_ahead(records: Sequence[list[int]], kernels: Sequence[Kernel], fields: Sequence[str]) -> None:
    """Tells each load that is far from its numbers where the next one has its own, so that it can ask for them.

    `second` becomes the place of that table, `words` how much further on its column is.
    """
    data, column = fields.index("data"), fields.index("column")
    loads = [record for record in records if kernels[record[0]].kind == "load" and kernels[record[0]].sizes[2]]
    for record, following in pairwise(loads):
        record[fields.index("second")] = following[data]
        record[fields.index("words")] = following[column] - record[column]
    if loads:
        loads[-1][fields.index("second")] = loads[-1][data]


def _uses(program: Program) -> Iterator[tuple[str, int]]:
    """Every use of a table, in every turn of loops."""
    for operation in program.operations:
        body = operation.body if isinstance(operation, Repeat) else (operation,)
        jumps = operation.tables if isinstance(operation, Repeat) else (0,)
        for step, jump in zip(body, jumps, strict=True):
            place = table_use(step)
            if place is not None:
                turns = operation.count if isinstance(operation, Repeat) and jump else 1
                yield from ((place[0], place[1] + turn * jump) for turn in range(turns))


def table_use(operation: Step) -> tuple[str, int] | None:
    """How an operation uses which table."""
    match operation:
        case Load(table=table):
            return ("load", table)
        case Fill(table=table):
            return ("fill", table)
        case Scale(table=table):
            return ("scale", table)
        case Contract(table=table):
            return ("contract", table)
        case Density(source=source):
            return ("density", source)
        case _:
            return None


def size_of(kind: str, shape: tuple[int, ...], vectors: Vectors) -> int:
    """The bytes that a use of a table takes in the arena, with what stands before its numbers."""
    numbers = prod(shape) * vectors.size
    match kind:
        case "load":
            return padded(HEAD * shape[0] * vectors.size) + padded(numbers)
        case "fill":
            return padded(HEAD * vectors.size) + padded(numbers)
        case _:
            return ROW + padded(numbers)


def padded(size: int) -> int:
    """A size rounded up to whole rows."""
    return -(-size // ROW) * ROW
