"""Polynomials in one variable t over another semiring: with t for each one, the mass of each number of ones."""

from __future__ import annotations

import numpy as np

from .semiring import Array, Field, Semiring


class Polynomial(Semiring):
    """Coefficients of 1, t, t², … in a base semiring: [..., degree + 1, *trailing of the base]."""

    def __init__(self, base: Semiring) -> None:
        self.base = base
        self.name = f"polynomial over {base.name}"
        self.trailing = 1 + base.trailing

    @property
    def field(self) -> Field:
        return self.base.field

    @property
    def scalars(self) -> Semiring:
        return self.base.scalars

    def from_field(self, values: Array) -> Array:
        return self.base.from_field(values)

    def embed(self, scalars: Array) -> Array:
        elements = self.base.embed(scalars)
        return np.expand_dims(elements, elements.ndim - self.base.trailing)

    def unit(self, one: bool) -> Array:
        return self.base.unit(one)[None]

    def variable(self) -> Array:
        """The polynomial t."""
        return np.stack([self.base.unit(False), self.base.unit(True)])

    def _axis(self, elements: Array) -> int:
        return elements.ndim - self.trailing

    def _padded(self, elements: Array, length: int) -> Array:
        axis = self._axis(elements)
        missing = length - elements.shape[axis]
        if missing <= 0:
            return elements
        zeros = self.base.full((*elements.shape[:axis], missing), one=False)
        return np.concatenate([elements, zeros], axis=axis)

    def add(self, a: Array, b: Array) -> Array:
        length = max(a.shape[self._axis(a)], b.shape[self._axis(b)])
        return self.base.add(self._padded(a, length), self._padded(b, length))

    def multiply(self, a: Array, b: Array) -> Array:
        if a.shape[self._axis(a)] > b.shape[self._axis(b)]:
            a, b = b, a
        short, long = a.shape[self._axis(a)], b.shape[self._axis(b)]
        out: Array | None = None
        for power in range(short):
            coefficient = np.take(a, [power], axis=self._axis(a))
            term = self.base.multiply(coefficient, b)
            axis = self._axis(term)
            before = self.base.full((*term.shape[:axis], power), one=False)
            after = self.base.full((*term.shape[:axis], short - 1 - power), one=False)
            shifted = np.concatenate([before, term, after], axis=axis)
            out = shifted if out is None else self.base.add(out, shifted)
        assert out is not None and out.shape[self._axis(out)] == short + long - 1
        return self._trimmed(out)

    def _trimmed(self, elements: Array) -> Array:
        """Without the highest powers that no element has: a pair that is folded with ones does not grow."""
        axis = self._axis(elements)
        zero = np.asarray(elements == self.base.unit(False))
        others = tuple(i for i in range(zero.ndim) if i != axis)
        used = np.flatnonzero(~zero.all(axis=others))
        keep = int(used[-1]) + 1 if len(used) else 1
        return np.take(elements, range(keep), axis=axis) if keep < elements.shape[axis] else elements

    def scale(self, scalars: Array, elements: Array) -> Array:
        spread = np.expand_dims(scalars, scalars.ndim - self.scalars.trailing)
        return self.base.scale(spread, elements)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        """The coefficients are so many more columns."""
        axis = self._axis(elements)
        shape = elements.shape
        columns = elements.reshape(*shape[: axis - 1], shape[axis - 1] * shape[axis], *shape[axis + 1 :])
        out = self.base.matmul(scalars, columns)
        return out.reshape(*out.shape[: axis - 1], shape[axis - 1], shape[axis], *shape[axis + 1 :])

    def _like(self, units: Array, elements: Array) -> Array:
        return self._padded(units, elements.shape[self._axis(elements)])

    def concatenate(self, parts: list[Array]) -> Array:
        length = max(part.shape[self._axis(part)] for part in parts)
        return np.concatenate([self._padded(part, length) for part in parts])
