"""Semirings over logarithms: sums of non-negative numbers, sums with signs, and maxima. −inf is exactly zero."""

from __future__ import annotations

from fractions import Fraction
from math import log

import numpy as np

from ..density import log_values
from ..diagnostic import error
from ..domain import Variable
from ..family import Family
from ..parameter import Value
from .semiring import Array, Field, Semiring, reduceat

# A linear sum below this may have lost terms that underflowed to nothing, and is computed again term by term.
_TINY = 2.0**-960
_CHUNK = 1 << 22


class SignedLog(Field):
    """Any real number as its logarithm and its sign, [..., 2]: zero is (−inf, 0)."""

    name = "signed-log"
    trailing = 1

    def unit(self, one: bool) -> Array:
        return np.array([0.0, 1.0]) if one else np.array([-np.inf, 0.0])

    def add(self, a: Array, b: Array) -> Array:
        top = np.maximum(a[..., 0], b[..., 0])
        shift = np.where(np.isneginf(top), 0.0, top)
        total = a[..., 1] * np.exp(a[..., 0] - shift) + b[..., 1] * np.exp(b[..., 0] - shift)
        return _signed(total, shift)

    def multiply(self, a: Array, b: Array) -> Array:
        sign = a[..., 1] * b[..., 1]
        return np.stack([np.where(sign == 0, -np.inf, a[..., 0] + b[..., 0]), sign], axis=-1)

    def divide(self, a: Array, b: Array) -> Array:
        if np.any(b[..., 1] == 0):
            raise error("zero-division", "a derived number divides by zero")
        sign = a[..., 1] * b[..., 1]
        return np.stack([np.where(sign == 0, -np.inf, a[..., 0] - b[..., 0]), sign], axis=-1)

    def exp(self, a: Array) -> Array:
        value = a[..., 1] * np.exp(a[..., 0])
        return np.stack([value, np.ones_like(value)], axis=-1)

    def log(self, a: Array) -> Array:
        return self._of(np.where(a[..., 1] == 0, 0.0, a[..., 0]))

    def power(self, a: Array, exponent: Fraction) -> Array:
        none = a[..., 1] == 0
        logs = np.where(none, -np.inf, np.where(none, 0.0, a[..., 0]) * float(exponent))
        signs = a[..., 1] if exponent.denominator == 1 and exponent.numerator % 2 else np.abs(a[..., 1])
        return np.stack([logs, signs], axis=-1)

    def _of(self, values: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.stack([np.log(np.abs(values)), np.sign(values)], axis=-1)

    def lift(self, value: Value) -> Array:
        """Of rationals that float64 does not hold with all its digits, their own logarithms."""
        found = self._of(value.floats)
        if value.rationals is None:
            return found
        beyond = (np.abs(value.floats) < np.finfo(np.float64).tiny) | ~np.isfinite(value.floats)
        for place in zip(*np.nonzero(beyond), strict=True):
            number = value.rationals[place]
            if number:
                found[place] = log(abs(number.numerator)) - log(number.denominator), 1.0 if number > 0 else -1.0
        return found

    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        logs, signs = log_values(family, variable, parameters, x)
        return np.stack([logs, signs], axis=-1)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        """The positive and the negative terms apart, each exact, then their difference."""
        w, s = scalars[..., 0], scalars[..., 1]
        x, t = elements[..., 0], elements[..., 1]

        def part(values: Array, keep: Array) -> Array:
            return np.where(keep, values, -np.inf)

        if np.all(s >= 0) and np.all(t >= 0):
            logs = log_matmul(w, x)
            return np.stack([logs, np.where(np.isneginf(logs), 0.0, 1.0)], axis=-1)
        plus = LOG.add(log_matmul(part(w, s > 0), part(x, t > 0)), log_matmul(part(w, s < 0), part(x, t < 0)))
        minus = LOG.add(log_matmul(part(w, s > 0), part(x, t < 0)), log_matmul(part(w, s < 0), part(x, t > 0)))
        ones = np.ones_like(plus)
        return self.add(
            np.stack([plus, np.where(np.isneginf(plus), 0, ones)], axis=-1),
            np.stack([minus, np.where(np.isneginf(minus), 0, -ones)], axis=-1),
        )


def _signed(total: Array, shift: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.stack([np.log(np.abs(total)) + shift, np.sign(total)], axis=-1)


SIGNED_LOG = SignedLog()


class Log(Semiring):
    """Logarithms of non-negative numbers."""

    name = "log"

    @property
    def field(self) -> Field:
        return SIGNED_LOG

    def from_field(self, values: Array) -> Array:
        if np.any(values[..., 1] < 0):
            raise error(
                "negative",
                "the circuit has a negative number, which has no logarithm",
                hint='evaluate it with semiring="signed-log", which carries signs',
            )
        return values[..., 0]

    def unit(self, one: bool) -> Array:
        return np.array(0.0 if one else -np.inf)

    def add(self, a: Array, b: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return np.logaddexp(a, b)

    def multiply(self, a: Array, b: Array) -> Array:
        return a + b

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return log_matmul(scalars, elements)

    def segment_sum(self, elements: Array, offsets: Array) -> Array:
        top = reduceat(np.maximum, elements, offsets, -np.inf)
        shift = np.where(np.isneginf(top), 0.0, top)
        spread = np.exp(elements - np.repeat(shift, np.diff(offsets), axis=0))
        with np.errstate(divide="ignore"):
            return np.log(reduceat(np.add, spread, offsets, 0.0)) + shift

    def segment_product(self, elements: Array, offsets: Array) -> Array:
        return reduceat(np.add, elements, offsets, 0.0)


LOG = Log()


def log_matmul(weights: Array, x: Array) -> Array:
    """log(exp(weights) @ exp(x)) for weights [..., m, n] and x [..., n, batch], with no loss to underflow.

    One maximum per row and per column is taken out and the product is linear; where what is left is so small that
    terms may have vanished, the sum is taken again term by term.
    """
    if weights.shape[-1] == 0:
        return np.full((*x.shape[:-2], weights.shape[-2], x.shape[-1]), -np.inf)
    row = weights.max(axis=-1, keepdims=True)
    column = x.max(axis=-2, keepdims=True)
    row = np.where(np.isneginf(row), 0.0, row)
    column = np.where(np.isneginf(column), 0.0, column)
    total = np.exp(weights - row) @ np.exp(x - column)
    with np.errstate(divide="ignore"):
        out = np.log(total) + row + column
    small = total < _TINY
    if small.any():  # of those, what has no term but zeros is zero
        small &= (~np.isneginf(weights)).astype(np.float32) @ (~np.isneginf(x)).astype(np.float32) > 0
    lost = np.argwhere(small)
    step = max(1, _CHUNK // weights.shape[-1])
    for start in range(0, len(lost), step):
        *lead, i, b = (lost[start : start + step, axis] for axis in range(lost.shape[1]))
        terms = weights[(*lead, i)] + np.moveaxis(x, -1, -2)[(*lead, b)]
        top = terms.max(axis=-1)
        shift = np.where(np.isneginf(top), 0.0, top)
        with np.errstate(divide="ignore"):
            out[(*lead, i, b)] = np.log(np.exp(terms - shift[:, None]).sum(axis=-1)) + shift
    return np.asarray(out)


class Max(Log):
    """Maxima of products of non-negative numbers, as logarithms."""

    name = "max"

    def add(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return Semiring.matmul(self, scalars, elements)

    def sum(self, elements: Array, axis: int) -> Array:
        return np.asarray(np.max(elements, axis=axis, initial=-np.inf))

    def segment_sum(self, elements: Array, offsets: Array) -> Array:
        return reduceat(np.maximum, elements, offsets, -np.inf)


MAX = Max()
