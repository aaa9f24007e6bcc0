"""The product construction: two automata over one alphabet run side by side, over the pairs that can be reached."""

from __future__ import annotations

import numpy as np

from .limits import MAX_STATES, too_many
from .refine import Indices


def side_by_side(first: Indices, second: Indices, start: tuple[int, int]) -> tuple[Indices, Indices]:
    """The pairs of states that can be reached, [pairs, 2] with the start first, and their moves [pairs, classes].

    Both tables of moves have the same classes of symbols.

    Raises: DanausError `too-large`.
    """
    width = len(second)
    found = np.array([start[0] * width + start[1]], dtype=np.int64)
    rows: list[Indices] = []
    known = {int(found[0]): 0}
    frontier = found
    while len(frontier):
        following = first[frontier // width] * width + second[frontier % width]
        values, first_seen, place = np.unique(following, return_index=True, return_inverse=True)
        fresh = [int(values[i]) for i in np.argsort(first_seen) if int(values[i]) not in known]
        if len(known) + len(fresh) > MAX_STATES:
            raise too_many("the product of two automata")
        known.update({key: len(known) + i for i, key in enumerate(fresh)})
        numbers = np.array([known[key] for key in values.tolist()], dtype=np.int64)
        rows.append(numbers[place.reshape(-1)].reshape(following.shape))
        frontier = np.array(fresh, dtype=np.int64)
        found = np.concatenate([found, frontier])
    return np.stack([found // width, found % width], axis=1), np.concatenate(rows)
