"""Danaus' side of the algebra: the circuit that cirkit has written down, times itself, integrated, and evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from serve import Served, serve

import danaus as dn
from danaus.ir.block import Block, hadamard, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.family import Categorical, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import Parameter, Value
from danaus.ir.store import Store


def written(folder: Path, sizes: list[int], signed: bool) -> Circuit:
    """The circuit of a folder's layers and weights."""
    arrays = np.load(folder / "weights.npz")
    variables = [dn.Cat(f"x{place}", size) for place, size in enumerate(sizes)]
    store: dict[Parameter, Value] = {}
    blocks: list[Block] = []
    for number, node in enumerate(json.loads((folder / "layers.json").read_text())):
        below = [blocks[child] for child in node["children"]]
        if (name := f"w{number}") in arrays:
            table = arrays[name] if signed else arrays[name] / arrays[name].sum(-1, keepdims=True)
            parameter = Parameter(name, table.shape, "real" if signed else "simplex", True)
            store[parameter] = Value.of(table)
        match node["kind"]:
            case "input":
                family = Table() if signed else Categorical()
                blocks.append(input_block(family, variables[node["variable"]], [parameter]))
            case "hadamard":
                blocks.append(hadamard(below))
            case "pairs":
                blocks.append(pairs(below))
            case _:
                blocks.append(weighted(below, Dense(parameter)))
    return Circuit(blocks[-1], Store(store))


def make(spec: dict[str, Any]) -> Served:
    """The runs are those of cirkit's side; float32 there is float32 here."""
    torch.set_num_threads(spec["threads"])
    folder = Path(spec["folder"])
    x = np.load(folder / "x.npy")
    sizes = spec["values"] if spec["kind"] == "train" else [spec["values"]] * x.shape[1]
    circuit = written(folder, sizes, spec["kind"] == "train")
    dn.compile(dn.hmm(dn.Cat("x", 2, shape=2), states=2))  # what is done once in a process
    held: dict[str, Any] = {}
    nothing = np.zeros((1, 0))

    def multiply() -> None:
        held["product"] = dn.multiply(circuit, circuit)

    def ready() -> None:
        multiply()
        held["square"] = dn.compile(held["product"])

    def integrate() -> None:
        held["total"] = dn.compile(dn.integrate(held["product"]))

    def total() -> Any:
        return held["total"].log_likelihood(nothing)

    def evaluate() -> Any:
        with torch.no_grad():
            return held["square"].log_likelihood(x)

    def answer() -> list[float]:
        ready()
        integrate()
        return [*total().tolist(), *evaluate().tolist()]

    runs = {"multiply": multiply, "ready": ready, "integrate": integrate, "total": total, "evaluate": evaluate}
    return Served(runs, answer)


if __name__ == "__main__":
    serve(make)
