"""Kernels of a loop for the reverse: all turns back in one launch.

The flow of a state stands in registers: a stage reads the state that it came from and what it led to, and does what
`pull` and `outer` do, with q for each block of its matrix. Sums for the weights stay on chip, one for each program;
they are added in order afterwards. Flows of inputs are tallied from what was written (tally.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate

from . import policy
from .blocks import Batched, Weights, batched, cut_lines, product_lines, put_together, taken_apart, weights_lines
from .chain import Standing, standings
from .dense import whole
from .grids import Grid, relaid, sides
from .kernel import Kernel
from .paths import slot_before
from .policy import Precision
from .precision import product, rounded
from .pulls import REACH, kernel
from .stage import matrix_of
from .sweep import LoopForm, at, begin_lines, given_by, masked, states
from .text import ZERO, At, Lines, named
from .value import Form, Matrix


@dataclass(frozen=True, slots=True)
class Back:
    """A stage as it is run back: its matrix turned round, its weights as they are multiplied then, the sums for them,
    and how its states stand."""

    form: Form
    matrix: Matrix
    turned: Matrix
    weights: Weights
    sums: tuple[str, ...]
    standing: Standing
    scale: str


def sizes_of(form: LoopForm) -> list[int]:
    """How many sums the weights of each stage have."""
    matrices = (matrix_of(stage) for stage in form.stages)
    return [matrix.blocks * matrix.rows * matrix.columns for matrix in matrices]


def backward(form: LoopForm, batch: int, precision: Precision) -> Kernel:
    """All turns back: flows of values, and sums for the weights, of each program its own."""
    lines = Lines()
    turning = begin_lines(lines, form)
    grids = standings(form.path)
    assert grids is not None
    backs = [
        _back(lines, stage, turn.names, grid, precision)
        for stage, turn, grid in zip(form.stages, turning, grids, strict=True)
    ]
    nodes, mask = given_by(form.stages[-1]).nodes(lines)
    lines.add(
        f"flow = tl.load(flows + tl.load(place + {form.fields - 2}) * stride + {at(nodes)}{masked(mask, '0.0')})",
        f"own = flows + tl.load(place + {form.fields - 1}) * stride",
        "beyond = tl.zeros([BATCH], tl.int32)",
        f"for back in tl.range({form.count}, num_stages=2):",
    )
    lines.depth += 1
    lines.add(f"turn = {form.count - 1} - back")
    flow = "flow"
    for number in reversed(range(len(backs))):
        names = turning[number].names | named(lines, form.stages[number], turning[number].places)
        flow = _stage(lines, form, number, backs[number], names, flow, precision)
    lines.add(f"flow = {flow}")
    lines.depth -= 1
    sizes = sizes_of(form)
    lines.add(
        "tl.store(flags + b, tl.full([BATCH], 1, tl.int32), beyond != 0)",
        f"part = sums + tl.program_id(0).to(tl.int64) * {sum(sizes)}",
    )
    for back, start in zip(backs, [0, *accumulate(sizes)][:-1], strict=True):
        _sums_stored(lines, back, start)
    warps = policy.swept_warps(max(each.grid.size for each in grids), batch)
    return kernel("swept", lines, {"BATCH": batch}, warps, 2, precision)


def _back(lines: Lines, stage: Form, names: dict[int, str], standing: Standing, precision: Precision) -> Back:
    """Lines for what of a stage stays in all turns."""
    matrix = matrix_of(stage)
    turned = replace(matrix, rows=matrix.columns, columns=matrix.rows, read=matrix.write, write=matrix.read)
    weights = weights_lines(lines, turned, names[0], precision, matrix)
    scale = lines.let("scale", f"tl.load({names[1]})")
    shape = ", ".join(map(str, _shape(batched(matrix))))
    count = matrix.blocks if batched(matrix).alone else 1
    sums = tuple(lines.let("sum", f"tl.zeros([{shape}], tl.float32)") for _ in range(count))
    return Back(stage, matrix, turned, weights, sums, standing, scale)


def _shape(tile: Batched) -> tuple[int, ...]:
    return (tile.rows, tile.columns) if tile.count == 1 or tile.alone else (tile.count, tile.rows, tile.columns)


def _stage(
    lines: Lines, form: LoopForm, number: int, back: Back, names: dict[int, str], flow: str, precision: Precision
) -> str:
    """Lines that run one stage of a turn back; the name of the flow of the state before it."""
    stage, matrix, taken, gives = back.form, back.matrix, back.standing.grid, given_by(back.form)
    nodes, mask = gives.nodes(lines)
    out = lines.let("out", f"tl.load({states(form, 'turn', number)} + {at(nodes)}{masked(mask, '0.0')})")
    nodes, mask = taken.nodes(lines)
    came = states(form, "turn", number - 1)
    if number == 0:
        came = f"tl.where(turn == 0, start, {states(form, '(turn - 1)', len(form.stages) - 1)})"
    state = lines.let("state", f"tl.load({came} + {at(nodes)}{masked(mask, ZERO)})")
    before = slot_before(stage)
    assert before is not None
    x = whole(lines, stage.value, At(nodes, mask), names, str(taken.size), {before: state})
    found = lines.let("log", f"tl.where({flow} == 0.0, {ZERO}, tl.log(tl.abs({flow})) - {out})")
    over, under = _largest(lines, matrix, found, gives, taken)
    rho = lines.let("rho", f"tl.where({flow} == 0.0, 0.0, {flow} * tl.exp(-{out} - {over}))")
    above = lines.let("above", f"tl.where({under} == {ZERO}, {ZERO}, {x} + ({under} + {back.scale}))")
    lines.add(f"beyond = beyond | tl.max(({above} > {REACH}).to(tl.int32), 0)")
    p = lines.let("p", f"tl.exp(tl.minimum({above}, {REACH}))")
    right = lines.let("rho", taken_apart(back.turned, rho))
    _added(lines, back, right, lines.let("p", taken_apart(matrix, p)), precision)
    total = product_lines(lines, back.turned, precision, back.weights, right)
    flow = lines.let("flow", f"{p} * {put_together(back.turned, total)}")
    if form.kept[number]:
        row = f"({form.flows[number]} + turn * {stage.value.width})"
        lines.add(f"tl.store(own + {row} * stride + {at(nodes)}, {flow}{masked(mask)})")
    return relaid(lines, flow, taken, back.standing.before, "0.0")


def _largest(lines: Lines, matrix: Matrix, found: str, gives: Grid, taken: Grid) -> tuple[str, str]:
    """Lines for q, the largest in each block of what stands as a matrix gives it; where rows stand, and where columns
    do."""
    if matrix.blocks == 1:
        q = lines.let("q", f"tl.max({found}, 0)")
        return f"{q}[None, :]", f"{q}[None, :]"
    count, rows, columns = sides(matrix)
    last = matrix.write[1] != 1  # the block is
    shape = f"{rows}, {count}" if last else f"{count}, {rows}"
    q = lines.let("q", f"tl.max(tl.reshape({found}, ({shape}, BATCH)), {0 if last else 1})")
    return (
        _spread(lines, q, last, rows, count, gives.size),
        _spread(lines, q, matrix.read[1] != 1, columns, count, taken.size),
    )


def _spread(lines: Lines, q: str, last: bool, side: int, count: int, size: int) -> str:
    """Lines for a number of each block, at all places of the block's nodes."""
    whole = f"{q}[None, :, :], ({side}, {count}, BATCH)" if last else f"{q}[:, None, :], ({count}, {side}, BATCH)"
    return lines.let("q", f"tl.reshape(tl.broadcast_to({whole}), ({size}, BATCH))")


