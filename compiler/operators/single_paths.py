"""Linear maps by entry: what an operator does to each number of the whole map, done to its parts.

An elementwise function of a product of maps is the product of the functions of the maps only where each entry is a
single product of numbers, as in Kronecker products and Monarch maps. A composed map for which that is not so is
written out first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...ir.apply import apply
from ...ir.block import MAX_NUMBERS
from ...ir.diagnostic import error
from ...ir.expression import Expression, raised, reshape, take, times
from ...ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    monarch_parts,
    selection,
    sparse,
)
from ...ir.parameter import Constant, Value, constant
from ...ir.semirings import BOOLEAN, LINEAR, Array, Semiring
from ...ir.support import Booleans, Support
from .sides import written_out

_MARKERS = 1 << 22


def to_power(numbers: Expression, exponent: Fraction) -> Expression:
    """Each number that is not 0 to a power, 0 where it is; constants to the power 0 are the constants 0 and 1."""
    if exponent == 0 and isinstance(numbers, Constant):
        value = numbers.value
        exact = value.floats if value.rationals is None else value.rationals
        return constant(Value.of(np.asarray(exact != 0, dtype=np.float64)))
    return raised(numbers, exponent)


def raised_map(linear: LinearMap, exponent: Fraction) -> LinearMap:
    """A map of single paths with each of its numbers raised to a power."""
    return by_entry(linear, lambda numbers: to_power(numbers, exponent))


def by_entry(linear: LinearMap, function: Callable[[Expression], Expression]) -> LinearMap:
    """A map of single paths with a multiplicative function of each number, of which 1 is 1 and 0 is 0."""
    match linear:
        case Dense(weights):
            return Dense(function(weights))
        case Diagonal(weights):
            return Diagonal(function(weights))
        case BlockDiagonal(weights):
            return BlockDiagonal(function(weights))
        case Sparse(weights=weights):
            return replace(linear, weights=function(weights))
        case Selection():
            return linear
        case Kronecker(factors):
            return Kronecker(tuple(by_entry(factor, function) for factor in factors))
        case Compose(maps):
            return Compose(tuple(by_entry(part, function) for part in maps))


def with_single_paths(linear: LinearMap, support: Support) -> LinearMap:
    """The same map, each of whose entries is one product of numbers of its parts.

    Raises: DanausError `too-large` for a composed map that would have to be written out.
    """
    match linear:
        case Kronecker(factors):
            return Kronecker(tuple(with_single_paths(factor, support) for factor in factors))
        case Compose(maps):
            parts = tuple(with_single_paths(part, support) for part in maps)
            made = Compose(parts)
            return made if _has_single_paths(made, support) else _written_out(made, support)
        case _:
            return linear


def _has_single_paths(linear: Compose, support: Support) -> bool:
    """Whether no entry is a sum of several products that may be other than 0."""
    if monarch_parts(linear):
        return True
    heavy = [part for part in linear.maps if not _is_thin(part)]
    if len(heavy) <= 1 or all(isinstance(part, Selection) for part in linear.maps[:-1]):
        return True
    _require_small(linear)
    patterns = _Patterns(support)
    step = max(1, _MARKERS // max(linear.inputs, linear.outputs))
    for start in range(0, linear.inputs, step):
        columns = np.arange(start, min(start + step, linear.inputs))
        markers = (np.arange(linear.inputs)[:, None] == columns).astype(np.float64)
        if (apply(linear, markers, LINEAR, patterns) > 1).any():
            return False
    return True


def _is_thin(linear: LinearMap) -> bool:
    """Whether each row and each column of a map has at most one number."""
    match linear:
        case Diagonal():
            return True
        case Selection(index, inputs):
            return bool((np.bincount(index, minlength=inputs) <= 1).all())
        case Kronecker(parts) | Compose(parts):
            return all(map(_is_thin, parts))
        case _:
            return False


def _require_small(linear: LinearMap) -> None:
    if linear.outputs * linear.inputs > MAX_NUMBERS:
        raise error(
            "too-large",
            f"a composed map of {linear.outputs} × {linear.inputs} whose entries may be sums, to be taken by entry",
        )


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Numbers that may be other than 0 as ones, so that a map counts paths."""

    support: Support

    def of(self, expression: Expression, semiring: Semiring) -> Array:
        return np.asarray(self.support.of(expression, BOOLEAN), dtype=np.float64)


