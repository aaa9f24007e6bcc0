"""The first proof of determinism: sums whose children each have an input on one variable, on values apart.

That is a decision on a variable: what most circuits compiled from logic are made of. What enters is a graph and the
classes of its inputs; what leaves is which sums are not proved so. It looks one step down, and never at the same sum
twice: linear in the inputs that stand directly under the sums' children, but for sorting them.
"""

from __future__ import annotations

import numpy as np

from ....ir.linear import Indices
from ....ir.scope import Bits
from ....ir.support import Booleans
from .domains import Domains
from .graph import PRODUCT, Graph

# So many inputs under sums are sorted at once.
_CHUNK = 1 << 21


def undecided(graph: Graph, domains: Domains, sums: Indices, usable: Booleans) -> Indices:
    """Those of the sums for which no variable, of the usable ones, has its values apart under all children."""
    literals = _Literals.of(graph, domains, usable)
    proved = np.zeros(len(sums), dtype=bool)
    for part in _stretches(graph, literals, sums):
        proved[part] = _decided(graph, domains, literals, sums[part])
    return sums[~proved]


class _Literals:
    """The inputs that restrict a usable variable, directly under each product, or that a node is itself."""

    def __init__(self, offsets: Indices, nodes: Indices) -> None:
        self.offsets, self.nodes = offsets, nodes

    @staticmethod
    def of(graph: Graph, domains: Domains, usable: Booleans) -> _Literals:
        literal = np.zeros(graph.size, dtype=bool)
        inputs = np.flatnonzero(domains.variable >= 0)
        literal[inputs] = domains.restricts[domains.row[inputs]] & usable[domains.variable[inputs]]
        kept = literal[graph.members]
        running = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
        counts = running[graph.offsets[1:]] - running[graph.offsets[:-1]]
        counts[graph.kinds != PRODUCT] = 0
        own = np.repeat(graph.kinds == PRODUCT, graph.counts) & kept
        named = graph.members[own]
        if not len(inputs):
            return _Literals(np.concatenate([[0], np.cumsum(counts)]), named)
        counts[literal] = 1
        offsets = np.concatenate([[0], np.cumsum(counts)])
        nodes = np.empty(offsets[-1], dtype=np.int64)
        single = np.zeros(len(nodes), dtype=bool)
        places = np.flatnonzero(literal)
        single[offsets[places]] = True
        nodes[single] = places
        nodes[~single] = named
        return _Literals(offsets, nodes)


def _stretches(graph: Graph, literals: _Literals, sums: Indices) -> list[slice]:
    """Stretches of the sums with few enough inputs below them."""
    each = np.diff(literals.offsets)
    running = np.concatenate([[0], np.cumsum(each[graph.members])])
    sizes = running[graph.offsets[sums + 1]] - running[graph.offsets[sums]]
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    out: list[slice] = []
    start = 0
    while start < len(sums):
        stop = max(start + 1, int(np.searchsorted(bounds, bounds[start] + _CHUNK, side="right")) - 1)
        out.append(slice(start, stop))
        start = stop
    return out


def _decided(graph: Graph, domains: Domains, literals: _Literals, sums: Indices) -> Booleans:
    """Which of some sums are proved."""
    counts = graph.counts[sums]
    children = graph.members[_ranges(graph.offsets[sums], counts)]
    owner = np.repeat(np.arange(len(sums)), counts)
    each = np.diff(literals.offsets)[children]
    found = literals.nodes[_ranges(literals.offsets[children], each)]
    edge = np.repeat(np.arange(len(children)), each)
    variable = domains.variable[found]
    # A sum's edges are numbered in a row, so that variable, within sum, within edge sorts by all three.
    key = owner[edge] * max(1, len(domains.variables)) + variable
    if (1 + len(sums)) * max(1, len(domains.variables)) * max(1, len(children)) < 1 << 62:
        order = np.argsort(key * len(children) + edge)
    else:
        order = np.lexsort((edge, key))
    key, edge, row = key[order], edge[order], domains.row[found[order]]
    first = np.concatenate([[True], (key[1:] != key[:-1]) | (edge[1:] != edge[:-1])]) if len(key) else key > 0
    key, row = key[first], row[first]
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, dtype=np.int64)
    sizes = np.diff(np.concatenate([starts, [len(key)]]))
    groups = key[starts] // max(1, len(domains.variables))
    complete = np.flatnonzero(sizes == counts[groups])
    apart = _apart(domains.masks[row], starts, sizes, complete)
    out = np.zeros(len(sums), dtype=bool)
    out[groups[complete[apart]]] = True
    return out


def _apart(masks: Bits, starts: Indices, sizes: Indices, chosen: Indices) -> Booleans:
    """Which of the chosen stretches of masks have no bit in common, any two of them."""
    if not len(chosen):
        return np.zeros(0, dtype=bool)
    gathered = masks[_ranges(starts[chosen], sizes[chosen])]
    offsets = np.concatenate([[0], np.cumsum(sizes[chosen])[:-1]])
    together = np.bitwise_count(np.bitwise_or.reduceat(gathered, offsets, axis=0)).sum(axis=1, dtype=np.int64)
    alone = np.add.reduceat(np.bitwise_count(gathered).sum(axis=1, dtype=np.int64), offsets)
    return np.asarray(together == alone)


def _ranges(starts: Indices, counts: Indices) -> Indices:
    """The numbers starts[i] … starts[i] + counts[i] - 1, one stretch after the other."""
    bounds = np.cumsum(counts)
    total = int(bounds[-1]) if len(bounds) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (bounds - counts), counts), dtype=np.int64)
