"""What a GPU takes for the workloads of gpu_models.py and gpu_images.py, beside PyJuice and eager torch.

What enters is a device and a budget of seconds; what leaves are lines of tables. Kernels are timed alone, recorded as a
graph, over numbers that are made on the device, which have no part in the time; `call` is what a user types, from rows
on the host to answers there. A model for which the budget does not last, or that the device does not hold, says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from gpu_images import decisions, image_peer, image_program, images
from gpu_models import Model, circuit_of, eager, eager_back, program_of, pyjuice, rows_of

import danaus as dn
from danaus.backends.triton.engine import MOST, Placed
from danaus.backends.triton.graphs import captured
from danaus.backends.triton.module import function
from danaus.backends.triton.plan import drawn, plan
from danaus.backends.triton.policy import Precision, batch_class
from danaus.backends.triton.precision import bytes_of
from danaus.backends.triton.reverse import course
from danaus.backends.triton.way_back import Way
from danaus.compiler.cost import costs
from danaus.ir.program.program import Program

HOST = 1 << 26
"""Numbers of a model that is also made on the host, in float64, for what a user calls."""

Run = Callable[[], object]


@dataclass(slots=True)
class Meter:
    """Times runs: by events on a GPU, by the clock elsewhere (a dry run); `until` is when the budget is spent."""

    device: torch.device
    precision: Precision
    budget: float
    started: float = field(default_factory=time.perf_counter)

    @property
    def spent(self) -> bool:
        return time.perf_counter() - self.started > self.budget

    def seconds(self, run: Run) -> float:
        """Median seconds: at least three runs, and up to twenty within half a second; of a dry run one."""
        if self.device.type != "cuda":
            return self._once(run)
        run()
        found: list[float] = []
        start = time.perf_counter()
        while len(found) < 3 or (len(found) < 20 and time.perf_counter() - start < 0.5):
            found.append(self._once(run))
        return median(found)

    def _once(self, run: Run) -> float:
        if self.device.type != "cuda":
            start = time.perf_counter()
            run()
            return time.perf_counter() - start
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        run()
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)) / 1e3

    def graph(self, run: Callable[[], None]) -> Run:
        """A run as a graph, where there are any."""
        return captured(self.device, run) if self.device.type == "cuda" else run


def limits(meter: Meter) -> tuple[float, float]:
    """Bytes per second of a copy, and operations per second of a product in bf16."""
    big = meter.device.type == "cuda"
    source = torch.empty(1 << (28 if big else 12), dtype=torch.float32, device=meter.device)
    target = torch.empty_like(source)
    copy = 2 * source.nbytes / meter.seconds(lambda: target.copy_(source))
    side = 8192 if big else 64
    square = torch.randn(side, side, device=meter.device, dtype=torch.bfloat16)
    return copy, 2 * side**3 / meter.seconds(lambda: square @ square)


def placed_of(made: Any, meter: Meter) -> Placed:
    """A plan in the device's memory, with numbers at random: weights up to 1, logarithms below 0."""
    placed = Placed(made, meter.device, meter.precision, function)
    kind = torch.bfloat16 if bytes_of(meter.precision) == 2 or meter.precision == "bf16x3" else torch.float32
    placed.weights = torch.rand(max(1, made.weights), device=meter.device).to(kind)
    placed.tables = -torch.rand(max(1, made.tables), device=meter.device)
    return placed


def forward(program: Program, rows: int, meter: Meter) -> tuple[float, int]:
    """Seconds of all kernels of likelihoods, and how many launches there are."""
    made = plan(program, meter.precision, batch_class(rows))
    part = parts(made.rows, made.batch, rows)
    placed = placed_of(made, meter)
    codes = np.zeros((len(program.columns), part), dtype=np.int32)
    values, laid, flags, stride = placed.filled(codes, {})
    laid.copy_(torch.randint(0, min(program.columns), laid.shape, device=meter.device, dtype=torch.int32))
    run = meter.graph(lambda: placed.launch(values, laid, flags, stride))
    return meter.seconds(run) * rows / part, len(made.launches)


