"""Numbers, the values of domains, and the functions of input families, by their definitions and without rounding.

Irrational numbers are taken to 80 digits, so that fractions hold them too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from danaus.ir.domain import Bool, Count, Domain, Int, Real, Variable
from danaus.ir.family import (
    Bernoulli,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Family,
    Gaussian,
    Indicator,
    One,
    Poisson,
    Table,
)

Number = int | Fraction
Assignment = Mapping[Variable, Number]

ZERO, ONE, HALF = Fraction(0), Fraction(1), Fraction(1, 2)

_DIGITS = Context(prec=80)
_PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534")


def decimal(number: Number) -> Decimal:
    """The number to 80 digits."""
    exact = Fraction(number)
    return _DIGITS.divide(Decimal(exact.numerator), Decimal(exact.denominator))


def exponential(number: Number) -> Fraction:
    """e to a power, to 80 digits."""
    return Fraction(_DIGITS.exp(decimal(number)))


def logarithm(number: Number) -> Fraction:
    """The natural logarithm of a positive number, to 80 digits."""
    return Fraction(_DIGITS.ln(decimal(number)))


def square_root(number: Number) -> Fraction:
    """The square root, to 80 digits."""
    return Fraction(_DIGITS.sqrt(decimal(number)))


def sigmoid(number: Number) -> Fraction:
    """1 / (1 + e⁻ᶻ)."""
    return 1 / (1 + exponential(-number))


def values(domain: Domain) -> range:
    """The values of a finite domain, in order."""
    match domain:
        case Bool():
            return range(2)
        case Int(lo, hi):
            return range(lo, hi + 1)
        case Count() | Real():
            raise ValueError(f"{domain} has no end of values")
        case _:
            return range(domain.n)


def assignments(variables: Sequence[Variable]) -> Iterator[dict[Variable, Number]]:
    """All assignments of finite variables, the last variable's value changing fastest."""
    for row in itertools.product(*(values(variable.domain) for variable in variables)):
        yield dict(zip(variables, row, strict=True))


def density(family: Family, domain: Domain, parameters: Sequence[Any], x: Number) -> Fraction:
    """f(x) for one node of a family; of a family with rows, the parameter is the node's row."""
    match family, parameters:
        case Bernoulli(), (p,):
            return p if x == 1 else 1 - p
        case ((Categorical() | Table()), (row,)):
            return row[values(domain).index(int(x))]
        case Binomial(n), (p,):
            return math.comb(n, int(x)) * p ** int(x) * (1 - p) ** (n - int(x))
        case Gaussian(), (m, s):
            return exponential(-(((Fraction(x) - m) / s) ** 2) / 2) / (s * square_root(2 * _PI))
        case Poisson(), (rate,):
            return rate ** int(x) * exponential(-rate) / math.factorial(int(x))
        case DiscretizedLogistic(), (m, s):
            first, last = values(domain)[0], values(domain)[-1]
            upper = ONE if x == last else sigmoid((x + HALF - m) / s)
            return upper - (ZERO if x == first else sigmoid((x - HALF - m) / s))
        case Indicator(value), ():
            return ONE if x == value else ZERO
        case One(), ():
            return ONE
        case _:
            raise TypeError(f"{family} of {parameters}")
