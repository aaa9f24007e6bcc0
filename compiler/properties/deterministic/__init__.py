"""Determinism: whether at most one child of each sum is non-zero, for complete or for partial assignments."""

from __future__ import annotations

from collections.abc import Collection
from weakref import WeakKeyDictionary

from ....ir.circuit import Circuit
from ....ir.domain import Variable
from ..result import Result, Unknown
from .budget import Budget
from .judge import judge

__all__ = ["Budget", "deterministic", "marginally_deterministic"]

_Key = frozenset[Variable] | None
_known: WeakKeyDictionary[Circuit, dict[_Key, tuple[Budget, Result]]] = WeakKeyDictionary()


def deterministic(circuit: Circuit, budget: Budget | None = None) -> Result:
    """Whether, for each sum node that reaches the root and each complete assignment, at most one child is non-zero.

    A learnable number counts as non-zero; children count by position. Proved by a variable whose values keep all
    children apart, found in their factors or carried up from the inputs: linear in the edges, times variables / 64.
    Else pair by pair along the children's structure, and last by a SAT solver, within the budget.
    """
    return _remembered(circuit, budget or Budget(), None)


def marginally_deterministic(circuit: Circuit, variables: Collection[Variable], budget: Budget | None = None) -> Result:
    """Whether, for each sum node whose scope meets the variables and each assignment of these, one child is possible.

    A child is possible at an assignment of the variables if some completion makes it non-zero. Maximising over the
    variables the sum over all others is exact then, with those sums replaced by maxima. Source: Choi, Friedman and
    Van den Broeck, "Solving Marginal MAP Exactly by Probabilistic Circuit Transformations" (2022).
    """
    return _remembered(circuit, budget or Budget(), frozenset(variables))


def _remembered(circuit: Circuit, budget: Budget, key: _Key) -> Result:
    """The verdict, made once per circuit; what was unknown is tried again with another budget."""
    known = _known.setdefault(circuit, {})
    if key in known:
        spent, result = known[key]
        if not isinstance(result, Unknown) or spent == budget:
            return result
    result = judge(circuit, budget, key)
    known[key] = budget, result
    return result
