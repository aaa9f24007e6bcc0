"""Networks over real and count variables on the CPU: against definitions, the evaluator in float64, and differences."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import danaus as dn
import naive
from danaus.backends.cpu.soft import each_once
from danaus.backends.cpu.twofold import AdjointTwofold, Twofold
from danaus.compiler.able import Type
from danaus.compiler.lowering.lower import lower
from danaus.compiler.properties import check
from danaus.ir.block import indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Count, Real, Variable
from danaus.ir.family import Gaussian, Indicator, One, Poisson
from danaus.ir.linear import sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store
from danaus.runtime.executable import Executable
from danaus.runtime.queries.answers import ByProgram
from networks_on_reals import real_network, rows_of

EVERY = "ignore::danaus.DanausWarning"
SEEDS = [seed for seed in range(30) if all(real_network(seed, zeros=zeros).variables for zeros in (True, False))]


def _model(circuit: Circuit, dtype: Type = "float32") -> Executable:
    model = dn.compile(circuit, dtype=dtype)
    assert isinstance(model.present.engine(), Twofold)
    return model


def _close(got: np.ndarray, want: np.ndarray, dtype: Type, layers: int) -> None:
    error = 5e-7 * (1 + np.sqrt(layers)) if dtype == "float32" else 1e-12
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    some = ~np.isneginf(want)
    assert (np.abs(got[some] - want[some]) <= error * np.maximum(1.0, np.abs(want[some]))).all()


@pytest.mark.parametrize("seed", SEEDS[:8])
def test_random_networks(seed: int) -> None:
    """Batches of all sizes, masks, far rows and impossible ones, of both types, with zeros and without."""
    circuit = real_network(seed, zeros=seed % 3 == 0)
    x, observed = rows_of(circuit, 1000, seed)
    want = np.asarray(dn.marginal(circuit, x, observed))
    for dtype in ("float32", "float64"):
        model = _model(circuit, dtype)
        for rows in (0, 1, 3, 16, 17, 1000):
            got = model.log_likelihood(x[:rows], observed[:rows]).numpy()
            assert got.dtype == np.float64
            _close(got, want[:rows], dtype, len(circuit.blocks))
        assert model.recomputed <= 10


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_against_the_definition(seed: int) -> None:
    """Node by node in Python floats, with nothing of the evaluator."""
    circuit = real_network(seed, zeros=seed % 2 == 0)
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(8):
        row = [random.normal() if isinstance(v.domain, Real) else random.integers(0, 2) for v in circuit.variables]
        rows.append([float(value) for value in row])
    values = [float(naive.value(circuit, dict(zip(circuit.variables, row, strict=True)))) for row in rows]
    with np.errstate(divide="ignore"):
        want = np.log(np.array(values))
    for dtype in ("float32", "float64"):
        _close(_model(circuit, dtype).log_likelihood(np.array(rows)).numpy(), want, dtype, len(circuit.blocks))


def _mixture(deviations: tuple[float, float] = (1.0, 0.5)) -> Circuit:
    """Two terms over a real, a count and a boolean variable, each of a leaf on each."""
    x, n, b = Variable("x", Real()), Variable("n", Count()), Variable("b", Bool())
    values: dict[Parameter, Value] = {}

    def held(name: str, *entries: float) -> Parameter:
        parameter = Parameter(name, (len(entries),), None, True)
        values[parameter] = Value.of(np.array(entries))
        return parameter

    real = input_block(Gaussian(), x, (held("m", -1.0, 2.0), held("s", *deviations)))
    count = input_block(Poisson(), n, (held("r", 2.0, 7.0),))
    truth = [input_block(Indicator(value), b) for value in range(2)]
    both = indexed([real, count, *truth], [0, 3, 6, 9], [0, 2, 4, 1, 3, 5, 0, 3, 5])
    root = weighted([both], sparse([0, 0, 0], [0, 1, 2], held("w", 0.3, 0.5, 0.2), 1, 3))
    return Circuit(root, Store(values), "mixture")


def _defined(x: float, n: float, b: float) -> float:
    """The mixture's density, written out."""

    def normal(m: float, s: float) -> float:
        return float(np.exp(-(((x - m) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi)))

    def poisson(rate: float) -> float:
        return float(rate**n * np.exp(-rate) / np.prod(np.arange(1, n + 1)))

    terms = [0.3 * normal(-1, 1) * poisson(2) * (b == 0), 0.5 * normal(2, 0.5) * poisson(7) * b]
    return sum(terms) + 0.2 * normal(-1, 1) * poisson(7) * b


def test_sums_and_integrals_of_a_mixture() -> None:
    """What is missing, by enumeration and by the trapezoid rule; all that is missing is 1."""
    model = _model(_mixture())
    grid = np.linspace(-12, 12, 2001)
    width = grid[1] - grid[0]
    for known in product((False, True), repeat=3):
        real = [0.7] if known[0] else grid
        counts = [3.0] if known[1] else np.arange(60.0)
        truth = [1.0] if known[2] else [0.0, 1.0]
        if not known[0] and not known[1]:
            counts = counts[:40]
            real = real[::8]
        scale = 1.0 if known[0] else (width if known[1] else 8 * width)
        total = scale * sum(_defined(x, n, b) for x in real for n in counts for b in truth)
        got = float(model.log_likelihood([[0.7, 3.0, 1.0]], [known])[0])
        assert got == pytest.approx(np.log(total), rel=1e-10, abs=1e-10)
    assert model.partition() == pytest.approx(0.0, abs=1e-14)


def test_many_inputs() -> None:
    """Products over 60 variables of mixtures of two inputs each, in any order, of both families and two widths."""
    random = np.random.default_rng(3)
    names = [Variable(f"v{i}", Count() if i % 3 == 2 else Real()) for i in random.permutation(60)]
    sums, wants = [], []
    x = np.where(
        [isinstance(v.domain, Count) for v in names], random.poisson(4, (1000, 60)), random.normal(size=(1000, 60))
    )
    for column, variable in enumerate(names):
        blocks, logs = [], []
        for width in (3, 3 + column % 2):
            m, s, rate = (random.uniform(0.5, 5, width) for _ in range(3))
            if isinstance(variable.domain, Count):
                blocks.append(input_block(Poisson(), variable, (constant(rate),)))
                factorials = np.array([math.lgamma(n + 1) for n in x[:, column]])
                logs.append(x[:, column, None] * np.log(rate) - rate - factorials[:, None])
            else:
                blocks.append(input_block(Gaussian(), variable, (constant(m), constant(s))))
                logs.append(-(((x[:, column, None] - m) / s) ** 2) / 2 - np.log(s * np.sqrt(2 * np.pi)))
        total = sum(block.width for block in blocks)
        weights = random.dirichlet(np.ones(total))
        sums.append(weighted(blocks, sparse([0] * total, range(total), constant(weights), 1, total)))
        wants.append(np.logaddexp.reduce(np.concatenate(logs, axis=1) + np.log(weights), axis=1))
    order = random.permutation(60)
    circuit = Circuit(indexed([sums[i] for i in order], [0, 60], np.arange(60)), Store({}), "many")
    place = [names.index(variable) for variable in circuit.variables]
    observed = random.random(x.shape) < 0.8
    want = (np.stack(wants, axis=1) * observed).sum(axis=1)
    model = _model(circuit)
    for rows in (1, 16, 1000):
        got = model.log_likelihood(x[:rows, place], observed[:rows, place]).numpy()
        np.testing.assert_allclose(got, want[:rows], rtol=1e-12)
    assert model.recomputed == 0


def test_what_no_data_can_be() -> None:
    """Far values have their density; values that are none are named; a count beside a point has none."""
    model = _model(_mixture(), "float32")
    rows = [[0, 1, 1], [1e5, 2, 1], [0.0, 10_000, 1]]
    np.testing.assert_allclose(model.log_likelihood(rows).numpy(), dn.likelihood(_mixture(), rows), rtol=1e-6)
    for row in ([np.inf, 1, 1], [0.0, -1, 1], [0.0, 0.5, 1], [0.0, 1, 2], [np.nan, 1, 1]):
        with pytest.raises(dn.DanausError):
            model.log_likelihood([row])
    assert float(model.marginal([[np.nan, 1, 1]])[0]) == pytest.approx(
        np.log(0.5 * 7 * np.exp(-7.0) + 0.2 * 7 * np.exp(-7.0))
    )
    n, x = Variable("n", Count()), Variable("x", Real())
    point, real = input_block(Indicator(3), n), input_block(Gaussian(), x, (constant([0.0]), constant([1.0])))
    circuit = Circuit(indexed([point, real], [0, 2], [0, 1]), Store({}), "point")
    for dtype in ("float32", "float64"):
        got = _model(circuit, dtype).log_likelihood([[3, 0.0], [4, 0.0], [0, 1e3]]).numpy()
        assert got[0] == pytest.approx(-np.log(2 * np.pi) / 2, rel=1e-6) and np.isneginf(got[1:]).all()


def test_digits_of_outliers_and_of_narrow_densities() -> None:
    """Log-likelihoods of −5e9, and densities of 4e11 that cancel with masses of counts: float32 keeps its digits."""
    circuit = _mixture((1e-12, 1e-12))
    model = _model(circuit, "float32")
    rows = [[-1.0, 12, 0], [2.0, 30, 1], [-1.0, 30, 0], [-1.0 + 1e-7, 0, 0]]
    want = dn.likelihood(circuit, rows)
    assert want[3] < -1e9
    np.testing.assert_allclose(model.log_likelihood(rows).numpy(), want, rtol=2e-6)


def test_terms_with_other_leaves() -> None:
    """A variable that a term leaves out, or names twice: nothing is taken out of a row beforehand."""
    x, y = Variable("x", Real()), Variable("y", Real())
    first = input_block(Gaussian(), x, (constant([0.0, 4.0]), constant([1.0, 2.0])))
    second = input_block(Gaussian(), y, (constant([1.0]), constant([1.0])))
    weights = sparse([0, 0], [0, 1], constant([0.25, 0.5]), 1, 2)
    for members, once in (
        ([0, 2, 1, 2], True),
        ([0, 2, 1, 1], False),
        ([0, 2, 2, 2], False),
        ([0, 1, 1, 0], False),
    ):
        terms = indexed([first, second], [0, 2, 4], members)
        circuit = Circuit(weighted([terms], weights), Store({}), "terms")
        assert each_once(lower(circuit).program.layouts[0]) == once
        columns = [[1.5, -30.0], [2.0, 600.0]][: len(circuit.variables)]
        data = np.array(columns).T

        def normal(v: float, m: float, s: float) -> float:
            return -(((v - m) / s) ** 2) / 2 - np.log(s * np.sqrt(2 * np.pi))

        want = []
        for row in data:
            leaves = [normal(row[0], 0, 1), normal(row[0], 4, 2), normal(row[-1], 1, 1)]
            sums = [leaves[members[0]] + leaves[members[1]], leaves[members[2]] + leaves[members[3]]]
            want.append(np.logaddexp(np.log(0.25) + sums[0], np.log(0.5) + sums[1]))
        for dtype in ("float32", "float64"):
            _close(_model(circuit, dtype).log_likelihood(data).numpy(), np.array(want), dtype, 4)


def _crossed(weights: tuple[float, float] = (0.25, 0.75), outer: float = 1.0) -> Circuit:
    """Two terms over two real variables, whose centres are at (0, 0) and (1, 1)."""
    x, y = Variable("x", Real()), Variable("y", Real())
    both = [input_block(Gaussian(), v, (constant([0.0, 1.0]), constant([0.01, 0.01]))) for v in (x, y)]
    terms = indexed(both, [0, 2, 4], [0, 2, 1, 3])
    inner = Parameter("w", (2,), None, True)
    below = weighted([terms], sparse([0, 0], [0, 1], inner, 1, 2))
    root = weighted([below], sparse([0], [0], constant([outer]), 1, 1))
    return Circuit(root, Store({inner: Value.of(np.array(weights))}), "crossed")


def _crossed_terms(rows: np.ndarray, weights: tuple[float, float] = (0.25, 0.75)) -> np.ndarray:
    """The logarithms of its terms, [rows, 2]."""
    each = [
        np.log(weight)
        + sum(-(((rows[:, i] - centre) / 0.01) ** 2) / 2 - np.log(0.01 * np.sqrt(2 * np.pi)) for i in (0, 1))
        for weight, centre in zip(weights, (0.0, 1.0), strict=True)
    ]
    return np.stack(each, axis=1)


CROSSED = np.array([[0, t] for t in np.linspace(0, 1, 41)] + [[0.5, 0.5], [-40, 40]])
"""From where one term is all there is to where both are e⁻⁵⁰⁰⁰ of the largest densities."""


@pytest.mark.parametrize("rows", [slice(None), slice(16, 17), slice(30, 41)])
def test_rows_below_the_floor(rows: slice) -> None:
    """Rows that plain float64 would lose, or keep few digits of, between others: values and shares."""
    circuit, data = _crossed(), CROSSED[rows]
    model = _model(circuit)
    assert isinstance(engine := model.present.engine(), Twofold) and engine.plain
    terms = _crossed_terms(data)
    want = np.logaddexp(terms[:, 0], terms[:, 1])
    _close(model.log_likelihood(data).numpy(), want, "float64", 1)
    weights = np.linspace(-1, 2, len(data))
    found = model.derivatives(data, np.ones(data.shape, dtype=bool), weights)
    shares = np.exp(terms - want[:, None]) * weights[:, None]
    np.testing.assert_allclose(found.named["w"] * [0.25, 0.75], shares.sum(axis=0), rtol=1e-11)
    assert model.recomputed == 0


def test_weights_beyond_all_numbers() -> None:
    """A row whose derivatives overflow is taken in logarithms, and leaves the others as they are."""
    circuit, data = _crossed(), CROSSED[:26]
    terms = _crossed_terms(data)
    shares = np.exp(terms - np.logaddexp(terms[:, 0], terms[:, 1])[:, None])
    model = _model(circuit)
    weights = np.ones(len(data))
    weights[22] = 1e200
    found = model.derivatives(data, np.ones(data.shape, dtype=bool), weights, data=True)
    np.testing.assert_allclose(found.named["w"] * [0.25, 0.75], (shares * weights[:, None]).sum(axis=0), rtol=1e-9)
    slopes = -(data[:, :1] - np.array([0.0, 1.0])) / 0.01**2
    np.testing.assert_allclose(found.data[:, 0], weights * (shares * slopes).sum(axis=1), rtol=1e-9, atol=1e-9)


def test_numbers_that_leave_no_room() -> None:
    """Weights of 10⁻²⁹⁰ under one of 10²⁵⁰: what underflows in between would count, so nothing is plain."""
    weights = (1e-290, 3e-290)
    model = _model(_crossed(weights, 1e250))
    assert isinstance(engine := model.present.engine(), Twofold) and not engine.plain
    terms = _crossed_terms(CROSSED, weights) + np.log(1e250)
    want = np.logaddexp(terms[:, 0], terms[:, 1])
    _close(model.log_likelihood(CROSSED).numpy(), want, "float64", 1)


def test_what_engines_do_not_vouch_for() -> None:
    """Logarithms beyond float32 and beyond all: those rows are the evaluator's, and others stay as they are."""
    circuit = _mixture()
    model = _model(circuit, "float32")
    x = np.array([[1e40, 1, 1], [0.5, 1, 1], [1e50, 1, 1], [0.25, 2, 0]])
    np.testing.assert_allclose(model.log_likelihood(x).numpy(), dn.likelihood(circuit, x), rtol=1e-6)
    assert model.recomputed == 2
    found = model.derivatives(x, np.ones(x.shape, dtype=bool), np.array([0.0, 1.0, 0.0, 1.0]))
    rest = model.derivatives(x[[1, 3]], np.ones((2, 3), dtype=bool), np.ones(2))
    for name, derivative in rest.named.items():
        np.testing.assert_allclose(found.named[name], derivative, rtol=1e-12)


@pytest.mark.filterwarnings(EVERY)
@pytest.mark.parametrize("seed", SEEDS[:8])
def test_derivatives_are_those_of_the_reverse(seed: int) -> None:
    """Compiled, against the reverse of the Program node by node, over rows of both signs of weight."""
    circuit = real_network(seed, zeros=False)
    model = _model(circuit)
    for rows in (1, 3, 40):
        x, observed = rows_of(circuit, rows, seed)
        weights = np.linspace(2.0, -1.0, rows)
        assert isinstance(model.present.reverse(), AdjointTwofold)
        found = model.derivatives(x, observed, weights, data=True)
        plain = dn.compile(circuit)
        plain.present.reverse = lambda: None  # type: ignore[method-assign]
        want = plain.derivatives(x, observed, weights, data=True)
        reach = np.abs(want.log[np.isfinite(want.log)]).max(initial=1.0)  # what costs the reverse its digits
        np.testing.assert_allclose(found.log, want.log, rtol=1e-11)
        size = np.abs(want.data).max(initial=0.0)
        np.testing.assert_allclose(found.data, want.data, rtol=0, atol=(1e-12 + 1e-15 * reach) * size)
        for name, derivative in want.named.items():
            size = np.abs(derivative).max(initial=0.0)
            np.testing.assert_allclose(found.named[name], derivative, rtol=0, atol=(1e-11 + 2e-15 * reach) * size)


def test_autograd_and_differences() -> None:
    """Of parameters and of data, with something missing, by central differences."""
    model = _model(_mixture(), "float64")
    model.requires_grad_()
    given = np.array([[0.3, 2, 1], [-2.0, 4, 0], [1.9, 9, 1], [0.4, 1, 1]])
    observed = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=bool)
    x = torch.tensor(given, requires_grad=True)
    weights = torch.tensor([1.0, -0.5, 2.0, 1.5], dtype=torch.float64)
    (model.log_likelihood(x, observed) * weights).sum().backward()

    def value() -> float:
        return float((model.log_likelihood(x, observed) * weights).sum().detach())

    assert x.grad is not None
    step = 1e-6
    for tensor in [x, *model.parameters()]:
        assert tensor.grad is not None
        for place in np.ndindex(*tensor.shape):
            if tensor is x and place[1] != 0:
                continue
            with torch.no_grad():
                tensor[place] += step
                high = value()
                tensor[place] -= 2 * step
                low = value()
                tensor[place] += step
            assert float(tensor.grad[place]) == pytest.approx((high - low) / (2 * step), rel=1e-5, abs=1e-7)
    assert (x.grad[:, 1:] == 0).all() and x.grad[3, 0] == 0


