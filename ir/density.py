"""What the functions of the input families are worth: as floats, as logarithms with signs, and as exact fractions.

Finite domains give tables [width, n] in domain order, infinite ones values [width, batch]. Logarithms are computed as
such, so that nothing underflows; `error_terms` bounds their rounding for interval arithmetic.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import log_binomial, log_poisson
from .diagnostic import error
from .domain import FiniteDomain, Variable, first_value
from .family import (
    Bernoulli,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Family,
    Gaussian,
    GaussianDerivative,
    Indicator,
    InputLog,
    InputPower,
    InputProduct,
    One,
    Poisson,
    Table,
    name_of,
)
from .parameter import Floats, Objects

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def domain_values(variable: Variable) -> Floats:
    """The values of a finite domain, in order."""
    assert isinstance(variable.domain, FiniteDomain)
    return np.arange(variable.domain.size, dtype=np.float64) + first_value(variable.domain)


def log_values(family: Family, variable: Variable, parameters: list[Floats], x: Floats) -> tuple[Floats, Floats]:
    """log |f| and the sign of f, [width, len(x)], for parameters in float64 and raw values x.

    Sources: `language.md`, *Blocks*; the logistic difference is σ(a)σ(−b)(1 − e^(b−a)), which does not cancel.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        match family:
            case Bernoulli():
                (p,) = (part[:, None] for part in parameters)
                logs = np.where(x == 1, np.log(p), np.log1p(-p))
            case Categorical() | Table():
                table = parameters[0][:, (x - first_value(variable.domain)).astype(np.int64)]
                return np.log(np.abs(table)), np.sign(table)
            case Gaussian():
                m, s = (part[:, None] for part in parameters)
                logs = -0.5 * ((x - m) / s) ** 2 - np.log(s) - _HALF_LOG_TWO_PI
            case GaussianDerivative(order):
                return _log_slopes(order, parameters, x)
            case Poisson():
                (rate,) = (part[:, None] for part in parameters)
                logs = log_poisson(x, rate)
            case Binomial(n):
                (p,) = (part[:, None] for part in parameters)
                logs = log_binomial(n, x, p, p)
            case DiscretizedLogistic():
                logs = _log_logistic_bins(variable, parameters, x)
            case Indicator(value):
                logs = np.where(x == value, 0.0, -np.inf)[None, :]
            case One():
                logs = np.zeros((1, len(x)))
            case InputPower(base, exponent):
                logs, signs = log_values(base, variable, parameters, x)
                odd = exponent.denominator == 1 and exponent.numerator % 2 == 1
                logs = np.where(signs == 0, -np.inf, np.where(signs == 0, 0.0, logs) * float(exponent))
                return logs, signs if odd else np.abs(signs)
            case InputLog(base):
                values = float_values(family, variable, parameters, x)
                return np.log(np.abs(values)), np.sign(values)
            case InputProduct():
                raise AssertionError("products are multiplied by whoever computes their factors")
    return logs, np.where(np.isneginf(logs), 0.0, 1.0)


def float_values(family: Family, variable: Variable, parameters: list[Floats], x: Floats) -> Floats:
    """f, [width, len(x)], in float64."""
    match family:
        case Bernoulli():
            (p,) = (part[:, None] for part in parameters)
            return np.where(x == 1, p, 1 - p)
        case Categorical() | Table():
            return parameters[0][:, (x - first_value(variable.domain)).astype(np.int64)]
        case InputLog(base):
            logs, signs = log_values(base, variable, parameters, x)
            return np.where(signs == 0, 0.0, logs)
        case _:
            logs, signs = log_values(family, variable, parameters, x)
            with np.errstate(over="ignore"):
                return np.exp(logs) * signs


def exact_values(family: Family, variable: Variable, parameters: list[Objects], x: Floats) -> Objects:
    """f, [width, len(x)], in fractions.

    Raises: DanausError `irrational` for families whose values are no rationals.
    """
    match family:
        case Bernoulli():
            (p,) = (part[:, None] for part in parameters)
            return np.where(x == 1, p, 1 - p)
        case Categorical() | Table():
            return parameters[0][:, (x - first_value(variable.domain)).astype(np.int64)]
        case Binomial(n):
            (p,) = (part[:, None] for part in parameters)
            counts = np.array([int(v) for v in x], dtype=object)
            ways = np.array([math.comb(n, v) for v in counts], dtype=object)
            return np.asarray(ways * p**counts * (1 - p) ** (n - counts), dtype=object)
        case Indicator(value):
            return np.array([[Fraction(int(v == value)) for v in x]], dtype=object).reshape(1, len(x))
        case One():
            return np.array([[Fraction(1)] * len(x)], dtype=object).reshape(1, len(x))
        case _:
            raise error(
                "irrational",
                f'{name_of(family)}("{variable.name}") has irrational values, which are not computed exactly',
                hint='evaluate it with semiring="linear", "log" or "interval"',
            )


