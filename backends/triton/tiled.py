"""From a form and tiles to a kernel: the policy's tiles, or those that were chosen instead.

What enters is what a launch computes and the size of a batch; what leaves is its kernel, with the tiles that it was
made with. Choices are known by the digest of the policy's kernel, so that the same Program with the same choices has
the same text, wherever it is planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from . import policy
from .chain import ChainForm, alone, resident
from .dense import kernel_of, programs, tiles_of
from .kernel import Kernel
from .launch import AnyForm, Launch
from .policy import Precision, Tiles
from .roofline import seconds_of
from .scratch import by_scratch
from .sweep import LoopForm, forward
from .targets import Gpu
from .value import Form

Choices = Mapping[str, Tiles]
"""Tiles in place of the policy's, by the digest of the kernel that it would have taken."""

NONE: Choices = {}
"""No tiles but the policy's."""


@dataclass(frozen=True, slots=True)
class Tiled:
    """A kernel, the programs that one group takes for each batch tile, and the tiles; a path's `rows` and `inner` are
    0, since its stages have their own."""

    kernel: Kernel
    programs: int
    tiles: Tiles


def launched(form: AnyForm, made: Tiled, first: int, groups: int) -> Launch:
    """So many groups of a form as one launch, whose places begin at `first`."""
    shape, loop = (form.path, form) if isinstance(form, LoopForm) else (form, None)
    return Launch(made.kernel, made.programs * groups, made.tiles.batch, first, groups, shape, made.tiles, loop)


def tiled(form: AnyForm, rows: int, precision: Precision, gpu: Gpu, choices: Choices) -> Tiled:
    """The kernel of a form for batches of so many rows: as it was chosen, or as the policy has it."""
    usual = by_policy(form, rows, precision, gpu)
    chosen = choices.get(usual.kernel.digest)
    return usual if chosen is None else with_tiles(form, chosen, precision)


def by_policy(form: AnyForm, rows: int, precision: Precision, gpu: Gpu) -> Tiled:
    """The kernel of a form with the policy's tiles for a GPU."""
    batch = policy.batch_tile(rows)
    match form:
        case LoopForm():
            return _path(forward(form, min(batch, policy.chain_batch(rows, form.stages, precision, gpu)), precision))
        case ChainForm() if form.scratch:
            return _quickest(
                form, [_path(by_scratch(form, tile, precision)) for tile in _halves(batch)], rows, precision, gpu
            )
        case ChainForm():
            tile = min(batch, policy.chain_batch(rows, form.stages, precision, gpu))
            return _path(resident(form, tile, precision, policy.ahead(alone(form), gpu)))
        case Form(matrix=matrix) if matrix is not None and matrix.rows > policy.VECTOR:
            several = [with_tiles(form, tiles_of(form, tile, precision), precision) for tile in _doubles(batch)]
            return _quickest(form, several, rows, precision, gpu)
        case Form():
            return with_tiles(form, tiles_of(form, batch, precision), precision)


def _halves(batch: int) -> Iterator[int]:
    """Tiles of the batch that a path may have, the largest first: each half as large gives twice the programs, and
    reads the weights twice as often."""
    while batch >= 16:
        yield batch
        batch //= 2


def _doubles(batch: int) -> Iterator[int]:
    """Tiles of the batch that a matrix may have, the smallest first: each twice as large reads the weights half as
    often, which counts where they are many, and fills more of a small batch with nothing."""
    while batch <= 64:
        yield batch
        batch *= 2


def _quickest(form: AnyForm, several: Sequence[Tiled], rows: int, precision: Precision, gpu: Gpu) -> Tiled:
    """The one that is predicted to take least for the class of a batch; of equal ones the first."""
    typical = policy.typical(rows, gpu)
    return min(several, key=lambda made: seconds_of(launched(form, made, 0, 1), typical, gpu, precision))


def with_tiles(form: AnyForm, tiles: Tiles, precision: Precision) -> Tiled:
    """The kernel of a form with other tiles."""
    match form:
        case LoopForm():
            kernel = forward(form, tiles.batch, precision)
        case ChainForm() if form.scratch:
            kernel = by_scratch(form, tiles.batch, precision)
        case ChainForm():
            kernel = resident(form, tiles.batch, precision, tiles.stages)
        case Form():
            if form.writes is not None:  # what reads them knows of so many rows together
                tiles = replace(tiles, rows=form.writes.tile)
            return Tiled(kernel_of(form, tiles, precision), programs(form, tiles), tiles)
    return _path(replace(kernel, warps=tiles.warps, stages=tiles.stages))


def _path(kernel: Kernel) -> Tiled:
    batch = int(dict(kernel.constants)["BATCH"])
    return Tiled(kernel, 1, Tiles(0, 0, batch, kernel.warps, kernel.stages))
