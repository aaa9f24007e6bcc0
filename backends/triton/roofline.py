"""The time that a plan takes at least on a GPU: of each launch what it computes and moves, over what the GPU can do.

What enters are a plan, a batch and a GPU; what leaves are seconds, a prediction and no measurement. A launch takes as
long as the slowest of its products, its exponentials and its bytes, and never less than the gap between two launches;
where it has fewer programs than the GPU has multiprocessors, the others wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from .chain import ChainForm
from .plan import Launch, Plan
from .policy import VECTOR, Precision
from .targets import Gpu, Rates
from .value import Constant, Form, Look, Read, leaves

_NUMBER = 4  # bytes

_PASSES: Mapping[Precision, int] = {"ieee": 1, "tf32": 1, "tf32x3": 3, "bf16": 1, "bf16x3": 3}


@dataclass(frozen=True, slots=True)
class Work:
    """What a launch does: operations of products (`tensor`: on matrix units), exponentials and logarithms, bytes.

    `fixed` are bytes that it moves whatever the batch, each once: weights and tables.
    """

    flops: int
    special: int
    moved: int
    fixed: int
    tensor: bool

    def bytes(self) -> int:
        """All bytes."""
        return self.moved + self.fixed


def work_of(launch: Launch, rows: int) -> Work:
    """The work of a launch on so many rows of data."""
    constants = dict(launch.kernel.constants)
    if isinstance(launch.form, ChainForm):
        return _chain(launch.form, launch.groups, rows, constants)
    flops, special, moved, fixed = _group(launch.form, rows, constants)
    tensor = launch.form.matrix is not None and launch.form.matrix.rows > VECTOR
    count = launch.groups
    return Work(count * flops, count * special, count * moved, count * fixed, tensor)


def _chain(form: ChainForm, count: int, rows: int, constants: Mapping[str, int | float | bool | str]) -> Work:
    """The work of a path: its states are neither read from memory nor written, but for the last."""
    turns = (*(1 for _ in form.head), *(form.count for _ in form.body), *(1 for _ in form.tail))
    flops = special = moved = fixed = 0
    for stage, times in zip(form.stages, turns, strict=True):
        own = _group(stage, rows, constants)
        looked = sum(leaf.width + 1 for leaf in leaves(stage.value) if isinstance(leaf, Look)) * rows * _NUMBER
        flops, special, moved = flops + times * own[0], special + times * own[1], moved + times * looked
        fixed += own[3]
    return Work(count * flops, count * special, count * moved, count * fixed, form.stages[0].width > VECTOR)


def _group(form: Form, rows: int, constants: Mapping[str, int | float | bool | str]) -> tuple[int, int, int, int]:
    """Operations, exponentials, bytes that the batch moves and those that stand whatever it is, of one group."""
    moved, fixed = form.width * rows * _NUMBER, 0
    for leaf in leaves(form.value):
        match leaf:
            case Read(width=width):
                moved += width * rows * _NUMBER
            case Look(width=width):
                moved += (width + 1) * rows * _NUMBER
            case Constant(width=width):
                fixed += width * _NUMBER
    if form.matrix is None:
        return form.width * rows, 0, moved, fixed
    matrix = form.matrix
    tall = int(constants.get("ROWS", 1))
    times = -(-matrix.rows // tall)  # each tile of rows takes the exponentials of its columns anew
    products = prod((matrix.blocks, matrix.rows, matrix.columns))
    special = rows * matrix.blocks * (matrix.columns * times + matrix.rows)
    fixed += products // (matrix.blocks if matrix.shared else 1) * _NUMBER
    return 2 * products * rows, special, moved, fixed


def rate(rates: Rates, precision: Precision, tensor: bool) -> float:
    """Operations per second of a product in a precision, each counted once however often it is passed."""
    if not tensor or precision == "ieee":
        return rates.single
    return (rates.half if precision.startswith("bf16") else rates.tf32) / _PASSES[precision]


def seconds_of(launch: Launch, rows: int, gpu: Gpu, precision: Precision) -> float:
    """The least time of a launch."""
    rates = gpu.rates
    work = work_of(launch, rows)
    busy = min(1.0, launch.grid(rows) / rates.units)
    computed = work.flops / rate(rates, precision, work.tensor)
    return max(computed / busy, work.special / rates.special / busy, work.bytes() / rates.bytes, rates.launch)


def predicted(plan: Plan, rows: int, gpu: Gpu, precision: Precision) -> float:
    """The least time of a plan, launch after launch."""
    return sum(seconds_of(launch, rows, gpu, precision) for launch in plan.launches)
