"""The value of a query of information theory: its definition, and the totals of the circuits that stand in it.

What enters is a query whose needs are met; what leaves is a formula over circuits without variables, or its number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...frontend.spec import Query
from ...ir.circuit import Circuit
from ...ir.diagnostic import placed
from ...ir.evaluate import Evidence, evaluate
from ...ir.query.formula import Formula, numbered, value
from ...ir.query.likelihood import log_and_sign
from ...ir.semirings import SIGNED_LOG
from ..operators import integrate
from . import definitions as define


@dataclass(frozen=True, slots=True)
class Information:
    """A query as a formula of the totals of circuits without variables, by position."""

    formula: Formula[int]
    circuits: tuple[Circuit, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What the supports of two circuits make of a query: infinite, or of what they have in common only."""

    infinite: bool = False
    partial: bool = False


def information(query: Query) -> float:
    """The number that a query of information theory is, in nats where it is one of logarithms.

    Raises: DanausError `too-large`, `no-closed-integral`.
    """
    found = informed(query)
    if found is None:
        return math.inf
    totals = {position: total_of(circuit) for position, circuit in enumerate(found.circuits)}
    with placed(query.span):
        return value(found.formula, totals, query.name)


def informed(query: Query) -> Information | None:
    """The definition of a query over circuits whose variables are all summed out; None where it is +inf."""
    found = settled(query)
    if found.infinite:
        return None
    with placed(query.span):
        formula = _definition(query, found.partial)
        circuits = formula.terms
        return Information(numbered(formula, circuits), tuple(integrate(each) for each in circuits))


def settled(query: Query) -> Settled:
    """Which formula the query is, for the present supports."""
    return Settled()


def _definition(query: Query, partial: bool) -> define.Number:
    p, q = query.circuits[0], query.circuits[-1]
    match query.kind:
        case "expectation":
            return define.expectation(p, q)
        case "renyi":
            return define.renyi(p, query.numbers[0])
        case "cauchy_schwarz":
            return define.cauchy_schwarz(p, q)
        case "squared_loss":
            return define.squared_loss(p, q)
        case kind:
            raise AssertionError(kind)


def total_of(circuit: Circuit) -> tuple[float, float]:
    """The logarithm and the sign of the value of a circuit without variables."""
    logs, signs = log_and_sign(evaluate(circuit, SIGNED_LOG, Evidence.nothing(circuit.variables)), SIGNED_LOG)
    return float(logs[0]), float(signs[0])
