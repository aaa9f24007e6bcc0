"""A product layer of 4096 states beside a Monarch layer of 4096 states, built as such: the same speed?

    python benchmarks/product_layers.py [STEPS]

An HMM of 64 states times another one, over the same sequence, is an HMM of 4096 states whose transition is a Kronecker
product; `monarch_layers` makes block-diagonal factors of it, and `untie` gives those numbers of their own. Each is
compiled and evaluated in turns with `hmm(states=4096, transition=monarch(64, 64))`, the workload of `cpu.py`: 32 rows
of 256 steps over 32 values, float32, one thread; times are medians of the thread's own time.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from cpu import taken_in_turns

import danaus as dn
from danaus.ir.circuit import Circuit

BATCH, VALUES, STATES = 32, 32, 64


def main(steps: int) -> None:
    """Prints a table in Markdown."""
    torch.set_num_threads(1)
    x = dn.Cat("x", VALUES, shape=steps)
    product = dn.multiply(dn.hmm(x, STATES, name="g"), dn.hmm(x, STATES, name="h"))
    circuits: dict[str, Circuit] = {
        "`hmm(states=4096, transition=monarch(64, 64))`": dn.hmm(x, STATES**2, transition=dn.monarch(STATES, STATES)),
        "`multiply(hmm 64, hmm 64)`": product,
        "`monarch_layers` of it": dn.monarch_layers(product),
        "`untie` of it": dn.untie(product),
    }
    rows = np.random.default_rng(0).integers(0, VALUES, (BATCH, steps))
    models, seconds = {}, {}
    for name, circuit in circuits.items():
        start = time.perf_counter()
        models[name] = dn.compile(circuit)
        seconds[name] = time.perf_counter() - start
    first, *others = [models[name].log_likelihood(rows) for name in list(circuits)[1:]]
    assert all(torch.allclose(first, other, rtol=1e-5) for other in others)
    found = taken_in_turns({name: lambda m=model: m.log_likelihood(rows) for name, model in models.items()})
    direct = next(iter(found.values()))
    print("| circuit | compile s | call ms | ratio |\n|---|---:|---:|---:|")
    for name, taken in found.items():
        print(f"| {name} | {seconds[name]:.2f} | {taken * 1e3:.1f} | {taken / direct:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
