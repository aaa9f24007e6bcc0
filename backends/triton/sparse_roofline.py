"""The time that a network of scalar nodes takes at least on a GPU: all levels in one launch, and level by level.

What enters are the tiles of a network, how many rows there are, and a GPU; what leaves are seconds, a prediction and no
measurement. A program takes tiles one after another, each as long as a stage or as what it loads: the words that name
its edges once, a value for each edge and row, a weight for each edge. With all levels in one launch a program alone
has all tiles of a level to do, and there are no more programs than tiles of the batch; level by level they are spread
over the device, and each level takes a launch. Exponentials are those of sums of logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .network import Numbers, Shape
from .policy import CALL, records
from .records import SUMS, Tiles
from .targets import Gpu, Rates

_WORD = 4  # bytes of an edge's member, and of its weight's name

WARPS = 8


def held(gpu: Gpu, warps: int = WARPS) -> int:
    """Programs of a level that one multiprocessor holds at once: 2048 threads over those of its warps."""
    return max(1, 2048 // (warps * gpu.warp))


@dataclass(frozen=True, slots=True)
class Level:
    """A level's tiles, the bytes that they load and write for one tile of the batch, and the exponentials."""

    tiles: int
    bytes: int
    special: int


def levels_of(tiles: Tiles, numbers: Numbers, shape: Shape) -> tuple[Level, ...]:
    """The levels of a network's tiles, from the leaves up."""
    kinds, rounds = tiles.records[:, 0], tiles.records[:, 2].astype(np.int64)
    edges = rounds * tiles.width
    edge = 2 * _WORD + numbers.size * (shape.lanes + 1)  # its words, its values, and its weight or table
    loaded = edges * edge + tiles.width * numbers.size * shape.lanes
    special = np.where((kinds == SUMS) & (numbers.form == "log"), (edges + tiles.width) * shape.lanes, 0)
    bounds = tiles.ranks.tolist()
    return tuple(
        Level(last - first, int(loaded[first:last].sum()), int(special[first:last].sum()))
        for first, last in pairwise(bounds)
    )


def together(levels: tuple[Level, ...], rows: int, shape: Shape, programs: int, gpu: Gpu) -> float:
    """Seconds of all levels in one launch of so many programs."""
    rates, turns = gpu.rates, -(-rows // shape.lanes)
    each = -(-turns // programs)  # tiles of the batch that one program takes in turn
    one = sum(max(level.tiles * rates.stage, _alone(level, rates)) for level in levels)
    spread = min(programs, rates.units)
    all_ = turns * sum(_alone(level, rates) for level in levels) / spread
    return rates.launch + max(each * one, all_)


def apart(levels: tuple[Level, ...], nodes: int, rows: int, size: int, shape: Shape, gpu: Gpu) -> float:
    """Seconds of a launch for each level, of kernels alone; what values the cache does not hold pass memory."""
    rates, turns = gpu.rates, -(-rows // shape.lanes)
    live = nodes * turns * shape.lanes * size
    beyond = max(0.0, 1.0 - rates.cache / live)
    total = 0.0
    for level in levels:
        programs = level.tiles * turns
        waves = -(-programs // (rates.units * held(gpu, shape.warps)))
        spread = min(programs, rates.units)
        computed = turns * _alone(level, rates) / spread
        total += rates.launch + max(waves * rates.stage, computed, turns * level.bytes * beyond / rates.bytes)
    return total


def _alone(level: Level, rates: Rates) -> float:
    """Seconds of a level's loads and exponentials for one tile of the batch, on one multiprocessor."""
    return max(level.bytes / rates.stream, level.special / (rates.special / rates.units))


def quicker_together(turns: int, programs: int, levels: int, tiles: int, gpu: Gpu) -> bool:
    """Whether one launch over all levels is predicted to be faster, by sizes alone: so many tiles on so many levels.

    Launches of a few levels are made from Python, which takes longer than their kernels; of more they are recorded.
    """
    rates, least = gpu.rates, 0.0 if records("cuda", levels) else CALL
    one = rates.launch + -(-turns // programs) * tiles * rates.stage
    waves = -(-tiles * turns // (max(1, levels) * rates.units * held(gpu)))
    return one <= levels * max(least, rates.launch + waves * rates.stage)
