"""A circuit divided by its mass, and whether it has one to divide by: what `condition` and `normalize` share.

What enters is a smooth, decomposable circuit; what leaves is a root. Whether the mass is zero is decided for the
current values, exactly or in logarithms, so that masses far below the range of float64 count as what they are.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ...ir.block import Block, weighted
from ...ir.circuit import Circuit
from ...ir.diagnostic import DanausError, error
from ...ir.evaluate import Evidence, evaluate
from ...ir.expression import divide
from ...ir.linear import Dense
from ...ir.parameter import Value, constant
from ...ir.semirings import INTERVAL, Modular
from ..properties.nonnegative import all_positive
from ..properties.normalized import total_mass
from .folded import folded
from .local import is_positive, locally_normalised
from .masses import total_of

# A mass that is no zero is one modulo both with probability below 1e-16, if it were a random number.
_PRIMES = (2147483629, 1999999973)


def require_mass(circuit: Circuit, what: str) -> None:
    """Raises DanausError `no-mass` or `diverges`, about `what`, where the mass is zero, unknown, or infinite."""
    mass = total_mass(circuit)
    if mass.logarithm == np.inf:
        hint = "give that part of the circuit an input on the variable, such as a gaussian"
        raise error("diverges", f"{what} is infinite", hint=hint)
    match _is_zero(circuit, mass.logarithm):
        case True:
            raise error("no-mass", f"{what} is 0, and nothing is divided by it")
        case None:
            raise error("no-mass", f"{what} may be 0: rounding hides whether it is, and nothing is divided by it")
        case False:
            pass


def _is_zero(circuit: Circuit, log: float) -> bool | None:
    """Whether the mass is zero; None where bounds do not say."""
    if all_positive(circuit):
        return log == -np.inf
    nothing = Evidence.nothing(circuit.variables)
    try:
        return all(int(evaluate(circuit, Modular(prime), nothing)[0]) == 0 for prime in _PRIMES)
    except DanausError as failure:
        if failure.diagnostics[0].code not in ("irrational", "bad-prime"):
            raise
    low, high = evaluate(circuit, INTERVAL, nothing)[0].tolist()
    return None if low <= 0 <= high else False


def divided(circuit: Circuit) -> Block:
    """The root of the circuit over its mass: with locally normalised weights and inputs where no number is negative,
    otherwise scaled at the root."""
    if is_positive(circuit):
        return locally_normalised(circuit)
    size = Fraction(1)
    for variable in circuit.free:
        size *= variable.size or 1
    whole = total_of(circuit)
    number = divide(constant(Value.of([[1 / size]])), whole)
    return weighted([folded(circuit.root, circuit.support)], Dense(number), circuit.root.span)
