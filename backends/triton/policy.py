"""What is chosen by size: tiles, warps, stages, precision, and what is computed where it is read. Each with its reason.

Only this file and `sparse_policy.py` choose, by the rates of the GPU that kernels are made for (`targets.py`). Where a
Program is tuned (`tune.py`), the fastest tiles around these stand in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...ir.diagnostic import error
from .targets import MODEL, Gpu
from .value import Form

Precision = Literal["ieee", "tf32", "tf32x3", "bf16", "bf16x3"]

PRECISIONS: tuple[Precision, ...] = ("ieee", "tf32", "tf32x3", "bf16", "bf16x3")

DEFAULT: Precision = "bf16x3"
"""Three passes of bf16 keep 16 bits of each factor: over 256 steps of an HMM the log-likelihood is 6e-6 to 8e-5 off,
about what float32 logarithms near −900 lose themselves (7e-5). One pass of tf32, rounded to nearest, is 5e-4 to 5e-3
off, one of bf16 4e-3 to 6e-2. tf32x3 (3e-6) has half the rate of bf16x3 and is refused on gfx942."""

ERROR: Mapping[Precision, float] = {"ieee": 3e-5, "tf32": 2e-2, "tf32x3": 3e-5, "bf16": 1.5e-1, "bf16x3": 3e-4}
"""How far off the log-likelihood of a chain of 256 steps, about −900, may be: tests/backends/triton/test_precision.py
holds the rounding of each against it."""


def precision_named(name: str | None) -> Precision:
    """The precision of a name; the one that is taken where none is named.

    >>> precision_named("tf32"), precision_named(None)
    ('tf32', 'bf16x3')

    Raises: DanausError `unknown-precision`.
    """
    for known in PRECISIONS:
        if name == known:
            return known
    if name is None:
        return DEFAULT
    raise error("unknown-precision", f'there is no precision "{name}"', hint=f"there are {', '.join(PRECISIONS)}")


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


FEW = 512
"""Rows up to which a batch is small."""


def classes(gpu: Gpu = MODEL) -> tuple[int, int, int]:
    """The largest batches of each class on a GPU: small ones, those that do not fill it, with a tile of 64 for each
    multiprocessor, and those that do. An MI300X has 304 of them, an A100 108."""
    return FEW, 64 * gpu.rates.units, 1 << 30


def batch_class(rows: int, gpu: Gpu = MODEL) -> int:
    """Batches for which one plan is made: the largest of the class."""
    own = classes(gpu)
    return next((most for most in own if rows <= most), own[-1])


def typical(rows: int, gpu: Gpu = MODEL) -> int:
    """A batch that stands for its class where times are compared: what is chosen must be the same for all of a class.
    Halfway up in doublings; beyond what fills a device, four times that."""
    few, full, _ = classes(gpu)
    return {few: few // 4, full: full // 4}.get(batch_class(rows, gpu), 4 * full)


def batch_tile(rows: int) -> int:
    """16 is the least that tensor cores take, and gives the most programs for small batches; 64 reads each weight a
    quarter as often and fills wgmma (n = 64) once there are rows enough for it."""
    return 16 if rows <= FEW else 64


RECORDED = 4
"""So many sizes of batches have their launches recorded at a time: each keeps its buffers."""


CALL = 20e-6
"""Seconds of a launch from Python: an estimate."""


def records(device: str, launches: int) -> bool:
    """Whether launches are recorded as a CUDA graph: from three on, where calls from Python (`CALL`) take longer than
    kernels do. In a graph it is about 2 µs from one to the next."""
    return device == "cuda" and launches >= 3


def dense_tiles(rows: int, columns: int, batch: int, precision: Precision) -> Tiles:
    """Tiles of a matrix on a value.

    Rows 64: what wgmma and tcgen05 need at least on the left; fewer where the matrix has fewer. Inner 32 columns: 64 by
    64 by 32 took 84 to 145 registers without spills on sm_90 and 48 to 64 KB of shared memory with 3 stages, and fits
    the 64 KB of gfx942 with 2. `ieee` has no tensor cores on NVIDIA and spills with 4 warps: 8; and 16 columns, since
    with 32 a path of such tiles spilled 56 bytes on sm_80.
    """
    tall = min(64, max(16, power(rows)))
    inner = min(16 if precision == "ieee" and batch > 16 else 32, max(16, power(columns)))
    return Tiles(tall, inner, batch, 8 if precision == "ieee" and tall * batch > 1024 else 4, 3)


def tally_tiles(width: int, rows: int, batch: int) -> Tiles:
    """Nodes by values of a column, at most 64 by 64, a batch tile at a time."""
    return Tiles(min(64, max(16, power(width))), min(64, max(16, power(rows))), batch, 4, 2)


def outer_batch(batch: int) -> int:
    """So many rows of data at a time for sums over them, whose tiles are rows by columns of the matrix: 32 are two
    steps of a tensor core's 16, and less to hold beside the sums than 64."""
    return 16 if batch < 32 else 32


