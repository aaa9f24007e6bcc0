"""From groups to a plan: launches in order, and where buffers, tables and codes lie.

What enters is a Program; what leaves says which kernels run on which places of memory, for a class of batch sizes.
Groups of one form that do not wait for one another are one launch. The number of launches is `len(plan.launches)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import error
from ...ir.program.program import Program
from . import policy
from .chain import ChainForm, fits, weights_of
from .groups import Group, Grouped, grouped
from .launch import Launch
from .paths import Unit, units
from .policy import Precision
from .precision import held
from .sums import linked
from .sweep import LoopForm, swept
from .targets import MODEL, Gpu
from .text import FAR
from .tiled import NONE, Choices, launched, tiled
from .value import Form, Matrix
from .ways import one_launch

ALIGNED = 16
"""Tables begin at multiples of so many numbers: 64 bytes."""


@dataclass(frozen=True, slots=True)
class Laid:
    """Where a table lies among `weights`, as its matrix, or among `tables`, as logarithms, as do matrices of few rows;
    `scale` is the place of a matrix's scale and floor among the latter."""

    table: int
    offset: int
    matrix: Matrix | None = None
    scale: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Launches for batches of up to `most` rows, filled up to a multiple of `batch`, and the sizes of what they use.

    `rows` are the nodes of all buffers, `weights` and `tables` numbers; `places` are the launches' operands; `indices`
    those of gathers, end to end. `densities` are the first row and the nodes of buffers that are given, by source;
    `root` is the row of the answer.
    """

    launches: tuple[Launch, ...]
    most: int
    batch: int
    rows: int
    weights: int
    tables: int
    columns: int
    laid: tuple[Laid, ...]
    places: NDArray[np.int64]
    indices: NDArray[np.int32]
    densities: dict[int, tuple[int, int]]
    root: int


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A plan with what it was made from: its groups, its works launch by launch, the first row of each buffer, and for
    which GPU, with which tiles in place of the policy's."""

    plan: Plan
    found: Grouped
    waves: list[list[Work]]
    where: dict[int, int]
    space: Space
    gpu: Gpu
    choices: Choices


def plan(program: Program, precision: Precision, rows: int, choices: Choices = NONE, gpu: Gpu = MODEL) -> Plan:
    """The plan of a Program for batches of about so many rows on a GPU, with tiles chosen in place of the policy's.

    Raises: DanausError `not-on-device`.
    """
    return drawn(program, precision, rows, False, choices, gpu).plan


def drawn(
    program: Program, precision: Precision, rows: int, kept: bool, choices: Choices = NONE, gpu: Gpu = MODEL
) -> Drawn:
    """The same; where buffers are `kept`, each group writes one of its own, for the reverse."""
    found = grouped(program)
    space = Space(program, found, precision)
    homes = dict(enumerate(found.homes))
    forms = {} if kept else linked(found, policy.batch_tile(rows), precision)
    make = partial(_kept, homes=homes) if kept else partial(_works, rows=rows, forms=forms, gpu=gpu)
    parts = units(found)
    alike = Counter(_shape(unit, found) for unit in parts)
    works = [work for unit in parts for work in make(unit, found, space, precision, alike[_shape(unit, found)])]
    found = replace(found, homes=tuple(homes.values()), widths=tuple(space.widths))
    waves = _waves(works, found.groups)
    where, total = _buffers(found, waves, space.widths, kept)
    launches: list[Launch] = []
    places: list[int] = []
    for wave in waves:
        form = wave[0].form
        launches.append(launched(form, tiled(form, rows, precision, gpu, choices), len(places), len(wave)))
        for work in wave:
            if not isinstance(form, LoopForm):
                places.append(where[work.out])
            if work.scratch is not None:
                places.append(where[work.scratch])
            places += [where[place] if buffer else place for buffer, place in work.operands]
    laid_out = Plan(
        tuple(launches),
        policy.batch_class(rows, gpu),
        max([policy.batch_tile(rows), *(launch.batch for launch in launches)]),
        total,
        space.weights,
        space.tables,
        len(program.columns),
        tuple(space.laid.values()),
        np.array(places, dtype=np.int64),
        np.concatenate([*program.indices, np.zeros(1, dtype=np.int64)]).astype(np.int32),
        {source: (where[buffer], found.widths[buffer]) for source, buffer in found.densities.items()},
        where[found.root],
    )
    return Drawn(laid_out, found, waves, where, space, gpu, choices)


@dataclass(frozen=True, slots=True)
class Work:
    """What one program, or those of one group, compute: into buffer `out`, from operands, which are buffers where the
    flag says so and else places; the groups that it does, by position."""

    form: Form | ChainForm | LoopForm
    out: int
    operands: tuple[tuple[bool, int], ...]
    groups: tuple[int, ...]
    scratch: int | None = None


def _shape(unit: Unit, found: Grouped) -> tuple[object, ...]:
    """What paths that run together have in common: the forms of their stages, and how long they are."""
    return (*(found.groups[number].form for number in unit.stages), len(unit.groups))


