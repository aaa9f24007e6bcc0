"""Compiled circuits against the evaluator, by the thousand: each row must be right, whatever path it took.

    python tests/cpu_parity.py --count 2000 --seed 0

Of each seed a random circuit of small exact numbers, with any map and shape, and a rough one: two chains of states over
1 to 200 nats with exact zeros, joined by a product, in which float32 often loses. What differs is printed by its seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import numpy as np

import danaus as dn
from compiled_parity import compare
from danaus.ir.circuit import Circuit
from small_circuits import evidence, random_circuit

BATCHES = (0, 1, 3, 16, 17, 100)
TYPES = ("float32", "float64")


def rough_circuit(seed: int) -> Circuit:
    """Two chains whose weights and emissions lie over many nats, with zeros, and a product of the two on top."""
    random = np.random.default_rng(seed)
    nats, zeros = float(random.uniform(1, 200)), float(random.choice([0, 0, 0.3, 0.7]))
    states, steps = int(random.choice([1, 2, 4, 6, 9, 16])), int(random.integers(1, 30))

    def numbers(*shape: int) -> np.ndarray:
        found = np.exp(-nats * random.random(shape) * random.choice([0.1, 1, 1], shape))
        return np.where(random.random(shape) < zeros, 0, found)

    def transition() -> np.ndarray:
        if random.random() < 0.5:
            return numbers(states, states)
        return np.asarray(np.eye(states)[random.permutation(states)] + numbers(states, states))

    def chain(name: str) -> object:
        x = dn.Cat(name, 4, shape=steps)
        weights = dn.const(f"W_{name}", [states, states], value=transition())
        emission = dn.const(f"E_{name}", [states, 4], value=numbers(states, 4))
        block = dn.table(x[0], emission)
        for t in range(1, steps):
            block = dn.sum(block, weights) * dn.table(x[t], emission)
        return block

    first, second = chain("x"), chain("y")
    if random.random() < 0.5:
        top = dn.sum(first * dn.gather(second, random.permutation(states)), numbers(1, states))
    else:
        both = dn.concat(dn.kron(first, second), dn.kron(second, first))
        top = dn.sum(both, numbers(1, 2 * states**2))
    return dn.Circuit(top, name=f"rough {seed}")


def attempt(seed: int) -> int:
    """Compares the circuits of a seed; gives the rows that were computed again.

    Raises: AssertionError where a row differs.
    """
    again = 0
    for circuit in (random_circuit(seed), rough_circuit(seed)):
        marginal = all(found.status == "proved" for found in dn.check(circuit, "smooth", "decomposable").values())
        for dtype in TYPES:
            x, observed = evidence(circuit, BATCHES[seed % len(BATCHES)], seed, 0.3)
            observed |= not marginal
            again += compare(circuit, x, observed, dtype).recomputed
    return again


def campaign(count: int, seed: int) -> Iterator[tuple[int, int | AssertionError]]:
    """Seeds and what came of them."""
    for number in range(seed, seed + count):
        try:
            yield number, attempt(number)
        except AssertionError as failure:
            yield number, failure


def main() -> int:
    """Runs a campaign; exits with 1 after failures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started, again, failures = time.time(), 0, 0
    for number, found in campaign(options.count, options.seed):
        if isinstance(found, AssertionError):
            failures += 1
            print(f"--- seed {number}: {found}")
        else:
            again += found
    spent = time.time() - started
    print(f"{options.count} seeds, {failures} failures, {again} rows computed again, {spent:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
