"""Networks by definition, for the tests: values by multiplying tables, and an eliminator of its own by einsum."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

Factor = tuple[tuple[int, ...], np.ndarray]


def values(sizes: Sequence[int], factors: Sequence[Factor]) -> np.ndarray:
    """The product of all tables on every assignment, in the order of `itertools.product`."""
    out = []
    for point in itertools.product(*(range(size) for size in sizes)):
        number = 1.0
        for scope, table in factors:
            number *= table[tuple(point[variable] for variable in scope)]
        out.append(number)
    return np.array(out)


def points(sizes: Sequence[int]) -> np.ndarray:
    """All assignments, one per row."""
    return np.array(list(itertools.product(*(range(size) for size in sizes))), dtype=float)


def marginal(sizes: Sequence[int], factors: Sequence[Factor], kept: int, fixed: Mapping[int, int]) -> np.ndarray:
    """The unnormalised marginal of one variable: the others are summed out, those of fewest neighbours first."""
    left = []
    for scope, table in factors:
        index = tuple(fixed.get(variable, slice(None)) for variable in scope)
        left.append((tuple(variable for variable in scope if variable not in fixed), np.asarray(table[index])))
    near: dict[int, set[int]] = {}
    for scope, _ in left:
        for one in scope:
            near.setdefault(one, set()).update(scope)
    near.setdefault(kept, {kept})
    while len(near) > 1:
        one = min(near, key=lambda each: (each == kept, prod(sizes[other] for other in near[each]), each))
        scope = tuple(sorted(near.pop(one) - {one}))
        for other in scope:
            near[other] = (near[other] | set(scope)) - {one}
        touched = [factor for factor in left if one in factor[0]]
        letters = {variable: number for number, variable in enumerate((*scope, one))}
        whole = np.ones([sizes[name] for name in letters])
        for names, table in touched:
            whole = np.einsum(whole, [*letters.values()], table, [letters[name] for name in names], [*letters.values()])
        summed = whole.sum(axis=-1)
        left = [factor for factor in left if one not in factor[0]] + [(scope, summed)]
    out = np.ones(sizes[kept])
    for _, table in left:
        out = out * table
    return out
