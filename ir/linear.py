"""Linear maps of sum blocks: symbolic, and never materialised because of an operator.

A map takes a vector of `inputs` numbers to one of `outputs`; rows are outputs. Its numbers are expressions over
parameters and constants. What maps do is in apply.py; which of their entries can be non-zero, in support.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from .diagnostic import error
from .expression import Expression

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """A matrix [outputs, inputs]."""

    weights: Expression

    @property
    def outputs(self) -> int:
        return self.weights.shape[0]

    @property
    def inputs(self) -> int:
        return self.weights.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Diagonal:
    """Output i is weights[i] times input i."""

    weights: Expression

    @property
    def outputs(self) -> int:
        return self.weights.shape[0]

    @property
    def inputs(self) -> int:
        return self.weights.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class BlockDiagonal:
    """b matrices [m/b, n/b] along the diagonal: weights [b, m/b, n/b]."""

    weights: Expression

    @property
    def blocks(self) -> int:
        return self.weights.shape[0]

    @property
    def outputs(self) -> int:
        return self.weights.shape[0] * self.weights.shape[1]

    @property
    def inputs(self) -> int:
        return self.weights.shape[0] * self.weights.shape[2]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Selection:
    """Output i is input index[i]: a slice, a gather, or, where every input stands once, a permutation."""

    index: Indices
    inputs: int

    @property
    def outputs(self) -> int:
        return len(self.index)

    @property
    def is_identity(self) -> bool:
        return self.inputs == len(self.index) and bool(np.array_equal(self.index, np.arange(self.inputs)))

    @property
    def is_permutation(self) -> bool:
        return self.inputs == len(self.index) and bool((np.bincount(self.index, minlength=self.inputs) == 1).all())

    @property
    def stride(self) -> int | None:
        """s where this is the stride permutation that reads an [s, n/s] array by columns; None where it is not one.

        >>> rotation((2, 3)).stride
        2
        """
        n = self.inputs
        if n != len(self.index) or n < 2 or self.index[0] != 0:
            return None
        step = int(self.index[1])
        if step < 1 or n % step:
            return None
        return n // step if np.array_equal(self.index, np.arange(n).reshape(n // step, step).T.ravel()) else None


@dataclass(frozen=True, slots=True, eq=False)
class Kronecker:
    """A₁ ⊗ A₂ ⊗ …: rows and columns are numbered with the first factor's index slowest."""

    factors: tuple[LinearMap, ...]

    @property
    def outputs(self) -> int:
        return prod(factor.outputs for factor in self.factors)

    @property
    def inputs(self) -> int:
        return prod(factor.inputs for factor in self.factors)


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """Entry weights[e] at (rows[e], columns[e]); `order` sorts the entries by row, `offsets` bounds the rows then."""

    rows: Indices
    columns: Indices
    weights: Expression
    outputs: int
    inputs: int
    order: Indices
    offsets: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Compose:
    """maps[0] · maps[1] · …: the last is applied first."""

    maps: tuple[LinearMap, ...]

    @property
    def outputs(self) -> int:
        return self.maps[0].outputs

    @property
    def inputs(self) -> int:
        return self.maps[-1].inputs


LinearMap = Dense | Diagonal | BlockDiagonal | Selection | Kronecker | Sparse | Compose


_selections: WeakValueDictionary[tuple[int, bytes], Selection] = WeakValueDictionary()


def selection(index: Sequence[int] | Indices, inputs: int) -> Selection:
    """The map that reads the inputs that an index names; equal indices give one object.

    Raises: DanausError `wrong-index` for an index out of range.
    """
    array = np.array(index, dtype=np.int64).reshape(-1)
    if len(array) and (array.min() < 0 or array.max() >= inputs):
        bad = int(array[(array < 0) | (array >= inputs)][0])
        raise error("wrong-index", f"index {bad} is out of range", hint=f"indices go from 0 to {inputs - 1}")
    array.flags.writeable = False
    return _selections.setdefault((inputs, array.tobytes()), Selection(array, inputs))


def rotation(sizes: tuple[int, int]) -> Selection:
    """The stride permutation that reads an array [sizes] by columns: its last digit becomes the first."""
    return selection(np.arange(prod(sizes)).reshape(sizes).T.ravel(), prod(sizes))


