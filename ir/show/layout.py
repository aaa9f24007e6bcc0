"""Where the boxes of a drawing stand: in layers from the root down, with few crossings and edges nearly straight.

Sugiyama's way (Sugiyama, Tagawa, Toda 1981): layers by the longest way from the root; an edge over several layers bends
at a point in each; the order in a layer by the mean place of the neighbours, down and up a few times; then the nearest
places to the neighbours' means that keep the order, in least squares, which pooling adjacent violators finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 8
_PULLS = 40


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge between two boxes, by the horizontal place at which it crosses each layer from the upper to the lower."""

    upper: int
    lower: int
    points: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The middle and the layer of each box, the edges, and the width of it all; places count from 0."""

    x: Sequence[float]
    layer: Sequence[int]
    edges: Sequence[Edge]
    width: float


def layout(below: Sequence[Sequence[int]], widths: Sequence[float], gap: float) -> Layout:
    """Places boxes, which are numbered parents first; `below` gives the children of each, once each."""
    count = len(below)
    layer = [0] * count
    for box, found in enumerate(below):
        for child in found:
            layer[child] = max(layer[child], layer[box] + 1)
    rows: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for box in range(count):
        rows[layer[box]].append(box)
    paths: list[list[int]] = []
    for box, found in enumerate(below):
        for child in found:
            bends = range(count, count + layer[child] - layer[box] - 1)
            count += len(bends)
            for depth, bend in enumerate(bends, start=layer[box] + 1):
                rows[depth].append(bend)
            paths.append([box, *bends, child])
    up: list[list[int]] = [[] for _ in range(count)]
    down: list[list[int]] = [[] for _ in range(count)]
    for path in paths:
        for one, other in pairwise(path):
            down[one].append(other)
            up[other].append(one)
    sizes = [*widths, *[0.0] * (count - len(widths))]
    rows = _ordered(rows, up, down)
    x = _places(rows, up, down, sizes, gap)
    left = min(place - size / 2 for place, size in zip(x, sizes, strict=True))
    right = max(place + size / 2 for place, size in zip(x, sizes, strict=True))
    moved = [place - left for place in x]
    edges = [Edge(path[0], path[-1], tuple(moved[point] for point in path)) for path in paths]
    return Layout(moved[: len(below)], layer, edges, right - left)


def _ordered(rows: list[list[int]], up: Sequence[Sequence[int]], down: Sequence[Sequence[int]]) -> list[list[int]]:
    """Sorts each layer by the mean place of the neighbours above, then below; gives the order that crosses least."""
    best, fewest = [list(row) for row in rows], _crossings(rows, down)
    for sweep in range(_SWEEPS):
        neighbours = up if sweep % 2 == 0 else down
        for fixed, moved in pairwise(rows if sweep % 2 == 0 else rows[::-1]):
            place = {box: position for position, box in enumerate(fixed)}
            means = {
                box: _mean([place[other] for other in neighbours[box]], position) for position, box in enumerate(moved)
            }
            moved.sort(key=means.__getitem__)
        crossings = _crossings(rows, down)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: Sequence[Sequence[int]], down: Sequence[Sequence[int]]) -> int:
    """The number of pairs of edges that cross between neighbouring layers."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {box: position for position, box in enumerate(lower)}
        ends: list[int] = []
        for box in upper:
            found = sorted(place[other] for other in down[box])
            total += sum(end > new for new in found for end in ends)
            ends += found
    return total


def _places(
    rows: Sequence[Sequence[int]],
    up: Sequence[Sequence[int]],
    down: Sequence[Sequence[int]],
    sizes: Sequence[float],
    gap: float,
) -> list[float]:
    """Horizontal places, as near to the mean of the neighbours as the order and the widths allow."""
    x = [0.0] * len(sizes)
    offsets: list[list[float]] = []
    for row in rows:
        offset = [0.0]
        for one, other in pairwise(row):
            between = gap if sizes[one] or sizes[other] else gap / 2  # bends may stand closer
            offset.append(offset[-1] + (sizes[one] + sizes[other]) / 2 + between)
        offsets.append(offset)
        for box, place in zip(row, offset, strict=True):
            x[box] = place - offset[-1] / 2
    for sweep in range(_PULLS):
        downwards = sweep % 2 == 0
        for depth in range(len(rows)) if downwards else reversed(range(len(rows))):
            wanted: list[float] = []
            for box in rows[depth]:
                towards = (up[box] if downwards else down[box]) or up[box] or down[box]
                if sweep >= _PULLS // 2:  # at the end, between the neighbours on both sides
                    towards = [*up[box], *down[box]]
                wanted.append(_mean([x[other] for other in towards], x[box]))
            for box, place in zip(rows[depth], _apart(wanted, offsets[depth]), strict=True):
                x[box] = place
    return x


def _apart(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones, in least squares, that are at least as far apart as the offsets.

    >>> _apart([5.0, 5.0], [0.0, 2.0])
    [4.0, 6.0]
    """
    pools: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        pools.append((place - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, m), (b, n) = pools[-2:]
            pools[-2:] = [((a * m + b * n) / (m + n), m + n)]
    flat = [mean for mean, count in pools for _ in range(count)]
    return [place + offset for place, offset in zip(flat, offsets, strict=True)]
