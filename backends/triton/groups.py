"""From a Program to groups: each fills one buffer in memory, with all elementwise operations before it taken in.

What enters is a Program; what leaves are groups in order. A matrix always writes to memory; a product, a gather, a load
is computed where it is read, unless that would be done often or would read much (policy.py). Parts of a long join write
into it where they are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...ir.diagnostic import error
from ...ir.program.operation import (
    AllPairs,
    Contract,
    Density,
    Fill,
    Gather,
    Join,
    Load,
    Multiply,
    Network,
    Scale,
    Step,
    reads,
    renamed,
    unrolled,
)
from ...ir.program.program import Program
from ...ir.program.widths import width_of
from . import policy
from .value import Constant, Form, Joined, Kind, Look, Matrix, Paired, Picked, Read, Times, Value


@dataclass(frozen=True, slots=True)
class Group:
    """Fills nodes of buffer `out`; `operands` are numbers of what its form's slots hold, `after` the groups that fill
    what it reads, by their positions."""

    form: Form
    out: int
    operands: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups of a Program over buffers that are filled once.

    Buffer n has `widths[n]` nodes and lies at node `homes[n][1]` of buffer `homes[n][0]`, mostly itself. `densities`
    are the buffers that are given, by source.
    """

    program: Program
    groups: tuple[Group, ...]
    widths: tuple[int, ...]
    homes: tuple[tuple[int, int], ...]
    densities: dict[int, int]
    root: int


def grouped(program: Program) -> Grouped:
    """The groups of a Program.

    Raises: DanausError `not-on-device` for a network of scalar nodes.
    """
    maker = _Maker(program)
    steps, root = _once(program)
    uses = _uses(steps, root)
    flat: dict[int, list[int]] = {}
    gone: set[int] = set()
    for number, step in enumerate(steps):
        if isinstance(step, Multiply):
            inner = {factor for factor in step.factors if factor in flat and uses[factor] == 1}
            gone |= inner
            lists = sorted([flat.pop(f) if f in inner else [f] for f in step.factors], key=len, reverse=True)
            flat[number] = lists[0]
            flat[number] += [factor for rest in lists[1:] for factor in rest]
    for number, step in enumerate(steps):
        if number not in gone:
            maker.take(number, replace(step, factors=tuple(flat[number])) if isinstance(step, Multiply) else step)
    return maker.made(maker.now[root])


def _once(program: Program) -> tuple[list[Step], int]:
    """The steps of a Program over buffers that are filled once, by their positions, and the root."""
    now: dict[int, int] = {}
    steps: list[Step] = []
    for step in unrolled(program.operations):
        if isinstance(step, Network):
            raise error(
                "not-on-device", "bundles have no GPU kernels of scalar nodes", hint='compile(device="cuda") runs them'
            )
        sources = {source: now[source] for source in reads(step)}
        steps.append(replace(renamed(step, {step.out: -1} | sources), out=len(steps)))
        now[step.out] = len(steps) - 1
    return steps, now[program.root]


def _uses(steps: Sequence[Step], root: int) -> list[int]:
    """How often each step's buffer is read; the root once more."""
    uses = [0] * len(steps)
    for step in steps:
        for source in reads(step):
            uses[source] += 1
    uses[root] += 1
    return uses


