"""Kernels of paths, all of whose stages one program runs for its rows of data: a hidden Markov model in one launch.

The state stands in registers (stage.py says how it is kept), and weights that do not change from turn to turn are
loaded once. Where they do not fit, scratch.py keeps the state in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import policy
from .blocks import PART, Weights, batched, size_on_chip, weights_lines
from .grids import Grid, given, relaid, size_of
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

    def handed(self, number: int) -> tuple[bool, bool]:
        """Whether what comes after a stage, on chip, reads logarithms of its sums, and whether it reads the sums."""
        after = [number + 1] if number + 1 < len(self.stages) else []
        if self.body and number == len(self.head) + len(self.body) - 1:
            after.append(len(self.head))
        sums = [continues(self.stages[each]) for each in after]
        return not all(sums) or not after, any(sums)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a stage takes its state, and how it stands before."""

    grid: Grid
    before: Grid


def standings(form: ChainForm) -> list[Standing] | None:
    """How the state stands at each stage; None where a matrix takes or gives it in another way than grids are."""
    found: list[Standing] = []
    before: Grid | None = None
    for number, stage in enumerate(form.stages):
        if number == len(form.head) and form.body:  # a turn begins as it ends
            before = given(matrix_of(form.body[-1]))
        grid = grid_before(stage, before, number == len(form.stages) - 1 and is_vector(stage))
        if grid is None:
            return None
        found.append(Standing(grid, before or grid))
        before = given(matrix_of(stage))
        if before is None:
            return None
    return found


def fits(form: ChainForm, precision: Precision) -> bool:
    """Whether a path's states and weights stay on chip: matrices of few states, the same in all turns."""
    if any(stage.matrix is None or stage.value.width != _width(stage) for stage in form.stages):
        return False
    grids = standings(form)
    if grids is None or max(max(each.grid.size, each.before.size) for each in grids) > policy.places(alone(form)):
        return False
    if sum(each.grid.size for each in grids[len(form.head) : len(form.head) + len(form.body)]) > policy.TURN:
        return False
    sizes: list[int] = []
    for number, stage in enumerate(form.stages):
        last = number == len(form.stages) - 1 and is_vector(stage)
        sizes.append(0 if last else size_on_chip(matrix_of(stage)))
        after = given(matrix_of(stage))
        if after is not None and after.size > policy.STATES:
            return False
    loop = sum(sizes[len(form.head) : len(form.head) + len(form.body)])
    factors = all(matrix_of(stage).blocks > 1 for stage in form.body)
    return max(loop, *sizes) <= (policy.resident_factors(precision) if factors else policy.resident(precision))


def _width(stage: Form) -> int:
    matrix = matrix_of(stage)
    return matrix.blocks * matrix.columns


def weights_of(form: ChainForm, precision: Precision) -> tuple[int, int]:
    """Bytes of weights that a turn reads, and that a stage does at most."""
    sizes = [bytes_of(precision) * held(matrix_of(stage)) for stage in form.stages]
    return sum(sizes[len(form.head) : len(form.head) + len(form.body)]), max(sizes)


def resident(form: ChainForm, batch: int, precision: Precision, ahead: int) -> Kernel:
    """A path with its states in registers; what so many turns read is on its way."""
    lines = Lines()
    lines.add(
        "program, batches = tl.program_id(0), stride // BATCH",
        "b = program % batches * BATCH + tl.arange(0, BATCH)",
        f"place = places + first + program // batches * {form.fields}",
    )
    grids = standings(form)
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
        logs, sums = form.handed(number)
        last, apart = number == count - 1, len(form.body) == 1
        carried = form.body and number in (begin, end)
        return Stage(
            form.stages[number], names, grids[number].grid, number == 0, ready, last, logs, sums, apart,
            grids[number].before, "" if carried else f"_of_{number - 1}", f"_of_{number}",
        )  # fmt: skip

    def lose(apart: str) -> None:
        """What a stage outside the loop lost."""
        found = f"tl.min({apart}, 0)" if len(form.body) == 1 else apart
        lines.add(f"lost = lost | ({found} < 0).to(tl.int32)")

    def carry(number: int) -> None:
        """What stage `number` hands on to the first of a turn, by the names that it has in all turns."""
        before, after = given(matrix_of(form.stages[number])), given(matrix_of(form.stages[end - 1]))
        assert before is not None and after is not None
        for name, empty, handed in zip(("state", "sums"), (ZERO, "0.0"), form.handed(number), strict=True):
            if handed:
                lines.add(f"{name} = {relaid(lines, f'{name}_of_{number}', before, after, empty)}")

    for number, stage in enumerate(form.head):
        names_of = named(lines, stage, places_of(stage, first, number == 0))
        lose(stage_lines(lines, stage_of(number, names_of), precision))
        first += len(stage.slots)
    turns: list[Turning] = []
    ready: list[Weights | None] = []
    for number, stage in enumerate(form.body):
        turns.append(turn_of(lines, stage, form.moving[number], first, steps))
        first, steps = first + len(stage.slots), steps + len(stage.slots)
        still = 0 not in form.moving[number]
        ready.append(weights_lines(lines, matrix_of(stage), turns[-1].names[0], precision) if still else None)
    one = len(form.body) == 1
    if form.body:
        carry(begin - 1)
        if one:
            lines.add(f"least = tl.zeros([{grids[begin].grid.size}, BATCH], tl.float32)")
        lines.add(f"for turn in tl.range({form.count}, num_stages={ahead}):  # what a turn reads is on its way before")
        lines.depth += 1
        for number, stage in enumerate(form.body):
            own = turns[number].names | named(lines, stage, turns[number].places)
            apart = stage_lines(lines, stage_of(begin + number, own, ready[number]), precision)
            lines.add(f"least = tl.minimum(least, {apart})" if one else f"lost = lost | ({apart} < 0).to(tl.int32)")
        carry(end - 1)
        lines.depth -= 1
        if one:
            lines.add("lost = lost | (tl.min(least, 0) < 0).to(tl.int32)")
    for number, stage in enumerate(form.tail, end):
        lose(stage_lines(lines, stage_of(number, named(lines, stage, places_of(stage, first))), precision))
        first += len(stage.slots)
    lines.add("y = values + tl.load(place) * stride + b")
    last = f"_of_{count - 1}" if form.tail or not form.body else ""
    result_lines(lines, form.stages[-1], bool(form.tail) or not form.body, f"state{last}")
    return kernel("chain", lines, {"BATCH": batch}, policy.chain_warps(form.stages, batch, precision), ahead, precision)


def alone(form: ChainForm) -> int:
    """Rows of the blocks of a loop that are multiplied one after another; 0 where none are."""
    tiles = [batched(matrix_of(stage)) for stage in form.body]
    return max((tile.rows for tile in tiles if tile.alone), default=0)


def sides_lines(lines: Lines, form: ChainForm, grids: list[Standing]) -> None:
    """Lines for the places of all tiles, by their sizes."""
    sizes = {grid.size for each in grids for grid in (each.grid, each.before)}
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
