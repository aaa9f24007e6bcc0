"""Latent states and flows as functions and as queries of a file, against every path of a small chain."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest

import danaus as dn
from danaus.cli import main

SPEC = """
var x[3] : cat(2)
var y : bool
circuit h = hmm(x, states=3)
circuit a { return bernoulli(y, [0.5]) }
circuit b { return bernoulli(y, [1]) }
circuit m = mixture([a, b], [0.25, 0.75])
query best = decode(h)
query states = posterior(h)
query counts = flows(h)
"""


def _paths(circuit: dn.Circuit, row: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of each path with a row, by the chain's own parameters."""
    named = {each.name.partition(".")[2]: circuit.store[each].floats for each in circuit.parameters}
    first, move, emit = named["initial"][0], named["transition"], named["emission"]
    found = {}
    for path in itertools.product(range(3), repeat=3):
        mass = first[path[0]]
        for before, after in itertools.pairwise(path):
            mass *= move[before, after]
        for state, value in zip(path, row, strict=True):
            mass *= 1.0 if np.isnan(value) else emit[state, int(value)]
        found[path] = mass
    return found


ROWS = np.array([[0, 1, 0], [1, 1, 1], [np.nan, 0, 1], [np.nan, np.nan, np.nan]])


def test_states_are_those_of_every_path() -> None:
    circuit = dn.parse(SPEC).circuits["h"]
    best, found = dn.decode(circuit, ROWS), dn.posterior(circuit, ROWS)
    for i, row in enumerate(ROWS):
        paths = _paths(circuit, row)
        top = max(paths, key=paths.__getitem__)
        assert tuple(best.values[i]) == top
        assert best.log_probability[i] == pytest.approx(np.log(paths[top]), abs=1e-12)
        for step, state in itertools.product(range(3), range(3)):
            share = sum(mass for path, mass in paths.items() if path[step] == state) / sum(paths.values())
            assert found[i, step, state] == pytest.approx(share, abs=1e-12)


def test_flows_count_every_path() -> None:
    circuit = dn.parse(SPEC).circuits["h"]
    found = dn.flows(circuit, ROWS[:3])
    want = np.zeros((3, 3))
    for row in ROWS[:3]:
        paths = _paths(circuit, row)
        for path, mass in paths.items():
            for before, after in itertools.pairwise(path):
                want[before, after] += mass / sum(paths.values())
    np.testing.assert_allclose(found["h.transition"], want, atol=1e-12)


def test_a_mixture_has_one_latent() -> None:
    m = dn.parse(SPEC).circuits["m"]
    np.testing.assert_allclose(dn.posterior(m, [[0], [1]]), [[[1, 0]], [[0.125 / 0.875, 0.75 / 0.875]]], atol=1e-12)
    assert dn.decode(m, [[0], [1]]).values.tolist() == [[0], [1]]


def test_as_queries_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, rows = tmp_path / "h.circuit", tmp_path / "rows.csv"
    spec.write_text(SPEC)
    rows.write_text("0,1,0\n1,,1\n")

    def answer(query: str) -> list[list[str]]:
        with pytest.raises(SystemExit) as left:
            main(["run", str(spec), query, "--data", str(rows)])
        assert not left.value.code
        return list(csv.reader(capsys.readouterr().out.splitlines()))

    best = answer("best")
    assert best[0] == ["x[0]", "x[1]", "x[2]", "log_probability", "exact"]
    states = dn.decode(dn.load(spec).circuits["h"], [[0, 1, 0]]).values[0]
    assert best[1][:3] == [str(int(state)) for state in states]
    shown = answer("states")
    assert shown[0] == [f"x[{i}]={k}" for i in range(3) for k in range(3)]
    np.testing.assert_allclose(
        np.array(shown[1], dtype=float), dn.posterior(dn.load(spec).circuits["h"], [[0, 1, 0]]).ravel(), atol=1e-12
    )
    counts = answer("counts")
    assert counts[0] == ["parameter", "entry", "flow"]
    assert sum(float(flow) for name, _, flow in counts[1:] if name == "h.initial") == pytest.approx(2)
    assert {entry for name, entry, _ in counts[1:] if name == "h.initial"} == {"0,0", "0,1", "0,2"}


def test_what_has_no_latents_says_so() -> None:
    x, y = dn.Bool("x"), dn.Bool("y")
    with pytest.raises(dn.DanausError, match="no latent states"):
        dn.decode(dn.Circuit(dn.bernoulli(x, [0.5]) * dn.sum(dn.bernoulli(y, [0.5, 0.1]), [[0.5, 0.5]])), [[0, 1]])
