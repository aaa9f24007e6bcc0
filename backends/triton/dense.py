"""Kernels of one group each: matrices on a value, or a value alone, over tiles of nodes and rows of data.

out[i, r, b] = log Σ_c W[i, r, c] exp(x[i, c, b]): the largest x of a row of data is taken out first, in a pass of its
own where there are more columns than a tile has, then exp, product, one log. −inf is exact: a row of data without any
value keeps it. Where a value that is not zero may have been lost beside the largest, and a result is small enough for
that to matter, the row is flagged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from . import policy
from .kernel import Kernel
from .policy import Precision, Tiles
from .precision import loaded, padded, product, summed
from .sums import LOG2E, factor_lines, pointer_lines, shift_of, source_lines, store_lines
from .text import ZERO, At, Lines, kernel, operands, value
from .value import Constant, Form, Matrix, Value, leaves

SMALL = 2.0**-102
"""Below this times its columns, a sum may have lost more than 2⁻²⁴ of itself: each term that is lost is under 2⁻¹²⁶."""


def tiles_of(form: Form, batch: int, precision: Precision) -> Tiles:
    """The tiles of a group's kernel."""
    matrix = form.matrix
    if matrix is None:
        return policy.elementwise_tiles(form.width, batch)
    if matrix.rows <= policy.VECTOR:
        return policy.vector_tiles(matrix.columns, batch)
    tiles = policy.dense_tiles(matrix.rows, matrix.columns, batch, precision)
    return tiles if form.writes is None else replace(tiles, rows=form.writes.tile)


