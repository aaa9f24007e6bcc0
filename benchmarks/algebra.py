"""Squares of circuits, their integrals and their values, beside cirkit on the same circuits: right, and how fast.

    DANAUS_PEER_CIRKIT=…/python python benchmarks/algebra.py [NAME …] [--threads 1] [--seconds 5]

cirkit builds each circuit from its templates, with weights drawn here, and writes it down; Danaus reads that. Both
multiply it with itself, integrate the product, and evaluate it on rows of data. Where the assignments are few, all are
enumerated with numpy in float64: `right` is whether log Σ p² and log p² of the rows are those to 1e-4; else whether the
two agree. Runs take turns; times are medians, in ms, after one run that does not count:

- `multiply`: the operator alone; `ready`: it, and the product compiled (Danaus finds its machine code in the cache);
- `integrate`: the operator on the product, and the result compiled; `total`: the value of that;
- `evaluate`: the product on all rows;
- `memory`: the most, in MB, that the process grew by from before the first product to after its first value.
"""

from __future__ import annotations

import argparse
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


def enumerated(folder: Path, sizes: list[int], x: np.ndarray) -> np.ndarray | None:
    """log Σ p² over all assignments, and log p² of the rows; None where there are too many."""
    if np.prod(np.array(sizes, dtype=float)) > MOST:
        return None
    everything = np.array(list(itertools.product(*map(range, sizes))))
    return np.log(np.concatenate([[np.sum(values_of(folder, everything) ** 2)], values_of(folder, x) ** 2]))


def first_memory(server: Server) -> tuple[float, list[float]]:
    """How much the server grows by when it multiplies, integrates and evaluates for the first time, and its answer."""
    before = server.ask("set back")["now"]
    answer = server.ask("answer")
    return server.ask("memory")["peak"] - before, answer


def verdict(found: list[float], wanted: np.ndarray) -> str:
    """Whether an answer is what is wanted; if not, its total and the true one."""
    if np.allclose(found, wanted, rtol=1e-4, atol=1e-4):
        return "yes"
    return f"**no**: total {np.exp(found[0]):.6g}, true {np.exp(wanted[0]):.6g}"


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
                wanted = enumerated(folder, sizes, x)
                if wanted is None:
                    same = "agree" if np.allclose(held["cirkit"][1], held["Danaus"][1], rtol=1e-4) else "**differ**"
                    right = {"cirkit": same, "Danaus": same}
                else:
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
