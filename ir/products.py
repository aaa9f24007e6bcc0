"""Integrals of products of inputs on infinite domains, where they have a closed form.

What enters are the factors with their parameters; what leaves are logarithms and signs of moments, for all pairs.
Products of gaussians are gaussians times a number; an indicator leaves one value, which is the caller's (numbers.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .block import Input
from .density import raw_moment
from .diagnostic import error
from .domain import Count, FiniteDomain, Real, Variable
from .expression import Expression
from .family import Family, Gaussian, Indicator, InputLog, InputPower, InputProduct, One, Poisson, name_of
from .parameter import Floats

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_COUNT, _REAL = Count(), Real()


def has_integral(family: Family, variable: Variable) -> bool:
    """Whether a family's integral over its domain has a closed form here: any sum over a finite domain has.

    On real: gaussians and powers of them, times logarithms of gaussians. On count: poissons whose powers add up to 1,
    and whatever an indicator leaves.
    """
    if isinstance(variable.domain, FiniteDomain) or not isinstance(family, InputProduct | InputPower | InputLog):
        return True
    factors = [factor for factor in _factors(family) if not isinstance(factor, One)]
    if any(isinstance(factor, Indicator) for factor in factors):
        return True
    powers = [exponent_of(factor, Gaussian) for factor in factors]
    logs = [isinstance(factor, InputLog) and isinstance(factor.base, Gaussian) for factor in factors]
    if all(power is not None or log for power, log in zip(powers, logs, strict=True)):
        return any(power is not None and power > 0 for power in powers)
    rates = [exponent_of(factor, Poisson) for factor in factors]
    return sum(power for power in rates if power is not None) == 1 and None not in rates


def exponent_of(family: Family, kind: type[Gaussian | Poisson]) -> Fraction | None:
    """The power that a gaussian or poisson is raised to; None for other families."""
    match family:
        case InputPower(base, exponent):
            return exponent if isinstance(base, kind) else None
        case _:
            return Fraction(1) if isinstance(family, kind) else None


def _factors(family: Family) -> tuple[Family, ...]:
    return family.factors if isinstance(family, InputProduct) else (family,)


def require_integral(family: Family, variable: Variable) -> None:
    """Raises DanausError `no-closed-integral`, naming the factors, or `diverges` for constants alone."""
    if has_integral(family, variable):
        return
    if all(isinstance(factor, One) for factor in _factors(family)):
        raise error(
            "diverges",
            f'the constant 1 on "{variable.name}" ({variable.domain}) has no finite integral',
            hint="give that part of the circuit an input on the variable, such as a gaussian",
        )
    what = "the product " if isinstance(family, InputProduct) else ""
    raise error(
        "no-closed-integral",
        f'{what}{name_of(family)} on "{variable.name}" ({variable.domain}) has no integral in closed form',
        hint="likelihoods of it are exact; only what integrates over this variable is refused",
    )


@dataclass(frozen=True, slots=True)
class _Bell:
    """exp(logs) · N(x; mean, deviation), elementwise; `deviation` is infinite where there is no factor yet."""

    logs: Floats
    mean: Floats
    deviation: Floats

    @staticmethod
    def flat() -> _Bell:
        return _Bell(np.zeros(1), np.zeros(1), np.full(1, np.inf))

    @property
    def is_flat(self) -> bool:
        return bool(np.isinf(self.deviation).all())

    def times(self, m: Floats, s: Floats, logs: Floats | float = 0.0) -> _Bell:
        """N(x; m, s) · N(x; n, t) = N(m; n, √(s² + t²)) · N(x; (m t² + n s²)/(s² + t²), s t/√(s² + t²))."""
        if self.is_flat:
            return _Bell(self.logs + logs, m, s)
        both = np.hypot(self.deviation, s)
        found = self.logs + logs - 0.5 * ((self.mean - m) / both) ** 2 - np.log(both) - _HALF_LOG_TWO_PI
        share = (self.deviation / both) ** 2
        return _Bell(found, self.mean + share * (m - self.mean), (self.deviation / both) * s)

    def over(self, other: _Bell) -> _Bell:
        """This over another, where it is the narrower: N(x; M, S) / N(x; n, t) = N(x; μ, σ) / N(μ; n, √(σ² + t²))."""
        if other.is_flat:
            return _Bell(self.logs - other.logs, self.mean, self.deviation)
        s, t = self.deviation, other.deviation
        rest = np.sqrt((t - s) * (t + s))
        deviation = s * (t / rest)
        mean = self.mean + (self.mean - other.mean) * (s / rest) ** 2
        both = np.hypot(deviation, t)
        below = -0.5 * ((mean - other.mean) / both) ** 2 - np.log(both) - _HALF_LOG_TWO_PI
        return _Bell(self.logs - other.logs - below, mean, deviation)


def _raised(m: Floats, s: Floats, exponent: float) -> tuple[Floats, Floats, Floats]:
    """N(x; m, s)ᵃ = c · N(x; m, s/√a) for a > 0: the mean, the deviation, and log c."""
    if exponent == 1:
        return m, s, np.zeros(1)
    logs = (1 - exponent) * (np.log(s) + _HALF_LOG_TWO_PI) - 0.5 * math.log(exponent)
    return m, s / math.sqrt(exponent), logs


def _spread(parts: Sequence[Floats], place: int, count: int) -> list[Floats]:
    """A factor's parameters along its own axis of the grid of all pairs."""
    return [part.reshape((1,) * place + (-1,) + (1,) * (count - place - 1)) for part in parts]


