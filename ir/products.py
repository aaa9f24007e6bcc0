"""Integrals of products of inputs on infinite domains, where they have a closed form.

What enters are the factors with their parameters; what leaves are logarithms and signs of moments, for all pairs.
Products of gaussians are gaussians times a number; an indicator leaves one value, which is the caller's (numbers.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .block import Input
from .density import raw_moment
from .diagnostic import error
from .domain import Count, FiniteDomain, Real, Variable
from .expression import Expression, Floats
from .family import Family, Gaussian, Indicator, InputProduct, One, Poisson, name_of

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_COUNT, _REAL = Count(), Real()


def has_integral(family: Family, variable: Variable) -> bool:
    """Whether a family's integral over its domain has a closed form here: any sum over a finite domain has."""
    if isinstance(variable.domain, FiniteDomain) or not isinstance(family, InputProduct):
        return True
    kinds = [type(factor) for factor in family.factors if not isinstance(factor, One)]
    return Indicator in kinds or (len(kinds) > 0 and set(kinds) <= {Gaussian}) or kinds == [Poisson]


def require_integral(family: Family, variable: Variable) -> None:
    """Raises DanausError `no-closed-integral`, naming the factors, or `diverges` for constants alone."""
    if has_integral(family, variable):
        return
    assert isinstance(family, InputProduct)
    if all(isinstance(factor, One) for factor in family.factors):
        raise error(
            "diverges",
            f'the constant 1 on "{variable.name}" ({variable.domain}) has no finite integral',
            hint="give that part of the circuit an input on the variable, such as a gaussian",
        )
    raise error(
        "no-closed-integral",
        f'the product {name_of(family)} on "{variable.name}" ({variable.domain}) has no integral in closed form',
        hint="likelihoods of the product are exact; only what integrates over this variable is refused",
    )


def gaussians(given: Sequence[tuple[Family, Sequence[Floats]]]) -> tuple[Floats, Floats, Floats]:
    """The product of gaussians, for all pairs of their nodes: log of its mass, its mean and deviation, [width] each.

    N(x; m, s) · N(x; n, t) = N(m; n, √(s² + t²)) · N(x; (m t² + n s²)/(s² + t²), s t/√(s² + t²)).
    """
    logs, mean, deviation = np.zeros(1), np.zeros(1), np.full(1, np.inf)
    for _, (m, s) in ((family, parts) for family, parts in given if isinstance(family, Gaussian)):
        if np.isinf(deviation).all():
            logs, mean, deviation = np.zeros(len(m)), m, s
            continue
        both = np.hypot(deviation[:, None], s)
        logs = logs[:, None] - 0.5 * ((mean[:, None] - m) / both) ** 2 - np.log(both) - _HALF_LOG_TWO_PI
        share = (deviation[:, None] / both) ** 2
        mean = mean[:, None] + share * (m - mean[:, None])
        deviation = (deviation[:, None] / both) * s
        logs, mean, deviation = logs.ravel(), mean.ravel(), deviation.ravel()
    return logs, mean, deviation


def log_moments(
    given: Sequence[tuple[Family, Sequence[Floats]]], widths: Sequence[int], order: int
) -> tuple[Floats, Floats]:
    """log |∫ xᵏ f g …| and its sign, [width], for gaussians, or for one poisson; constants change nothing."""
    assert all(width == 1 for (family, _), width in zip(given, widths, strict=True) if isinstance(family, One))
    poissons = [(family, parts) for family, parts in given if isinstance(family, Poisson)]
    if poissons:
        family, parts = poissons[0]
        logs, moments = np.zeros(len(parts[0])), np.asarray(raw_moment(family, Variable("", _COUNT), [*parts], order))
    else:
        logs, mean, deviation = gaussians(given)
        moments = np.asarray(raw_moment(Gaussian(), Variable("", _REAL), [mean, deviation], order))
    with np.errstate(divide="ignore"):
        return logs + np.log(np.abs(moments)), np.sign(moments)


def normalised(family: Family, parameters: list[Floats]) -> tuple[Family, list[Floats]]:
    """A product with an integral as a family that is none, up to a number per node, with parameters [width].

    Other families are given back as they are.
    """
    if not isinstance(family, InputProduct):
        return family, parameters
    points = [factor for factor in family.factors if isinstance(factor, Indicator)]
    if points:
        return points[0], []
    given = family.split(parameters)
    rates = [parts[0] for factor, parts in given if isinstance(factor, Poisson)]
    return (Poisson(), rates) if rates else (Gaussian(), [*gaussians(given)[1:]])


def mode(family: Family, parameters: list[Floats]) -> Floats:
    """A value at which each function of a family on an infinite domain is largest, [width].

    Π λᵢᵛ / v! of n poissons grows as long as v ≤ (Π λᵢ)^(1/n).
    """
    match family:
        case Gaussian():
            return parameters[0]
        case Poisson():
            return np.floor(parameters[0])
        case Indicator(value):
            return np.array([float(value)])
        case InputProduct(_, widths):
            return np.broadcast_to(_product_mode(family.split(parameters)), math.prod(widths))
        case _:
            return np.zeros(1)


def _product_mode(given: Sequence[tuple[Family, Sequence[Floats]]]) -> Floats:
    points = [family.value for family, _ in given if isinstance(family, Indicator)]
    if points:
        return np.array([float(points[0])])
    rates = [parts[0] for family, parts in given if isinstance(family, Poisson)]
    if not rates:
        return gaussians(given)[1]
    logs = np.zeros(1)
    for rate in rates:
        logs = (logs[:, None] + np.log(rate) / len(rates)).ravel()
    # A root that is whole up to rounding is that whole number, where two neighbours are largest.
    return np.floor(np.exp(logs) * (1 + 1e-12))


def singles_of(block: Input) -> list[tuple[Family, tuple[Expression, ...]]]:
    """An input's family with its parameters, or, of a product, those of its factors."""
    if isinstance(block.family, InputProduct):
        return block.family.split(block.parameters)
    return [(block.family, block.parameters)]
