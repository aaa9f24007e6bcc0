"""What is measured on a GPU runs from end to end: in small, through the interpreter, with no time that is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"

FAILING = """
import torch

class structures:
    @staticmethod
    def HMM(**given):
        return "chain"

class distributions:
    @staticmethod
    def Categorical(**given):
        raise TypeError("a|b")

class set_block_size:
    def __init__(self, block_size):
        pass
    __enter__ = __exit__ = lambda *given: None

def inputs(*given, dist, **more):
    return dist(num_cats=2)

class Circuit:
    def to(self, device):
        return self
    def __call__(self, codes, **given):
        return torch.zeros(len(codes), 1)
    def backward(self, codes, **given):
        raise torch.OutOfMemoryError("no")

def compile(nodes, verbose):
    return Circuit()
"""
"""A package named as PyJuice whose backward finds no memory, and that fails where a factor or an image is made."""

pytest.importorskip("sympy")
pytest.importorskip("triton")


def test_every_measurement_runs(tmp_path: Path) -> None:
    """Every column that needs no peer has a number; a peer that fails is a word in its cells, and the others go on."""
    package = tmp_path / "pyjuice"
    package.mkdir()
    (package / "__init__.py").write_text(FAILING)
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    given = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": paths}
    run = [sys.executable, "gpu.py", "--dry"]
    said = subprocess.run(run, cwd=BENCHMARKS, capture_output=True, text=True, check=False, env=given)
    assert said.returncode == 0, said.stderr
    tables: dict[str, list[dict[str, str]]] = {}
    title, names = "", list[str]()
    for line in said.stdout.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            title, names = line[3:], []
        elif line.startswith("|") and not names:
            names = cells
        elif line.startswith("| "):
            tables.setdefault(title, []).append(dict(zip(names, cells, strict=True)))
    assert [float(row["largest error"]) < 1e-6 for row in tables["Parity"] if row["of"] in ("ours", "eager")] == [
        True
    ] * 2
    chains = tables["Hidden Markov models"]
    assert [row["model"] for row in chains] == ["dense", "Monarch 2×3"]
    for row in chains:
        own = ("forward", "both", "call", "counts", "step", "eager", "eager tf32", "eager both")
        assert all(float(row[name]) > 0 for name in own), row
    assert float(chains[0]["PyJuice"]) > 0 and chains[0]["PyJuice both"] == chains[0]["PyJuice step"] == "memory"
    assert chains[1]["PyJuice"] == "TypeError: a/b"
    assert [row["circuit"] for row in tables["Images"]] == ["HCLT", "PD"]
    for row in tables["Images"]:
        assert all(float(row[name]) > 0 for name in ("forward", "both", "call", "counts", "step")), row
        assert row["PyJuice"] == "TypeError: a/b"
    assert [row["B"] for row in tables["d-DNNFs"]] == ["1", "2"]
    assert all(float(row[name]) > 0 for row in tables["d-DNNFs"] for name in ("ours", "back", "edges"))


@pytest.mark.parametrize("kind", ["HCLT", "PD"])
def test_scaled_programs_are_those_of_the_circuits(kind: str) -> None:
    import danaus as dn
    from danaus.backends.triton.plan import plan
    from danaus.compiler.pipeline import program_of

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import gpu_images

    side, states = 4, 5
    circuit = gpu_images.image_circuit(kind, states, side, 2)
    if kind == "HCLT":
        circuit = dn.hclt(gpu_images.images(2000, side, 2), dn.Cat("x", 2, shape=side * side), states=states)
    wanted, program = program_of(circuit), gpu_images.image_program(kind, states, side, 2)
    assert (program.operations, program.tables, program.buffers) == (wanted.operations, wanted.tables, wanted.buffers)
    ours, theirs = plan(program, "bf16x3", 64), plan(wanted, "bf16x3", 64)
    assert [launch.kernel.digest for launch in ours.launches] == [launch.kernel.digest for launch in theirs.launches]


def test_a_decision_diagram_is_the_function_that_was_drawn() -> None:
    import danaus as dn

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import gpu_images
    import numpy as np

    variables = 5
    x = (np.arange(2**variables)[:, None] >> np.arange(variables) & 1).astype(float)
    levels = gpu_images.drawn_branches(variables, 3)
    wanted = []
    for row in x.astype(int):
        node = 0
        for level in range(variables - 1):
            node = int(levels[level][node][1 - row[level]])
        wanted.append(levels[-1][node] == 1 - row[-1])
    found = dn.evaluate(gpu_images.decisions(variables, 3), x, semiring="log")
    assert np.array_equal(np.isfinite(found), wanted) and 0 < sum(wanted) < len(wanted)
