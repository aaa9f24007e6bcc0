"""Steps that no enumeration writes out: mini-batches held back, the climb of logistic inputs, what is refused."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import danaus as dn
from danaus.ir.circuit import Circuit


def numbers(circuit: Circuit) -> dict[str, np.ndarray]:
    return {each.name: circuit.store[each].floats for each in circuit.parameters}


def densities() -> Circuit:
    inputs = dn.gaussian(
        dn.Real("y"), dn.param("m", [2], value=[-1.0, 2.0]), dn.param("s", [2], "positive", [1.0, 0.5])
    )
    inputs = inputs * dn.poisson(dn.Count("k"), dn.param("l", [2], "positive", [1.0, 4.0]))
    return dn.Circuit(dn.sum(inputs, dn.param("w", [1, 2], "simplex", [[0.25, 0.75]])))


ROWS = np.array([[-1.5, 0], [0.5, 2], [2.5, 5], [1.75, 3], [2.0, np.nan], [np.nan, 1]])


def test_a_held_back_step_is_the_argument_of_the_maximum() -> None:
    """α · mean of EM's surrogate − (1 − α) · KL(p(y, k, z) ‖ p′(y, k, z)), written out, is largest there."""
    alpha = 0.3
    before = densities()
    after = numbers(dn.fit(before, ROWS, method="minibatch-em", epochs=1, batch=6, step=alpha).circuit)
    old = numbers(before)
    y, k = ROWS.T

    def log_terms(p: dict[str, np.ndarray]) -> np.ndarray:
        """log p(z, row) without k!, [rows, components]; what is missing is left out."""
        of_y = -np.log(p["s"]) - (y[:, None] - p["m"]) ** 2 / (2 * p["s"] ** 2) - 0.5 * np.log(2 * np.pi)
        of_k = k[:, None] * np.log(p["l"]) - p["l"]
        return np.log(p["w"][0]) + np.where(np.isnan(of_y), 0, of_y) + np.where(np.isnan(of_k), 0, of_k)

    start = np.exp(log_terms(old))
    share = start / start.sum(1, keepdims=True)

    def objective(p: dict[str, np.ndarray]) -> float:
        surrogate = (share * log_terms(p)).sum() / len(ROWS)
        gaussian = np.log(p["s"] / old["s"]) + (old["s"] ** 2 + (old["m"] - p["m"]) ** 2) / (2 * p["s"] ** 2) - 0.5
        poisson = old["l"] * np.log(old["l"] / p["l"]) - old["l"] + p["l"]
        divergence = (old["w"][0] * (np.log(old["w"][0] / p["w"][0]) + gaussian + poisson)).sum()
        return alpha * surrogate - (1 - alpha) * divergence

    best = objective(after)
    assert best > objective(old)
    for name, i, step in itertools.product("msl", range(2), (-1e-3, 1e-3)):
        moved = {key: value.copy() for key, value in after.items()}
        moved[name][i] += step
        assert objective(moved) < best
    for step in (-1e-3, 1e-3):
        assert objective({**after, "w": after["w"] + [step, -step]}) < best


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_minibatches_learn_densities(momentum: float) -> None:
    random = np.random.default_rng(0)
    kind = random.random(400) < 0.4
    rows = np.stack([np.where(kind, 3.0, -3.0) + random.normal(size=400), random.poisson(np.where(kind, 9, 1))], 1)
    full = dn.fit(densities(), rows, epochs=40).history[-1].train
    held = dn.fit(densities(), rows, method="minibatch-em", epochs=20, batch=50, patience=20, momentum=momentum)
    assert held.best.train > full - 0.01


def test_the_first_batch_is_the_mean_whatever_the_momentum() -> None:
    plain = dn.fit(densities(), ROWS, method="minibatch-em", epochs=1, batch=6)
    mean = dn.fit(densities(), ROWS, method="minibatch-em", epochs=1, batch=6, momentum=0.9)
    for name, value in numbers(plain.circuit).items():
        np.testing.assert_allclose(numbers(mean.circuit)[name], value, rtol=1e-12)


