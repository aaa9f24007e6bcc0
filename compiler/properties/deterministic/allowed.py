"""The second proof of determinism: what values each node allows each variable, carried upwards.

A product allows what all its factors allow, a sum what some child allows. Two children share no assignment where some
variable has no value that both allow. What enters is a graph and the classes of its inputs; what leaves is, for each
node below some sums, the classes that it allows, as bits in planes: [nodes, classes, words of variables].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ir.linear import Indices
from ....ir.scope import Bits
from ....ir.support import Booleans
from .domains import Domains
from .graph import PRODUCT, Graph

_WORD = 64
# So many bytes are spent on the planes; beyond that the proof is left to the others.
_MOST_BYTES = 1 << 29
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The planes of some nodes of a graph, at `row` of the node (-1: it has none); `usable` are variables, as bits."""

    planes: Bits
    row: Indices
    usable: Bits

    def apart(self, first: Indices, second: Indices) -> Booleans:
        """For pairs of nodes, whether some usable variable has no value that both allow."""
        out = np.empty(len(first), dtype=bool)
        step = max(1, (1 << 21) // max(1, self.planes[0].size if len(self.planes) else 1))
        for start in range(0, len(first), step):
            part = slice(start, start + step)
            both = self.planes[self.row[first[part]]] & self.planes[self.row[second[part]]]
            out[part] = ((~np.bitwise_or.reduce(both, axis=1)) & self.usable).any(axis=1)
        return out


def below(graph: Graph, sums: Indices) -> Booleans:
    """Which nodes stand below some sums, these included."""
    found = np.zeros(graph.size, dtype=bool)
    found[sums] = True
    for stretch in reversed(graph.stretches):
        inside = found[stretch.start : stretch.stop]
        if stretch.last_edge > stretch.first_edge and inside.any():
            members = graph.members[stretch.first_edge : stretch.last_edge]
            counts = graph.counts[stretch.start : stretch.stop]
            found[members if inside.all() else members[np.repeat(inside, counts)]] = True
    return found


def allowed(graph: Graph, domains: Domains, wanted: Booleans, usable: Booleans) -> Allowed | None:
    """The planes of the wanted nodes, of which all below are wanted too; None where they would take too much memory."""
    depth = int(domains.sizes.max(initial=1))
    words = max(1, -(-len(domains.variables) // _WORD))
    nodes = np.flatnonzero(wanted)
    if (len(nodes) + 2) * depth * words * 8 > _MOST_BYTES:
        return None
    row = np.full(graph.size, -1, dtype=np.int64)
    row[nodes] = np.arange(len(nodes))
    planes = np.zeros((len(nodes), depth, words), dtype=np.uint64)
    full = _full(domains, depth, words)
    _set_inputs(planes, row, domains, wanted, full)
    for stretch in graph.stretches:
        if stretch.last_edge == stretch.first_edge and graph.kinds[stretch.start] != PRODUCT:
            continue
        own = np.flatnonzero(wanted[stretch.start : stretch.stop]) + stretch.start
        counts = graph.counts[own]
        planes[row[own[counts == 0]]] = full if graph.kinds[stretch.start] == PRODUCT else 0
        own = own[counts > 0]
        if not len(own):
            continue
        edges = np.arange(stretch.first_edge, stretch.last_edge)
        if len(own) < stretch.stop - stretch.start:
            kept = np.zeros(stretch.stop - stretch.start, dtype=bool)
            kept[own - stretch.start] = True
            edges = edges[np.repeat(kept, graph.counts[stretch.start : stretch.stop])]
        operation = np.bitwise_and if graph.kinds[stretch.start] == PRODUCT else np.bitwise_or
        bounds = np.concatenate([[0], np.cumsum(graph.counts[own])])
        step = max(1, (1 << 22) // (depth * words))
        start = 0
        while start < len(own):
            stop = max(start + 1, int(np.searchsorted(bounds, bounds[start] + step, side="right")) - 1)
            gathered = planes[row[graph.members[edges[bounds[start] : bounds[stop]]]]]
            planes[row[own[start:stop]]] = operation.reduceat(gathered, bounds[start:stop] - bounds[start], axis=0)
            start = stop
    return Allowed(planes, row, _as_bits(usable, words))


def _full(domains: Domains, depth: int, words: int) -> Bits:
    """The planes of a node that allows everything, [classes, words]."""
    return np.stack([_as_bits(domains.sizes > place, words) for place in range(depth)])


def _as_bits(chosen: Booleans, words: int) -> Bits:
    padded = np.zeros(words * _WORD, dtype=bool)
    padded[: len(chosen)] = chosen
    return np.packbits(padded, bitorder="little").view(np.uint64)


def _set_inputs(planes: Bits, row: Indices, domains: Domains, wanted: Booleans, full: Bits) -> None:
    """The planes of inputs: everything but, of their own variable, the classes where they are zero."""
    nodes = np.flatnonzero((domains.variable >= 0) & wanted)
    planes[row[nodes]] = full
    masks = domains.masks[domains.row[nodes]]
    word, bit = domains.variable[nodes] // _WORD, np.uint64(1) << (domains.variable[nodes] % _WORD).astype(np.uint64)
    for place in range(planes.shape[1]):
        zero = (masks[:, place // _WORD] >> np.uint64(place % _WORD)) & np.uint64(1) == 0
        planes[row[nodes[zero]], place, word[zero]] &= ~bit[zero]


def separated(graph: Graph, found: Allowed, sums: Indices) -> Booleans:
    """Which of the sums have a usable variable of which no two children allow a common value."""
    counts = graph.counts[sums]
    _, depth, words = found.planes.shape
    out = np.zeros(len(sums), dtype=bool)
    step = max(1, (1 << 21) // (depth * words))
    for start in range(0, len(sums), step):
        part = np.arange(start, min(start + step, len(sums)))
        part = part[np.argsort(-counts[part], kind="stable")]
        seen = np.zeros((len(part), depth, words), dtype=np.uint64)
        twice = np.zeros_like(seen)
        ascending = -counts[part]
        for place in range(int(counts[part].max(initial=0))):
            active = int(np.searchsorted(ascending, -place, side="left"))
            child = planes_of(graph, found, sums[part[:active]], place)
            twice[:active] |= seen[:active] & child
            seen[:active] |= child
        out[part] = ((~np.bitwise_or.reduce(twice, axis=1)) & found.usable).any(axis=1)
    return out


def planes_of(graph: Graph, found: Allowed, sums: Indices, place: int) -> Bits:
    """The planes of the children at one place of some sums."""
    return found.planes[found.row[graph.members[graph.offsets[sums] + place]]]
