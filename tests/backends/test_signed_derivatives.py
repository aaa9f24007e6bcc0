"""Derivatives of circuits of both signs by native code, beside finite differences and the reverse in logarithms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.cpu.adjoint_signed import AdjointSigned
from danaus.ir.circuit import Circuit
from danaus.ir.query.likelihood import signed_log_value
from danaus.ir.store import Store
from danaus.runtime.derivatives import Derivatives
from danaus.runtime.executable import Executable
from signed_forms import FORMS
from signed_numbers import assign, drawn, quietly, rows_of

TYPES = ("float32", "float64")


def native(model: Executable, x: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> Derivatives:
    assert isinstance(model.present.reverse(), AdjointSigned)
    return model.derivatives(x, observed, weights)


def interpreted(
    model: Executable, x: np.ndarray, observed: np.ndarray, weights: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> Derivatives:
    """By the Program's reverse in float64 logarithms."""
    with monkeypatch.context() as patch:
        patch.setattr(type(model.present), "reverse", lambda self: None)
        return model.derivatives(x, observed, weights)


def assert_near(got: Derivatives, want: Derivatives, bound: float = 1e-9) -> None:
    """To within a part of the largest derivative of the parameter; the same rows are impossible, the same negative."""
    np.testing.assert_array_equal(np.isnan(got.log), np.isnan(want.log))
    for name, own in want.named.items():
        np.testing.assert_allclose(got.named[name], own, rtol=0, atol=bound * np.abs(own).max(initial=1e-300))
        assert np.isfinite(own).all()


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = drawn(FORMS[name](), 1)
    model = dn.compile(circuit)
    x, observed = rows_of(circuit, 70, 2)
    weights = np.random.default_rng(3).normal(size=70)
    assert_near(native(model, x, observed, weights), interpreted(model, x, observed, weights, monkeypatch))


