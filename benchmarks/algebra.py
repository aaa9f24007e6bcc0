"""Squares of circuits, their integrals and their values, beside cirkit on the same circuits: right, and how fast.

    DANAUS_PEER_CIRKIT=…/python python benchmarks/algebra.py [NAME …] [--threads 1] [--seconds 5]

cirkit builds each circuit from its templates, with weights drawn here, and writes it down; Danaus reads that. Both
multiply it with itself, integrate the product, and evaluate it on rows of data. `right` is whether log Σ p² and log p²
of the rows are those of numpy in float64 to 1e-4: the values layer by layer, and the total by sums of pairs of layers,
which is that of all assignments, enumerated, where these are at most 65,536. Runs take turns; times are medians, in ms,
after one run that does not count:

- `multiply`: the operator alone; `ready`: it, and the product compiled (Danaus finds its machine code in the cache);
- `integrate`: the operator on the product, and the result compiled; `total`: the value of that;
- `evaluate`: the product on all rows;
- `memory`: the most, in MB, that the process grew by from before the first product to after its first value.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from servers import Server, in_turns

RUNS = ("multiply", "ready", "integrate", "total", "evaluate")
MOST = 1 << 16

WORKLOADS: dict[str, dict[str, Any]] = {
    "tensor train 2·3·2·2, rank 2": {"kind": "train", "values": [2, 3, 2, 2], "states": 2, "batch": 24},
    "tensor train 2·3·2·2, rank 3": {"kind": "train", "values": [2, 3, 2, 2], "states": 3, "batch": 24},
    "chain 6, 3 states": {"kind": "chain", "length": 6, "values": 3, "states": 3, "batch": 64},
    "quad tree 3 × 3, CP 3": {"kind": "tree", "side": 3, "values": 2, "states": 3, "layer": "cp", "batch": 64},
    "quad tree 3 × 3, Tucker 3": {"kind": "tree", "side": 3, "values": 2, "states": 3, "layer": "tucker", "batch": 64},
    "tensor train 8¹⁶, rank 8": {"kind": "train", "values": [8] * 16, "states": 8, "batch": 64},
    "chain 64, 16 states": {"kind": "chain", "length": 64, "values": 16, "states": 16, "batch": 64},
    "chain 64, 32 states": {"kind": "chain", "length": 64, "values": 16, "states": 32, "batch": 64},
    "quad tree 8 × 8, CP 16": {"kind": "tree", "side": 8, "values": 16, "states": 16, "layer": "cp", "batch": 64},
    "quad tree 4 × 4, Tucker 6": {"kind": "tree", "side": 4, "values": 16, "states": 6, "layer": "tucker", "batch": 64},
}


def sizes_of(spec: dict[str, Any]) -> list[int]:
    """The number of values of each variable."""
    if spec["kind"] == "train":
        return list(spec["values"])
    return [spec["values"]] * (spec["length"] if spec["kind"] == "chain" else spec["side"] ** 2)


def values_of(folder: Path, x: np.ndarray) -> np.ndarray:
    """The circuit of a folder on rows, layer by layer as they are written, in float64."""
    arrays = np.load(folder / "weights.npz")
    values: list[np.ndarray] = []
    for number, node in enumerate(json.loads((folder / "layers.json").read_text())):
        below = [values[child] for child in node["children"]]
        match node["kind"]:
            case "input":
                values.append(arrays[f"w{number}"][:, x[:, node["variable"]]])
            case "hadamard":
                values.append(np.prod(below, axis=0))
            case "pairs":
                first, *rest = below
                for each in rest:
                    first = (first[:, None] * each[None]).reshape(-1, len(x))
                values.append(first)
            case _:
                values.append(arrays[f"w{number}"] @ np.concatenate(below))
    return np.asarray(values[-1][0])


def total_of_square(folder: Path) -> float:
    """Σ p² in float64: for two layers of one scope the sums over all assignments of products of their functions.

    Of inputs that is W V^T; of products, of factors in pairs of one scope, their products; a sum is linear in each.
    """
    arrays = np.load(folder / "weights.npz")
    nodes = json.loads((folder / "layers.json").read_text())
    scopes: list[frozenset[int]] = []
    for node in nodes:
        own = {node["variable"]} if node["kind"] == "input" else set()
        scopes.append(frozenset(own.union(*(scopes[child] for child in node["children"]))))
    widths: list[int] = []
    sums: dict[tuple[int, int], np.ndarray] = {}
    for i, first in enumerate(nodes):
        widths.append(len(arrays[f"w{i}"]) if f"w{i}" in arrays else _width(first, widths))
        for j, second in enumerate(nodes[: i + 1]):
            if scopes[i] != scopes[j]:
                continue
            if first["kind"] == "sum":
                found = arrays[f"w{i}"] @ np.concatenate([sums[child, j] for child in first["children"]])
            elif second["kind"] == "sum":
                found = np.concatenate([sums[i, child] for child in second["children"]], axis=1) @ arrays[f"w{j}"].T
            elif first["kind"] == "input":
                found = arrays[f"w{i}"] @ arrays[f"w{j}"].T
            else:
                below = [
                    next(sums[a, b] for b in second["children"] if scopes[a] == scopes[b]) for a in first["children"]
                ]
                found = np.prod(below, axis=0) if first["kind"] == "hadamard" else functools.reduce(np.kron, below)
            sums[i, j], sums[j, i] = found, found.T
    return float(sums[len(nodes) - 1, len(nodes) - 1][0, 0])


def _width(node: dict[str, Any], widths: list[int]) -> int:
    below = [widths[child] for child in node["children"]]
    return below[0] if node["kind"] == "hadamard" else int(np.prod(below))


def wanted_of(folder: Path, sizes: list[int], x: np.ndarray) -> np.ndarray:
    """log Σ p² over all assignments, enumerated where they are few, and log p² of the rows."""
    total = total_of_square(folder)
    if np.prod(np.array(sizes, dtype=float)) <= MOST:
        everything = np.array(list(itertools.product(*map(range, sizes))))
        enumerated = float(np.sum(values_of(folder, everything) ** 2))
        assert np.isclose(total, enumerated, rtol=1e-10), (total, enumerated)
    return np.log(np.concatenate([[total], values_of(folder, x) ** 2]))


def first_memory(server: Server) -> tuple[float, list[float]]:
    """How much the server grows by when it multiplies, integrates and evaluates for the first time, and its answer."""
    before = server.ask("set back")["now"]
    answer = server.ask("answer")
    return server.ask("memory")["peak"] - before, answer


def verdict(found: list[float], wanted: np.ndarray) -> str:
    """Whether an answer is what is wanted; if not, how the logarithm of the total and values are off."""
    off = np.abs(np.array(found) - wanted)
    good = off <= 1e-4 + 1e-4 * np.abs(wanted)
    if good.all():
        return "yes"
    wrong = int((~good[1:]).sum())
    return f"**no**: log total {found[0]:.6g}, true {wanted[0]:.6g}; {wrong} of {len(good) - 1} values wrong"


def measure(name: str, threads: int, seconds: float, cirkit: str) -> list[str]:
    """The rows of a workload."""
    spec = {**WORKLOADS[name], "threads": threads}
    sizes = sizes_of(spec)
    random = np.random.default_rng(1)
    x = np.stack([random.integers(size, size=spec["batch"]) for size in sizes], axis=1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        np.save(folder / "x.npy", x)
        spec["folder"] = place
        with Server(cirkit, "cirkit_algebra_server.py", spec) as theirs:
            theirs.ready()
            cache = str(folder / "cache")
            with Server(sys.executable, "danaus_algebra_server.py", spec, DANAUS_CACHE=cache) as ours:
                ours.ready()
                held = {"cirkit": first_memory(theirs), "Danaus": first_memory(ours)}
                wanted = wanted_of(folder, sizes, x)
                right = {who: verdict(answer, wanted) for who, (_, answer) in held.items()}
                servers = {"cirkit": theirs, "Danaus": ours}
                arms = {f"{who} {run}": (server, run) for run in RUNS for who, server in servers.items()}
                found = {arm: 1e3 * each["wall"] for arm, each in in_turns(arms, seconds, least=3, most=20).items()}
    lines = []
    for who in servers:
        cells = [name, who, right[who], *(f"{found[f'{who} {run}']:.3g}" for run in RUNS), f"{held[who][0]:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    ratios = [f"{found[f'cirkit {run}'] / found[f'Danaus {run}']:.2g}" for run in RUNS]
    memory = held["cirkit"][0] / max(1.0, held["Danaus"][0])
    lines.append(f"| {name} | cirkit / Danaus | | {' | '.join(ratios)} | {memory:.2g} |")
    return lines


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    given = parser.parse_args()
    cirkit = os.environ.get("DANAUS_PEER_CIRKIT")
    if cirkit is None:
        parser.error("DANAUS_PEER_CIRKIT names no interpreter")
    print(f"| circuit | | right | {' | '.join(RUNS)} | memory |\n|---|---|---|{'---:|' * (len(RUNS) + 1)}", flush=True)
    for name in given.names or WORKLOADS:
        try:
            print("\n".join(measure(name, given.threads, given.seconds, cirkit)), flush=True)
        except RuntimeError as failure:
            print(f"| {name} | | {failure} |{' |' * (len(RUNS) + 1)}", flush=True)


if __name__ == "__main__":
    main()
