"""Trees over variables: weights of pairs enter, the heaviest spanning tree leaves, rooted at its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ir.parameter import Floats


@dataclass(frozen=True, slots=True)
class Tree:
    """A rooted tree: its nodes from the root down, each before its children, and the parent of each, −1 of the root."""

    order: tuple[int, ...]
    parents: tuple[int, ...]


def heaviest_tree(weights: Floats) -> Tree:
    """The spanning tree of greatest total weight, [nodes, nodes] symmetric, rooted at its centre.

    Prim's algorithm in O(nodes²), from node 0; of equal weights it takes the node of the lowest index and, for that,
    the parent that joined first. Of two centres the root is the one of the lower index; neighbours are visited in order
    of index.

    Source: Prim, "Shortest connection networks and some generalizations", Bell System Technical Journal 36, 1957.
    """
    count = len(weights)
    neighbours: list[list[int]] = [[] for _ in range(count)]
    outside = np.ones(count, dtype=bool)
    outside[0] = False
    best, nearest = weights[0].copy(), np.zeros(count, dtype=np.int64)
    for _ in range(count - 1):
        node = int(np.argmax(np.where(outside, best, -np.inf)))
        parent = int(nearest[node])
        neighbours[node].append(parent)
        neighbours[parent].append(node)
        outside[node] = False
        closer = weights[node] > best
        best, nearest = np.where(closer, weights[node], best), np.where(closer, node, nearest)
    for around in neighbours:
        around.sort()
    return _rooted(neighbours, _centre(neighbours))


def _rooted(neighbours: list[list[int]], root: int) -> Tree:
    """The tree as it hangs from a root, level by level."""
    parents, order = [-1] * len(neighbours), [root]
    for node in order:
        for other in neighbours[node]:
            if other != parents[node]:
                parents[other] = node
                order.append(other)
    return Tree(tuple(order), tuple(parents))


def _centre(neighbours: list[list[int]]) -> int:
    """The node from which the tree is least deep: the middle of a longest path."""
    one_end = _rooted(neighbours, 0).order[-1]
    across = _rooted(neighbours, one_end)
    path = [across.order[-1]]
    while across.parents[path[-1]] >= 0:
        path.append(across.parents[path[-1]])
    return min(path[(len(path) - 1) // 2], path[len(path) // 2])
