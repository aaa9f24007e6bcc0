"""Kernels of paths, all of whose stages one program runs for its rows of data: a hidden Markov model in one launch.

`resident`: the state stands in registers, as logarithms below an offset in float64 that takes up the largest value at
each stage; weights that do not change from turn to turn are loaded once. What is lost below the largest value is
bounded as it goes: u, the logarithm of a bound beside the offset, becomes

    log(R · exp(u + m − shift) + (R + 2 K) · 2⁻¹²⁶)

with R the largest sum of a row of the K columns and m the largest emission, and a row of data is flagged where anything
was lost and u is not far below the result.

`by_scratch`: the state stands in memory that only this program uses, in practice in the caches, twice: a stage reads
the one and writes the other, tile by tile, and all of it is there before the next begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import policy
from .dense import constants_of, padded, programs, tile_of_sums, tiles_of, whole
from .kernel import Kernel
from .paths import slot_before
from .policy import Precision
from .precision import prepared, product
from .text import ZERO, At, Lines, kernel, named
from .value import Constant, Form, Look, Matrix, leaves

TINY = 2.0**-126

TOLERANCE = -14.5
"""The logarithm of the share of a result, 5e-7, up to which what was lost does not matter."""


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


def fits(form: ChainForm, precision: Precision) -> bool:
    """Whether a path's states and weights stay on chip: dense matrices, the same in all turns, of few states."""
    sizes: list[int] = []
    for number, stage in enumerate(form.stages):
        matrix = stage.matrix
        if matrix is None or matrix.blocks > 1 or matrix.read[1] != 1 or stage.value.width != matrix.columns:
            return False
        if matrix.write[1] != 1 or policy.power(max(matrix.rows, matrix.columns)) > 256:
            return False
        last = number == len(form.stages) - 1 and matrix.rows <= policy.VECTOR
        sizes.append(0 if last else size_of(matrix.rows) * size_of(matrix.columns))
    loop = sum(sizes[len(form.head) : len(form.head) + len(form.body)])
    return max(loop, *sizes) <= policy.resident(precision)


def weights_of(form: ChainForm) -> tuple[int, int]:
    """Bytes of weights that a turn reads, and that a stage does at most."""
    sizes: list[int] = []
    for matrix in map(_matrix, form.stages):
        rows, columns = padded(matrix)
        sizes.append(4 * (1 if matrix.shared else matrix.blocks) * rows * columns)
    return sum(sizes[len(form.head) : len(form.head) + len(form.body)]), max(sizes)


def size_of(number: int) -> int:
    """The side of a tile that holds so many nodes: a power of two that tensor cores take."""
    return max(16, policy.power(number))


def resident(form: ChainForm, batch: int, precision: Precision) -> Kernel:
    """A path with its states in registers."""
    lines = Lines()
    lines.add(
        "program, batches = tl.program_id(0), stride // BATCH",
        "b = program % batches * BATCH + tl.arange(0, BATCH)",
        f"place = places + first + program // batches * {form.fields}",
        "y = values + tl.load(place) * stride + b",
    )
    for size in sorted({size_of(n) for stage in form.stages for n in _sizes(stage)}):
        lines.add(f"k{size} = tl.arange(0, {size})")
    lines.add(
        "offset = tl.zeros([BATCH], tl.float64)",
        f"u = tl.full([BATCH], {ZERO}, tl.float32)",
        "lost = tl.zeros([BATCH], tl.int32)",
    )
    first, steps = form.first, form.steps
    for number, stage in enumerate(form.head):
        names_of = named(lines, stage, _places(stage, first, number == 0))
        last = number == len(form.stages) - 1
        stage_lines(lines, stage, names_of, precision, number == 0, vector=last)
        lines.add("lost = lost | (tl.min(apart, 0) < 0).to(tl.int32)")
        first += len(stage.slots)
    turns: list[Turning] = []
    ready: list[tuple[str, ...] | None] = []
    for number, stage in enumerate(form.body):
        turns.append(turn_of(lines, stage, form.moving[number], first, steps))
        first, steps = first + len(stage.slots), steps + len(stage.slots)
        still = 0 not in form.moving[number]
        ready.append(weights_lines(lines, _matrix(stage), turns[-1].names[0], precision) if still else None)
        lines.add(f"apart_{number} = tl.zeros([{size_of(_matrix(stage).columns)}, BATCH], tl.float32)")
    if form.body:
        lines.add(f"for turn in tl.range({form.count}, num_stages=3):  # what a turn reads is on its way before")
        lines.depth += 1
        for number, stage in enumerate(form.body):
            own = turns[number].names | named(lines, stage, turns[number].places)
            stage_lines(lines, stage, own, precision, False, ready[number])
            lines.add(f"apart_{number} = tl.minimum(apart_{number}, apart)")
        lines.depth -= 1
        for number in range(len(form.body)):
            lines.add(f"lost = lost | (tl.min(apart_{number}, 0) < 0).to(tl.int32)")
    for number, stage in enumerate(form.tail):
        last = number == len(form.tail) - 1
        stage_lines(lines, stage, named(lines, stage, _places(stage, first)), precision, False, vector=last)
        lines.add("lost = lost | (tl.min(apart, 0) < 0).to(tl.int32)")
        first += len(stage.slots)
    _result(lines, _matrix(form.stages[-1]), bool(form.tail) or not form.body)
    return kernel("chain", lines, {"BATCH": batch}, policy.chain_warps(form.stages, batch, precision), 2)


