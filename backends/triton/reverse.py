"""The course of a reverse: which kernels run in which order, and where flows and sums lie.

What enters is a drawn plan, all of whose buffers stay; what leaves are acts, one for each of its waves from the last to
the first. A buffer that one group reads as it lies has the flow of that group's value: they are one place in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from . import policy
from .backward import Backward, Outers, Pulls, Tallies, back_programs, backed, matrix_in
from .groups import Group, Grouped
from .kernel import Kernel
from .plan import Drawn, Work
from .policy import Precision, Tiles
from .sweep import LoopForm, reads_inputs
from .sweep_back import sizes_of
from .tally import PLACES
from .value import Constant, Form, Look, Read, Times, Value, leaves


@dataclass(frozen=True, slots=True)
class Turn:
    """A launch: `what` it computes `times` over, for each tile of `batch` rows where that is not 0, and where its
    places begin.

    It is of so many `groups` of a form, or of inputs.
    """

    kernel: Kernel
    tiles: Tiles
    batch: int
    first: int
    groups: int
    what: Pulls | Outers | Tallies
    times: int

    @property
    def programs(self) -> int:
        """Programs of a tile of rows, or of all rows."""
        return back_programs(self.what, self.tiles) * self.times

    @property
    def form(self) -> Form | None:
        """The form of its groups; None of inputs."""
        return None if isinstance(self.what, Tallies) else self.what.form

    def grid(self, rows: int) -> int:
        """How many programs run for so many rows of data, a multiple of `batch`."""
        return self.programs * (-(-rows // self.batch) if self.batch else 1)


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The flow of a value at `row` goes to its leaves: a row for each, −1 where there is nothing to do, and whether it
    is added to what stands there; `indices` by slot."""

    row: int
    value: Value
    targets: tuple[tuple[int, bool], ...]
    indices: dict[int, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Swept:
    """A launch that runs loops back: its tiles, where its places begin, and of each loop where the sums for each
    stage's weights go, of so many numbers."""

    kernel: Kernel
    tiles: Tiles
    first: int
    sums: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    form: LoopForm

    @property
    def batch(self) -> int:
        """Rows of data of a program."""
        return self.tiles.batch

    def grid(self, rows: int) -> int:
        """How many programs run for so many rows of data."""
        return len(self.sums) * -(-rows // self.batch)


@dataclass(slots=True)
class Act:
    """What happens for a wave, in this order; `added` are flows that are added to others first (from, to, nodes), and
    `totals` sums over all rows of data of constants (from, nodes, to)."""

    added: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    turns: list[Turn] = field(default_factory=list[Turn])
    swept: list[Swept] = field(default_factory=list[Swept])
    spread: list[Spread] = field(default_factory=list[Spread])
    tallies: list[Turn] = field(default_factory=list[Turn])
    totals: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])

    @property
    def launches(self) -> list[Turn | Swept]:
        """Its launches in order."""
        return [*self.turns, *self.swept, *self.tallies]