def test_flows_are_expected_counts() -> None:
    """How often each term is used, in expectation, by Bayes' rule."""
    rows = np.array([[0.3, 2, 1], [-2.0, 4, 0], [1.9, 9, 1]])
    found = _model(_mixture()).flows(rows)["w"]

    def normal(x: float, m: float, s: float) -> float:
        return float(np.exp(-(((x - m) / s) ** 2) / 2) / s)

    want = np.zeros(3)
    for x, n, b in rows:
        low, high = 2**n * np.exp(-2.0), 7**n * np.exp(-7.0)
        terms = np.array(
            [
                0.3 * normal(x, -1, 1) * low * (1 - b),
                0.5 * normal(x, 2, 0.5) * high * b,
                0.2 * normal(x, -1, 1) * high * b,
            ]
        )
        want += terms / terms.sum()
    np.testing.assert_allclose(found, want, rtol=1e-12)


@pytest.mark.parametrize("method", ["em", "adam"])
def test_learning(method: str) -> None:
    """EM never steps back, and both come near what the rows were drawn from."""
    true = _mixture()
    rows = np.asarray(dn.sample(true, 3000, seed=1))
    start = _mixture((2.0, 2.0))
    before = float(np.mean(dn.likelihood(start, rows)))
    found = dn.fit(start, rows, method=method, seed=3, epochs=15)
    model = _model(found.circuit)
    after = float(model.log_likelihood(rows).mean())
    assert after > before + 0.1
    assert after >= float(np.mean(dn.likelihood(true, rows))) - 0.02
    assert isinstance(model.present.reverse(), AdjointTwofold)


