"""Power: a circuit to a natural power."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import error
from ...ir.expression import as_fraction
from ..properties import Refuted, check
from .multiply import multiply
from .operands import needs, require_circuits


def power(p: Circuit, exponent: float | Fraction, *, limit: int | None = None) -> Circuit:
    """pⁿ for a natural n ≥ 1: p times itself, by squaring. Needs p structured.

    Widths are raised to the n-th power; `limit` bounds the pairs of nodes of each product.

    Raises: Refused with a witness; DanausError `too-large`, `wrong-number`, or `not-yet` for other powers, and for
    circuits that are deterministic only.
    """
    require_circuits("power", p)
    try:
        exact = as_fraction(exponent)
    except (TypeError, ValueError, OverflowError) as failure:
        raise error("wrong-number", f"power takes a finite number, not {exponent!r}") from failure
    if exact.denominator != 1 or exact < 1:
        raise error("not-yet", f"the power {exact} is not available yet", hint="natural powers are: 1, 2, 3, …")
    found = check(p, "structured", "deterministic")
    if isinstance(found["structured"], Refuted) and not isinstance(found["deterministic"], Refuted):
        raise error("not-yet", f'"{p.name}" is not structured; powers by determinism are not available yet')
    needs(p, "power", "structured")
    made, square, left = None, p, int(exact)
    while left:
        if left & 1:
            made = square if made is None else multiply(made, square, limit=limit)
        left >>= 1
        square = multiply(square, square, limit=limit) if left else square
    assert made is not None
    return replace(made, origin=Origin("power", (p,), {"exponent": exact}))