def error_terms(family: Family, variable: Variable, parameters: list[Floats], x: Floats) -> Floats:
    """A bound of the absolute error of `log_values`, in units of 2⁻⁵³: the terms that are added, with room to spare.

    It covers parameters that are off by that much relative to themselves.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        match family:
            case Gaussian():
                m, s = (part[:, None] for part in parameters)
                terms = ((x - m) / s) ** 2 + np.abs((x - m) * m / s**2) + np.abs(np.log(s)) + 1
            case Poisson():
                (rate,) = (part[:, None] for part in parameters)
                terms = np.abs(log_poisson(x, rate)) + np.abs(x - rate) + 1
            case DiscretizedLogistic():
                m, s = (part[:, None] for part in parameters)
                terms = 2 * (np.abs(x - m) + np.abs(m)) / s + 2 / s + np.abs(np.log(s)) + 2
            case InputPower(base, exponent):
                return (abs(float(exponent)) + 1) * error_terms(base, variable, parameters, x)
            case _:
                raise AssertionError(f"the error of {name_of(family)} is bounded where its interval is computed")
    return np.where(np.isnan(terms), np.inf, 16 * terms)


def raw_moment(family: Family, variable: Variable, parameters: list[NDArray[Any]], order: int) -> NDArray[Any]:
    """∫ xᵏ f(x), [width], for the families on infinite domains: floats, or fractions where the parameters are.

    Gaussian: E[xᵏ] = m E[xᵏ⁻¹] + (k − 1) s² E[xᵏ⁻²]. Poisson (Touchard): E[xᵏ⁺¹] = λ Σ C(k, i) E[xⁱ].

    Raises: DanausError `diverges` for the constant 1.
    """
    match family:
        case Gaussian():
            m, s = parameters
            moments = [np.ones_like(m), m]
            for k in range(2, order + 1):
                moments.append(_finite_product(m, moments[-1]) + (k - 1) * _finite_product(s, s, moments[-2]))
            return moments[order]
        case GaussianDerivative(n):
            # By parts: (−1)ⁿ k!/(k − n)! ∫ xᵏ⁻ⁿ f.
            if order < n:
                return parameters[0] * 0
            below = raw_moment(Gaussian(), variable, parameters, order - n)
            return np.asarray(below * ((-1) ** n * math.perm(order, n)))
        case Poisson():
            (rate,) = parameters
            moments = [np.ones_like(rate)]
            for k in range(order):
                with np.errstate(over="ignore"):
                    moments.append(rate * sum(math.comb(k, i) * moment for i, moment in enumerate(moments)))
            return moments[order]
        case Indicator(value):
            return np.array([Fraction(value) ** order])
        case _:
            raise error(
                "diverges",
                f'the constant 1 on "{variable.name}" ({variable.domain}) has no finite integral',
                hint="give that part of the circuit an input on the variable, such as a gaussian",
            )


def hermite(order: int) -> Floats:
    """The coefficients of the Hermite polynomial Heₙ, the constant first: dⁿ/dzⁿ e^(−z²/2) = (−1)ⁿ Heₙ(z) e^(−z²/2)."""
    return np.asarray(np.polynomial.hermite_e.herme2poly([0.0] * order + [1.0]))


def _log_slopes(order: int, parameters: list[Floats], x: Floats) -> tuple[Floats, Floats]:
    """log |f⁽ⁿ⁾| and the sign of f⁽ⁿ⁾ for the normal density f: (−1)ⁿ Heₙ(z) f(x) / sⁿ with z = (x − m)/s."""
    m, s = (part[:, None] for part in parameters)
    z = (x - m) / s
    polynomial = np.polynomial.polynomial.polyval(z, hermite(order))
    logs = np.log(np.abs(polynomial)) - 0.5 * z**2 - (order + 1) * np.log(s) - _HALF_LOG_TWO_PI
    signs = (-1) ** order * np.sign(polynomial)
    return logs, np.where(np.isneginf(logs), 0.0, signs)


def _finite_product(*factors: NDArray[Any]) -> NDArray[Any]:
    """A product that may overflow, of finite numbers: nothing times an overflow is nothing."""
    with np.errstate(over="ignore", invalid="ignore"):
        product = math.prod(factors[1:], start=factors[0])
    none = np.any([factor == 0 for factor in factors], axis=0)
    return np.where(none, np.zeros_like(product), product)


def _log_sigmoid(z: Floats) -> Floats:
    return -np.logaddexp(0.0, -z)


def _log_logistic_bins(variable: Variable, parameters: list[Floats], x: Floats) -> Floats:
    m, s = (part[:, None] for part in parameters)
    values = domain_values(variable)
    upper, lower = (x + 0.5 - m) / s, (x - 0.5 - m) / s
    inner = _log_sigmoid(upper) + _log_sigmoid(-lower) + np.log(-np.expm1(-1 / s))
    first, last = x == values[0], x == values[-1]
    ends = np.where(first, _log_sigmoid(upper), _log_sigmoid(-lower))
    return np.where(first & last, 0.0, np.where(first | last, ends, inner))