def _added(lines: Lines, back: Back, rho: str, p: str, precision: Precision) -> None:
    """Lines that add ρ · pᵀ to a stage's sums."""
    tile, pairs = batched(back.matrix), [(rho, p)]
    if tile.alone:
        parts = cut_lines(lines, rho, tile.count, tile.rows), cut_lines(lines, p, tile.count, tile.columns)
        pairs = list(zip(*parts, strict=True))
    for total, (left, right) in zip(back.sums, pairs, strict=False):
        several = len(_shape(tile)) == 3
        left = lines.let("left", left)
        right = lines.let("right", f"tl.permute({right}, (0, 2, 1))" if several else f"tl.trans({right})")
        product(lines, precision, total, rounded(lines, precision, left), right, total)


def _sums_stored(lines: Lines, back: Back, start: int) -> None:
    """Lines that write a stage's sums: of blocks taken together only those on the diagonal."""
    matrix, tile = back.matrix, batched(back.matrix)
    rows, columns = matrix.rows, matrix.columns
    several = len(_shape(tile)) == 3
    row = lines.let("row", f"tl.arange(0, {tile.rows}){'[None, :, None]' if several else '[:, None]'}")
    column = lines.let("column", f"tl.arange(0, {tile.columns}){'[None, None, :]' if several else '[None, :]'}")
    tall, wide = tile.rows // tile.together, tile.columns // tile.together
    for number, total in enumerate(back.sums):
        block = f"tl.arange(0, {tile.count})[:, None, None]" if several else str(number)
        inside: list[str] = []
        if tile.together > 1:
            block = f"({block} * {tile.together} + {row} // {tall})"
            inside.append(f"({row} // {tall} == {column} // {wide})")
        if matrix.blocks < tile.count * tile.together and not tile.alone:
            inside.append(f"({block} < {matrix.blocks})")
        inside += [f"({row} % {tall} < {rows})"] if rows < tall else []
        inside += [f"({column} % {wide} < {columns})"] if columns < wide else []
        place = f"part + {start} + ({block} * {rows} + {row} % {tall}) * {columns} + {column} % {wide}"
        mask = f", {' & '.join(inside)}" if inside else ""
        lines.add(f"tl.store({place}, {total} * tl.exp(-{back.scale}){mask})")