@pytest.mark.parametrize("rows", [0, 1, 17])
def test_small_batches(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = drawn(FORMS["cp tree"](), 4)
    model = dn.compile(circuit, dtype="float64")
    x, observed = rows_of(circuit, rows, 2)
    weights = np.ones(rows)
    assert_near(native(model, x, observed, weights), interpreted(model, x, observed, weights, monkeypatch))


@pytest.mark.parametrize("name", ["monarch chain", "square"])
def test_finite_differences(name: str) -> None:
    """Of the evaluator's log |p|, entry by entry."""
    circuit = drawn(FORMS[name](), 5)
    model = dn.compile(circuit)
    x, observed = rows_of(circuit, 6, 1)
    found = native(model, x, observed, np.ones(6))
    rng = np.random.default_rng(0)

    def at(moved: Circuit) -> float:
        return float(signed_log_value(moved, x, observed)[0].sum())

    for (label, slope), parameter in zip(found.named.items(), circuit.parameters, strict=True):
        kept = circuit.store[parameter].floats
        for _ in range(3):
            place = tuple(rng.integers(0, size) for size in kept.shape)
            step = np.zeros(kept.shape)
            step[place] = 1e-6
            above, below = (
                at(
                    circuit.over(
                        Store({**dict(circuit.store), parameter: type(circuit.store[parameter]).of(kept + each)})
                    )
                )
                for each in (step, -step)
            )
            assert abs(slope[place] - (above - below) / 2e-6) < 1e-5 * max(1.0, float(np.abs(slope).max())), label


def test_autograd_and_training_step() -> None:
    """A small step along the gradient raises log p by the step times its square; gradients taken ahead are the same."""
    circuit = drawn(FORMS["dense chain"](), 6)
    model = dn.compile(circuit, dtype="float64")
    x = rows_of(circuit, 40, 3, 0)[0].astype(int)
    log = quietly(lambda: model.log_likelihood(x))
    x = x[~torch.isnan(log).numpy()]
    assert 5 < len(x) < 40
    model.requires_grad_()
    slopes = []
    for _ in range(2):
        model.zero_grad()
        found = model.log_likelihood(x)
        found.mean().backward()
        slopes.append({name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None})
    for name, first in slopes[0].items():
        torch.testing.assert_close(slopes[1][name], first, rtol=1e-9, atol=1e-12)
        assert first.abs().max() > 0
    names = dict(model.named_parameters())
    kept = {name: each.detach().numpy().copy() for name, each in names.items()}
    step = 1e-5 / sum(float((each**2).sum()) for each in slopes[0].values())
    with torch.no_grad():
        before = model.log_likelihood(x).mean()
        assign(model, {name: kept[name] + step * slopes[0][name].numpy() for name in kept})
        rise = float(model.log_likelihood(x).mean() - before)
    assert abs(rise - 1e-5) < 1e-7


def test_rows_taken_ahead_are_nan_where_they_are_negative() -> None:
    circuit = drawn(FORMS["dense chain"](), 6)
    model = dn.compile(circuit).requires_grad_()
    x = rows_of(circuit, 40, 3, 0)[0].astype(int)

    def ask() -> torch.Tensor:
        found = model.log_likelihood(x)
        torch.nan_to_num(found).sum().backward()
        return found.detach()

    with torch.no_grad():
        want = quietly(lambda: model.log_likelihood(x))
    for _ in range(3):
        torch.testing.assert_close(quietly(ask), want, equal_nan=True, rtol=1e-5, atol=1e-5)


def test_rows_that_cancel_are_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """p − q of two equal halves is 0 in some rows, which count nothing, and right in the others."""
    text = """
    var x : cat(3)
    var y : cat(3)
    param E[2, 3] : real = [[0.1, 0.2, 0.7], [0.1, 0.5, 0.4]]
    param W[1, 2] : real = [[1, -1]]
    circuit p { return sum(table(x, E) * table(y, E), W) }
    """
    circuit = dn.parse(text).circuit
    assert isinstance(circuit, Circuit)
    x = np.array([[0, 0], [0, 1], [1, 2], [2, 2], [2, 1]], dtype=float)
    observed = np.ones(x.shape, dtype=bool)
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        got = native(model, x, observed, np.ones(5))
        want = interpreted(model, x, observed, np.ones(5), monkeypatch)
        assert got.log[0] == -np.inf or got.log[0] < -35
        assert_near(got, want)
    other = native(dn.compile(circuit), x[1:], observed[1:], np.ones(4))
    e = np.array([[0.1, 0.2, 0.7], [0.1, 0.5, 0.4]])
    a, b = x[1:].astype(int).T
    terms = e[:, a] * e[:, b]
    np.testing.assert_allclose(other.named["W"][0], (terms / (terms[0] - terms[1])).sum(axis=1), rtol=1e-9)


def test_rows_with_little_left_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of which float32 sees nothing and float64 too little is left out, not counted beside the reverse's."""
    text = """
    var x : cat(3)
    param E[2, 3] : real = [[0.1, 0.2, 0.7], [0.1, 0.5, 0.4]]
    param W[1, 2] : real = [[1, -1.000000000001]]
    circuit p { return sum(table(x, E), W) }
    """
    circuit = dn.parse(text).circuit
    assert isinstance(circuit, Circuit)
    x = np.array([[0], [1], [2]], dtype=float)
    observed = np.ones(x.shape, dtype=bool)
    model = dn.compile(circuit)
    got = native(model, x, observed, np.ones(3))
    assert_near(got, interpreted(model, x, observed, np.ones(3), monkeypatch), 1e-6)
    assert abs(got.named["W"][0, 0]) > 1e11


def test_joins_of_parts_that_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part whose nodes cancel has no value, and yet a derivative, though no parameter is negative."""
    text = """
    var x : bool
    var y : bool
    param B[2, 2] : real = [[0.5, 0.25], [0.5, 0.75]]
    param W[1, 2] : real = [[1, 2]]
    circuit p {
      a = sum(table(x, B) * table(y, B), [[1, -1]])
      b = table(x, [[0.5, 0.25]]) * table(y, [[1, 3]])
      return sum(concat(a, b), W)
    }
    """
    circuit = dn.parse(text).circuit
    assert isinstance(circuit, Circuit)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    observed = np.ones(x.shape, dtype=bool)
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        for rows in (slice(0, 4), slice(0, 1)):
            got = native(model, x[rows], observed[rows], np.ones(len(x[rows])))
            assert_near(got, interpreted(model, x[rows], observed[rows], np.ones(len(x[rows])), monkeypatch))
        # at (0, 0) a is 0, and ∂a / ∂B at x = 0 is ± (0.5 + 0.5)
        np.testing.assert_allclose(got.named["B"], [[1, 0], [-1, 0]], atol=1e-12)


def test_long_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = drawn(dn.hmm(dn.Cat("x", 5, shape=200), states=6), 4)
    model = dn.compile(circuit)
    x, observed = rows_of(circuit, 12, 5, 0.1)
    weights = np.random.default_rng(1).normal(size=12)
    want = interpreted(model, x, observed, weights, monkeypatch)
    assert_near(native(model, x, observed, weights), want, 1e-7)


def test_densities_of_both_signs(monkeypatch: pytest.MonkeyPatch) -> None:
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
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=40) if v.name == "y" else rng.integers(0, 2, 40) for v in circuit.variables]
    x = np.stack(columns, axis=1)
    observed = rng.random(x.shape) < 0.8
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        got = native(model, x, observed, np.ones(40))
        want = interpreted(model, x, observed, np.ones(40), monkeypatch)
        assert_near(got, want)
        np.testing.assert_allclose(got.data, want.data, rtol=1e-8, atol=1e-9)


def test_logarithms_of_densities_by_finite_differences() -> None:
    """Their signs are not those of any number of the circuit."""
    text = """
    var b : bool
    var y : real
    param M[2] : real = [0.3, -1]
    param W[1, 2] : positive = [[5, 2.5]]
    circuit p {
      return sum(concat([b = 0], [b = 1]) * gaussian(y, M, [0.1, 2]), W)
    }
    """
    p = dn.parse(text).circuit
    assert isinstance(p, Circuit)
    circuit = dn.log(p)
    b, y = np.array([0, 0, 0, 1, 1, 1]), np.array([0.3, 0.4, 2.0, -1.0, 0.5, 3.0])
    x = np.stack([b if v.name == "b" else y for v in circuit.variables], axis=1).astype(float)

    def log_size(means: np.ndarray, weights: np.ndarray) -> float:
        """Σ log |log p|, by the definition of p."""
        s = np.array([0.1, 2])[b]
        log = np.log(weights[0, b] / (s * np.sqrt(2 * np.pi))) - ((y - means[b]) / s) ** 2 / 2
        assert (log > 0).any() and (log < 0).any()
        return float(np.log(np.abs(log)).sum())

    kept = {"M": np.array([0.3, -1]), "W": np.array([[5, 2.5]])}
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        found = native(model, x, np.ones(x.shape, dtype=bool), np.ones(len(x)))
        for name, numbers in kept.items():
            for place in np.ndindex(numbers.shape):
                sides = []
                for step in (1e-6, -1e-6):
                    moved = {each: value.copy() for each, value in kept.items()}
                    moved[name][place] += step
                    sides.append(log_size(moved["M"], moved["W"]))
                slope = (sides[0] - sides[1]) / 2e-6
                assert abs(float(found.named[name][place]) - slope) < 1e-5 * max(1.0, abs(slope)), (name, place)
