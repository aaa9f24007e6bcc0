"""Semirings over float64: numbers, dual numbers, and intervals that certainly hold the true value."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..counts import log_binomial
from ..density import error_terms, float_values, hermite, log_values
from ..diagnostic import error
from ..domain import Variable
from ..family import (
    Bernoulli,
    Binomial,
    Family,
    Gaussian,
    GaussianDerivative,
    Indicator,
    InputLog,
    InputPower,
    One,
    Poisson,
)
from ..parameter import Value, fractions
from .semiring import Array, Field, Semiring, reduceat

_ULP = 2.0**-53


class Linear(Field):
    """Numbers as they are, in float64."""

    name = "linear"

    def unit(self, one: bool) -> Array:
        return np.array(float(one))

    def add(self, a: Array, b: Array) -> Array:
        return a + b

    def multiply(self, a: Array, b: Array) -> Array:
        return a * b

    def divide(self, a: Array, b: Array) -> Array:
        if np.any(b == 0):
            raise error("zero-division", "a derived number divides by zero")
        return a / b

    def exp(self, a: Array) -> Array:
        return np.exp(a)

    def log(self, a: Array) -> Array:
        return np.log(np.where(a == 0, 1.0, np.abs(a)))

    def power(self, a: Array, exponent: Fraction) -> Array:
        with np.errstate(over="ignore"):
            return np.where(a == 0, 0.0, _powers(a, exponent))

    def lift(self, value: Value) -> Array:
        return value.floats

    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        return float_values(family, variable, parameters, x)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return scalars @ elements

    def segment_sum(self, elements: Array, offsets: Array) -> Array:
        return reduceat(np.add, elements, offsets, 0.0)

    def segment_product(self, elements: Array, offsets: Array) -> Array:
        return reduceat(np.multiply, elements, offsets, 1.0)


def _powers(a: Array, exponent: Fraction) -> Array:
    """aᵏ of numbers that are not 0; |a|ᵏ where k is no integer."""
    power = float(exponent)
    sizes = np.power(np.where(a == 0, 1.0, np.abs(a)), power)
    return np.copysign(sizes, a) if exponent.denominator == 1 and exponent.numerator % 2 else sizes


LINEAR = Linear()


class Complex(Linear):
    """Numbers as they are, in complex128; a circuit's own are float64."""

    name = "complex"

    @property
    def field(self) -> Field:
        return LINEAR

    def unit(self, one: bool) -> Array:
        return np.array(complex(one))


COMPLEX = Complex()


class Dual(Semiring):
    """a + b·ε with ε² = 0: a value and its derivative in one direction, which evidence brings in; [..., 2]."""

    name = "dual"
    trailing = 1

    @property
    def field(self) -> Field:
        return LINEAR

    @property
    def scalars(self) -> Semiring:
        return LINEAR

    def from_field(self, values: Array) -> Array:
        return values

    def embed(self, scalars: Array) -> Array:
        return np.stack([scalars, np.zeros_like(scalars)], axis=-1)

    def unit(self, one: bool) -> Array:
        return np.array([float(one), 0.0])

    def add(self, a: Array, b: Array) -> Array:
        return a + b

    def multiply(self, a: Array, b: Array) -> Array:
        return np.stack([a[..., 0] * b[..., 0], a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]], axis=-1)

    def scale(self, scalars: Array, elements: Array) -> Array:
        return scalars[..., None] * elements

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return np.stack([scalars @ elements[..., 0], scalars @ elements[..., 1]], axis=-1)