@dataclass(frozen=True, slots=True)
class Turning:
    """The operands of a stage of a turn: names of those that stay, and the places of those that move on."""

    names: dict[int, str]
    places: dict[int, str]


def turn_of(lines: Lines, stage: Form, moving: frozenset[int], first: int, steps: int) -> Turning:
    """Lines before a loop for the operands of a stage of its turns."""
    places = _places(stage, first)
    names = named(lines, stage, {slot: at for slot, at in places.items() if slot not in moving})
    moved: dict[int, str] = {}
    for slot in sorted(moving):
        base = lines.let("base", places[slot])
        by = lines.let("by", f"tl.load(place + {steps + slot})")
        moved[slot] = f"({base} + turn * {by})"
    return Turning(names, moved)


def by_scratch(form: ChainForm, batch: int, precision: Precision) -> Kernel:
    """A path with its states in memory."""
    lines = Lines()
    lines.add(
        "program, batches = tl.program_id(0), stride // BATCH",
        "b = program % batches * BATCH + tl.arange(0, BATCH)",
        f"place = places + first + program // batches * {form.fields}",
        "y = values + tl.load(place) * stride + b",
        "scratch = values + tl.load(place + 1) * stride + b",
    )
    constants: dict[str, int] = {}
    first, steps, turns = form.first, form.steps, list[Turning]()
    place_of = {
        number: first + sum(len(stage.slots) for stage in form.stages[:number]) for number in range(len(form.stages))
    }
    for number, stage in enumerate(form.head):
        names = named(lines, stage, _places(stage, place_of[number], number == 0))
        _step(lines, form, number, str(number), names, batch, precision, constants)
    if form.body:
        for number, stage in enumerate(form.body):
            turns.append(turn_of(lines, stage, form.moving[number], place_of[len(form.head) + number], steps))
            steps += len(stage.slots)
        lines.add(f"for turn in range({form.count}):")
        lines.depth += 1
        for number, stage in enumerate(form.body, len(form.head)):
            turn = turns[number - len(form.head)]
            names = turn.names | named(lines, stage, turn.places)
            position = f"turn * {len(form.body)} + {number}" if len(form.body) % 2 else str(number)
            _step(lines, form, number, position, names, batch, precision, constants)
        lines.depth -= 1
    for number, stage in enumerate(form.tail, len(form.head) + len(form.body)):
        names = named(lines, stage, _places(stage, place_of[number]))
        position = str(number + (form.count - 1) * len(form.body))
        _step(lines, form, number, position, names, batch, precision, constants)
    warps = policy.path_warps(batch)
    return kernel("path", lines, constants | {"BATCH": batch}, warps, 2)


def _step(
    lines: Lines,
    form: ChainForm,
    number: int,
    position: str,
    names: dict[int, str],
    batch: int,
    precision: Precision,
    constants: dict[str, int],
) -> None:
    """Lines of one stage, all of its tiles, and a barrier after them; stages take turns with the halves of scratch."""
    stage, matrix = form.stages[number], _matrix(form.stages[number])
    tiles = tiles_of(stage, batch, precision)
    constants |= constants_of(tiles, f"_{number}")
    before = slot_before(stage)
    if number and before is not None:
        names = names | {before: lines.let("x", f"scratch + ({position} + 1) % 2 * {form.scratch} * stride")}
    last = number == len(form.stages) - 1 and bool(form.tail or not form.body)
    y = "y" if last else lines.let("y", f"scratch + ({position}) % 2 * {form.scratch} * stride")
    lines.add(f"for work in range({programs(stage, tiles)}):")
    lines.depth += 1
    tile_of_sums(lines, stage, matrix, tiles, precision, names, y, f"_{number}")
    lines.depth -= 1
    if not last:
        lines.add("tl.debug_barrier()")


def _sizes(stage: Form) -> tuple[int, int]:
    matrix = _matrix(stage)
    return matrix.rows, matrix.columns


def _matrix(stage: Form) -> Matrix:
    assert stage.matrix is not None
    return stage.matrix


