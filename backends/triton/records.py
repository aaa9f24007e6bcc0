"""A network of scalar nodes as records that kernels read: nodes by level, in tiles, their edges laid out for lanes.

What enters is a layout; what leaves are arrays of 32-bit words. Products are parted into pairs, so that the derivative
of a product with respect to a member is the other member and nothing is divided. The edges of a tile lie one after the
other for each place among members, so that neighbouring nodes read neighbouring words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.program.program import LEAF, PRODUCT, SUM, Layout
from ...ir.program.ranks import Ranked, ranked

Words = NDArray[np.int32]

LEAVES, PRODUCTS, SUMS, CHOICES = LEAF, PRODUCT, SUM, 3
"""Kinds of tiles."""


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Nodes in tiles of `width` lanes; `ranks` bound the tiles that may run together, [ranks + 1].

    A record of a tile is its kind, where its edges begin, how many rounds of `width` edges it has, and whether it is
    one node whose edges lie across the lanes. `nodes` are the places of its nodes, −1 for a lane without one, [tiles,
    width]. Edge e of lane n stands at start + e · width + n of `members` and of `names`; its member is −1 if there is
    none.
    """

    width: int
    records: Words
    nodes: Words
    members: Words
    names: Words
    ranks: Words

    @property
    def count(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Nodes with their edges: kinds, levels and places [nodes]; offsets into members and names."""

    kinds: Indices
    levels: Indices
    places: Indices
    offsets: Indices
    members: Indices
    names: Indices


def tiles(edges: Edges, width: int) -> Tiles:
    """Nodes level by level, those of a kind and of as many edges together; one of many edges has a tile of its own."""
    lengths = np.diff(edges.offsets)
    wide = (lengths > 2 * width) & (edges.kinds == SUM)
    order = np.lexsort((edges.places, lengths, wide, edges.kinds, edges.levels))
    key = np.stack([edges.levels[order], edges.kinds[order], wide[order]])
    first = np.ones(len(order), dtype=bool)
    first[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    group = np.cumsum(first) - 1
    within = np.arange(len(order)) - np.flatnonzero(first)[group]
    lane = np.where(wide[order], 0, within % width)
    opens = lane == 0
    tile = np.cumsum(opens) - 1
    heads = np.flatnonzero(opens)
    count = len(heads)
    nodes = np.full((count, width), -1, dtype=np.int32)
    nodes[tile, lane] = edges.places[order]
    longest = np.zeros(count, dtype=np.int64)
    np.maximum.at(longest, tile, lengths[order])
    alone = wide[order][heads]
    rounds = np.where(alone, -(-longest // width), longest)
    starts = np.concatenate([[0], np.cumsum(rounds * width)])
    members = np.full(int(starts[-1]), -1, dtype=np.int32)
    names = np.zeros(int(starts[-1]), dtype=np.int32)
    own = lengths[order]
    edge = np.arange(int(own.sum())) - np.repeat(np.cumsum(own) - own, own)
    source = np.repeat(edges.offsets[:-1][order], own) + edge
    at = np.repeat(starts[:-1][tile], own) + np.where(
        np.repeat(alone[tile], own), edge, edge * width + np.repeat(lane, own)
    )
    members[at], names[at] = edges.members[source], edges.names[source]
    records = np.stack([edges.kinds[order][heads], starts[:-1], rounds, alone], axis=1).astype(np.int32)
    levels = edges.levels[order][heads]
    bounds = np.append(np.flatnonzero(np.diff(levels, prepend=levels[0] - 1 if count else 0)), count)
    return Tiles(width, records, nodes, members, names, bounds.astype(np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Wired:
    """The nodes of a network by place, products in pairs: those of the ranked network first, then parts of products.

    Edges stand in order of the nodes that read them; `weights` name entries of the table after the weight 1, 0 for
    that; `others` are the other member of a product, −1 if there is none. `readers` are the nodes that read.
    """

    net: Ranked
    kinds: Indices
    levels: Indices
    offsets: Indices
    members: Indices
    weights: Indices
    others: Indices

    @property
    def nodes(self) -> int:
        return len(self.kinds)

    @property
    def root(self) -> int:
        return self.net.nodes - 1

    @property
    def readers(self) -> Indices:
        return np.repeat(np.arange(self.nodes), np.diff(self.offsets))

    @property
    def positions(self) -> Indices:
        """Which member of its node each edge is, [edges]."""
        return np.arange(len(self.members)) - np.repeat(self.offsets[:-1], np.diff(self.offsets))


def wired(layout: Layout) -> Wired:
    """The network of a layout with products in pairs, as a balanced tree where there are more members."""
    net = ranked(layout)
    kinds = np.full(net.nodes, LEAF, dtype=np.int64)
    lengths = np.diff(net.offsets)
    for rank in net.ranks:
        kinds[rank.nodes] = rank.kind
    rounds = np.where(kinds == PRODUCT, np.ceil(np.log2(np.maximum(lengths, 2))), 1).astype(np.int64)
    levels = np.zeros(net.nodes, dtype=np.int64)
    for rank in net.ranks:
        deepest = np.zeros(len(rank.offsets) - 1, dtype=np.int64)
        some = np.flatnonzero(np.diff(rank.offsets))
        if len(some):
            deepest[some] = np.maximum.reduceat(levels[net.members[rank.edges]], rank.offsets[some])
        levels[rank.nodes] = deepest + rounds[rank.nodes]
    reader = np.repeat(np.arange(net.nodes), lengths)
    product = kinds[reader] == PRODUCT
    owner, member = reader[product], net.members[product]
    made_readers, made_members, made_levels = [], [], []
    count, turn = net.nodes, 0
    while True:
        sizes = np.bincount(owner, minlength=net.nodes)
        if sizes.max(initial=0) <= 2:
            break
        turn += 1
        starts = np.cumsum(sizes) - sizes
        position = np.arange(len(owner)) - starts[owner]
        left = (sizes[owner] > 2) & (position % 2 == 0) & (position + 1 < sizes[owner])
        right = np.concatenate([[False], left[:-1]])
        new = count + np.arange(int(left.sum()))
        made_readers.append(np.repeat(new, 2))
        made_members.append(np.stack([member[left], member[right]], axis=1).ravel())
        made_levels.append((levels - rounds)[owner[left]] + turn)
        count += len(new)
        member = member.copy()
        member[left] = new
        owner, member = owner[~right], member[~right]
    summed = ~product
    readers = np.concatenate([reader[summed], owner, *made_readers])
    members = np.concatenate([net.members[summed], member, *made_members])
    weights = np.concatenate([net.weights[summed] + 1, np.zeros(len(members) - int(summed.sum()), dtype=np.int64)])
    order = np.argsort(readers, kind="stable")
    readers, members, weights = readers[order], members[order], weights[order]
    kinds = np.concatenate([kinds, np.full(count - net.nodes, PRODUCT)])
    levels = np.concatenate([levels, *made_levels]).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(readers, minlength=count))])
    others = np.full(len(members), -1)
    first = offsets[:-1][(kinds == PRODUCT) & (np.diff(offsets) == 2)]
    others[first], others[first + 1] = members[first + 1], members[first]
    return Wired(net, kinds, levels, offsets, members, weights, others)


def upward(net: Wired, width: int) -> Tiles:
    """Tiles from the leaves up; a leaf has one edge, its column and where its values begin."""
    leaf = net.kinds == LEAF
    counts = np.where(leaf, 1, np.diff(net.offsets))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    members, names = np.empty(offsets[-1], dtype=np.int64), np.empty(offsets[-1], dtype=np.int64)
    inner = np.repeat(~leaf, counts)
    members[inner], names[inner] = net.members, net.weights
    own = net.net.leaf
    layout = net.net.layout
    members[~inner], names[~inner] = layout.leaf_columns[own], layout.leaf_offsets[own]
    return tiles(Edges(net.kinds, net.levels, np.arange(net.nodes), offsets, members, names), width)


def downward(net: Wired, width: int) -> Tiles:
    """Tiles from the root down: each node with the nodes that read it, by the edges' weights; the edge of a product has
    −2 less the other member's place."""
    names = np.where(net.others >= 0, -2 - net.others, net.weights)
    return tiles(_turned(net, names), width)


def _turned(net: Wired, names: Indices) -> Edges:
    """For each node the edges that read it."""
    order = np.argsort(net.members, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(net.members, minlength=net.nodes))])
    kinds = np.full(net.nodes, SUM)
    return Edges(kinds, -net.levels, np.arange(net.nodes), offsets, net.readers[order], names[order])


