"""Parse and check generated d-DNNFs in c2d's syntax: seconds and memory against size and depth, beside KLay's parser.

    python benchmarks/nnf.py

Each measurement is a process of its own, and the fastest of three is kept. The sentences are smooth, decomposable and
deterministic: a decision tree over the first variables, whose leaves are products of five nodes, one for each interval
of the other variables; an interval's nodes are decisions `(x ∧ a ∧ … ∧ e) ∨ (¬x ∧ …)` on its first variable over nodes
of the five intervals that it splits in. Every node is used. The deep one has ten towers of products, 10⁵ levels high,
each node of four children, on ten such sentences. KLay (`pip install klaycircuits`) is measured where it is installed.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

VARIABLES = 1000
PARTS = 5
LEVELS = 100_000


class Sentence:
    """Lines of nodes, children first: node 2i is the literal x(i+1), node 2i + 1 its negation, and then the others."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[tuple[str, list[int]]] = [("L", [])] * (2 * VARIABLES)
        self.edges = 0

    def add(self, start: str, children: list[int]) -> int:
        self.nodes.append((start, children))
        self.edges += len(children)
        return len(self.nodes) - 1

    def pool(self, first: int, last: int, sizes: list[int]) -> list[int]:
        """Nodes over the variables first … last − 1, as many as the first size says."""
        if last - first == 1:
            return [2 * first, 2 * first + 1]
        parts = self.split(first + 1, last, sizes[1:])
        decks = [np.resize(self.random.permutation(part), 2 * sizes[0]).tolist() for part in parts]
        made: list[int] = []
        for decision in range(sizes[0]):
            both = [self.add("A", [2 * first + s, *(deck[2 * decision + s] for deck in decks)]) for s in (0, 1)]
            made.append(self.add(f"O {first + 1}", both))
        return made

    def split(self, first: int, last: int, sizes: list[int]) -> list[list[int]]:
        bounds = np.unique(np.linspace(first, last, PARTS + 1).astype(int)).tolist()
        return [self.pool(a, b, sizes) for a, b in pairwise(bounds)]

    def over(self, first: int, last: int, nodes: int) -> int:
        """The root of a sentence of about so many nodes over the variables first … last − 1."""
        tested = max(1, int(np.log2(nodes / 16)))
        leaves = 1 << tested
        depth, size = 0, (last - first - tested) / PARTS
        while size > 1:
            depth, size = depth + 1, size / PARTS
        share = (nodes - 4 * leaves) / 3 / max(depth, 1)
        sizes = [max(2, int(share / PARTS**level)) for level in range(1, depth + 3)]
        parts = self.split(first + tested, last, sizes)
        decks = [np.resize(self.random.permutation(part), leaves).tolist() for part in parts]
        level = [self.add("A", [deck[leaf] for deck in decks]) for leaf in range(leaves)]
        for variable in reversed(range(first, first + tested)):
            level = [
                self.add(f"O {variable + 1}", [self.add("A", [2 * variable, a]), self.add("A", [2 * variable + 1, b])])
                for a, b in zip(level[::2], level[1::2], strict=True)
            ]
        return level[0]

    def c2d(self) -> str:
        lines = [f"nnf {len(self.nodes)} {self.edges} {VARIABLES}"]
        lines += [f"L {sign * variable}" for variable in range(1, VARIABLES + 1) for sign in (1, -1)]
        for start, children in self.nodes[2 * VARIABLES :]:
            lines.append(f"{start} {len(children)} {' '.join(map(str, children))}".rstrip())
        return "\n".join(lines) + "\n"

    def d4(self) -> str:
        """The same nodes, the root first; literals stand on the edges, which come children first."""
        count = len(self.nodes)
        lines = [f"{start[0].lower()} {i + 1} 0" for i, (start, _) in enumerate(self.nodes[: 2 * VARIABLES - 1 : -1])]
        true = len(lines) + 1
        lines.append(f"t {true} 0")
        for node in range(2 * VARIABLES, count):
            start, children = self.nodes[node]
            literals = [(c // 2 + 1) * (-1 if c % 2 else 1) for c in children if c < 2 * VARIABLES]
            inner = [count - c for c in children if c >= 2 * VARIABLES]
            if start == "A":
                said = "".join(f"{literal} " for literal in literals)
                inner = inner if inner or not literals else [true]
                lines += [f"{count - node} {c} {said if c is inner[0] else ''}0" for c in inner]
            else:
                lines += [f"{count - node} {c} 0" for c in inner]
                lines += [f"{count - node} {true} {literal} 0" for literal in literals]
        return "\n".join(lines) + "\n"


def flat(nodes: int) -> Sentence:
    """A sentence of about so many nodes over all variables."""
    made = Sentence()
    made.over(0, VARIABLES, nodes)
    return made


def deep() -> Sentence:
    """Ten towers of `LEVELS` products on ten small sentences, and their product."""
    made = Sentence()
    width = VARIABLES // 10
    tops = [made.over(start, start + width, 2000) for start in range(0, VARIABLES, width)]
    true = made.add("A", [])
    for _ in range(LEVELS):
        tops = [made.add("A", [top, true, true, true]) for top in tops]
    made.add("A", tops)
    return made


def measure(path: str) -> dict[str, float]:
    """Seconds to parse and to check, and the most memory, in this process."""
    import danaus as dn

    start = time.perf_counter()
    circuit = dn.load(path).circuit
    found = {"parse": time.perf_counter() - start}
    for name in ("smooth", "decomposable", "deterministic"):
        start = time.perf_counter()
        assert dn.check(circuit, name)[name].status == "proved", name
        found[name] = time.perf_counter() - start
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def measure_klay(path: str) -> dict[str, float]:
    """Seconds that KLay takes to parse the same file, and to lay it out."""
    import klay

    start = time.perf_counter()
    circuit = klay.Circuit()
    root = circuit.add_d4_from_file(path)
    found = {"parse": time.perf_counter() - start}
    circuit.set_root(root)
    start = time.perf_counter()
    klay.check_smooth(circuit)
    klay.check_decomposability(circuit)
    found["checks"] = time.perf_counter() - start
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def best(kind: str, path: Path) -> dict[str, float] | None:
    """The fastest of three processes; None where one fails, as where the peer is not installed."""
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, __file__, kind, str(path)], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr.strip().splitlines()[-1], file=sys.stderr)
            return None
        runs.append(json.loads(done.stdout))
    return min(runs, key=lambda run: sum(value for name, value in run.items() if name != "memory"))


