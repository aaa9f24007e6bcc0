"""Seconds of `danaus.compile` and of its stages, for the workloads whose compile time has a limit.

    python benchmarks/compile_time.py [NAME …]

Each circuit is made anew for each of three runs, and compiled twice: with an empty cache of native code and with a full
one; the fastest of the three stands in the table. `compile s` and `cached s` are seconds by the clock. The stages are
those of the first compilation, in seconds of their thread's own time: lowering, passes, the code's text, the values of
tables, and their packing. LLVM generates native code in a thread of its own, while tables are packed. The limit is
0.5 s, and 3 s at a million edges.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from cpu import chain, image
from nnf import VARIABLES, flat

import danaus as dn
from danaus.backends.cpu import machine
from danaus.backends.cpu.scalar import Scalar
from danaus.backends.cpu.vector import Vector
from danaus.compiler import compile as line
from danaus.ir.circuit import Circuit

RUNS = 3
STAGES: dict[str, list[tuple[Any, str]]] = {
    "lower": [(line, "lower")],
    "passes": [(line, "optimised")],
    "code": [(Vector, "__post_init__"), (Scalar, "_made")],
    "tables": [(line, "held")],
    "packing": [(Vector, "load"), (Vector, "refill"), (Scalar, "refill")],
}
LLVM = (machine, "emitted")

spent = dict.fromkeys([*STAGES, "LLVM"], 0.0)


def timed(stage: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose seconds count for a stage."""

    def outer(*given: Any, **named: Any) -> Any:
        start = time.thread_time()
        try:
            return inner(*given, **named)
        finally:
            spent[stage] += time.thread_time() - start

    return outer


def sentence(nodes: int, folder: Path) -> Circuit:
    """A d-DNNF of about so many nodes."""
    path = folder / f"{nodes}.nnf"
    if not path.exists():
        path.write_text(flat(nodes).c2d())
    return dn.load(path, variables=VARIABLES).circuit


def long_chain() -> Circuit:
    """A hidden Markov model of 10,000 steps."""
    return dn.hmm(dn.Cat("x", 32, shape=10_000), states=64)


def circuits(folder: Path) -> dict[str, Callable[[], Circuit]]:
    """The workloads by name."""
    found: dict[str, Callable[[], Circuit]] = {}
    for kind in ("graph", "tree"):
        for layer in ("cp", "tucker"):
            for states in (32, 64):
                if (kind, layer, states) not in (("graph", "tucker", 64), ("tree", "tucker", 64)):
                    found[f"quad {kind} {layer} {states}"] = partial(image, kind, layer, states)
    for states in (64, 256, 1024):
        found[f"HMM {states}"] = partial(chain, states)
    found["Monarch HMM 64 × 64"] = lambda: chain(4096, dn.monarch(64, 64))
    found["HMM 64, T = 10,000"] = long_chain
    for nodes in (10_000, 100_000, 400_000):
        found[f"d-DNNF {nodes:,} nodes"] = partial(sentence, nodes, folder)
    return found


def once(make: Callable[[], Circuit]) -> list[float]:
    """Seconds of the stages, of the rest, of all, and of all with a full cache."""
    circuit = make()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["DANAUS_CACHE"] = cache
        for stage in spent:
            spent[stage] = 0.0
        start = time.perf_counter()
        dn.compile(circuit)
        cold = time.perf_counter() - start
        stages = list(spent.values())
        circuit = circuit.over(circuit.store)
        start = time.perf_counter()
        dn.compile(circuit)
        warm = time.perf_counter() - start
    return [*stages, cold, warm]


def main() -> None:
    """Prints a table in Markdown."""
    torch.set_num_threads(1)
    names = sys.argv[1:]
    dn.compile(chain(2))  # what is done once in a process
    setattr(*LLVM, timed("LLVM", getattr(*LLVM)))
    for stage, places in STAGES.items():
        for owner, name in places:
            if hasattr(owner, name):
                setattr(owner, name, timed(stage, getattr(owner, name)))
    heads = ["circuit", *spent, "compile s", "cached s"]
    print(f"| {' | '.join(heads)} |\n|---|{'---:|' * (len(heads) - 1)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in circuits(Path(folder)).items():
            if names and not any(part in name for part in names):
                continue
            best = min((once(make) for _ in range(RUNS)), key=lambda found: found[-2])
            print(f"| {name} | {' | '.join(f'{seconds:.2f}' for seconds in best)} |", flush=True)


if __name__ == "__main__":
    main()