def by_weight(net: Wired, count: int, width: int) -> Tiles:
    """Tiles of entries of the table of weights, the weight 1 left out: each with the edges that have it, as the nodes
    that read and that are read."""
    heavy = np.flatnonzero(net.weights > 0)
    order = heavy[np.argsort(net.weights[heavy], kind="stable")]
    numbers = np.bincount(net.weights[heavy], minlength=count + 1)[1:]
    offsets = np.concatenate([[0], np.cumsum(numbers)])
    kinds, levels = np.full(count, SUM), np.zeros(count, dtype=np.int64)
    edges = Edges(kinds, levels, np.arange(count), offsets, net.readers[order], net.members[order])
    return tiles(edges, width)


def by_value(net: Wired, columns: Indices, width: int) -> tuple[Tiles, Indices]:
    """Tiles of leaves, each with its column and where its sums begin; and the entry of the table of leaves that each
    sum is for. The kind of a tile is the number of values of its leaves, that for missing with them."""
    layout, own = net.net.layout, net.net.leaf
    sizes = columns[layout.leaf_columns[own]] + 1
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    entries = np.repeat(layout.leaf_offsets[own] - starts[:-1], sizes) + np.arange(starts[-1])
    levels = np.zeros(len(own), dtype=np.int64)
    places, offsets = np.arange(len(own)), np.arange(len(own) + 1)
    edges = Edges(sizes, levels, places, offsets, layout.leaf_columns[own], starts[:-1])
    return tiles(edges, width), entries


