"""Kernels of a loop for the reverse: all turns forward in one launch, whose states stay, and all back in another.

Forward as `chain`, but each state is written. Back, the flow of a state stands in registers: a turn reads the state
that it came from and what it led to, and does what `pull` and `outer` do. Sums for the weights stay on chip, one for
each program; they are added in order afterwards. Flows of inputs are tallied from what was written (tally.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from . import policy
from .chain import ChainForm, turn_of
from .dense import whole
from .grids import Grid, size_of, weights_lines
from .kernel import Kernel
from .paths import slot_before
from .policy import Precision
from .precision import loaded, padded, product, rounded
from .pulls import REACH, kernel
from .stage import TOLERANCE, Stage, stage_lines
from .text import ZERO, At, Lines, named
from .text import kernel as forward_kernel
from .value import Form, Matrix


@dataclass(frozen=True, slots=True)
class LoopForm:
    """Turns of one stage with one square matrix: a row of places holds the first state, the states that follow, the
    operands, and the steps of those that move on; for the reverse then flows of the last state and of all values."""

    stage: Form
    count: int
    moving: frozenset[int]

    @property
    def matrix(self) -> Matrix:
        """Its matrix."""
        assert self.stage.matrix is not None
        return self.stage.matrix

    @property
    def path(self) -> ChainForm:
        """The turns as a path."""
        return ChainForm((), (self.stage,), self.count, (), (self.moving,))

    @property
    def fields(self) -> int:
        return 4 + 2 * len(self.stage.slots)


def swept(stage: Form, moving: frozenset[int], precision: Precision) -> bool:
    """Whether the turns of a stage run back in one launch: one matrix for all of them, whose sums fit on chip too."""
    matrix = stage.matrix
    if matrix is None or matrix.blocks > 1 or matrix.rows != matrix.columns or 0 in moving:
        return False
    if matrix.read[1] != 1 or matrix.write[1] != 1 or stage.value.width != matrix.columns:
        return False
    return size_of(matrix.rows) ** 2 <= policy.swept(precision)


def forward(form: LoopForm, batch: int, precision: Precision) -> Kernel:
    """All turns, each of whose states is written."""
    lines = Lines()
    names, places = _begin(lines, form)
    width, size = form.matrix.rows, size_of(form.matrix.rows)
    inside = "" if width == size else ", there"
    ready = weights_lines(lines, form.matrix, names[0], precision)
    lines.add(
        f"state = tl.load(start{inside}{f', {ZERO}' if inside else ''})",
        "offset = tl.zeros([BATCH], tl.float64)",
        f"u = tl.full([BATCH], {ZERO}, tl.float32)",
        f"least = tl.zeros([{size}, BATCH], tl.float32)",
        f"for turn in tl.range({form.count}, num_stages=3):",
    )
    lines.depth += 1
    grid = Grid(1, width, 1, size)
    own = names | named(lines, form.stage, places)
    apart = stage_lines(lines, Stage(form.stage, own, grid, ready=ready), precision)
    lines.add(
        f"least = tl.minimum(least, {apart})",
        f"tl.store(states + turn * {width} * stride, (state + offset[None, :]).to(tl.float32){inside})",
    )
    lines.depth -= 1
    lines.add(
        f"smallest = tl.min({'tl.where(there, state, 0.0)' if inside else 'state'}, 0)",
        f"sure = (tl.min(least, 0) >= 0) | (u <= smallest + {TOLERANCE})",
        "tl.store(flags + b, tl.full([BATCH], 1, tl.int32), sure == 0)",
    )
    warps = policy.chain_warps([form.stage], batch, precision)
    return forward_kernel("sweep", lines, {"BATCH": batch}, warps, 2, precision)


def backward(form: LoopForm, batch: int, precision: Precision) -> Kernel:
    """All turns back: flows of values, and sums for the weights, of each program its own."""
    lines = Lines()
    names, places = _begin(lines, form)
    width, size = form.matrix.rows, size_of(form.matrix.rows)
    k, inside = f"k{size}", "" if width == size else ", there"
    zero = f"{inside}, 0.0" if inside else ""
    rows, columns = padded(form.matrix)
    masks = [f"({k} < {columns})[:, None]"] if columns < size else []
    masks += [f"({k} < {rows})[None, :]"] if rows < size else []
    at = f"{k}[None, :] * {columns} + {k}[:, None]"
    turned = loaded(lines, precision, form.matrix, names[0], at, " & ".join(masks))
    lines.add(
        f"scale = tl.load({names[1]})",
        f"flow = tl.load(flows + tl.load(place + {form.fields - 2}) * stride + at{zero})",
        f"own = flows + tl.load(place + {form.fields - 1}) * stride + at",
        f"sum = tl.zeros([{size}, {size}], tl.float32)",
        "beyond = tl.zeros([BATCH], tl.int32)",
        f"for back in tl.range({form.count}, num_stages=2):",
    )
    lines.depth += 1
    lines.add(
        f"turn = {form.count - 1} - back",
        f"out = tl.load(states + turn * {width} * stride{zero})",
        f"state = tl.load(tl.where(turn == 0, start, states + (turn - 1) * {width} * stride)"
        f"{f'{inside}, {ZERO}' if inside else ''})",
    )
    before = slot_before(form.stage)
    assert before is not None
    own = names | named(lines, form.stage, places)
    x = whole(lines, form.stage.value, At(k, "ok" if inside else None), own, str(size), {before: "state"})
    lines.add(
        f"q = tl.max(tl.where(flow == 0.0, {ZERO}, tl.log(tl.abs(flow)) - out), 0)",
        "rho = tl.where(flow == 0.0, 0.0, flow * tl.exp(-out - q[None, :]))",
        f"above = tl.where((q == {ZERO})[None, :], {ZERO}, {x} + (q + scale)[None, :])",
        f"beyond = beyond | tl.max((above > {REACH}).to(tl.int32), 0)",
        f"p = tl.exp(tl.minimum(above, {REACH}))",
        "turned = tl.trans(p)",
        "left = rho",
    )
    product(lines, precision, "sum", rounded(lines, precision, "left"), "turned", "sum")
    product(lines, precision, "total", turned, "rho", None)
    lines.add("flow = p * total", f"tl.store(own + turn * {width} * stride, flow{inside})")
    lines.depth -= 1
    lines.add(
        "tl.store(flags + b, tl.full([BATCH], 1, tl.int32), beyond != 0)",
        f"part = sums + (tl.program_id(0).to(tl.int64) * {width} + {k}[:, None]) * {width} + {k}[None, :]",
        f"tl.store(part, sum * tl.exp(-scale){f', there & ({k} < {width})[None, :]' if inside else ''})",
    )
    return kernel("swept", lines, {"BATCH": batch}, policy.swept_warps(size, batch), 2, precision)


def _begin(lines: Lines, form: LoopForm) -> tuple[dict[int, str], dict[int, str]]:
    """Lines for a program's rows of data and what stays in all turns; names of that, and places of what moves on."""
    size = size_of(form.matrix.rows)
    lines.add(
        "program, batches = tl.program_id(0), stride // BATCH",
        "b = program % batches * BATCH + tl.arange(0, BATCH)",
        f"place = places + first + program // batches * {form.fields}",
        f"k{size} = tl.arange(0, {size})",
        f"at = k{size}[:, None] * stride + b[None, :]",
        "start, states = values + tl.load(place) * stride + at, values + tl.load(place + 1) * stride + at",
    )
    if form.matrix.rows < size:
        lines.add(f"ok = k{size} < {form.matrix.rows}", "there = ok[:, None]")
    turning = turn_of(lines, form.stage, form.moving, 2, 2 + len(form.stage.slots))
    return turning.names, turning.places
