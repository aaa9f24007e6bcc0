"""What a GPU takes for the workloads of gpu_models.py and gpu_images.py, beside PyJuice and eager torch.

What enters is a job of gpu_jobs.py; what leaves are cells of its row. Kernels are timed alone, recorded as a graph,
over numbers that are made on the device, which have no part in the time; `calls` are what a user types, from rows on
the host to answers there. What a GPU does not hold at a time is measured in part, and counted as often as it takes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from gpu_images import decisions, image_circuit, image_program, images
from gpu_jobs import Cases, Job
from gpu_meter import Cell, Meter, limits, one_pass, tried
from gpu_models import Model, circuit_of, eager, eager_back, program_of, rows_of
from gpu_peers import chain, diagram, measured, numbers_of, picture

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
    match job.table:
        case "limits":
            return limits(meter)
        case "parity":
            return tried(lambda: _parity(cases.parity[job.case]), "ours", meter.device)
        case "peers":
            return tried(lambda: _peer_error(cases.peers[job.case], job.kind, meter), job.kind, meter.device)
        case "chains":
            return tried(lambda: _chain(cases.chains[job.case], job.kind, cases.rows, meter), job.kind, meter.device)
        case "pictures":
            return tried(lambda: _picture(*cases.pictures[job.case], job.kind, cases, meter), job.kind, meter.device)
        case _:
            return tried(lambda: _diagram(*cases.diagrams[job.case], job.kind, meter), job.kind, meter.device)


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


def _peer_error(model: Model, kind: str, meter: Meter) -> Cell:
    """The same of what a peer computes of the same numbers, in its own precision."""
    circuit, codes = circuit_of(model), rows_of(model, 64)
    numbers, given = numbers_of(circuit, model), torch.from_numpy(codes).to(meter.device)
    want = dn.evaluate(circuit, codes.astype(float), semiring="log")
    if kind == "eager":
        found = eager(model, meter.device, numbers=numbers)(given)
    else:
        peer = chain(model, meter.device, numbers)
        if peer is None:
            return Cell(None, "none")
        found = peer(given)[:, 0]
    got = found.detach().double().cpu().numpy()
    return Cell(float(np.max(np.abs(got - want) / np.maximum(1, np.abs(want)))))


def _chain(model: Model, kind: str, rows: int, meter: Meter) -> Cells:
    match kind:
        case "forward":
            return forward(program_of(model), rows, meter)
        case "both":
            return both(program_of(model), rows, meter)
        case "eager" | "eager both":
            return _eager(model, kind, rows, meter)
        case "PyJuice":
            nodes = model.steps + (model.steps - 1) * max(1, len(model.parts))
            each = 8 * model.states * (nodes + 3)
            fixed = 8 * model.numbers * max(1, model.steps // 32)  # its sums of flows: one for each 32 of a parameter's
            part = meter.at_once(rows, fixed, each, 6 * _operations(model))
            codes = torch.from_numpy(rows_of(model, part)).to(meter.device)
            return measured(chain(model, meter.device), codes, meter, rows)
        case _:
            return _calls(circuit_of(model), rows_of(model, rows).astype(float), meter)


def _operations(model: Model) -> int:
    return model.steps * 2 * model.states * sum(model.parts or (model.states,))


def _eager(model: Model, kind: str, rows: int, meter: Meter) -> Cells:
    """Eager torch, in float32 and by one pass of tf32; back, it keeps three values of a state for each factor."""
    back = kind == "eager both"
    kept = 12 * model.steps * max(1, len(model.parts)) if back else 0
    part = meter.at_once(rows, 16 * model.numbers, model.states * (32 + kept), (3 if back else 1) * _operations(model))
    given = torch.from_numpy(rows_of(model, part)).to(meter.device)
    if back:
        step = eager_back(model, meter.device, given)
        return {kind: _scaled(meter.seconds(step), rows, part)}
    plain = eager(model, meter.device)
    found = {kind: _scaled(meter.seconds(lambda: plain(given)), rows, part)}
    with one_pass():
        return {**found, "eager tf32": _scaled(meter.seconds(lambda: plain(given)), rows, part)}


def _scaled(seconds: float, rows: int, part: int) -> Cell:
    return Cell(seconds * rows / part, f"{part} rows at a time" if part < rows else "")


def _picture(kind: str, states: int, what: str, cases: Cases, meter: Meter) -> Cells:
    side, values, rows = cases.side, cases.values, cases.rows
    match what:
        case "forward":
            return forward(image_program(kind, states, side, values), rows, meter)
        case "both":
            return both(image_program(kind, states, side, values), rows, meter)
        case "PyJuice":
            nodes = side * side * (2 if kind == "HCLT" else 1)
            part = meter.at_once(rows, 8 * side * side * states * (values + states), 8 * states * nodes * 2, 0)
            codes = torch.from_numpy(images(part, side, values)).to(meter.device)
            return measured(picture(kind, states, meter.device, side, values), codes, meter, rows)
        case _:
            return _calls(image_circuit(kind, states, side, values), images(rows, side, values).astype(float), meter)


@lru_cache(maxsize=1)
def _compiled(variables: int, width: int) -> tuple[Any, int]:
    from danaus.compiler.pipeline import program_of as compiled_to

    circuit = decisions(variables, width)
    return dn.compile(circuit, device="cuda"), len(compiled_to(circuit).layouts[0].members)


def _diagram(variables: int, width: int, batch: int, kind: str, meter: Meter) -> Cells:
    """Calls of ours, since the policy chooses between one launch and many with the batch; of PyJuice kernels alone."""
    x = np.random.default_rng(batch).integers(0, 2, (batch, variables))
    if kind == "PyJuice":
        return measured(diagram(variables, width, meter.device), torch.from_numpy(x).to(meter.device), meter, batch)
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
    values, laid, flags, stride = placed.filled(np.zeros((len(program.columns), part), dtype=np.int32), {})
    laid.copy_(torch.randint(0, min(program.columns), laid.shape, device=meter.device, dtype=torch.int32))
    graph = meter.graph(lambda: placed.launch(values, laid, flags, stride))
    return {"forward": _scaled(meter.seconds(graph), rows, part), "launches": Cell(len(made.launches))}


def both(program: Program, rows: int, meter: Meter) -> Cells:
    """All kernels of likelihoods and derivatives with respect to all tables."""
    made = drawn(program, meter.precision, batch_class(rows), True)
    way = course(made, meter.precision, frozenset(range(len(program.tables))))
    part = parts(made.plan.rows + way.rows, made.plan.batch, rows)
    there = Way(made, _placed(made.plan, meter), way)
    held = there.held(np.zeros((len(program.columns), part), dtype=np.int32), {})
    held.codes.random_(0, min(program.columns))
    held.seed.fill_(1.0)

    def step() -> None:
        held.forward()
        held.back()

    return {"both": _scaled(meter.seconds(step), rows, part)}


def parts(nodes: int, batch: int, rows: int) -> int:
    """So many rows at a time, as the engines take them.

    Raises: MemoryError where 32-bit offsets do not reach over one tile of rows.
    """
    most = MOST // max(1, nodes) // batch * batch
    if most == 0:
        raise MemoryError(f"one tile of {batch} rows is {nodes * batch:.1e} numbers, and 32-bit offsets reach 2e9")
    return min(rows, most)


def _calls(circuit: Any, x: np.ndarray, meter: Meter) -> Cells:
    """Calls: a likelihood, expected counts, a whole step of expectation maximisation."""
    from danaus.runtime.learning.em import Steps

    model = dn.compile(circuit, device="cuda")
    steps, seen = Steps(model), np.ones(x.shape, dtype=bool)

    def step() -> None:
        model.take(steps.maximised(steps.expected(x, seen)))

    found = {"call": meter.seconds(lambda: model.log_likelihood(x))}
    found |= {"counts": meter.seconds(lambda: steps.expected(x, seen)), "step": meter.seconds(step)}
    return {name: Cell(seconds) for name, seconds in found.items()}
