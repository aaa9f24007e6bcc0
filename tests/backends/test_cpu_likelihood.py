"""The compiled likelihood against the evaluator's float64, over random circuits of every kind, and where it is hard."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.runtime.executable import Executable
from small_circuits import evidence, random_circuit

BATCHES = (0, 1, 3, 16, 17, 1000)


def _within(got: np.ndarray, want: np.ndarray, dtype: str, layers: int) -> None:
    """At most 5e-7 · (1 + √layers) · max(1, |ll|) off in float32, 1e-12 · max(1, |ll|) in float64; −inf exact."""
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    finite = np.isfinite(want)
    size = np.maximum(1, np.abs(want[finite]))
    bound = (5e-7 * (1 + layers**0.5) if dtype == "float32" else 1e-12) * size
    assert (np.abs(got[finite] - want[finite]) <= bound).all()


def _compare(circuit: Circuit, dtype: str, rows: int, seed: int, missing: float = 0.5) -> Executable:
    x, observed = evidence(circuit, rows, seed, missing)
    model = dn.compile(circuit, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        got = model.log_likelihood(x, observed).detach().numpy()
        want = dn.evaluate(circuit, x, observed=observed, semiring="log")
    _within(got, want, dtype, len(circuit.blocks))
    return model


@pytest.mark.parametrize("seed", range(250))
def test_random_circuits(seed: int) -> None:
    circuit = random_circuit(seed)
    for dtype in ("float32", "float64"):
        _compare(circuit, dtype, 40, seed)


@pytest.mark.parametrize("seed", range(30))
def test_random_circuits_of_both_signs(seed: int) -> None:
    _compare(random_circuit(seed, signed=True), "float32", 20, seed)


@pytest.mark.parametrize("rows", BATCHES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_batch_size(rows: int, dtype: str) -> None:
    circuit = dn.hmm(dn.Cat("x", 5, shape=7), states=9)
    _compare(circuit, dtype, rows, 1)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_the_answer(threads: int) -> None:
    circuit = dn.hmm(dn.Cat("x", 5, shape=7), states=9)
    x, observed = evidence(circuit, 500, 3, 0.2)
    model = dn.compile(circuit)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = model.log_likelihood(x, observed)
        torch.set_num_threads(threads)
        assert torch.equal(model.log_likelihood(x, observed), alone)
    finally:
        torch.set_num_threads(before)