def _works(
    unit: Unit,
    found: Grouped,
    space: Space,
    precision: Precision,
    alike: int,
    rows: int,
    forms: Mapping[int, Form],
    gpu: Gpu,
) -> list[Work]:
    """A path in one launch or group by group, whichever is predicted to take less; on chip where it fits there.

    One launch needs operands that move on by equal steps. There are so many paths `alike`, which run together. `forms`
    are those of groups that hand on sums.
    """
    placed = {number: space.operands(found.groups[number]) for number in unit.groups}
    path = _path(unit, found, placed) if len(unit.groups) > 1 else None
    if path is not None and isinstance(path.form, ChainForm):
        form = path.form
        on_chip = fits(form, precision)
        linking = form if on_chip else _linked(unit, form, forms) or form
        half = max(stage.writes.width if stage.writes else stage.width for stage in linking.stages)
        whole = form if on_chip else replace(linking, scratch=half)
        able = on_chip or policy.by_scratch(*weights_of(form, precision), gpu)
        each = Counter(forms.get(n, found.groups[n].form) for n in unit.groups)
        if able and one_launch(whole, each, alike, rows, precision, gpu):
            return [path if on_chip else replace(path, form=whole, scratch=space.buffer(2 * half))]
    alone = [Work(forms.get(n, found.groups[n].form), found.groups[n].out, placed[n], (n,)) for n in unit.groups]
    for work in alone:
        if isinstance(work.form, Form) and work.form.writes is not None:
            space.widths[work.out] = work.form.writes.width
    return alone


def _linked(unit: Unit, form: ChainForm, forms: Mapping[int, Form]) -> ChainForm | None:
    """A path whose stages read and write sums; None where turns differ in that."""
    head, period, end = unit.head, unit.period, unit.head + unit.period * unit.count
    own = [forms.get(number) for number in unit.groups]
    if any(own[at] != own[at - period] for at in range(head + period, end)):
        return None
    stages = [forms.get(number, stage) for number, stage in zip(unit.stages, form.stages, strict=True)]
    return replace(
        form, head=tuple(stages[:head]), body=tuple(stages[head : head + period]), tail=tuple(stages[head + period :])
    )


def _kept(
    unit: Unit, found: Grouped, space: Space, precision: Precision, alike: int, homes: dict[int, tuple[int, int]]
) -> list[Work]:
    """The groups of a path each with a buffer of its own; a loop in one launch where it fits, its states end to end."""
    placed = {number: space.operands(found.groups[number]) for number in unit.groups}
    alone = [Work(found.groups[n].form, found.groups[n].out, placed[n], (n,)) for n in unit.groups]
    path = _path(unit, found, placed) if unit.period else None
    if path is None or not isinstance(path.form, ChainForm):
        return alone
    form = LoopForm(path.form.body, unit.count, path.form.moving)
    if not swept(form, precision):
        return alone
    turns = unit.groups[unit.head : unit.head + unit.period * unit.count]
    trail = space.buffer(unit.count * form.width)
    homes[trail] = (trail, 0)
    for position, number in enumerate(turns):
        start = position // unit.period * form.width + form.starts[position % unit.period]
        homes[found.groups[number].out] = (trail, start)
    before = found.groups[unit.groups[unit.head - 1]].out
    operands = [(True, before), (True, trail)]
    steps: list[tuple[bool, int]] = []
    for first, second in zip(turns[: unit.period], turns[unit.period : 2 * unit.period], strict=True):
        operands += [(False, 0) if buffer else (buffer, place) for buffer, place in placed[first]]
        pairs = zip(placed[first], placed[second], strict=True)
        steps += [(False, 0 if one[0] else other[1] - one[1]) for one, other in pairs]
    loop = Work(form, trail, (*operands, *steps, (False, 0), (False, 0)), turns)
    return [*alone[: unit.head], loop, *alone[unit.head + len(turns) :]]


def _path(unit: Unit, found: Grouped, placed: Mapping[int, tuple[tuple[bool, int], ...]]) -> Work | None:
    """A path as one work; None where its operands do not move on by equal steps."""
    head, period, count = unit.head, unit.period, unit.count
    steps: list[tuple[int, ...]] = []
    for stage in range(head, head + period):
        turns = [placed[number] for number in unit.groups[stage : head + period * count : period]]
        each = [tuple(0 if a[0] else b[1] - a[1] for a, b in zip(*pair, strict=True)) for pair in pairwise(turns)]
        if any(step != each[0] for step in each):
            return None
        steps.append(each[0])
    forms = [found.groups[number].form for number in unit.stages]
    moving = tuple(frozenset(slot for slot, by in enumerate(step) if by) for step in steps)
    form = ChainForm(
        tuple(forms[:head]), tuple(forms[head : head + period]), count, tuple(forms[head + period :]), moving
    )
    operands: list[tuple[bool, int]] = []
    for position, number in enumerate(unit.stages):
        # what stands in registers has no place
        operands += [(False, 0) if buffer and position else (buffer, place) for buffer, place in placed[number]]
    operands += [(False, by) for step in steps for by in step]
    return Work(form, found.groups[unit.groups[-1]].out, tuple(operands), unit.groups)