def slotted(net: Wired, up: Tiles) -> tuple[Tiles, int, int]:
    """The same tiles over slots, of which there are fewer than nodes; how many, and the root's.

    A slot is free again in the level after the last that reads it.
    """
    last = net.levels.copy()
    np.maximum.at(last, net.members, net.levels[net.readers])
    last[net.root] = np.iinfo(np.int64).max
    order = np.argsort(net.levels, kind="stable")
    bounds = np.append(np.flatnonzero(np.diff(net.levels[order], prepend=-1)), net.nodes)
    leaving = np.argsort(last, kind="stable")
    ends = np.searchsorted(last[leaving], net.levels[order[bounds[:-1]]])
    slots = np.empty(net.nodes, dtype=np.int64)
    free, size, gone = np.empty(0, dtype=np.int64), 0, 0
    for rank, (start, stop) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        free = np.concatenate([free, slots[leaving[gone : ends[rank]]]])
        gone = int(ends[rank])
        need = stop - start
        taken, free = free[:need], free[need:]
        fresh = np.arange(size, size + need - len(taken))
        size += len(fresh)
        slots[order[start:stop]] = np.concatenate([taken, fresh])
    nodes = np.where(up.nodes >= 0, slots[up.nodes], -1).astype(np.int32)
    members = up.members.copy()
    leaf = np.zeros(len(members), dtype=bool)
    first = int((up.records[:, 0] == LEAVES).sum())
    bound = int(up.records[first, 1]) if first < up.count else len(members)
    leaf[:bound] = True
    inner = ~leaf & (members >= 0)
    members[inner] = slots[members[inner]]
    return Tiles(up.width, up.records, nodes, members, up.names, up.ranks), size, int(slots[net.root])


def descending(net: Wired, width: int) -> Tiles:
    """Tiles from the root down: of each level first whether its nodes are reached, by the readers' members, then what
    those of its sums choose. The edge of a product has the name −1."""
    names = np.where(np.repeat(net.kinds == SUM, np.diff(net.offsets)), net.positions, -1)
    reach = _turned(net, names)
    chosen = np.flatnonzero(net.kinds == SUM)
    lengths = np.diff(net.offsets)[chosen]
    inner = np.repeat(net.kinds == SUM, np.diff(net.offsets))
    both = Edges(
        np.concatenate([reach.kinds, np.full(len(chosen), CHOICES)]),
        np.concatenate([2 * reach.levels, 1 - 2 * net.levels[chosen]]),
        np.concatenate([reach.places, chosen]),
        np.concatenate([reach.offsets, reach.offsets[-1] + np.cumsum(lengths)]),
        np.concatenate([reach.members, net.members[inner]]),
        np.concatenate([reach.names, net.weights[inner]]),
    )
    return tiles(both, width)


def by_leaf(net: Wired, columns: Indices, width: int) -> Tiles:
    """Tiles of leaves with their columns and where their values begin, by their numbers of values."""
    layout, own = net.net.layout, net.net.leaf
    sizes = columns[layout.leaf_columns[own]]
    places, offsets = np.arange(len(own)), np.arange(len(own) + 1)
    edges = Edges(
        sizes, np.zeros(len(own), dtype=np.int64), places, offsets, layout.leaf_columns[own], layout.leaf_offsets[own]
    )
    return tiles(edges, width)
