"""The tables of a Program made ready: as numbers, as logarithms, and between which bounds their numbers lie.

What enters are tables in float64, none of them negative; each form is made when it is first asked for, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..parameter import Floats
from .operation import Load, Network
from .program import Program
from .ranks import Ranked, ranked

_LOG_REACH = 600.0


@dataclass(slots=True, eq=False)
class Tabled:
    """A Program whose buffers are filled once each, with its tables."""

    program: Program
    tables: Sequence[Floats]
    ranked: Ranked | None = None
    _logs: dict[int, Floats] = field(default_factory=dict[int, Floats])
    _turned: dict[tuple[int, bool], Floats] = field(default_factory=dict[tuple[int, bool], Floats])
    _bounds: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])
    _sums: dict[int, float] = field(default_factory=dict[int, float])
    _plain: bool | None = None

    def __post_init__(self) -> None:
        if self.program.layouts and self.ranked is None:
            self.ranked = ranked(self.program.layouts[0])

    def numbers(self, table: int, log: bool) -> Floats:
        """A table, as it is or as logarithms."""
        if not log:
            return self.tables[table]
        if table not in self._logs:
            with np.errstate(divide="ignore"):
                self._logs[table] = np.log(self.tables[table])
        return self._logs[table]

    def turned(self, table: int, log: bool) -> Floats:
        """A table of an input, [nodes, values + 1], rows one after the other in memory."""
        if (table, log) not in self._turned:
            self._turned[table, log] = np.ascontiguousarray(self.numbers(table, log).T)
        return self._turned[table, log]

    def bounds(self, table: int) -> tuple[float, float]:
        """The smallest number of a table that is not 0, and the largest: 1 and 0 where all are 0."""
        if table not in self._bounds:
            held = self.tables[table][self.tables[table] > 0]
            self._bounds[table] = (float(held.min()), float(held.max())) if held.size else (1.0, 0.0)
        return self._bounds[table]

    def most(self, table: int) -> float:
        """The largest sum of a row of matrices."""
        if table not in self._sums:
            self._sums[table] = float(self.tables[table].sum(axis=-1).max(initial=0.0))
        return self._sums[table]

    def with_largest(self) -> Tabled:
        """The same, where a missing input on a finite domain is at its largest value, not summed over them."""
        tables = list(self.tables)
        for step in self.program.operations:
            match step:
                case Load(_, table, _):
                    values = self.tables[table][:-1]
                    tables[table] = np.concatenate([values, values.max(axis=0, keepdims=True)])
                case Network(_, layout, leaves, _):
                    own = self.program.layouts[layout]
                    tabled = ~own.soft
                    offsets = own.leaf_offsets[tabled]
                    sizes = np.array(self.program.columns)[own.leaf_columns[tabled]]
                    changed = self.tables[leaves].copy()
                    ends = offsets + sizes
                    starts = np.stack([offsets, ends], axis=1).ravel()
                    if len(starts):
                        changed[ends] = np.maximum.reduceat(np.append(changed, 0.0), starts)[::2]
                    tables[leaves] = changed
                case _:
                    pass
        return Tabled(self.program, tables, self.ranked)

    def plain(self) -> bool:
        """Whether no node of the network can leave the range of float64, whatever the data: its numbers are linear."""
        if self._plain is None:
            step = self.program.network()
            assert self.ranked is not None
            self._plain = not step.sources and _within(
                self.ranked, *(self.numbers(each, True) for each in (step.leaves, step.weights))
            )
        return self._plain


def _within(net: Ranked, leaves: Floats, weights: Floats) -> bool:
    """Bounds on the logarithm of each node that is not 0, from those of leaves and weights."""
    own = net.layout
    low, high = np.zeros(net.nodes), np.zeros(net.nodes)
    worst = 0.0
    if net.leaves:
        starts = own.leaf_offsets
        every = np.append(leaves, 0.0)
        order = np.argsort(starts)
        bottom, top = np.empty(len(starts)), np.empty(len(starts))
        bottom[order] = np.minimum.reduceat(np.where(np.isneginf(every), np.inf, every), starts[order])
        top[order] = np.maximum.reduceat(every, starts[order])
        low[: net.leaves], high[: net.leaves] = bottom[net.leaf], top[net.leaf]
    for rank in net.ranks:
        members = net.members[rank.edges]
        if not len(members):
            continue
        filled = np.flatnonzero(np.diff(rank.offsets))
        starts, nodes = rank.offsets[:-1][filled], rank.first + filled
        if rank.kind == 1:
            low[nodes], high[nodes] = np.add.reduceat(low[members], starts), np.add.reduceat(high[members], starts)
            down, up = np.minimum(low[members], 0.0), np.maximum(high[members], 0.0)  # what part of a product may be
            worst = max(worst, -np.add.reduceat(down, starts).min(), np.add.reduceat(up, starts).max())
        else:
            own_weights = np.append(weights, 0.0)[net.weights[rank.edges]]
            small = np.where(np.isneginf(own_weights), np.inf, own_weights)
            low[nodes] = np.minimum.reduceat(low[members] + small, starts)
            terms = high[members] + own_weights
            high[nodes] = np.maximum.reduceat(terms, starts) + np.log(np.diff(rank.offsets)[filled])
    low, high = low[~np.isposinf(low)], high[~np.isneginf(high)]
    return bool(max(-low.min(initial=0.0), high.max(initial=0.0), worst) < _LOG_REACH)