def gaussians(given: Sequence[tuple[Family, Sequence[Floats]]]) -> tuple[Floats, Floats, Floats]:
    """The product of powers of gaussians, for all pairs of their nodes: log of its mass, its mean and deviation.

    Arrays of an axis per factor. Factors that are no powers of gaussians are left out.

    Raises: DanausError `diverges` where the precisions, with their powers, do not add up to a positive one.
    """
    above, below = _Bell.flat(), _Bell.flat()
    for place, (family, parts) in enumerate(given):
        exponent = exponent_of(family, Gaussian)
        if exponent is None:
            continue
        m, s = _spread(parts, place, len(given))
        m, s, logs = _raised(m, s, abs(float(exponent)))
        if exponent > 0:
            above = above.times(m, s, logs)
        else:
            below = below.times(m, s, logs)
    if not below.is_flat and not bool(np.all(above.deviation < below.deviation)):
        raise error(
            "diverges",
            f"the integral of {' × '.join(name_of(family) for family, _ in given)} is infinite for these deviations",
            hint="the gaussians that divide must be wider than those that are divided",
        )
    whole = above.over(below)
    return whole.logs, whole.mean, whole.deviation


def _poissons(given: Sequence[tuple[Family, Sequence[Floats]]]) -> tuple[Floats, Floats]:
    """Π (λᵛ e^(−λ) / v!)ᵃ = c · ρᵛ / v!ᴬ, for all pairs: log c and log ρ, arrays of an axis per factor."""
    logs, rate = np.zeros(1), np.zeros(1)
    for place, (family, parts) in enumerate(given):
        exponent = exponent_of(family, Poisson)
        if exponent is not None:
            (own,) = _spread(parts, place, len(given))
            logs, rate = logs - float(exponent) * own, rate + float(exponent) * np.log(own)
    return logs, rate


def log_moments(
    given: Sequence[tuple[Family, Sequence[Floats]]], widths: Sequence[int], order: int
) -> tuple[Floats, Floats]:
    """log |∫ xᵏ f g …| and its sign, [width], for what `has_integral` says has one; constants change nothing.

    Raises: DanausError `diverges`.
    """
    if any(exponent_of(family, Poisson) is not None for family, _ in given):
        logs, rate = _poissons(given)
        (raw,) = np.broadcast_arrays(np.exp(rate))
        moments = np.asarray(raw_moment(Poisson(), Variable("", _COUNT), [raw.ravel()], order)).reshape(raw.shape)
        with np.errstate(over="ignore"):
            logs = logs + np.exp(rate)
    else:
        logs, mean, deviation = gaussians(given)
        wide = np.broadcast_arrays(mean, deviation)
        flat = [np.ravel(part) for part in wide]
        if any(isinstance(family, InputLog) for family, _ in given):
            moments = _mean_of_logs(given, mean, deviation, order)
        else:
            moments = np.asarray(raw_moment(Gaussian(), Variable("", _REAL), flat, order)).reshape(wide[0].shape)
    with np.errstate(divide="ignore"):
        found, signs = logs + np.log(np.abs(moments)), np.sign(moments)
    full = [np.broadcast_to(part, tuple(widths)) if part.ndim else part for part in (found, signs)]
    return np.array(full[0]).ravel(), np.array(full[1]).ravel()


