"""The blocks of a map on a tile in registers, as matrices that tensor cores take.

What enters are matrices; what leaves are lines that load them, turn a tile of nodes into what they multiply, and turn
what they give into a tile again. A permutation of digits is a turn of the tile.

Blocks smaller than a tensor core's 16 are taken together, as one matrix that is zero but for them: with g of them it is
g times the operations, where each on its own, filled up to 16 by 16, would be g squared. Blocks of 64 rows and more,
of which there are few, are multiplied one after another: each is spread over all warps, and is large enough for the
wide units of sm_90 and sm_100. The rest are one product of many matrices, a few to each warp.
"""

from __future__ import annotations

from dataclasses import dataclass

from .grids import LEAST, sides, size_of
from .policy import Precision
from .precision import loaded, padded, product
from .text import Lines
from .value import Matrix

PART = 128
"""Matrices of more rows or columns are multiplied in parts: on gfx942 weights pass the 64 KB of shared memory on their
way to registers, a part at a time."""

WIDE = 64
"""The rows from which sm_90 and sm_100 have wider units."""

Weights = tuple[tuple[str, ...], ...]
"""Names of the weights of a stage: of each part, row of parts by row of parts, what its product takes."""


@dataclass(frozen=True, slots=True)
class Batched:
    """Blocks as they are multiplied: `count` matrices [rows, columns], each of `together` blocks; if `alone`, one after
    another, and only those that there are."""

    count: int
    rows: int
    columns: int
    together: int
    alone: bool = False