def _waves(works: Sequence[Work], groups: Sequence[Group]) -> list[list[Work]]:
    """Works of one form that wait for as many others, in the order in which they may run."""
    levels: dict[int, int] = {}
    waves: dict[tuple[int, Form | ChainForm | LoopForm], list[Work]] = {}
    for work in works:
        own = set(work.groups)
        waits = (levels[before] for number in work.groups for before in groups[number].after if before not in own)
        level = 1 + max(waits, default=-1)
        levels |= dict.fromkeys(work.groups, level)
        waves.setdefault((level, work.form), []).append(work)
    return [wave for _, wave in sorted(waves.items(), key=lambda pair: pair[0][0])]


def _buffers(
    found: Grouped, waves: Sequence[Sequence[Work]], widths: Sequence[int], kept: bool
) -> tuple[dict[int, int], int]:
    """The first row of each buffer, and the number of all rows: one that nothing reads any more makes room."""
    homes: dict[int, tuple[int, int]] = {}
    for buffer in range(len(widths)):
        host, start = found.homes[buffer] if buffer < len(found.homes) else (buffer, 0)
        while host < len(found.homes) and found.homes[host][0] != host:
            host, start = found.homes[host][0], start + found.homes[host][1]
        homes[buffer] = (host, start)
    first: dict[int, int] = {homes[buffer][0]: 0 for buffer in found.densities.values()}
    last: dict[int, int] = {homes[found.root][0]: len(waves)}
    for number, wave in enumerate(waves):
        for work in wave:
            host = homes[work.out][0]
            first.setdefault(host, number)
            last[host] = max(last.get(host, 0), number)
            if work.scratch is not None:
                first[work.scratch] = last[work.scratch] = number
            for buffer, operand in work.operands:
                if buffer:
                    host = homes[operand][0]
                    last[host] = max(last.get(host, 0), number)
    starts: dict[int, int] = {}
    free: dict[int, list[int]] = {}
    ending: dict[int, list[int]] = {}
    total = 0
    for host in sorted(first, key=lambda host: (first[host], host)):
        for number in sorted(end for end in ending if end < first[host]):
            for gone in ending.pop(number):
                free.setdefault(widths[gone], []).append(starts[gone])
        width = widths[host]
        if free.get(width) and not kept:
            starts[host] = free[width].pop()
        else:
            starts[host] = total
            total += width
        ending.setdefault(last.get(host, first[host]), []).append(host)
    return {buffer: starts[host] + start for buffer, (host, start) in homes.items() if host in starts}, total


class Space:
    """Where tables lie; each is laid when it is first asked for, a matrix apart from logarithms."""

    def __init__(self, program: Program, found: Grouped, precision: Precision) -> None:
        self.program, self.precision = program, precision
        self.laid: dict[tuple[int, bool], Laid] = {}
        self.weights = self.tables = 0
        self.widths = list(found.widths)
        self.starts = np.cumsum([0, *(len(index) for index in program.indices)]).tolist()

    def buffer(self, width: int) -> int:
        """A new buffer."""
        self.widths.append(width)
        return len(self.widths) - 1

    def operands(self, group: Group) -> tuple[tuple[bool, int], ...]:
        """The operands of a group: buffers by number, and places of all else."""
        pairs = zip(group.form.slots, group.operands, strict=True)
        return tuple(
            (True, operand) if kind == "buffer" else (False, self.place(kind, operand, group.form.matrix))
            for kind, operand in pairs
        )

    def place(self, kind: str, operand: int, matrix: Matrix | None) -> int:
        """What stands in a group's row of places for an operand."""
        match kind:
            case "column":
                return operand
            case "index":
                return int(self.starts[operand])
            case "table":
                return self._laid(operand, None).offset
            case "weights":
                return self._laid(operand, matrix).offset
            case _:
                return self._laid(operand, matrix).scale

    def _laid(self, table: int, matrix: Matrix | None) -> Laid:
        key = (table, matrix is not None)
        if key not in self.laid:
            scale, size = self.tables, 3
            if matrix is None:
                self.laid[key] = Laid(table, self.tables)
                shape = self.program.tables[table]
                size = prod(shape) + prod(shape[:-1])
            else:
                vector, count = matrix.rows <= policy.VECTOR, held(matrix)
                if count >= FAR:
                    message = f"a map of {count} numbers is beyond the offsets of kernels"
                    raise error("not-on-device", message, hint="factors, as those of monarch, take fewer")
                self.laid[key] = Laid(table, self.tables + ALIGNED if vector else self.weights, matrix, scale)
                if vector:  # after its scale
                    size = ALIGNED + count
                else:
                    self.weights += _up(count * (2 if self.precision == "bf16x3" else 1))
            self.tables += _up(size)
        return self.laid[key]


def _up(number: int) -> int:
    return -(-number // ALIGNED) * ALIGNED
