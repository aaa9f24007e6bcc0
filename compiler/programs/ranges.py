"""Which numbers the values of a circuit can be: a bound on each node's non-zero values, whatever the data.

What enters is a circuit; what leaves are the least and the largest logarithm that a non-zero node can have. Where both
lie within a type's normal numbers, a network of scalar nodes runs on plain numbers, without a detector of underflow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ir.apply import apply
from ...ir.block import Block, Input, Product, Sum
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.domain import FiniteDomain
from ...ir.evaluate import forward_by, multiply
from ...ir.numbers import Numbers
from ...ir.parameter import Floats
from ...ir.semirings import SIGNED_LOG, Array, Field, Semiring


class Range(Semiring):
    """Pairs [least, largest] of logarithms of the values that are not zero; [inf, −inf] where all are."""

    name = "range"
    trailing = 1

    @property
    def field(self) -> Field:
        return SIGNED_LOG

    def from_field(self, values: Array) -> Array:
        logs = values[..., 0]
        return np.stack([np.where(np.isneginf(logs), np.inf, logs), logs], axis=-1)

    def unit(self, one: bool) -> Array:
        return np.array([0.0, 0.0]) if one else np.array([np.inf, -np.inf])

    def add(self, a: Array, b: Array) -> Array:
        return np.stack([np.minimum(a[..., 0], b[..., 0]), np.logaddexp(a[..., 1], b[..., 1])], axis=-1)

    def multiply(self, a: Array, b: Array) -> Array:
        return a + b


RANGE = Range()


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the largest logarithm of a non-zero value of any node; `negative` where a number is below zero."""

    least: float
    largest: float
    negative: bool

    def within(self, dtype: type[np.float32] | type[np.float64]) -> bool:
        """Whether all fit into a type's normal numbers, with room for rounding and for partial sums."""
        room = 16 * np.log(2.0)
        info = np.finfo(dtype)
        return bool(self.least > np.log(float(info.tiny)) + room and self.largest < np.log(float(info.max)) - room)


def bounds(circuit: Circuit) -> Bounds:
    """The range of a circuit's values over its present parameters, under any data and any missing pattern."""
    numbers = Numbers(circuit.store)
    negative = False
    known: dict[object, Array] = {}
    partial: list[Array] = []

    def element(block: Block, below: list[Array]) -> Array:
        nonlocal negative
        match block:
            case Input(family, variable, parameters):
                assert isinstance(variable.domain, FiniteDomain)
                key = (family, variable.domain, tuple(map(id, parameters)))
                if key in known:
                    return known[key]
                table = numbers.inputs(family, variable, parameters, domain_values(variable), SIGNED_LOG)
                negative = negative or bool((table[..., 1] < 0).any())
                whole = SIGNED_LOG.sum(table, 1)[:, None]
                found = RANGE.from_field(np.concatenate([table, whole], axis=1))
                known[key] = np.stack([found[..., 0].min(axis=1), found[..., 1].max(axis=1)], axis=-1)[:, None]
                return known[key]
            case Product(_, form):
                # a product of some of the factors is within that of those that are below 1, and of those above
                one = [np.stack([np.minimum(v[..., 0], 0.0), np.maximum(v[..., 1], 0.0)], axis=-1) for v in below]
                partial.append(multiply(one, form, 1, RANGE))
                return multiply(below, form, 1, RANGE)
            case Sum(_, linear):
                return apply(linear, RANGE.concatenate(below), RANGE, numbers)

    least, largest = np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        for _, value in forward_by(circuit, element):
            least, largest = min(least, _least(value[..., 0])), max(largest, float(value[..., 1].max(initial=-np.inf)))
            for part in partial:
                least, largest = min(least, float(part[..., 0].min())), max(largest, float(part[..., 1].max()))
            partial.clear()
    return Bounds(least, largest, negative)


def _least(found: Floats) -> float:
    return float(np.where(np.isnan(found), np.inf, found).min(initial=np.inf))
