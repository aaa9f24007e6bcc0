"""The time that kernels of walks and of networks take at least on a GPU: of each by its name, a prediction.

What enters are kernels that a query may launch, a Program and a batch; what leaves is how often each is launched for
the batch if it is, and the seconds of these launches. Which of them are launched (all levels at once, or one after the
other) the policy chooses with the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...ir.program.program import Layout
from . import sparse_policy
from .kernel import Kernel
from .network import Numbers, Shape
from .records import Tiles, Wired, downward, slotted, upward, wired
from .sparse_roofline import Level, apart, levels_of, together
from .steps import MATRICES, TERMS, Steps
from .targets import Gpu

DOUBLE = 8  # bytes

Launched = tuple[int, float]
"""How often a kernel is launched, and the seconds that all of it takes."""


def of_network(layout: Layout, kernels: Sequence[Kernel], rows: int, ones: int, gpu: Gpu) -> dict[str, Launched]:
    """What each kernel of a network takes for a batch, by its digest; `ones` are the coefficients of numbers of ones,
    which have the lanes there.

    Each edge and each node are read once a level; weights are summed over the edges that have them.
    """
    net, tiles = wired(layout), dict[tuple[int, bool], Tiles]()
    found: dict[str, Launched] = {}
    for kernel in kernels:
        shape, numbers = _shape(kernel), _numbers(kernel)
        for down in (False, True):
            if (shape.width, down) not in tiles:
                tiles[shape.width, down] = (downward if down else upward)(net, shape.width)
        up, back = (levels_of(tiles[shape.width, down], numbers, shape) for down in (False, True))
        own = ones if kernel.name == "ones_level" else rows
        found[kernel.digest] = _network(kernel.name, up, back, net, numbers, shape, own, gpu)
    return found


def of_likelihood(layout: Layout, numbers: Numbers, rows: int, gpu: Gpu) -> Launched:
    """How many launches the likelihoods of a network take for a batch, and the seconds of all of them."""
    net, shape = wired(layout), sparse_policy.shape(rows, gpu.backend == "hip")
    up = upward(net, shape.width)
    levels, (_, slots, _) = levels_of(up, numbers, shape), slotted(net, up)
    programs = sparse_policy.programs(slots, rows, numbers.size, len(levels), up.count, gpu)
    if programs:
        return 1, together(levels, rows, shape, programs, gpu)
    return len(levels), apart(levels, net.nodes, rows, numbers.size, shape, gpu)


def _network(
    name: str,
    up: tuple[Level, ...],
    back: tuple[Level, ...],
    net: Wired,
    numbers: Numbers,
    shape: Shape,
    rows: int,
    gpu: Gpu,
) -> Launched:
    turns = -(-rows // shape.lanes)
    one = partial(together, rows=rows, shape=shape, programs=min(turns, gpu.rates.units), gpu=gpu)
    many = partial(apart, nodes=net.nodes, rows=rows, size=numbers.size, shape=shape, gpu=gpu)
    match name:
        case "network" | "descend":
            return 1, one(up)
        case "derive":  # up, back, and sums for leaves and weights over what both left
            return 1, one((*up, *back, *back))
        case "back_level":
            return len(back), many(back)
        case "descend_leaves":
            return 1, many(up[:1])
        case "leaf_sums" | "weight_sums":  # a program for each tile of entries, over all rows
            alone = Level(sum(level.tiles for level in back), sum(level.bytes for level in back), 0)
            return 1, max(many((alone,)), gpu.rates.launch + turns * gpu.rates.stage)
        case _:
            return len(up), many(up)


def of_steps(steps: Steps, kernels: Sequence[Kernel], rows: int, gpu: Gpu) -> dict[str, Launched]:
    """What each kernel of a walk over a Program of vectors takes, by its digest: all steps in one launch, each after
    the one before; its values are float64."""
    return {
        kernel.digest: (1, _steps(steps, _shape(kernel), "descend" in kernel.name, rows, gpu)) for kernel in kernels
    }


def _steps(steps: Steps, shape: Shape, down: bool, rows: int, gpu: Gpu) -> float:
    """Seconds of all steps in one launch. A program takes the tiles of each step in turn, for one tile of the batch: up
    a sum looks at its columns twice, a column at a time; down the sums that chose are looked for, then theirs twice."""
    rates, records, tile = gpu.rates, steps.records.astype(np.int64), DOUBLE * shape.width * shape.lanes
    kinds, nodes = records[:, 0], records[:, 2]
    blocks, tall, columns = (records[:, place] for place in (6, 7, 8))
    terms = np.where(kinds == TERMS, records[:, 6], 1)
    tiles, loaded = -(-nodes // shape.width), terms * tile
    if down:
        looks = -(-tall // shape.width) + 2 * -(-columns // shape.width)
        tiles = np.where(kinds == MATRICES, blocks * looks, tiles)
    else:
        tiles = np.where(kinds == MATRICES, blocks * -(-tall // shape.width), tiles)
        loaded = np.where(kinds == MATRICES, 2 * columns * DOUBLE * (shape.width + shape.lanes), loaded)
    one = float((tiles * np.maximum(rates.stage, loaded / rates.stream)).sum())
    turns = -(-rows // shape.lanes)
    all_ = turns * float((tiles * loaded).sum()) / (rates.stream * min(turns, rates.units))
    return rates.launch + max(one, all_, DOUBLE * steps.rows * rows / rates.bytes)


def _shape(kernel: Kernel) -> Shape:
    sizes = dict(kernel.constants)
    return Shape(int(sizes["WIDTH"]), int(sizes["LANES"]), kernel.warps)


def _numbers(kernel: Kernel) -> Numbers:
    """Of what kind a kernel's values are."""
    wide = any(argument.type == "*fp64" for argument in kernel.arguments)
    return Numbers("log" if "tl.exp(" in kernel.source else "linear", 8 if wide else 4)
