"""The kernel that adds flows of inputs up by the values of their columns, over all rows of data and turns of a loop.

Each is a product of flows with which rows have each value, on tensor cores. Each program goes through the rows in order
and adds to sums that no other writes.
"""

from __future__ import annotations

from .kernel import Kernel
from .policy import Precision, Tiles
from .precision import rounded, summed
from .pulls import kernel
from .text import Lines

PLACES = 4
"""Of each input the first row of its flows, its column, by how much that moves on with each turn, and where its sums
[values, width] lie; flows of one turn lie after those of the turn before."""


def tally(width: int, rows: int, turns: int, tiles: Tiles, precision: Precision) -> Kernel:
    """For inputs of so many nodes and values, in so many turns."""
    lines = Lines()
    tall, wide = -(-width // tiles.rows), -(-rows // tiles.inner)
    lines.add(
        "work = tl.program_id(0)",
        f"place = places + first + work // {tall * wide} * {PLACES}",
        f"k = work // {wide} % {tall} * ROWS + tl.arange(0, ROWS)",
        f"ok = k < {width}",
        f"value = work % {wide} * INNER + tl.arange(0, INNER)",
        "total = tl.zeros([ROWS, INNER], tl.float32)",
        "batches = stride // BATCH",
        f"for each in range(0, {turns} * batches):",
    )
    lines.depth += 1
    lines.add(
        "turn = each // batches",
        "b = each % batches * BATCH + tl.arange(0, BATCH)",
        f"x = tl.load(flows + (tl.load(place) + turn * {width} + k[:, None]) * stride + b[None, :], ok[:, None], 0.0)",
        "code = tl.load(codes + (tl.load(place + 1) + turn * tl.load(place + 2)) * stride + b)",
        "one = tl.where(code[:, None] == value[None, :], 1.0, 0.0)",
    )
    summed(lines, precision, "total", rounded(lines, precision, "x"), "one")
    lines.depth -= 1
    lines.add(
        f"own = sums + tl.load(place + 3) + value[None, :] * {width} + k[:, None]",
        f"inside = ok[:, None] & (value < {rows})[None, :]",
        "tl.store(own, tl.load(own, inside, 0.0) + total, inside)",
    )
    constants = {"ROWS": tiles.rows, "INNER": tiles.inner, "BATCH": tiles.batch}
    return kernel("tally", lines, constants, tiles.warps, tiles.stages, precision)