def sparse(
    rows: Sequence[int] | Indices, columns: Sequence[int] | Indices, weights: Expression, outputs: int, inputs: int
) -> Sparse:
    """The map with one entry per pair.

    Raises: DanausError `wrong-shape`, `wrong-index`, or `duplicate-entry` where a pair stands twice.
    """
    row = np.array(rows, dtype=np.int64).reshape(-1)
    column = np.array(columns, dtype=np.int64).reshape(-1)
    if not len(row) == len(column) == weights.shape[0]:
        raise error(
            "wrong-shape",
            f"a sparse map of {len(row)} rows, {len(column)} columns and {weights.shape[0]} numbers",
            hint="give one row, one column and one number per pair",
        )
    for what, index, bound in (("output", row, outputs), ("input", column, inputs)):
        if len(index) and (index.min() < 0 or index.max() >= bound):
            bad = int(index[(index < 0) | (index >= bound)][0])
            raise error("wrong-index", f"{what} {bad} of a sparse map is out of range", hint=f"there are {bound}")
    keys = row * max(inputs, 1) + column
    values, counts = np.unique(keys, return_counts=True)
    if len(values) != len(keys):
        pair = divmod(int(values[counts > 1][0]), inputs)
        raise error("duplicate-entry", f"the pair {pair} stands twice in a sparse map", hint="give each pair once")
    order = np.argsort(row, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=outputs))]).astype(np.int64)
    for array in (row, column, order, offsets):
        array.flags.writeable = False
    return Sparse(row, column, weights, outputs, inputs, order, offsets)


def compose(maps: Sequence[LinearMap]) -> LinearMap:
    """The product of maps, the last applied first; one map is itself, and composed parts are laid flat.

    Raises: DanausError `wrong-shape` where the sizes of neighbours differ.
    """
    flat: list[LinearMap] = []
    for part in maps:
        flat.extend(part.maps if isinstance(part, Compose) else (part,))
    for left, right in pairwise(flat):
        if left.inputs != right.outputs:
            raise error("wrong-shape", f"a map of {left.inputs} inputs is applied to {right.outputs} outputs")
    return flat[0] if len(flat) == 1 else Compose(tuple(flat))


def monarch(parts: Sequence[Expression]) -> LinearMap:
    """The Monarch map of the parts [K/bᵢ, bᵢ, bᵢ]: each block-diagonal acts on one digit of the mixed-radix index.

    The last part is applied first. With L [b₂, b₁, b₁] and R [b₁, b₂, b₂], output (i, j), at i·b₂ + j, is
    Σ L[j, i, i'] · R[i', j, j'] · input (i', j'). Between parts stands the stride permutation that brings the next
    digit to the end.
    """
    maps: list[LinearMap] = []
    for part in parts:
        blocks, size = part.shape[0], part.shape[1]
        maps += [rotation((blocks, size)), BlockDiagonal(part)]
    return compose(maps)


def monarch_parts(linear: LinearMap) -> tuple[Expression, ...]:
    """The parts of a Monarch map, as `monarch` takes them; empty where the map is not of that form."""
    if not isinstance(linear, Compose) or len(linear.maps) < 4 or len(linear.maps) % 2:
        return ()
    parts: list[Expression] = []
    for turn, block in zip(linear.maps[::2], linear.maps[1::2], strict=True):
        if not isinstance(turn, Selection) or not isinstance(block, BlockDiagonal):
            return ()
        blocks, rows, columns = block.weights.shape
        if rows != columns or not np.array_equal(turn.index, rotation((blocks, rows)).index):
            return ()
        parts.append(block.weights)
    size = linear.outputs
    sizes = [part.shape[1] for part in parts]
    return tuple(parts) if prod(sizes) == size else ()


def expressions(linear: LinearMap) -> tuple[Expression, ...]:
    """The expressions of a map, in the order of its parts."""
    match linear:
        case Dense(weights) | Diagonal(weights) | BlockDiagonal(weights) | Sparse(weights=weights):
            return (weights,)
        case Selection():
            return ()
        case Kronecker(parts) | Compose(parts):
            return tuple(expression for part in parts for expression in expressions(part))
