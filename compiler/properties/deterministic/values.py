"""Whether nodes are non-zero at assignments, by value: what is said of supports, checked before it is shown.

Learnable numbers are drawn at random, so that what vanishes does so for all of them. Integers modulo a prime decide
where all numbers are rational: what is not zero modulo a prime is not zero. Otherwise logarithms do where no number is
negative, and else intervals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....ir.block import Block, select
from ....ir.circuit import Circuit
from ....ir.diagnostic import DanausError
from ....ir.evaluate import Evidence, evaluate
from ....ir.parameter import Floats, Parameter, Value
from ....ir.semirings import INTERVAL, SIGNED_LOG, Modular
from ....ir.store import Store
from ....ir.support import Booleans
from ..nonnegative import all_positive

# The two largest primes below 2³¹. A value that is not zero vanishes modulo both with a probability of about 2⁻⁶⁰.
_PRIMES = (2147483647, 2147483629)


def generic(circuit: Circuit) -> Circuit:
    """The same circuit with its learnable numbers drawn at random, within their constraints."""
    random = np.random.default_rng(0)
    store = circuit.store
    drawn = {parameter: _drawn(parameter, random) for parameter in store if parameter.learnable}
    return replace(circuit, store=Store({**store.values_, **drawn})) if drawn else circuit


def _drawn(parameter: Parameter, random: np.random.Generator) -> Value:
    match parameter.constraint:
        case "unit":
            return Value(random.uniform(0.1, 0.9, size=parameter.shape))
        case "simplex":
            found = random.uniform(0.5, 1.0, size=parameter.shape)
            return Value(found / found.sum(axis=-1, keepdims=True))
        case _:
            return Value(random.uniform(0.5, 2.0, size=parameter.shape))


def nonzero(circuit: Circuit, node: tuple[Block, int], rows: Floats) -> tuple[Booleans, bool]:
    """Where a node of a generic circuit is certainly not zero, for assignments [rows, variables of the circuit].

    And whether it is zero elsewhere, but for chance: so where all numbers are rational.
    """
    part = Circuit(select(node[0], [node[1]]), circuit.store)
    evidence = Evidence(circuit.variables, rows, np.ones(rows.shape, dtype=bool))
    found = np.zeros(len(rows), dtype=bool)
    try:
        for prime in _PRIMES:
            if not found.all():
                found |= evaluate(part, Modular(prime), evidence) != 0
        return found, True
    except DanausError:
        pass
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows shows nothing
            if all_positive(part):
                return np.asarray(evaluate(part, SIGNED_LOG, evidence)[:, 1] > 0), False
            bounds = evaluate(part, INTERVAL, evidence)
            return np.asarray((bounds[:, 0] > 0) | (bounds[:, 1] < 0)), False
    except DanausError:
        return found & False, False
