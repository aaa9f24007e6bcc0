"""How the nodes of a state stand in registers, and the blocks of a factorised map on them.

What enters are matrices; what leaves are the places of their nodes in a tile whose sides are powers of two, and lines
that turn such tiles. A permutation of digits is a turn of the tile. Blocks smaller than a tensor core's 16 are taken
together, as one matrix that is zero but for them.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import policy
from .policy import Precision
from .precision import loaded, padded, product
from .text import Lines
from .value import Matrix

LEAST = 16
"""The least that tensor cores take of a side."""

PART = 128
"""Matrices of more rows or columns are multiplied in parts: on gfx942 weights pass the 64 KB of shared memory on their
way to registers, a part at a time."""

Weights = tuple[tuple[str, ...], ...]
"""Names of the weights of a stage: of each part, row of parts by row of parts, what its product takes."""


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
        return self == other or (self.full and other.full and self.size == other.size)

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
    if strides == (part, 1):
        outer, inner = blocks, part
    elif strides == (1, blocks):
        outer, inner = part, blocks
    else:
        return None
    found = Grid(outer, inner, policy.power(outer), policy.power(inner))
    return found if found.size >= LEAST else None


def size_of(number: int) -> int:
    """The side of a tile that holds so many nodes: a power of two that tensor cores take."""
    return max(LEAST, policy.power(number))


@dataclass(frozen=True, slots=True)
class Batched:
    """Blocks as they are multiplied: `count` matrices [rows, columns], each of `together` blocks."""

    count: int
    rows: int
    columns: int
    together: int

    @property
    def size(self) -> int:
        return self.count * self.rows * self.columns


def batched(matrix: Matrix) -> Batched:
    """The blocks of a matrix, so many at a time that both sides are 16 or more."""
    if matrix.blocks == 1:
        return Batched(1, size_of(matrix.rows), size_of(matrix.columns), 1)
    count, rows, columns = (policy.power(each) for each in (matrix.blocks, matrix.rows, matrix.columns))
    together = min(count, max(1, LEAST // min(rows, columns)))
    return Batched(count // together, together * rows, together * columns, together)


def weights_lines(lines: Lines, matrix: Matrix, pointer: str, precision: Precision) -> Weights:
    """Lines that load all weights of a stage, [rows, columns], or [count, rows, columns] where there are several."""
    if matrix.blocks > 1:
        return (_blocks_lines(lines, matrix, pointer, precision),)
    tile = batched(matrix)
    rows, columns = padded(matrix)
    found: list[tuple[str, ...]] = []
    for down in range(0, tile.rows, PART):
        for across in range(0, tile.columns, PART):
            row, column = (
                f"k{min(size, PART)}" if not start else f"({start} + k{PART})"
                for start, size in ((down, tile.rows), (across, tile.columns))
            )
            masks = [f"({row} < {rows})[:, None]"] if rows < min(down + PART, tile.rows) else []
            masks += [f"({column} < {columns})[None, :]"] if columns < min(across + PART, tile.columns) else []
            at = f"{row}[:, None] * {columns} + {column}[None, :]"
            found.append(loaded(lines, precision, matrix, pointer, at, " & ".join(masks)))
    return tuple(found)


def _blocks_lines(lines: Lines, matrix: Matrix, pointer: str, precision: Precision) -> tuple[str, ...]:
    tile = batched(matrix)
    rows, columns = padded(matrix)
    one = tile.count == 1
    row = lines.let("row", f"tl.arange(0, {tile.rows}){'[:, None]' if one else '[None, :, None]'}")
    column = lines.let("column", f"tl.arange(0, {tile.columns}){'[None, :]' if one else '[None, None, :]'}")
    tall, wide = tile.rows // tile.together, tile.columns // tile.together
    block = "0" if one else f"tl.arange(0, {tile.count})[:, None, None]"
    if tile.together > 1:
        block = f"{row} // {tall}" if one else f"{block} * {tile.together} + {row} // {tall}"
    block = lines.let("block", block)
    masks = [f"({row} // {tall} == {column} // {wide})"] if tile.together > 1 else []
    if matrix.blocks < tile.count * tile.together:
        masks.append(f"({block} < {matrix.blocks})")
    if tile.together > 1:
        row, column = f"({row} % {tall})", f"({column} % {wide})"
    masks += [f"({row} < {rows})"] if rows < tall else []
    masks += [f"({column} < {columns})"] if columns < wide else []
    at = f"{row} * {columns} + {column}"
    if not matrix.shared:
        at = f"({block} * {rows} + {row}) * {columns} + {column}"
    elif not one:
        at = f"{block} * 0 + {at}"  # of all blocks, though they share it
    return loaded(lines, precision, matrix, pointer, at, " & ".join(masks))


def product_lines(lines: Lines, matrix: Matrix, precision: Precision, weights: Weights, right: str) -> str:
    """Lines that multiply all of a stage's weights by what they take; the name of the sums."""
    total = lines.name("total")
    if len(weights) == 1:
        product(lines, precision, total, weights[0], right, None)
        return total
    tile = batched(matrix)
    down, across = -(-tile.rows // PART), -(-tile.columns // PART)
    rights, sums = [right], list[str]()
    if across == 2:  # a tile cannot be sliced: its halves are made the last side, which can be split
        rights = [lines.name("half"), lines.name("half")]
        halves = f"tl.permute(tl.reshape({right}, (2, {PART}, BATCH)), (1, 2, 0))"
        lines.add(f"{', '.join(rights)} = tl.split({halves})")
    for row in range(down):
        sums.append(lines.name("part"))
        for column in range(across):
            added = sums[-1] if column else None
            product(lines, precision, sums[-1], weights[row * across + column], rights[column], added)
    if down == 1:
        return sums[0]
    lines.add(f"{total} = tl.reshape(tl.permute(tl.join({', '.join(sums)}), (2, 0, 1)), ({tile.rows}, BATCH))")
    return total


def taken_apart(matrix: Matrix, tile: str) -> str:
    """A tile [nodes, BATCH] as the right factor of a matrix's blocks."""
    if matrix.blocks == 1:
        return tile
    found = batched(matrix)
    if matrix.read[1] != 1:
        tall, wide = policy.power(matrix.columns), policy.power(matrix.blocks)
        tile = f"tl.permute(tl.reshape({tile}, ({tall}, {wide}, BATCH)), (1, 0, 2))"
    if found.count == 1:
        return tile if matrix.read[1] == 1 else f"tl.reshape({tile}, ({found.columns}, BATCH))"
    return f"tl.reshape({tile}, ({found.count}, {found.columns}, BATCH))"


def put_together(matrix: Matrix, tile: str) -> str:
    """What the blocks of a matrix give, as a tile [nodes, BATCH]."""
    if matrix.blocks == 1:
        return tile
    found = batched(matrix)
    tall, wide = policy.power(matrix.rows), policy.power(matrix.blocks)
    if matrix.write[1] != 1:
        tile = f"tl.permute(tl.reshape({tile}, ({wide}, {tall}, BATCH)), (1, 0, 2))"
    elif found.count == 1:
        return tile
    return f"tl.reshape({tile}, ({tall * wide}, BATCH))"
