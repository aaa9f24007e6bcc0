"""Inputs on which feed-forward evaluation is not the true sum, computed exactly or within intervals.

What enters is a circuit and the weights of a marginalisation program; what leaves is the witness, where the two values
certainly differ. For virtual evidence such weights are looked for: on few variables first, the others having values.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from ....ir.circuit import Circuit
from ....ir.density import domain_values
from ....ir.diagnostic import DanausError
from ....ir.domain import FiniteDomain, Variable
from ....ir.evaluate import Evidence, evaluate
from ....ir.parameter import Floats, Value
from ....ir.semirings import EXACT, INTERVAL, Field
from ..witness import WrongSum
from .feed import Feed, size_of

Chosen = dict[Variable, Floats]

# So many assignments are summed, so many fractions or intervals computed, and so many virtual evidences tried.
_ASSIGNMENTS = 1 << 16
_FRACTIONS = 1 << 22
_TRIED = 24
_LARGEST_WEIGHT = 4


def wrong(circuit: Circuit, program: str, weights: Chosen) -> WrongSum | None:
    """The witness that a program's sum under these weights is not the true one; None where it is not certain."""
    for field in (EXACT, INTERVAL):
        try:
            both = _both(circuit, weights, field)
        except DanausError:
            continue
        if both is None:
            return None
        computed, true = both
        differ = computed != true if field is EXACT else computed[1] < true[0] or true[1] < computed[0]
        if not differ:
            return None
        numbers = both if field is EXACT else (np.mean(computed), np.mean(true))
        shown = tuple((variable, tuple(weights[variable].tolist())) for variable in circuit.variables)
        return WrongSum(program, shown, float(numbers[0]), float(numbers[1]))
    return None


def _both(circuit: Circuit, weights: Chosen, field: Field) -> tuple[np.ndarray, np.ndarray] | None:
    """The sum that is fed forward, and the true one; None where that is too much work."""
    variables = circuit.variables
    kept = [np.flatnonzero(weights[variable]) for variable in variables]
    rows = prod(len(places) for places in kept)
    if rows > _ASSIGNMENTS or (rows + 1) * circuit.nodes > _FRACTIONS:
        return None
    lifted = {variable: field.lift(Value.of(weights[variable]))[None] for variable in variables}
    computed = Feed(circuit, field).value(lifted, 1)[0]
    numbers = np.arange(rows)
    table = np.zeros((rows, len(variables)))
    weight = np.ones(rows)
    for place in reversed(range(len(variables))):
        chosen = kept[place][numbers % max(1, len(kept[place]))]
        table[:, place] = domain_values(variables[place])[chosen]
        weight *= weights[variables[place]][chosen]
        numbers = numbers // max(1, len(kept[place]))
    evidence = Evidence(variables, table, np.ones(table.shape, dtype=bool))
    values = evaluate(circuit, field, evidence)
    return computed, field.sum(field.multiply(values, field.lift(Value.of(weight))), 0)


def everything(circuit: Circuit) -> Chosen:
    """The weights of the total sum."""
    return {variable: np.ones(size_of(variable)) for variable in circuit.variables}


def wrong_weights(circuit: Circuit) -> WrongSum | None:
    """Virtual evidence that shows a wrong sum, if it is found among a few."""
    if not all(isinstance(variable.domain, FiniteDomain) for variable in circuit.variables):
        return None
    spent = 0
    for weights in (everything(circuit), *_drawn(circuit)):
        found = wrong(circuit, "virtual", weights)
        spent += circuit.nodes
        if found is not None or spent > _FRACTIONS:
            return found
    return None


def _drawn(circuit: Circuit) -> Iterator[Chosen]:
    """Small weights on one variable, on two, and so on, the others having values; drawn, but the same each time."""
    random = np.random.default_rng(0)
    variables = circuit.variables
    for number in range(_TRIED):
        count = min(len(variables), 1 + number // 3)
        weighed = set(random.permutation(len(variables))[:count].tolist())
        yield {
            variable: random.integers(1, _LARGEST_WEIGHT + 1, size=size_of(variable)).astype(np.float64)
            if place in weighed
            else np.eye(size_of(variable))[random.integers(size_of(variable))]
            for place, variable in enumerate(variables)
        }
    if prod(size_of(variable) for variable in variables) <= _ASSIGNMENTS:
        for _ in range(_TRIED):
            yield {
                variable: random.integers(1, _LARGEST_WEIGHT + 1, size=size_of(variable)).astype(np.float64)
                for variable in variables
            }
