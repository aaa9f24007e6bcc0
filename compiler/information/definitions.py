"""The queries of information theory, each one line: a formula of totals of what the operators make of p and q.

`log(c)` is the logarithm of the total of a circuit, `mean(c, p)` its total over that of p, `total(c)` the total itself.
With P = p / Σp and Q = q / Σq each line is the definition, multiplied out so that nothing is normalised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ...ir.circuit import Circuit
from ...ir.domain import Variable
from ...ir.query.formula import Formula, LogOf, Share
from ..operators import divide, multiply, power
from ..operators.logarithm import Logarithms, logarithm
from ..operators.power import raised_root
from ..properties import Proved, check
from .marginals import onto
from .supports import support

Number = Formula[Circuit]

SQUARE = Fraction(2)

NEAR = 1e-3
"""Closer to alpha = 1 than this, log Σ Pᵅ / (1 − α) would lose its digits: it is averaged in place of divided."""
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(4)


def log(c: Circuit) -> Number:
    """The logarithm of a circuit's total."""
    return Formula((LogOf(1.0, c),))


def total(c: Circuit) -> Number:
    """A circuit's total."""
    return Formula((Share(1.0, c),))


def mean(c: Circuit, p: Circuit) -> Number:
    """A circuit's total over that of p."""
    return Formula((Share(1.0, c, p),))


def raised(p: Circuit, exponent: Fraction) -> Circuit:
    """pᵃ on the support: by determinism where it is proved, which keeps the size, else as a product."""
    if exponent == 1:
        return p
    if not isinstance(check(p, "deterministic")["deterministic"], Proved):
        return power(p, exponent)
    return replace(p, root=raised_root(p, exponent), origin=None)


def times_log(p: Circuit, exponent: Fraction = Fraction(1)) -> Circuit:
    """pᵃ log p on the support, of a deterministic circuit: about twice its size."""
    return replace(p, root=Logarithms(p, exponent).root(), origin=None)


def expectation(p: Circuit, f: Circuit) -> Number:
    """Σ P f."""
    return mean(multiply(p, f), p)


def entropy(p: Circuit) -> Number:
    """−Σ P log P."""
    return log(p) - mean(times_log(p), p)


def cross_entropy(p: Circuit, q: Circuit) -> Number:
    """−Σ P log Q."""
    return log(q) - mean(multiply(p, logarithm(q)), p)


def kl(p: Circuit, q: Circuit) -> Number:
    """Σ P log(P / Q)."""
    return cross_entropy(p, q) - entropy(p)


def renyi(p: Circuit, alpha: Fraction) -> Number:
    """log Σ Pᵅ / (1 − α)."""
    return (log(raised(p, alpha)) - float(alpha) * log(p)) / float(1 - alpha)


def renyi_near(p: Circuit, alpha: Fraction) -> Number:
    """The same where alpha is near 1, or is it: −∫ d/dt log Σ Pᵗ over t from 1 to α, averaged."""
    return log(p) - averaged(alpha, lambda t: mean(times_log(p, t), raised(p, t)))


def alpha_divergence(p: Circuit, q: Circuit, alpha: Fraction) -> Number:
    """log Σ Pᵅ Q¹⁻ᵅ / (α − 1)."""
    scales = float(alpha) * log(p) + float(1 - alpha) * log(q)
    return (log(multiply(raised(p, alpha), raised(q, 1 - alpha))) - scales) / float(alpha - 1)


def alpha_divergence_near(p: Circuit, q: Circuit, alpha: Fraction) -> Number:
    """The same where alpha is near 1, and supp p ⊆ supp q."""
    return log(q) - log(p) + averaged(alpha, lambda t: tilted(p, q, t))


def outside(p: Circuit, q: Circuit, alpha: Fraction) -> Number:
    """What is added to it where alpha is below 1, and some of p lies off the support of q: log P(supp q) / (α − 1)."""
    return (log(multiply(p, support(q))) - log(p)) / float(alpha - 1)


def tilted(p: Circuit, q: Circuit, t: Fraction) -> Number:
    """The mean of log(p / q) under pᵗ q¹⁻ᵗ."""
    one, other = raised(p, t), raised(q, 1 - t)
    both = multiply(one, other)
    return mean(multiply(times_log(p, t), other), both) - mean(multiply(one, times_log(q, 1 - t)), both)


def averaged(alpha: Fraction, of: Callable[[Fraction], Number]) -> Number:
    """The mean of a number over t between 1 and alpha, by Gauss and Legendre's rule."""
    parts = [
        weight / 2 * of(1 + (alpha - 1) * Fraction(point / 2 + 0.5))
        for point, weight in zip(POINTS.tolist(), WEIGHTS.tolist(), strict=True)
    ]
    return sum(parts[1:], parts[0])


def itakura_saito(p: Circuit, q: Circuit) -> Number:
    """Σ p / q − log(p / q) − 1, where both are positive."""
    return total(divide(p, q)) - total(logarithm(p)) + total(logarithm(q)) - total(support(q))


def cauchy_schwarz(p: Circuit, q: Circuit) -> Number:
    """−log(Σ p q / √(Σ p² Σ q²))."""
    return 0.5 * log(raised(p, SQUARE)) + 0.5 * log(raised(q, SQUARE)) - log(multiply(p, q))


def squared_loss(p: Circuit, q: Circuit) -> Number:
    """Σ (p − q)²."""
    return total(raised(p, SQUARE)) - 2 * total(multiply(p, q)) + total(raised(q, SQUARE))


def mutual_information(p: Circuit, x: Sequence[Variable], y: Sequence[Variable]) -> Number:
    """H(X) + H(Y) − H(X, Y)."""
    return entropy(onto(p, x)) + entropy(onto(p, y)) - entropy(onto(p, (*x, *y)))