def test_pseudocounts_weigh_the_same_in_both_kinds_of_em() -> None:
    rows = np.array([[0.0], [0.0], [1.0], [2.0]])
    circuit = dn.Circuit(dn.categorical(dn.Cat("x", 3), dn.param("p", [1, 3], "simplex", [[0.25, 0.25, 0.5]])))
    want = [[(2 + 0.5) / 5.5, 1.5 / 5.5, 1.5 / 5.5]]
    for options in ({}, {"method": "minibatch-em", "batch": 4, "step": 1.0}):
        found = dn.fit(circuit, rows, epochs=1, pseudocount=0.5, **options)
        np.testing.assert_allclose(numbers(found.circuit)["p"], want, rtol=1e-12)


def test_small_steps_rest_where_em_with_pseudocounts_does() -> None:
    rows = np.array([[0.0], [0.0], [1.0], [2.0]])
    settled = [[(2 + 0.5) / 5.5, 1.5 / 5.5, 1.5 / 5.5]]
    circuit = dn.Circuit(dn.categorical(dn.Cat("x", 3), dn.param("p", [1, 3], "simplex", settled)))
    found = dn.fit(circuit, rows, epochs=9, method="minibatch-em", batch=4, step=0.1, pseudocount=0.5)
    np.testing.assert_allclose(numbers(found.model.circuit)["p"], settled, rtol=1e-12)
    assert found.history[-1].train == pytest.approx(found.history[0].train, rel=1e-12)


def logistic(means: list[float], deviations: list[float], top: int = 9) -> Circuit:
    x = dn.Int("x", -2, top - 2)
    inputs = dn.discretized_logistic(
        x,
        dn.param("m", [len(means)], value=means),
        dn.param("s", [len(means)], "positive", deviations),
    )
    return dn.Circuit(dn.sum(inputs, dn.param("w", [1, len(means)], "simplex", [[1 / len(means)] * len(means)])))


def test_a_logistic_climbs_to_its_likeliest() -> None:
    rows = np.random.default_rng(2).choice([1, 2, 3, 4, 7], 200, p=[0.1, 0.4, 0.3, 0.1, 0.1]).astype(float)[:, None]
    result = dn.fit(logistic([0.0], [5.0]), rows, epochs=30, tolerance=0.0)
    m, s = (float(numbers(result.circuit)[name][0]) for name in "ms")
    count = np.bincount(rows[:, 0].astype(int) + 2, minlength=10)

    def likelihood(m: float, s: float) -> float:
        edges = np.concatenate([[-np.inf], np.arange(-2, 7) + 0.5, [np.inf]])
        below = 1 / (1 + np.exp(-(edges - m) / s))
        return float((count * np.log(np.diff(below))).sum()) / len(rows)

    assert result.history[-1].train == pytest.approx(likelihood(m, s), abs=1e-12)
    best = likelihood(m, s)
    for dm, ds in itertools.product((-1e-2, 0, 1e-2), repeat=2):
        assert likelihood(m + dm, s + ds) <= best + 1e-9


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_mixtures_of_logistics_never_go_down(missing: float) -> None:
    random = np.random.default_rng(4)
    rows = np.clip(np.round(random.normal(np.where(random.random(150) < 0.5, 0, 5), 1.0)), -2, 7)[:, None]
    rows[random.random(rows.shape) < missing] = np.nan
    result = dn.fit(logistic([0.0, 3.0], [2.0, 2.0]), rows, epochs=30, tolerance=0.0)
    found = np.array([epoch.train for epoch in result.history])
    assert (np.diff(found) >= -1e-9).all()
    assert found[-1] > found[0] + 0.05 * (1 - missing)
    held = dn.fit(logistic([0.0, 3.0], [2.0, 2.0]), rows, method="minibatch-em", epochs=15, batch=50, patience=15)
    assert held.best.train > found[-1] - 0.05


def test_one_value_narrows_a_logistic_without_end() -> None:
    """All rows are one value: the deviation falls to its floor, far values underflow, and learning goes on."""
    rows = np.full((20, 1), 250.0)
    circuit = logistic([100.0, 240.0], [30.0, 1.0], 400)
    result = dn.fit(circuit, rows, epochs=40, tolerance=-1.0)
    assert result.best.train == pytest.approx(0.0, abs=1e-3)


