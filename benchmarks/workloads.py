"""The workloads on which Danaus and its peers compute one function, and what the order asks of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Workload:
    """A function, its rows, its peers, and the ratios asked for by peer and pass; shares are of the matrix rate."""

    spec: Mapping[str, Any]
    peers: tuple[str, ...]
    wanted: Mapping[tuple[str, str], float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)


def image(graph: str, layer: str, states: int, batch: int, forward: float, share: float) -> Workload:
    """A region graph of 28 × 28 pixels of 256 values, as cirkit cuts it."""
    spec = {"graph": graph, "layer": layer, "states": states, "batch": batch, "values": 256, "written": True}
    return Workload(spec, ("cirkit",), {("cirkit", "forward"): forward, ("cirkit", "softmax"): 3.0}, {"forward": share})


def chain(states: int, peers: tuple[str, ...], **more: Any) -> Workload:
    """A hidden Markov model of 256 steps over 32 values, B = 32."""
    own = {each: more.pop(each) for each in ("wanted", "shares") if each in more}
    return Workload({"hmm": 256, "states": states, "batch": 32, "values": 32, **more}, peers, **own)


SCANS = ("jax", "torch")

WORKLOADS: dict[str, Workload] = {
    "quad graph CP 32": image("quad-graph", "cp", 32, 64, 8, 0.65),
    "quad tree CP 32": image("quad-tree-2", "cp", 32, 64, 8, 0.65),
    "quad graph CP 64": image("quad-graph", "cp", 64, 128, 6, 0.65),
    "quad tree CP 64": image("quad-tree-2", "cp", 64, 128, 6, 0.65),
    "quad graph Tucker 32": image("quad-graph", "tucker", 32, 32, 2.2, 0.85),
    "quad tree Tucker 32": image("quad-tree-2", "tucker", 32, 32, 2.2, 0.85),
    "quad tree Tucker 64": image("quad-tree-2", "tucker", 64, 32, 2.2, 0.85),
    "unrolled HMM 64": chain(64, ("cirkit",), written=True, wanted={("cirkit", "forward"): 45, ("cirkit", "both"): 15}),
    "unrolled HMM 256": chain(
        256, ("cirkit",), written=True, wanted={("cirkit", "forward"): 10, ("cirkit", "both"): 6}
    ),
    "HMM 64": chain(64, SCANS),
    "HMM 256": chain(256, SCANS),
    "HMM 1024": chain(
        1024,
        SCANS,
        wanted={("jax", "forward"): 1.5, ("torch", "forward"): 1.5, ("jax", "both"): 1.7, ("torch", "both"): 1.35},
        shares={"forward": 0.9},
    ),
    "Monarch HMM 64 × 64": chain(
        4096,
        ("torch",),
        parts=[64, 64],
        wanted={("torch", "forward"): 4, ("torch", "both"): 2.5},
        shares={"forward": 0.85, "both": 0.55},
    ),
}


def rows(spec: Mapping[str, Any]) -> NDArray[np.int64]:
    """Rows drawn evenly, [batch, variables]."""
    return np.random.default_rng(0).integers(0, spec["values"], (spec["batch"], spec.get("hmm", 784)))


def weights(spec: Mapping[str, Any]) -> dict[str, Floats]:
    """Weights of a hidden Markov model, by the names of the template."""
    random = np.random.default_rng(0)

    def simplex(*shape: int) -> Floats:
        found: Floats = np.exp(random.standard_normal(shape))
        found /= found.sum(-1, keepdims=True)
        return found

    states, parts = spec["states"], spec.get("parts")
    out = {"initial": simplex(1, states), "emission": simplex(states, spec["values"])}
    if parts is None:
        return out | {"transition": simplex(states, states)}
    first, second = parts
    return out | {"transition": simplex(second, first, first), "transition#1": simplex(first, second, second)}


def lay_out(spec: Mapping[str, Any], folder: Path) -> None:
    """Writes rows and, of a template's chain, weights to a folder."""
    np.save(folder / "x.npy", rows(spec))
    if not spec.get("written"):
        np.savez(folder / "weights.npz", **weights(spec))  # type: ignore[arg-type]  # names are no `allow_pickle`
