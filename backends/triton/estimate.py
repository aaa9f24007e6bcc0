"""How long a launch takes with its tiles, by what its machine code takes of a GPU: to choose among tiles without one.

What enters is a launch, a batch, a GPU and the resources of the compiled kernel; what leaves are seconds, an estimate.
The roofline (`roofline.py`) is the least time of the work; tiles decide how near a launch comes to it: what of a tile
is filled up with zeros, how often numbers come out of the second-level cache, how evenly programs lie on
multiprocessors, and how many are on one at once, so that some wait while others compute.
"""

from __future__ import annotations

from math import inf

from .backward import Outers, Pulls, Tallies, matrix_in
from .expected import WIDE, kind_of
from .launch import Launch
from .policy import VECTOR, Precision, power
from .precision import bytes_of
from .resources import Resources
from .reverse import Swept, Turn
from .roofline import NUMBER, Work, memory_of, path_of, rate, seconds_of, stages_of, weight_bytes, work_of
from .roofline_reverse import back_seconds, work_back
from .targets import Gpu
from .value import Form

WARPS = 8
"""Warps on a multiprocessor that keep its matrix units busy: two for each of its four schedulers. An estimate."""

NARROW = {80: 1.0, 90: 0.6, 100: 0.3}
"""The share of the rate of matrix units that mma.sync reaches, by architecture: wgmma and tcgen05 read their operands
from shared memory while it goes through registers. Of sm_90 0.62 is published; of sm_100 it is an estimate."""

MEMORY, CACHE = 600e-9, 250e-9
"""Seconds until a load comes out of memory, or of the second-level cache: estimates. What is on its way at once over
this is the most that comes in a second."""

_REGISTERS = {"cuda": 1 << 16, "hip": 1 << 17}
_THREADS, _PROGRAMS = 2048, 32
_SHARED = 1 << 10  # bytes that each program takes beside its own


