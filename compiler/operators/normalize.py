"""Normalize: a circuit divided by its mass."""

from __future__ import annotations

from dataclasses import replace

from ...ir.circuit import Circuit, Origin
from .divided import divided, require_mass
from .operands import needs


def normalize(p: Circuit) -> Circuit:
    """p / Z, with Z the sum of p over all assignments.

    Where no weight and no input is negative, weights and inputs are locally normalised: the rows of each map sum to 1,
    and each input is a distribution, or 0 where it has no mass. Otherwise p is scaled at the root. Either way the
    numbers are expressions over the parameters of p: other parameters need no other circuit. Needs p smooth,
    decomposable and nonnegative, and 0 < Z < ∞ for the current parameters. Linear in the blocks.

    >>> from danaus import evaluate, normalize, parse
    >>> p = parse("var x : cat(3); circuit p { return sum(table(x, [[1, 2, 1], [0, 0, 4]]), [[2, 1]]) }").circuit
    >>> evaluate(normalize(p), [[0], [1], [2]], semiring="exact").tolist()
    [Fraction(1, 6), Fraction(1, 3), Fraction(1, 2)]

    Raises: Refused with a witness; DanausError `no-mass`, `diverges`, or `no-closed-integral` with the factors of a
    product of inputs that has none.
    """
    needs(p, "normalize", "smooth", "decomposable", "nonnegative")
    require_mass(p, f'the mass of "{p.name}"')
    return replace(p, root=divided(p), origin=Origin("normalize", (p,)))
