"""What is chosen by size for networks of scalar nodes, each with its reason."""

from __future__ import annotations

from .network import Form, Shape
from .sparse_roofline import quicker_together
from .targets import Gpu

LANES = (1, 8, 32)
"""Rows of the batch in a tile. 32 are a warp's, so that a node's values are one load of 128 bytes; a smaller batch
leaves lanes to nodes, and one row has none to share. Widths between would waste half as much, and each is one kernel
more to compile of every kind."""


def lanes(rows: int) -> int:
    """Rows of the batch in a tile: the least that hold them, or 32."""
    return next((each for each in LANES if rows <= each), LANES[-1])


def shape(rows: int, drain: bool = False) -> Shape:
    """A tile has 1024 values: 4 for each thread of 8 warps are in flight at once, as loads from L2 want."""
    batch = lanes(rows)
    return Shape(1024 // batch, batch, 8, drain)


def reverse_shape(rows: int, form: Form, drain: bool = False) -> Shape:
    """The same, with 4 warps for logarithms, which take 168 registers of each thread on sm_80: of 8 only one program
    would fit on a multiprocessor."""
    batch = lanes(rows)
    return Shape(1024 // batch, batch, 8 if form == "linear" else 4, drain)


def walk_shape(rows: int, drawn: bool, drain: bool = False) -> Shape:
    """A tile of a walk down has 512 values and 4 warps, 1024 where all levels are one launch that draws.

    Integers of 64 bits take twice the registers: with 255 for each of 128 threads two programs share a multiprocessor.
    """
    batch = lanes(rows)
    return Shape((1024 if drawn else 512) // batch, batch, 4, drain)


def programs(slots: int, rows: int, size: int, levels: int, tiles: int, gpu: Gpu) -> int:
    """How many programs one launch over all levels has on a GPU; 0 where each level is to be a launch.

    The scratches of all programs may take half of the second-level caches together, so that the other half holds
    records and tables; beyond, each level is a launch over the whole device. There is a program for each
    multiprocessor, or two where one's scratch takes half of the first-level cache at most; each takes what tiles are
    left.

    A program alone takes the tiles of a level in turn, and leaves most of the device idle where the batch has fewer
    tiles than there are multiprocessors: that pays only while levels are narrow. Which is faster is predicted
    (`sparse_roofline.py`): a tile takes about 1 µs, two loads after each other, a launch of a level 2 µs in a graph.
    """
    batch = lanes(rows)
    turns = -(-rows // batch)
    scratch = slots * batch * size
    count = min(turns, gpu.rates.units * (2 if scratch <= gpu.rates.first / 2 else 1))
    if count * scratch > gpu.rates.second / 2:
        return 0
    count = max(1, count)
    return count if quicker_together(turns, count, levels, tiles, gpu) else 0


HELD = 1 << 32
"""Bytes that the values of all nodes may take, where each level is a launch: a small part of a GPU's memory."""


TURNS = 65535
"""Tiles of the batch that one launch has at most where they are the grid's second side: no GPU takes more there."""


def at_once(nodes: int, columns: int, size: int, held: int = HELD) -> int:
    """So many rows are taken at once, a multiple of 32: what memory holds, 32-bit offsets reach, and a grid has.

    `columns` are those of codes, and the values under weights.
    """
    rows = min(held // (size * max(1, nodes)), (2**31 - 2**16) // max(1, columns), TURNS * 32)
    return max(32, rows // 32 * 32)


def parts(turns: int, nodes: int, steps: int, gpu: Gpu) -> int:
    """Over how many programs the tiles of a step of a walk are spread; 1 where all steps are one launch.

    With as many tiles of the batch as half of the multiprocessors the device is busy as it is. Below, a launch for each
    step (about 4 µs) pays once a step has 4096 nodes on average: 128 tiles of 32, which one program takes in turn.
    """
    units = gpu.rates.units
    if turns >= units // 2 or nodes < 4096 * steps:
        return 1
    return max(1, units // max(1, turns))
