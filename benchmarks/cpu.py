"""Compiled likelihoods on one thread beside torch in logarithms, KLay, and what this machine can do at most.

    python benchmarks/cpu.py [NAME …]

Each row is one run in which all columns take turns; times are medians of the thread's own time, so that what else the
machine does falls on all alike. `call` is what a user types, `model.log_likelihood(x)`; `engine` is the compiled code
from codes on. The peer does the same work: for chains and region graphs the circuit's operations one after another in
float32 logarithms, one maximum per block and row (not folded into layers); for d-DNNFs KLay's module in real numbers.
Run it with MALLOC_TOP_PAD_=67108864 MALLOC_TRIM_THRESHOLD_=4294967296, without which torch gives its memory back and
asks again.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from nnf import VARIABLES, flat

import danaus as dn
from danaus.backends.cpu.limits import limits
from danaus.compiler.lowering.lower import lower
from danaus.compiler.lowering.tables import values
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.ir.program.operation import AllPairs, Contract, Fill, Gather, Join, Load, Multiply, Scale
from danaus.ir.program.work import operations_per_row

SECONDS = 4.0
LEAST = 1e-30

Call = Callable[[], object]


def taken_in_turns(calls: dict[str, Call]) -> dict[str, float]:
    """The median seconds of this thread in each, all called in turns."""
    for call in calls.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in calls}
    start = time.perf_counter()
    while len(found[next(iter(found))]) < 5 or time.perf_counter() - start < SECONDS:
        for name, call in calls.items():
            before = time.thread_time()
            call()
            found[name].append(time.thread_time() - before)
    return {name: statistics.median(each) for name, each in found.items()}


def log_torch(circuit: Circuit, x: torch.Tensor) -> Call:
    """The circuit's operations in float32 logarithms, [nodes, batch], one maximum per block and row."""
    lowered = lower(circuit)
    program = lowered.program
    tables = [torch.tensor(table, dtype=torch.float32) for table in values(lowered.tables, circuit.store)]
    logs = [table.log() for table in tables]
    codes = x.T.contiguous()
    indices = [torch.tensor(index) for index in program.indices]

    def contract(step: Contract, source: torch.Tensor) -> torch.Tensor:
        rows = source.shape[1]
        strided = source.as_strided(
            (step.blocks, step.columns, rows), (step.read.block * rows, step.read.node * rows, 1)
        )
        top = strided.amax(1, keepdim=True)
        found = (tables[step.table] @ (strided - top).exp()).clamp_min(LEAST).log() + top
        if step.write.block == 1:
            found = found.transpose(0, 1)
        return found.reshape(-1, rows)

    def run() -> torch.Tensor:
        held: dict[int, torch.Tensor] = {}
        rows = codes.shape[1]
        for step in program.operations:
            match step:
                case Load(out, table, column):
                    held[out] = logs[table][codes[column]].T.contiguous()
                case Fill(out, table):
                    held[out] = logs[table][:, None].expand(-1, rows)
                case Multiply(out, factors):
                    held[out] = held[factors[0]] + held[factors[1]]
                    for factor in factors[2:]:
                        held[out] = held[out] + held[factor]
                case AllPairs(out, factors):
                    found = held[factors[0]]
                    for factor in factors[1:]:
                        found = (found[:, None] + held[factor][None]).reshape(-1, rows)
                    held[out] = found
                case Join(out, parts):
                    held[out] = torch.cat([held[part] for part in parts])
                case Gather(out, source, index):
                    held[out] = held[source][indices[index]]
                case Scale(out, source, table):
                    held[out] = held[source] + logs[table][:, None]
                case Contract():
                    held[step.out] = contract(step, held[step.source].contiguous())
        return held[program.root][0]

    return run


def flushed(peer: Call) -> Call:
    """A call that takes numbers too small to be normal for zero, which torch's exp is forty times slower on."""

    def run() -> object:
        torch.set_flush_denormal(True)
        try:
            return peer()
        finally:
            torch.set_flush_denormal(False)

    return run


