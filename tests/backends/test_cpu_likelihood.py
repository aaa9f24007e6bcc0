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
        # what feed-forward evaluation gives, also where the circuit is not smooth and no query would ask for it
        got = model.log_rows(x, observed)
        want = dn.evaluate(circuit, x, observed=observed, semiring="log")
    _within(got, want, dtype, len(circuit.blocks))
    return model


@pytest.mark.parametrize("seed", range(60))
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


def test_other_parameters_may_need_other_numbers() -> None:
    """A network in plain float32 goes over to logarithms where its weights become too small, and back."""
    spec = dn.parse(
        """
        var x : bool
        param W[2] : positive = [0.5, 0.25]
        circuit p { return sum(concat([x = 0], [x = 1]), W, width=1, map=sparse([0, 0], [0, 1])) }
        """
    )
    circuit = spec.circuit
    assert isinstance(circuit, Circuit)
    model = dn.compile(circuit)
    x = np.array([[0], [1]])
    for weights in ([0.5, 0.25], [1e-320, 1e-310], [1e300, 2e306], [1e-45, 1.0]):
        dict(model.named_parameters())["W"].copy_(torch.tensor(weights, dtype=torch.float64))
        np.testing.assert_allclose(model.log_likelihood(x).numpy(), np.log(weights), rtol=1e-6)


def test_what_is_summed_out_needs_proof() -> None:
    """A circuit that is not smooth answers full rows, and refuses to sum out with a witness."""
    text = "var x : bool; var y : bool; circuit p { return sum(concat([x = 1], [y = 1] * [x = 0]), [[0.5, 0.5]]) }"
    circuit = dn.parse(text).circuit
    model = dn.compile(circuit)
    want = dn.evaluate(circuit, [[1, 0]], semiring="log")
    np.testing.assert_allclose(model.log_likelihood([[1, 0]]).numpy(), want)
    for ask in (
        lambda: model.log_likelihood([[1, 0]], observed=[True, False]),
        lambda: model.marginal([[1, 0]]),
        model.partition,
        lambda: model.conditional([[1, np.nan]]),
        lambda: model.sample(3),
    ):
        with pytest.raises(dn.DanausError, match="smooth"):
            ask()


def test_the_other_queries_are_those_of_the_evaluator() -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=5), states=3)
    model = dn.compile(circuit)
    x = np.array([[0, np.nan, 2, np.nan, 1], [np.nan, 1, 1, 0, 2]])
    assert abs(model.partition()) < 1e-6
    for name, found in model.conditional(x).items():
        np.testing.assert_allclose(found, dn.conditional(circuit, x)[name], rtol=1e-12)
    np.testing.assert_array_equal(model.map(x).values, dn.map(circuit, x).values)
    np.testing.assert_array_equal(model.sample(7, seed=3).numpy(), dn.sample(circuit, 7, seed=3))
    np.testing.assert_array_equal(model.sample(x, seed=3).numpy(), dn.sample(circuit, x, seed=3))
    np.testing.assert_allclose(model.marginal(x).numpy(), dn.marginal(circuit, x), rtol=1e-6)
    np.testing.assert_allclose(model(np.nan_to_num(x)).numpy(), dn.likelihood(circuit, np.nan_to_num(x)), rtol=1e-6)


@pytest.mark.parametrize("seed", range(15))
def test_few_rows_of_networks_run_level_by_level(seed: int) -> None:
    for rows in (1, 2, 8):
        for dtype in ("float32", "float64"):
            _compare(random_circuit(seed), dtype, rows, seed)
