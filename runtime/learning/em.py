"""Expectation maximisation: from expected counts to the parameters that they make most likely, in closed form.

What enters are rows and an executable; what leaves are new values of its learnable parameters. A row of a simplex
becomes its normalised counts, a probability its share of ones, means and deviations of gaussians and rates of poissons
their weighted averages. Missing values are summed out and count nothing, so that every full step is one of EM on the
marginal likelihood (Dempster, Laird, Rubin, JRSS B 1977), which never decreases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...ir.diagnostic import error
from ...ir.expression import Expression, Floats, Parameter, Value, is_learnable
from ...ir.family import Gaussian, Poisson
from ...ir.numbers import Numbers
from ...ir.pullback import copied_back
from ...ir.store import Store
from ..compiled import Bools
from ..executable import Executable

SMALLEST = 1e-6
"""Deviations of gaussians are kept from falling below this, where a density would have no bound."""


@dataclass(slots=True)
class Counts:
    """Expected counts over some rows: simplex entries; [ones, zeros]; by density [3, nodes]: Σf, Σf(x−m), Σf(x−m)²."""

    simplex: dict[Parameter, Floats] = field(default_factory=dict[Parameter, Floats])
    units: dict[Parameter, Floats] = field(default_factory=dict[Parameter, Floats])
    densities: dict[int, Floats] = field(default_factory=dict[int, Floats])
    log: Floats = field(default_factory=lambda: np.empty(0))

    def blended(self, other: Counts, mine: float, theirs: float) -> Counts:
        """Both, weighted; of the same circuit and store."""

        def mixed(a: Mapping[Parameter, Floats], b: Mapping[Parameter, Floats]) -> dict[Parameter, Floats]:
            return {key: mine * a[key] + theirs * b[key] for key in a}

        densities = {key: mine * self.densities[key] + theirs * other.densities[key] for key in self.densities}
        return Counts(mixed(self.simplex, other.simplex), mixed(self.units, other.units), densities, self.log)


def expected(model: Executable, values: Floats, observed: Bools, first: int = 0) -> Counts:
    """Expected counts of rows under the present parameters.

    Raises: DanausError `impossible-row`, naming the first row (counted on from `first`) whose likelihood is zero;
    `no-closed-form` for a learnable parameter that EM cannot move.
    """
    found = model.flows_of_tables(values, observed, np.ones(len(values)), whole=False)
    if (bad := np.flatnonzero(~np.isfinite(found.log))).size:
        raise error(
            "impossible-row",
            f"row {first + int(bad[0])} has likelihood zero under the circuit, so it cannot be learnt from",
            hint="leave the row out, or start from parameters that allow it",
        )
    compiled = model.compiled
    assert compiled is not None
    store = model.circuit.store
    simplex, units = compiled.counts(store, found.tables, False)
    densities: dict[int, Floats] = {}
    numbers = Numbers(store)
    for source, block in enumerate(compiled.densities):
        if not any(map(is_learnable, block.parameters)):
            continue
        column = compiled.variables.index(block.variable)
        known = observed[:, column]
        part = found.densities[source][:, known]
        centre = numbers.floats(block.parameters)[0]
        off = values[known, column] - centre[:, None]
        densities[source] = np.stack([part.sum(1), (part * off).sum(1), (part * off * off).sum(1)])
    return Counts(simplex, units, densities, found.log)


def prior(model: Executable) -> Counts:
    """Expected counts of a row drawn from the circuit itself: the mass that reaches each sum, times its weights."""
    nothing = np.zeros((1, len(model.variables)))
    found = model.flows_of_tables(nothing, nothing.astype(bool), np.ones(1))
    compiled = model.compiled
    assert compiled is not None
    return Counts(*compiled.counts(model.circuit.store, found.tables, True))


def maximised(model: Executable, counts: Counts, pseudocount: float = 0.0) -> Store:
    """The store whose parameters the counts make most likely; what is never used stays as it is."""
    store = model.circuit.store
    values: dict[Parameter, Value] = {}
    for parameter, count in counts.simplex.items():
        held = count + pseudocount
        total = held.sum(axis=-1, keepdims=True)
        share = held / np.where(total > 0, total, 1.0)
        values[parameter] = Value.of(np.where(total > 0, share, store[parameter].floats))
    for parameter, (ones, zeros) in counts.units.items():
        total = ones + zeros + 2 * pseudocount
        share = (ones + pseudocount) / np.where(total > 0, total, 1.0)
        values[parameter] = Value.of(np.where(total > 0, share, store[parameter].floats))
    return _densities(model, counts, store.updated(values))


def _densities(model: Executable, counts: Counts, store: Store) -> Store:
    """Means first, under the present deviations; then deviations about the new means: each no step back."""
    compiled = model.compiled
    assert compiled is not None
    before = Numbers(store)
    weights: list[tuple[Expression, Floats]] = []
    sums: list[tuple[Expression, Floats]] = []
    for source, (used, first, _) in counts.densities.items():
        block = compiled.densities[source]
        given = before.floats(block.parameters)
        if not is_learnable(block.parameters[0]):
            continue
        match block.family:
            case Gaussian():
                weights.append((block.parameters[0], used / given[1] ** 2))
                sums.append((block.parameters[0], first / given[1] ** 2))
            case Poisson():
                weights.append((block.parameters[0], used))
                sums.append((block.parameters[0], first))
    found = dict(_ratios(sums, weights))
    moved = {
        parameter: Value.of(np.maximum(store[parameter].floats + step, _floor(parameter)))
        for parameter, step in found.items()
    }
    after = store.updated(moved)
    numbers = Numbers(after)
    weights, sums = [], []
    for source, (used, first, second) in counts.densities.items():
        block = compiled.densities[source]
        if isinstance(block.family, Gaussian) and is_learnable(block.parameters[1]):
            off = numbers.floats(block.parameters)[0] - before.floats(block.parameters)[0]
            weights.append((block.parameters[1], used))
            sums.append((block.parameters[1], second - 2 * off * first + off * off * used))
    wider = {
        parameter: Value.of(np.where(square > 0, np.maximum(np.sqrt(np.maximum(square, 0)), SMALLEST), old.floats))
        for parameter, square in _ratios(sums, weights)
        for old in [after[parameter]]
    }
    return after.updated(wider)


def _floor(parameter: Parameter) -> float:
    """A rate stays positive."""
    return SMALLEST if parameter.constraint == "positive" else -np.inf


def _ratios(
    sums: list[tuple[Expression, Floats]], weights: list[tuple[Expression, Floats]]
) -> Iterator[tuple[Parameter, Floats]]:
    """Per learnable parameter the ratio of two sums over all its copies; 0 where nothing weighs."""
    above, below = copied_back(sums), copied_back(weights)
    for parameter, weight in below.items():
        if parameter.learnable:
            used = weight > 0
            yield parameter, np.where(used, above[parameter] / np.where(used, weight, 1.0), 0.0)