def both(program: Program, rows: int, meter: Meter) -> float:
    """Seconds of all kernels of likelihoods and derivatives with respect to all tables."""
    made = drawn(program, meter.precision, batch_class(rows), True)
    way = course(made, meter.precision, frozenset(range(len(program.tables))))
    part = parts(made.plan.rows + way.rows, made.plan.batch, rows)
    there = Way(made, placed_of(made.plan, meter), way)
    codes = np.zeros((len(program.columns), part), dtype=np.int32)
    held = there.held(codes, {})
    held.codes.random_(0, min(program.columns))
    held.seed.fill_(1.0)

    def run() -> None:
        held.forward()
        held.back()

    return meter.seconds(run) * rows / part


def parts(nodes: int, batch: int, rows: int) -> int:
    """So many rows at a time, as the engines take them.

    Raises: ValueError where a device does not hold one tile of them.
    """
    most = MOST // max(1, nodes) // batch * batch
    if most == 0:
        raise ValueError("one tile of rows is more than 32-bit offsets reach")
    return min(rows, most)


def held_by(meter: Meter, run: Callable[[], Any]) -> Any:
    """What a measurement gives; what the device does not hold, or the peer cannot do, as a word."""
    try:
        return run()
    except torch.cuda.OutOfMemoryError:
        return "memory"
    except (ValueError, RuntimeError, RecursionError, AssertionError, NotImplementedError) as failure:
        return type(failure).__name__
    finally:
        if meter.device.type == "cuda":
            torch.cuda.empty_cache()


def peer(circuit: Any, codes: torch.Tensor, meter: Meter) -> list[Any]:
    """PyJuice: forward, forward and backward, and a step of expectation maximisation."""
    if circuit is None:
        return ["none"] * 3

    def back() -> None:
        circuit(codes)
        circuit.backward(codes, flows_memory=0.0, allow_modify_flows=False, logspace_flows=True)

    def step() -> None:
        back()
        circuit.mini_batch_em(step_size=1.0, pseudocount=1e-6)

    return [held_by(meter, lambda run=run: meter.seconds(run)) for run in (lambda: circuit(codes), back, step)]


def maximisation(circuit: Any, x: np.ndarray, meter: Meter) -> tuple[float, float, float]:
    """Seconds of calls: a likelihood, expected counts, a whole step of expectation maximisation."""
    from danaus.runtime.learning.em import Steps

    model = dn.compile(circuit, device="cuda", precision=None)
    steps, seen = Steps(model), np.ones(x.shape, dtype=bool)

    def step() -> None:
        model.take(steps.maximised(steps.expected(x, seen)))

    call = meter.seconds(lambda: model.log_likelihood(x))
    counts = meter.seconds(lambda: steps.expected(x, seen))
    return call, counts, meter.seconds(step)


HEAD = (
    "| model | K | T | V | launches | forward ms | + backward ms | limit | call ms | counts ms | EM step ms "
    "| eager ms | eager both ms | PyJuice ms | both ms | EM ms |\n|---|" + "---:|" * 15
)


def chains(models: tuple[Model, ...], rows: int, meter: Meter, rates: tuple[float, float]) -> Iterator[str]:
    """A row for each hidden Markov model."""
    yield HEAD
    for model in models:
        name = f"| {model.name} | {model.states} | {model.steps} | {model.values} "
        if meter.spent:
            yield name + "| no time left |"
            continue
        program = program_of(model)
        ours = held_by(meter, lambda: forward(program, rows, meter))  # noqa: B023  (run at once)
        back = held_by(meter, lambda: both(program, rows, meter))  # noqa: B023
        kernel, launches = ours if isinstance(ours, tuple) else (ours, "")
        codes = rows_of(model, rows)
        calls: Any = ["", "", ""]
        if model.numbers <= HOST:
            found = held_by(meter, lambda: maximisation(circuit_of(model), codes.astype(float), meter))  # noqa: B023
            calls = list(found) if isinstance(found, tuple) else [found] * 3
        given = torch.from_numpy(codes).to(meter.device)
        plain = held_by(meter, lambda: meter.seconds(eager_run(model, given, meter)))  # noqa: B023
        plain_back = held_by(meter, lambda: meter.seconds(eager_back(model, meter.device, given)))  # noqa: B023
        juice = held_by(meter, lambda: peer(pyjuice(model, meter.device), given, meter))  # noqa: B023
        juices = juice if isinstance(juice, list) else [juice] * 3
        least = max(costs(program).at(rows)[0] / rates[1], least_bytes(model, rows) / rates[0])
        share = f"{least / kernel:.0%}" if isinstance(kernel, float) else ""
        cells = [kernel, back, share, *calls, plain, plain_back, *juices]
        yield f"{name}| {launches} | " + " | ".join(map(cell, cells)) + " |"


