"""The streams of a network that is run forward and back: where values are kept, and what the way back reads.

Forward, a value that the way back reads has a place of its own, and any other one a slot that is used again. Back, the
derivative of a node lives from the last of its parents to the node itself, in the order of evaluation just as long as
its value does: it takes that slot. So of all that is written, only values that are needed leave the cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.program.program import LEAF, PRODUCT, Layout
from . import levels
from .network import SOFT, Numeric, instructions, kinds_of, offset_words


def fields(numeric: Numeric, by_levels: bool) -> dict[str, tuple[int, int]]:
    """Words of a node on the way back, and of each of its members: slot, place of the value, weight, in this order.

    A leaf has its slot, its column and where its values begin. Level by level a place is its slot, and is not said.
    """
    place = 0 if by_levels else 1
    leaf = {"leaf": (3, 0), "soft": (3, 0)}
    if numeric == "linear":
        return {**leaf, "product": (1, 1 + place), "sum": (1, 1), "weighted": (1, 2 + place)}
    return {**leaf, "product": (1, 1), "sum": (1 + place, 1 + place), "weighted": (1 + place, 2 + place)}


@dataclass(frozen=True, slots=True)
class Streams:
    """What runs forward and back, how many values and derivatives a row keeps, the most members of a node, and where
    the derivative of the root is."""

    forward: NDArray[np.int32]
    back: NDArray[np.int32]
    places: int
    slots: int
    widest: int
    root: int


def kept(layout: Layout, below: Indices, numeric: Numeric) -> NDArray[np.bool_]:
    """The nodes whose values the way back reads, [nodes].

    In plain numbers it needs the factors of products and what is weighted; in logarithms sums and what they add.
    """
    reader = np.repeat(layout.kinds, np.diff(layout.offsets))
    read = reader == PRODUCT if numeric == "linear" else (reader != PRODUCT) & (reader != LEAF)
    found = np.zeros(layout.nodes, dtype=bool)
    found[below[(read | (layout.weights >= 0)) & (reader != LEAF)]] = True
    if numeric == "log":
        found |= (layout.kinds != LEAF) & (layout.kinds != PRODUCT)
    return found


def streams(layout: Layout, numeric: Numeric, by_levels: bool) -> Streams:
    """The streams of a layout, level by level or depth first."""
    below = levels.writers(layout)
    if by_levels:
        order = levels.ordered(layout, below)
        place = np.empty(layout.nodes, dtype=np.int64)
        place[order] = np.arange(layout.nodes)
        forward, slots, places, size = levels.runs(layout), place, layout.nodes, layout.nodes
    else:
        order, slots, size = np.arange(layout.nodes), layout.slots, layout.size
        own = kept(layout, below, numeric)
        place = np.where(own, size + np.cumsum(own) - 1, slots)
        places = size + int(own.sum())
        members = np.where(below < 0, layout.members, place[below])
        forward = instructions(replace(layout, slots=place, members=members))
    back = _back(layout, below, order[::-1], place, slots, fields(numeric, by_levels))
    widest = int(np.diff(layout.offsets).max(initial=1))
    return Streams(forward, back, places, size, widest, int(slots[-1]))


def _back(
    layout: Layout,
    below: Indices,
    order: Indices,
    place: Indices,
    slots: Indices,
    sizes: dict[str, tuple[int, int]],
) -> NDArray[np.int32]:
    """Runs of nodes of one kind and arity: kind, arity and count once, then the words of each node."""
    kinds, lengths = kinds_of(layout)[0][order], np.diff(layout.offsets)[order]
    heads, words = (np.array(part)[kinds] for part in zip(*(sizes[name.rstrip("2")] for name in SOFT), strict=True))
    leaf = heads == 3
    own = heads + np.where(leaf, 0, lengths * words)
    first = np.ones(layout.nodes, dtype=bool)
    first[1:] = (kinds[1:] != kinds[:-1]) | (lengths[1:] != lengths[:-1])
    starts = np.cumsum(own + 3 * first) - own
    stream = np.zeros(int(starts[-1] + own[-1]), dtype=np.int32)
    opening = np.flatnonzero(first)
    counts = np.diff(np.append(opening, layout.nodes))
    for number, value in enumerate((kinds[opening], lengths[opening], counts)):
        stream[starts[opening] - 3 + number] = value
    stream[starts] = slots[order]
    valued = (heads == 2) & ~leaf
    stream[starts[valued] + 1] = place[order][valued]
    named = layout.members[layout.offsets[:-1][order[leaf]]]
    stream[starts[leaf] + 1] = layout.leaf_columns[named]
    stream[starts[leaf] + 2] = offset_words(layout)[named]
    begin, width = np.empty(layout.nodes, dtype=np.int64), np.empty(layout.nodes, dtype=np.int64)
    begin[order], width[order] = starts + heads, np.where(leaf, 0, words)
    counted = np.diff(layout.offsets)
    inner = np.repeat(width > 0, counted)
    node = np.repeat(np.arange(layout.nodes), counted)[inner]
    position = (np.arange(layout.edges) - np.repeat(layout.offsets[:-1], counted))[inner]
    places = begin[node] + position * width[node]
    stream[places] = slots[below[inner]]
    valued = width[node] > 1
    stream[places[valued] + 1] = place[below[inner]][valued]
    heavy = kinds_of(layout)[1][node]
    stream[(places + width[node] - 1)[heavy]] = layout.weights[inner][heavy] + 1  # the first weight is 1
    return stream