class Interval(Field):
    """[lo, hi] with lo ≤ true value ≤ hi: every operation rounds outward; [..., 2]."""

    name = "interval"
    trailing = 1

    def unit(self, one: bool) -> Array:
        return np.array([float(one), float(one)])

    def add(self, a: Array, b: Array) -> Array:
        wide = _outward(a[..., 0] + b[..., 0], a[..., 1] + b[..., 1])
        return np.where(_is_zero(a), b, np.where(_is_zero(b), a, wide))

    def multiply(self, a: Array, b: Array) -> Array:
        nothing = _is_zero(a)[..., 0] | _is_zero(b)[..., 0]
        with np.errstate(invalid="ignore"):  # an end that overflowed, times zero
            corners = [np.where(nothing, 0.0, a[..., i] * b[..., j]) for i in (0, 1) for j in (0, 1)]
        exact = (a[..., 0] == a[..., 1]) & ((a[..., 0] == 0) | (a[..., 0] == 1))
        exact = exact | (b[..., 0] == b[..., 1]) & ((b[..., 0] == 0) | (b[..., 0] == 1))
        lo, hi = np.minimum.reduce(corners), np.maximum.reduce(corners)
        wide = _outward(lo, hi)
        return np.where(exact[..., None], np.stack([lo, hi], axis=-1), wide)

    def divide(self, a: Array, b: Array) -> Array:
        if np.any((b[..., 0] <= 0) & (b[..., 1] >= 0)):
            raise error("zero-division", "a derived number divides by an interval that holds zero")
        return self.multiply(a, _outward(1 / b[..., 1], 1 / b[..., 0]))

    def exp(self, a: Array) -> Array:
        out = np.exp(a)
        return np.stack([out[..., 0] * (1 - 8 * _ULP), out[..., 1] * (1 + 8 * _ULP)], axis=-1)

    def log(self, a: Array) -> Array:
        none = _is_zero(a)[..., 0]
        ends = np.where(none[..., None], 1.0, a)
        if np.any((ends[..., 0] <= 0) & (ends[..., 1] >= 0)):
            raise error("zero-division", "a derived number is the logarithm of an interval that holds zero")
        out = np.sort(np.log(np.abs(ends)), axis=-1)
        lo, hi = out[..., 0] - 8 * _ULP * np.abs(out[..., 0]), out[..., 1] + 8 * _ULP * np.abs(out[..., 1])
        return np.stack([lo, hi], axis=-1)

    def power(self, a: Array, exponent: Fraction) -> Array:
        none = _is_zero(a)[..., 0]
        ends = np.where(none[..., None], 1.0, a)
        across = (ends[..., 0] <= 0) & (ends[..., 1] >= 0)
        if exponent <= 0 and np.any(across):
            raise error("zero-division", f"the power {exponent} of an interval that holds zero")
        with np.errstate(over="ignore"):
            out = np.where(ends == 0, 0.0, _powers(np.where(ends == 0, 1.0, ends), exponent))
        lo, hi = out.min(axis=-1), out.max(axis=-1)
        if not (exponent.denominator == 1 and exponent.numerator % 2):
            lo = np.where(across, 0.0, lo)
        if exponent == 0:
            wide = np.stack([lo, hi], axis=-1)
        else:
            # |a| · |log x| rounds in the exponent, a float beside the rational that it stands for
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                sizes = np.abs(float(exponent) * np.log(np.abs(np.where(ends == 0, 1.0, ends)))).max(axis=-1)
                margin = 8 * _ULP * (1 + sizes)
                wide = _outward(lo - margin * np.abs(lo), hi + margin * np.abs(hi))
            positive = np.all(ends > 0, axis=-1)
            wide[..., 0] = np.where(positive, np.maximum(wide[..., 0], 0.0), wide[..., 0])
        return np.where(none[..., None], 0.0, wide)

    def lift(self, value: Value) -> Array:
        if value.rationals is None:
            return np.stack([value.floats, value.floats], axis=-1)
        wide = _outward(value.floats, value.floats)
        above = np.asarray(value.rationals > fractions(value.floats), dtype=bool)
        below = np.asarray(value.rationals < fractions(value.floats), dtype=bool)
        ends = np.where(below, wide[..., 0], value.floats), np.where(above, wide[..., 1], value.floats)
        return np.stack(ends, axis=-1)

    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        """The family's functions for parameters that are intervals."""
        match family:
            case Indicator() | One():
                floats = float_values(family, variable, [], x)
                return np.stack([floats, floats], axis=-1)
            case Bernoulli():
                p = parameters[0][:, None]
                return np.where((x == 1)[:, None], p, _complement(p))
            case Binomial(n):
                low, high = parameters[0][:, None, 0], parameters[0][:, None, 1]
                ends = log_binomial(n, x, low, high), log_binomial(n, x, high, low)
                shift = np.abs(x - n * low) + 1
                margins = [16 * _ULP * (np.where(np.isneginf(logs), 0.0, np.abs(logs)) + shift) for logs in ends]
                out = _exponentials(ends[0], ends[1], margins[0], margins[1])
                return np.where(np.isneginf(ends[1])[..., None], 0.0, out)
            case GaussianDerivative(order):
                return _slopes(order, variable, parameters, x)
            case InputLog(Gaussian() | Poisson() as base):
                middles = [part.mean(axis=-1) for part in parameters]
                logs, _ = log_values(base, variable, middles, x)
                width = max(float(_relative_width(part).max(initial=0)) for part in parameters)
                margin = error_terms(base, variable, middles, x) * (_ULP + width)
                return _outward(logs - margin, logs + margin)
            case InputLog(base):
                return self.log(self.closed_form(base, variable, parameters, x))
            case InputPower(InputLog() | InputPower() as base, exponent):
                return self.power(self.closed_form(base, variable, parameters, x), exponent)
            case _:
                middles = [part.mean(axis=-1) for part in parameters]
                logs, _ = log_values(family, variable, middles, x)
                # The terms bound what an error of 2⁻⁵³ in each parameter does; a wider interval does as much more.
                width = max(float(_relative_width(part).max(initial=0)) for part in parameters)
                margin = error_terms(family, variable, middles, x) * (_ULP + width)
                return _exponentials(logs, logs, margin, margin)


