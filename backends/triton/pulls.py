"""Kernels of the reverse: from flows of what groups wrote to flows of what they read, and sums over rows of data.

The flow of a node is weight · ∂ log p / ∂ log(node), a plain number that says how responsible it is for a row of data.
For out[r] = Σ_c W[r, c] exp(x[c]), with q the largest of log |flow[r]| − out[r] of a row of data,

    flow of x[c]    = exp(x[c] + q) · Σ_r W[r, c] ρ[r],    ρ[r] = flow[r] · exp(−out[r] − q), at most 1
    ∂ / ∂ W[r, c]   = Σ_b ρ[r] · exp(x[c] + q)

The product that x is, is computed again from what it is made of. No sum is atomic: each program goes through its rows
of data in order, and what several programs have is added in order afterwards.
"""

from __future__ import annotations

from . import policy
from .dense import scaled, whole
from .kernel import Argument, Kernel
from .policy import Precision, Tiles
from .precision import loaded, padded, rounded, summed
from .text import HEAD, ZERO, At, Lines, arguments_of, named
from .value import Form, Matrix

FLOWS = (Argument("flows", "*fp32"), Argument("largest", "*fp32"), Argument("sums", "*fp32"))
"""Flows, by the rows of `values` and more; q by row and block; sums for tables."""

FURTHER = 4
"""Places of a group beyond those of its forward kernel: rows of its value's flow, of q, of its own flow; its sums."""

REACH = 60.0
"""Where x + q is more, what the products lose below float32's range could matter: the row of data is flagged."""


def kernel(name: str, lines: Lines, constants: dict[str, int], warps: int, stages: int, precision: Precision) -> Kernel:
    """A kernel of the reverse, which has more arguments than others."""
    given = arguments_of(precision)
    arguments = (*given[:-2], *FLOWS, *given[-2:])
    listed = [argument.name for argument in arguments]
    signature = ", ".join([*listed, *(f"{constant}: tl.constexpr" for constant in constants)])
    text = "\n".join([f"{HEAD}def {name}({signature}):", *lines.lines, ""])
    return Kernel(name, text, arguments, tuple(constants.items()), warps, stages)


def tiles_of(matrix: Matrix, batch: int, precision: Precision) -> Tiles:
    """Rows here are columns of the matrix."""
    return policy.dense_tiles(matrix.columns, matrix.rows, batch, precision)


