"""Integers modulo a prime in which what is irrational is a symbol: an element of its own, drawn at random.

An exponential or a logarithm is known by its argument, a value of a family by the family, its parameters and the
point: equal ones are one element, and nothing else is known of them.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..density import exact_values
from ..diagnostic import DanausError
from ..domain import Variable
from ..family import Family
from .discrete import Modular
from .semiring import Array


class Symbols(Modular):
    """The field of one random point: its prime, and the elements that were drawn."""

    name = "symbols"

    def __init__(self, prime: int, random: np.random.Generator) -> None:
        super().__init__(prime)
        self.random = random
        self.known: dict[object, int] = {}

    @property
    def own_inputs(self) -> bool:
        return True

    def symbol(self, key: object) -> int:
        """The element of what a key names."""
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = int(self.random.integers(1, self.prime))
        return found

    def exp(self, a: Array) -> Array:
        return self._each("exp", a, 0, 1)

    def log(self, a: Array) -> Array:
        return self._each("log", a, 1, 0)

    def power(self, a: Array, exponent: Fraction) -> Array:
        if exponent.denominator == 1:
            return super().power(a, exponent)
        flat = [0 if entry == 0 else self.symbol(("power", exponent, entry)) for entry in a.ravel().tolist()]
        return np.array(flat, dtype=np.int64).reshape(a.shape)

    def _each(self, name: str, a: Array, known: int, worth: int) -> Array:
        """A function of each entry, of which one value is known."""
        flat = [worth if entry == known else self.symbol((name, entry)) for entry in a.ravel().tolist()]
        return np.array(flat, dtype=np.int64).reshape(a.shape)

    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        residues = [part.astype(object) for part in parameters]
        try:
            found = exact_values(family, variable, residues, x)
        except DanausError as failure:
            if failure.diagnostics[0].code != "irrational":
                raise
            rows = list(zip(*(part.tolist() for part in parameters), strict=True))
            values = [[self.symbol((family, variable.domain, row, at)) for at in x.tolist()] for row in rows]
            return np.array(values, dtype=np.int64).reshape(len(rows), len(x))
        return np.array([int(v) % self.prime for v in found.ravel()], dtype=np.int64).reshape(found.shape)