def _slopes(order: int, variable: Variable, parameters: list[Array], x: Array) -> Array:
    """Bounds of a gaussian's derivative: of its density, times those of (−1)ⁿ Heₙ(z) / sⁿ."""
    density = INTERVAL.closed_form(Gaussian(), variable, parameters, x)
    m, s = (part.mean(axis=-1)[:, None] for part in parameters)
    error = 8 * (order + 2) * (_ULP + max(float(_relative_width(part).max(initial=0)) for part in parameters))
    coefficients = hermite(order)
    with np.errstate(over="ignore", invalid="ignore"):
        z = (x - m) / s
        size = np.polynomial.polynomial.polyval(np.abs(z), np.abs(coefficients))
        steep = np.polynomial.polynomial.polyval(np.abs(z), np.abs(np.polynomial.polynomial.polyder(coefficients)))
        middle = (-1) ** order * np.polynomial.polynomial.polyval(z, coefficients) / s**order
        margin = error * (size + steep * (np.abs(x) + np.abs(m)) / s) / s**order
    low, high = np.nan_to_num(middle - margin, nan=-np.inf), np.nan_to_num(middle + margin, nan=np.inf)
    return INTERVAL.multiply(density, _outward(low, high))


def _relative_width(intervals: Array) -> Array:
    """Half the width of intervals, as a part of their middle."""
    half = (intervals[..., 1] - intervals[..., 0]) / 2
    return np.asarray(half / np.maximum(np.abs(intervals.mean(axis=-1)), np.finfo(float).tiny))


def _complement(p: Array) -> Array:
    """1 − p for intervals of probabilities."""
    q = np.clip(_outward(1 - p[..., 1], 1 - p[..., 0]), 0.0, 1.0)
    certain = (p[..., 0] == p[..., 1]) & ((p[..., 0] == 0) | (p[..., 0] == 1))
    return np.where(certain[..., None], 1 - p[..., ::-1], q)


def _exponentials(low: Array, high: Array, below: Array, above: Array) -> Array:
    """Intervals around the exponentials of logarithms that may be off by so much; the upper end is never zero.

    Where the bound overflows beside the logarithm, nothing is known but that the value is not negative.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        lo, hi = np.exp(low - below) * (1 - 8 * _ULP), np.exp(high + above) * (1 + 8 * _ULP)
    lo, hi = np.where(np.isnan(lo), 0.0, lo), np.where(np.isnan(hi), np.inf, hi)
    return np.stack(np.broadcast_arrays(np.nextafter(lo, 0.0), np.nextafter(hi, np.inf)), axis=-1)


def _is_zero(a: Array) -> Array:
    return np.asarray(np.all(a == 0, axis=-1, keepdims=True))


def _outward(lo: Array, hi: Array) -> Array:
    return np.stack([np.nextafter(lo, -np.inf), np.nextafter(hi, np.inf)], axis=-1)


DUAL = Dual()
INTERVAL = Interval()
