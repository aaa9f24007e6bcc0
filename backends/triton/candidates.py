"""What the tuner tries: launches whose tiles differ in one size from those of another.

What enters is a launch of a plan, of its reverse, or of a network or a walk; what leaves are the same with other tiles.
A network's values lie by rows of the batch in a tile, so that its lanes stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from . import policy
from .backward import Backward, Outers, Pulls, Tallies, back_kernel, matrix_in
from .chain import ChainForm
from .kernel import Kernel
from .launch import Launch
from .policy import VECTOR, Precision, Tiles
from .precision import PADDED
from .reverse import Swept, Turn
from .shapes import Shaping, shape_tiles, with_shape
from .sweep import LoopForm
from .tiled import with_tiles
from .value import Form

MOST = 128
"""Tiles have at most so many rows, columns or rows of data: 128 by 128 of float32 sums are 128 registers of each of 128
threads, of which a thread has 255."""

VALUES = (256, 2048)
"""So many values has a tile of a network or of a walk: at least one for each of 8 warps' threads, and at most 8."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """The launches of a network's kernel, or of a walk's, of a shape; `policy` is the one that the policy has."""

    shaping: Shaping
    kernel: Kernel

    @property
    def tiles(self) -> Tiles:
        """Its nodes and rows, and its warps."""
        return shape_tiles(self.shaping.shape)


Trial = Launch | Turn | Swept | Shaped


def around(trial: Trial, precision: Precision, most: int = MOST) -> Iterator[Trial]:
    """A launch with each of its sizes halved or doubled, one at a time, as far as its form allows; of a reverse, whose
    buffers have tiles of so many rows of data, with at `most` as many."""
    match trial:
        case Launch():
            for tiles in neighbours(trial.form, trial.tiles):
                made = with_tiles(trial.loop or trial.form, tiles, precision)
                yield replace(
                    trial, kernel=made.kernel, programs=made.programs * trial.groups, batch=tiles.batch, tiles=tiles
                )
        case Turn():
            for tiles in back_neighbours(trial.what, trial.tiles, most):
                kernel = back_kernel(trial.what, tiles, precision)
                yield replace(trial, kernel=kernel, tiles=tiles, batch=tiles.batch if trial.batch else 0)
        case Swept():
            for tiles in back_neighbours(trial.form, trial.tiles, most):
                yield replace(trial, kernel=back_kernel(trial.form, tiles, precision), tiles=tiles)
        case Shaped():
            for tiles in shape_neighbours(trial.tiles):
                shaping = with_shape(trial.shaping, tiles)
                yield Shaped(shaping, shaping.make(shaping.shape))


def neighbours(form: Form | ChainForm, tiles: Tiles) -> Iterator[Tiles]:
    """Tiles that differ in one size by a factor of two, in warps likewise, or in one stage of the pipeline."""
    matrix = form.matrix if isinstance(form, Form) else None
    ranges = {"batch": (PADDED, MOST), "warps": (2, 8)}
    if matrix is not None and matrix.rows > VECTOR:
        ranges |= {"rows": (16, min(MOST, _size(matrix.rows))), "inner": (16, min(MOST, _size(matrix.columns)))}
    elif matrix is not None:  # of few rows, one at a time
        ranges |= {"inner": (16, min(4096, policy.power(matrix.columns)))}
    elif isinstance(form, Form):
        ranges |= {"rows": (1, policy.power(form.width))}
    if isinstance(form, Form) and form.writes is not None:  # what reads them knows of so many rows together
        ranges.pop("rows")
    loops = not isinstance(form, Form) or (matrix is not None and matrix.columns > tiles.inner)
    return _within(tiles, ranges, loops)


def back_neighbours(what: Backward, tiles: Tiles, most: int) -> Iterator[Tiles]:
    """The same of what a reverse computes."""
    ranges = {"batch": (PADDED, min(most, MOST)), "warps": (2, 8)}
    match what:
        case Pulls(form):
            rows, inner = matrix_in(form).columns, matrix_in(form).rows
        case Outers(form):
            rows, inner = matrix_in(form).rows, matrix_in(form).columns
        case Tallies(rows, inner):
            pass
        case LoopForm():
            return _within(tiles, ranges, True)
    ranges |= {"rows": (16, min(MOST, _size(rows))), "inner": (16, min(MOST, _size(inner)))}
    return _within(tiles, ranges, True)


def shape_neighbours(tiles: Tiles) -> Iterator[Tiles]:
    """The same of a network or a walk: other nodes in a tile, and warps."""
    least, most = (max(1, values // tiles.batch) for values in VALUES)
    return _within(tiles, {"rows": (least, most), "warps": (2, 8)}, False)


def _within(tiles: Tiles, ranges: dict[str, tuple[int, int]], loops: bool) -> Iterator[Tiles]:
    for name, (least, most) in ranges.items():
        present = int(getattr(tiles, name))
        yield from (_with(tiles, name, size) for size in (present // 2, present * 2) if least <= size <= most)
    if loops:  # that can be pipelined
        yield from (replace(tiles, stages=stages) for stages in (tiles.stages - 1, tiles.stages + 1) if 1 < stages < 5)


def _with(tiles: Tiles, name: str, size: int) -> Tiles:
    return Tiles(**(asdict(tiles) | {name: size}))


def _size(number: int) -> int:
    return max(16, policy.power(number))
