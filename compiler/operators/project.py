"""Project: dense maps to the nearest Monarch maps, by batched factorisations of rank 1.

For M = b₁·b₂ the block M[:, j, i′, :] of a Monarch map is the outer product of L[j, :, i′] and R[i′, j, :], whatever j
and i′ (seeds.md, C2); so the nearest one takes the largest singular pair of each block. With more factors each R[i′] is
taken apart in turn, which is nearest step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from ...ir.block import Block, Sum, weighted
from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.linear import Dense, LinearMap, monarch
from ...ir.numbers import Numbers
from ...ir.parameter import Floats, Parameter, Value
from ...ir.semirings import LINEAR
from ..rewrite import with_children
from .operands import require_circuits


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """A circuit with Monarch maps, and for each map its relative error ‖W − M‖ / ‖W‖ in the Frobenius norm."""

    circuit: Circuit
    errors: tuple[float, ...]


def project(circuit: Circuit, sizes: Sequence[int]) -> Projected:
    """A circuit with each dense map of b₁·b₂·… inputs and outputs as the nearest Monarch map of these sizes.

    The new maps have parameters of their own; maps over one parameter share them. Rows need not sum to 1 any more:
    `initialise(c, "exact")` normalises them.

    Raises: DanausError `wrong-arguments` where no dense map has that size.
    """
    require_circuits("project", circuit)
    size = prod(_checked(sizes))
    numbers = Numbers(circuit.store)
    new: dict[Block, Block] = {}
    known: dict[object, tuple[LinearMap, float]] = {}
    values: dict[Parameter, Value] = {}
    for block in circuit.blocks:
        new[block] = with_children(block, new)
        if not isinstance(block, Sum) or not isinstance(block.map, Dense) or block.map.weights.shape != (size, size):
            continue
        weights = block.map.weights
        if weights not in known:
            matrix = np.asarray(numbers.of(weights, LINEAR), dtype=np.float64)
            parts, distance = nearest_monarch(matrix, sizes)
            own: list[Parameter] = []
            for part in parts:
                name = f"{circuit.name}.monarch#{len(values)}" if values else f"{circuit.name}.monarch"
                own.append(Parameter(name, part.shape, None))
                values[own[-1]] = Value.of(part)
            known[weights] = monarch(own), distance
        new[block] = weighted([new[child] for child in block.children], known[weights][0], block.span)
    if not known:
        raise error("wrong-arguments", f'"{circuit.name}" has no dense map of {size} inputs and outputs')
    made = replace(circuit, root=new[circuit.root], origin=None)
    store = circuit.store.updated(values).restricted(made.parameters)
    return Projected(replace(made, store=store), tuple(distance for _, distance in known.values()))


def _checked(sizes: Sequence[int]) -> Sequence[int]:
    if len(sizes) < 2 or any(not isinstance(size, int | np.integer) or size < 1 for size in sizes):
        raise error("wrong-arguments", f"a Monarch map has two or more sizes, not {list(sizes)}")
    return sizes


def nearest_monarch(matrix: ArrayLike, sizes: Sequence[int]) -> tuple[list[Floats], float]:
    """The parts [K/bᵢ, bᵢ, bᵢ] of the nearest Monarch map of a matrix [K, K], and its relative error.

    Raises: DanausError `wrong-shape`, `wrong-arguments`.
    """
    dense = np.asarray(matrix, dtype=np.float64)
    size = prod(_checked(sizes))
    if dense.shape != (size, size):
        raise error("wrong-shape", f"a matrix of shape {list(dense.shape)}, not [{size}, {size}]")
    parts = [part for part in _parts(dense[None], [int(each) for each in sizes])]
    norm = float(np.linalg.norm(dense))
    flat = [part.reshape(-1, *part.shape[-2:]) for part in parts]
    return flat, float(np.linalg.norm(dense - written(flat))) / norm if norm else 0.0


def _parts(batch: Floats, sizes: list[int]) -> list[Floats]:
    """The parts of each matrix of a batch [n, K, K]: part i as [new digits i+1 …, n, old digits … i−1, bᵢ, bᵢ]."""
    n, b, rest = len(batch), sizes[0], prod(sizes[1:])
    if len(sizes) == 1:
        return [batch]
    digits = batch.reshape(n, b, rest, b, rest)  # i, j, i′, j′
    u, s, v = np.linalg.svd(np.moveaxis(digits, (2, 3), (1, 2)), full_matrices=False)  # [n, j, i′, i, j′]
    left, right = u[..., 0] * np.sqrt(s[..., :1]), v[..., 0, :] * np.sqrt(s[..., :1])
    sign = np.where(left.sum(axis=-1, keepdims=True) < 0, -1.0, 1.0)
    left, right = left * sign, right * sign
    below = np.moveaxis(right, 2, 1).reshape(n * b, rest, rest)  # [n, i′] of [j, j′]
    first = np.moveaxis(np.moveaxis(left, 2, -1), 0, 1)  # [j, n, i, i′]
    return [first, *_parts(below, sizes[1:])]


def written(parts: Sequence[Floats]) -> Floats:
    """A Monarch map as a matrix [K, K]."""
    size = parts[0].shape[0] * parts[0].shape[1]
    x = np.eye(size)
    for part in reversed(parts):
        blocks, b, _ = part.shape
        x = part @ x.reshape(blocks, b, size)
        x = x.swapaxes(0, 1).reshape(size, size)
    return x
