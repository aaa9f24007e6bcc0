"""Tables as relations: the assignments that are not zero, each with a number and the nodes that it multiplies.

An assignment is one integer, some bits per variable; the variable that is eliminated first has the lowest bits, in
every table, so that tables are sorted alike and eliminating a variable is a shift. Joins are numpy throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.parameter import Floats
from .unique import Indices

MOST_BITS = 62

_LOOKUP_BITS = 22
"""Tables of so few bits are looked up by index rather than by bisection: five times as fast, for 32 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """Assignments of a scope, sorted and different; `nodes` has one column per node that an entry multiplies.

    The scope's variables are named by their place in the elimination order, in rising order.
    """

    scope: tuple[int, ...]
    codes: Indices
    nodes: tuple[Indices, ...]
    weights: Floats | None

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class Layout:
    """How many bits each variable has, by place in the elimination order."""

    bits: tuple[int, ...]

    def width(self, scope: Sequence[int]) -> int:
        """The bits of an assignment."""
        return sum(self.bits[variable] for variable in scope)

    def moved(self, codes: Indices, scope: Sequence[int], wanted: Sequence[int], into: Sequence[int]) -> Indices:
        """The values of the wanted variables, read where they stand in `scope` and put where they stand in `into`."""
        if tuple(scope) == tuple(wanted) == tuple(into):
            return codes
        source, target = self._starts(scope), self._starts(into)
        runs: list[tuple[int, int, int]] = []  # from which bit, to which bit, how many
        for variable in wanted:
            start, goal, size = source[variable], target[variable], self.bits[variable]
            if runs and runs[-1][0] + runs[-1][2] == start and runs[-1][1] + runs[-1][2] == goal:
                runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + size)
            else:
                runs.append((start, goal, size))
        out = np.zeros(len(codes), dtype=np.int64)
        for start, goal, size in runs:
            if size:
                out |= ((codes >> start) & ((1 << size) - 1)) << goal
        return out

    def _starts(self, scope: Sequence[int]) -> dict[int, int]:
        starts: dict[int, int] = {}
        at = 0
        for variable in scope:
            starts[variable] = at
            at += self.bits[variable]
        return starts


def union(left: Relation, right: Relation) -> tuple[int, ...]:
    """The variables of either, in order."""
    return tuple(sorted({*left.scope, *right.scope}))


def common(left: Relation, right: Relation) -> tuple[int, ...]:
    """The variables of both, in order."""
    shared = set(right.scope)
    return tuple(variable for variable in left.scope if variable in shared)


@dataclass(frozen=True, slots=True)
class Match:
    """Which entries of two relations agree on what they share: entry i of the left with `counts[i]` of the right.

    Those are order[starts[i]], order[starts[i] + 1], …
    """

    left: Relation
    right: Relation
    starts: Indices
    counts: Indices
    order: Indices | None
    total: int


def match(layout: Layout, left: Relation, right: Relation) -> Match:
    """How two relations join, before it is done: `total` is the size of the result."""
    if len(set(left.scope)) < len(set(right.scope)) or (set(left.scope) < set(right.scope)):
        left, right = right, left
    shared = common(left, right)
    mine = layout.moved(left.codes, left.scope, shared, shared)
    theirs = layout.moved(right.codes, right.scope, shared, shared)
    order: Indices | None = None
    if len(theirs) > 1 and np.any(theirs[1:] < theirs[:-1]):
        order = np.argsort(theirs, kind="stable")
        theirs = theirs[order]
    if layout.width(shared) <= _LOOKUP_BITS and 1 << layout.width(shared) <= 8 * (len(mine) + len(theirs)):
        size = 1 << layout.width(shared)
        each = np.bincount(theirs, minlength=size)
        first = np.cumsum(each) - each
        starts, counts = first[mine], each[mine]
    else:
        starts = np.searchsorted(theirs, mine, side="left")
        counts = np.searchsorted(theirs, mine, side="right") - starts
    return Match(left, right, starts, counts, order, int(counts.sum()))


def join(layout: Layout, found: Match) -> Relation:
    """The relation that a match describes: all agreeing pairs, their weights multiplied, their nodes side by side."""
    left, right = found.left, found.right
    scope = union(left, right)
    if len(left) == found.total and (not found.total or found.counts.max() == 1):
        rows, others = None, found.starts
    else:
        rows = np.repeat(np.arange(len(left)), found.counts)
        ends = np.cumsum(found.counts)
        others = np.arange(found.total) + np.repeat(found.starts - (ends - found.counts), found.counts)
    if found.order is not None:
        others = found.order[others]
    mine = left.codes if rows is None else left.codes[rows]
    codes = layout.moved(mine, left.scope, left.scope, scope)
    if scope != left.scope:
        codes = codes | layout.moved(right.codes, right.scope, right.scope, scope)[others]
    sort: Indices | None = None
    if len(codes) > 1 and np.any(codes[1:] < codes[:-1]):
        sort = np.argsort(codes, kind="stable")
        codes = codes[sort]
    rows, others = _picked(rows, sort, len(codes)), others if sort is None else others[sort]
    kept = slice(None) if rows is None else rows
    nodes = (*(column[kept] for column in left.nodes), *(column[others] for column in right.nodes))
    weights = None if left.weights is None else left.weights[kept]
    if right.weights is not None:
        theirs = right.weights[others]
        with np.errstate(over="ignore", under="ignore"):  # who sums them looks
            weights = theirs if weights is None else weights * theirs
    return Relation(scope, codes, nodes, weights)


def _picked(rows: Indices | None, sort: Indices | None, size: int) -> Indices | None:
    if sort is None:
        return rows
    return sort if rows is None else rows[sort]
