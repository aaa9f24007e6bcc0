"""Queries of compiled circuits against the evaluator's and against enumeration: random circuits, and hard ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.ir import query as ask
from danaus.ir.circuit import Circuit
from danaus.runtime.executable import Executable
from danaus.runtime.queries.answers import ByEvaluator, ByProgram
from small_circuits import evidence, random_circuit

EVERY = "ignore::danaus.DanausWarning"


def _model(circuit: Circuit) -> Executable:
    model = dn.compile(circuit)
    assert isinstance(model._answers(), ByProgram)
    return model


def _same_conditional(model: Executable, circuit: Circuit, x: np.ndarray, observed: np.ndarray) -> None:
    got, want = model.conditional(x, observed), dn.conditional(circuit, x, observed)
    assert got.keys() == want.keys()
    for name, found in want.items():
        if isinstance(found, np.ndarray):
            np.testing.assert_allclose(got[name], found, rtol=1e-9, atol=1e-12)
        else:
            for part in ("mean", "variance"):
                np.testing.assert_allclose(getattr(got[name], part), getattr(found, part), rtol=1e-8, atol=1e-11)
            at = np.linspace(-2, 5, len(x)).round()
            np.testing.assert_allclose(got[name].cdf(at), found.cdf(at), rtol=1e-8, atol=1e-11)


def _same_map(model: Executable, circuit: Circuit, x: np.ndarray, observed: np.ndarray) -> None:
    got, want = model.map(x, observed), dn.map(circuit, x, observed)
    np.testing.assert_array_equal(got.values, want.values)
    np.testing.assert_array_equal(got.certain, want.certain)
    np.testing.assert_allclose(got.log_probability, want.log_probability, rtol=1e-11, atol=1e-11)


def _same_samples(model: Executable, circuit: Circuit, x: np.ndarray, observed: np.ndarray, seed: int) -> None:
    """The very same draws, but where nodes that do the same stand for each other in a network."""
    possible = ~np.isneginf(dn.marginal(circuit, x, observed))
    if not possible.all():
        with pytest.raises(dn.DanausError, match=f"row {int(np.flatnonzero(~possible)[0])} "):
            model.sample(x, observed, seed=seed)
    x, observed = x[possible], observed[possible]
    got = model.sample(x, observed, seed=seed).numpy()
    np.testing.assert_array_equal(got[observed], x[observed])
    assert not np.isneginf(dn.likelihood(circuit, got)).any()
    if not model.compiled or not model.compiled.lowered.layouts:
        np.testing.assert_array_equal(got, dn.sample(circuit, x, observed, seed=seed))


@pytest.mark.filterwarnings(EVERY)
@pytest.mark.parametrize("seed", range(60))
def test_random_circuits(seed: int) -> None:
    circuit = dn.smooth(random_circuit(seed))
    model = _model(circuit)
    x, observed = evidence(circuit, 20, seed, 0.5)
    _same_conditional(model, circuit, x, observed)
    _same_map(model, circuit, x, observed)
    _same_samples(model, circuit, x, observed, seed)
    if np.isfinite(dn.partition(circuit)):
        for variable in circuit.variables:
            want = dn.moment(circuit, variable, 3)
            np.testing.assert_allclose(model.moment(variable, 3), want, rtol=1e-9, atol=1e-11)
    else:
        for variable in circuit.variables:
            with pytest.raises(dn.DanausError, match="zero"):
                model.moment(variable, 1)
        with pytest.raises(dn.DanausError, match="nothing to sample"):
            model.sample(2)


@pytest.mark.filterwarnings(EVERY)
@pytest.mark.parametrize("seed", range(20))
def test_random_circuits_of_both_signs_are_the_evaluators(seed: int) -> None:
    circuit = dn.smooth(random_circuit(seed, signed=True))
    model = dn.compile(circuit)
    x, observed = evidence(circuit, 10, seed, 0.5)
    _same_conditional(model, circuit, x, observed)


@pytest.mark.filterwarnings(EVERY)
@pytest.mark.parametrize("seed", range(40))
def test_virtual_evidence_of_random_circuits(seed: int) -> None:
    """Weights against the sum over the values that they weigh."""
    circuit = dn.smooth(random_circuit(seed))
    random = np.random.default_rng(seed)
    x, observed = evidence(circuit, 7, seed, 0.4)
    weighted = [v for v in circuit.variables if random.random() < 0.6][:3]
    weights = {v.name: random.integers(0, 4, size=(7, v.size)) / 2 for v in weighted}
    want = np.zeros(7)
    for codes in itertools.product(*(range(v.size) for v in weighted)):
        rows, mask, part = x.copy(), observed.copy(), np.ones(7)
        for variable, code in zip(weighted, codes, strict=True):
            place = circuit.variables.index(variable)
            rows[:, place], mask[:, place] = getattr(variable.domain, "lo", 0) + code, True
            part = part * weights[variable.name][:, code]
        want += part * np.exp(dn.marginal(circuit, rows, mask))
    for model in (_model(circuit), dn.compile(circuit)):
        got = model.marginal(x, observed, evidence=weights).numpy()
        np.testing.assert_allclose(np.exp(got), want, rtol=1e-9, atol=1e-14)
        model._answers = lambda: ByEvaluator(circuit, lambda: False)  # type: ignore[method-assign]
        got = model.marginal(x, observed, evidence=weights).numpy()
        np.testing.assert_allclose(np.exp(got), want, rtol=1e-9, atol=1e-14)


def test_weights_that_do_not_fit() -> None:
    circuit = dn.parse("var x : bool; var y : real; circuit p { return bernoulli(x, [0.5]) * gaussian(y, [0], [1]) }")
    model = dn.compile(circuit.circuit)
    rows = np.array([[0, 0.5], [1, 0.5]])
    for given, code in (
        ({"x": [1, 2, 3]}, "wrong-shape"),
        ({"x": [1, -1]}, "wrong-value"),
        ({"x": [[1, 1], [np.nan, 1]]}, "wrong-value"),
        ({"y": [1]}, "infinite-domain"),
        ({"x": ["a", "b"]}, "wrong-dtype"),
    ):
        with pytest.raises(dn.DanausError) as refused:
            model.marginal(rows, evidence=given)
        assert refused.value.diagnostics[0].code == code
    x_unread = np.array([[7, 0.5], [np.nan, 0.5]])
    np.testing.assert_allclose(
        model.marginal(x_unread, evidence={"x": [[2, 0], [0, 4]]}).numpy(),
        dn.likelihood(circuit.circuit, [[0, 0.5], [0, 0.5]]) + np.log([2, 4]),
    )


def _ones(circuit: Circuit) -> np.ndarray:
    count = len(circuit.variables)
    every = np.array(list(itertools.product([0, 1], repeat=count)))
    mass = np.exp(dn.likelihood(circuit, every))
    return np.bincount(every.sum(axis=1), weights=mass, minlength=count + 1)


@pytest.mark.parametrize(
    "circuit",
    [
        dn.hmm(dn.Bool("x", shape=9), states=4),
        dn.hmm(dn.Bool("x", shape=9), states=4, transition=dn.monarch(2, 2)),
        dn.quad_tree(dn.Bool("x", shape=9), shape=[3, 3], states=3),
        dn.quad_tree(dn.Bool("x", shape=9), shape=[3, 3], states=2, layer="tucker"),
        dn.parse(
            """
            var x[3] : bool
            const W[2] = [2, 0.5]
            circuit p {
              a = [x[0] = 0] * [x[1] = 1]
              b = [x[0] = 1] * bernoulli(x[1], [0.5])
              return sum(concat(a, b), W, width=1, map=sparse([0, 0], [0, 1])) * [x[2] = 1]
            }
            """
        ).circuit,
    ],
)
def test_masses_of_numbers_of_ones(circuit: Circuit) -> None:
    want = _ones(circuit)
    got = dn.compile(circuit).hamming().numpy()
    np.testing.assert_allclose(np.exp(got), want, rtol=1e-9)
    np.testing.assert_array_equal(np.isneginf(got), want == 0)


def test_ones_of_a_long_chain() -> None:
    circuit = dn.hmm(dn.Bool("x", shape=300), states=5)
    np.testing.assert_allclose(dn.compile(circuit).hamming().numpy(), ask.hamming(circuit), rtol=1e-9, atol=1e-9)


MIXED = """
var x : real
var n : count
var z : cat(3)
circuit p {
  a = gaussian(x, [0, 3], [1, 0.1])
  b = poisson(n, [2, 20])
  c = categorical(z, [[0.2, 0.3, 0.5], [0, 0, 1]])
  return sum(a * b * c, [[0.3, 0.7]])
}
"""


@pytest.mark.filterwarnings(EVERY)
def test_real_and_count_variables() -> None:
    circuit = dn.parse(MIXED).circuit
    model = _model(circuit)
    x = np.array([[0.1, 2, 1], [40.0, 3, 0], [3.0, 18, 2], [1e3, 2, 1], [-700.0, 0, 0]])
    for mask in itertools.product([False, True], repeat=3):
        observed = np.broadcast_to(mask, x.shape)
        _same_conditional(model, circuit, x, observed)
        _same_map(model, circuit, x, observed)
        np.testing.assert_array_equal(
            model.sample(x, observed, seed=5).numpy(), dn.sample(circuit, x, observed, seed=5)
        )
    np.testing.assert_array_equal(model.sample(200, seed=1).numpy(), dn.sample(circuit, 200, seed=1))
    for name, order in itertools.product("xnz", (0, 1, 2, 5)):
        np.testing.assert_allclose(model.moment(name, order), dn.moment(circuit, name, order), rtol=1e-9)


def _chain(initial: np.ndarray, transition: np.ndarray, emission: np.ndarray, length: int) -> Circuit:
    chain = dn.hmm(dn.Cat("x", emission.shape[1], shape=length), states=len(initial))
    model = dn.compile(chain)
    values = {"initial": initial[None], "transition": transition, "emission": emission}
    for name, tensor in model.named_parameters():
        tensor.copy_(torch.from_numpy(values[name.split("/")[-1]]))
    return model.circuit


def _paths(length: int, states: int, row: np.ndarray, tables: tuple[np.ndarray, ...]) -> dict[tuple[int, ...], float]:
    """The joint probability of every path of an HMM with a row, NaN standing for what is missing."""
    initial, transition, emission = tables
    out = {}
    for path in itertools.product(range(states), repeat=length):
        value = initial[path[0]]
        for before, after in itertools.pairwise(path):
            value *= transition[before, after]
        for state, x in zip(path, row, strict=True):
            value *= 1.0 if np.isnan(x) else emission[state, int(x)]
        out[path] = value
    return out


def test_states_of_a_chain_against_enumeration() -> None:
    random = np.random.default_rng(3)
    tables = (random.dirichlet(np.ones(3)), random.dirichlet(np.ones(3), 3), random.dirichlet(np.ones(4), 3))
    circuit = _chain(*tables, 5)
    model = _model(circuit)
    x = random.integers(0, 4, size=(6, 5)).astype(float)
    x[random.random(x.shape) < 0.3] = np.nan
    best, each = model.decode(x), model.posterior(x).numpy()
    assert best.certain.all() and each.shape == (6, 5, 3)
    for row in range(6):
        paths = _paths(5, 3, x[row], tables)
        top = max(paths, key=lambda path: paths[path])
        assert tuple(best.values[row]) == top
        np.testing.assert_allclose(best.log_probability[row], np.log(paths[top]), rtol=1e-12)
        total = sum(paths.values())
        for place, state in itertools.product(range(5), range(3)):
            share = sum(value for path, value in paths.items() if path[place] == state) / total
            np.testing.assert_allclose(each[row, place, state], share, rtol=1e-10)


def test_states_of_other_templates() -> None:
    first = dn.parse("var x : bool; circuit p { return bernoulli(x, [0.2]) }").circuit
    second = dn.parse("var x : bool; circuit q { return bernoulli(x, [0.9]) }").circuit
    mixed = dn.mixture([first, second], [0.25, 0.75])
    model = dn.compile(mixed)
    np.testing.assert_allclose(model.posterior([[1]]).numpy(), [[[0.05 / 0.725, 0.675 / 0.725]]])
    best = model.decode([[1], [0], [np.nan]])
    assert best.values.tolist() == [[1.0], [0.0], [1.0]]
    np.testing.assert_allclose(np.exp(best.log_probability), [0.675, 0.2, 0.75])
    with pytest.raises(dn.DanausError, match="no latent states"):
        dn.compile(dn.smooth(random_circuit(3))).decode(evidence(random_circuit(3), 2, 0, 0.0)[0])


def test_a_path_that_no_float_holds() -> None:
    """Near-deterministic chains: what scaled numbers lose is found and taken again in logarithms."""
    small = 1e-290
    transition = np.array([[1 - small, small], [small, 1 - small]])
    emission = np.array([[1.0, 0.0], [0.0, 1.0]])
    circuit = _chain(np.array([1 - small, small]), transition, emission, 6)
    model = _model(circuit)
    x = np.array([[0.0, 1, 0, 1, np.nan, 0], [0, 0, 0, np.nan, 0, 0], [1, np.nan, 0, np.nan, 1, 0]])
    _same_conditional(model, circuit, x, ~np.isnan(x))
    _same_map(model, circuit, x, ~np.isnan(x))
    np.testing.assert_array_equal(model.sample(x, seed=2).numpy(), dn.sample(circuit, x, seed=2))
    best = model.decode(x)
    np.testing.assert_array_equal(best.values[0, :4], [0, 1, 0, 1])
    np.testing.assert_allclose(model.posterior(x).numpy()[0, 4].sum(), 1.0)


@pytest.mark.filterwarnings(EVERY)
def test_impossible_rows() -> None:
    circuit = _chain(np.array([0.5, 0.5]), np.eye(2), np.array([[0.5, 0.5, 0], [0, 0.5, 0.5]]), 4)
    model = _model(circuit)
    x = np.array([[0, np.nan, 2, np.nan], [0, np.nan, 1, np.nan], [np.nan, 2, np.nan, np.nan]])
    _same_conditional(model, circuit, x, ~np.isnan(x))
    _same_map(model, circuit, x, ~np.isnan(x))
    assert np.isnan(model.posterior(x).numpy()).all(axis=(1, 2)).tolist() == [True, False, False]
    best = model.decode(x)
    assert np.isnan(best.values[0]).all() and np.isneginf(best.log_probability[0]) and best.certain.all()
    with pytest.raises(dn.DanausError, match="row 0 "):
        model.sample(x)
    with pytest.warns(dn.DanausWarning, match="1 of 3 rows, first row 0"):
        model.conditional(x)


def test_a_thousand_steps() -> None:
    circuit = dn.hmm(dn.Cat("x", 5, shape=1000), states=8)
    model = _model(circuit)
    x, observed = evidence(circuit, 3, 1, 0.5)
    _same_conditional(model, circuit, x, observed)
    _same_map(model, circuit, x, observed)
    np.testing.assert_array_equal(model.sample(x, observed, seed=4).numpy(), dn.sample(circuit, x, observed, seed=4))
    assert model.decode(x).values.shape == (3, 1000)


def test_a_deterministic_circuit_is_certain_and_proved_once() -> None:
    text = """
    var x : bool; var y : bool; var z : cat(3)
    const W[2] = [0.4, 0.6]
    circuit p {
      a = [x = 0] * bernoulli(y, [0.3])
      b = [x = 1] * bernoulli(y, [0.9])
      return sum(concat(a, b), W, width=1, map=sparse([0, 0], [0, 1])) * categorical(z, [[0.1, 0.2, 0.7]])
    }
    """
    circuit = dn.parse(text).circuit
    model = _model(circuit)
    best = model.map(np.full((2, 3), np.nan))
    assert best.values.tolist() == [[1, 1, 2]] * 2 and best.exact
    answers = model._answers()
    assert isinstance(answers, ByProgram) and answers.deterministic()


@pytest.mark.parametrize("seed", [1, 2])
def test_samples_have_the_right_frequencies(seed: int) -> None:
    """Chi-square over all assignments, free and given evidence; the 99.99 % quantile is some 24 above the mean here."""
    circuit = dn.quad_tree(dn.Bool("x", shape=4), shape=[2, 2], states=2, seed=seed)
    model = _model(circuit)
    every = np.array(list(itertools.product([0, 1], repeat=4)))
    p = np.exp(dn.likelihood(circuit, every))
    count = 20_000
    for given in (None, 1):
        if given is None:
            drawn, expected = model.sample(count, seed=seed).numpy(), p * count
        else:
            rows = np.full((count, 4), np.nan)
            rows[:, 0] = given
            drawn = model.sample(rows, seed=seed).numpy()
            expected = np.where(every[:, 0] == given, p, 0.0)
            expected *= count / expected.sum()
        seen = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16)
        assert (seen[expected == 0] == 0).all()
        used = expected > 0
        statistic = ((seen[used] - expected[used]) ** 2 / expected[used]).sum()
        assert statistic < used.sum() + 30
    part = model.sample(rows[:777], seed=seed).numpy()
    np.testing.assert_array_equal(part, drawn[:777])


def test_no_rows() -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=2)
    model = _model(circuit)
    x = np.zeros((0, 4))
    assert model.conditional(x) == {}
    assert model.map(x).values.shape == (0, 4)
    assert model.sample(x).shape == (0, 4) and model.sample(0).shape == (0, 4)
    assert model.decode(x).values.shape == (0, 4) and model.posterior(x).shape == (0, 4, 2)


def test_changed_parameters_count() -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=2)
    model = _model(circuit)
    x = np.array([[0, np.nan, 2, 1]])
    before = model.conditional(x)["x[1]"]
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.softmax(torch.arange(tensor.numel(), dtype=torch.float64).reshape(tensor.shape), -1))
    after = model.conditional(x)["x[1]"]
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, dn.conditional(model.circuit, x)["x[1]"], rtol=1e-9)
