"""What the kernels of a reverse compute, and each with its tiles: the policy's, or those that were chosen instead.

What enters is what is computed; what leaves are kernels. Choices are known by the digest of the policy's kernel, as
those of forward kernels are (tiled.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from . import policy
from .kernel import Kernel
from .policy import Precision, Tiles
from .pulls import outer, pull, tiles_of
from .sweep import LoopForm
from .sweep_back import backward
from .tally import tally
from .targets import Gpu
from .value import Form, Matrix


@dataclass(frozen=True, slots=True)
class Pulls:
    """Flows of a group's value."""

    form: Form


@dataclass(frozen=True, slots=True)
class Outers:
    """Sums for the weights that groups of a form share."""

    form: Form


@dataclass(frozen=True, slots=True)
class Tallies:
    """Sums of flows of an input of so many nodes by its values, in so many turns."""

    width: int
    values: int
    turns: int


Backward = Pulls | Outers | Tallies | LoopForm


def back_kernel(what: Backward, tiles: Tiles, precision: Precision) -> Kernel:
    """The kernel of what is computed, with tiles."""
    match what:
        case Pulls(form):
            return pull(form, matrix_in(form), tiles, precision)
        case Outers(form):
            return outer(form, matrix_in(form), tiles, precision)
        case Tallies(width, values, turns):
            return tally(width, values, turns, tiles, precision)
        case LoopForm():
            made = backward(what, tiles.batch, precision)
            return replace(made, warps=tiles.warps, stages=tiles.stages)


def back_programs(what: Backward, tiles: Tiles) -> int:
    """How many programs one group, or one product, takes; of a loop for each batch tile, as of flows."""
    match what:
        case Pulls(form):
            matrix = matrix_in(form)
            return matrix.blocks * -(-matrix.columns // tiles.rows)
        case Outers(form):
            matrix = matrix_in(form)
            return matrix.blocks * -(-matrix.rows // tiles.rows) * -(-matrix.columns // tiles.inner)
        case Tallies(width, values):
            return -(-width // tiles.rows) * -(-values // tiles.inner)
        case LoopForm():
            return 1


def usual(what: Backward, rows: int, batch: int, precision: Precision, gpu: Gpu) -> Tiles:
    """The policy's tiles for batches of so many rows on a GPU, whose buffers have tiles of `batch` rows."""
    match what:
        case Pulls(form):
            return tiles_of(matrix_in(form), batch, precision)
        case Outers(form):
            matrix = matrix_in(form)
            found = policy.dense_tiles(matrix.rows, matrix.columns, batch, precision)
            return replace(found, batch=policy.outer_batch(batch))
        case Tallies(width, values):
            return policy.tally_tiles(width, values, batch)
        case LoopForm():
            tile = min(batch, policy.chain_batch(rows, what.stages, precision, gpu))
            made = backward(what, tile, precision)
            return Tiles(0, 0, tile, made.warps, made.stages)


def backed(
    what: Backward, rows: int, batch: int, precision: Precision, gpu: Gpu, choices: Mapping[str, Tiles]
) -> tuple[Kernel, Tiles]:
    """The kernel and its tiles: as they were chosen, where their rows of data part the buffers', or as the policy has
    them."""
    tiles = usual(what, rows, batch, precision, gpu)
    kernel = back_kernel(what, tiles, precision)
    chosen = choices.get(kernel.digest)
    if chosen is None or batch % chosen.batch:
        return kernel, tiles
    return back_kernel(what, chosen, precision), chosen


def matrix_in(form: Form) -> Matrix:
    """The matrix of a form that has one."""
    assert form.matrix is not None
    return form.matrix
