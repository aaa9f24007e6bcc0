"""Queries of compiled circuits beside the evaluator's answers, on one thread.

    python benchmarks/queries.py [NAME …]

In each row both take turns; times are medians of the thread's own time, so that what else the machine does falls on
both alike. Half of the values are missing. `decode` and `posterior` have no evaluator to stand beside.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from nnf import flat

import danaus as dn
from danaus.compiler.queries import most_probable
from danaus.ir import query as ask
from danaus.ir.circuit import Circuit

TURNS = 3

Call = Callable[[], object]


def medians(*calls: Call) -> list[float]:
    """The median seconds of this thread in each, called in turns after a first call that does not count."""
    for call in calls:
        call()
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(TURNS):
        for call, own in zip(calls, found, strict=True):
            before = time.thread_time()
            call()
            own.append(time.thread_time() - before)
    return [statistics.median(own) for own in found]


def chain() -> tuple[Circuit, int]:
    """An HMM of 256 steps and 64 states."""
    return dn.hmm(dn.Cat("x", 27, shape=256), states=64), 128


def image() -> tuple[Circuit, int]:
    """A quad tree over 28 × 28 pixels, 16 states."""
    return dn.quad_tree(dn.Bool("x", shape=784), shape=[28, 28], states=16), 64


def network() -> tuple[Circuit, int]:
    """A smooth d-DNNF of about ten thousand edges."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flat.nnf"
        path.write_text(flat(5_000).c2d())
        return dn.smooth(dn.load(path).circuit), 128


CIRCUITS = {"chain": chain, "image": image, "network": network}


def rows(circuit: Circuit, batch: int) -> Iterator[tuple[str, list[float]]]:
    """Each query with the medians of the compiled one and of the evaluator."""
    model = dn.compile(circuit)
    values = dn.sample(circuit, batch, seed=0)
    mask = np.random.default_rng(0).random(values.shape) < 0.5
    variable = circuit.variables[3]
    weights = np.random.default_rng(1).random(variable.size or 0)
    every = np.ones(values.shape, dtype=bool)
    both: dict[str, tuple[Call, Call]] = {
        "conditional": (lambda: model.conditional(values, mask), lambda: ask.conditional(circuit, values, mask)),
        "map": (lambda: model.map(values, mask), lambda: most_probable(circuit, values, mask)),
        "sample": (lambda: model.sample(batch), lambda: ask.sample(circuit, batch, 0)),
        "sample given": (lambda: model.sample(values, mask), lambda: ask.sample_given(circuit, values, mask, 0)),
        "moment": (lambda: model.moment(variable, 2), lambda: ask.moment(circuit, variable, 2)),
        "evidence": (
            lambda: model.marginal(values, evidence={variable.name: weights}),
            lambda: ask.log_likelihood_under(circuit, values, every, {3: np.tile(weights, (batch, 1))}),
        ),
    }
    if len(circuit.variables) < 800 and all(each.size == 2 for each in circuit.variables):
        both["hamming"] = (model.hamming, lambda: ask.hamming(circuit))
    for name, calls in both.items():
        yield name, medians(*calls)
    if "latent" not in str(_refusal(lambda: model.decode(values, mask))):
        yield "decode", medians(lambda: model.decode(values, mask))
        yield "posterior", medians(lambda: model.posterior(values, mask))


def _refusal(call: Call) -> object:
    try:
        call()
    except dn.DanausError as refused:
        return refused
    return None


def main(names: list[str]) -> None:
    """Prints a table."""
    torch.set_num_threads(1)
    print("| circuit | query | compiled, ms | evaluator, ms | ratio |\n|---|---|---|---|---|")
    for name in names or list(CIRCUITS):
        circuit, batch = CIRCUITS[name]()
        for query, found in rows(circuit, batch):
            times = " | ".join(f"{1e3 * each:.1f}" for each in found) if len(found) > 1 else f"{1e3 * found[0]:.1f} | –"
            ratio = f"{found[1] / found[0]:.1f}" if len(found) > 1 else "–"
            print(f"| {name}, {batch} rows | {query} | {times} | {ratio} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
