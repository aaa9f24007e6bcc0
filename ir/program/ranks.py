"""A network of scalar nodes by ranks: a node's rank is one more than that of its highest member.

What enters is a layout; what leaves are its nodes in order of rank, so that all nodes of a rank are computed together,
and for each node the edges that read it, so that a walk down gathers what comes from above.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..linear import Indices
from .program import LEAF, Layout


@dataclass(frozen=True, slots=True, eq=False)
class Rank:
    """Nodes first … first + len(lengths) by place, of one kind, with their edges first_edge … in order."""

    kind: int
    first: int
    offsets: Indices
    first_edge: int

    @property
    def nodes(self) -> slice:
        return slice(self.first, self.first + len(self.offsets) - 1)

    @property
    def edges(self) -> slice:
        return slice(self.first_edge, self.first_edge + int(self.offsets[-1]))


@dataclass(frozen=True, eq=False)
class Ranked:
    """The nodes of a layout by place: leaves first, then rank after rank; the root is the last.

    Edges stand in the order of the nodes that read them: `members` are places, `weights` entries of the table of
    weights (−1 for the weight 1). `node` gives the node of the layout at each place.
    """

    layout: Layout
    node: Indices
    members: Indices
    weights: Indices
    offsets: Indices
    ranks: tuple[Rank, ...]
    leaves: int

    @property
    def nodes(self) -> int:
        return len(self.node)

    @cached_property
    def leaf(self) -> Indices:
        """The leaf that stands at each of the first places."""
        return self.layout.members[self.layout.offsets[:-1][self.node[: self.leaves]]]

    @cached_property
    def above(self) -> tuple[Indices, Indices]:
        """The edges that read each node, laid end to end by place, and where each node's begin."""
        order = np.argsort(self.members, kind="stable")
        return order, np.concatenate([[0], np.cumsum(np.bincount(self.members, minlength=self.nodes))])


def ranked(layout: Layout) -> Ranked:
    """The ranks of a layout."""
    below = producers(layout)
    depth = [0] * layout.nodes
    bounds, members = layout.offsets.tolist(), below.tolist()
    for node, kind in enumerate(layout.kinds.tolist()):
        if kind != LEAF:
            depth[node] = 1 + max([depth[member] for member in members[bounds[node] : bounds[node + 1]]], default=0)
    depths, kinds = np.array(depth, dtype=np.int64), layout.kinds.astype(np.int64)
    order = np.lexsort((np.arange(layout.nodes), kinds, depths))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    inner = kinds[order] != LEAF
    lengths = np.where(inner, np.diff(layout.offsets)[order], 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    edge = np.repeat(layout.offsets[:-1][order] - offsets[:-1], lengths) + np.arange(offsets[-1])
    leaves = int((kinds == LEAF).sum())
    keys = depths[order] * 4 + kinds[order]
    starts = leaves + np.flatnonzero(np.diff(keys[leaves:], prepend=-1))
    ranks = [
        Rank(int(kinds[order[a]]), int(a), offsets[a : b + 1] - offsets[a], int(offsets[a]))
        for a, b in zip(starts, [*starts, len(order)][1:], strict=True)
    ]
    return Ranked(layout, order, place[below[edge]], layout.weights[edge], offsets, tuple(ranks), leaves)


def producers(layout: Layout) -> Indices:
    """The node that each member names, [edges]: slots are reused, nodes are not; a leaf's own member is itself."""
    count = layout.nodes
    reader = np.repeat(np.arange(count), np.diff(layout.offsets))
    order = np.argsort(layout.slots * count + np.arange(count))
    writes = (layout.slots * count + np.arange(count))[order]
    found = np.searchsorted(writes, layout.members * count + reader) - 1
    return np.where(layout.kinds[reader] == LEAF, reader, order[np.maximum(found, 0)])