def batched(matrix: Matrix) -> Batched:
    """The blocks of a matrix, so many at a time that both sides are 16 or more."""
    if matrix.blocks == 1:
        return Batched(1, size_of(matrix.rows), size_of(matrix.columns), 1)
    count, rows, columns = sides(matrix)
    together = max(1, LEAST // min(rows, columns))
    alone = count > 1 and rows >= WIDE and columns >= LEAST and max(rows, columns) <= PART
    return Batched(count // together, together * rows, together * columns, together, alone)


def size_on_chip(matrix: Matrix) -> int:
    """How many weights of a matrix there are on chip."""
    found = batched(matrix)
    copies = (1 if matrix.shared else matrix.blocks) if found.alone else found.count
    return copies * found.rows * found.columns


def weights_lines(
    lines: Lines, matrix: Matrix, pointer: str, precision: Precision, memory: Matrix | None = None
) -> Weights:
    """Lines that load all weights of a stage, [rows, columns], or [count, rows, columns] where there are several.

    What lies in memory is the matrix, or the one given, which is then the same turned round.
    """
    tile = batched(matrix)
    if tile.alone:
        return _alone_lines(lines, matrix, pointer, precision, memory)
    if matrix.blocks > 1:
        return (_blocks_lines(lines, matrix, pointer, precision, memory),)
    rows, columns, high, wide = _laid(matrix, memory)
    found: list[tuple[str, ...]] = []
    for down in range(0, tile.rows, PART):
        for across in range(0, tile.columns, PART):
            row, column = (
                f"k{min(size, PART)}" if not start else f"({start} + k{PART})"
                for start, size in ((down, tile.rows), (across, tile.columns))
            )
            masks = [f"({row} < {rows})[:, None]"] if rows < min(down + PART, tile.rows) else []
            masks += [f"({column} < {columns})[None, :]"] if columns < min(across + PART, tile.columns) else []
            at = f"{row}[:, None]{high} + {column}[None, :]{wide}"
            found.append(loaded(lines, precision, memory or matrix, pointer, at, " & ".join(masks)))
    return tuple(found)


def _alone_lines(lines: Lines, matrix: Matrix, pointer: str, precision: Precision, memory: Matrix | None) -> Weights:
    """The same, of each block on its own."""
    tile = batched(matrix)
    rows, columns, high, across = _laid(matrix, memory)
    row, column = lines.let("row", f"tl.arange(0, {tile.rows})"), lines.let("column", f"tl.arange(0, {tile.columns})")
    masks = [f"({row} < {rows})[:, None]"] if rows < tile.rows else []
    masks += [f"({column} < {columns})[None, :]"] if columns < tile.columns else []
    at, mask = f"{row}[:, None]{high} + {column}[None, :]{across}", " & ".join(masks)
    if matrix.shared:
        return (loaded(lines, precision, memory or matrix, pointer, at, mask),) * matrix.blocks
    starts = (f"{block * rows * columns} + " if block else "" for block in range(matrix.blocks))
    return tuple(loaded(lines, precision, memory or matrix, pointer, start + at, mask) for start in starts)


def _blocks_lines(
    lines: Lines, matrix: Matrix, pointer: str, precision: Precision, memory: Matrix | None
) -> tuple[str, ...]:
    tile = batched(matrix)
    rows, columns, high, across = _laid(matrix, memory)
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
    # of all blocks, though they share it
    at = f"{block} * {0 if matrix.shared else rows * columns} + {row}{high} + {column}{across}"
    return loaded(lines, precision, memory or matrix, pointer, at, " & ".join(masks))


def _laid(matrix: Matrix, memory: Matrix | None) -> tuple[int, int, str, str]:
    """Rows and columns that there are of a matrix in memory, and what both are multiplied by there."""
    if memory is None:
        rows, columns = padded(matrix)
        return rows, columns, f" * {columns}", ""
    columns, rows = padded(memory)
    return rows, columns, "", f" * {rows}"


def product_lines(lines: Lines, matrix: Matrix, precision: Precision, weights: Weights, right: str) -> str:
    """Lines that multiply all of a stage's weights by what they take; the name of the sums."""
    tile = batched(matrix)
    if not tile.alone and len(weights) == 1:
        total = lines.name("total")
        product(lines, precision, total, weights[0], right, None)
        return total
    sums: list[str] = []
    if tile.alone:
        rights = cut_lines(lines, right, tile.count, tile.columns)
        for weight, own in zip(weights, rights, strict=False):
            sums.append(lines.name("part"))
            product(lines, precision, sums[-1], weight, own, None)
        while len(sums) < tile.count:
            sums.append(lines.let("part", f"tl.zeros([{tile.rows}, BATCH], tl.float32)"))
        return pasted_lines(lines, sums, tile.rows)
    down, across = -(-tile.rows // PART), -(-tile.columns // PART)
    rights = cut_lines(lines, right, across, PART)
    for row in range(down):
        sums.append(lines.name("part"))
        for column in range(across):
            added = sums[-1] if column else None
            product(lines, precision, sums[-1], weights[row * across + column], rights[column], added)
    return pasted_lines(lines, sums, PART)


def cut_lines(lines: Lines, tile: str, count: int, rows: int) -> list[str]:
    """Lines that cut a tile into so many, a power of two, of so many rows; it cannot be sliced: halves of it are made
    the last side, which can be split."""
    parts = [tile]
    while len(parts) < count:
        high = rows * count // len(parts) // 2
        found: list[str] = []
        for part in parts:
            found += [lines.name("half"), lines.name("half")]
            halves = f"tl.permute(tl.reshape({part}, (2, {high}, BATCH)), (1, 2, 0))"
            lines.add(f"{', '.join(found[-2:])} = tl.split({halves})")
        parts = found
    return parts


def pasted_lines(lines: Lines, parts: list[str], rows: int) -> str:
    """Lines that make tiles of so many rows one."""
    while len(parts) > 1:
        rows *= 2
        pairs = zip(parts[::2], parts[1::2], strict=True)
        joined = (f"tl.permute(tl.join({first}, {second}), (2, 0, 1))" for first, second in pairs)
        parts = [lines.let("whole", f"tl.reshape({each}, ({rows}, BATCH))") for each in joined]
    return parts[0]


def taken_apart(matrix: Matrix, tile: str) -> str:
    """A tile [nodes, BATCH] as the right factor of a matrix's blocks."""
    if matrix.blocks == 1:
        return tile
    found = batched(matrix)
    if matrix.read[1] != 1:
        wide, _, tall = sides(matrix)
        tile = f"tl.permute(tl.reshape({tile}, ({tall}, {wide}, BATCH)), (1, 0, 2))"
    if found.count == 1 or found.alone:
        return tile if matrix.read[1] == 1 else f"tl.reshape({tile}, ({found.count * found.columns}, BATCH))"
    return f"tl.reshape({tile}, ({found.count}, {found.columns}, BATCH))"


def put_together(matrix: Matrix, tile: str) -> str:
    """What the blocks of a matrix give, as a tile [nodes, BATCH]."""
    if matrix.blocks == 1:
        return tile
    found = batched(matrix)
    wide, tall, _ = sides(matrix)
    if matrix.write[1] != 1:
        tile = f"tl.permute(tl.reshape({tile}, ({wide}, {tall}, BATCH)), (1, 0, 2))"
    elif found.count == 1 or found.alone:
        return tile
    return f"tl.reshape({tile}, ({tall * wide}, BATCH))"
