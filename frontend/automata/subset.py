"""The subset construction: an automaton that may be in several states becomes one that is in one.

Subsets are rows of truth values, and the subsets of a round move together, some at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .limits import MAX_STATES, too_many
from .refine import Booleans, Indices

Step = Callable[[Booleans], Booleans]
"""Where subsets [subsets, states] move: [subsets, classes, states]."""

_TRUTHS_AT_ONCE = 1 << 24
_TRUTHS = 1 << 30


def determinised(step: Step, start: Booleans, classes: int) -> tuple[Booleans, Indices]:
    """The subsets that can be reached, [subsets, states] with the start first, and their moves [subsets, classes].

    The empty subset is the dead state.

    Raises: DanausError `too-large`.
    """
    width = max(1, _TRUTHS_AT_ONCE // (classes * len(start)))
    subsets = [start]
    rows: list[Indices] = []
    known = {np.packbits(start).tobytes(): 0}
    done = 0
    while done < len(subsets):
        part = np.stack(subsets[done : done + width])
        done += len(part)
        flat = step(part).reshape(-1, len(start))
        numbers = np.empty(len(flat), dtype=np.int64)
        for place, row in enumerate(np.packbits(flat, axis=1)):
            key = row.tobytes()
            number = known.setdefault(key, len(known))
            if number == len(subsets):
                subsets.append(flat[place].copy())
            numbers[place] = number
        if len(known) > MAX_STATES or len(known) * len(start) > _TRUTHS:
            raise too_many("the deterministic automaton")
        rows.append(numbers.reshape(len(part), classes))
    return np.stack(subsets), np.concatenate(rows)


def scattered(moves: Indices, joins: Indices, states: int) -> Step:
    """The step of a deterministic table [n, classes] in which some moves also enter a second state.

    `joins` [n, classes] names that state, or is negative. Subsets have `states` ≥ n states, the rest without moves.
    """

    def step(subsets: Booleans) -> Booleans:
        out = np.zeros((len(subsets), moves.shape[1], states), dtype=np.bool_)
        row, state = np.nonzero(subsets[:, : len(moves)])
        label = np.arange(moves.shape[1])
        out[row[:, None], label, moves[state]] = True
        second = joins[state]
        places, labels = np.nonzero(second >= 0)
        out[row[places], labels, second[places, labels]] = True
        return out

    return step
