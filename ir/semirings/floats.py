"""Semirings over float64: numbers, dual numbers, and intervals that certainly hold the true value."""

from __future__ import annotations

import numpy as np

from ..density import error_terms, float_values, log_values
from ..diagnostic import error
from ..domain import Variable
from ..expression import Value
from ..family import Bernoulli, Family, Indicator, One
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
        with np.errstate(divide="ignore"):
            return np.log(a)

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


LINEAR = Linear()


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
        corners = [a[..., i] * b[..., j] for i in (0, 1) for j in (0, 1)]
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
        with np.errstate(divide="ignore"):
            out = np.log(a)
        return np.stack(
            [out[..., 0] - 8 * _ULP * np.abs(out[..., 0]), out[..., 1] + 8 * _ULP * np.abs(out[..., 1])], -1
        )

    def lift(self, value: Value) -> Array:
        if value.rationals is None:
            return np.stack([value.floats, value.floats], axis=-1)
        return _outward(value.floats, value.floats)

    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        floats = float_values(family, variable, parameters, x)
        if isinstance(family, Indicator | One):
            return np.stack([floats, floats], axis=-1)
        if isinstance(family, Bernoulli):
            return np.clip(_outward(floats, floats), 0.0, 1.0)
        logs, _ = log_values(family, variable, parameters, x)
        margin = np.broadcast_to(error_terms(family, variable, parameters, x) * _ULP, logs.shape)
        with np.errstate(invalid="ignore"):
            lo, hi = np.exp(logs - margin) * (1 - 8 * _ULP), np.exp(logs + margin) * (1 + 8 * _ULP)
        certain = np.isneginf(logs)
        hi = np.where(certain, 0.0, np.maximum(hi, np.nextafter(0, 1)))
        return np.stack([np.where(certain, 0.0, lo), hi], axis=-1)


def _is_zero(a: Array) -> Array:
    return np.asarray(np.all(a == 0, axis=-1, keepdims=True))


def _outward(lo: Array, hi: Array) -> Array:
    return np.stack([np.nextafter(lo, -np.inf), np.nextafter(hi, np.inf)], axis=-1)


DUAL = Dual()
INTERVAL = Interval()
