"""The time that a plan takes at least on a GPU: of each launch what it computes and moves, over what the GPU can do.

What enters are a plan, a batch and a GPU; what leaves are seconds, a prediction and no measurement. A launch takes the
gap to the one before it, and then as long as the slowest of its products, its exponentials and its bytes, and never
less than one stage; all wait for the multiprocessor that has most of its programs. A path runs its stages one after
another in each program, and those that do not keep their weights on chip stream them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .chain import ChainForm
from .launch import Launch
from .paths import slot_before
from .policy import VECTOR, Precision
from .precision import bytes_of
from .stage import continues
from .sweep import LoopForm
from .targets import Gpu, Rates
from .value import Constant, Form, Look, Matrix, Read, leaves

NUMBER = 4  # bytes

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


def work_of(launch: Launch, rows: int, precision: Precision) -> Work:
    """The work of a launch on so many rows of data."""
    constants, form = dict(launch.kernel.constants), launch.form
    if isinstance(form, Form):
        return _group(form, rows, int(constants.get("ROWS", 1)), precision).times(launch.groups, launch.groups)
    path = path_of(form)
    written = path.stages[-1].width if isinstance(form, ChainForm) else form.stages[-1].width + form.count * form.width
    total = Work(moved=written * rows * NUMBER)
    for number, (stage, turns) in enumerate(stages_of(path)):
        tall = int(constants.get(f"ROWS_{number}", stage.width))
        moves = len(path.head) <= number < len(path.head) + len(path.body)
        again = turns if moves and path.moving[number - len(path.head)] & {0} else 1  # weights of each turn
        own = _group(stage, rows, tall, precision, alone=number == 0 and bool(path.head), inside=True)
        if not path.scratch:
            own = _on_chip(path, number, own, rows)
        total = total + own.times(turns, again)
    return total.times(launch.groups, launch.groups)


def _on_chip(path: ChainForm, number: int, work: Work, rows: int) -> Work:
    """The work of a stage on chip: what hands on sums takes no logarithms, and what reads them no exponentials; blocks
    of few rows are multiplied on matrix units as well."""
    matrix = path.stages[number].matrix
    assert matrix is not None
    exponentials, logs = number == 0 or not continues(path.stages[number]), path.handed(number)[0]
    special = rows * matrix.blocks * (matrix.columns * exponentials + matrix.rows * logs)
    if matrix.blocks > 1:
        work = replace(work, tensor=work.tensor + work.plain, plain=0)
    return replace(work, special=special)


def path_of(form: ChainForm | LoopForm) -> ChainForm:
    """A loop as the path that it is: it keeps what each turn gives as well."""
    return form if isinstance(form, ChainForm) else form.path


def stages_of(form: ChainForm) -> Iterator[tuple[Form, int]]:
    """The stages of a path with how often each is run."""
    yield from ((stage, 1) for stage in form.head)
    yield from ((stage, form.count) for stage in form.body)
    yield from ((stage, 1) for stage in form.tail)


def group_work(form: Form, rows: int, precision: Precision) -> Work:
    """The work of one group in a launch of its own."""
    return _group(form, rows, form.matrix.rows if form.matrix is not None else 1, precision)


def _group(form: Form, rows: int, tall: int, precision: Precision, alone: bool = True, inside: bool = False) -> Work:
    """The work of one group; `inside` a path its result stays, and so does the state before it unless it is `alone`."""
    written = form.width if form.writes is None else form.writes.width
    moved, fixed = 0 if inside else written * rows * NUMBER, 0
    state = slot_before(form) if inside and not alone else None
    for leaf in leaves(form.value):
        match leaf:
            case Read(slot=slot, width=width):
                width = width if form.reads is None else form.reads.width
                moved += 0 if slot == state else width * rows * NUMBER
            case Look(width=width):
                moved += (width + 1) * rows * NUMBER
            case Constant(width=width):
                fixed += width * NUMBER
    matrix = form.matrix
    if matrix is None:
        return Work(plain=form.width * rows, moved=moved, fixed=fixed)
    flops = 2 * matrix.blocks * matrix.rows * matrix.columns * rows
    times = -(-matrix.rows // tall)  # each tile of rows takes the exponentials of its columns anew
    logs, exponentials = form.writes is None, form.reads is None  # sums take none
    special = rows * matrix.blocks * (matrix.columns * times * exponentials + matrix.rows * logs)
    tensor = matrix.rows > VECTOR
    return Work(flops * tensor, flops * (not tensor), special, moved, fixed + weight_bytes(matrix, precision))


def weight_bytes(matrix: Matrix, precision: Precision) -> int:
    """Bytes of a matrix's weights; those of few rows are float32 (precision.py)."""
    size = NUMBER if matrix.rows <= VECTOR else bytes_of(precision)
    return matrix.rows * matrix.columns * (1 if matrix.shared else matrix.blocks) * size