def programs(form: Form, tiles: Tiles) -> int:
    """How many programs a group takes for each batch tile."""
    if form.matrix is None:
        return -(-form.width // tiles.rows)
    return form.matrix.blocks * -(-form.matrix.rows // tiles.rows)


def kernel_of(form: Form, tiles: Tiles, precision: Precision) -> Kernel:
    """The kernel of all groups of a form."""
    return elementwise(form, tiles, precision) if form.matrix is None else dense(form, form.matrix, tiles, precision)


def elementwise(form: Form, tiles: Tiles, precision: Precision) -> Kernel:
    """A value written to memory."""
    lines = Lines()
    tall = programs(form, tiles)
    _program(lines, form, tall)
    lines.add(f"k = work % {tall} * ROWS + tl.arange(0, ROWS)")
    names = operands(lines, form, "place")
    ragged = form.width % tiles.rows != 0
    if ragged:
        lines.add(f"ok = k < {form.width}")
    found = whole(lines, form.value, At("k", "ok" if ragged else None), names, "ROWS")
    lines.add(f"tl.store(y[None, :] + k[:, None] * stride, {found}{', ok[:, None]' if ragged else ''})")
    sizes = {"ROWS": tiles.rows, "BATCH": tiles.batch}
    return kernel("elementwise", lines, sizes, tiles.warps, tiles.stages, precision)


def dense(form: Form, matrix: Matrix, tiles: Tiles, precision: Precision) -> Kernel:
    """Matrices on a value; of few rows one row at a time, without tensor cores."""
    lines = Lines()
    _program(lines, form, programs(form, tiles))
    rows = Rows("tl.load(place)", f"tl.load(place + {1 + form.slots.index('buffer')})" if form.reads else "")
    tile_of_sums(lines, form, matrix, tiles, precision, operands(lines, form, "place"), "y", rows)
    sizes = constants_of(tiles) | {"BATCH": tiles.batch}
    return kernel("dense", lines, sizes, tiles.warps, tiles.stages, precision)


def constants_of(tiles: Tiles, suffix: str = "") -> dict[str, int]:
    """The sizes of a tile of sums, as constants of its kernel."""
    inner = {f"INNER{suffix}": tiles.inner}
    return inner if tiles.rows == 1 else {f"ROWS{suffix}": tiles.rows, **inner}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of the buffers that a group writes and reads, where these are sums."""

    written: str
    read: str


def tile_of_sums(
    lines: Lines,
    form: Form,
    matrix: Matrix,
    tiles: Tiles,
    precision: Precision,
    names: dict[int, str],
    y: str,
    at: Rows,
    suffix: str = "",
) -> None:
    """Lines that write tile `work` of a group's result to the buffer at `y`."""
    start = len(lines.lines)
    tall = -(-matrix.rows // tiles.rows)
    vector = tiles.rows == 1
    lines.add(f"row = work % {tall}" if vector else f"row = work % {tall} * ROWS + tl.arange(0, ROWS)")
    if matrix.blocks > 1:
        lines.add(f"block = work // {tall} % {matrix.blocks}")
    rows, columns = padded(matrix)
    across = "row" if vector else "row[:, None]"
    block = "" if matrix.blocks == 1 or matrix.shared else f"block * {rows * columns} + "
    lines.add(f"w = {names[0]} + {block}{across} * {columns}")
    _sums(lines, form, matrix, tiles, precision, names, at)
    written = scaled("row", matrix.write[1])
    if matrix.blocks > 1:
        written = f"block * {matrix.write[0]} + {written}"
    mask = "" if vector or matrix.rows % tiles.rows == 0 else f", (row < {matrix.rows})[:, None]"
    if form.writes is not None:
        tile = f"work % {tall}" if matrix.blocks == 1 else f"block * {tall} + work % {tall}"
        store_lines(lines, form, form.writes, names[1], at.written, written, tile, mask)
    else:
        shift = f"shift + tl.load({names[1]})"
        if form.reads is not None:
            shift = f"({shift_of(form, names[1], 1.0)}).to(tl.float32)"
        place = f"{y} + ({written}) * stride" if vector else f"{y}[None, :] + ({written})[:, None] * stride"
        lines.add(
            f"found = tl.log(total) + {shift if vector else f'({shift})[None, :]'}",
            f"tl.store({place}, found{mask})",
        )
    if suffix:
        lines.lines[start:] = [re.sub(r"\b(ROWS|INNER)\b", rf"\g<1>{suffix}", line) for line in lines.lines[start:]]


def _sums(
    lines: Lines, form: Form, matrix: Matrix, tiles: Tiles, precision: Precision, names: dict[int, str], at: Rows
) -> None:
    """Lines for `total`, the sums at rows `row` of block `block`, whose weights begin at `w`, and their `shift`."""
    vector, one = tiles.rows == 1, matrix.columns <= tiles.inner
    pointers = None if form.reads is None else pointer_lines(lines, form.reads, at.read)

    def source(start: str) -> tuple[str, str]:
        nodes = _nodes(lines, matrix, tiles, start)
        if form.reads is not None and pointers is not None:
            return source_lines(lines, form.reads, nodes, pointers)
        return whole(lines, form.value, nodes, names, "INNER"), ""

    x, bits = "", ""
    if one:
        x, bits = source("0")
        lines.add(f"top = tl.max({x}, 0)", f"low = tl.min(tl.where({x} > {ZERO}, {x}, float('inf')), 0)")
    else:
        lines.add(
            f"top = tl.full([INNER, BATCH], {ZERO}, tl.float32)",
            'low = tl.full([INNER, BATCH], float("inf"), tl.float32)',
            f"for start in range(0, {matrix.columns}, INNER):",
        )
        lines.depth += 1
        x, _ = source("start")
        lines.add(f"top = tl.maximum(top, {x})", f"low = tl.minimum(low, tl.where({x} > {ZERO}, {x}, float('inf')))")
        lines.depth -= 1
        lines.add("top, low = tl.max(top, 0), tl.min(low, 0)")
    floor = f"tl.load({names[1]} + 1)" + ("" if form.reads is None else f" * {LOG2E!r}")
    lines.add(f"shift = tl.where(top == {ZERO}, 0.0, top)", f"lost = low - shift < {floor}")
    if one:
        _multiplied(lines, matrix, tiles, precision, x, bits, None)
    else:
        lines.add(f"total = tl.zeros([{'' if vector else 'ROWS, '}BATCH], tl.float32)")
        lines.add(f"for start in range(0, {matrix.columns}, INNER):")
        lines.depth += 1
        x, bits = source("start")
        _multiplied(lines, matrix, tiles, precision, x, bits, "total")
        lines.depth -= 1
    small = SMALL * matrix.columns
    if vector:
        lines.add(f"weak = total < {small!r}")
    elif matrix.rows % tiles.rows:
        lines.add(f"weak = tl.min(tl.where((row < {matrix.rows})[:, None], total, 1.0), 0) < {small!r}")
    else:
        lines.add(f"weak = tl.min(total, 0) < {small!r}")
    lines.add("tl.store(flags + b, tl.full([BATCH], 1, tl.int32), lost & weak)")


def _nodes(lines: Lines, matrix: Matrix, tiles: Tiles, start: str) -> At:
    """The nodes of the tile from column `start` on."""
    lines.add("k = tl.arange(0, INNER)" if start == "0" else f"k = {start} + tl.arange(0, INNER)")
    mask = None
    if matrix.columns % tiles.inner:
        mask = "ok"
        lines.add(f"ok = k < {matrix.columns}")
    nodes = "k"
    if matrix.read[1] != 1 or matrix.blocks > 1:
        base = f"block * {matrix.read[0]} + " if matrix.blocks > 1 else ""
        nodes = lines.let("node", f"{base}{scaled('k', matrix.read[1])}")
    return At(nodes, mask)


def whole(
    lines: Lines, what: Value, at: At, names: dict[int, str], rows: str, given: dict[int, str] | None = None
) -> str:
    """A value on all of a tile [rows, BATCH], also where it does not depend on the node or on the data."""
    found = value(lines, what, at, names, given)
    if what.width > 1 and any(not isinstance(leaf, Constant) for leaf in leaves(what)):
        return found
    return lines.let("v", f"tl.broadcast_to({found}, [{rows}, BATCH])")


def scaled(name: str, factor: int) -> str:
    """A name times a number."""
    return name if factor == 1 else f"{name} * {factor}"


def _multiplied(
    lines: Lines, matrix: Matrix, tiles: Tiles, precision: Precision, x: str, bits: str, total: str | None
) -> None:
    """Lines that add the product of a tile of weights and exp(x − shift), or of sums, to `total`."""
    if bits:
        factor_lines(lines, x, bits)
    else:
        lines.add(f"p = tl.exp({x} - shift[None, :])")
    rows, columns = padded(matrix)
    vector = tiles.rows == 1
    masks = [] if columns % tiles.inner == 0 else [f"(k < {columns})" + ("" if vector else "[None, :]")]
    if not vector and rows % tiles.rows:
        masks.append(f"(row < {rows})[:, None]")
    mask = " & ".join(masks)
    if vector:
        lines.add(f"weight = tl.load(w + k{f', {mask}, 0.0' if mask else ''})")
        lines.add(f"total {'=' if total is None else '+='} tl.sum(weight[:, None] * p, 0)")
    else:
        weights = loaded(lines, precision, matrix, "w", "k[None, :]", mask)
        if total is None:
            product(lines, precision, "total", weights, "p", None)
        else:
            summed(lines, precision, total, weights, "p")


def _program(lines: Lines, form: Form, count: int) -> None:
    """Lines that find a program's rows of data `b`, its number `work`, its row of places, and where it writes, `y`.

    Programs of neighbouring rows of data have neighbouring numbers: what they read of weights is in L2.
    """
    lines.add(
        "program, batches = tl.program_id(0), stride // BATCH",
        "b = program % batches * BATCH + tl.arange(0, BATCH)",
        "work = program // batches",
        f"place = places + first + work // {count} * {form.fields}",
        "y = values + tl.load(place) * stride + b",
    )
