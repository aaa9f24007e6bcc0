"""Variable elimination, traced into scalar nodes: sums over the values of one variable at a time.

What enters is a network and an order; what leaves is nodes, children first. Eliminating X makes, for each assignment
s of what shares a factor with X, the sum Σₓ w(s, x) · [X = x] · (nodes of what was eliminated before): w is the product
of the numeric tables' entries. Tables hold only assignments that are not zero, joined as relations are, and equal nodes
are one, so that zeros and equal rows shrink the circuit. Every sum is over the values of one variable, hence
deterministic; scopes follow the elimination tree, hence smooth and structured-decomposable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log2

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import DanausError, error
from ...ir.parameter import Floats
from .elimination import BYTES, BYTES_JOINED, Order, too_large
from .network import Network
from .relation import MOST_BITS, Layout, Match, Relation, common, join, match, union
from .unique import Indices, unique_rows, unique_stretches


@dataclass(frozen=True, slots=True)
class Scalars:
    """Scalar nodes, children first: inputs are 0 … inputs-1, node k is inputs + k; weights of products are 1."""

    inputs: int
    sums: NDArray[np.bool_]
    offsets: Indices
    members: Indices
    weights: Floats
    root: int
    """-1 where the function is zero everywhere."""


def trace(network: Network, order: Order, memory: int) -> Scalars:
    """The scalar nodes of a network's function, its variables eliminated in an order that holds all that share a table.

    Input nodes are the indicators, one variable after the other, value by value.

    Raises: DanausError `too-large` before the entries of all tables take more than `memory` bytes, and
    `number-range` where a product of entries is too large or too small for float64.
    """
    return _Trace(network, order.variables, memory).run()


class _Trace:
    """The relations that are left, and the nodes made so far, in stretches."""

    def __init__(self, network: Network, order: tuple[int, ...], memory: int) -> None:
        sizes = network.sizes
        self.names, self.order, self.memory = network.names, order, memory
        self.layout = Layout(tuple((sizes[variable] - 1).bit_length() for variable in order))
        self.sizes = tuple(sizes[variable] for variable in order)
        self.first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.inputs = self.next = int(self.first[-1])
        self.spent = 0
        self.sums: list[NDArray[np.bool_]] = []
        self.counts: list[Indices] = []
        self.members: list[Indices] = []
        self.weights: list[Floats] = []
        self.waiting: list[list[Relation]] = [[] for _ in range(len(order) + 1)]
        places = {variable: place for place, variable in enumerate(order)}
        for factor in network.factors:
            self.put(_relation(self.layout, factor.scope, factor.table, places))

    def name(self, place: int) -> str:
        return self.names[self.order[place]]

    def put(self, relation: Relation) -> None:
        """Keeps a relation until the first of its variables is eliminated."""
        self.waiting[relation.scope[0] if relation.scope else -1].append(relation)

    def run(self) -> Scalars:
        for place in range(len(self.order)):
            found, self.waiting[place] = self.waiting[place], []
            values = np.arange(self.sizes[place], dtype=np.int64)
            variable = Relation((place,), values, (values + self.first[self.order[place]],), None)
            whole = self.joined([variable, *found], place)
            self.put(self.summed(whole, place))
        return self.finished()

    def joined(self, found: list[Relation], place: int) -> Relation:
        """One relation for several, joined in the order that keeps them small."""
        found = sorted(found, key=len)
        while len(found) > 1:
            left, right = self.nearest(found)
            pair = match(self.layout, found[left], found[right])
            scope = union(pair.left, pair.right)
            needed = self.spent * BYTES + pair.total * BYTES_JOINED
            if self.layout.width(scope) > MOST_BITS:
                log = sum(log2(self.sizes[variable]) for variable in scope)
                raise too_large(self.name(place), log, 2.0**log * BYTES_JOINED, self.memory)
            if needed > self.memory:
                raise too_large(self.name(place), 0, needed, self.memory, self.spent + pair.total)
            if pair.total > len(pair.left) or pair.total > len(pair.right):
                pair = self.collapsed(pair)
            made = join(self.layout, pair)
            rest = [relation for i, relation in enumerate(found) if i not in (left, right)]
            found = sorted([*rest, made], key=len)
        return found[0]

    def nearest(self, found: list[Relation]) -> tuple[int, int]:
        """The pair whose join is expected to be smallest; of many relations, the smallest and its best partner."""
        best, chosen = float("inf"), (0, 1)
        for left in range(len(found) if len(found) <= _FEW else 1):
            for right in range(left + 1, len(found)):
                shared = self.layout.width(common(found[left], found[right]))
                size = float(len(found[left])) * len(found[right]) / 2.0**shared
                if size < best:
                    best, chosen = size, (left, right)
        return chosen

    def collapsed(self, pair: Match) -> Match:
        """The match with one product in place of several nodes, on the side whose entries are about to be repeated."""
        sides = (pair.left, pair.right)
        left, right = (self.product(side) if pair.total > len(side) else side for side in sides)
        return replace(pair, left=left, right=right)

    def product(self, relation: Relation) -> Relation:
        """The same relation with one column of nodes, products of those of the present columns."""
        if len(relation.nodes) < 2 or not len(relation):
            return relation
        place, first = unique_rows(relation.nodes)
        rows = np.stack([column[first] for column in relation.nodes], axis=1)
        made = self.add(False, np.full(len(first), rows.shape[1]), rows.ravel(), np.ones(rows.size))
        return replace(relation, nodes=(made[place],))

    def summed(self, relation: Relation, place: int) -> Relation:
        """The relation without its lowest variable: one sum for each assignment of the others."""
        relation = self.product(relation)
        scope, bits = relation.scope[1:], self.layout.bits[place]
        if not len(relation):
            return Relation(scope, relation.codes, (relation.codes,), None)
        codes = relation.codes >> bits
        starts = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1, [len(codes)]])
        (nodes,) = relation.nodes
        weights = np.ones(len(nodes)) if relation.weights is None else relation.weights
        if not np.all(np.isfinite(weights) & (weights > 0)):
            raise _out_of_range(f'eliminating "{self.name(place)}" multiplies')
        same, first = unique_stretches((nodes, weights.view(np.int64)), starts)
        lengths = np.diff(starts)[first]
        picked = _stretches(starts[first], lengths)
        members, factors = nodes[picked], weights[picked]
        ends = np.cumsum(lengths)
        alone = (lengths == 1) & (factors[ends - lengths] == 1)
        inside = np.repeat(~alone, lengths)
        made = np.where(alone, members[ends - lengths], -1)
        made[~alone] = self.add(True, lengths[~alone], members[inside], factors[inside])
        return Relation(scope, codes[starts[:-1]], (made[same],), None)

    def add(self, sums: bool, counts: Indices, members: Indices, weights: Floats) -> Indices:
        """New nodes of one kind; their numbers."""
        numbers = np.arange(self.next, self.next + len(counts))
        self.next += len(counts)
        self.spent += len(members)
        self.sums.append(np.full(len(counts), sums))
        self.counts.append(counts)
        self.members.append(members)
        self.weights.append(weights)
        return numbers

    def one(self, is_sum: bool, members: Indices, weights: Floats) -> int:
        """A new node by itself."""
        return int(self.add(is_sum, np.array([len(members)]), members, weights)[0])

    def finished(self) -> Scalars:
        """The product of what is left without variables, as the root, and the nodes that it stands on."""
        rest = self.waiting[-1]
        root = -1
        if all(len(relation) for relation in rest):
            nodes = np.array([column[0] for relation in rest for column in relation.nodes], dtype=np.int64)
            root = int(nodes[0]) if len(nodes) == 1 else self.one(False, nodes, np.ones(len(nodes)))
            factor = 1.0
            for number in [float(relation.weights[0]) for relation in rest if relation.weights is not None] + [1.0]:
                if not _SMALL < factor * number < _LARGE:  # hundreds of factors may leave the range of float64
                    root, factor = self.one(True, np.array([root]), np.array([factor])), 1.0
                factor *= number
            if factor != 1:
                root = self.one(True, np.array([root]), np.array([factor]))
        return self.reached(root)

    def reached(self, root: int) -> Scalars:
        """The nodes below the root, numbered anew."""
        live = np.zeros(self.next, dtype=bool)
        live[root if root >= 0 else slice(0)] = True
        ends = np.cumsum([self.inputs, *(len(counts) for counts in self.counts)])
        kept: list[NDArray[np.bool_]] = []
        for at in reversed(range(len(self.counts))):
            mine = live[ends[at] : ends[at + 1]]
            edges = np.repeat(mine, self.counts[at])
            live[self.members[at][edges]] = True
            kept.append(edges)
        kept.reverse()
        live[: self.inputs] = True
        names = np.cumsum(live) - 1
        inner = live[self.inputs :]
        counts = np.concatenate([np.zeros(0, np.int64), *self.counts])[inner]
        sums = np.concatenate([np.zeros(0, bool), *self.sums])[inner]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        members, weights = np.empty(offsets[-1], dtype=np.int64), np.empty(offsets[-1])
        end = len(members)
        while kept:  # the stretches go as they are copied: they are most of the memory
            edges, below, factors = kept.pop(), self.members.pop(), self.weights.pop()
            start = end - int(edges.sum())
            members[start:end], weights[start:end] = names[below[edges]], factors[edges]
            end = start
        return Scalars(self.inputs, sums, offsets, members, weights, int(names[root]) if root >= 0 else -1)


def _out_of_range(what: str) -> DanausError:
    return error("number-range", f"{what} numbers to more or less than float64 holds", hint="scale the tables")


_SMALL, _LARGE = 1e-250, 1e250

_FEW = 12
"""Among so many relations all pairs are compared."""


def _stretches(starts: Indices, lengths: Indices) -> Indices:
    """The indices starts[i] … starts[i] + lengths[i] - 1, one stretch after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - lengths), lengths))


def _relation(layout: Layout, scope: Sequence[int], table: Floats, places: dict[int, int]) -> Relation:
    """A factor's entries that are not zero; axes of one value go."""
    wide = [axis for axis, size in enumerate(table.shape) if size > 1]
    table = table.reshape([table.shape[axis] for axis in wide])
    mine = [places[scope[axis]] for axis in wide]
    order = sorted(range(len(mine)), key=lambda axis: mine[axis])
    # The first to be eliminated has the lowest bits, hence is the last axis.
    turned = table.transpose(order[::-1])
    named = tuple(mine[axis] for axis in order)
    flat = turned.reshape(-1)
    found = np.flatnonzero(flat)
    codes = np.zeros(len(found), dtype=np.int64)
    left, start = found, 0
    for place, size in zip(named, turned.shape[::-1], strict=True):
        codes |= (left % size) << start
        left, start = left // size, start + layout.bits[place]
    weights = flat[found]
    return Relation(named, codes, (), None if named and np.all(weights == 1) else weights)
