"""Semirings that do not round: fractions, truth values, and integers modulo a prime."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..density import exact_values
from ..diagnostic import error
from ..domain import Variable
from ..family import Family
from ..parameter import Floats, Value, as_fraction
from .logarithmic import SIGNED_LOG
from .semiring import Array, Field, Semiring, reduceat


class Exact(Field):
    """Fractions of Python integers, in object arrays."""

    name = "exact"

    @property
    def exact_inputs(self) -> bool:
        return True

    def unit(self, one: bool) -> Array:
        return np.array(Fraction(int(one)), dtype=object)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b, dtype=object)

    def multiply(self, a: Array, b: Array) -> Array:
        return np.asarray(a * b, dtype=object)

    def divide(self, a: Array, b: Array) -> Array:
        if np.any(b == 0):
            raise error("zero-division", "a derived number divides by zero")
        return np.asarray(a / b, dtype=object)

    def exp(self, a: Array) -> Array:
        raise _irrational("an exponential")

    def log(self, a: Array) -> Array:
        raise _irrational("a logarithm")

    def power(self, a: Array, exponent: Fraction) -> Array:
        if exponent.denominator != 1:
            raise _irrational(f"the power {exponent} of a number")
        whole = int(exponent)
        raised = np.frompyfunc(lambda number: number**whole if number else number, 1, 1)(a)
        return np.asarray(raised, dtype=object).reshape(a.shape)

    def lift(self, value: Value) -> Array:
        return value.exact

    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        return exact_values(family, variable, parameters, x)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        if scalars.shape[-1] == 0 or elements.size == 0 or scalars.size == 0:
            return np.array(self.full((*elements.shape[:-2], scalars.shape[-2], elements.shape[-1]), one=False))
        return np.asarray(np.matmul(scalars, elements), dtype=object)


def _irrational(what: str) -> Exception:
    return error(
        "irrational",
        f"the circuit derives {what}, which is no rational",
        hint='evaluate it with semiring="linear", "log" or "interval"',
    )


EXACT = Exact()


class Boolean(Semiring):
    """Supports without cancellation: true where a weight or an input is not zero."""

    name = "boolean"

    @property
    def field(self) -> Field:
        return SIGNED_LOG

    def from_field(self, values: Array) -> Array:
        return np.asarray(values[..., 1] != 0)

    def unit(self, one: bool) -> Array:
        return np.array(one)

    def add(self, a: Array, b: Array) -> Array:
        return np.logical_or(a, b)

    def multiply(self, a: Array, b: Array) -> Array:
        return np.logical_and(a, b)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return np.asarray(scalars.astype(np.float32) @ elements.astype(np.float32) > 0)

    def segment_sum(self, elements: Array, offsets: Array) -> Array:
        return reduceat(np.logical_or, elements, offsets, False)

    def segment_product(self, elements: Array, offsets: Array) -> Array:
        return reduceat(np.logical_and, elements, offsets, True)


BOOLEAN = Boolean()


class Counting(Semiring):
    """Python integers, in object arrays: 1 where a weight or an input is not zero, whatever it is worth."""

    name = "counting"

    @property
    def field(self) -> Field:
        return SIGNED_LOG

    def from_field(self, values: Array) -> Array:
        return np.asarray((values[..., 1] != 0).astype(np.int64), dtype=object)

    def unit(self, one: bool) -> Array:
        return np.array(int(one), dtype=object)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b, dtype=object)

    def multiply(self, a: Array, b: Array) -> Array:
        return np.asarray(a * b, dtype=object)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return EXACT.matmul(scalars, elements)

    def segment_sum(self, elements: Array, offsets: Array) -> Array:
        return reduceat(np.add, elements, offsets, 0)

    def segment_product(self, elements: Array, offsets: Array) -> Array:
        return reduceat(np.multiply, elements, offsets, 1)


COUNTING = Counting()


class Modular(Field):
    """Integers modulo a prime below 2³¹, so that a product fits in 64 bits."""

    name = "modular"

    def __init__(self, prime: int) -> None:
        if not 2 < prime < 1 << 31:
            raise error("wrong-number", f"the modulus {prime} is not between 2 and 2^31")
        self.prime = prime

    @property
    def exact_inputs(self) -> bool:
        return True

    def unit(self, one: bool) -> Array:
        return np.array(int(one), dtype=np.int64)

    def add(self, a: Array, b: Array) -> Array:
        return (a + b) % self.prime

    def multiply(self, a: Array, b: Array) -> Array:
        return (a * b) % self.prime

    def divide(self, a: Array, b: Array) -> Array:
        if np.any(b == 0):
            raise error("bad-prime", f"the modulus {self.prime} divides a denominator", hint="draw another prime")
        return self.multiply(a, self._power(b, self.prime - 2))

    def _power(self, base: Array, exponent: int) -> Array:
        out, square = np.ones_like(base), base
        while exponent:
            if exponent & 1:
                out = self.multiply(out, square)
            square, exponent = self.multiply(square, square), exponent >> 1
        return out

    def exp(self, a: Array) -> Array:
        raise _irrational("an exponential")

    def log(self, a: Array) -> Array:
        raise _irrational("a logarithm")

    def power(self, a: Array, exponent: Fraction) -> Array:
        if exponent.denominator != 1:
            raise _irrational(f"the power {exponent} of a number")
        # The order of the group is prime − 1, so that a negative power is a natural one too.
        return np.where(a == 0, 0, self._power(a, int(exponent) % (self.prime - 1)))

    def lift(self, value: Value) -> Array:
        return self._floats(value.floats) if value.rationals is None else self._fractions(value.rationals)

    def _fractions(self, values: Array) -> Array:
        """Fractions modulo the prime, entry by entry."""
        return np.array([self.residue(v) for v in values.ravel()], dtype=np.int64).reshape(values.shape)

    def residue(self, number: object) -> int:
        """A fraction modulo the prime.

        Raises: DanausError `bad-prime` where it divides the denominator.
        """
        exact = as_fraction(number)
        if exact.denominator % self.prime == 0:
            raise error("bad-prime", f"the modulus {self.prime} divides a denominator", hint="draw another prime")
        return exact.numerator * pow(exact.denominator, -1, self.prime) % self.prime

    def _floats(self, values: Floats) -> Array:
        """Floats modulo the prime, all at once: each is an integer below 2⁵³ times a power of two."""
        mantissa, exponent = np.frexp(values)
        integers = (mantissa * 2.0**53).astype(np.int64)
        shift = exponent.astype(np.int64) - 53
        low, high = (int(shift.min()), int(shift.max())) if values.size else (0, 0)
        powers = np.array([pow(2, s, self.prime) for s in range(low, high + 1)], dtype=np.int64)
        return self.multiply(integers % self.prime, powers[shift - low])

    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        return self._fractions(exact_values(family, variable, parameters, x))

    def matmul(self, scalars: Array, elements: Array) -> Array:
        """Splits the left factor in two halves of 16 bits, so that sums of 2³² terms fit in 64 bits."""
        high, low = scalars >> 16, scalars & 0xFFFF
        step = 1 << 15
        shape = (*elements.shape[:-2], scalars.shape[-2], elements.shape[-1])
        out = np.zeros(shape, dtype=np.int64)
        for start in range(0, scalars.shape[-1], step):
            part = slice(start, start + step)
            x = elements[..., part, :]
            upper = (high[..., part] @ x) % self.prime
            lower = (low[..., part] @ x) % self.prime
            out = (out + upper * (1 << 16) + lower) % self.prime
        return out


class LargeModular(Modular):
    """Integers modulo a prime of any size, as Python has them, in object arrays: for few points and large numbers."""

    def __init__(self, prime: int) -> None:
        self.prime = prime

    def unit(self, one: bool) -> Array:
        return np.array(int(one), dtype=object)

    def lift(self, value: Value) -> Array:
        return self._fractions(value.exact)

    def _fractions(self, values: Array) -> Array:
        return np.asarray(np.frompyfunc(self.residue, 1, 1)(values), dtype=object)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return np.asarray(EXACT.matmul(scalars, elements) % self.prime, dtype=object)
