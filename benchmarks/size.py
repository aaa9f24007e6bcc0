"""Time to build, check and evaluate against size: packed circuits of 10² to 10⁶ scalar nodes, and deep chains.

    python benchmarks/size.py

A packed circuit is a binary tree of regions over 16 variables; a region holds sparse sums of four random products of
two nodes. Evaluation takes 16 rows in log space. Beside each figure stands the machine's limit, measured in the same
run on the same arrays: reading every edge's operand once, as one gather and one sum in numpy. A chain is a hidden
Markov model of so many steps with 16 states.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import danaus as dn
from danaus.compiler.properties import check
from danaus.ir.block import indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import Bernoulli
from danaus.ir.linear import Dense, sparse
from danaus.ir.parameter import constant
from danaus.ir.semirings import EXACT, LINEAR, LOG
from danaus.ir.store import Store

VARIABLES = 16
ROWS = 16
FAN_IN = 4


def packed(nodes: int) -> Circuit:
    """A smooth, structured circuit of about so many scalar nodes."""
    rng = np.random.default_rng(0)
    width = max(2, round(nodes / (VARIABLES + 3 * (VARIABLES - 1))))
    level = [
        input_block(Bernoulli(), Variable(f"x{i}", Bool()), [constant(rng.random(width))]) for i in range(VARIABLES)
    ]
    blocks = list(level)
    while len(blocks) > 1:
        above = []
        for left, right in zip(blocks[::2], blocks[1::2], strict=True):
            members = np.stack([rng.integers(0, width, 2 * width), width + rng.integers(0, width, 2 * width)], axis=1)
            product = indexed([left, right], np.arange(0, 4 * width + 1, 2), members.ravel())
            rows = np.repeat(np.arange(width), FAN_IN)
            columns = (rows * 2 + np.tile(np.arange(FAN_IN), width)) % (2 * width)
            pairs = np.unique(rows * 2 * width + columns)
            rows, columns = pairs // (2 * width), pairs % (2 * width)
            weights = rng.random(len(rows))
            weights /= np.bincount(rows, weights)[rows]
            above.append(weighted([product], sparse(rows, columns, constant(weights), width, 2 * width)))
        blocks = above
    return Circuit(weighted(blocks, Dense(constant(np.full((1, width), 1 / width)))), Store())


def chain(steps: int) -> Circuit:
    """A hidden Markov model."""
    return dn.hmm(dn.Bool("x", shape=steps), states=16)


def seconds(work: Callable[[], object], least: float = 0.2) -> float:
    """The shortest of several runs."""
    best, spent = float("inf"), 0.0
    while spent < least:
        start = time.perf_counter()
        work()
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return best


def edges(circuit: Circuit) -> int:
    """How many operands the nodes of a packed circuit read."""
    return sum(
        len(block.form.members) if hasattr(block, "form") else len(block.map.rows)
        for block in circuit.blocks
        if hasattr(block, "form") or hasattr(getattr(block, "map", None), "rows")
    )


def limit(count: int) -> float:
    """The seconds that numpy takes to gather and sum so many operands for all rows."""
    rng = np.random.default_rng(0)
    source = rng.random((max(1, count // FAN_IN), ROWS))
    index = rng.integers(0, len(source), count)
    return seconds(lambda: np.add.reduceat(source[index], np.arange(0, count, FAN_IN), axis=0))


def main() -> None:
    """Prints two tables in Markdown."""
    print("| nodes | edges | build s | check s | linear s | log s | exact s, 1 row | ns an edge | of the limit |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for size in (10**2, 10**3, 10**4, 10**5, 10**6):
        start = time.perf_counter()
        circuit = packed(size)
        built = time.perf_counter() - start
        start = time.perf_counter()
        assert check(circuit, "smooth", "decomposable", "structured", "nonnegative")["structured"].status == "proved"
        checked = time.perf_counter() - start
        x = np.random.default_rng(1).integers(0, 2, (ROWS, VARIABLES)).astype(float)
        rows = Evidence(circuit.variables, x, np.ones(x.shape, dtype=bool))
        linear = seconds(lambda c=circuit, e=rows: evaluate(c, LINEAR, e))
        log = seconds(lambda c=circuit, e=rows: evaluate(c, LOG, e))
        one = rows.part(slice(0, 1))
        exact = f"{seconds(lambda c=circuit, e=one: evaluate(c, EXACT, e)):.3g}" if size <= 10**4 else "–"
        count = edges(circuit)
        print(
            f"| {circuit.nodes:,} | {count:,} | {built:.3g} | {checked:.3g} | {linear:.3g} | {log:.3g} | {exact} "
            f"| {log / count / ROWS * 1e9:.1f} | {log / limit(count):.1f} × |"
        )
    print("\n| steps | blocks | build s | variables s | check s | log s (16 rows) | µs per block |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for steps in (10, 100, 1_000, 10_000):
        start = time.perf_counter()
        circuit = chain(steps)
        built = time.perf_counter() - start
        start = time.perf_counter()
        count = len(circuit.variables)
        listed = time.perf_counter() - start
        start = time.perf_counter()
        assert check(circuit, "structured")["structured"].status == "proved"
        checked = time.perf_counter() - start
        rows = Evidence(circuit.variables, np.zeros((ROWS, count)), np.ones((ROWS, count), dtype=bool))
        log = seconds(lambda c=circuit, e=rows: evaluate(c, LOG, e))
        blocks = len(circuit.blocks)
        each = log / blocks * 1e6
        print(f"| {steps:,} | {blocks:,} | {built:.3g} | {listed:.3g} | {checked:.3g} | {log:.3g} | {each:.0f} |")


if __name__ == "__main__":
    main()
