"""Constant folding and the fusion of maps: what does not depend on the data is computed when tables are, not per row.

What enters is a Program whose buffers are filled once; what leaves means the same over tables of which some are
derived (derived.py). Buffers made of constants alone become one Fill; a product with a constant is a diagonal map;
diagonal maps go into the matrices before or after them; a matrix after a matrix is one where that takes fewer
operations; gathers after gathers, joins of joins and gathers that only turn a matrix's blocks go.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from ...ir.linear import Indices
from ...ir.program.operation import (
    AllPairs,
    Contract,
    Fill,
    Gather,
    Join,
    Load,
    Multiply,
    Operation,
    Scale,
    Step,
    Strides,
    reads,
    unrolled,
)
from ...ir.program.program import Program
from .derived import Derived, Kind, Shape

DEAREST = 1 << 31
"""So many multiplications at most go into matrices that are made, whenever parameters change."""

LARGEST = 1 << 20
"""So many numbers may matrices that are made have, beside as many as there are in all tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A Program over derived tables: table i of it is `wanted[i]` of those given and then those of the recipe.

    `indices` are those that the recipe gathers by.
    """

    program: Program
    recipe: tuple[Derived, ...]
    wanted: tuple[int, ...]
    indices: tuple[Indices, ...]


def fold(program: Program) -> Folded:
    """The same Program with its constants folded."""
    if program.layouts or not _may_fold(program):
        return Folded(program, (), tuple(range(len(program.tables))), program.indices)
    folder = _Folder(program)
    for step in unrolled(program.operations):
        folder.step(step)
    return folder.folded()


def _may_fold(program: Program) -> bool:
    """Whether there is anything to do, as there is not in most circuits."""
    maps: set[int] = set()
    for step in unrolled(program.operations):
        if isinstance(step, Contract):
            if step.source in maps:
                return True
            maps.add(step.out)
        elif isinstance(step, Fill | Scale | Gather | Join):
            return True
    return False


@dataclass(slots=True)
class _Folder:
    """The new Program while it is made: `constant` names the table that a buffer is, `maker` where it is filled."""

    program: Program
    steps: list[Step | None] = field(default_factory=list["Step | None"])
    constant: dict[int, int] = field(default_factory=dict[int, int])
    maker: dict[int, int] = field(default_factory=dict[int, int])
    uses: Counter[int] = field(default_factory=Counter[int])
    shapes: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    recipe: list[Derived] = field(default_factory=list[Derived])
    known: dict[Derived, int] = field(default_factory=dict[Derived, int])
    indices: list[Indices] = field(default_factory=list[Indices])
    cost: int = 0
    room: int = LARGEST

    def __post_init__(self) -> None:
        program = self.program
        self.shapes = list(program.tables)
        self.indices = list(program.indices)
        self.room += sum(prod(shape) for shape in program.tables)
        self.uses = Counter(source for step in unrolled(program.operations) for source in reads(step))
        self.uses[program.root] += 1

    def step(self, step: Step) -> None:
        """Takes over one operation, or what it comes to."""
        sources = reads(step)
        if isinstance(step, Fill):
            self.constant[step.out] = step.table
        elif sources and all(source in self.constant for source in sources):
            self.constant[step.out] = self._constant(step)
        else:
            self._put(self._fused(step))

    def _width(self, buffer: int) -> int:
        return self.program.buffers[buffer]

    def _table(
        self, kind: Kind, operands: tuple[int, ...], shape: Shape, index: int = -1, step: Contract | None = None
    ) -> int:
        """The number of a derived table; equal ones are one."""
        derived = Derived(kind, operands, shape, index, step)
        if derived not in self.known:
            self.known[derived] = len(self.shapes)
            self.shapes.append(shape)
            self.recipe.append(derived)
        return self.known[derived]

    def _matrix(self, kind: Kind, operands: tuple[int, ...], step: Contract, cost: int) -> int | None:
        """A derived matrix for a step, where there is room for it."""
        blocks = self.shapes[operands[0]][0]
        shape = (blocks, step.rows, step.columns)
        kept = Contract(0, 0, 0, step.blocks, step.rows, step.columns, step.read, step.write)
        if Derived(kind, operands, shape, -1, kept) not in self.known:
            if self.cost + cost > DEAREST or prod(shape) > self.room:
                return None
            self.cost += cost
            self.room -= prod(shape)
        return self._table(kind, operands, shape, -1, kept)

    def _constant(self, step: Step) -> int:
        """The table of an operation on constants."""
        tables = tuple(self.constant[source] for source in reads(step))
        shape = (self._width(step.out),)
        match step:
            case Multiply():
                return self._table("product", tables, shape)
            case AllPairs():
                return self._table("pairs", tables, shape)
            case Join():
                return self._table("join", tables, shape)
            case Gather(_, _, index):
                return self._table("gather", tables, shape, index)
            case Scale(_, _, table):
                return self._table("product", (*tables, table), shape)
            case Contract(_, _, table, blocks, rows, columns, read, write):
                kept = Contract(0, 0, 0, blocks, rows, columns, read, write)
                return self._table("apply", (table, *tables), shape, -1, kept)
            case _:
                raise AssertionError(type(step).__name__)

    def _fused(self, step: Step) -> Step:
        """An operation together with the one before it, where that gives way."""
        match step:
            case Multiply(out, (first, second)):
                other, fixed = (first, second) if second in self.constant else (second, first)
                if fixed in self.constant and self._width(fixed) == self._width(other) == self._width(out):
                    return self._fused(Scale(out, other, self.constant[fixed]))
                return step
            case Scale(out, source, table):
                before = self._before(source)
                if isinstance(before, Scale):
                    self._drop(source)
                    both = self._table("product", (before.table, table), self.shapes[table])
                    return self._fused(Scale(out, before.source, both))
                if isinstance(before, Contract) and self.shapes[before.table][0] == before.blocks:
                    found = self._matrix("rows", (before.table, table), before, prod(self.shapes[before.table]))
                    if found is not None:
                        self._drop(source)
                        return replace(before, out=out, table=found)
                return step
            case Contract():
                return self._fused_map(step)
            case Gather(out, source, index):
                before = self._before(source)
                if isinstance(before, Gather):
                    self._drop(source)
                    self.indices.append(self.indices[before.index][self.indices[index]])
                    return Gather(out, before.source, len(self.indices) - 1)
                return step
            case Join(out, parts):
                flat: list[int] = []
                for part in parts:
                    before = self._before(part)
                    if isinstance(before, Join):
                        self._drop(part)
                    flat += before.parts if isinstance(before, Join) else (part,)
                return Join(out, tuple(flat))
            case _:
                return step

    def _fused_map(self, step: Contract) -> Step:
        before = self._before(step.source)
        match before:
            case Scale(_, source, table) if self.shapes[step.table][0] == step.blocks:
                found = self._matrix("columns", (step.table, table), step, prod(self.shapes[step.table]))
                if found is not None:
                    self._drop(step.source)
                    return self._fused_map(replace(step, source=source, table=found))
            case Contract(_, source, table, 1, rows, columns, _, _) if step.blocks == 1:
                one = Contract(0, 0, 0, 1, step.rows, columns, Strides(columns, 1), Strides(step.rows, 1))
                fewer = step.rows * columns <= step.rows * step.columns + rows * columns
                operands = (table, step.table)
                if fewer and (found := self._matrix("compose", operands, one, step.rows * rows * columns)) is not None:
                    self._drop(step.source)
                    return self._fused_map(replace(one, out=step.out, source=source, table=found))
            case Gather(_, source, index) if step.read == Strides(step.columns, 1) and step.blocks > 1:
                turned = np.arange(step.blocks * step.columns).reshape(step.columns, step.blocks).T.ravel()
                if len(turned) == self._width(source) and np.array_equal(self.indices[index], turned):
                    self._drop(step.source)
                    return replace(step, source=source, read=Strides(1, step.blocks))
            case _:
                pass
        return step

    def _before(self, buffer: int) -> Step | None:
        """What fills a buffer that is read once, and can therefore give way."""
        if self.uses[buffer] != 1 or buffer not in self.maker:
            return None
        return self.steps[self.maker[buffer]]

    def _drop(self, buffer: int) -> None:
        self.steps[self.maker.pop(buffer)] = None

    def _put(self, step: Step) -> None:
        for source in dict.fromkeys(reads(step)):
            if source in self.constant and source not in self.maker:
                self.maker[source] = len(self.steps)
                self.steps.append(Fill(source, self.constant[source]))
        self.maker[step.out] = len(self.steps)
        self.steps.append(step)

    def folded(self) -> Folded:
        """What was made, over the tables that it reads."""
        program, root = self.program, self.program.root
        if root in self.constant and root not in self.maker:
            self.steps.append(Fill(root, self.constant[root]))
        steps = [step for step in self.steps if step is not None]
        wanted = tuple(sorted({table for step in steps if (table := _table_of(step)) is not None}))
        numbers = {table: number for number, table in enumerate(wanted)}
        operations: list[Operation] = []
        for step in steps:
            if isinstance(step, Load | Fill | Scale | Contract):
                step = replace(step, table=numbers[step.table])
            operations.append(step)
        shapes = tuple(self.shapes[table] for table in wanted)
        kept = tuple(self.indices)
        folded = replace(program, operations=tuple(operations), root=root, tables=shapes, indices=kept)
        return Folded(folded, tuple(self.recipe), wanted, kept)


def _table_of(step: Step) -> int | None:
    return step.table if isinstance(step, Load | Fill | Scale | Contract) else None
