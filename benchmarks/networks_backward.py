"""Forward and backward through networks of scalar nodes on one thread, beside KLay under autograd.

    python benchmarks/networks_backward.py

The networks are SDDs of random sentences (by PySDD, balanced vtrees; clauses of three of a few neighbouring variables),
each literal with a weight to learn. Rows are complete, so that Danaus sees data and KLay, which has none, a row of
weights per row of the batch. All columns take turns; times are medians of the thread's own time. `call` is what a user
types, `model.log_likelihood(x).sum().backward()`; `engine` is the compiled code from codes on, forward and back, and
`forward` the compiled likelihood alone. KLay's are `module(weights, 1 - weights).sum().backward()` in real numbers and
in logarithms. Run it with MALLOC_TOP_PAD_=67108864 MALLOC_TRIM_THRESHOLD_=4294967296, without which torch gives its
memory back and asks again.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import klay
import numpy as np
import torch
from cpu import taken_in_turns
from pysdd.sdd import SddManager, Vtree

import danaus as dn
from danaus.compiler.rewrite import rewritten
from danaus.ir.block import Block, Input, concat, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.linear import Diagonal, selection
from danaus.ir.parameter import Parameter, Value
from danaus.ir.store import Store

VARIABLES = 100
SENTENCES = ((150, 8, 3), (150, 12, 2), (170, 16, 2))
"""Clauses, variables that a clause is picked from, seed: about 3·10⁴, 2·10⁵ and 8·10⁵ edges."""


def written(path: Path, clauses: int, window: int, seed: int) -> None:
    """Writes the SDD of a random sentence, and its vtree beside it."""
    random = np.random.default_rng(seed)
    manager = SddManager.from_vtree(Vtree(var_count=VARIABLES, vtree_type="balanced"))
    sentence = manager.true()
    for _ in range(clauses):
        clause, first = manager.false(), random.integers(0, VARIABLES - window)
        for variable in random.choice(np.arange(first, first + window), 3, replace=False):
            clause = clause | manager.literal(int(variable + 1) * (1 if random.random() < 0.5 else -1))
        sentence = sentence & clause
    sentence.save(str(path).encode())
    manager.vtree().save(str(path.with_suffix(".vtree")).encode())


def with_weights(circuit: Circuit) -> Circuit:
    """Each literal times a weight to learn."""
    literals = [block for block in circuit.blocks if isinstance(block, Input)]
    parameter = Parameter("w", (len(literals),), None, True)
    heavy = weighted([concat(literals)], Diagonal(parameter))
    below: dict[Block, Block] = {
        block: weighted([heavy], selection([i], len(literals))) for i, block in enumerate(literals)
    }
    numbers = np.random.default_rng(0).uniform(0.5, 0.55, len(literals))
    store = Store({parameter: Value.of(numbers)})
    return Circuit(rewritten(circuit.root, below), store, "weighted", circuit.free)


def measure(path: Path, batch: int) -> None:
    """One row of the table."""
    circuit = with_weights(dn.load(path).circuit)
    start = time.perf_counter()
    model = dn.compile(circuit)
    assert model.compiled is not None
    reverse = model.present.reverse()
    engine = model.present.engine()
    assert reverse is not None
    assert engine is not None
    x = np.random.default_rng(0).integers(0, 2, (batch, len(circuit.variables)))
    codes, seeds = np.ascontiguousarray(x.T), np.ones(batch)
    reverse.run(codes, {}, seeds)
    compiled = time.perf_counter() - start
    layout = model.compiled.program.layouts[0]
    model.requires_grad_()

    def call() -> object:
        model.zero_grad()
        return model.log_likelihood(x).sum().backward()

    calls: dict[str, Callable[[], object]] = {
        "call": call,
        "engine": lambda: reverse.run(codes, {}, seeds),
        "forward": lambda: engine.run(codes, {}),
    }
    peer = klay.Circuit()
    peer.add_sdd_from_file(str(path))
    edges = 0
    for kind in ("real", "log"):
        module = peer.to_torch_module(semiring=kind, compile=False)
        edges = sum(len(layer.ix_out) for layer in module.layers)
        positive = torch.rand(batch, len(circuit.variables))
        negative = 1 - positive
        if kind == "log":
            positive, negative = positive.log(), negative.log()
        given = [each.requires_grad_() for each in (positive, negative)]

        def both(module: torch.nn.Module = module, given: list[torch.Tensor] = given) -> object:
            for each in given:
                each.grad = None
            return module(*given).sum().backward()

        def forward(module: torch.nn.Module = module, given: list[torch.Tensor] = given) -> object:
            with torch.no_grad():
                return module(*given)

        calls[kind], calls[f"{kind} forward"] = both, forward
    found = taken_in_turns(calls)
    own = found["engine"] - found["forward"]
    backward = [(found[kind] - found[f"{kind} forward"]) / own for kind in ("real", "log")]
    cells = [f"{layout.edges:,}", f"{edges:,}", str(batch)]
    cells += [f"{found[name] * 1e3:.3g}" for name in ("call", "engine", "forward", "real", "log")]
    cells += [f"{found['real'] / found['engine']:.1f}", f"{found['log'] / found['engine']:.1f}"]
    cells += [f"{each:.1f}" for each in backward]
    cells += [f"{found['real'] / found['call']:.1f}", f"{compiled:.2f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Prints a table in Markdown."""
    torch.set_num_threads(1)
    head = ["edges", "KLay's", "B", "call ms", "engine ms", "forward ms", "KLay real ms", "log ms", "real / engine"]
    head += ["log / engine", "backward alone, real", "log", "real / call", "compile s"]
    print(f"| {' | '.join(head)} |\n|{'---:|' * len(head)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for clauses, window, seed in SENTENCES:
            path = Path(folder) / f"{window}.sdd"
            written(path, clauses, window, seed)
            for batch in (1, 32, 128):
                measure(path, batch)


if __name__ == "__main__":
    main()