def _mean_of_logs(
    given: Sequence[tuple[Family, Sequence[Floats]]], mean: Floats, deviation: Floats, order: int
) -> Floats:
    """E[xᵏ Π log N(x; m, s)] under gaussians: a polynomial in t = (x − mean)/deviation, whose moments are (n − 1)!!.

    With d = (mean − m)/s and r = deviation/s, log N = −d²/2 − log s − ½ log 2π − d r t − ½ r² t².
    """
    terms: list[Floats] = [np.ones(1)]
    for place, (family, parts) in enumerate(given):
        if isinstance(family, InputLog):
            m, s = _spread(parts, place, len(given))
            d, r = (mean - m) / s, deviation / s
            terms = _multiplied(terms, [-0.5 * d * d - np.log(s) - _HALF_LOG_TWO_PI, -d * r, -0.5 * r * r])
    for _ in range(order):
        terms = _multiplied(terms, [mean, deviation])
    total: Floats = np.zeros(1)
    for degree in range(0, len(terms), 2):
        total = total + terms[degree] * float(math.prod(range(1, degree, 2)))
    return total


def _multiplied(a: list[Floats], b: list[Floats]) -> list[Floats]:
    """The product of polynomials by their coefficients."""
    out: list[Floats] = [np.zeros(1)] * (len(a) + len(b) - 1)
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            out[i + j] = out[i + j] + left * right
    return out


def normalised(family: Family, parameters: list[Floats]) -> tuple[Family, list[Floats]]:
    """A product with an integral as a family that is none, up to a number per node, with parameters [width].

    Other families are given back as they are.

    Raises: DanausError `no-distribution` where a logarithm stands in it, `diverges`.
    """
    if not isinstance(family, InputProduct | InputPower | InputLog):
        return family, parameters
    given, widths = _given(family, parameters)
    points = [factor for factor, _ in given if isinstance(factor, Indicator)]
    if points:
        return points[0], []
    if any(isinstance(factor, InputLog) for factor, _ in given):
        raise error(
            "no-distribution",
            f"{name_of(family)} is not a number times a gaussian or a poisson",
            hint="ask for its likelihoods and integrals",
        )
    if any(exponent_of(factor, Poisson) is not None for factor, _ in given):
        found: list[Floats] = [np.exp(_poissons(given)[1])]
        kind: Family = Poisson()
    else:
        kind, found = Gaussian(), [*gaussians(given)[1:]]
    return kind, [np.array(np.broadcast_to(part, widths)).ravel() for part in found]


def _given(
    family: InputProduct | InputPower | InputLog, parameters: Sequence[Floats]
) -> tuple[list[tuple[Family, tuple[Floats, ...]]], tuple[int, ...]]:
    """The factors with their parameters, and how many functions each has."""
    if isinstance(family, InputProduct):
        return family.split(parameters), family.widths
    return [(family, tuple(parameters))], (len(parameters[0]),)


def mode(family: Family, parameters: list[Floats]) -> Floats:
    """A value at which each function of a family on an infinite domain is largest, [width].

    ρᵛ / v!ᴬ grows as long as v ≤ ρ^(1/A).

    Raises: DanausError `no-largest` where there is none, or none in closed form.
    """
    match family:
        case Gaussian():
            return parameters[0]
        case Poisson():
            return np.floor(parameters[0])
        case Indicator(value):
            return np.array([float(value)])
        case InputLog(Gaussian() | Poisson() as base):
            return mode(base, parameters)
        case InputProduct() | InputPower():
            given, widths = _given(family, parameters)
            return np.array(np.broadcast_to(_product_mode(family, given), widths)).ravel()
        case InputLog():
            raise _without_largest(family)
        case _:
            return np.zeros(1)


def _without_largest(family: Family) -> Exception:
    return error("no-largest", f"{name_of(family)} has no largest value in closed form")


def _product_mode(family: Family, given: Sequence[tuple[Family, Sequence[Floats]]]) -> Floats:
    points = [factor.value for factor, _ in given if isinstance(factor, Indicator)]
    if points:
        return np.array([float(points[0])])
    if any(isinstance(factor, InputLog) for factor, _ in given):
        raise _without_largest(family)
    powers = [power for factor, _ in given if (power := exponent_of(factor, Poisson)) is not None]
    if powers:
        _, rate = _poissons(given)
        if sum(powers) <= 0:
            raise _without_largest(family)
        # A root that is whole up to rounding is that whole number, where two neighbours are largest.
        return np.floor(np.exp(rate / float(sum(powers))) * (1 + 1e-12))
    powers = [power for factor, _ in given if (power := exponent_of(factor, Gaussian)) is not None]
    if powers and max(powers) < 0:
        raise _without_largest(family)
    return gaussians(given)[1] if powers else np.zeros(1)


def singles_of(block: Input) -> list[tuple[Family, tuple[Expression, ...]]]:
    """An input's family with its parameters, or, of a product, those of its factors."""
    if isinstance(block.family, InputProduct):
        return block.family.split(block.parameters)
    return [(block.family, block.parameters)]
