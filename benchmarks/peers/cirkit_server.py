"""cirkit's side: one of its own templates, written down as a list of layers, so that Danaus can hold the same function.

Weights are random and on the simplex; with `softmax` they are the softmax of free logits, which each run computes.
0.3.1 clamps logarithms at −708; that bound is set to float32's least, or an image's log-likelihood would be wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cirkit.backend.torch.semiring
import cirkit.backend.torch.utils
import numpy as np
import torch
from cirkit.pipeline import PipelineContext
from cirkit.symbolic.layers import CategoricalLayer, HadamardLayer, KroneckerLayer, SumLayer
from cirkit.symbolic.parameters import MixingWeightParameter, TensorParameter
from cirkit.templates import data_modalities, pgms, utils
from serve import Served, serve

LEAST = torch.finfo(torch.float32).min


def template(spec: dict[str, Any]) -> Any:
    """The symbolic circuit."""
    activation = "softmax" if spec["softmax"] else "none"
    weights = utils.Parameterization(activation=activation, initialization="normal")
    if "hmm" in spec:
        return pgms.hmm(
            range(spec["hmm"]),
            num_latent_states=spec["states"],
            input_layer_kwargs={"num_categories": spec["values"]},
            input_params={"probs": weights},
            weight_param=weights,
        )
    return data_modalities.image_data(
        (1, 28, 28),
        region_graph=spec["graph"],
        input_layer="categorical",
        num_input_units=spec["states"],
        sum_product_layer=spec["layer"],
        num_sum_units=spec["states"],
        input_params={"probs": weights},
        sum_weight_param=weights,
    )


def write_down(symbolic: Any, find: Any, softmax: bool, folder: Path | None) -> None:
    """Draws weights, in the order of the layers, and writes the layers and weights to a folder."""
    random = np.random.default_rng(0)
    places: dict[Any, int] = {}
    nodes: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for layer in symbolic.topological_ordering():
        node: dict[str, Any] = {"children": [places[child] for child in symbolic.layer_inputs(layer)]}
        match layer:
            case CategoricalLayer():
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
            parts = list(parameter.topological_ordering())
            if any(isinstance(part, MixingWeightParameter) for part in parts):
                node["kind"] = "mix"
            (tensor,) = (part for part in parts if isinstance(part, TensorParameter))
            held, fold = find(tensor)
            logits = random.standard_normal(tensor.shape).astype(np.float32)
            table = np.exp(logits.astype(np.float64))
            table /= table.sum(-1, keepdims=True)
            with torch.no_grad():
                held._ptensor[fold].copy_(torch.from_numpy(logits if softmax else table.astype(np.float32)))
            arrays[f"w{len(nodes)}"] = table
        places[layer] = len(nodes)
        nodes.append(node)
    if folder is not None:
        (folder / "layers.json").write_text(json.dumps(nodes))
        np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]  # names are no `allow_pickle`


def make(spec: dict[str, Any]) -> Served:
    """`write` is whether the layers are written to the folder."""
    cirkit.backend.torch.semiring.LOG_CLAMP_MIN = cirkit.backend.torch.utils.LOG_CLAMP_MIN = LEAST
    torch.set_num_threads(spec["threads"])
    torch.set_flush_denormal(True)
    folder = Path(spec["folder"])
    symbolic = template(spec)
    context = PipelineContext(backend="torch", semiring="lse-sum", fold=True, optimize=True)
    model = context.compile(symbolic)
    find = context._compiler._state.retrieve_compiled_parameter
    write_down(symbolic, find, spec["softmax"], folder if spec["write"] else None)
    x = torch.from_numpy(np.load(folder / "x.npy"))

    def forward() -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model(x)
            return found

    def both() -> None:
        model.zero_grad(set_to_none=True)
        model(x).sum().backward()

    return Served({"forward": forward, "both": both}, lambda: forward().ravel().tolist())


if __name__ == "__main__":
    serve(make)