def _places(stage: Form, first: int, alone: bool = False) -> dict[int, str]:
    """Where each slot's place is found, but for that of the state, unless the stage is the first."""
    before = None if alone else slot_before(stage)
    return {slot: f"tl.load(place + {first + slot})" for slot in range(len(stage.slots)) if slot != before}


def weights_lines(lines: Lines, matrix: Matrix, pointer: str, precision: Precision) -> tuple[str, ...]:
    """Lines that load all weights of a stage."""
    tall, wide = size_of(matrix.rows), size_of(matrix.columns)
    rows, columns = padded(matrix)
    masks = [f"(k{tall} < {rows})[:, None]"] if rows < tall else []
    masks += [f"(k{wide} < {columns})[None, :]"] if columns < wide else []
    masked = f", {' & '.join(masks)}, 0.0" if masks else ""
    loaded = lines.let("weight", f"tl.load({pointer} + k{tall}[:, None] * {columns} + k{wide}[None, :]{masked})")
    return prepared(lines, precision, loaded)


def stage_lines(
    lines: Lines,
    stage: Form,
    names: dict[int, str],
    precision: Precision,
    alone: bool = False,
    ready: tuple[str, ...] | None = None,
    vector: bool = False,
) -> None:
    """Lines that bring the state, the offset and u on by one stage; `apart` is negative where something was lost.

    The first stage is `alone`, without a state before it; the last, if `vector`, is multiplied row by row into `sums`.
    """
    matrix, before = _matrix(stage), slot_before(stage)
    wide = f"k{size_of(matrix.columns)}"
    mask = None
    if matrix.columns < size_of(matrix.columns):
        mask = lines.let("ok", f"{wide} < {matrix.columns}")
    given = {} if alone or before is None else {before: "state"}
    x = whole(lines, stage.value, At(wide, mask), names, str(size_of(matrix.columns)), given)
    scale = names[1]
    lines.add(
        f"top = tl.max({x}, 0)",
        f"shift = tl.where(top == {ZERO}, 0.0, top)",
        f"apart = tl.where({x} > {ZERO}, {x} - shift[None, :], 0.0) - tl.load({scale} + 1)",
        f"offset += (shift + tl.load({scale})).to(tl.float64)",
        f"widest = tl.load({scale} + 2)",
    )
    largest = "" if alone else "".join(f" + {each}" for each in _largest(stage, names))
    kept = "" if alone else f"widest * tl.exp(u{largest} - shift) + "
    lines.add(
        f"u = tl.log({kept}(widest + {2.0 * matrix.columns}) * {TINY!r} + tl.zeros([BATCH], tl.float32))",
        f"p = tl.exp({x} - shift[None, :])",
    )
    if vector and matrix.rows <= policy.VECTOR:
        _, columns = padded(matrix)
        for row in range(matrix.rows):
            masked = "" if columns == size_of(matrix.columns) else f", {wide} < {columns}, 0.0"
            weight = lines.let("weight", f"tl.load({names[0]} + {row * columns} + {wide}{masked})")
            lines.add(f"sum_{row} = tl.log(tl.sum({weight}[:, None] * p, 0))")
        return
    product(lines, precision, "total", ready or weights_lines(lines, matrix, names[0], precision), "p", None)
    lines.add("state = tl.log(total)")


def _largest(stage: Form, names: dict[int, str]) -> list[str]:
    """The largest of what is multiplied by the state, by row of data."""
    found: list[str] = []
    for leaf in leaves(stage.value):
        match leaf:
            case Look(table, column, width, rows):
                found.append(f"tl.load({names[table]} + {rows * width} + {names[column]})")
            case Constant(table, width):
                found.append(f"tl.load({names[table]} + {width})")
            case _:
                pass
    return found


def _result(lines: Lines, matrix: Matrix, vector: bool) -> None:
    """Lines that write what the last stage gave, and flag rows of data."""
    if vector and matrix.rows <= policy.VECTOR:
        for row in range(matrix.rows):
            lines.add(f"tl.store(y + {row} * stride, (sum_{row} + offset).to(tl.float32))")
        least = "sum_0"
        for row in range(1, matrix.rows):
            least = f"tl.minimum({least}, sum_{row})"
    else:
        tall = f"k{size_of(matrix.rows)}"
        masked = "" if matrix.rows == size_of(matrix.rows) else f", ({tall} < {matrix.rows})[:, None]"
        inside = f"tl.where(({tall} < {matrix.rows})[:, None], state, 0.0)" if masked else "state"
        lines.add(
            "found = (state + offset[None, :]).to(tl.float32)",
            f"tl.store(y[None, :] + {tall}[:, None] * stride, found{masked})",
        )
        least = f"tl.min({inside}, 0)"
    lines.add(
        f"sure = (lost == 0) | (u <= {least} + {TOLERANCE})",
        "tl.store(flags + b, tl.full([BATCH], 1, tl.int32), sure == 0)",
    )
