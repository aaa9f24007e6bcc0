"""Shapes of the kernels of networks and walks: the policy's, or those that were chosen instead.

What enters is what makes a kernel of a shape; what leaves is the shape. Choices are known by the digest of the
policy's kernel, as those of other kernels are: rows are nodes of a tile, the batch its lanes. Kernels of one query may
have tiles of unlike widths, since each has records of its own; their lanes are one, by which values lie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.program.program import Layout
from .kernel import Kernel
from .network import Shape
from .policy import Tiles
from .steps import Steps

Make = Callable[[Shape], Kernel]


@dataclass(frozen=True, slots=True)
class Shaping:
    """What makes a kernel of a shape, and the shape."""

    make: Make
    shape: Shape


def network_about(layout: Layout) -> str:
    """What the times of a network's kernels hang on: its nodes and edges, as a digest."""
    leaves = (layout.leaf_columns, layout.leaf_offsets)
    return _digest(layout.kinds, layout.offsets, layout.members, layout.weights, *leaves)


def steps_about(steps: Steps) -> str:
    """The same of a walk over a Program of vectors."""
    return _digest(steps.records, steps.terms, steps.indices)


def _digest(*arrays: NDArray[Any]) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def shape_tiles(shape: Shape) -> Tiles:
    """A shape as tiles: nodes and rows of the batch, and warps."""
    return Tiles(shape.width, 0, shape.lanes, shape.warps, 0)


def with_shape(shaping: Shaping, tiles: Tiles) -> Shaping:
    """The same with the nodes and warps of tiles."""
    return replace(shaping, shape=replace(shaping.shape, width=tiles.rows, warps=tiles.warps))


def shaped(choices: Mapping[str, Tiles], make: Make, shape: Shape) -> Shape:
    """The shape of what is made: as it was chosen, or as the policy has it."""
    if not choices:
        return shape
    chosen = choices.get(make(shape).digest)
    return shape if chosen is None else with_shape(Shaping(make, shape), chosen).shape


def kernel_shaped(choices: Mapping[str, Tiles], make: Make, shape: Shape) -> Kernel:
    """The kernel of that shape."""
    return make(shaped(choices, make, shape))