def eager_run(model: Model, given: torch.Tensor, meter: Meter) -> Run:
    """A likelihood in eager torch."""
    plain = eager(model, meter.device)
    return lambda: plain(given)


def pictures(cases: tuple[tuple[str, int], ...], rows: int, side: int, values: int, meter: Meter) -> Iterator[str]:
    """A row for each circuit over images."""
    yield "| circuit | K | launches | forward ms | + backward ms | PyJuice ms | both ms | EM ms |\n|---|" + "---:|" * 7
    given = torch.from_numpy(images(rows, side, values)).to(meter.device)
    for kind, states in cases:
        if meter.spent:
            yield f"| {kind} | {states} | no time left |"
            continue
        program = image_program(kind, states, side, values)
        ours = held_by(meter, lambda: forward(program, rows, meter))  # noqa: B023
        back = held_by(meter, lambda: both(program, rows, meter))  # noqa: B023
        kernel, launches = ours if isinstance(ours, tuple) else (ours, "")
        juice = held_by(meter, lambda: peer(image_peer(kind, states, meter.device, side, values), given, meter))  # noqa: B023
        juices = juice if isinstance(juice, list) else [juice] * 3
        yield f"| {kind} | {states} | {launches} | " + " | ".join(map(cell, [kernel, back, *juices])) + " |"


def sentences(sizes: tuple[tuple[int, int], ...], batches: tuple[int, ...], meter: Meter) -> Iterator[str]:
    """A row for each d-DNNF and batch: calls, since the policy chooses between one launch and many with the batch."""
    yield "| variables | width | edges | B | likelihood ms | flows ms |\n|" + "---:|" * 6
    for variables, width in sizes:
        if meter.spent:
            yield f"| {variables} | {width} | no time left |"
            continue
        circuit = decisions(variables, width)
        from danaus.compiler.pipeline import program_of as compiled_to

        edges = len(compiled_to(circuit).layouts[0].members)
        model = dn.compile(circuit, device="cuda")
        for batch in batches:
            x = np.random.default_rng(batch).integers(0, 2, (batch, variables)).astype(float)
            there = np.random.default_rng(batch).random(x.shape) < 0.5
            up = held_by(meter, lambda: meter.seconds(lambda: model.marginal(x, there)))  # noqa: B023
            back = held_by(meter, lambda: meter.seconds(lambda: flows(model, x, there)))  # noqa: B023
            yield f"| {variables} | {width} | {edges} | {batch} | {cell(up)} | {cell(back)} |"


def flows(model: Any, x: np.ndarray, there: np.ndarray) -> Any:
    """Flows of the input tables: a d-DNNF has no parameters, so that these are all."""
    return model.flows_of_tables(x, there, np.ones(len(x)))


def least_bytes(model: Model, batch: int) -> int:
    """What passes memory at least: weights once, the rows of the emission that the batch may read, codes."""
    emission = min(model.values + 1, batch * model.steps) * model.states
    return 4 * (model.numbers - model.states * model.values + emission + batch * model.steps)


def cell(found: Any) -> str:
    """Milliseconds, or a word."""
    return f"{found * 1e3:.3f}" if isinstance(found, float) else str(found)
