"""Which entries of a linear map are not zero: what the structural properties of sums are about.

A learnable number counts as non-zero whatever its value; a composed map is judged by its product, in which constants
may cancel. That product is never made: it is applied to markers, over truth values where nothing can cancel, and over
integers modulo two primes, with random numbers for the learnable ones, where it can.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .apply import apply, by_key
from .dependence import in_order, is_learnable
from .diagnostic import DanausError
from .expression import Broadcast, Divide, Exp, Expression, Join, Log, Plus, Raised, Reshape, Share, Take, Times, Total
from .linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    expressions,
)
from .numbers import Numbers
from .parameter import Constant, Parameter, Value
from .semirings import BOOLEAN, SIGNED_LOG, Array, Modular, Semiring
from .store import Store

Booleans = NDArray[np.bool_]

# The two largest primes below 2³¹: a sum that is not zero as a polynomial vanishes modulo both with probability
# below (degree / 2³¹)², since the learnable numbers in it are drawn at random.
_FIELDS = (Modular(2147483647), Modular(2147483629))
# Markers of classes of inputs that are sent through a composed map at once.
_MARKERS = 1 << 24


@dataclass(slots=True)
class Support:
    """Answers about the non-zero entries of maps over one store."""

    store: Store
    _patterns: dict[int, Array] = field(default_factory=dict[int, Array])
    _held: list[Expression] = field(default_factory=list[Expression])
    _entries: dict[Sparse, tuple[Indices, Indices]] = field(default_factory=dict[Sparse, tuple[Indices, Indices]])
    _numbers: Numbers | None = None
    _plain: Numbers | None = None

    def of(self, expression: Expression, semiring: Semiring) -> Array:
        """Which entries of an expression are not zero, as booleans of its shape."""
        if isinstance(expression, Parameter) and expression.learnable:
            return np.broadcast_to(np.True_, expression.shape)
        found = self._patterns.get(id(expression))
        if found is None:
            found = self._patterns[id(expression)] = self._pattern(expression)
            self._held.append(expression)
        return found

    def _pattern(self, expression: Expression) -> Array:
        if not is_learnable(expression):
            self._plain = self._plain or Numbers(self.store)
            return BOOLEAN.from_field(self._plain.of(expression, SIGNED_LOG))
        memo = self._patterns
        for step in in_order([expression], lambda step: id(step) in memo):
            self._held.append(step)
            if not is_learnable(step):
                memo[id(step)] = self._pattern(step)
                continue
            match step:
                case Plus(left, right) | Times(left, right):
                    a, b = memo[id(left)], memo[id(right)]
                    memo[id(step)] = np.asarray(a | b if isinstance(step, Plus) else a & b)
                case Divide(left, _) | Share(left, _):
                    memo[id(step)] = np.broadcast_to(memo[id(left)], step.shape)
                case Total(operand, axis, _):
                    memo[id(step)] = np.asarray(memo[id(operand)].any(axis=axis))
                case Reshape(operand, shape):
                    memo[id(step)] = memo[id(operand)].reshape(shape)
                case Broadcast(operand, shape):
                    memo[id(step)] = np.broadcast_to(memo[id(operand)], shape)
                case Take(operand, axis, index, _):
                    memo[id(step)] = memo[id(operand)].take(index, axis=axis)
                case Join(parts):
                    memo[id(step)] = np.concatenate([memo[id(part)] for part in parts], axis=-1)
                case Log(operand, _) | Raised(operand, _, _):
                    memo[id(step)] = memo[id(operand)]
                case Exp():
                    memo[id(step)] = np.ones(step.shape, dtype=bool)
                case _:
                    memo[id(step)] = np.ones(step.shape, dtype=bool)
        return memo[id(expression)]

    def is_full(self, linear: LinearMap, transposed: bool = False) -> bool:
        """Whether every row (or column) surely has a non-zero entry; cheap where the numbers are learnable."""
        match linear:
            case Dense(weights) | BlockDiagonal(weights):
                axis = len(weights.shape) - (2 if transposed else 1)
                if isinstance(weights, Parameter) and weights.learnable:
                    return weights.shape[axis] > 0
                return bool(self.of(weights, BOOLEAN).any(axis=axis).all())
            case Diagonal(weights):
                return bool(self.of(weights, BOOLEAN).all())
            case Selection():
                return not transposed or linear.is_permutation
            case Sparse(rows, columns, weights, outputs, inputs):
                keys, size = (columns, inputs) if transposed else (rows, outputs)
                return bool((np.bincount(keys[self.of(weights, BOOLEAN)], minlength=size) > 0).all())
            case Kronecker(factors):
                return all(self.is_full(factor, transposed) for factor in factors)
            case Compose(maps):
                return not self._cancels(linear) and all(self.is_full(part, transposed) for part in maps)

    def _cancels(self, linear: LinearMap) -> bool:
        """Whether terms of a composed map could cancel: some number of it is a constant below zero, or derived."""
        for given in expressions(linear):
            expression = given
            while isinstance(expression, Reshape | Broadcast | Take):
                expression = expression.operand
            match expression:
                case Parameter() if expression.learnable:
                    pass
                case Parameter():
                    if (self.store[expression].floats < 0).any():
                        return True
                case Constant(value):
                    if (value.floats < 0).any():
                        return True
                case _:
                    return True
        return False

    def mark(self, linear: LinearMap, markers: Booleans, transposed: bool = False) -> Booleans:
        """Which rows have a non-zero entry at a marked input, for each column of markers [inputs, kinds]."""
        if _is_composed(linear) and self._cancels(linear):
            try:
                return self._mark_modular(linear, markers, transposed)
            except DanausError:
                pass  # an irrational number, or a prime in a denominator: without cancellation, then
        marked = apply(linear, markers, BOOLEAN, self, transposed)
        return np.asarray(marked, dtype=bool)

    def _mark_modular(self, linear: LinearMap, markers: Booleans, transposed: bool) -> Booleans:
        if self._numbers is None:
            generator = np.random.default_rng(0)
            self._numbers = Numbers(_randomised(self.store, generator))
        generator = np.random.default_rng(1)
        rows = linear.inputs if transposed else linear.outputs
        found = np.zeros((rows, markers.shape[1]), dtype=bool)
        for over in _FIELDS:
            noise = generator.integers(1, over.prime, size=markers.shape)
            found |= apply(linear, np.where(markers, noise, 0), over, self._numbers, transposed) != 0
        return found

    def entries(self, linear: Sparse) -> tuple[Indices, Indices]:
        """The non-zero entries of a sparse map by row: offsets [outputs + 1] and columns."""
        known = self._entries.get(linear)
        if known is None:
            known = self._entries[linear] = self._found(linear)
        return known

    def _found(self, linear: Sparse) -> tuple[Indices, Indices]:
        weights = linear.weights
        if isinstance(weights, Parameter) and weights.learnable:
            return linear.offsets, linear.columns[linear.order]
        pattern = np.asarray(self.of(weights, BOOLEAN), dtype=bool)
        if np.count_nonzero(pattern) == len(pattern):
            return linear.offsets, linear.columns[linear.order]
        kept = pattern[linear.order]
        running = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
        return running[linear.offsets], linear.columns[linear.order[kept]]

    def terms(self, linear: LinearMap, classes: Indices, count: int) -> tuple[Indices, Indices]:
        """The classes of inputs that each row has a non-zero entry in: offsets [outputs + 1] and classes, ascending."""
        if isinstance(linear, Selection):
            return np.arange(len(linear.index) + 1), classes[linear.index]
        keys, _ = np.unique(self._keys(linear, classes, count), return_index=True)  # so without numpy.ma
        row = keys // max(count, 1)
        _, offsets = by_key(row, linear.outputs)
        return offsets, keys - row * count

    def _keys(self, linear: LinearMap, classes: Indices, count: int) -> Indices:
        """row · count + class for each row and each class that it has a non-zero entry in, in any order and number."""
        match linear:
            case Sparse(rows, columns, weights):
                kept = np.asarray(self.of(weights, BOOLEAN), dtype=bool)
                return np.asarray(rows[kept] * count + classes[columns[kept]])
            case Diagonal(weights):
                (kept,) = np.nonzero(self.of(weights, BOOLEAN))
                return np.asarray(kept * count + classes[kept])
            case Dense(weights):
                row, column = np.nonzero(self.of(weights, BOOLEAN))
                return np.asarray(row * count + classes[column])
            case BlockDiagonal(weights):
                block, row, column = np.nonzero(self.of(weights, BOOLEAN))
                _, rows_each, columns_each = weights.shape
                return np.asarray((block * rows_each + row) * count + classes[block * columns_each + column])
            case _:
                found: list[Indices] = []
                step = max(1, _MARKERS // max(1, linear.inputs, linear.outputs))
                for start in range(0, count, step):
                    labels = np.arange(start, min(start + step, count))
                    row, label = np.nonzero(self.mark(linear, classes[:, None] == labels))
                    found.append(row * count + labels[label])
                return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _is_composed(linear: LinearMap) -> bool:
    """Whether a map, or a factor of it, is a product of maps, whose terms may cancel."""
    if isinstance(linear, Kronecker):
        return any(_is_composed(factor) for factor in linear.factors)
    return isinstance(linear, Compose)


def _randomised(store: Store, generator: np.random.Generator) -> Store:
    values = {
        parameter: Value(generator.integers(1, 1 << 30, size=parameter.shape).astype(np.float64))
        if parameter.learnable
        else store[parameter]
        for parameter in store
    }
    return Store(values)
