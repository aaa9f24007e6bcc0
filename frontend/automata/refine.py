"""Arrays of automata, made smaller: symbols that act alike become one class, states that accept alike one state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Booleans = NDArray[np.bool_]


def classes(columns: NDArray[np.generic]) -> tuple[Indices, Indices]:
    """The classes of equal columns of [rows, n]: the class of each column, and one column of each class.

    Classes are numbered by their first column.
    """
    _, first, labels = np.unique(columns, axis=1, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[labels.reshape(-1)], first[order]


def reachable(moves: Indices, start: int) -> Indices:
    """The states that can be reached from the start, in breadth-first order."""
    seen = np.zeros(len(moves), dtype=np.bool_)
    seen[start] = True
    order = [np.array([start], dtype=np.int64)]
    while len(order[-1]):
        following = moves[order[-1]].ravel()
        following = following[~seen[following]]
        _, first = np.unique(following, return_index=True)
        fresh = following[np.sort(first)]
        seen[fresh] = True
        order.append(fresh)
    return np.concatenate(order)


def alike(moves: Indices, accepting: Booleans) -> Indices:
    """The coarsest partition of states that accept the same words, by refinement: a label per state.

    Source: Moore, "Gedanken-experiments on sequential machines", 1956.
    """
    labels = accepting.astype(np.int64)
    count = len(np.unique(labels))
    while True:
        signature = np.concatenate([labels[:, None], labels[moves]], axis=1)
        _, refined = np.unique(signature, axis=0, return_inverse=True)
        labels = refined.reshape(-1).astype(np.int64)
        found = int(labels.max()) + 1
        if found == count:
            return labels
        count = found
