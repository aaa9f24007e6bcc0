"""Bundles of circuits of both signs: their code, and answers beside those of the model that was saved."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.runtime.bundled import Bundled
from signed_forms import FORMS
from signed_numbers import assign, drawn, rows_of

NETWORK = """
var a : bool
var b : bool
param W[2] : real = [0.5, -0.25]
circuit p { return sum(concat([a = 0] * [b = 1], [b = 0] * [a = 1]), W, width=1, map=sparse([0, 0], [0, 1])) }
"""


def _told(ask: Any) -> tuple[np.ndarray, list[str]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = ask()
    return np.asarray(found), [str(each.message) for each in told]


@pytest.mark.parametrize(("name", "dtype"), [("dense chain", "float32"), ("folded chain", "float64")])
def test_a_bundle_has_code_for_both_signs(name: str, dtype: Any, tmp_path: Path) -> None:
    circuit = drawn(FORMS[name](), 3)
    model = dn.compile(circuit, dtype=dtype)
    model.save(tmp_path / "p.zip")
    loaded = dn.load_bundle(tmp_path / "p.zip")
    assert isinstance(loaded, Bundled)
    x, observed = rows_of(circuit, 60, 1)
    mine, said = _told(lambda: model.log_rows(x, observed))
    got, told = _told(lambda: loaded._log_likelihood(x, observed))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(mine))
    assert np.isnan(mine).any() and told == said
    np.testing.assert_allclose(got, mine, rtol=1e-5, atol=1e-5)
    assert loaded.origin == "bundle" and loaded.recomputed == 0


def test_rows_that_cancel_are_the_programs(tmp_path: Path) -> None:
    p = dn.hmm(dn.Cat("x", 3, shape=4), states=3)
    dn.compile(dn.add(p, dn.scale(p, -1.0))).save(tmp_path / "p.zip")
    loaded = dn.load_bundle(tmp_path / "p.zip")
    assert isinstance(loaded, Bundled)
    x = rows_of(p, 7, 1)[0]
    assert (loaded.log_likelihood(x).numpy() == -np.inf).all()
    assert loaded.recomputed == 7 and loaded.origin == "bundle"


@pytest.mark.parametrize(
    ("weights", "origin"), [([0.5, -0.25], "bundle"), ([-1e200, 1e-200], "bundle"), ([1e-306, -1], "none")]
)
def test_networks(weights: list[float], origin: str, tmp_path: Path) -> None:
    circuit = dn.parse(NETWORK).circuit
    assert isinstance(circuit, Circuit)
    model = dn.compile(circuit)
    assign(model, {"W": weights})
    model.save(tmp_path / "p.zip")
    loaded = dn.load_bundle(tmp_path / "p.zip")
    assert isinstance(loaded, Bundled)
    x = np.array([[0, 1], [1, 0], [1, 1]])[:, [["a", "b"].index(v.name) for v in circuit.variables]]
    found, told = _told(lambda: loaded.log_likelihood(x))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found, [*np.log(weights), -np.inf], rtol=1e-6)
    assert loaded.origin == origin and len(told) == 1 and "is negative at row" in told[0]
