"""Which numbers of a circuit are certainly not negative, for its current values.

What enters is an expression or a linear map; what leaves is truth values. Nothing is decided by rounded numbers: signs
are derived step by step, and where that does not settle a small expression, in fractions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...ir.apply import apply
from ...ir.dependence import in_order
from ...ir.diagnostic import DanausError
from ...ir.expression import (
    Broadcast,
    Divide,
    Exp,
    Expression,
    InputTable,
    InputValue,
    Join,
    Log,
    Plus,
    Raised,
    Reshape,
    Share,
    Take,
    Times,
    Total,
)
from ...ir.family import Family, InputProduct, Table, is_signed
from ...ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Kronecker, LinearMap, Selection, Sparse
from ...ir.numbers import Numbers
from ...ir.parameter import Constant, Parameter, Value
from ...ir.semirings import EXACT, INTERVAL
from ...ir.store import Store
from ...ir.support import Booleans

# Fractions cost about a microsecond each: a hundredth of a second for an expression, a second for a map's product.
_EXACT_ENTRIES = 1 << 13
_EXACT_PRODUCT = 1 << 18


@dataclass(slots=True)
class Signs:
    """Which entries of expressions and maps over one store are certainly at least 0."""

    store: Store
    _numbers: Numbers = field(init=False)
    _known: dict[int, Booleans] = field(init=False, default_factory=dict[int, Booleans])
    _held: list[Expression] = field(init=False, default_factory=list[Expression])

    def __post_init__(self) -> None:
        self._numbers = Numbers(self.store)

    def of(self, expression: Expression) -> Booleans:
        """Which entries of an expression are certainly not negative, in its shape."""
        if id(expression) not in self._known:
            for step in in_order([expression], lambda step: id(step) in self._known):
                self._known[id(step)] = np.broadcast_to(self._step(step), step.shape)
                self._held.append(step)
            if not self._known[id(expression)].all():
                self._known[id(expression)] = self._known[id(expression)] | self._computed(expression)
        return self._known[id(expression)]

    def _step(self, step: Expression) -> Booleans:
        match step:
            case Parameter():
                return _not_negative(self.store[step])
            case Constant(value):
                return _not_negative(value)
            case Plus(left, right) | Times(left, right) | Divide(left, right) | Share(left, right):
                return np.asarray(self._known[id(left)] & self._known[id(right)])
            case Total(operand, axis):
                return np.asarray(self._known[id(operand)].all(axis=axis))
            case Reshape(operand, shape):
                return self._known[id(operand)].reshape(shape)
            case Broadcast(operand):
                return self._known[id(operand)]
            case Take(operand, axis, index):
                return self._known[id(operand)].take(index, axis=axis)
            case Join(parts):
                return np.concatenate([self._known[id(part)] for part in parts], axis=-1)
            case Exp():
                return np.ones(step.shape, dtype=bool)
            case Log():
                return np.zeros(step.shape, dtype=bool)
            case Raised(operand, exponent, _):
                even = exponent.denominator > 1 or exponent.numerator % 2 == 0
                return np.ones(step.shape, dtype=bool) if even else self._known[id(operand)]
            case InputTable(family, _, parameters, _):
                if isinstance(family, Table):
                    return self._known[id(parameters[0])]
                return np.full(step.shape, self.of_inputs(family, parameters))
            case InputValue(family, _, parameters, _, weights):
                good = bool(weights is None or self._known[id(weights)].all())
                if isinstance(family, Table):
                    return np.asarray(self._known[id(parameters[0])].all(axis=1, keepdims=True) & good)
                return np.full(step.shape, good and self.of_inputs(family, parameters))

    def _computed(self, expression: Expression) -> Booleans:
        if int(np.prod(expression.shape)) > _EXACT_ENTRIES or isinstance(expression, Parameter | Constant):
            return np.zeros(expression.shape, dtype=bool)
        try:
            return np.asarray(self._numbers.of(expression, EXACT) >= 0, dtype=bool)
        except DanausError:
            return self._bounded(expression)

    def _bounded(self, expression: Expression) -> Booleans:
        try:
            return np.asarray(self._numbers.of(expression, INTERVAL)[..., 0] >= 0)
        except DanausError:
            return np.zeros(expression.shape, dtype=bool)

    def of_inputs(self, family: Family, parameters: tuple[Expression, ...]) -> bool:
        """Whether no factor of an input is anywhere negative, certainly: tables and logarithms may be."""
        given = family.split(parameters) if isinstance(family, InputProduct) else [(family, parameters)]
        return not is_signed(family) and all(
            bool(self.of(own[0]).all()) for factor, own in given if isinstance(factor, Table)
        )

    def settled(self, linear: LinearMap, rows: Booleans) -> bool:
        """Whether all entries in these rows of a map are certainly not negative; composed maps by their product."""
        match linear:
            case Dense(weights) | Diagonal(weights):
                return bool(self.of(weights)[rows].all())
            case BlockDiagonal(weights):
                found = self.of(weights)
                return bool(found.reshape(-1, found.shape[2])[rows].all())
            case Sparse(row, _, weights):
                return bool(np.all(self.of(weights) | ~rows[row]))
            case Selection():
                return True
            case Kronecker(parts) | Compose(parts):
                whole = (np.ones(part.outputs, dtype=bool) for part in parts)
                return all(map(self.settled, parts, whole)) or self._multiplied(linear, rows)

    def _multiplied(self, linear: LinearMap, rows: Booleans) -> bool:
        """The same of the product itself, in fractions, where it is small."""
        if linear.inputs * max(linear.inputs, linear.outputs) > _EXACT_PRODUCT:
            return False
        try:
            product = apply(linear, np.array(EXACT.lift(Value.of(np.eye(linear.inputs)))), EXACT, self._numbers)
        except DanausError:
            return False
        return bool(np.all(product[rows] >= 0))


def _not_negative(value: Value) -> Booleans:
    """The signs of numbers; where a float is 0 because the rational is too small for it, that of the rational."""
    found = np.asarray(value.floats >= 0)
    if value.rationals is not None and (zero := value.floats == 0).any():
        found[zero] = [number >= 0 for number in value.rationals[zero]]
    return found
