"""The queries of information theory, each one line: a formula of totals of what the operators make of p and q.

`log(c)` is the logarithm of the total of a circuit, `mean(c, p)` its total over that of p, `total(c)` the total itself.
With P = p / Σp and Q = q / Σq each line is the definition, multiplied out so that nothing is normalised.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.circuit import Circuit
from ...ir.domain import Variable
from ...ir.query.formula import Formula, LogOf, Share
from ..operators import integrate, multiply, power

Number = Formula[Circuit]


def log(c: Circuit) -> Number:
    """The logarithm of a circuit's total."""
    return Formula((LogOf(1.0, c),))


def total(c: Circuit) -> Number:
    """A circuit's total."""
    return Formula((Share(1.0, c),))


def mean(c: Circuit, p: Circuit) -> Number:
    """A circuit's total over that of p."""
    return Formula((Share(1.0, c, p),))


def onto(p: Circuit, variables: Iterable[Variable]) -> Circuit:
    """The marginal of p on some variables."""
    kept = set(variables)
    return integrate(p, [variable for variable in p.variables if variable not in kept])


def expectation(p: Circuit, f: Circuit) -> Number:
    """Σ P f."""
    return mean(multiply(p, f), p)


def renyi(p: Circuit, alpha: float) -> Number:
    """log Σ Pᵅ / (1 − α)."""
    return (log(power(p, alpha)) - alpha * log(p)) / (1 - alpha)


def cauchy_schwarz(p: Circuit, q: Circuit) -> Number:
    """−log(Σ p q / √(Σ p² Σ q²))."""
    return 0.5 * log(power(p, 2)) + 0.5 * log(power(q, 2)) - log(multiply(p, q))


def squared_loss(p: Circuit, q: Circuit) -> Number:
    """Σ (p − q)²."""
    return total(power(p, 2)) - 2 * total(multiply(p, q)) + total(power(q, 2))