def vector_tiles(columns: int, batch: int) -> Tiles:
    """One row at a time, and 2048 elements at most, 16 for each of 128 threads; 1024 of large batches, whose tiles
    leave fewer registers in a path: 2048 spilled 8 bytes on sm_80."""
    return Tiles(1, min(power(columns), (2048 if batch <= 16 else 1024) // batch), batch, 4, 2)


def resident(precision: Precision) -> int:
    """How many weights of a loop stay on chip: 128 · 128 took 80 KB of shared memory and 134 to 155 registers on sm_90,
    256 · 256 in bf16, in four parts, 152 KB; 128 · 128 without tensor cores spilled 4.7 KB a thread, and in three
    passes of tf32, whose factors are taken apart in registers, 704 bytes on sm_100."""
    if precision == "bf16":
        return 256 * 256
    return 64 * 64 if precision in ("ieee", "tf32x3") else 128 * 128


def resident_factors(precision: Precision) -> int:
    """The same where all matrices of a loop are blocks: the factors of 2 by 128 states are 128 · 128 numbers twice, and
    blocks of 16 by 16 that those of two by two make up, 147 KB of shared memory. `tf32x3` takes weights apart in
    registers, where these spilled 1.9 KB a thread, and `ieee` has them there."""
    if precision == "tf32x3":
        return 128 * 128
    return resident(precision) if precision == "ieee" else resident(precision) * 9 // 4


def swept(precision: Precision, stages: int = 1) -> int:
    """How many weights stay on chip where sums for them do, too, which are float32; half where a turn has several
    stages, whose blocks are turned round in registers: those of 2 by 64 states spilled 32 to 72 bytes a thread."""
    return min(resident(precision), 128 * 128) // (1 if stages == 1 else 2)


STATES = 512
"""A state on chip has at most so many places, filled up: 12 by 20 states in 16 by 32 places took 194 to 225 registers
and 160 KB of shared memory."""

TURN = 1024
"""The states of a turn together: three of 512 (6 by 6 by 7) spilled 24 to 40 bytes a thread on sm_80."""


def places(alone: int) -> int:
    """The same beside blocks of so many rows that are multiplied one after another: 256, with which they take up to 255
    registers."""
    return 256 if alone else STATES


SWEPT = 128
"""The same of one that runs back, whose flow, and whose states before and after, stand on chip at a time."""


def chain_warps(stages: Sequence[Form], batch: int, precision: Precision) -> int:
    """8 where a state has more than 1024 numbers: with 4, 64 states by 64 rows spilled; `ieee` needs 8 without tensor
    cores."""
    most = max(power(stage.width) for stage in stages)
    return 8 if most * batch > 1024 or precision == "ieee" else 4


def ahead(alone: int, gpu: Gpu) -> int:
    """Of how many turns of a loop what it reads is on its way, this one with them: 3 reach from a code to the row of
    the emission that it names. Where blocks of so many rows are multiplied one after another (0 if none are), 3 spilled
    24 bytes a thread for 64 rows on sm_80, and 2 spilled 16 for 128 there; sm_100 spilled 80 with 1."""
    if not alone:
        return 3
    return 1 if alone > 64 and gpu.architecture == 80 else 2


def swept_warps(size: int, batch: int) -> int:
    """8 for 128 states, whose sums alone are 64 registers for each of 256 threads; 4 up to 64."""
    return 8 if size > 64 or size * batch > 1024 else 4


def products(programs: int, groups: int, gpu: Gpu) -> int:
    """Into how many products the sums for weights are split that so many groups share, of so many programs each: until
    there are two programs for each multiprocessor."""
    return max(1, min(groups, 2 * gpu.rates.units // programs))


def path_warps(batch: int, precision: Precision) -> int:
    """A path by scratch holds what a dense kernel does and the places of all stages: with 4 warps, tiles of 64 by 64
    spilled, and without tensor cores those of 64 by 16, too."""
    return 8 if batch > 16 or precision == "ieee" else 4


def chain_batch(rows: int, stages: Sequence[Form], precision: Precision, gpu: Gpu) -> int:
    """16, the least: a step waits for the one before it, so that programs on many processors beat wide ones on few,
    until there are several programs for each processor. Then 32 for up to 64 states: more spill."""
    most = max(power(stage.width) for stage in stages)
    return 16 if rows <= classes(gpu)[1] or most > 64 or precision == "ieee" else 32


LOOPED = 1 << 18
"""Up to so many bytes of weights in a turn a loop is one launch whatever the times predicted: what a turn streams is
1.9 to 2.9 µs at 64 bytes per clock and processor, about what a launch costs in a graph, and the first call of a size,
and what is not recorded, makes each launch from Python, at some 20 µs."""


def by_scratch(turn: int, most: int, gpu: Gpu) -> bool:
    """Whether one program may run a path whose weights do not fit on chip: where those that a turn of its loop reads,
    and a stage at most, in bytes, take half of the cache, so that they stay there beside states. Whether it does is
    chosen by predicted time (`ways.py`), which counts what states do not stay and what is read from a cache behind."""
    return max(turn, most) <= gpu.rates.cache / 2


def elementwise_tiles(width: int, batch: int) -> Tiles:
    """At most 2048 elements: 16 for each of 128 threads are enough loads in flight to hide memory."""
    return Tiles(min(max(1, 2048 // batch), power(width)), 1, batch, 4, 1)


def power(number: int) -> int:
    """The least power of two that is not less."""
    return 1 << max(0, number - 1).bit_length()
