"""The time that the reverse of a plan takes at least on a GPU, launch by launch: as roofline.py, a prediction.

What enters is a course; what leaves are its kernels with seconds. Each matrix is two products of the size of the one
forward, for flows and for weights, whose values are computed again; an input is a product of its flows with the codes.
"""

from __future__ import annotations

from collections.abc import Iterator

from .backward import Tallies
from .kernel import Kernel
from .policy import VECTOR, Precision
from .reverse import Course, Swept, Turn
from .roofline import NUMBER, Work, group_work, rate
from .targets import Gpu
from .value import Form


def back_seconds_of(way: Course, rows: int, gpu: Gpu, precision: Precision) -> list[tuple[Kernel, float]]:
    """The kernel of each launch and its least time, in order."""
    launches = (launch for act in way.acts for launch in act.launches)
    return [(launch.kernel, back_seconds(launch, rows, gpu, precision)) for launch in launches]


def back_seconds(launch: Turn | Swept, rows: int, gpu: Gpu, precision: Precision) -> float:
    """The least time of a launch, with the gap before it."""
    return gpu.rates.launch + max(_seconds(launch, rows, gpu, precision))


def _seconds(launch: Turn | Swept, rows: int, gpu: Gpu, precision: Precision) -> Iterator[float]:
    """What a launch waits for after the gap before it: products, exponentials, bytes, turns after one another."""
    rates = gpu.rates
    work = work_back(launch, rows, precision)
    busy = min(1.0, launch.grid(rows) / rates.units)
    yield (work.tensor / rate(rates, precision) + work.plain / rates.single) / busy
    yield work.special / rates.special / busy
    yield work.bytes / rates.bytes
    yield rates.stage
    if isinstance(launch, Swept):  # a turn has a product for its flow and one for its weights
        yield 2 * launch.form.count * len(launch.form.stages) * rates.stage


def work_back(launch: Turn | Swept, rows: int, precision: Precision) -> Work:
    """The work of a launch on so many rows of data."""
    if isinstance(launch, Swept):
        each = [_matrix(stage, rows, False, precision) for stage in launch.form.stages]
        one = sum(each, Work())
        return (one + one).times(launch.form.count * len(launch.sums), len(launch.sums))
    if not isinstance(launch.what, Tallies):
        return _matrix(launch.what.form, rows, True, precision).times(launch.groups, launch.groups)
    width, values = launch.what.width, launch.what.values
    flops = 2 * width * values * rows
    tensor = width > VECTOR
    own = Work(flops * tensor, flops * (not tensor), 0, (width + 1) * rows * NUMBER, width * values * NUMBER)
    return own.times(launch.groups, launch.groups)


def _matrix(form: Form, rows: int, written: bool, precision: Precision) -> Work:
    """A product with a group's matrix, and the flows that it reads and, if so, writes."""
    assert form.matrix is not None
    flows = form.matrix.blocks * (form.matrix.rows + form.matrix.columns * written)
    return group_work(form, rows, precision) + Work(moved=flows * rows * NUMBER)
