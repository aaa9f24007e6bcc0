"""What a semiring must give to the evaluator, and what follows from that for all of them.

Elements are numpy arrays whose first axes are nodes and batch; `trailing` more axes hold what one element consists of
(none for a float, two numbers for an interval, coefficients for a polynomial). A circuit's own numbers are computed in
a *field*, a semiring that can also divide, and enter the semiring through `from_field`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..domain import Variable
from ..family import Family
from ..parameter import Value

Array = NDArray[Any]
Operation = Callable[[Array, Array], Array]

_CHUNK = 1 << 22


class Semiring(ABC):
    """A commutative semiring over numpy arrays."""

    name: str
    trailing: int = 0

    @property
    @abstractmethod
    def field(self) -> Field:
        """The field in which a circuit's numbers are computed for this semiring."""

    @property
    def scalars(self) -> Semiring:
        """The semiring of weights: this one, or, where elements are made of several, that of one coefficient."""
        return self

    @abstractmethod
    def from_field(self, values: Array) -> Array:
        """Numbers of the field as scalars."""

    def embed(self, scalars: Array) -> Array:
        """Scalars as elements."""
        return scalars

    @abstractmethod
    def unit(self, one: bool) -> Array:
        """The element one or zero, of shape [*trailing]."""

    @abstractmethod
    def add(self, a: Array, b: Array) -> Array: ...

    @abstractmethod
    def multiply(self, a: Array, b: Array) -> Array: ...

    def full(self, shape: tuple[int, ...], one: bool) -> Array:
        """An array of ones or zeros, read-only."""
        unit = self.unit(one)
        return np.broadcast_to(unit, (*shape, *unit.shape))

    def scale(self, scalars: Array, elements: Array) -> Array:
        """Scalars times elements, elementwise."""
        return self.multiply(self.embed(scalars), elements)

    def sum(self, elements: Array, axis: int) -> Array:
        """The sum along an axis, in pairs, so that rounding grows with the logarithm of the length."""
        elements = np.moveaxis(elements, axis, 0)
        if len(elements) == 0:
            return np.array(self.full(elements.shape[1 : elements.ndim - self.trailing], one=False))
        while len(elements) > 1:
            half = len(elements) // 2
            folded = self.add(elements[:half], elements[half : 2 * half])
            if len(elements) % 2:
                folded = np.concatenate([self.add(folded[:1], elements[-1:]), folded[1:]])
            elements = folded
        return np.asarray(elements[0])

    def matmul(self, scalars: Array, elements: Array) -> Array:
        """Scalars [..., m, n] times elements [..., n, batch]: [..., m, batch]."""
        s, e = self.scalars.trailing, self.trailing
        rows_axis, sum_axis = scalars.ndim - s - 2, elements.ndim - e - 2
        m = scalars.shape[rows_axis]
        cost = max(1, elements.size)
        step = max(1, _CHUNK // cost)
        inner = np.expand_dims(elements, sum_axis)
        out: list[Array] = []
        for start in range(0, m, step):
            rows = scalars.take(range(start, min(start + step, m)), axis=rows_axis)
            weights = np.expand_dims(rows, rows_axis + 2)
            out.append(self.sum(self.scale(weights, inner), sum_axis + 1))
        if not out:
            shape = (*elements.shape[:sum_axis], 0, *elements.shape[sum_axis + 1 :])
            return np.zeros(shape, dtype=elements.dtype)
        return np.concatenate(out, axis=sum_axis)

    def segment_sum(self, elements: Array, offsets: Array) -> Array:
        """Sums of the stretches offsets[i] … offsets[i+1] of the first axis."""
        return self._segments(self.add, elements, offsets, one=False)

    def segment_product(self, elements: Array, offsets: Array) -> Array:
        """Products of the stretches offsets[i] … offsets[i+1] of the first axis."""
        return self._segments(self.multiply, elements, offsets, one=True)

    def _segments(self, operation: Operation, elements: Array, offsets: Array, one: bool) -> Array:
        """Folds neighbours in pairs until one is left of each stretch: as many rounds as the longest has bits."""
        starts, lengths = offsets[:-1], np.diff(offsets)
        batch = elements.shape[1 : elements.ndim - self.trailing]
        while True:
            identity = self._like(self.full((1, *batch), one), elements)
            padded = np.concatenate([elements, identity])
            if not len(lengths) or lengths.max() <= 1:
                return padded[np.where(lengths > 0, starts, len(elements))]
            halves = (lengths + 1) // 2
            bounds = np.concatenate([[0], np.cumsum(halves)])
            segment = np.repeat(np.arange(len(halves)), halves)
            position = 2 * (np.arange(bounds[-1]) - bounds[segment])
            left = starts[segment] + position
            right = np.where(position + 1 < lengths[segment], left + 1, len(elements))
            elements = operation(padded[left], padded[right])
            starts, lengths = bounds[:-1], halves

    def _like(self, units: Array, elements: Array) -> Array:
        """Units in the trailing shape that the elements have now."""
        return units

    def concatenate(self, parts: list[Array]) -> Array:
        """Elements laid end to end along the first axis."""
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


class Field(Semiring):
    """A semiring that can also divide, so that expressions over parameters can be computed in it."""

    @property
    def field(self) -> Field:
        return self

    def from_field(self, values: Array) -> Array:
        return values

    @property
    def exact_inputs(self) -> bool:
        """Whether closed forms of families take their parameters as fractions, rather than as floats."""
        return False

    @property
    def own_inputs(self) -> bool:
        """Whether closed forms of families take their parameters as scalars of this field."""
        return False

    @abstractmethod
    def lift(self, value: Value) -> Array:
        """Numbers as scalars of the field."""

    @abstractmethod
    def divide(self, a: Array, b: Array) -> Array: ...

    @abstractmethod
    def exp(self, a: Array) -> Array: ...

    @abstractmethod
    def log(self, a: Array) -> Array:
        """log |a|, and 0 of 0."""

    @abstractmethod
    def power(self, a: Array, exponent: Fraction) -> Array:
        """aᵏ, and 0 of 0 whatever the exponent; |a|ᵏ where it is no integer."""

    @abstractmethod
    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        """The family's functions at values x, [width, len(x)]; parameters as fractions or floats."""


def reduceat(ufunc: np.ufunc, elements: Array, offsets: Array, identity: object) -> Array:
    """A ufunc's reduction over the stretches offsets[i] … offsets[i+1]; empty ones give the identity."""
    out = np.full((len(offsets) - 1, *elements.shape[1:]), identity, dtype=elements.dtype)
    filled = offsets[1:] > offsets[:-1]
    if filled.any():
        out[filled] = ufunc.reduceat(elements, offsets[:-1][filled], axis=0)
    return out