@dataclass(slots=True)
class _Maker:
    program: Program
    steps: list[Step] = field(default_factory=list["Step"])
    widths: list[int] = field(default_factory=list[int])
    now: dict[int, int] = field(default_factory=dict[int, int])
    groups: list[Group] = field(default_factory=list[Group])
    filled: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])
    homes: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])

    def take(self, number: int, step: Step) -> None:
        """The next step, by its number; a product of many factors in parts."""
        step = renamed(step, {source: self.now[source] for source in reads(step)} | {step.out: -1})
        if isinstance(step, Multiply):
            factors = list(step.factors)
            while len(factors) > policy.LEAVES:
                parts = [factors[i : i + policy.LEAVES] for i in range(0, len(factors), policy.LEAVES)]
                factors = [part[0] if len(part) == 1 else self._put(Multiply(-1, tuple(part))) for part in parts]
            step = Multiply(-1, tuple(factors))
        self.now[number] = self._put(step)

    def _put(self, step: Step) -> int:
        number = len(self.steps)
        self.widths.append(width_of(step, tuple(self.widths[source] for source in reads(step)), self.program))
        self.steps.append(replace(step, out=number))
        return number

    def made(self, root: int) -> Grouped:
        """All groups, when all steps are there."""
        uses = _uses(self.steps, root)
        kept = self._kept(uses, root)
        densities: dict[int, int] = {}
        for number, step in enumerate(self.steps):
            if not uses[number]:
                continue
            self.homes.setdefault(number, (number, 0))
            match step:
                case Density(_, source, _, _):
                    densities[source] = number
                    self.filled[number] = ()
                case Contract():
                    self._group(step, kept, number)
                case Join(_, parts) if kept[number] and number != root:
                    self._join(number, parts, kept)
                case _ if kept[number]:
                    self._group(step, kept, number)
                case _:
                    pass
        homes = [self.homes.get(number, (number, 0)) for number in range(len(self.widths))]
        return Grouped(self.program, tuple(self.groups), tuple(self.widths), tuple(homes), densities, root)

    def _kept(self, uses: Sequence[int], root: int) -> list[bool]:
        """Which buffers are written to memory."""
        kept: list[bool] = []
        loads: list[int] = []
        for number, step in enumerate(self.steps):
            match step:
                case Contract() | Density():
                    kept.append(True)
                    loads.append(1)
                    continue
                case Load() | Fill():
                    found = 1
                case Scale(_, source, _) | Gather(_, source, _):
                    found = loads[source] + 1
                case _:
                    found = sum(loads[source] for source in reads(step))
            while found > policy.LEAVES:  # what reads most is written first
                most = max((source for source in reads(step) if not kept[source]), key=loads.__getitem__, default=-1)
                if most < 0 or loads[most] == 1:
                    break
                found -= loads[most] - 1
                kept[most], loads[most] = True, 1
            write = number == root or (found > 1 and found * uses[number] > policy.LEAVES)
            write = write or (isinstance(step, Join) and len(step.parts) > policy.PARTS)
            kept.append(write)
            loads.append(1 if write else found)
        return kept

    def _join(self, number: int, parts: Sequence[int], kept: Sequence[bool]) -> None:
        """A join in memory: its parts are written into it where they are made, or copied."""
        start, fillers = 0, list[int]()
        for part in parts:
            movable = kept[part] and self.homes[part] == (part, 0) and not isinstance(self.steps[part], Density)
            if movable:
                self.homes[part] = (number, start)
                fillers += self.filled[part]
            else:
                copy = len(self.widths)
                self.widths.append(self.widths[part])
                self.homes[copy] = (number, start)
                self._write(copy, None, part, kept, ())
                fillers += self.filled[copy]
            start += self.widths[part]
        self.filled[number] = tuple(fillers)

    def _group(self, step: Step, kept: Sequence[bool], number: int) -> None:
        if not isinstance(step, Contract):
            self._write(number, None, number, kept, (), whole=False)
            return
        table = self.program.tables[step.table]
        read, write = (step.read.block, step.read.node), (step.write.block, step.write.node)
        shared = step.blocks > 1 and table[0] == 1
        matrix = Matrix(step.blocks, step.rows, step.columns, shared, read, write)
        self._write(number, matrix, step.source, kept, (step.table, step.table))

    def _write(
        self,
        out: int,
        matrix: Matrix | None,
        source: int,
        kept: Sequence[bool],
        operands: tuple[int, ...],
        whole: bool = True,
    ) -> None:
        """A group that fills a buffer with a value; `whole` reads the value itself from memory where it is kept."""
        slots: list[Kind] = ["weights", "scale"] if matrix is not None else []
        tree = _Tree(self, kept, slots, list(operands))
        value = tree.value(source, whole)
        after = dict.fromkeys(group for read in tree.read for group in self.filled[read])
        self.filled[out] = (len(self.groups),)
        self.groups.append(Group(Form(value, matrix, tuple(slots)), out, tuple(tree.operands), tuple(after)))


@dataclass(slots=True)
class _Tree:
    """A value while it is made: its depth is at most that of its leaves, of which there are few."""

    maker: _Maker
    kept: Sequence[bool]
    slots: list[Kind]
    operands: list[int]
    read: list[int] = field(default_factory=list[int])

    def slot(self, kind: Kind, operand: int) -> int:
        self.slots.append(kind)
        self.operands.append(operand)
        return len(self.slots) - 1

    def value(self, number: int, whole: bool = True) -> Value:
        """What stands for a buffer where it is read."""
        width = self.maker.widths[number]
        if whole and self.kept[number]:
            self.read.append(number)
            return Read(self.slot("buffer", number), width)
        match self.maker.steps[number]:
            case Load(_, table, column):
                rows = self.maker.program.tables[table][0]
                return Look(self.slot("table", table), self.slot("column", column), width, rows)
            case Fill(_, table):
                return Constant(self.slot("table", table), width)
            case Scale(_, source, table):
                return Times((self.value(source), Constant(self.slot("table", table), width)), width)
            case Multiply(_, (factor,)) | Join(_, (factor,)) | AllPairs(_, (factor,)):
                return self.value(factor)
            case Multiply(_, factors):
                return Times(tuple(map(self.value, factors)), width)
            case AllPairs(_, factors):
                return Paired(tuple(map(self.value, factors)), width)
            case Join(_, parts):
                return Joined(tuple(map(self.value, parts)), width)
            case Gather(_, source, index):
                return Picked(self.slot("index", index), self.value(source), width)
            case step:
                raise AssertionError(type(step).__name__)
