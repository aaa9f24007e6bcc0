"""Learning: EM never goes down and agrees with counting by hand; the held-back step; mistakes name the row."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.runtime.learning.em import Steps


def _mixture(learnable: int = 3) -> Circuit:
    a, b, c = dn.Bool("a"), dn.Cat("b", 3), dn.Bool("c")
    inputs = dn.bernoulli(a, dn.param("p", [learnable], "unit"))
    inputs = inputs * dn.categorical(b, dn.param("q", [learnable, 3], "simplex"))
    inputs = inputs * dn.bernoulli(c, dn.param("r", [learnable], "unit"))
    return dn.Circuit(dn.sum(inputs, dn.param("w", [1, learnable], "simplex")))


def _rows(count: int, missing: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    kind = random.random(count) < 0.4
    rows = np.stack(
        [random.random(count) < np.where(kind, 0.9, 0.2), random.integers(0, 3, count) * kind, kind], axis=1
    ).astype(float)
    rows[random.random(rows.shape) < missing] = np.nan
    return rows


def _rising(history: object) -> bool:
    found = [epoch.train for epoch in history]  # type: ignore[attr-defined]
    return bool((np.diff(found) >= -1e-9).all())


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_em_never_goes_down(missing: float) -> None:
    result = dn.fit(_mixture(), _rows(300, missing), epochs=40, tolerance=0.0, dtype="float64")
    assert len(result.history) > 10
    assert _rising(result.history)
    assert result.history[-1].train > result.history[0].train + 0.1
    assert result.model.partition() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("maps", ["dense", "monarch"])
def test_em_on_chains(maps: str) -> None:
    transition = None if maps == "dense" else dn.monarch(2, 2)
    chain = dn.hmm(dn.Cat("x", 3, shape=6), states=4, **({} if transition is None else {"transition": transition}))
    rows = np.random.default_rng(0).integers(0, 3, size=(60, 6)).cumsum(axis=1) % 3
    result = dn.fit(chain, rows, epochs=25, tolerance=0.0, dtype="float64")
    assert _rising(result.history)
    assert result.history[-1].train > result.history[0].train


def test_em_on_gaussians_and_counts() -> None:
    y, k = dn.Real("y"), dn.Count("k")
    mean = dn.param("m", [2], value=[99.0, 104.0])
    inputs = dn.gaussian(y, mean, dn.param("s", [2], "positive", [1.0, 2.0]))
    inputs = inputs * dn.poisson(k, dn.param("l", [2], "positive", [1.0, 3.0]))
    circuit = dn.Circuit(dn.sum(inputs, dn.param("w", [1, 2], "simplex", [[0.5, 0.5]])))
    random = np.random.default_rng(3)
    kind = random.random(400) < 0.5
    rows = np.stack([np.where(kind, 103.0, 100.0) + random.normal(size=400), random.poisson(np.where(kind, 9, 1))], 1)
    rows[::7, 0] = np.nan
    result = dn.fit(circuit, rows, epochs=60, tolerance=0.0, dtype="float64")
    assert _rising(result.history)
    found = {parameter.name: result.circuit.store[parameter].floats for parameter in result.circuit.parameters}
    np.testing.assert_allclose(np.sort(found["m"]), [100, 103], atol=0.3)
    np.testing.assert_allclose(np.sort(found["l"]), [1, 9], atol=0.6)


def test_one_step_is_that_of_enumeration() -> None:
    """Responsibilities of a mixture written out by hand."""
    circuit, rows = _mixture(2), _rows(50, 0.0)
    store = {parameter.name: circuit.store[parameter].floats for parameter in circuit.parameters}
    p, q, r, w = store["p"], store["q"], store["r"], store["w"][0]
    a, b, c = rows.T
    joint = w * np.where(a[:, None], p, 1 - p) * q[:, b.astype(int)].T * np.where(c[:, None], r, 1 - r)
    share = joint / joint.sum(1, keepdims=True)
    result = dn.fit(circuit, rows, epochs=1, tolerance=-1.0, dtype="float64")
    found = {parameter.name: result.circuit.store[parameter].floats for parameter in result.circuit.parameters}
    np.testing.assert_allclose(found["w"][0], share.mean(0), rtol=1e-10)
    np.testing.assert_allclose(found["p"], (share * a[:, None]).sum(0) / share.sum(0), rtol=1e-10)
    table = np.stack([(share * (b == v)[:, None]).sum(0) for v in range(3)], axis=1)
    np.testing.assert_allclose(found["q"], table / table.sum(1, keepdims=True), rtol=1e-10, atol=1e-12)


def test_the_prior_is_what_all_data_weighted_by_the_circuit_would_count() -> None:
    """Fixed point: E_p F(x) = TD θ, so data drawn from the circuit leave it as it is, in expectation."""
    circuit = _mixture()
    model = dn.compile(circuit, dtype="float64")
    every = np.array(list(itertools.product([0, 1], [0, 1, 2], [0, 1])), dtype=float)
    mass = np.exp(model.log_likelihood(every).detach().numpy())
    steps = Steps(model)
    want = steps.prior()
    parts = [steps.expected(row[None], np.ones((1, 3), dtype=bool)) for row in every]
    for parameter, held in want.entries.items():
        total = sum(m * part.entries[parameter] for m, part in zip(mass, parts, strict=True))
        np.testing.assert_allclose(total, held, rtol=1e-10)
    for parameter, held in want.units.items():
        total = sum(m * part.units[parameter] for m, part in zip(mass, parts, strict=True))
        np.testing.assert_allclose(total, held, rtol=1e-10)
    kept = steps.maximised(want)
    for parameter in circuit.parameters:
        np.testing.assert_allclose(kept[parameter].floats, circuit.store[parameter].floats, rtol=1e-10)


def test_minibatch_em_with_one_full_step_is_em() -> None:
    circuit, rows = _mixture(), _rows(64, 0.2)
    full = dn.fit(circuit, rows, epochs=1, tolerance=-1.0, dtype="float64")
    held = dn.fit(circuit, rows, method="minibatch-em", epochs=1, batch=64, step=1.0, dtype="float64")
    for parameter in circuit.parameters:
        a, b = full.circuit.store[parameter].floats, held.circuit.store[parameter].floats
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["minibatch-em", "adam"])
def test_other_methods_learn(method: str) -> None:
    rows = _rows(300, 0.1)
    best = dn.fit(_mixture(), rows, epochs=60, dtype="float64").history[-1].train
    result = dn.fit(_mixture(), rows, valid=_rows(100, 0.0, 5), method=method, epochs=30, batch=100, patience=30)
    assert max(epoch.train for epoch in result.history) > best - 0.1
    assert result.history[0].valid is not None


def test_adam_learns_what_is_not_normalised() -> None:
    a = dn.Bool("a")
    circuit = dn.Circuit(dn.sum(dn.bernoulli(a, [0.2, 0.9]), dn.param("w", [1, 2], "positive", [[3.0, 1.0]])))
    rows = np.array([[1.0]] * 7 + [[0.0]] * 3)
    result = dn.fit(circuit, rows, method="adam", epochs=100, patience=100)
    p = np.exp(float(result.model.log_likelihood([[1.0]]).detach()) - result.model.partition())
    assert p == pytest.approx(0.7, abs=0.02)
    with pytest.raises(dn.DanausError, match="not 1"):
        dn.fit(circuit, rows)


def test_mistakes_name_the_row() -> None:
    x = dn.Bool("x")
    circuit = dn.Circuit(dn.sum(dn.bernoulli(x, [1.0, 1.0]), dn.param("w", [1, 2], "simplex")))
    with pytest.raises(dn.DanausError, match="row 2 has likelihood zero"):
        dn.fit(circuit, [[1.0], [1.0], [0.0]])
    fixed = dn.Circuit(dn.sum(dn.bernoulli(x, [1.0, 1.0]), [[0.5, 0.5]]))
    with pytest.raises(dn.DanausError, match="no learnable parameter"):
        dn.fit(fixed, [[1.0]])
    with pytest.raises(dn.DanausError, match="no method"):
        dn.fit(circuit, [[1.0]], method="sgd")


def test_one_step_on_one_gaussian_is_the_mean_and_deviation_of_the_rows() -> None:
    y = dn.Real("y")
    mean, deviation = dn.param("m", [1], value=[-3.0]), dn.param("s", [1], value=[7.0])
    circuit = dn.Circuit(dn.gaussian(y, mean, deviation))
    rows = np.array([[1.0], [2.0], [4.0], [np.nan], [9.0]])
    learnt = dn.fit(circuit, rows, method="em", epochs=1).circuit
    found = {each.name: float(learnt.store[each].floats[0]) for each in learnt.parameters}
    np.testing.assert_allclose([found["m"], found["s"]], [4.0, np.std([1, 2, 4, 9])], rtol=1e-12)
