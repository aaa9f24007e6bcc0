"""The time that a plan takes at least on a GPU: of each launch what it computes and moves, over what the GPU can do.

What enters are a plan, a batch and a GPU; what leaves are seconds, a prediction and no measurement. A launch takes as
long as the slowest of its products, its exponentials and its bytes, and never less than the gap between two launches;
where it has fewer programs than the GPU has multiprocessors, the others wait. A path runs its stages one after another
in each program, and those that do not keep their weights on chip stream them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .chain import ChainForm
from .paths import slot_before
from .plan import Launch, Plan
from .policy import VECTOR, Precision
from .sweep import LoopForm
from .targets import Gpu, Rates
from .value import Constant, Form, Look, Matrix, Read, leaves

_NUMBER = 4  # bytes

_PASSES: Mapping[Precision, int] = {"ieee": 1, "tf32": 1, "tf32x3": 3, "bf16": 1, "bf16x3": 3}


@dataclass(frozen=True, slots=True)
class Work:
    """What a launch does: operations on matrix units (`tensor`) and without them (`plain`), exponentials and
    logarithms, bytes that its rows move, and bytes that it moves whatever they are, each once: weights and tables."""

    tensor: int = 0
    plain: int = 0
    special: int = 0
    moved: int = 0
    fixed: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.tensor + other.tensor,
            self.plain + other.plain,
            self.special + other.special,
            self.moved + other.moved,
            self.fixed + other.fixed,
        )

    @property
    def bytes(self) -> int:
        """All bytes."""
        return self.moved + self.fixed

    def times(self, count: int, fixed: int) -> Work:
        """The work of so many at once, whose fixed bytes are moved so often."""
        return Work(
            self.tensor * count, self.plain * count, self.special * count, self.moved * count, self.fixed * fixed
        )


def work_of(launch: Launch, rows: int) -> Work:
    """The work of a launch on so many rows of data."""
    constants, form = dict(launch.kernel.constants), launch.form
    if isinstance(form, Form):
        return _group(form, rows, int(constants.get("ROWS", 1))).times(launch.groups, launch.groups)
    path = _path(form)
    written = path.stages[-1].width if isinstance(form, ChainForm) else (form.count + 1) * form.stage.width
    total = Work(moved=written * rows * _NUMBER)
    for number, (stage, turns) in enumerate(_stages(path)):
        tall = int(constants.get(f"ROWS_{number}", stage.width))
        moves = len(path.head) <= number < len(path.head) + len(path.body)
        again = turns if moves and path.moving[number - len(path.head)] & {0} else 1  # weights of each turn
        own = _group(stage, rows, tall, alone=number == 0 and bool(path.head), inside=True)
        total = total + own.times(turns, again)
    return total.times(launch.groups, launch.groups)


def _path(form: ChainForm | LoopForm) -> ChainForm:
    """A loop as the path that it is: it keeps what each turn gives as well."""
    return form if isinstance(form, ChainForm) else ChainForm((), (form.stage,), form.count, (), (form.moving,))


def _stages(form: ChainForm) -> Iterator[tuple[Form, int]]:
    """The stages of a path with how often each is run."""
    yield from ((stage, 1) for stage in form.head)
    yield from ((stage, form.count) for stage in form.body)
    yield from ((stage, 1) for stage in form.tail)


def _group(form: Form, rows: int, tall: int, alone: bool = True, inside: bool = False) -> Work:
    """The work of one group; `inside` a path its result stays, and so does the state before it unless it is `alone`."""
    written = form.width if form.writes is None else form.writes.width
    moved, fixed = 0 if inside else written * rows * _NUMBER, 0
    state = slot_before(form) if inside and not alone else None
    for leaf in leaves(form.value):
        match leaf:
            case Read(slot=slot, width=width):
                width = width if form.reads is None else form.reads.width
                moved += 0 if slot == state else width * rows * _NUMBER
            case Look(width=width):
                moved += (width + 1) * rows * _NUMBER
            case Constant(width=width):
                fixed += width * _NUMBER
    matrix = form.matrix
    if matrix is None:
        return Work(plain=form.width * rows, moved=moved, fixed=fixed)
    flops = 2 * matrix.blocks * matrix.rows * matrix.columns * rows
    times = -(-matrix.rows // tall)  # each tile of rows takes the exponentials of its columns anew
    logs, exponentials = form.writes is None, form.reads is None  # sums take none
    special = rows * matrix.blocks * (matrix.columns * times * exponentials + matrix.rows * logs)
    tensor = matrix.rows > VECTOR
    return Work(flops * tensor, flops * (not tensor), special, moved, fixed + _bytes(matrix))


def _bytes(matrix: Matrix) -> int:
    return matrix.rows * matrix.columns * (1 if matrix.shared else matrix.blocks) * _NUMBER


def rate(rates: Rates, precision: Precision) -> float:
    """Operations per second of a product on matrix units, each counted once however often it is passed."""
    if precision == "ieee":
        return rates.single
    return (rates.half if precision.startswith("bf16") else rates.tf32) / _PASSES[precision]


def seconds_of(launch: Launch, rows: int, gpu: Gpu, precision: Precision) -> float:
    """The least time of a launch."""
    rates = gpu.rates
    work, programs = work_of(launch, rows), launch.grid(rows)
    busy = min(1.0, programs / rates.units)
    computed = work.tensor / rate(rates, precision) + work.plain / rates.single
    return max(
        computed / busy,
        work.special / rates.special / busy,
        work.bytes / rates.bytes,
        _in_turn(launch.form, -(-programs // rates.units), rates),
        rates.launch,
    )


def _in_turn(form: Form | ChainForm | LoopForm, waves: int, rates: Rates) -> float:
    """The least time of a path's programs: stages wait for one another, and those not on chip stream their weights.

    Programs of one multiprocessor share what it streams; while one waits, another runs.
    """
    if isinstance(form, Form):
        return 0.0
    path, one, all_ = _path(form), 0.0, 0.0
    for stage, turns in _stages(path):
        streamed = _bytes(stage.matrix) / rates.stream if path.scratch and stage.matrix is not None else 0.0
        one += turns * max(rates.stage, streamed)
        all_ += turns * streamed * waves
    return max(one, all_)


def predicted(plan: Plan, rows: int, gpu: Gpu, precision: Precision) -> float:
    """The least time of a plan, launch after launch."""
    return sum(seconds_of(launch, rows, gpu, precision) for launch in plan.launches)
