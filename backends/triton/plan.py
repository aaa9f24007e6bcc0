"""From groups to a plan: launches in order, and where buffers, tables and codes lie.

What enters is a Program; what leaves says which kernels run on which places of memory, for a class of batch sizes.
Groups of one form that do not wait for one another are one launch. The number of launches is `len(plan.launches)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir.program.program import Program
from . import policy
from .dense import kernel_of, padded, programs, tiles_of
from .groups import Group, Grouped, grouped
from .kernel import Kernel
from .policy import Precision
from .value import Form, Matrix

ALIGNED = 16
"""Tables begin at multiples of so many numbers: 64 bytes."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel on the groups whose places begin at `first`: `programs` programs for each tile of `batch` rows."""

    kernel: Kernel
    programs: int
    batch: int
    first: int
    groups: int
    form: Form

    def grid(self, rows: int) -> int:
        """How many programs run for so many rows of data."""
        return self.programs * -(-rows // self.batch)


@dataclass(frozen=True, slots=True)
class Laid:
    """Where a table lies among `weights`, as its matrix, or among `tables`, as logarithms; `scale` is the place of a
    matrix's scale and floor among the latter."""

    table: int
    offset: int
    matrix: Matrix | None = None
    scale: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Launches, and the sizes of what they work on.

    `rows` are the nodes of all buffers, `weights` and `tables` numbers; `places` are the launches' operands; `indices`
    those of gathers, end to end. `densities` are the first row and the nodes of buffers that are given, by source;
    `root` is the row of the answer.
    """

    launches: tuple[Launch, ...]
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


def plan(program: Program, precision: Precision, rows: int) -> Plan:
    """The plan of a Program for batches of about so many rows.

    Raises: DanausError `not-on-device`.
    """
    found = grouped(program)
    batch = policy.batch_tile(rows)
    waves = _waves(found.groups)
    where, total = _buffers(found, waves)
    space = _Space(program, found)
    launches: list[Launch] = []
    places: list[int] = []
    for wave in waves:
        form = wave[0].form
        tiles = tiles_of(form, batch, precision)
        kernel = kernel_of(form, tiles, precision)
        launches.append(Launch(kernel, programs(form, tiles) * len(wave), batch, len(places), len(wave), form))
        for group in wave:
            places.append(where[group.out])
            for kind, operand in zip(form.slots, group.operands, strict=True):
                places.append(where[operand] if kind == "buffer" else space.place(kind, operand, form.matrix))
    return Plan(
        tuple(launches),
        batch,
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


def _waves(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups of one form that wait for as many others, in the order in which they may run."""
    levels: list[int] = []
    for group in groups:
        levels.append(1 + max((levels[before] for before in group.after), default=-1))
    waves: dict[tuple[int, Form], list[Group]] = {}
    for level, group in sorted(zip(levels, groups, strict=True), key=lambda pair: pair[0]):
        waves.setdefault((level, group.form), []).append(group)
    return list(waves.values())


def _buffers(found: Grouped, waves: Sequence[Sequence[Group]]) -> tuple[dict[int, int], int]:
    """The first row of each buffer, and the number of all rows: one that nothing reads any more makes room."""
    homes: dict[int, tuple[int, int]] = {}
    for buffer in range(len(found.widths)):
        host, start = found.homes[buffer]
        while found.homes[host][0] != host:
            host, start = found.homes[host][0], start + found.homes[host][1]
        homes[buffer] = (host, start)
    first: dict[int, int] = {homes[buffer][0]: 0 for buffer in found.densities.values()}
    last: dict[int, int] = {homes[found.root][0]: len(waves)}
    for number, wave in enumerate(waves):
        for group in wave:
            host = homes[group.out][0]
            first.setdefault(host, number)
            last[host] = max(last.get(host, 0), number)
            for kind, operand in zip(group.form.slots, group.operands, strict=True):
                if kind == "buffer":
                    host = homes[operand][0]
                    last[host] = max(last.get(host, 0), number)
    starts: dict[int, int] = {}
    free: dict[int, list[int]] = {}
    ending: dict[int, list[int]] = {}
    total = 0
    for host in sorted(first, key=lambda host: (first[host], host)):
        for number in sorted(end for end in ending if end < first[host]):
            for gone in ending.pop(number):
                free.setdefault(found.widths[gone], []).append(starts[gone])
        width = found.widths[host]
        if free.get(width):
            starts[host] = free[width].pop()
        else:
            starts[host] = total
            total += width
        ending.setdefault(last.get(host, first[host]), []).append(host)
    return {buffer: starts[host] + start for buffer, (host, start) in homes.items() if host in starts}, total


class _Space:
    """Where tables lie; each is laid when it is first asked for, a matrix apart from logarithms."""

    def __init__(self, program: Program, found: Grouped) -> None:
        self.program = program
        self.laid: dict[tuple[int, bool], Laid] = {}
        self.weights = self.tables = 0
        self.starts = np.cumsum([0, *(len(index) for index in program.indices)]).tolist()

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
            scale, size = self.tables, 2
            if matrix is None:
                self.laid[key] = Laid(table, self.tables)
                size = prod(self.program.tables[table])
            else:
                self.laid[key] = Laid(table, self.weights, matrix, scale)
                rows, columns = padded(matrix)
                self.weights += _up(self.program.tables[table][0] * rows * columns)
            self.tables += _up(size)
        return self.laid[key]


def _up(number: int) -> int:
    return -(-number // ALIGNED) * ALIGNED
