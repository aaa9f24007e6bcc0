"""Values that are computed where they are read: trees of elementwise operations over what lies in memory.

A value is a vector of nodes; its leaves name *slots*, which each group of operations fills with places of its own, so
that groups which differ only in where their numbers lie have one kernel. Values are logarithms: a product is a sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["buffer", "table", "column", "index", "weights", "scale"]
"""What a slot holds: the first row of a buffer, an offset into a table, a column of codes, an offset into an index."""


@dataclass(frozen=True, slots=True)
class Read:
    """Nodes of a buffer."""

    slot: int
    width: int


@dataclass(frozen=True, slots=True)
class Look:
    """A row of a table [rows, width], by the code of a column; after the table stands the largest of each row."""

    table: int
    column: int
    width: int
    rows: int


@dataclass(frozen=True, slots=True)
class Constant:
    """Numbers that stand for every row of data; after them stands the largest."""

    table: int
    width: int


@dataclass(frozen=True, slots=True)
class Times:
    """The elementwise product; a factor of one node stands in every node."""

    factors: tuple[Value, ...]
    width: int


@dataclass(frozen=True, slots=True)
class Paired:
    """All products of a node of each factor, the first factor's index slowest."""

    factors: tuple[Value, ...]
    width: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Values laid end to end."""

    parts: tuple[Value, ...]
    width: int


@dataclass(frozen=True, slots=True)
class Picked:
    """The nodes of a value that an index names."""

    index: int
    source: Value
    width: int


Value = Read | Look | Constant | Times | Paired | Joined | Picked


def leaves(value: Value) -> Iterator[Read | Look | Constant]:
    """What a value loads from memory, in order."""
    waiting: list[Value] = [value]
    while waiting:
        match waiting.pop():
            case Times(parts, _) | Paired(parts, _) | Joined(parts, _):
                waiting += reversed(parts)
            case Picked(_, source, _):
                waiting.append(source)
            case leaf:
                yield leaf


@dataclass(frozen=True, slots=True)
class Matrix:
    """Matrices on blocks of nodes: source node read_block · i + read_node · c of block i, likewise what is written."""

    blocks: int
    rows: int
    columns: int
    shared: bool
    read: tuple[int, int]
    write: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sums:
    """How sums lie where they are kept as numbers, not as logarithms: node by node, float32 or, if `half`, bf16; after
    them stands the power of two by which they are to be multiplied, one for each `tile` rows of each block."""

    blocks: int
    rows: int
    tile: int
    write: tuple[int, int]
    half: bool

    @property
    def tall(self) -> int:
        """Tiles of a block."""
        return -(-self.rows // self.tile)

    @property
    def first(self) -> int:
        """Rows of float32 that the numbers take."""
        return -(-self.blocks * self.rows // 2) if self.half else self.blocks * self.rows

    @property
    def width(self) -> int:
        """Rows of float32 that all takes."""
        return self.first + self.blocks * self.tall

    def scale(self, node: str) -> str:
        """Which power of two is that of a node."""
        if self.write == (self.rows, 1):
            block, row = f"{node} // {self.rows}", f"{node} % {self.rows}"
        else:
            block, row = f"{node} % {self.blocks}", f"{node} // {self.blocks}"
        if self.tall == 1:
            return f"({block})"
        return f"({block} * {self.tall} + {row} // {self.tile})"


@dataclass(frozen=True, slots=True)
class Form:
    """What a group computes, apart from where its numbers lie: a value, or matrices on it.

    Its kernel reads, for each group, a row of places: of what it writes, then one for each of `slots`. What it reads
    and what it writes may be sums.
    """

    value: Value
    matrix: Matrix | None
    slots: tuple[Kind, ...]
    reads: Sums | None = None
    writes: Sums | None = None

    @property
    def fields(self) -> int:
        return 1 + len(self.slots)

    @property
    def width(self) -> int:
        return self.value.width if self.matrix is None else self.matrix.blocks * self.matrix.rows