def _written_out(linear: Compose, support: Support) -> Dense:
    """One matrix, exactly 0 where terms cancel."""
    widest = max(part.outputs for part in linear.maps)
    if linear.outputs * linear.inputs * widest > MAX_NUMBERS:
        raise error(
            "too-large",
            f"a composed map of {linear.outputs} × {linear.inputs} whose entries are sums, to be taken by entry",
        )
    pattern = support.mark(linear, np.eye(linear.inputs, dtype=bool))
    return Dense(times(written_out(linear), constant(pattern.astype(np.float64))))


@dataclass(frozen=True, slots=True)
class Step:
    """A map that acts on one digit of an index: I ⊗ map ⊗ I with identities of these sizes."""

    before: int
    map: LinearMap
    after: int

    def whole(self, linear: LinearMap) -> LinearMap:
        """A map in the place of this step's."""
        if self.before == self.after == 1:
            return linear
        if isinstance(linear, Selection):
            place = np.arange(self.before * linear.inputs * self.after).reshape(self.before, linear.inputs, self.after)
            return selection(place[:, linear.index].ravel(), place.size)
        left, right = (selection(np.arange(size), size) for size in (self.before, self.after))
        parts = [*([left] if self.before > 1 else []), linear, *([right] if self.after > 1 else [])]
        return Kronecker(tuple(parts))

    @property
    def inputs(self) -> int:
        return self.before * self.map.inputs * self.after


def without(step: Step, alive: Booleans, support: Support) -> Step:
    """A step without the numbers on inputs that are not alive, entry by entry."""
    assert not isinstance(step.map, Kronecker | Compose | Selection)
    weights = step.map.weights
    (places,) = np.nonzero(np.asarray(support.of(weights, BOOLEAN), dtype=bool).ravel())
    rows, columns = _entries(step.map, places)
    m, n = step.map.outputs, step.map.inputs
    ahead, behind = np.arange(step.before)[:, None, None], np.arange(step.after)[None, None]
    row = ((ahead * m + rows[:, None]) * step.after + behind).ravel()
    column = ((ahead * n + columns[:, None]) * step.after + behind).ravel()
    kept = alive[column]
    place = np.broadcast_to(places[:, None], (step.before, len(places), step.after)).ravel()[kept]
    numbers = take(reshape(weights, (int(np.prod(weights.shape)),)), 0, place)
    return Step(1, sparse(row[kept], column[kept], numbers, step.before * m * step.after, step.inputs), 1)


def _entries(linear: Dense | Diagonal | BlockDiagonal | Sparse, places: Indices) -> tuple[Indices, Indices]:
    """The rows and columns of numbers of a map, by their places among its numbers."""
    match linear:
        case Dense():
            return places // linear.inputs, places % linear.inputs
        case Diagonal():
            return places, places
        case Sparse(rows, columns):
            return rows[places], columns[places]
        case BlockDiagonal(weights):
            _, m, n = weights.shape
            return places // n, places // (m * n) * n + places % n


def steps_of(linear: LinearMap) -> list[Step]:
    """A map of single paths as a chain of maps that are no products of others, the first applied first."""
    done: list[Step] = []
    stack = [Step(1, linear, 1)]
    while stack:
        step = stack.pop()
        match step.map:
            case Compose(maps):
                stack += [Step(step.before, part, step.after) for part in maps]
            case Kronecker(factors):
                inner: list[Step] = []
                # As they are applied: the last factor first, beside the inputs of those before it.
                behind = step.after
                for place in reversed(range(len(factors))):
                    ahead = step.before * int(np.prod([factor.inputs for factor in factors[:place]], dtype=np.int64))
                    inner.append(Step(ahead, factors[place], behind))
                    behind *= factors[place].outputs
                stack += inner[::-1]
            case _:
                done.append(step)
    return done
