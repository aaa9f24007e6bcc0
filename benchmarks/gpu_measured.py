"""What a GPU takes for the workloads of gpu_models.py and gpu_images.py, beside PyJuice and eager torch.

What enters is a job of gpu_jobs.py; what leaves are cells of its row. Kernels are timed alone, recorded as a graph,
over numbers that are made on the device, which have no part in the time; `calls` are what a user types, from rows on
the host to answers there. What a GPU does not hold at a time is measured in part, and counted as often as it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from gpu_images import decisions, image_circuit, image_program, images
from gpu_jobs import KERNELS, Cases, Job
from gpu_meter import Cell, Meter, fitting, limits, one_pass, tried
from gpu_models import Model, circuit_of, eager, eager_back, program_of, rows_of
from gpu_peers import chain, diagram, extensions, measured, numbers_of, picture

import danaus as dn
from danaus.backends.triton.engine import MOST, Placed
from danaus.backends.triton.module import function
from danaus.backends.triton.plan import drawn, plan
from danaus.backends.triton.policy import batch_class
from danaus.backends.triton.precision import bytes_of
from danaus.backends.triton.reverse import course
from danaus.backends.triton.way_back import Way
from danaus.ir.program.program import Program

Cells = dict[str, Cell]


def run(job: Job, cases: Cases, meter: Meter) -> Cells:
    """The cells of a job."""
    if job.kind == "PyJuice":
        return tried(lambda: _juice(job, cases, meter), job.kind)
    if job.kind in KERNELS:
        return tried(lambda: _kernels(job, cases, meter), job.kind)
    with meter.alone():
        return tried(lambda: _own(job, cases, meter), job.kind)


def _own(job: Job, cases: Cases, meter: Meter) -> Cells | Cell:
    match job.table:
        case "limits":
            return limits(meter)
        case "parity":
            return _parity(cases.parity[job.case])
        case "peers":
            return _peer_error(cases.peers[job.case], meter)
        case "chains":
            return _chain(cases.chains[job.case], job.kind, cases.rows, meter)
        case "pictures":
            circuit = image_circuit(*cases.pictures[job.case], cases.side, cases.values)
            return _calls(circuit, images(cases.rows, cases.side, cases.values).astype(float), meter)
        case _:
            return _diagram(*cases.diagrams[job.case], meter)


def _kernels(job: Job, cases: Cases, meter: Meter) -> Cells:
    """Kernels of ours, which are compiled while another process may measure."""
    if job.table == "chains":
        program = program_of(cases.chains[job.case])
    else:
        program = image_program(*cases.pictures[job.case], cases.side, cases.values)
    return (forward if job.kind == "forward" else both)(program, cases.rows, meter)


def _juice(job: Job, cases: Cases, meter: Meter) -> Cells:
    """PyJuice, as many rows at a time as there is room for by its buffers: values and flows of all nodes."""
    side, values, rows = cases.side, cases.values, cases.rows
    match job.table:
        case "peers":
            model = cases.peers[job.case]
            peer = chain(model, meter.device, numbers_of(circuit_of(model), model))
            if peer is None:
                return {"PyJuice": Cell(None, "none")}
            said = extensions(meter.device)
            with meter.alone():
                return {"PyJuice": _peer_error(model, meter, peer), **said}
        case "chains":
            model = cases.chains[job.case]
            nodes = model.steps + (model.steps - 1) * max(1, len(model.parts))
            fixed = 8 * model.numbers * max(1, model.steps // 32)  # it sums flows apart for each 32 uses of a parameter
            part = meter.at_once(rows, fixed, 8 * model.states * (nodes + 3), 6 * _operations(model))
            return measured(lambda: chain(model, meter.device), rows_of(model, part), meter, rows)
        case "pictures":
            kind, states = cases.pictures[job.case]
            nodes = side * side * (2 if kind == "HCLT" else 1)
            part = meter.at_once(rows, 8 * side * side * states * (values + states), 16 * states * nodes, 0)
            codes = images(part, side, values)
            return measured(lambda: picture(kind, states, meter.device, side, values), codes, meter, rows)
        case _:
            variables, width, batch = cases.diagrams[job.case]
            codes = np.random.default_rng(batch).integers(0, 2, (batch, variables))
            return measured(lambda: diagram(variables, width, meter.device), codes, meter, batch)


def _parity(model: Model) -> Cell:
    """The largest error of a small model against the float64 evaluator, of max(1, |ll|)."""
    circuit = circuit_of(model)
    compiled = dn.compile(circuit, device="cuda")
    worst = 0.0
    for batch in (1, 17, 1000) if torch.cuda.is_available() else (1, 17):
        x = rows_of(model, batch).astype(float)
        got, want = compiled.log_likelihood(x).numpy(), dn.evaluate(circuit, x, semiring="log")
        worst = max(worst, float(np.max(np.abs(got - want) / np.maximum(1, np.abs(want)))))
    return Cell(worst)


def _peer_error(model: Model, meter: Meter, peer: Any = None) -> Cell:
    """The same of what eager torch, or a circuit of PyJuice, computes of the same numbers, in its own precision."""
    circuit, codes = circuit_of(model), rows_of(model, 64)
    given = torch.from_numpy(codes).to(meter.device)
    want = dn.evaluate(circuit, codes.astype(float), semiring="log")
    plain = eager(model, meter.device, numbers=numbers_of(circuit, model))
    found = plain(given) if peer is None else peer(given)[:, 0]
    got = found.detach().double().cpu().numpy()
    return Cell(float(np.max(np.abs(got - want) / np.maximum(1, np.abs(want)))))


def _chain(model: Model, kind: str, rows: int, meter: Meter) -> Cells:
    match kind:
        case "eager" | "eager both":
            return _eager(model, kind, rows, meter)
        case _:
            return _calls(circuit_of(model), rows_of(model, rows).astype(float), meter)


def _operations(model: Model) -> int:
    return model.steps * 2 * model.states * sum(model.parts or (model.states,))


def _eager(model: Model, kind: str, rows: int, meter: Meter) -> Cells:
    """Eager torch, in float32 and by one pass of tf32; back, it keeps three values of a state for each factor."""
    back = kind == "eager both"
    kept = 12 * model.steps * max(1, len(model.parts)) if back else 0
    part = meter.at_once(rows, 16 * model.numbers, model.states * (32 + kept), (3 if back else 1) * _operations(model))
    return fitting(part, lambda part: _eager_part(model, kind, rows, part, meter))


def _eager_part(model: Model, kind: str, rows: int, part: int, meter: Meter) -> Cells:
    given = torch.from_numpy(rows_of(model, part)).to(meter.device)
    if kind == "eager both":
        step = eager_back(model, meter.device, given)
        return {kind: _scaled(meter.seconds(step), rows, part)}
    plain = eager(model, meter.device)
    found = {kind: _scaled(meter.seconds(lambda: plain(given)), rows, part)}
    with one_pass():
        return {**found, "eager tf32": _scaled(meter.seconds(lambda: plain(given)), rows, part)}


def _scaled(seconds: float, rows: int, part: int) -> Cell:
    return Cell(seconds * rows / part, f"{part} rows at a time" if part < rows else "")


@lru_cache(maxsize=1)
def _compiled(variables: int, width: int) -> tuple[Any, int]:
    from danaus.compiler.pipeline import program_of as compiled_to

    circuit = decisions(variables, width)
    return dn.compile(circuit, device="cuda"), len(compiled_to(circuit).layouts[0].members)


def _diagram(variables: int, width: int, batch: int, meter: Meter) -> Cells:
    """Calls, since the policy chooses between one launch and many with the batch."""
    x = np.random.default_rng(batch).integers(0, 2, (batch, variables))
    model, edges = _compiled(variables, width)
    data, there = x.astype(float), np.random.default_rng(batch).random(x.shape) < 0.5
    back = meter.seconds(lambda: model.flows_of_tables(data, there, np.ones(batch)))  # a d-DNNF has no parameters
    return {"ours": Cell(meter.seconds(lambda: model.marginal(data, there))), "back": Cell(back), "edges": Cell(edges)}


def _placed(made: Any, meter: Meter) -> Placed:
    """A plan in the device's memory, with numbers at random: weights up to 1, logarithms below 0."""
    placed = Placed(made, meter.device, meter.precision, function)
    kind = torch.bfloat16 if bytes_of(meter.precision) == 2 or meter.precision == "bf16x3" else torch.float32
    placed.weights = torch.rand(max(1, made.weights), device=meter.device).to(kind)
    placed.tables = -torch.rand(max(1, made.tables), device=meter.device)
    return placed