def test_what_is_tied_climbs_together() -> None:
    m, s = dn.param("m", [1], value=[1.0]), dn.param("s", [1], "positive", [2.0])
    x, y = dn.Int("x", 0, 5), dn.Int("y", 0, 5)
    both = dn.Circuit(dn.discretized_logistic(x, m, s) * dn.discretized_logistic(y, m, s))
    rows = np.array([[1, 4], [2, 3], [3, 3], [0, 5], [2, 2]], dtype=float)
    result = dn.fit(both, rows, epochs=30, tolerance=0.0)
    one = dn.Circuit(dn.discretized_logistic(x, dn.param("m", [1], value=[1.0]), dn.param("s", [1], "positive", [2.0])))
    alone = dn.fit(one, rows.reshape(-1, 1), epochs=30, tolerance=0.0)
    for name in "ms":
        np.testing.assert_allclose(numbers(result.circuit)[name], numbers(alone.circuit)[name], rtol=1e-5)


def test_a_mean_that_must_stay_in_a_range_does() -> None:
    circuit = dn.Circuit(
        dn.gaussian(dn.Real("y"), dn.param("m", [1], "positive", [1.0]), dn.const("s", [1], value=[1.0]))
    )
    found = numbers(dn.fit(circuit, [[-3.0], [-1.0]], epochs=3).circuit)["m"]
    assert 0 < found[0] <= 1e-6


def test_positive_weights_stay_positive() -> None:
    """An entry that nothing counts keeps to its constraint, so that what is learnt can be loaded again."""
    x = dn.Cat("x", 2)
    leaf = dn.categorical(x, [[1.0, 0.0], [0.0, 1.0]])
    circuit = dn.Circuit(dn.sum(leaf, dn.param("w", [1, 2], "positive", [[0.5, 0.5]])))
    found = numbers(dn.fit(circuit, [[0.0], [0.0]], epochs=2).circuit)["w"]
    np.testing.assert_allclose(found, [[1.0, 0.0]], atol=1e-12)
    assert (found > 0).all()


def refused() -> dict[str, tuple[Circuit, str]]:
    x, y = dn.Cat("x", 2), dn.Cat("y", 2)
    bit = dn.bernoulli(b := dn.Bool("b"), [0.25, 0.75])
    leaf = dn.categorical(x, [[0.5, 0.5], [0.25, 0.75]])
    e = dn.param("e", [4], "positive", [0.5, 0.5, 0.5, 0.5])
    across = dn.sparse([0, 1, 0, 1], [0, 0, 1, 1])
    probability = dn.param("u", [2], "unit", [0.5, 0.5])
    signed = dn.const("c", [1, 2], value=[[1.5, -0.5]])
    return {
        "rows that overlap": (
            dn.Circuit(
                dn.sum(dn.sum(dn.sum(leaf, e, map=dn.sparse([0, 0, 1, 1], [0, 1, 0, 1])), e, map=across), [[0.5, 0.5]])
            ),
            "rows that overlap",
        ),
        "two roles": (
            dn.Circuit(dn.sum(dn.bernoulli(b, probability), probability, map=dn.sparse([0, 0], [0, 1]), width=1)),
            "is a probability in one place and an entry in another",
        ),
        "negative numbers": (
            dn.Circuit(dn.sum(dn.categorical(y, dn.param("q", [2, 2], "simplex")), signed)),
            "has negative numbers",
        ),
        "diagonal": (
            dn.Circuit(
                dn.sum(dn.sum(bit, dn.param("d", [2], "positive", [0.25, 0.75]), map=dn.diagonal), [[1.0, 1.0]])
            ),
            "rows are no distributions",
        ),
    }


