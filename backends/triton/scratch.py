"""Kernels of paths whose states stand in memory that only one program uses, in practice in the caches, twice.

A stage reads the one and writes the other, tile by tile, and all of it is there before the next begins. Weights are
read again in each turn.
"""

from __future__ import annotations

from . import policy
from .chain import ChainForm, Turning, places_of, turn_of
from .dense import Rows, constants_of, programs, tile_of_sums, tiles_of
from .kernel import Kernel
from .paths import slot_before
from .policy import Precision
from .stage import matrix_of
from .text import Lines, kernel, named


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
        names = named(lines, stage, places_of(stage, place_of[number], number == 0))
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
        names = named(lines, stage, places_of(stage, place_of[number]))
        position = str(number + (form.count - 1) * len(form.body))
        _step(lines, form, number, position, names, batch, precision, constants)
    warps = policy.path_warps(batch, precision)
    return kernel("path", lines, constants | {"BATCH": batch}, warps, 2, precision)


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
    stage, matrix = form.stages[number], matrix_of(form.stages[number])
    tiles = tiles_of(stage, batch, precision)
    constants |= constants_of(tiles, f"_{number}")
    before = slot_before(stage)
    if number and before is not None:
        names = names | {before: lines.let("x", f"scratch + ({position} + 1) % 2 * {form.scratch} * stride")}
    last = number == len(form.stages) - 1 and bool(form.tail or not form.body)
    y = "y" if last else lines.let("y", f"scratch + ({position}) % 2 * {form.scratch} * stride")
    rows = Rows(*(f"tl.load(place + 1) + ({position} + {half}) % 2 * {form.scratch}" for half in (0, 1)))
    lines.add(f"for work in range({programs(stage, tiles)}):")
    lines.depth += 1
    tile_of_sums(lines, stage, matrix, tiles, precision, names, y, rows, f"_{number}")
    lines.depth -= 1
    if not last:
        lines.add("tl.debug_barrier()")
