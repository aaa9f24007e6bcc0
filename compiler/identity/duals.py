"""Values with derivatives modulo a prime: a + b·ε with ε² = 0, in which the law of differentiation is tested."""

from __future__ import annotations

import numpy as np

from ...ir.semirings import Array
from ...ir.semirings.semiring import Field, Semiring
from ...ir.semirings.symbols import Symbols


class Duals(Semiring):
    """Pairs of a field's elements, [..., 2]; weights are the field's."""

    name = "duals"
    trailing = 1

    def __init__(self, over: Symbols) -> None:
        self.over = over

    @property
    def field(self) -> Field:
        return self.over

    @property
    def scalars(self) -> Semiring:
        return self.over

    def from_field(self, values: Array) -> Array:
        return values

    def embed(self, scalars: Array) -> Array:
        return np.stack([scalars, np.zeros_like(scalars)], axis=-1)

    def unit(self, one: bool) -> Array:
        return np.array([int(one), 0], dtype=np.int64)

    def add(self, a: Array, b: Array) -> Array:
        return self.over.add(a, b)

    def multiply(self, a: Array, b: Array) -> Array:
        value = self.over.multiply(a[..., 0], b[..., 0])
        slope = self.over.multiply(a[..., 0], b[..., 1]) + self.over.multiply(a[..., 1], b[..., 0])
        return np.stack([value, slope % self.over.prime], axis=-1)

    def scale(self, scalars: Array, elements: Array) -> Array:
        return self.over.multiply(scalars[..., None], elements)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return np.stack([self.over.matmul(scalars, elements[..., i]) for i in (0, 1)], axis=-1)