@pytest.mark.filterwarnings(EVERY)
@pytest.mark.parametrize("seed", SEEDS[:8])
def test_queries_are_those_of_the_evaluator(seed: int) -> None:
    circuit = real_network(seed, zeros=seed % 4 == 0)
    model = dn.compile(circuit, dtype="float64")
    assert isinstance(model._answers(), ByProgram)
    x, observed = rows_of(circuit, 10, seed, 0.5)
    got, want = model.conditional(x, observed), dn.conditional(circuit, x, observed)
    assert got.keys() == want.keys()
    for name, found in want.items():
        for part in ("mean", "variance") if not isinstance(found, np.ndarray) else ("real",):
            np.testing.assert_allclose(getattr(got[name], part), getattr(found, part), rtol=1e-7, atol=1e-9)
    possible = ~np.isneginf(dn.marginal(circuit, x, observed))
    if check(circuit, "smooth")["smooth"].status == "proved":
        best, best_wanted = model.map(x, observed), dn.map(circuit, x, observed)
        np.testing.assert_allclose(best.log_probability, best_wanted.log_probability, rtol=1e-11)
        np.testing.assert_array_equal(best.certain, best_wanted.certain)
        drawn = model.sample(x[possible], observed[possible], seed=2).numpy()
        np.testing.assert_array_equal(drawn[observed[possible]], x[possible][observed[possible]])
        assert np.isfinite(dn.likelihood(circuit, drawn)).all()
    if possible[0] and np.isfinite(dn.partition(circuit)):
        for variable in circuit.variables:
            assert model.moment(variable, 2) == pytest.approx(dn.moment(circuit, variable, 2), rel=1e-8)