def measure(name: str, circuit: Circuit, batch: int, peer: Call | None = None) -> None:
    """One row of the table."""
    x = np.random.default_rng(0).integers(
        0, [variable.size for variable in circuit.variables], (batch, len(circuit.variables))
    )
    start = time.perf_counter()
    model = dn.compile(circuit)
    compiled = time.perf_counter() - start
    engine, columns = model.present.engine(), model.columns
    assert engine is not None
    assert columns is not None
    codes = columns.plain(x, None)
    assert codes is not None
    laid = np.ascontiguousarray(codes.T)
    calls: dict[str, Call] = {"call": lambda: model.log_likelihood(x), "engine": lambda: engine.run(laid, {})}
    if peer is None:
        peer = log_torch(circuit, torch.from_numpy(x))
        difference = (peer() - model.log_likelihood(x)).abs().max().item()  # type: ignore[operator]
        assert difference < 1e-2 * abs(model.log_likelihood(x)).max(), difference
    calls["peer"] = flushed(peer)
    a, b, c = (torch.rand(512, 512) for _ in range(3))
    calls["mm"] = lambda: torch.mm(a, b, out=c)
    found = taken_in_turns(calls)
    work = operations_per_row(program_of(circuit)) * batch
    matrix = 2 * 512**3 / found["mm"]
    cells = [
        name,
        str(batch),
        f"{found['call'] * 1e3:.3g}",
        f"{found['engine'] * 1e3:.3g}",
        f"{found['peer'] * 1e3:.3g}",
        f"{found['peer'] / found['call']:.1f}",
        f"{work / found['call'] / 1e9:.1f}",
        f"{work / found['call'] / matrix:.0%}",
        f"{compiled:.2f}",
        str(model.recomputed),
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def klay(path: Path, batch: int) -> Call:
    """KLay's module of a sentence in d4's syntax, in real numbers, for so many rows at once."""
    import klay as peer

    circuit = peer.Circuit()
    circuit.add_d4_from_file(str(path))
    module = circuit.to_torch_module(semiring="real", compile=False)
    weights = torch.rand(batch, VARIABLES)
    return lambda: module(weights, 1 - weights)


def chain(states: int, transition: object = None) -> Circuit:
    """A hidden Markov model of 256 steps over 32 values."""
    return dn.hmm(dn.Cat("x", 32, shape=256), states=states, transition=transition)  # type: ignore[arg-type]


def image(kind: str, layer: str, states: int) -> Circuit:
    """A region graph of 28 × 28 pixels of 256 values."""
    make = dn.quad_graph if kind == "graph" else dn.quad_tree
    return make(dn.Cat("x", 256, shape=784), shape=[28, 28], states=states, layer=layer)  # type: ignore[arg-type]


CIRCUITS: dict[str, tuple[int, Callable[[], Circuit]]] = {
    "HMM 64": (32, lambda: chain(64)),
    "HMM 256": (32, lambda: chain(256)),
    "HMM 1024": (32, lambda: chain(1024)),
    "Monarch HMM 64 × 64": (32, lambda: chain(4096, dn.monarch(64, 64))),
    "quad graph CP 32": (64, lambda: image("graph", "cp", 32)),
    "quad tree CP 64": (128, lambda: image("tree", "cp", 64)),
    "quad tree Tucker 32": (32, lambda: image("tree", "tucker", 32)),
}
SENTENCES = (10_000, 100_000)


def main() -> None:
    """Prints the limits and a table in Markdown."""
    torch.set_num_threads(1)
    names = sys.argv[1:]
    found = limits()
    rates = (found.vector / 1e9, found.matrix / 1e9, found.memory / 1e9)
    print("vector {:.0f} GF/s, matrix {:.0f} GF/s, copy {:.0f} GB/s\n".format(*rates))
    print("| circuit | B | call ms | engine ms | peer ms | peer / call | GF/s | of torch.mm | compile s | again |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for name, (batch, make) in CIRCUITS.items():
        if not names or any(part in name for part in names):
            measure(name, make(), batch)
    for nodes in SENTENCES:
        if names and not any(part in "d-DNNF" for part in names):
            continue
        sentence = flat(nodes)
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = Path(folder) / "c2d.nnf", Path(folder) / "d4.nnf"
            ours.write_text(sentence.c2d())
            theirs.write_text(sentence.d4())
            for batch in (1, 32, 128):
                circuit = dn.load(ours, variables=VARIABLES).circuit
                measure(f"d-DNNF, {sentence.edges:,} edges", circuit, batch, klay(theirs, batch))


if __name__ == "__main__":
    main()