def generate(which: str, folder: Path) -> dict[str, int]:
    """Writes a sentence in both syntaxes, and says how large it is."""
    made = deep() if which == "deep" else flat(int(which))
    (folder / "c2d.nnf").write_text(made.c2d())
    (folder / "d4.nnf").write_text(made.d4())
    return {"nodes": len(made.nodes), "edges": made.edges}


def main() -> None:
    """Prints the table. The sentences are made in processes of their own, so that none inherits their memory."""
    print("| sentence | syntax | by | parse s | smooth s | decomposable s | deterministic s | checks s | MB |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    for name, which in (("10⁵", "100000"), ("10⁶", "1000000"), ("10⁵ levels", "deep")):
        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run([sys.executable, __file__, which, folder], capture_output=True, text=True, check=True)
            size = json.loads(made.stdout)
            for syntax, kind in (("c2d", "danaus"), ("d4", "danaus"), ("d4", "klay")):
                found = best(kind, Path(folder) / f"{syntax}.nnf")
                if found is None:
                    continue
                checks = [found.get(check) for check in ("smooth", "decomposable", "deterministic")]
                total = found.get("checks") or sum(check or 0.0 for check in checks)
                seconds = ["–" if value is None else f"{value:.2f}" for value in (found["parse"], *checks, total)]
                sentence = f"{name}: {size['nodes']:,} nodes, {size['edges']:,} edges"
                print(f"| {sentence} | {syntax} | {kind} | {' | '.join(seconds)} | {found['memory']:.0f} |", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["danaus", path]:
            print(json.dumps(measure(path)))
        case ["klay", path]:
            print(json.dumps(measure_klay(path)))
        case [which, folder]:
            print(json.dumps(generate(which, Path(folder))))
