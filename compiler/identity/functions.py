"""Equality of functions: two circuits at random weights of the values of their variables, the indicators.

Smooth, decomposable circuits are multilinear in them, so that they are one function where they are one polynomial;
where they are not, a search variable by variable finds an assignment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain, Variable, first_value
from ...ir.evaluate import Evidence, evaluate
from ...ir.semirings import Array
from ...ir.semirings.symbols import Symbols
from ..operators.operands import needs, require_circuits
from .sizes import in_numbers
from .testing import MOST_POINTS, Identity, Size, field_of, tested


def equal_functions(p: Circuit, q: Circuit, seed: int = 0) -> Identity:
    """Whether two smooth, decomposable circuits over finite domains are one function of the union of their variables.

    Where they are not, with an assignment on which they differ; but where irrational numbers stand for themselves, of
    which nothing is known but which are equal, circuits that differ may be one function all the same.

    Raises: Refused with a witness; DanausError `two-domains`, `infinite-domain`, `untested`.
    """
    variables = _together(p, q)
    for circuit in (p, q):
        needs(circuit, "equal", "smooth", "decomposable")
    whole = in_numbers(p) | in_numbers(q)
    indicators = sum((variable.size or 0).bit_length() for variable in variables)
    # Of degree 1 in each variable's indicators; the rest is what is irrational.
    size = Size(whole.degree + len(variables), whole.bits + indicators + 1, whole.symbols)

    def difference(over: Symbols, random: np.random.Generator, known: dict[Variable, tuple[int, int]]) -> bool:
        weights = {v: _weights(v, over, random, known.get(v)) for v in variables}
        return _at_indicators(p, over, weights) != _at_indicators(q, over, weights)

    outcome = tested(lambda over, random: not difference(over, random, {}), size, seed)
    if outcome.holds or outcome.symbols:
        return outcome
    # Variable by variable, the value that leaves two different polynomials, modulo one prime.
    random = np.random.default_rng([seed, 1])
    for _ in range(MOST_POINTS):
        found = _assignment(variables, difference, field_of(random), random)
        if found is not None:
            return replace(outcome, assignment=found)
    raise error("untested", f'"{p.name}" and "{q.name}" differ, but no assignment was found')


def _assignment(
    variables: list[Variable],
    difference: Callable[[Symbols, np.random.Generator, dict[Variable, tuple[int, int]]], bool],
    over: Symbols,
    random: np.random.Generator,
) -> dict[Variable, float] | None:
    known: dict[Variable, tuple[int, int]] = {}
    for variable in variables:
        low, high = 0, variable.size or 0
        while high - low > 1:
            # Half of the values: where the polynomials agree on one half, they differ on the other.
            middle = (low + high) // 2
            known[variable] = (low, middle)
            low, high = (low, middle) if difference(over, random, known) else (middle, high)
        known[variable] = (low, high)
    if not difference(over, random, known):
        return None
    return {variable: float(first_value(variable.domain) + low) for variable, (low, _) in known.items()}


def _together(p: Circuit, q: Circuit) -> list[Variable]:
    require_circuits("equal", p, q)
    names: dict[str, Variable] = {}
    for variable in (*p.variables, *q.variables):
        if names.setdefault(variable.name, variable) != variable:
            raise error("two-domains", f'"{variable.name}" has one domain in "{p.name}" and another in "{q.name}"')
        if not isinstance(variable.domain, FiniteDomain):
            raise error(
                "infinite-domain", f'"{variable.name}" is {variable.domain}; equality is tested on finite domains'
            )
    return list(names.values())


def _weights(variable: Variable, over: Symbols, random: np.random.Generator, among: tuple[int, int] | None) -> Array:
    """Random weights of a variable's values, zero but for those from one position to another."""
    size = variable.size or 0
    if among is not None and among[1] - among[0] == 1:
        return np.asarray(np.arange(size) == among[0], dtype=np.int64)
    weights = random.integers(over.prime, size=size)
    if among is not None:
        weights[: among[0]] = weights[among[1] :] = 0
    return weights


def _at_indicators(circuit: Circuit, over: Symbols, weights: dict[Variable, Array]) -> int:
    """The circuit with weights on the values of its variables, times their sum for those that it lacks."""
    own = {variable: weights[variable] for variable in circuit.variables}
    nothing = Evidence.nothing(circuit.variables)
    value = int(evaluate(circuit, over, Evidence(circuit.variables, nothing.values, nothing.observed, own))[0])
    for variable, given in weights.items():
        if variable not in own:
            value = value * int(given.sum() % over.prime) % over.prime
    return value
