"""The value of a query of information theory: its definition, and the totals of the circuits that stand in it.

What enters is a query whose needs are met; what leaves is a formula over circuits without variables, or its number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ...frontend.spec import Query
from ...ir.circuit import Circuit
from ...ir.diagnostic import placed
from ...ir.domain import FiniteDomain
from ...ir.evaluate import Evidence, evaluate
from ...ir.query.formula import Formula, numbered, value
from ...ir.query.likelihood import log_and_sign
from ...ir.semirings import SIGNED_LOG
from ..operators import integrate
from . import definitions as define
from .supports import uncovered


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


def require_integrals(query: Query) -> None:
    """Raises DanausError `no-closed-integral` or `diverges` where a total has no number; finite sums all have one."""
    if any(not isinstance(variable.domain, FiniteDomain) for variable in query.circuits[0].variables):
        informed(query)


def settled(query: Query) -> Settled:
    """Which formula the query is, for the present supports."""
    match query.kind:
        case "cross_entropy" | "kl":
            return Settled(infinite=uncovered(*query.circuits) is not None)
        case "alpha_divergence" if query.numbers[0] >= 1:
            return Settled(infinite=uncovered(*query.circuits) is not None)
        case "alpha_divergence" if near(query):
            return Settled(partial=uncovered(*query.circuits) is not None)
        case "itakura_saito":
            p, q = query.circuits
            return Settled(infinite=uncovered(q, p) is not None)
        case _:
            return Settled()


def near(query: Query) -> bool:
    """Whether alpha is so close to 1 that the definition of a limit is taken."""
    return abs(query.numbers[0] - 1) < define.NEAR


def _definition(query: Query, partial: bool) -> define.Number:
    p, q = query.circuits[0], query.circuits[-1]
    match query.kind:
        case "expectation":
            return define.expectation(p, q)
        case "entropy":
            return define.entropy(p)
        case "cross_entropy":
            return define.cross_entropy(p, q)
        case "kl":
            return define.kl(p, q)
        case "renyi" if query.numbers[0] == 1:
            return define.entropy(p)
        case "renyi":
            alpha = Fraction(query.numbers[0])
            return define.renyi_near(p, alpha) if near(query) else define.renyi(p, alpha)
        case "alpha_divergence" if query.numbers[0] == 1:
            return define.kl(p, q)
        case "alpha_divergence":
            alpha = Fraction(query.numbers[0])
            if not near(query):
                return define.alpha_divergence(p, q, alpha)
            found = define.alpha_divergence_near(p, q, alpha)
            return found + define.outside(p, q, alpha) if partial else found
        case "itakura_saito":
            return define.itakura_saito(p, q)
        case "mutual_information":
            return define.mutual_information(p, *query.variables)
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