def rate(rates: Rates, precision: Precision) -> float:
    """Operations per second of a product on matrix units, each counted once however often it is passed."""
    if precision == "ieee":
        return rates.single
    return (rates.half if precision.startswith("bf16") else rates.tf32) / _PASSES[precision]


def seconds_of(launch: Launch, rows: int, gpu: Gpu, precision: Precision) -> float:
    """The least time of a launch, with the gap before it."""
    rates = gpu.rates
    work, programs = work_of(launch, rows, precision), launch.grid(rows)
    most = -(-programs // rates.units)  # of the multiprocessor that has most: all wait for it
    busy = programs / (most * rates.units)
    computed = work.tensor / rate(rates, precision) + work.plain / rates.single
    return rates.launch + max(
        computed / busy,
        work.special / rates.special / busy,
        memory_of(launch, work, rows, rates),
        _in_turn(launch, rows, rates, precision),
    )


def memory_of(launch: Launch, work: Work, rows: int, rates: Rates) -> float:
    """Seconds of what passes memory: weights, tables and codes once, and of what buffers hold the share that the
    second-level cache does not, from which the rest comes.

    A path by scratch writes and reads the state of each stage; only programs that run at once have some.
    """
    form, state = launch.form, 0
    live = work.moved
    if isinstance(form, ChainForm) and form.scratch:
        state = launch.groups * rows * sum(2 * stage.width * turns for stage, turns in stages_of(form)) * NUMBER
        live = _scratches(launch, form, rows, rates)
    taken = rates.taken(0, live) * rates.units
    beyond = max(0.0, 1.0 - rates.cache / live) if live else 0.0
    if state:
        return max((work.bytes + state * beyond) / rates.bytes, state / taken)
    return max((work.fixed + work.moved * beyond) / rates.bytes, work.moved / taken)


def _scratches(launch: Launch, form: ChainForm, rows: int, rates: Rates) -> int:
    """Bytes of the states that programs have in memory which are on the device at once."""
    return min(launch.grid(rows), rates.units) * 2 * (form.scratch or 0) * launch.batch * NUMBER


def _in_turn(launch: Launch, rows: int, rates: Rates, precision: Precision) -> float:
    """The least time of a launch's programs: stages wait for one another, and those not on chip stream their weights.

    Programs of one multiprocessor share what it streams; while one waits, another runs.
    """
    waves = -(-launch.grid(rows) // rates.units)
    if isinstance(launch.form, Form):
        matrix = launch.form.matrix
        tile = 0 if matrix is None else launch.tiles.rows * matrix.columns * bytes_of(precision)
        held = 0 if matrix is None else weight_bytes(matrix, precision)
        return max(rates.stage, waves * tile / rates.taken(held, 0))
    path, one, all_ = path_of(launch.form), 0.0, 0.0
    turn = sum(weight_bytes(stage.matrix, precision) for stage in path.body or path.stages if stage.matrix is not None)
    stream = rates.taken(turn, _scratches(launch, path, rows, rates))
    for stage, turns in stages_of(path):
        held = 0 if stage.matrix is None else weight_bytes(stage.matrix, precision)
        streamed = held / stream if path.scratch else 0.0
        one += turns * max(rates.stage, streamed)
        all_ += turns * streamed * waves
    return max(one, all_)


def predicted(launches: Sequence[Launch], rows: int, gpu: Gpu, precision: Precision) -> float:
    """The least time of launches, one after another."""
    return sum(seconds_of(launch, rows, gpu, precision) for launch in launches)