def at_once(gpu: Gpu, taken: Resources) -> int:
    """How many programs a multiprocessor holds at once: by registers, shared memory and threads."""
    registers = -(-max(1, taken.registers) // 8) * 8 * taken.threads
    tensor = gpu.limits.tensor // taken.tensor if taken.tensor else _PROGRAMS
    shared = gpu.limits.shared // max(1, taken.shared + _SHARED) if taken.shared > _SHARED else _PROGRAMS
    shared = max(shared, int(taken.shared <= gpu.limits.shared))
    return min(_PROGRAMS, _THREADS // taken.threads, _REGISTERS[gpu.backend] // registers, tensor, shared)


def estimated(launch: Launch, rows: int, gpu: Gpu, precision: Precision, taken: Resources) -> float:
    """Seconds of a launch; infinite where its kernel spills registers, or does not fit."""
    held = at_once(gpu, taken)
    if taken.spilled or not held:
        return inf
    rates, work = gpu.rates, work_of(launch, rows, precision)
    programs = launch.grid(rows)
    most = -(-programs // rates.units)  # programs of the multiprocessor that has most
    here = min(most, held)
    busy = programs / (most * rates.units) * min(1.0, here * taken.threads / (WARPS * gpu.warp))
    computed = _computed(launch, work, rows, gpu, precision) / busy
    special = work.special / rates.special / busy
    units, flying = min(programs, rates.units), here * _ahead(launch)
    memory = memory_of(launch, work, rows, rates) * max(1.0, rates.bytes / (units * flying / MEMORY))
    cached = _cached(launch, rows, precision) / (units * min(rates.taken(_read(launch, precision), 0), flying / CACHE))
    waiting = 0.0
    if not isinstance(launch.form, Form):
        # its stages wait for one another: while one program does, others on the same multiprocessor compute
        path = path_of(launch.form)
        stages = sum(turns for _, turns in stages_of(path))
        own = (computed * busy + special * busy) * rates.units / programs
        waiting = -(-most // held) * max(stages * rates.stage + own, here * own)
    return max(computed + special, memory, cached, waiting, seconds_of(launch, rows, gpu, precision))


def estimated_back(launch: Turn | Swept, rows: int, gpu: Gpu, precision: Precision, taken: Resources) -> float:
    """Seconds of a launch of a reverse; infinite where its kernel spills registers, or does not fit.

    Each tile of what is written reads all that it is a sum over, and computes its exponentials anew.
    """
    held = at_once(gpu, taken)
    if taken.spilled or not held:
        return inf
    rates, work = gpu.rates, work_back(launch, rows, precision)
    programs = launch.grid(rows)
    most = -(-programs // rates.units)
    here = min(most, held)
    busy = programs / (most * rates.units) * min(1.0, here * taken.threads / (WARPS * gpu.warp))
    filled, again, read = -(-rows // launch.tiles.batch) * launch.tiles.batch / rows, 1, 0.0
    if isinstance(launch, Turn):
        tiles = launch.tiles
        tall, wide, through = _sides(launch, rows)
        across = -(-tall // tiles.rows)
        filled *= across * tiles.rows / tall * (-(-wide // tiles.inner) * tiles.inner / wide)
        again = across if isinstance(launch.what, Pulls) else -(-wide // tiles.inner)
        read = float(
            NUMBER
            * programs
            * through
            * (tiles.rows + tiles.batch if isinstance(launch.what, Pulls) else tiles.rows + tiles.inner)
        )
    narrow = gpu.backend == "cuda" and precision != "ieee" and 0 < launch.tiles.rows < WIDE
    share = NARROW.get(int(gpu.architecture), 1.0) if narrow else 1.0
    computed = filled * (work.tensor / (rate(rates, precision) * share) + work.plain / rates.single) / busy
    special = work.special * again / rates.special / busy
    units = min(programs, rates.units)
    flying = here * NUMBER * max(1, launch.tiles.rows) * launch.tiles.batch * max(1, launch.tiles.stages - 1)
    cached = read / (units * min(rates.stream, flying / CACHE))
    return max(computed + special, cached, back_seconds(launch, rows, gpu, precision))


def _sides(launch: Turn, rows: int) -> tuple[int, int, int]:
    """Of the sums that a launch computes how many are on each side of a tile, and what each is a sum over."""
    match launch.what:
        case Pulls(form):
            return matrix_in(form).columns, matrix_in(form).rows, matrix_in(form).rows
        case Outers(form):
            return matrix_in(form).rows, matrix_in(form).columns, rows
        case Tallies(width, values):
            return width, values, rows


def estimated_shape(seconds: float, gpu: Gpu, taken: Resources) -> float:
    """Seconds of a network's kernel, or of a walk's, that are predicted for its tiles: longer where too few of its
    warps are on a multiprocessor at once, infinite where it spills registers, or does not fit."""
    held = at_once(gpu, taken)
    if taken.spilled or not held:
        return inf
    return seconds / min(1.0, held * taken.threads / (WARPS * gpu.warp))


def _computed(launch: Launch, work: Work, rows: int, gpu: Gpu, precision: Precision) -> float:
    """Seconds of the products, with the zeros that fill up tiles, by all multiprocessors."""
    filled, tiles = -(-rows // launch.batch) * launch.batch / rows, launch.tiles
    matrix = launch.form.matrix if isinstance(launch.form, Form) else None
    if matrix is not None and matrix.rows > VECTOR:
        filled *= -(-matrix.rows // tiles.rows) * tiles.rows / matrix.rows
        filled *= -(-matrix.columns // tiles.inner) * tiles.inner / matrix.columns
    share = NARROW[int(gpu.architecture)] if kind_of(launch, gpu, precision) == "mma.sync" else 1.0
    return filled * (work.tensor / (rate(gpu.rates, precision) * share) + work.plain / gpu.rates.single)


def _cached(launch: Launch, rows: int, precision: Precision) -> float:
    """Bytes that programs take of the second-level cache: each its weights, and its columns twice where they are more
    than one tile, since the largest is found first."""
    if not isinstance(launch.form, Form):
        return 0.0
    matrix, tiles = launch.form.matrix, launch.tiles
    if matrix is None:
        return float(work_of(launch, rows, precision).moved)
    times = 1 if matrix.columns <= tiles.inner else 2
    return float(launch.grid(rows) * matrix.columns * (bytes_of(precision) * tiles.rows + 4 * times * tiles.batch))


def _read(launch: Launch, precision: Precision) -> int:
    """Bytes of weights that all programs read."""
    matrix = launch.form.matrix if isinstance(launch.form, Form) else None
    return 0 if matrix is None else weight_bytes(matrix, precision)


def _ahead(launch: Launch) -> float:
    """Bytes of a program that are on their way at once: a tile for each stage of its pipeline but one."""
    tiles = launch.tiles
    if not isinstance(launch.form, Form):
        width = max(power(stage.width) for stage in launch.form.stages)
        return 4.0 * width * tiles.batch
    if launch.form.matrix is None:
        return 4.0 * tiles.rows * tiles.batch
    return 4.0 * tiles.inner * (tiles.rows + tiles.batch) * max(1, tiles.stages - 1)