@dataclass(frozen=True, slots=True)
class Looked:
    """Where the flow of an input's nodes lies at the end: so many rows, of a table, on a column."""

    row: int
    width: int
    table: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Acts in order; `rows` of flows, `blocks` rows of q, `size` numbers of sums, of which a table has those that begin
    at `sums`; the row of a buffer's flow, and the root's; and inputs whose tables' derivatives are asked for."""

    acts: tuple[Act, ...]
    places: NDArray[np.int64]
    rows: int
    blocks: int
    size: int
    sums: dict[int, list[int]]
    flow_of: dict[int, int]
    root: int
    looked: tuple[Looked, ...]

    @property
    def numbers(self) -> int:
        """How many numbers all take for each row of data: flows, and sums of programs that sweep."""
        swept = (each for act in self.acts for each in act.swept)
        return self.rows + sum(-(-len(each.sums) * sum(each.sizes) // each.batch) for each in swept)

    @property
    def launches(self) -> int:
        """How many kernels run."""
        return sum(len(act.launches) for act in self.acts)

    @property
    def kernels(self) -> list[Kernel]:
        """The kernel of each launch, in order."""
        return [launch.kernel for act in self.acts for launch in act.launches]


def course(made: Drawn, precision: Precision, wanted: frozenset[int], summed: bool = True) -> Course:
    """The course of a reverse; `wanted` are the tables whose derivatives are asked for, of inputs if they are `summed`
    over rows."""
    maker = _Maker(made, precision, wanted, summed)
    for wave in reversed(made.waves):
        if isinstance(wave[0].form, LoopForm):
            maker.loops(wave)
        else:
            maker.wave([made.found.groups[work.groups[0]] for work in wave])
    maker.products()
    places = np.array(maker.places, dtype=np.int64)
    root = maker.flow_of[made.found.root]
    sizes = (maker.rows, max(1, maker.blocks), maker.size)
    return Course(tuple(maker.acts), places, *sizes, maker.sums, maker.flow_of, root, tuple(maker.looked))


@dataclass(slots=True)
class _Maker:
    drawn: Drawn
    precision: Precision
    wanted: frozenset[int]
    summed: bool
    looked: list[Looked] = field(default_factory=list[Looked])
    acts: list[Act] = field(default_factory=list[Act])
    places: list[int] = field(default_factory=list[int])
    flow_of: dict[int, int] = field(default_factory=dict[int, int])
    sums: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    slots: dict[tuple[int, int], list[int]] = field(default_factory=dict[tuple[int, int], list[int]])
    uses: Counter[int] = field(default_factory=Counter[int])
    rows: int = 0
    counted: dict[Form, dict[int, list[list[int]]]] = field(default_factory=dict[Form, dict[int, list[list[int]]]])
    blocks: int = 0
    size: int = 0

    def __post_init__(self) -> None:
        found = self.drawn.found
        trails = {work.out for wave in self.drawn.waves for work in wave if isinstance(work.form, LoopForm)}
        parts = (n for n, (host, _) in enumerate(found.homes) if host != n and host not in trails)
        self.uses = Counter([found.root, *parts])
        for group in found.groups:
            kinds = zip(group.form.slots, group.operands, strict=True)
            self.uses.update(operand for kind, operand in kinds if kind == "buffer")
        self.flow_of[found.root] = self._rows(1)

    def _rows(self, width: int) -> int:
        self.rows += width
        return self.rows - width

    def wave(self, groups: Sequence[Group]) -> None:
        """The act of a wave."""
        act = Act()
        taken: Counter[tuple[int, int]] = Counter()
        tallied: dict[tuple[int, int], list[int]] = {}
        pulled: list[tuple[Group, int, int]] = []
        for group in groups:
            flow = self._flow(group.out, act)
            if flow is None:
                continue
            source, matrix = flow, group.form.matrix
            if matrix is not None:
                source = self._rows(group.form.value.width)
                pulled.append((group, source, self.blocks))
                self.blocks += matrix.blocks
            self._leaves(group, source, act, taken, tallied)
        if pulled:
            self._matrices(pulled, act)
        self._tallies(act, tallied)
        self.acts.append(act)

    def loops(self, works: Sequence[Work]) -> None:
        """The act of loops of one form."""
        act, form = Act(), works[0].form
        assert isinstance(form, LoopForm)
        groups, where = self.drawn.found.groups, self.drawn.where
        taken: Counter[tuple[int, int]] = Counter()
        tallied: dict[tuple[int, int], list[int]] = {}
        stepped: dict[tuple[int, int], list[int]] = {}
        first, sums = len(self.places), list[tuple[int, ...]]()
        for work in works:
            each = [groups[number] for number in work.groups]
            flow, rows = self.flow_of[each[-1].out], self._rows(form.flows[-1])
            self.places += [where[place] if buffer else place for buffer, place in work.operands[:-2]]
            self.places += [flow, rows]
            period = len(form.stages)
            sums.append(tuple(self._sum(group.operands[0], taken) for group in each[:period]))
            if reads_inputs(form):
                self.flow_of[groups[each[0].after[0]].out] = rows
            for number, stage in enumerate(form.stages):
                own, turns = rows + form.flows[number], each[number::period]
                if reads_inputs(form):
                    self._looks(stage, turns, own, stepped, taken)
                elif form.kept[number]:
                    for turn, group in enumerate(turns):
                        self._leaves(group, own + turn * stage.value.width, act, taken, tallied)
        kernel, tiles = self._backed(form)
        act.swept.append(Swept(kernel, tiles, first, tuple(sums), tuple(sizes_of(form)), form))
        self._tallies(act, tallied)
        self._tallies(act, stepped, form.count)
        self.acts.append(act)

    def _looks(
        self,
        stage: Form,
        turns: Sequence[Group],
        rows: int,
        stepped: dict[tuple[int, int], list[int]],
        taken: Counter[tuple[int, int]],
    ) -> None:
        """What the flows of a stage's values, which begin at `rows`, do for its inputs, in all turns."""
        width = stage.value.width
        for leaf in leaves(stage.value):
            if not isinstance(leaf, Look) or turns[0].operands[leaf.table] not in self.wanted:
                continue
            for turn, group in enumerate(turns):
                table, column = (group.operands[slot] for slot in (leaf.table, leaf.column))
                self.looked.append(Looked(rows + turn * width, width, table, column))
            if self.summed:
                column, after = (turn.operands[leaf.column] for turn in turns[:2])
                own = stepped.setdefault((leaf.width, leaf.rows), [])
                own += [rows, column, after - column, self._sum(turns[0].operands[leaf.table], taken)]

    def _tallies(self, act: Act, tallied: dict[tuple[int, int], list[int]], turns: int = 1) -> None:
        """The launches that add flows of inputs up, by width and values."""
        for (width, rows), own in tallied.items():
            what, count = Tallies(width, rows, turns), len(own) // PLACES
            kernel, tiles = self._backed(what)
            act.tallies.append(Turn(kernel, tiles, 0, len(self.places), count * turns, what, count))
            self.places += own

    def _backed(self, what: Backward) -> tuple[Kernel, Tiles]:
        made = self.drawn
        return backed(what, made.plan.most, made.plan.batch, self.precision, made.gpu, made.choices)

    def _flow(self, buffer: int, act: Act) -> int | None:
        """Where the flow of a buffer that a group wrote lies: from what reads it and from a join that it is part of."""
        found: Grouped = self.drawn.found
        host, start = found.homes[buffer]
        own = self.flow_of.get(buffer)
        if host == buffer:
            return own
        while host not in self.flow_of and found.homes[host][0] != host:
            host, start = found.homes[host][0], start + found.homes[host][1]
        if host not in self.flow_of:
            return own
        joined = self.flow_of[host] + start
        if own is None:
            self.flow_of[buffer] = joined
            return joined
        act.added.append((joined, own, found.widths[buffer]))
        return own

    def _leaves(
        self,
        group: Group,
        source: int,
        act: Act,
        taken: Counter[tuple[int, int]],
        tallies: dict[tuple[int, int], list[int]],
    ) -> None:
        """What the flow of a group's value, which begins at row `source`, does for its leaves."""
        value, operands = group.form.value, group.operands
        plain = value.factors if isinstance(value, Times) else (value,)
        targets: list[tuple[int, bool]] = []
        for leaf in leaves(value):
            same = leaf.width == value.width and leaf in plain
            target, adds = -1, False
            match leaf:
                case Read(slot, width):
                    buffer = operands[slot]
                    if same and self.uses[buffer] == 1:
                        self.flow_of[buffer] = source
                    else:
                        if buffer not in self.flow_of:
                            self.flow_of[buffer] = self._rows(width)
                        target, adds = self.flow_of[buffer], True
                case Look(table, column, width, rows) if operands[table] in self.wanted:
                    target = -1 if same else self._rows(width)
                    place = source if same else target
                    self.looked.append(Looked(place, width, operands[table], operands[column]))
                    if self.summed:
                        own = tallies.setdefault((width, rows), [])
                        own += [place, operands[column], 0, self._sum(operands[table], taken)]
                case Constant(table, width) if operands[table] in self.wanted:
                    target = -1 if same else self._rows(width)
                    place = source if same else target
                    act.totals.append((place, width, self._sum(operands[table], taken)))
                case _:
                    pass
            targets.append((target, adds))
        if any(row >= 0 for row, _ in targets):
            picked = [slot for slot, kind in enumerate(group.form.slots) if kind == "index"]
            indices = {slot: self.drawn.found.program.indices[operands[slot]] for slot in picked}
            act.spread.append(Spread(source, value, tuple(targets), indices))

    def _sum(self, table: int, taken: Counter[tuple[int, int]], copies: int = 1) -> int:
        """Where the sums of a table lie, or so many of them; groups of one act that share it have their own, so that
        none waits."""
        known = self.slots.setdefault((table, copies), [])
        taken[table, copies] += 1
        if taken[table, copies] > len(known):
            size = prod(self.drawn.found.program.tables[table])
            known.append(self.size)
            self.sums.setdefault(table, []).extend(self.size + copy * size for copy in range(copies))
            self.size += copies * size
        return known[taken[table, copies] - 1]

    def _matrices(self, pulled: Sequence[tuple[Group, int, int]], act: Act) -> None:
        """The launch of a wave of one form, flows of its values; what its weights' sums are made of stays."""
        form = pulled[0][0].form
        first, where = len(self.places), self.drawn.where
        for group, source, block in pulled:
            placed = self.drawn.space.operands(group)
            row = [where[group.out], *(where[place] if buffer else place for buffer, place in placed)]
            row += [source, block, self.flow_of[group.out], 0]
            self.places += row
            if group.operands[0] in self.wanted:
                self.counted.setdefault(form, {}).setdefault(group.operands[0], []).append(row)
        kernel, tiles = self._backed(Pulls(form))
        act.turns.append(Turn(kernel, tiles, tiles.batch, first, len(pulled), Pulls(form), len(pulled)))

    def products(self) -> None:
        """The last act: sums for the weights of all groups of a form, those of one table in a few products."""
        act = Act()
        taken: Counter[tuple[int, int]] = Counter()
        for form, by_table in self.counted.items():
            matrix, what = matrix_in(form), Outers(form)
            kernel, tiles = self._backed(what)
            programs = back_programs(what, tiles)
            given: list[int] = []
            for table, rows in by_table.items():
                size = -(-len(rows) // policy.products(programs * len(by_table), len(rows), self.drawn.gpu))
                for start in range(0, len(rows), size):
                    own = [list(row) for row in rows[start : start + size]]
                    own[0][-1] = self._sum(table, taken, matrix.blocks if matrix.shared else 1)
                    given += [len(self.places), len(own)]
                    self.places += [place for row in own for place in row]
            groups = sum(map(len, by_table.values()))
            act.turns.append(Turn(kernel, tiles, 0, len(self.places), groups, what, len(given) // 2))
            self.places += given
        if act.turns:
            self.acts.append(act)
