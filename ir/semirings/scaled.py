"""Complex numbers with a power of two each, which neither overflow nor underflow."""

from __future__ import annotations

import numpy as np

from .logarithmic import SIGNED_LOG
from .semiring import Array, Field, Semiring

_LEAST = -1e300
_LOG2 = np.log(2.0)


class ScaledComplex(Semiring):
    """[..., 2]: m and e, for m · 2ᵉ with 1/2 ≤ |m| < 2, both complex128; zero has m = 0 and the least e."""

    name = "scaled complex"
    trailing = 1

    @property
    def field(self) -> Field:
        return SIGNED_LOG

    def from_field(self, values: Array) -> Array:
        logs = np.where(np.isneginf(values[..., 0]), _LEAST, values[..., 0] / _LOG2)
        powers = np.floor(logs)
        return self._made(values[..., 1] * np.exp2(np.where(powers > _LEAST, logs - powers, 0.0)), powers)

    def of(self, numbers: Array) -> Array:
        """Complex numbers as elements."""
        return self._made(np.asarray(numbers, dtype=np.complex128), np.zeros(np.shape(numbers)))

    def unit(self, one: bool) -> Array:
        return np.array([1.0, 0.0] if one else [0.0, _LEAST], dtype=np.complex128)

    def _made(self, mantissas: Array, powers: Array) -> Array:
        """Elements from any mantissas, brought to size."""
        _, own = np.frexp(np.maximum(np.abs(mantissas.real), np.abs(mantissas.imag)))
        zero = mantissas == 0
        out = np.empty((*np.shape(mantissas), 2), dtype=np.complex128)
        factor = np.exp2(-own.astype(np.float64))
        out[..., 0] = mantissas * factor
        out[..., 1] = np.where(zero, _LEAST, powers + own)
        return out

    def add(self, a: Array, b: Array) -> Array:
        x, y = a[..., 1].real, b[..., 1].real
        top = np.maximum(x, y)
        found = a[..., 0] * np.exp2(np.maximum(x - top, -1070)) + b[..., 0] * np.exp2(np.maximum(y - top, -1070))
        return self._made(found, top)

    def multiply(self, a: Array, b: Array) -> Array:
        return self._made(a[..., 0] * b[..., 0], a[..., 1].real + b[..., 1].real)
