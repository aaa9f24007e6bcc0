"""Scalar nodes packed into blocks: a file of a million of them becomes two blocks per level.

What enters are input blocks and, for each other node, whether it is a sum or a product, its children and their
weights, as arrays; what leaves is a root block with the parameters that were made. A node's level is the length of its
longest path down to an input; the products of a level are one block, its sums another, and a block stands on just those
that its nodes name. Everything is laid out for all nodes at once, so that a circuit as deep as it is large costs little
more than a flat one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.block import Block, Indexed, Product, Sum, indexed, select
from ...ir.expression import Expression
from ...ir.linear import Indices, Sparse
from ...ir.parameter import Constraint, Floats, Parameter, Value, constant
from ...ir.span import Span
from .tokens import stretches

Booleans = NDArray[np.bool_]
_Whole = NDArray[np.signedinteger[Any]]  # in 32 bits where these do

# Sums of so many children at most are looked through pair by pair, which takes less than sorting them.
_SHORT = 8

# Keys below this are told apart by a table rather than by sorting.
_TABLE = 1 << 24


@dataclass(frozen=True, slots=True)
class Packed:
    """A root block of width 1, and the parameters of its sums by name with their values."""

    root: Block
    values: dict[str, tuple[Parameter, Value]] = field(default_factory=dict[str, tuple[Parameter, Value]])


class Cyclic(Exception):
    """A node stands on itself, through others; `node` is its number, without the leaves."""

    def __init__(self, node: int) -> None:
        self.node = node
        super().__init__(f"node {node} stands on itself")


def pack(
    inputs: Sequence[Block],
    sums: Booleans,
    offsets: Indices,
    members: Indices,
    weights: Floats | None,
    root: int,
    name: str = "circuit",
    learnable: bool = True,
    first: int = 1,
    span: Span | None = None,
) -> Packed:
    """The circuit below a node as blocks; nodes that it does not stand on are left out.

    The nodes of the input blocks, laid end to end, are 0 … L−1; node L + k is a sum where sums[k], else a product, of
    the children members[offsets[k] … offsets[k+1]], in any order of the nodes. `weights`, one per member (those of
    products are not read), are 1 if not given. Where they are, edges of weight zero are left out, and each block of
    sums has a learnable parameter, `name.first`, … from the inputs up, or constants where not `learnable`.

    Raises: Cyclic where a node stands on itself.
    """
    leaves = sum(block.width for block in inputs)
    if root < leaves:
        block, node = _leaf(inputs, root)
        return Packed(select(block, [node], span))
    if weights is not None:
        owner = np.repeat(np.arange(len(sums)), np.diff(offsets))
        kept = (weights != 0) | ~sums[owner]
        if not kept.all():
            members, weights = members[kept], weights[kept]
            offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=len(sums)))])
    live = _reached(offsets, members, leaves, root - leaves)
    if not live.all():
        sums, offsets, members, weights, root = _kept(live, sums, offsets, members, weights, leaves, root)
    levels = _levels(offsets, members, leaves)
    if not levels.all():
        raise Cyclic(int(np.flatnonzero(live)[levels == 0][0]))
    made = _Layout(inputs, sums, offsets, members, weights, levels).blocks(name, learnable, first, span)
    return Packed(*made)


def _leaf(inputs: Sequence[Block], node: int) -> tuple[Block, int]:
    for block in inputs:
        if node < block.width:
            return block, node
        node -= block.width
    raise AssertionError("a leaf is a node of an input block")


def _reached(offsets: Indices, members: Indices, leaves: int, root: int) -> Booleans:
    """Which nodes the root stands on: those that are left when nodes without a parent are taken away in turn."""
    count = len(offsets) - 1
    parents = np.bincount(members, minlength=leaves + count)[leaves:]
    live = np.ones(count, dtype=bool)
    parents[root] += 1
    place, lengths = np.zeros(count, dtype=np.int64), np.diff(offsets)
    dead = np.flatnonzero(parents == 0)
    while len(dead):
        live[dead] = False
        below = members[stretches(offsets[dead], lengths[dead])] - leaves
        dead = _settled(below[below >= 0], parents, place)
    return live


def _settled(nodes: Indices, counts: Indices, place: Indices) -> Indices:
    """Counts each of the nodes down by one, as often as it stands there, and gives those that reach zero, each once."""
    np.subtract.at(counts, nodes, 1)
    ready = nodes[counts[nodes] == 0]
    place[ready] = np.arange(len(ready))
    return np.asarray(ready[place[ready] == np.arange(len(ready))])  # of equal ones that whose place was written last


def _kept(
    live: Booleans,
    sums: Booleans,
    offsets: Indices,
    members: Indices,
    weights: Floats | None,
    leaves: int,
    root: int,
) -> tuple[Booleans, Indices, Indices, Floats | None, int]:
    """The same arrays of the live nodes only."""
    new = np.concatenate([np.arange(leaves), leaves + np.cumsum(live) - 1])
    edges = np.repeat(live, np.diff(offsets))
    lengths = np.diff(offsets)[live]
    kept = None if weights is None else weights[edges]
    return sums[live], np.concatenate([[0], np.cumsum(lengths)]), new[members[edges]], kept, int(new[root])


def _levels(offsets: Indices, members: Indices, leaves: int) -> Indices:
    """The longest path of each node down to a leaf or an empty product or sum, at least 1.

    Nodes are taken a level at a time, each when the last of its children has been.
    """
    count = len(offsets) - 1
    levels = np.zeros(count, dtype=np.int64)
    inner = members >= leaves
    edges = members[inner] - leaves
    owner = np.repeat(np.arange(count), np.diff(offsets))[inner]
    order = np.argsort(edges)
    parents, bounds = owner[order], np.concatenate([[0], np.cumsum(np.bincount(edges, minlength=count))])
    waiting = np.bincount(owner, minlength=count)
    frontier = np.flatnonzero(waiting == 0)
    place, lengths = np.zeros(count, dtype=np.int64), np.diff(bounds)
    level = 1
    while len(frontier):
        levels[frontier] = level
        frontier = _settled(parents[stretches(bounds[frontier], lengths[frontier])], waiting, place)
        level += 1
    return levels


class _Layout:
    """Where each node and each edge goes, for all blocks at once."""

    def __init__(
        self,
        inputs: Sequence[Block],
        sums: Booleans,
        offsets: Indices,
        members: Indices,
        weights: Floats | None,
        levels: Indices,
    ) -> None:
        self.inputs = list(inputs)
        leaves = sum(block.width for block in inputs)
        kinds = 2 * levels + sums  # products before sums of a level; neither stands on the other
        order = np.argsort(kinds, kind="stable")
        self.starts = np.flatnonzero(np.concatenate([[True], np.diff(kinds[order]) != 0, [True]]))
        self.starts[-1] = len(order)
        self.is_sum = sums[order[self.starts[:-1]]]
        widths = np.concatenate([[block.width for block in inputs], np.diff(self.starts)]).astype(np.int64)
        # Of every node, leaves first: its block, and its place there.
        small: type[np.signedinteger[Any]] = np.int32 if leaves + len(order) + len(members) < 1 << 31 else np.int64
        block_of = np.repeat(np.arange(len(widths), dtype=small), widths)
        place = np.arange(len(block_of), dtype=small) - np.repeat((np.cumsum(widths) - widths).astype(small), widths)
        number = np.arange(leaves + len(order), dtype=small)
        number[leaves + order] = np.arange(leaves, leaves + len(order), dtype=small)
        # The edges in the order of the nodes in their blocks.
        lengths = np.diff(offsets)[order]
        edges = stretches(offsets[order], lengths)
        self.weights = None if weights is None else weights[edges]
        self.offsets = np.concatenate([[0], np.cumsum(lengths)])
        below = number[members[edges]]
        del edges, number
        owner = np.repeat(np.arange(len(order), dtype=small), lengths)
        again = _repeats(owner, below, np.repeat(self.is_sum, np.diff(self.starts)))
        # Which blocks stand in which: a pair once, but where a sum names one node twice.
        span = len(widths) * (int(again.max(initial=0)) + 1)
        blocks = len(self.starts) - 1
        each = np.diff(self.offsets[self.starts])  # the edges of each block
        keys = np.repeat(np.arange(blocks) * span, each)
        if span > len(widths):
            keys += again.astype(np.int64) * len(widths)
        keys += block_of[below]
        del again, block_of
        pairs, which = _distinct(keys, blocks * span)
        del keys
        self.children = pairs % len(widths)
        holder = pairs // span
        self.pairs = np.searchsorted(holder, np.arange(len(self.starts)))
        sizes = widths[self.children]
        before = np.cumsum(sizes) - sizes
        shift = before - before[self.pairs[holder]] if len(pairs) else before
        self.columns = shift[which]
        self.columns += place[below]
        del which, below, place
        self.rows = np.subtract(owner, np.repeat(self.starts[:-1].astype(small), each), dtype=np.int64)
        for array in (self.columns, self.rows):
            array.flags.writeable = False

    def blocks(
        self, name: str, learnable: bool, first: int, span: Span | None
    ) -> tuple[Block, dict[str, tuple[Parameter, Value]]]:
        """The last block, and the parameters of all."""
        made = list(self.inputs)
        values: dict[str, tuple[Parameter, Value]] = {}
        starts, pairs, kinds = self.starts.tolist(), self.pairs.tolist(), self.is_sum.tolist()
        edges, below = self.offsets[self.starts].tolist(), self.children.tolist()
        longest = max((b - a for a, b in pairwise(edges)), default=0)
        order, ones = np.arange(longest), np.ones(longest)
        order.flags.writeable = False
        for number, is_sum in enumerate(kinds):
            here, mine = slice(edges[number], edges[number + 1]), slice(pairs[number], pairs[number + 1])
            width, length = starts[number + 1] - starts[number], here.stop - here.start
            bounds = self.offsets[starts[number] : starts[number + 1] + 1] - here.start
            bounds.flags.writeable = False
            children = tuple(made[child] for child in below[mine])
            # The blocks are made as they are: what their makers check holds, and no other block equals one of these.
            if not is_sum:
                made.append(Product(children, Indexed(bounds, self.columns[here]), width, span))
                continue
            expression: Expression
            if self.weights is None or not learnable or not length:
                expression = constant(ones[:length] if self.weights is None else self.weights[here])
            else:
                numbers = self.weights[here]
                called = f"{name}.{first + len(values)}"
                constraint: Constraint = "positive" if bool((numbers > 0).all()) else "real"
                expression = Parameter(called, numbers.shape, constraint, True, span)
                values[called] = expression, Value.of(numbers)
            children = children or (indexed([], [0, 0], []),)  # a block of sums of nothing stands on something
            inputs = sum(child.width for child in children)
            linear = Sparse(self.rows[here], self.columns[here], expression, width, inputs, order[:length], bounds)
            made.append(Sum(children, linear, width, span))
        return made[-1], values


def _distinct(keys: Indices, end: int) -> tuple[Indices, Indices]:
    """The different ones of some keys below `end`, ascending, and of each key which it is."""
    if end <= _TABLE or end <= len(keys):
        there = np.zeros(end, dtype=bool)
        there[keys] = True
        return np.flatnonzero(there), (np.cumsum(there, dtype=np.int32) - np.int32(1))[keys]
    found = np.sort(keys)  # by sorting: there may be as many different ones as edges
    found = found[np.concatenate([[True], found[1:] != found[:-1]])[: len(found)]]
    return found, np.searchsorted(found, keys)


def _repeats(owner: _Whole, below: _Whole, sums: Booleans) -> _Whole:
    """How often the same child has stood before in the same sum, per edge; of products it does not matter."""
    none = np.zeros(len(below), dtype=np.int8)
    of_sums = sums[owner]
    owner, named = owner[of_sums], below[of_sums]
    longest = int(np.bincount(owner).max(initial=0)) if len(owner) else 0
    if longest <= _SHORT and not any(
        np.any((owner[step:] == owner[:-step]) & (named[step:] == named[:-step])) for step in range(1, longest)
    ):
        return none
    keys = owner.astype(np.int64) * (int(named.max(initial=0)) + 1) + named
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return none
    order = np.argsort(keys, kind="stable")
    fresh = np.concatenate([[True], keys[order][1:] != keys[order][:-1]])
    starts = np.flatnonzero(fresh)
    counted = np.arange(len(keys)) - np.repeat(starts, np.diff(np.append(starts, len(keys))))
    found = np.empty_like(counted)
    found[order] = counted
    again = np.zeros(len(below), dtype=np.int64)
    again[of_sums] = found
    return again
