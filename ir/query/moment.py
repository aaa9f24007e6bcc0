"""Moments: the expectation of a power of a variable under a circuit, normalised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..circuit import Circuit
from ..diagnostic import error
from ..domain import Variable
from ..evaluate import Evidence, Moment, evaluate
from ..semirings import SIGNED_LOG
from .likelihood import signed_partition

# Beyond it the moments of any interesting variable overflow float64, and a poisson's take the square of the order.
LARGEST_ORDER = 1000


def moment(circuit: Circuit, variable: Variable, order: int) -> float:
    """E[xᵏ] under p/Z for the variable x and the order k = 0, 1, 2, …, in float64, not as a logarithm.

    The circuit is smooth and decomposable, which the caller has checked.

    >>> from danaus import parse
    >>> p = parse("var x : real; circuit p { return gaussian(x, [1], [2]) }").circuits["p"]
    >>> round(moment(p, p.variables[0], 2), 12)
    5.0

    Raises: DanausError `unknown-variable`; `wrong-value` for an order that is no natural number; `zero-mass` where
    the circuit's total is zero or not finite; `diverges`.
    """
    circuit.variable(variable.name)
    require_order(order)
    total, sign = signed_partition(circuit)
    require_total(circuit.name, total if sign else -np.inf)
    evidence = replace(Evidence.nothing(circuit.variables), weights={variable: Moment(int(order))})
    log, direction = evaluate(circuit, SIGNED_LOG, evidence)[0]
    with np.errstate(over="ignore"):
        return float(direction * sign * np.exp(log - total))


def require_order(order: int) -> None:
    """Raises DanausError for what is no order of a moment."""
    if order < 0 or order != int(order):
        raise error("wrong-value", f"there is no moment of order {order}", hint="the order is a natural number")
    if order > LARGEST_ORDER:
        raise error("too-large", f"the moment of order {order}", hint=f"moments go up to {LARGEST_ORDER}")


def require_total(name: str, log: float) -> None:
    """Raises DanausError where a circuit's total, by its logarithm, is not what can be divided by."""
    if not np.isfinite(log):
        raise error(
            "zero-mass",
            f'the total of "{name}" is {"zero" if log < 0 else "not finite"}: there is nothing to normalise',
        )