def forward(program: Program, rows: int, meter: Meter) -> Cells:
    """All kernels of likelihoods, and how many launches there are."""
    made = plan(program, meter.precision, batch_class(rows))
    part = parts(made.rows, made.batch, rows)
    placed = _placed(made, meter)

    def ready(rows: int) -> Callable[[], None]:
        values, laid, flags, stride = placed.filled(np.zeros((len(program.columns), rows), dtype=np.int32), {})
        laid.copy_(torch.randint(0, min(program.columns), laid.shape, device=meter.device, dtype=torch.int32))
        return lambda: placed.launch(values, laid, flags, stride)

    if meter.turn:
        ready(made.batch)()  # one tile, which compiles all
    with meter.alone():
        graph = meter.graph(ready(part))
        return {"forward": _scaled(meter.seconds(graph), rows, part), "launches": Cell(len(made.launches))}


def both(program: Program, rows: int, meter: Meter) -> Cells:
    """All kernels of likelihoods and derivatives with respect to all tables."""
    made = drawn(program, meter.precision, batch_class(rows), True)
    way = course(made, meter.precision, frozenset(range(len(program.tables))))
    part = parts(made.plan.rows + way.rows, made.plan.batch, rows)
    there = Way(made, _placed(made.plan, meter), way)

    def ready(rows: int) -> Callable[[], None]:
        held = there.held(np.zeros((len(program.columns), rows), dtype=np.int32), {})
        held.codes.random_(0, min(program.columns))
        held.seed.fill_(1.0)

        def step() -> None:
            held.forward()
            held.back()

        return step

    if meter.turn:
        ready(made.plan.batch)()
        there.recorded.clear()
    with meter.alone():
        return {"both": _scaled(meter.seconds(ready(part)), rows, part)}


def parts(nodes: int, batch: int, rows: int) -> int:
    """So many rows at a time, as the engines take them.

    Raises: MemoryError where 32-bit offsets do not reach over one tile of rows.
    """
    most = MOST // max(1, nodes) // batch * batch
    if most == 0:
        raise MemoryError(f"one tile of {batch} rows is {nodes * batch:.1e} numbers, and 32-bit offsets reach 2e9")
    return min(rows, most)


def _calls(circuit: Any, x: np.ndarray, meter: Meter) -> Cells:
    """Calls: a likelihood, expected counts, a whole step of expectation maximisation, where the tables are."""
    from danaus.runtime.learning.stepping import steps_of

    model = dn.compile(circuit, device="cuda")
    steps, seen = steps_of(model), np.ones(x.shape, dtype=bool)

    def step() -> None:
        steps.take(steps.expected(x, seen))

    found = {"call": meter.seconds(lambda: model.log_likelihood(x))}
    found |= {"counts": meter.seconds(lambda: steps.expected(x, seen)), "step": meter.seconds(step)}
    return {name: Cell(seconds) for name, seconds in found.items()}
