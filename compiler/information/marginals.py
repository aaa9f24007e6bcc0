"""Marginals of a circuit as circuits in which nothing is left of what was summed out, so that they may decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...ir.circuit import Circuit
from ...ir.domain import Variable
from ..operators import integrate
from ..operators.folded import folded


def onto(p: Circuit, variables: Iterable[Variable]) -> Circuit:
    """The marginal of p on some variables; sums over all others are numbers in its weights, not sums of its own."""
    kept = set(variables)
    over = [variable for variable in p.variables if variable not in kept]
    if not over:
        return p
    made = integrate(p, over)
    names = ", ".join(variable.name for variable in p.variables if variable in kept)
    return replace(made, root=folded(made.root, made.support), name=f"{p.name} over {names or 'nothing'}", origin=None)