def pull(form: Form, matrix: Matrix, tiles: Tiles, precision: Precision) -> Kernel:
    """The flow of a group's value."""
    lines = Lines()
    tall = -(-matrix.columns // tiles.rows)
    names = _begin(lines, form, matrix, matrix.blocks * tall, tall)
    lines.add(f"k = work % {tall} * ROWS + tl.arange(0, ROWS)", f"ok = k < {matrix.columns}")
    _largest(lines, matrix, tiles)
    lines.add("total = tl.zeros([ROWS, BATCH], tl.float32)", f"for start in range(0, {matrix.rows}, INNER):")
    lines.depth += 1
    _rho(lines, matrix, "row = start + tl.arange(0, INNER)")
    rows, columns = padded(matrix)
    inside = f"ok[:, None] & (row < {rows})[None, :]"
    weights = loaded(lines, precision, matrix, "w", f"row[None, :] * {columns} + k[:, None]", inside)
    summed(lines, precision, "total", weights, "rho")
    lines.depth -= 1
    x = whole(lines, form.value, At(_node(lines, matrix), "ok"), names, "ROWS")
    lines.add(
        f"above = {x} + (q + tl.load({names[1]}))[None, :]",
        f"beyond = tl.max(tl.where((above > {REACH}) & ok[:, None], 1, 0), 0)",
        "tl.store(flags + b, tl.full([BATCH], 1, tl.int32), beyond != 0)",
        f"found = tl.where((q == {ZERO})[None, :], 0.0, tl.exp(tl.minimum(above, {REACH})) * total)",
        f"own = flows + tl.load(place + {form.fields}) * stride + b",
        f"tl.store(own[None, :] + ({_at(matrix)})[:, None] * stride, found, ok[:, None])",
    )
    constants = {"ROWS": tiles.rows, "INNER": tiles.inner, "BATCH": tiles.batch}
    return kernel("pull", lines, constants, tiles.warps, tiles.stages, precision)


def outer(form: Form, matrix: Matrix, tiles: Tiles, precision: Precision) -> Kernel:
    """The derivatives of matrices that groups share, added to what stands in `sums`: one product over the rows of data
    of all of these groups, one after another. Places are two for each such product: where its groups' places begin, and
    how many groups there are; they have those of `pull`, the first with where the sums lie."""
    lines = Lines()
    tall, wide = -(-matrix.rows // tiles.rows), -(-matrix.columns // tiles.inner)
    lines.add(
        "work = tl.program_id(0)",
        f"given = places + first + work // {matrix.blocks * tall * wide} * 2",
        "start = places + tl.load(given)",
        f"block = work // {tall * wide} % {matrix.blocks}",
        f"row = work // {wide} % {tall} * ROWS + tl.arange(0, ROWS)",
        f"k = work % {wide} * INNER + tl.arange(0, INNER)",
        f"ok = k < {matrix.columns}",
        "total = tl.zeros([ROWS, INNER], tl.float32)",
        "batches = stride // BATCH",
        "for turn in range(0, tl.load(given + 1) * batches):",
    )
    lines.depth += 1
    lines.add(
        f"place = start + turn // batches * {form.fields + FURTHER}",
        "b = turn % batches * BATCH + tl.arange(0, BATCH)",
    )
    names = _operands(lines, form)
    _rho(lines, matrix, None)
    x = whole(lines, form.value, At(_node(lines, matrix), "ok"), names, "INNER")
    lines.add(
        f"p = tl.exp(tl.minimum({x} + tl.where(q == {ZERO}, 0.0, q)[None, :], {REACH}))",
        f"p = tl.trans(tl.where(ok[:, None] & (q > {ZERO})[None, :], p, 0.0))",
    )
    summed(lines, precision, "total", rounded(lines, precision, "rho"), "p")
    lines.depth -= 1
    lines.add(
        f"own = sums + tl.load(start + {form.fields + 3}) + (block * {matrix.rows} + row[:, None]) * {matrix.columns}",
        f"inside = (row < {matrix.rows})[:, None] & ok[None, :]",
        "tl.store(own + k[None, :], tl.load(own + k[None, :], inside, 0.0) + total, inside)",
    )
    constants = {"ROWS": tiles.rows, "INNER": tiles.inner, "BATCH": tiles.batch}
    return kernel("outer", lines, constants, tiles.warps, tiles.stages, precision)


def _begin(lines: Lines, form: Form, matrix: Matrix, count: int, tall: int) -> dict[int, str]:
    lines.add(
        "program, batches = tl.program_id(0), stride // BATCH",
        "b = program % batches * BATCH + tl.arange(0, BATCH)",
        "work = program // batches",
        f"place = places + first + work // {count} * {form.fields + FURTHER}",
        f"block = work // {tall} % {matrix.blocks}",
    )
    names = _operands(lines, form)
    rows, columns = padded(matrix)
    lines.add(f"w = {names[0]}" + ("" if matrix.shared or matrix.blocks == 1 else f" + block * {rows * columns}"))
    return names


def _operands(lines: Lines, form: Form) -> dict[int, str]:
    """Lines for the operands, and for what the group wrote, its flow and q."""
    lines.add(
        "y = values + tl.load(place) * stride + b",
        f"g = flows + tl.load(place + {form.fields + 2}) * stride + b",
        f"top = largest + (tl.load(place + {form.fields + 1}) + block) * stride + b",
    )
    return named(lines, form, {slot: f"tl.load(place + {1 + slot})" for slot in range(len(form.slots))})


def _largest(lines: Lines, matrix: Matrix, tiles: Tiles) -> None:
    """Lines for q, a pass over all rows of the matrix, and its place in memory."""
    lines.add(
        f"q = tl.full([INNER, BATCH], {ZERO}, tl.float32)",
        f"for start in range(0, {matrix.rows}, INNER):",
    )
    lines.depth += 1
    _loads(lines, matrix, "row = start + tl.arange(0, INNER)")
    lines.add(f"q = tl.maximum(q, tl.where(flow == 0.0, {ZERO}, tl.log(tl.abs(flow)) - out))")
    lines.depth -= 1
    lines.add("q = tl.max(q, 0)", "tl.store(top, q)")


def _loads(lines: Lines, matrix: Matrix, row: str | None) -> None:
    if row is not None:
        lines.add(row)
    written = scaled("row", matrix.write[1])
    written = f"block * {matrix.write[0]} + {written}" if matrix.blocks > 1 else written
    lines.add(
        f"at = ({written})[:, None] * stride",
        f"there = (row < {matrix.rows})[:, None]",
        "flow = tl.load(g[None, :] + at, there, 0.0)",
        "out = tl.load(y[None, :] + at, there, 0.0)",
    )


def _rho(lines: Lines, matrix: Matrix, row: str | None) -> None:
    """Lines for ρ at rows of the matrix; without a row they stand, and q is read."""
    if row is None:
        lines.add("q = tl.load(top)")
    _loads(lines, matrix, row)
    lines.add("rho = tl.where(flow == 0.0, 0.0, flow * tl.exp(-out - q[None, :]))")


def _at(matrix: Matrix) -> str:
    base = f"block * {matrix.read[0]} + " if matrix.blocks > 1 else ""
    return f"{base}{scaled('k', matrix.read[1])}"


def _node(lines: Lines, matrix: Matrix) -> str:
    return lines.let("node", _at(matrix)) if _at(matrix) != "k" else "k"
