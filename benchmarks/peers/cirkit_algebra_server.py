"""cirkit's side of the algebra: a circuit of its own templates times itself, the integral of that, and its values.

The circuit is written down as a list of layers with weights, so that Danaus, and an enumeration, can hold the same
function. Its semiring is "lse-sum", or "complex-lse-sum" where weights are negative. The bound at −708 is lifted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cirkit.backend.torch.semiring
import cirkit.backend.torch.utils
import cirkit.symbolic.functional as functional
import numpy as np
import torch
from cirkit.pipeline import PipelineContext
from cirkit.symbolic.layers import CategoricalLayer, EmbeddingLayer, HadamardLayer, KroneckerLayer, SumLayer
from cirkit.symbolic.parameters import ConstantParameter
from cirkit.templates import pgms, tensor_factorizations, utils
from cirkit.templates.region_graph import QuadTree
from serve import Served, serve

LEAST = torch.finfo(torch.float32).min


def template(spec: dict[str, Any]) -> Any:
    """The symbolic circuit."""
    weights = utils.Parameterization(activation="none", initialization="normal")
    values, states = spec["values"], spec["states"]
    match spec["kind"]:
        case "train":
            return tensor_factorizations.tensor_train(tuple(values), states, factor_param=weights)
        case "chain":
            return pgms.hmm(
                range(spec["length"]),
                num_latent_states=states,
                input_layer_kwargs={"num_categories": values},
                input_params={"probs": weights},
                weight_param=weights,
            )
        case _:
            factory = utils.parameterization_to_factory(weights)
            leaves = utils.name_to_input_layer_factory("categorical", num_categories=values, probs_factory=factory)
            return QuadTree((1, spec["side"], spec["side"]), num_patch_splits=2).build_circuit(
                input_factory=leaves,
                sum_product=spec["layer"],
                sum_weight_factory=factory,
                num_input_units=states,
                num_sum_units=states,
            )


def write_down(symbolic: Any, find: Any, signed: bool, folder: Path) -> None:
    """Draws weights, in the order of the layers, and writes the layers and weights to a folder."""
    random = np.random.default_rng(0)
    places: dict[Any, int] = {}
    nodes: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for layer in symbolic.topological_ordering():
        node: dict[str, Any] = {"children": [places[child] for child in symbolic.layer_inputs(layer)]}
        match layer:
            case CategoricalLayer() | EmbeddingLayer():
                (variable,) = layer.scope
                node |= {"kind": "input", "variable": variable}
            case HadamardLayer():
                node["kind"] = "hadamard"
            case KroneckerLayer():
                node["kind"] = "pairs"
            case SumLayer():
                node["kind"] = "sum"
            case other:
                raise TypeError(str(other))
        for parameter in layer.params.values():
            (leaf,) = parameter.topological_ordering()
            if isinstance(leaf, ConstantParameter):
                arrays[f"w{len(nodes)}"] = np.asarray(leaf.value, dtype=np.float64)
                continue
            held, fold = find(leaf)
            drawn = random.standard_normal(leaf.shape)
            table = drawn if signed else np.exp(drawn) / np.exp(drawn).sum(-1, keepdims=True)
            table = table.astype(np.float32)
            with torch.no_grad():
                held._ptensor[fold].copy_(torch.from_numpy(table))
            arrays[f"w{len(nodes)}"] = table.astype(np.float64)
        places[layer] = len(nodes)
        nodes.append(node)
    (folder / "layers.json").write_text(json.dumps(nodes))
    np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]  # names are no `allow_pickle`


def make(spec: dict[str, Any]) -> Served:
    """The runs are `multiply`, `ready` (it, and compiled), `integrate` (it, and compiled), `total` and `evaluate`."""
    cirkit.backend.torch.semiring.LOG_CLAMP_MIN = cirkit.backend.torch.utils.LOG_CLAMP_MIN = LEAST
    torch.set_num_threads(spec["threads"])
    torch.set_grad_enabled(False)
    folder = Path(spec["folder"])
    symbolic = template(spec)
    signed = spec["kind"] == "train"
    context = PipelineContext(
        backend="torch", semiring="complex-lse-sum" if signed else "lse-sum", fold=True, optimize=True
    )
    context.compile(symbolic)
    write_down(symbolic, context._compiler._state.retrieve_compiled_parameter, signed, folder)
    x = torch.from_numpy(np.load(folder / "x.npy"))
    held: dict[str, Any] = {}

    def multiply() -> None:
        held["product"] = functional.multiply(symbolic, symbolic)

    def ready() -> None:
        multiply()
        held["square"] = context.compile(held["product"])

    def integrate() -> None:
        held["total"] = context.compile(functional.integrate(held["product"]))

    def answer() -> list[float]:
        ready()
        integrate()
        both = torch.cat([held["total"]().reshape(-1), held["square"](x).reshape(-1)])
        return both.real.tolist()

    runs = {
        "multiply": multiply,
        "ready": ready,
        "integrate": integrate,
        "total": lambda: held["total"](),
        "evaluate": lambda: held["square"](x),
    }
    return Served(runs, answer)


if __name__ == "__main__":
    serve(make)
