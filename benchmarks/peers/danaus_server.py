"""Danaus' side: a circuit of its own templates, or one that a peer has written down, with given weights.

Runs: `forward` and `both` are what a user calls; `engine` and `reverse` the compiled code alone, from codes on, with
derivatives of all tables; `softmax` is `both` over free logits;
`mm` is torch's matrix product of 512 × 512, for the machine's pace; `long mm` one of 2048 × 2048, where asked for.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from serve import Served, memory, serve

import danaus as dn
from danaus.compiler.pipeline import program_of
from danaus.ir.block import Block, hadamard, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.family import Categorical
from danaus.ir.linear import BlockDiagonal, Dense, compose, rotation
from danaus.ir.parameter import Parameter, Value
from danaus.ir.program.work import operations_per_row
from danaus.ir.store import Store
from danaus.runtime.unconstrained import Unconstrained


def written(folder: Path, values: int, count: int) -> Circuit:
    """The circuit of a peer's layers."""
    arrays = np.load(folder / "weights.npz")
    variables = list(dn.Cat("x", values, shape=count))
    store: dict[Parameter, Value] = {}
    blocks: list[Block] = []
    for number, node in enumerate(json.loads((folder / "layers.json").read_text())):
        below = [blocks[child] for child in node["children"]]
        name = f"w{number}"
        if name in arrays:
            table = arrays[name]
            if node["kind"] == "mix":
                table = table[:, None]
            parameter = Parameter(name, table.shape, "simplex", True)
            store[parameter] = Value.of(table)
        match node["kind"]:
            case "input":
                blocks.append(input_block(Categorical(), variables[node["variable"]], [parameter]))
            case "hadamard":
                blocks.append(hadamard(below))
            case "pairs":
                blocks.append(pairs(below))
            case "mix":
                turn = rotation((len(below), table.shape[0]))
                blocks.append(weighted(below, compose([BlockDiagonal(parameter), turn])))
            case _:
                blocks.append(weighted(below, Dense(parameter)))
    return Circuit(blocks[-1], Store(store))


def chain(spec: dict[str, Any]) -> Circuit:
    """The hidden Markov model of the templates, with the weights of the folder."""
    parts = spec.get("parts")
    transition = None if parts is None else dn.monarch(*parts)
    made = dn.hmm(dn.Cat("x", spec["values"], shape=spec["hmm"]), states=spec["states"], transition=transition)
    arrays = np.load(Path(spec["folder"]) / "weights.npz")
    assert set(arrays) == {each.name.partition(".")[2] for each in made.parameters}
    return made.over(Store({each: Value.of(arrays[each.name.partition(".")[2]]) for each in made.parameters}))


def make(spec: dict[str, Any]) -> Served:
    """With `written` a peer's layers, else a chain; `runs` may name the few that are wanted."""
    torch.set_num_threads(spec["threads"])
    folder, threads = Path(spec["folder"]), spec["threads"]
    x = np.load(folder / "x.npy")
    circuit = written(folder, spec["values"], x.shape[1]) if spec.get("written") else chain(spec)
    dn.compile(dn.hmm(dn.Cat("x", 2, shape=2), states=2))  # what is done once in a process
    start = time.perf_counter()
    model = dn.compile(circuit)
    facts: dict[str, Any] = {"compile": time.perf_counter() - start, "blocks": len(circuit.blocks)}
    if spec.get("again", True):
        start = time.perf_counter()
        dn.compile(circuit.over(circuit.store))
        facts["cached"] = time.perf_counter() - start
    facts |= memory()
    engine, columns, compiled = model.present.engine(), model.columns, model.compiled
    assert engine is not None
    assert columns is not None
    assert compiled is not None
    codes = columns.plain(x, None)
    assert codes is not None
    laid = np.ascontiguousarray(codes.T)
    ones = np.ones(len(x))
    facts["work"] = operations_per_row(program_of(circuit)) * len(x)
    facts["parameters"] = int(sum(tensor.numel() for tensor in model.parameters()))
    a, b, c = (torch.rand(512, 512) for _ in range(3))
    d, e, f = (torch.rand(1, 1) for _ in range(3))
    if spec.get("long"):
        d, e, f = (torch.rand(2048, 2048) for _ in range(3))
    model.requires_grad_()

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return model.log_likelihood(x)

    def both() -> None:
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(model.log_likelihood(x).sum())

    free: list[Unconstrained] = []

    def softmax() -> None:
        if not free:
            free.append(model.unconstrained())
        free[0].zero_grad(set_to_none=True)
        with torch.no_grad():
            free[0].numbers.add_(0.0)  # as an optimiser's step: nothing may be kept from the last run
        torch.autograd.backward(free[0].log_likelihood(x).sum())

    def reverse() -> None:
        found = model.present.reverse()
        assert found is not None
        found.run(laid, {}, ones, threads, False)

    runs = {
        "forward": forward,
        "engine": lambda: engine.run(laid, {}, threads),
        "both": both,
        "softmax": softmax,
        "reverse": reverse,
        "mm": lambda: torch.mm(a, b, out=c),
        "long mm": lambda: torch.mm(d, e, out=f),
    }
    return Served(runs, lambda: forward().tolist(), facts)


if __name__ == "__main__":
    serve(make)
