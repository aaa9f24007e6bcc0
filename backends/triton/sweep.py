"""Kernels of a loop for the reverse: all turns forward in one launch, whose states stay; sweep_back.py runs them back.

Forward as `chain`, but the state after each stage is written, as logarithms: the reverse reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from . import policy
from .blocks import size_on_chip, weights_lines
from .chain import ChainForm, Turning, sides_lines, standings, turn_of
from .grids import Grid, given
from .kernel import Kernel
from .policy import Precision
from .stage import TOLERANCE, Stage, matrix_of, stage_lines
from .text import ZERO, Lines, kernel, named
from .value import Form, Look, Times


@dataclass(frozen=True, slots=True)
class LoopForm:
    """Turns of some stages: a row of places holds the first state, the states that follow, the operands of each stage,
    and the steps of those that move on; for the reverse then flows of the last state and of values."""

    stages: tuple[Form, ...]
    count: int
    moving: tuple[frozenset[int], ...]

    @property
    def path(self) -> ChainForm:
        """The turns as a path."""
        return ChainForm((), self.stages, self.count, (), self.moving)

    @property
    def width(self) -> int:
        """Nodes of the states of a turn."""
        return sum(stage.width for stage in self.stages)

    @property
    def starts(self) -> list[int]:
        """Where the states of each stage lie among those of a turn."""
        return [0, *accumulate(stage.width for stage in self.stages)][:-1]

    @property
    def slots(self) -> int:
        """Operands of a turn."""
        return sum(len(stage.slots) for stage in self.stages)

    @property
    def fields(self) -> int:
        return 4 + 2 * self.slots

    @property
    def kept(self) -> tuple[bool, ...]:
        """The stages whose values' flows are written: what inputs take, and the first, which what is before takes."""
        return tuple(number == 0 or isinstance(stage.value, Times) for number, stage in enumerate(self.stages))

    @property
    def flows(self) -> list[int]:
        """Where the flows of each stage lie, turn after turn, and after them how many rows there are."""
        widths = (stage.value.width * kept for stage, kept in zip(self.stages, self.kept, strict=True))
        return [0, *accumulate(self.count * width for width in widths)]


def swept(form: LoopForm, precision: Precision) -> bool:
    """Whether turns run back in one launch: matrices that are the same in all of them, whose sums fit on chip too."""
    sizes = 0
    for stage, moving in zip(form.stages, form.moving, strict=True):
        matrix = stage.matrix
        if matrix is None or matrix.shared or 0 in moving or matrix.rows != matrix.columns:
            return False
        if stage.value.width != stage.width:
            return False
        sizes += size_on_chip(matrix)
    grids = standings(form.path)
    if grids is None or sizes > policy.swept(precision):
        return False
    return max(max(each.grid.size, each.before.size) for each in grids) <= policy.SWEPT


def reads_inputs(form: LoopForm) -> bool:
    """Whether all that turns read beside their states are inputs as they lie, whose tables are those of all turns."""
    for stage, moving in zip(form.stages, form.moving, strict=True):
        factors = stage.value.factors if isinstance(stage.value, Times) else (stage.value,)
        looks = [factor for factor in factors if isinstance(factor, Look) and factor.width == stage.value.width]
        if len(looks) != len(factors) - 1 or any(look.table in moving for look in looks):
            return False
    return True


def forward(form: LoopForm, batch: int, precision: Precision) -> Kernel:
    """All turns, each of whose states is written."""
    lines = Lines()
    turning = begin_lines(lines, form)
    grids = standings(form.path)
    assert grids is not None
    first, mask = grids[0].before.nodes(lines)
    ready = [
        weights_lines(lines, matrix_of(stage), turn.names[0], precision)
        for stage, turn in zip(form.stages, turning, strict=True)
    ]
    one = len(form.stages) == 1
    lines.add(
        f"state = tl.load(start + {at(first)}{masked(mask, ZERO)})",
        "offset = tl.zeros([BATCH], tl.float64)",
        f"u = tl.full([BATCH], {ZERO}, tl.float32)",
        f"least = tl.zeros([{f'{grids[0].grid.size}, ' if one else ''}BATCH], tl.float32)",
        f"for turn in tl.range({form.count}, num_stages=3):",
    )
    lines.depth += 1
    last = len(form.stages) - 1
    for number, (stage, turn, grid) in enumerate(zip(form.stages, turning, grids, strict=True)):
        names = turn.names | named(lines, stage, turn.places)
        now = f"_of_{number}" if number < last else ""
        made = Stage(
            stage, names, grid.grid, ready=ready[number], apart=one, stands=grid.before, logs_only=True,
            taken=f"_of_{number - 1}" if number else "", given=now,
        )  # fmt: skip
        apart = stage_lines(lines, made, precision)
        nodes, mask = given_by(stage).nodes(lines)
        lines.add(
            f"least = tl.minimum(least, {apart})",
            f"tl.store({states(form, 'turn', number)} + {at(nodes)}, "
            f"(state{now} + offset[None, :]).to(tl.float32){masked(mask)})",
        )
    lines.depth -= 1
    nodes, mask = given_by(form.stages[-1]).nodes(lines)
    lines.add(
        f"smallest = tl.min({'state' if mask is None else f'tl.where({mask}[:, None], state, 0.0)'}, 0)",
        f"sure = ({'tl.min(least, 0)' if one else 'least'} >= 0) | (u <= smallest + {TOLERANCE})",
        "tl.store(flags + b, tl.full([BATCH], 1, tl.int32), sure == 0)",
    )
    warps = policy.chain_warps(form.stages, batch, precision)
    return kernel("sweep", lines, {"BATCH": batch}, warps, 2, precision)


def begin_lines(lines: Lines, form: LoopForm) -> list[Turning]:
    """Lines for a program's rows of data and what stays in all turns; of each stage names of that, and places of what
    moves on."""
    lines.add(
        "program, batches = tl.program_id(0), stride // BATCH",
        "b = program % batches * BATCH + tl.arange(0, BATCH)",
        f"place = places + first + program // batches * {form.fields}",
        "start, trail = values + tl.load(place) * stride, values + tl.load(place + 1) * stride",
    )
    grids = standings(form.path)
    assert grids is not None
    sides_lines(lines, form.path, grids)
    found: list[Turning] = []
    first = 2
    for stage, moving in zip(form.stages, form.moving, strict=True):
        found.append(turn_of(lines, stage, moving, first, first + form.slots))
        first += len(stage.slots)
    return found


def given_by(stage: Form) -> Grid:
    """How a stage gives its nodes."""
    grid = given(matrix_of(stage))
    assert grid is not None
    return grid


def states(form: LoopForm, turn: str, number: int) -> str:
    """Where the states of a stage of a turn begin."""
    return f"trail + ({turn} * {form.width} + {form.starts[number]}) * stride"


def at(nodes: str) -> str:
    """Where nodes of the program's rows of data are, from the first node on."""
    return f"{nodes}[:, None] * stride + b[None, :]"


def masked(mask: str | None, empty: str = "") -> str:
    """The arguments of a load or a store that leave out what is no node."""
    return "" if mask is None else f", {mask}[:, None]" + (f", {empty}" if empty else "")