def test_samples_have_the_right_moments() -> None:
    model = _model(_mixture())
    drawn = model.sample(40_000, seed=5).numpy()
    for column, name in enumerate(("x", "n", "b")):
        assert drawn[:, column].mean() == pytest.approx(model.moment(name, 1), abs=0.05)
    truth = drawn[:, 2] == 0
    assert drawn[truth, 0].mean() == pytest.approx(-1.0, abs=0.05) and drawn[truth, 1].mean() == pytest.approx(
        2, abs=0.1
    )


@pytest.mark.filterwarnings(EVERY)
@pytest.mark.parametrize("seed", SEEDS[3:4])
def test_bundles(seed: int, tmp_path: Path) -> None:
    circuit = real_network(seed, zeros=False)
    for dtype in ("float32", "float64"):
        model = _model(circuit, dtype)
        model.save(tmp_path / dtype)
        loaded = dn.load_bundle(tmp_path / dtype)
        x, observed = rows_of(circuit, 50, seed)
        for rows in (1, 50):
            got, want = (each.log_likelihood(x[:rows], observed[:rows]) for each in (loaded, model))
            torch.testing.assert_close(got, want, rtol=1e-14, atol=1e-14)
        assert loaded.origin == "bundle"
        if "sample" in loaded.queries:
            assert torch.equal(loaded.sample(x, observed, seed=4), model.sample(x, observed, seed=4))
        for name, found in model.conditional(x, observed).items():
            part = loaded.conditional(x, observed)[name]
            if isinstance(found, np.ndarray):
                np.testing.assert_allclose(part, found, rtol=1e-12)
            else:
                np.testing.assert_allclose(part.mean, found.mean, rtol=1e-12)


def test_inputs_that_no_term_reaches() -> None:
    """An input under a weight that is always 0 is no leaf, and an integral that diverges there is none."""
    x, y = Variable("x", Real()), Variable("y", Real())
    kept = input_block(Gaussian(), x, (constant([0.0]), constant([1.0])))
    lost = input_block(One(), y)
    root = weighted([kept, lost], sparse([0, 0], [0, 1], constant([2.0, 0.0]), 1, 2))
    circuit = Circuit(weighted([root], sparse([0], [0], constant([0.5]), 1, 1)), Store({}), "lost")
    lowered = lower(circuit)
    assert [block.variable for block in lowered.densities] == [x]
    got = float(_model(circuit).log_likelihood(np.zeros((1, len(circuit.variables))))[0])
    assert got == pytest.approx(-np.log(2 * np.pi) / 2)


def test_no_code_for_gpus(tmp_path: Path) -> None:
    with pytest.raises(dn.DanausError, match="on GPUs, scalar nodes over real or count variables"):
        _model(_mixture()).save(tmp_path / "b.zip", targets=["cuda:sm_90"])
    assert not list(tmp_path.iterdir())
