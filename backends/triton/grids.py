"""How the nodes of a state stand in registers before and after a matrix.

What enters are matrices; what leaves are the places of their nodes in a tile whose sides are powers of two. Where what
one gives does not stand as the next takes it, as with factors that are no powers of two, a tile is laid out anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import policy
from .text import Lines
from .value import Matrix

LEAST = 16
"""The least that tensor cores take of a side."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Node outer digit · `inner` + inner digit stands at outer digit · `wide` + inner digit, of `tall` · `wide`."""

    outer: int
    inner: int
    tall: int
    wide: int

    @property
    def size(self) -> int:
        return self.tall * self.wide

    @property
    def plain(self) -> bool:
        """Whether every node stands at its number."""
        return self.outer == 1 or self.inner == self.wide

    @property
    def full(self) -> bool:
        """Whether there is a node at every place."""
        return self.outer == self.tall and self.inner == self.wide

    def meets(self, other: Grid) -> bool:
        """Whether every node stands where it does in another."""
        plain = self.plain and other.plain and self.outer * self.inner == other.outer * other.inner
        return self == other or (plain and self.size == other.size)

    def place(self, node: str) -> str:
        """Where a node stands."""
        return node if self.plain else f"({node} // {self.inner} * {self.wide} + {node} % {self.inner})"

    def nodes(self, lines: Lines) -> tuple[str, str | None]:
        """Lines for the nodes of all places, and for those that there are (None for all); their names."""
        k = f"k{self.size}"
        if self.full:
            return k, None
        if self.plain:
            return k, lines.let("ok", f"{k} < {self.outer * self.inner}")
        node = lines.let("node", f"{k} // {self.wide} * {self.inner} + {k} % {self.wide}")
        inside = [f"({k} % {self.wide} < {self.inner})"]
        if self.outer < self.tall:
            inside.append(f"({k} // {self.wide} < {self.outer})")
        return node, lines.let("ok", " & ".join(inside))


def taken(matrix: Matrix) -> Grid | None:
    """How a matrix takes its nodes; None where they lie otherwise, or are too few."""
    return _grid(matrix, matrix.columns, matrix.read)


def given(matrix: Matrix) -> Grid | None:
    """How a matrix gives its nodes."""
    return _grid(matrix, matrix.rows, matrix.write)


def _grid(matrix: Matrix, part: int, strides: tuple[int, int]) -> Grid | None:
    blocks = matrix.blocks
    if blocks == 1:
        return Grid(1, part, 1, size_of(part)) if strides[1] == 1 else None
    count, rows, columns = sides(matrix)
    side = rows if part == matrix.rows else columns
    if strides == (part, 1):
        return Grid(blocks, part, count, side)
    return Grid(part, blocks, side, count) if strides == (1, blocks) else None


def sides(matrix: Matrix) -> tuple[int, int, int]:
    """Blocks of a map, their rows and columns, filled up to powers of two; blocks so many that a tensor core may take
    some of them together."""
    count, rows, columns = (policy.power(each) for each in (matrix.blocks, matrix.rows, matrix.columns))
    return max(count, LEAST // min(rows, columns)), rows, columns


def size_of(number: int) -> int:
    """The side of a tile that holds so many nodes: a power of two that tensor cores take."""
    return max(LEAST, policy.power(number))


def relaid(lines: Lines, tile: str, before: Grid, after: Grid, empty: str) -> str:
    """Lines that bring a tile whose nodes stand one way to another; its name. Where no node stands it is `empty`."""
    if after.meets(before):
        return tile
    nodes, mask = after.nodes(lines)
    place = before.place(nodes)
    place = lines.let("place", place if mask is None else f"tl.where({mask}, {place}, 0)")
    index = f"tl.broadcast_to({place}[:, None], [{after.size}, BATCH])"
    found = lines.let("laid", f"tl.gather({tile}, {index}, 0)")
    return found if mask is None else lines.let("laid", f"tl.where({mask}[:, None], {found}, {empty})")
