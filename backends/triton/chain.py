"""Kernels of paths, all of whose stages one program runs for its rows of data: a hidden Markov model in one launch.

The state stands in registers (stage.py says how it is kept), and weights that do not change from turn to turn are
loaded once. Where they do not fit, scratch.py keeps the state in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import policy
from .grids import PART, Grid, Weights, batched, given, size_of, weights_lines
from .kernel import Kernel
from .paths import slot_before
from .policy import Precision
from .precision import bytes_of, held
from .stage import Stage, continues, grid_before, is_vector, matrix_of, result_lines, stage_lines
from .text import ZERO, Lines, kernel, named
from .value import Form


@dataclass(frozen=True, slots=True)
class ChainForm:
    """The stages of a path: head, one turn of its loop, tail. `moving` are the slots of each stage of a turn whose
    places move on; a row of places holds what is written, the scratch if there is one (`scratch` is half its nodes),
    all operands in order, then the steps of those of a turn."""

    head: tuple[Form, ...]
    body: tuple[Form, ...]
    count: int
    tail: tuple[Form, ...]
    moving: tuple[frozenset[int], ...]
    scratch: int = 0

    @property
    def stages(self) -> tuple[Form, ...]:
        return (*self.head, *self.body, *self.tail)

    @property
    def fields(self) -> int:
        return self.first + sum(len(form.slots) for form in (*self.stages, *self.body))

    @property
    def first(self) -> int:
        """The field of the first operand."""
        return 2 if self.scratch else 1

    @property
    def steps(self) -> int:
        """The field of the first step."""
        return self.first + sum(len(stage.slots) for stage in self.stages)


def grids_of(form: ChainForm) -> list[Grid] | None:
    """How the state stands before each stage; None where it would have to be laid out anew between two."""
    found: list[Grid] = []
    before: Grid | None = None
    for number, stage in enumerate(form.stages):
        grid = grid_before(stage, before, number == len(form.stages) - 1 and is_vector(stage))
        if grid is None or (before is not None and not grid.meets(before)):
            return None
        found.append(grid)
        before = given(matrix_of(stage))
        if before is None:
            return None
    if form.body:  # a turn begins as it ends
        after = given(matrix_of(form.body[-1]))
        if after is None or not found[len(form.head)].meets(after):
            return None
    return found


def fits(form: ChainForm, precision: Precision) -> bool:
    """Whether a path's states and weights stay on chip: matrices of few states, the same in all turns."""
    if any(stage.matrix is None or stage.value.width != _width(stage) for stage in form.stages):
        return False
    grids = grids_of(form)
    if grids is None or max(grid.size for grid in grids) > policy.STATES:
        return False
    sizes: list[int] = []
    for number, stage in enumerate(form.stages):
        last = number == len(form.stages) - 1 and is_vector(stage)
        sizes.append(0 if last else batched(matrix_of(stage)).size)
        after = given(matrix_of(stage))
        if after is not None and after.size > policy.STATES:
            return False
    loop = sum(sizes[len(form.head) : len(form.head) + len(form.body)])
    return max(loop, *sizes) <= policy.resident(precision)


def _width(stage: Form) -> int:
    matrix = matrix_of(stage)
    return matrix.blocks * matrix.columns


def weights_of(form: ChainForm, precision: Precision) -> tuple[int, int]:
    """Bytes of weights that a turn reads, and that a stage does at most."""
    sizes = [bytes_of(precision) * held(matrix_of(stage)) for stage in form.stages]
    return sum(sizes[len(form.head) : len(form.head) + len(form.body)]), max(sizes)


