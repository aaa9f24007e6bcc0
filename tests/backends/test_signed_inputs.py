"""Densities of both signs, and networks with negative weights, as native code beside the evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.ir.query.likelihood import log_likelihood
from danaus.runtime.executable import Executable
from signed_numbers import assign, drawn, quietly, signed_engine
from small_circuits import evidence, random_circuit

TYPES = ("float32", "float64")


def bells() -> Circuit:
    """A mixture of gaussians over three variables."""
    text = """
    var y : real
    var z : real
    var n : count
    circuit p {
      a = sum(gaussian(y, [0, 1, -2], [1, 0.5, 2]), width=2)
      b = sum(gaussian(z, [0.5, -1, 2], [1, 2, 0.7]), width=2)
      c = poisson(n, [1, 4])
      return sum(a * b * c, [[0.5, 0.5]])
    }
    """
    circuit = dn.parse(text).circuit
    assert isinstance(circuit, Circuit)
    return circuit


def points(circuit: Circuit, rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = [
        rng.poisson(2, rows) if variable.name == "n" else rng.normal(0, 2, rows) for variable in circuit.variables
    ]
    return np.stack(columns, axis=1).astype(float)


def assert_same(model: Executable, x: np.ndarray, observed: np.ndarray, dtype: str) -> None:
    """The model's answers are the evaluator's, to the digits that the type has where little cancels."""
    got = quietly(lambda: model.log_rows(x, observed))
    want = quietly(lambda: log_likelihood(model.circuit, x, observed))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    there = np.isfinite(want)
    np.testing.assert_allclose(got[there], want[there], rtol=1e-6, atol=2e-5 if dtype == "float32" else 1e-10)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rows", [0, 3, 200])
def test_slopes_of_densities(dtype: Any, rows: int) -> None:
    for circuit in (dn.differentiate(bells(), "y"), dn.differentiate(dn.differentiate(bells(), "z"), "y")):
        model = dn.compile(circuit, dtype=dtype)
        x = points(circuit, rows, rows)
        observed = np.random.default_rng(1).random(x.shape) < 0.8
        observed[:, [v.name == "n" for v in circuit.variables]] |= True
        assert_same(model, x, observed, dtype)
        signed_engine(model)
        assert model.recomputed == 0


def test_slopes_are_differences() -> None:
    """Of the mixture itself, whose likelihood runs on other code."""
    p = bells()
    x = points(p, 300, 3)
    step = np.zeros(x.shape)
    step[:, [v.name == "y" for v in p.variables]] = 1e-5
    plain = dn.compile(p, dtype="float64")
    above, below = (plain.log_likelihood(each).exp().numpy() for each in (x + step, x - step))
    slope = dn.compile(dn.differentiate(p, "y"), dtype="float64")
    found = quietly(lambda: slope.log_likelihood(x).numpy())
    rise = (above - below) / 2e-5
    np.testing.assert_array_equal(np.isnan(found)[np.abs(rise) > 1e-6], (rise < 0)[np.abs(rise) > 1e-6])
    up = ~np.isnan(found)
    assert 50 < up.sum() < 250
    np.testing.assert_allclose(np.exp(found[up]), rise[up], rtol=1e-4, atol=1e-9)


def test_a_slope_that_is_summed_out_is_nothing() -> None:
    circuit = dn.differentiate(bells(), "y")
    model = dn.compile(circuit)
    x = points(circuit, 20, 1)
    known = np.array([v.name != "y" for v in circuit.variables])
    assert (model.log_likelihood(x, observed=known).numpy() == -np.inf).all()
    assert model.partition() == -np.inf


def test_logarithms_of_densities() -> None:
    """Negative where a density is below 1, on a circuit that is deterministic."""
    text = """
    var b : bool
    var y : real
    circuit p {
      return sum(concat([b = 0] * gaussian(y, [0], [0.1]), [b = 1] * gaussian(y, [1], [2])), [[0.5, 0.5]])
    }
    """
    p = dn.parse(text).circuit
    assert isinstance(p, Circuit)
    circuit = dn.log(p)
    x = np.array([[0, 0.0], [0, 0.05], [0, 3.0], [1, 0.0], [1, 1.0]])
    b, y = x.T
    s = np.where(b == 0, 0.1, 2.0)
    value = np.log(0.5 / (s * np.sqrt(2 * np.pi))) - ((y - b) / s) ** 2 / 2
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        found = quietly(lambda model=model: model.log_likelihood(x).numpy())
        np.testing.assert_array_equal(np.isnan(found), value < 0)
        np.testing.assert_allclose(found[value > 0], np.log(value[value > 0]), rtol=1e-6)
        signed_engine(model)


def test_derivatives_by_finite_differences() -> None:
    """Of a density of both signs, by parameters and by data."""
    text = """
    var y : real
    var b : bool
    param M[2] : real = [0.3, -1]
    param W[1, 4] : real = [[1, -0.5, 2, 1.5]]
    circuit p {
      t = table(b, [[1, 2], [-1, 1], [1, 1], [2, -3]])
      return sum(concat(gaussian(y, M, [1, 2]), gaussian(y, [0, 2], [1, 1])) * t, W)
    }
    """
    circuit = dn.parse(text).circuit
    assert isinstance(circuit, Circuit)
    model = dn.compile(circuit, dtype="float64")
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=40) if v.name == "y" else rng.integers(0, 2, 40) for v in circuit.variables], axis=1)
    x = x[~np.isnan(quietly(lambda: model.log_likelihood(x).numpy()))]
    assert len(x) > 10
    model.requires_grad_()
    model.log_likelihood(x).sum().backward()
    for name, tensor in model.named_parameters():
        kept = tensor.detach().numpy().copy()
        for place in np.ndindex(kept.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = kept.copy()
                moved[place] += step
                with torch.no_grad():
                    assign(model, {name: moved})
                    sides.append(float(model.log_likelihood(x).sum()))
            assert tensor.grad is not None
            assert abs(float(tensor.grad[place]) - (sides[0] - sides[1]) / 2e-6) < 1e-4 * max(
                1, abs(float(tensor.grad[place]))
            )
        assign(model, {name: kept})


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dtype", TYPES)
def test_networks(seed: int, dtype: Any) -> None:
    circuit = random_circuit(seed + 300, signed=True)
    model = dn.compile(circuit, dtype=dtype)
    for rows in (1, 3, 100):
        x, observed = evidence(circuit, rows, seed, 0.4)
        assert_same(model, x, observed, dtype)


def network() -> Circuit:
    """Sums of products by index, of which two take away what others add."""
    text = """
    var a : bool
    var b : bool
    var c : bool
    param W[4] : real = [0.5, -0.25, 2, 1]
    circuit p {
      return sum(concat([a = 0] * [b = 1], [b = 0] * [c = 1], [a = 1], [c = 0]), W, width=1,
                 map=sparse([0, 0, 0, 0], [0, 1, 2, 3]))
    }
    """
    circuit = dn.parse(text).circuit
    assert isinstance(circuit, Circuit)
    return circuit


def test_networks_change_numbers_and_signs_in_place() -> None:
    """Plain numbers without signs, with signs, in float64, in logarithms, and what the evaluator keeps."""
    circuit = network()
    x = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T
    a, b, c = x.T
    terms = np.stack([(a == 0) & (b == 1), (b == 0) & (c == 1), a == 1, c == 0], axis=1)
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        for weights, native in (
            ([0.5, 0.25, 2, 1], True),
            ([0.5, -0.25, 2, 1], True),
            ([-0.5, -0.25, -2, -1], True),
            ([1, -1, 1, -1], True),
            ([0.3, 1, 1, -0.3 * (1 + 1e-9)], True),
            ([1e-200, -1e-200, 3e-200, 2e-200], True),
            ([0.3, 1, 1, -0.3 * (1 - 1e-9)], True),
            ([1e-200, -1e-200, 3e-200, 1e200], True),
            ([1e-200, 1e-304, 3e-200, 1e200], True),
            ([1e-200, -1e-304, 3e-200, 1e200], False),
            ([0.5, 0.25, 2, 1], True),
        ):
            assign(model, {"W": weights})
            value = terms @ np.array(weights)
            found = quietly(lambda model=model: model.log_likelihood(x).numpy())
            np.testing.assert_array_equal(np.isnan(found), value < 0)
            np.testing.assert_array_equal(np.isneginf(found), value == 0)
            np.testing.assert_allclose(found[value > 0], np.log(value[value > 0]), rtol=1e-6, atol=1e-6)
            assert (model.present.engine() is not None) == native


def test_networks_of_both_signs_have_derivatives() -> None:
    circuit = network()
    model = dn.compile(circuit, dtype="float64").requires_grad_()
    x = np.array([[0, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 1]])
    model.log_likelihood(x).sum().backward()
    terms = np.array([[1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 0]])
    want = (terms / (terms @ np.array([0.5, -0.25, 2, 1]))[:, None]).sum(axis=0)
    (weights,) = model.parameters()
    assert weights.grad is not None
    np.testing.assert_allclose(weights.grad.numpy(), want, rtol=1e-12)


def test_other_queries_are_those_of_the_evaluator() -> None:
    circuit = drawn(dn.hmm(dn.Cat("x", 3, shape=4), states=3), 5)
    model = dn.compile(circuit)
    x = np.array([[0, np.nan, 2, 1], [np.nan, 1, 1, np.nan]])
    found = quietly(lambda: model.conditional(x))
    for name, want in quietly(lambda: dn.conditional(circuit, x)).items():
        np.testing.assert_allclose(found[name], want, rtol=1e-9)
    got, want = (quietly(ask) for ask in (model.partition, lambda: dn.partition(circuit)))
    np.testing.assert_allclose(got, want, rtol=1e-6)
    got, want = (quietly(ask) for ask in (lambda: model.marginal(x).numpy(), lambda: dn.marginal(circuit, x)))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    for ask in (model.map, lambda x: model.sample(x, seed=1)):
        with pytest.raises(dn.DanausError, match="negative"):
            ask(x)