@pytest.mark.parametrize("name", ["rows that overlap", "two roles", "negative numbers", "diagonal"])
def test_what_has_no_closed_form_says_so(name: str) -> None:
    circuit, message = refused()[name]
    with pytest.raises(dn.DanausError, match=re.compile(message)) as caught:
        dn.fit(circuit, np.zeros((4, len(circuit.variables))))
    assert "adam" in caught.value.diagnostics[0].hint


def test_a_marginal_is_learnt_as_what_is_missing() -> None:
    """Summing a variable out by an operator says no more of its input than leaving it out of the rows."""
    a, b = dn.Bool("a"), dn.Cat("b", 3)
    inputs = dn.bernoulli(a, dn.param("p", [2], "unit", [0.3, 0.6]))
    inputs = inputs * dn.categorical(b, dn.param("q", [2, 3], "simplex", [[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]))
    circuit = dn.Circuit(dn.sum(inputs, dn.param("w", [1, 2], "simplex", [[0.25, 0.75]])))
    rows = np.array([0, 1, 2, 2, 1, 0, 0], dtype=float)[:, None]
    whole = dn.fit(circuit, np.hstack([np.full(rows.shape, np.nan), rows]), epochs=5, tolerance=-1.0)
    part = dn.fit(dn.integrate(circuit, ["a"]), rows, epochs=5, tolerance=-1.0)
    np.testing.assert_allclose(
        [epoch.train for epoch in part.history], [epoch.train for epoch in whole.history], rtol=1e-12
    )


def test_the_history_is_complete_and_reads_well() -> None:
    result = dn.fit(densities(), ROWS, ROWS[:3], epochs=12, tolerance=-1.0, patience=20)
    assert [epoch.epoch for epoch in result.history] == list(range(13))
    assert all(epoch.seconds >= 0 and epoch.valid is not None for epoch in result.history)
    assert result.best.valid == max(epoch.valid for epoch in result.history)
    shown = repr(result)
    assert shown.startswith('<fitted "circuit" by em: 12 epochs, all used, ')
    assert f"the best is epoch {result.best.epoch}" in shown
    assert re.search(r"epoch +train +valid", shown)
    assert len(shown.splitlines()) <= 13
    assert dn.fit(densities(), ROWS, epochs=200).ended == "converged"


def test_progress_is_told_of_every_epoch() -> None:
    seen: list[int] = []
    dn.fit(densities(), ROWS, epochs=3, tolerance=-1.0, progress=lambda epoch: seen.append(epoch.epoch))
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("epochs", -1, "epochs is -1"),
        ("epochs", 2.5, "epochs is 2.5"),
        ("batch", 0, "batch is 0"),
        ("patience", 0, "patience is 0"),
        ("momentum", 1.0, "momentum is 1.0"),
        ("pseudocount", -0.5, "pseudocount is -0.5"),
        ("tolerance", float("nan"), "tolerance is nan"),
        ("step", 0, "step is 0"),
        ("dtype", "float16", "no type"),
        ("method", "minibatch_em", "no method"),
        ("checkpoint", 3, "int where a path is expected"),
    ],
)
def test_options_are_checked(option: str, value: object, message: str) -> None:
    with pytest.raises(dn.DanausError, match=message):
        dn.fit(densities(), ROWS, **{option: value})


def test_a_deterministic_circuit_is_learnt_in_one_step(shared: Path) -> None:
    """A PSDD's weights stand in rows that sum to 1; EM counts, and counts again the same."""
    circuit = dn.load(shared / "psdd" / "tiny" / "simple.psdd").circuit
    rows = dn.sample(circuit, 200, seed=1)
    result = dn.fit(circuit, rows, epochs=3, tolerance=-1.0)
    train = [epoch.train for epoch in result.history]
    assert train[1] > train[0]
    np.testing.assert_allclose(train[2:], train[1], rtol=1e-12)
    assert dn.check(result.circuit, "normalized")["normalized"].status == "proved"


def test_epochs_are_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    dn.fit(densities(), ROWS, ROWS, epochs=2, tolerance=-1.0, progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"2/2 +train -[0-9.]+ +valid -[0-9.]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.err))
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    dn.fit(densities(), ROWS, epochs=2, progress=True)
    assert capsys.readouterr().err == ""