def resident(form: ChainForm, batch: int, precision: Precision) -> Kernel:
    """A path with its states in registers."""
    lines = Lines()
    lines.add(
        "program, batches = tl.program_id(0), stride // BATCH",
        "b = program % batches * BATCH + tl.arange(0, BATCH)",
        f"place = places + first + program // batches * {form.fields}",
        "y = values + tl.load(place) * stride + b",
    )
    grids = grids_of(form)
    assert grids is not None
    sides_lines(lines, form, grids)
    lines.add(
        "offset = tl.zeros([BATCH], tl.float64)",
        f"u = tl.full([BATCH], {ZERO}, tl.float32)",
        "lost = tl.zeros([BATCH], tl.int32)",
    )
    first, steps = form.first, form.steps
    begin, end, count = len(form.head), len(form.head) + len(form.body), len(form.stages)

    def stage_of(number: int, names: dict[int, str], ready: Weights | None = None) -> Stage:
        stage, after = form.stages[number], [number + 1] if number + 1 < count else []
        if number == end - 1 and form.body:
            after.append(begin)
        reading = [continues(form.stages[each]) for each in after]
        return Stage(
            stage, names, grids[number], number == 0, ready, number == count - 1, not all(reading) or not after,
            any(reading),
        )  # fmt: skip

    for number, stage in enumerate(form.head):
        names_of = named(lines, stage, places_of(stage, first, number == 0))
        apart = stage_lines(lines, stage_of(number, names_of), precision)
        lines.add(f"lost = lost | (tl.min({apart}, 0) < 0).to(tl.int32)")
        first += len(stage.slots)
    turns: list[Turning] = []
    ready: list[Weights | None] = []
    for number, stage in enumerate(form.body):
        turns.append(turn_of(lines, stage, form.moving[number], first, steps))
        first, steps = first + len(stage.slots), steps + len(stage.slots)
        still = 0 not in form.moving[number]
        ready.append(weights_lines(lines, matrix_of(stage), turns[-1].names[0], precision) if still else None)
        lines.add(f"apart_of_{number} = tl.zeros([{grids[begin + number].size}, BATCH], tl.float32)")
    if form.body:
        lines.add(f"for turn in tl.range({form.count}, num_stages=3):  # what a turn reads is on its way before")
        lines.depth += 1
        for number, stage in enumerate(form.body):
            own = turns[number].names | named(lines, stage, turns[number].places)
            apart = stage_lines(lines, stage_of(begin + number, own, ready[number]), precision)
            lines.add(f"apart_of_{number} = tl.minimum(apart_of_{number}, {apart})")
        lines.depth -= 1
        for number in range(len(form.body)):
            lines.add(f"lost = lost | (tl.min(apart_of_{number}, 0) < 0).to(tl.int32)")
    for number, stage in enumerate(form.tail, end):
        apart = stage_lines(lines, stage_of(number, named(lines, stage, places_of(stage, first))), precision)
        lines.add(f"lost = lost | (tl.min({apart}, 0) < 0).to(tl.int32)")
        first += len(stage.slots)
    result_lines(lines, form.stages[-1], bool(form.tail) or not form.body)
    return kernel("chain", lines, {"BATCH": batch}, policy.chain_warps(form.stages, batch, precision), 2, precision)


def sides_lines(lines: Lines, form: ChainForm, grids: list[Grid]) -> None:
    """Lines for the places of all tiles, by their sizes."""
    sizes = {grid.size for grid in grids}
    for stage in form.stages:
        matrix = matrix_of(stage)
        after = given(matrix)
        sizes |= {after.size} if after is not None else set()
        if matrix.blocks == 1:
            sizes |= {min(PART, size_of(matrix.rows)), min(PART, size_of(matrix.columns))}
    for size in sorted(sizes):
        lines.add(f"k{size} = tl.arange(0, {size})")


@dataclass(frozen=True, slots=True)
class Turning:
    """The operands of a stage of a turn: names of those that stay, and the places of those that move on."""

    names: dict[int, str]
    places: dict[int, str]


def turn_of(lines: Lines, stage: Form, moving: frozenset[int], first: int, steps: int) -> Turning:
    """Lines before a loop for the operands of a stage of its turns."""
    places = places_of(stage, first)
    names = named(lines, stage, {slot: at for slot, at in places.items() if slot not in moving})
    moved: dict[int, str] = {}
    for slot in sorted(moving):
        base = lines.let("base", places[slot])
        by = lines.let("by", f"tl.load(place + {steps + slot})")
        moved[slot] = f"({base} + turn * {by})"
    return Turning(names, moved)


def places_of(stage: Form, first: int, alone: bool = False) -> dict[int, str]:
    """Where each slot's place is found, but for that of the state, unless the stage is the first."""
    before = None if alone else slot_before(stage)
    return {slot: f"tl.load(place + {first + slot})" for slot in range(len(stage.slots)) if slot != before}
