"""What is chosen by size: tiles, warps, stages, precision, and what is computed where it is read. Each with its reason.

Only this file chooses; `tuned` choices of a device replace those of `dense_tiles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["ieee", "tf32", "tf32x3", "bf16", "bf16x3"]

PRECISIONS: tuple[Precision, ...] = ("ieee", "tf32", "tf32x3", "bf16", "bf16x3")

DEFAULT: Precision = "bf16x3"
"""Three passes of bf16 keep 16 bits of each factor: over 256 steps of an HMM the log-likelihood is 6e-6 to 8e-5 off,
about what float32 logarithms near −900 lose themselves (7e-5). One pass of tf32, rounded to nearest, is 5e-4 to 5e-3
off, one of bf16 4e-3 to 6e-2. tf32x3 (3e-6) has half the rate of bf16x3 and is refused on gfx942."""

LEAVES = 8
"""So many loads a value may take where it is read: beyond, registers and text grow faster than a buffer's write and
read cost; a product of thousands of factors becomes a tree of eights, each level one launch."""

PARTS = 4
"""Joins of more parts lie in memory, where their parts are written in place; fewer are chosen by masks when read."""

VECTOR = 4
"""Up to so many rows a matrix is multiplied row by row without tensor cores, whose tiles have 16."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """A tile of rows by batch, over columns `inner` at a time."""

    rows: int
    inner: int
    batch: int
    warps: int
    stages: int


def batch_tile(batch: int) -> int:
    """16 is the least that tensor cores take, and gives the most programs for small batches; 64 reads each weight a
    quarter as often and fills wgmma (n = 64) once there are rows enough for it."""
    return 16 if batch <= 512 else 64


def dense_tiles(rows: int, columns: int, batch: int, precision: Precision) -> Tiles:
    """Tiles of a matrix on a value.

    Rows 64: what wgmma and tcgen05 need at least on the left; fewer where the matrix has fewer. Inner 32 columns: 64 by
    64 by 32 took 84 to 145 registers without spills on sm_90 and 48 to 64 KB of shared memory with 3 stages, and fits
    the 64 KB of gfx942 with 2. `ieee` has no tensor cores on NVIDIA and spills with 4 warps: 8.
    """
    tall = min(64, max(16, power(rows)))
    inner = min(32, max(16, power(columns)))
    return Tiles(tall, inner, batch, 8 if precision == "ieee" and tall * batch > 1024 else 4, 3)


def vector_tiles(columns: int, batch: int) -> Tiles:
    """One row at a time, and 2048 elements at most, 16 for each of 128 threads."""
    return Tiles(1, min(power(columns), 2048 // batch), batch, 4, 2)


def elementwise_tiles(width: int, batch: int) -> Tiles:
    """At most 2048 elements: 16 for each of 128 threads are enough loads in flight to hide memory."""
    return Tiles(min(max(1, 2048 // batch), power(width)), 1, batch, 4, 1)


def power(number: int) -> int:
    """The least power of two that is not less."""
    return 1 << max(0, number - 1).bit_length()
