"""What linear maps do to vectors, over any semiring: forwards, and transposed for derivatives.

Vectors are elements [nodes, batch, *trailing]; a map's numbers come from a `Scalars`, in the semiring.
"""

from __future__ import annotations

from math import prod
from typing import Protocol

import numpy as np

from .expression import Expression
from .linear import BlockDiagonal, Compose, Dense, Diagonal, Indices, Kronecker, LinearMap, Selection, Sparse
from .semirings import Array, Semiring


class Scalars(Protocol):
    """Where a map's numbers come from: `Numbers` for their values, `Support` for which are not zero."""

    def of(self, expression: Expression, semiring: Semiring) -> Array:
        """An expression's scalars, [*shape, *trailing]."""
        ...


def apply(linear: LinearMap, x: Array, semiring: Semiring, numbers: Scalars, transposed: bool = False) -> Array:
    """A map, or its transpose, times elements [inputs, batch]: [outputs, batch]."""
    match linear:
        case Dense(weights):
            matrix = numbers.of(weights, semiring)
            return semiring.matmul(matrix.swapaxes(0, 1) if transposed else matrix, x)
        case Diagonal(weights):
            return semiring.scale(np.expand_dims(numbers.of(weights, semiring), 1), x)
        case BlockDiagonal(weights):
            blocks = numbers.of(weights, semiring)
            blocks = blocks.swapaxes(1, 2) if transposed else blocks
            out = semiring.matmul(blocks, x.reshape(len(blocks), blocks.shape[2], *x.shape[1:]))
            return out.reshape(len(blocks) * blocks.shape[1], *out.shape[2:])
        case Selection(index, inputs):
            return _gathered(x, index, inputs, semiring) if transposed else x[index]
        case Sparse(rows, columns, weights, _, inputs, order, offsets):
            values = np.expand_dims(numbers.of(weights, semiring), 1)
            if transposed:
                order, offsets = by_key(columns, inputs)
                rows, columns = columns, rows
            return semiring.segment_sum(semiring.scale(values[order], x[columns[order]]), offsets)
        case Kronecker(factors):
            return _kronecker(factors, x, semiring, numbers, transposed)
        case Compose(maps):
            for part in maps if transposed else reversed(maps):
                x = apply(part, x, semiring, numbers, transposed)
            return x


def by_key(keys: Indices, size: int) -> tuple[Indices, Indices]:
    """The order that sorts keys, and the offsets of each key's stretch in it."""
    order = np.argsort(keys, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=size))])
    return order, offsets.astype(np.int64)


def _gathered(x: Array, index: Indices, inputs: int, semiring: Semiring) -> Array:
    order, offsets = by_key(index, inputs)
    return semiring.segment_sum(x[order], offsets)


def _kronecker(
    factors: tuple[LinearMap, ...], x: Array, semiring: Semiring, numbers: Scalars, transposed: bool
) -> Array:
    """One factor at a time, on its own digit of the mixed-radix index; nothing of the whole size is made."""
    sizes = [factor.outputs if transposed else factor.inputs for factor in factors]
    tail = x.shape[1:]
    for position in reversed(range(len(factors))):
        before, after = prod(sizes[:position]), prod(sizes[position + 1 :])
        digits = x.reshape(before, sizes[position], after, *tail)
        front = np.moveaxis(digits, 1, 0)
        flat = front.reshape(sizes[position], before * after * tail[0], *tail[1:])
        out = apply(factors[position], flat, semiring, numbers, transposed)
        tail = (tail[0], *out.shape[2:])
        sizes[position] = len(out)
        x = np.moveaxis(out.reshape(len(out), before, after, *tail), 0, 1).reshape(prod(sizes), *tail)
    return x
