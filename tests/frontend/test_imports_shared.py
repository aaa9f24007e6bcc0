"""A file that is imported by several ways has one set of parameters, and no circuit changes its meaning by that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import danaus as dn

LEAF = """var x : bool
param w[1, 2] : positive
circuit p { return sum(concat(bernoulli(x, [0.0]), bernoulli(x, [1.0])), w) }
"""
SIDE = 'import "{}.circuit" as d\ncircuit p = d.p\n'
TOP = 'import "b.circuit" as b\nimport "c.circuit" as c\ncircuit p { return sum(concat(b.p, c.p), [[1, 1]]) }\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.circuit").write_text(LEAF)
    Path("b.circuit").write_text(SIDE.format("d"))
    Path("c.circuit").write_text(SIDE.format("d"))
    Path("a.circuit").write_text(TOP)


def values(path: str) -> list[float]:
    """The circuit of a file at false and at true; what stands under w is one of the two."""
    return np.asarray(dn.evaluate(dn.load(path).circuits["p"], [[0], [1]])).tolist()


def test_a_diamond_shares_parameters() -> None:
    spec = dn.load("a.circuit")
    assert len(spec.store) == 1
    assert spec.parameters["b.d.w"] is spec.parameters["c.d.w"]
    assert values("a.circuit") == pytest.approx([2 * value for value in values("d.circuit")])


def test_a_trained_diamond_shares_them_still() -> None:
    trained = np.array([[0.25, 3.0]])
    save_file({"b.d.w": trained, "c.d.w": trained}, "w.safetensors")
    Path("a.circuit").write_text(TOP.replace("circuit p", 'load "w.safetensors"\ncircuit p'))
    assert len(dn.load("a.circuit").store) == 1
    assert values("a.circuit") == [0.5, 6.0]


@pytest.mark.parametrize("loads", ["b", "c", "bc", "a"])
def test_files_that_load_other_values_have_parameters_of_their_own(loads: str) -> None:
    """Each side means in the diamond what it means alone."""
    for number, name in enumerate(loads):
        save_file({"d.w": np.array([[1.0 + number, 5.0]])}, f"{name}.safetensors")
        if name != "a":
            Path(f"{name}.circuit").write_text(f'load "{name}.safetensors"\n' + SIDE.format("d"))
    if loads == "a":
        save_file({"b.d.w": np.array([[1.0, 2.0]]), "c.d.w": np.array([[10.0, 20.0]])}, "a.safetensors")
        Path("a.circuit").write_text('load "a.safetensors"\n' + TOP)
        assert values("a.circuit") == [11.0, 22.0]
    else:
        alone = zip(values("b.circuit"), values("c.circuit"), strict=True)
        assert values("a.circuit") == pytest.approx([sum(pair) for pair in alone])
    assert len(dn.load("a.circuit").store) == 2


def test_a_tower_of_diamonds_is_read_once() -> None:
    """Each storey imports the one below by two ways, so that there are 2⁹ ways to the ground."""
    for level in range(1, 10):
        for name in ("l", "r"):
            below = "d" if level == 1 else f"m{level - 1}"
            Path(f"{name}{level}.circuit").write_text(SIDE.format(below))
        sides = f'import "l{level}.circuit" as l\nimport "r{level}.circuit" as r\ncircuit p = r.p\n'
        Path(f"m{level}.circuit").write_text(sides)
    assert values("m9.circuit") == values("d.circuit")
    assert len(dn.load("m9.circuit").store) == 1
