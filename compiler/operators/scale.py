"""Scale: a circuit times a number."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ...ir.block import Block, weighted
from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import error
from ...ir.linear import Dense
from ...ir.parameter import Value, as_fraction, constant
from .operands import require_circuits


def scale(p: Circuit, number: float | Fraction) -> Circuit:
    """number · p, for any rational number; a float is the rational that it is. Needs nothing.

    0 · p is a sum of nothing: the function 0, of no variables but the free ones.

    Raises: DanausError `wrong-number`.
    """
    require_circuits("scale", p)
    try:
        exact = as_fraction(number)
    except (TypeError, ValueError, OverflowError) as failure:
        raise error("wrong-number", f"scale takes a finite number, not {number!r}") from failure
    return replace(p, root=times(p.root, exact), origin=Origin("scale", (p,), {"number": exact}))


def times(root: Block, number: Fraction | int) -> Block:
    """A number times a block of width 1."""
    return weighted([root], Dense(constant(Value.of([[Fraction(number)]]))), root.span)
