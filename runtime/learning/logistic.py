"""The step of EM for discretised logistic inputs, which have no closed form: a climb that never goes down.

What enters are expected counts of each value, per node; what leaves are means and deviations under which they are more
likely. Each entry climbs on its own, means and deviations in turn: a step of Fisher's scoring, halved until it gains.
That is generalised EM, and so the likelihood never decreases (Dempster, Laird, Rubin, 1977).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.density import domain_values, log_values
from ...ir.dependence import is_learnable
from ...ir.expression import Expression
from ...ir.family import DiscretizedLogistic
from ...ir.numbers import Numbers
from ...ir.parameter import Floats, Parameter, Value
from ...ir.pullback import copied_back, logistic_slopes
from ...ir.store import Store
from ..compiled import Valued

ROUNDS = 10
HALVINGS = 12
NARROWEST = 1e-3
"""A climb takes deviations no further down: there all mass is on one value."""

# Fisher's information of a logistic density about its mean, times s², and about log s.
_OF_MEAN, _OF_DEVIATION = 1 / 3, (3 + np.pi**2) / 9

Sums = list[tuple[Expression, Floats]]


def climbed(leaves: Sequence[Valued], store: Store) -> Store:
    """The store with means and deviations that make the counts at least as likely."""
    for _ in range(ROUNDS):
        before = store
        for position in (0, 1):
            own = [leaf for leaf in leaves if is_learnable(leaf[0][position])]
            if own:
                store = _coordinate(own, store, position)
        if all(np.allclose(before[each].floats, store[each].floats, rtol=1e-9, atol=0) for each in store):
            break
    return store


def _coordinate(leaves: Sequence[Valued], store: Store, position: int) -> Store:
    """One step of all means, or of all logarithms of deviations."""
    numbers = Numbers(store)
    slopes: Sums = []
    information: Sums = []
    for parameters, variable, count in leaves:
        means, deviations = numbers.floats(parameters)
        slope = (count * logistic_slopes(variable, means, deviations)[position]).sum(axis=1)
        used = count.sum(axis=1)
        slopes.append((parameters[position], slope if position == 0 else slope * deviations))
        information.append((parameters[position], used * (_OF_DEVIATION if position else _OF_MEAN / deviations**2)))
    up, scale = copied_back(slopes), copied_back(information)
    steps = {
        each: np.where(scale[each] > 0, up[each] / np.where(scale[each] > 0, scale[each], 1.0), 0.0)
        for each in up
        if each.learnable
    }
    now = _likelihoods(leaves, store, position)
    share = {each: np.ones(each.shape) for each in steps}
    for _ in range(HALVINGS):
        moved = {
            each: Value.of(_moved(each, store[each].floats, share[each] * step, position))
            for each, step in steps.items()
        }
        then = _likelihoods(leaves, store.updated(moved), position)
        worse = {each: ~(then[each] >= now[each]) for each in steps}
        if not any(each.any() for each in worse.values()):
            return store.updated(moved)
        share = {each: np.where(worse[each], share[each] / 2, share[each]) for each in steps}
    kept = {each: np.where(worse[each], store[each].floats, moved[each].floats) for each in steps}
    return store.updated({each: Value.of(value) for each, value in kept.items()})


def _moved(parameter: Parameter, value: Floats, step: Floats, position: int) -> Floats:
    if position:
        return np.maximum(value * np.exp(np.clip(step, -2.0, 2.0)), np.minimum(value, NARROWEST))
    low = NARROWEST if parameter.constraint == "positive" else 0.0 if parameter.constraint == "unit" else -np.inf
    return np.clip(value + step, np.minimum(low, value), 1.0 if parameter.constraint == "unit" else np.inf)


def _likelihoods(leaves: Sequence[Valued], store: Store, position: int) -> dict[Parameter, Floats]:
    """Σ count · log f, gathered to the entries of the means, or of the deviations."""
    numbers = Numbers(store)
    found: Sums = []
    for parameters, variable, count in leaves:
        logs, _ = log_values(DiscretizedLogistic(), variable, numbers.floats(parameters), domain_values(variable))
        gained = np.where(count > 0, count, 0.0) * np.where(count > 0, logs, 0.0)
        found.append((parameters[position], gained.sum(axis=1)))
    return copied_back(found)
