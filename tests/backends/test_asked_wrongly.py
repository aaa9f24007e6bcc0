"""Compiled circuits asked wrongly: a diagnostic and no traceback; and what they answer of negative values."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn

RAIN = dn.parse(
    "var r : bool; var w : cat(3)"
    "; circuit p { return sum(bernoulli(r, [0.2, 0.9]) * table(w, [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]]), [[0.3, 0.7]]) }"
).circuit
SIGNED = dn.parse(
    "var x : cat(3); var f : bool; circuit p {"
    " return sum(table(x, [[0.2, 0.5, 0.5], [0.9, 0.5, 0]]) * bernoulli(f, [0.5, 0.5]), [[0.5, -0.5]]) }"
).circuit


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(dn.DanausError) as caught:
        act()
    (found,) = caught.value.diagnostics
    return f"{found.code}: {found.message}"


@pytest.fixture(params=["compiled", "bundle"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return made(RAIN, request.param, tmp_path)


def made(circuit: dn.Circuit, kind: str, folder: Path) -> Any:
    compiled = dn.compile(circuit, dtype="float64")
    if kind == "compiled":
        return compiled
    compiled.save(folder / "p.danaus")
    return dn.load_bundle(folder / "p.danaus")


def test_tensors_that_numpy_does_not_know(model: Any) -> None:
    rows = [[1, 2], [0, 0]]
    want = torch.tensor(dn.likelihood(RAIN, rows))
    for kind in (torch.bfloat16, torch.float16, torch.uint8, torch.int16):
        torch.testing.assert_close(model.log_likelihood(torch.tensor(rows, dtype=kind)), want)
    hollow = torch.tensor([[1.0, float("nan")]], dtype=torch.bfloat16)
    torch.testing.assert_close(model.marginal(hollow), torch.tensor(dn.marginal(RAIN, [[1, np.nan]])))
    given = torch.tensor(rows, dtype=torch.float64)
    assert refusal(lambda: model.log_likelihood(given.to_sparse())).startswith("wrong-dtype: the tensor has the layout")
    assert refusal(lambda: model.log_likelihood(given.to("meta"))).startswith("wrong-dtype")
    assert refusal(lambda: model.log_likelihood(given.to(torch.complex64))).startswith("wrong-dtype")
    assert refusal(lambda: model.log_likelihood(given.to(torch.float8_e5m2))).startswith("wrong-dtype")


def test_masked_arrays_do_not_lose_their_masks(model: Any) -> None:
    rows = np.ma.masked_array([[1, 2]], mask=[[False, True]])
    for act in (model.log_likelihood, model.marginal, model.map, model.sample):
        assert refusal(partial(act, rows)) == "wrong-dtype: x is a masked array"
    observed = np.ma.masked_array([[True, True]], mask=[[False, True]])
    assert refusal(lambda: model.log_likelihood(rows.data, observed)) == "wrong-dtype: observed is a masked array"


def test_seeds_and_counts(model: Any) -> None:
    assert torch.equal(model.sample(np.int64(3), seed=np.int64(4)), model.sample(3, seed=4))
    for seed, said in ((-1, "is out of range"), (2**64, "is out of range"), ("a", "is no whole number")):
        assert refusal(partial(model.sample, 2, seed=seed)) == f"wrong-value: the seed {seed} {said}"
        assert refusal(partial(model.sample, [[np.nan, 2]], seed=seed)).endswith(said)
    assert model.sample(2, seed=2**64 - 1).shape == (2, 2)
    assert refusal(lambda: model.sample(np.int64(-1))) == "wrong-value: the number of samples is -1"


def test_compiled_circuits_are_not_copied(model: Any) -> None:
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        assert refusal(partial(act, model)).startswith("not-copied")


@pytest.mark.parametrize("kind", ["compiled", "bundle"])
@pytest.mark.parametrize("circuit", [RAIN, SIGNED])
def test_values_with_signs(circuit: dn.Circuit, kind: str, tmp_path: Path) -> None:
    model = made(circuit, kind, tmp_path)
    sizes = [2, 3] if circuit is RAIN else [3, 2]
    rows = np.array(list(np.ndindex(*sizes)), dtype=float)
    want = np.array([dn.evaluate(circuit, row) for row in rows])
    assert circuit is RAIN or ((want < 0).any() and (want > 0).any() and (want == 0).any())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logs, signs = model.signed_log_value(rows)
    np.testing.assert_array_equal(signs, np.sign(want))
    np.testing.assert_allclose((logs.exp() * signs).numpy(), want, rtol=1e-12)
    mask = np.array([[True, False]] * len(rows))
    sums = [want[rows[:, 0] == row[0]].sum() for row in rows]
    logs, signs = model.signed_log_value(torch.tensor(rows), observed=mask)
    np.testing.assert_allclose((logs.exp() * signs).numpy(), sums, rtol=1e-12, atol=1e-15)
    assert refusal(lambda: model.signed_log_value([[0, np.nan]])).startswith("missing-value")
