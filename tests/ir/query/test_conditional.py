"""Conditionals agree with enumeration, with quadrature, and with their definitions; impossible evidence is NaN."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from danaus.ir.block import Block, concat, hadamard, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, DanausWarning
from danaus.ir.domain import Bool, Cat, Count, Real, Variable
from danaus.ir.family import Bernoulli, Gaussian, Indicator, One, Poisson, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.query import Mixture, conditional
from danaus.ir.store import Store
from naive import domain, enumeration, value
from small_circuits import evidence, random_circuit


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(50))
def test_conditionals_are_quotients_of_sums(seed: int, signed: bool) -> None:
    circuit = random_circuit(seed, signed=signed)
    table = enumeration(circuit)
    values, observed = evidence(circuit, 8, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DanausWarning)
        found = conditional(circuit, values, observed)
    assert list(found) == [v for v, gap in zip(circuit.variables, (~observed).any(axis=0), strict=True) if gap]
    for row in range(8):
        matching = table.matching(values[row], observed[row])
        total = sum(worth for _, worth in matching)
        scale = float(sum(abs(worth) for _, worth in matching))
        for position, variable in enumerate(circuit.variables):
            if variable not in found:
                continue
            answer = found[variable]
            assert isinstance(answer, np.ndarray)
            assert answer.shape == (8, variable.size)
            if not signed:
                assert np.isnan(answer[row]).all() == (total == 0)
            if abs(total) <= 1e-6 * scale:
                continue
            for code, v in enumerate(domain(variable)):
                wanted = float(sum(worth for x, worth in matching if x[position] == v) / total)
                assert answer[row, code] == pytest.approx(wanted, rel=1e-12, abs=1e-12 * scale / abs(float(total)))


X, Y, K, Z, W = (
    Variable("x", Bool()),
    Variable("y", Cat(3)),
    Variable("k", Count()),
    Variable("z", Real()),
    Variable("w", Real()),
)


def sum_of(block: Block, weights: list[float]) -> Circuit:
    return Circuit(weighted([block], Dense(constant([weights]))), Store())


def gaussians(signed: bool) -> Circuit:
    z = input_block(Gaussian(), Z, [constant([0.0, 2.0, -1.5]), constant([1.0, 0.5, 3.0])])
    w = input_block(Gaussian(), W, [constant([1.0, -1.0, 0.0]), constant([2.0, 1.0, 0.25])])
    return sum_of(hadamard([z, w]), [0.5, -0.1 if signed else 0.25, 0.25])


@pytest.mark.parametrize("signed", [False, True])
def test_mixtures_agree_with_quadrature(signed: bool) -> None:
    circuit = gaussians(signed)
    given = np.array([[0.0, 0.5], [0.0, -2.0], [0.7, 0.0]])
    observed = np.array([[False, True], [False, True], [True, False]])
    found = conditional(circuit, given, observed)
    grid = np.linspace(-40, 40, 8001)
    points = np.array([-1.0, 0.5, 3.0])
    for row, missing in enumerate((Z, Z, W)):
        known = {W: given[row, 1]} if missing is Z else {Z: given[row, 0]}
        density = np.array([float(value(circuit, {**known, missing: float(t)})) for t in grid])
        density /= np.trapezoid(density, grid)
        mean = np.trapezoid(density * grid, grid)
        answer = found[missing]
        assert isinstance(answer, Mixture)
        assert answer.mean[row] == pytest.approx(mean, rel=1e-10)
        assert answer.variance[row] == pytest.approx(np.trapezoid(density * (grid - mean) ** 2, grid), rel=1e-10)
        for t in points:
            below = density[: round((t + 40) / 0.01) + 1]
            simpson = (4 * below[1::2].sum() + 2 * below[2:-1:2].sum() + below[-1]) * 0.01 / 3
            assert answer.cdf(t)[row] == pytest.approx(simpson, abs=1e-9)
            assert answer.density(t)[row] == pytest.approx(density[np.searchsorted(grid, t - 1e-9)], rel=1e-8)
        assert answer.cdf(np.inf)[row] == pytest.approx(1.0, abs=1e-15)
        level = answer.cdf(points)
        assert signed or answer.quantile(np.clip(level, 1e-3, 1 - 1e-3))[row] == pytest.approx(points[row], rel=1e-9)


def test_known_values_are_certain() -> None:
    found = conditional(gaussians(False), np.array([[0.0, 0.5], [0.7, 0.0]]), np.array([[False, True], [True, False]]))
    answer = found[Z]
    assert isinstance(answer, Mixture)
    assert answer.mean[1] == 0.7 and answer.variance[1] == answer.sd[1] == 0.0
    assert answer.cdf(0.7)[1] == 1.0 and answer.cdf(0.69)[1] == 0.0


def test_counts_are_summed() -> None:
    rates = [0.3, 4.0, 900.0]
    k = concat([input_block(Poisson(), K, [constant(rates)]), input_block(Indicator(7), K)])
    x = input_block(Bernoulli(), X, [constant([0.5, 0.25, 0.5, 0.9])])
    circuit = sum_of(hadamard([k, x]), [1.0, 2.0, 1.0, 0.5])
    found = conditional(circuit, np.array([[1.0, 0.0]]), np.array([[True, False]]))[K]
    assert isinstance(found, Mixture)
    probabilities = np.array([float(value(circuit, {X: 1, K: v})) for v in range(2000)])
    probabilities /= probabilities.sum()
    mean = (np.arange(2000) * probabilities).sum()
    assert found.mean[0] == pytest.approx(mean, rel=1e-11)
    assert found.variance[0] == pytest.approx(((np.arange(2000) - mean) ** 2 * probabilities).sum(), rel=1e-11)
    for t in (-1, 0, 3, 6.5, 7, 20, 890, 950, 1e9):
        assert found.cdf(t)[0] == pytest.approx(probabilities[: max(0, int(min(t, 1999)) + 1)].sum(), abs=1e-11)
        assert found.density(7)[0] == pytest.approx(probabilities[7], rel=1e-11)
    for level in (0.01, 0.4, 0.75, 0.99):
        quantile = int(found.quantile(np.array([level]))[0])
        assert probabilities[:quantile].sum() < level <= probabilities[: quantile + 1].sum() + 1e-12


def test_impossible_evidence_is_nan_with_one_warning() -> None:
    circuit = Circuit(pairs([input_block(Indicator(1), X), input_block(Table(), Y, [constant([[1, 2, 1]])])]), Store())
    rows = np.array([[0.0, 0], [1, 0], [0, 2]])
    with pytest.warns(DanausWarning, match="zero at the evidence of 2 of 3 rows, first row 0") as caught:
        found = conditional(circuit, rows, np.array([[True, False]] * 3))[Y]
    assert len(caught) == 1
    assert isinstance(found, np.ndarray)
    assert np.isnan(found[[0, 2]]).all() and found[1].tolist() == [0.25, 0.5, 0.25]


def test_impossible_evidence_has_no_mixture() -> None:
    circuit = Circuit(
        pairs([input_block(Indicator(1), X), input_block(Gaussian(), Z, [constant([0.0]), constant([1.0])])]), Store()
    )
    with pytest.warns(DanausWarning):
        found = conditional(circuit, np.array([[0.0, 0], [0, 2]]), np.array([[True, False], [True, True]]))[Z]
    assert isinstance(found, Mixture)
    assert np.isnan([found.mean, found.variance, found.cdf(0), found.density(1)]).all()


def test_free_variables_are_uniform() -> None:
    circuit = Circuit(input_block(Bernoulli(), X, [constant([0.25])]), Store(), free=(Y,))
    found = conditional(circuit, np.zeros((1, 2)), np.zeros((1, 2), dtype=bool))
    assert np.allclose(found[X], [[0.75, 0.25]], rtol=1e-14)
    assert np.allclose(found[Y], [[1 / 3] * 3], rtol=1e-14)


@pytest.mark.parametrize("variable", [K, Z])
def test_the_constant_one_diverges(variable: Variable) -> None:
    circuit = Circuit(pairs([input_block(Bernoulli(), X, [constant([0.5])]), input_block(One(), variable)]), Store())
    with pytest.raises(DanausError, match="diverges"):
        conditional(circuit, np.zeros((1, 2)), np.zeros((1, 2), dtype=bool))
    free = Circuit(input_block(Bernoulli(), X, [constant([0.5])]), Store(), free=(variable,))
    with pytest.raises(DanausError, match="diverges"):
        conditional(free, np.zeros((1, 2)), np.zeros((1, 2), dtype=bool))


def test_a_negative_total_is_normalised_too() -> None:
    circuit = Circuit(input_block(Table(), Y, [constant([[-1.0, -3.0, 0.0]])]), Store())
    found = conditional(circuit, np.zeros((1, 1)), np.zeros((1, 1), dtype=bool))[Y]
    assert np.allclose(found, [[0.25, 0.75, 0.0]], rtol=1e-14)


def test_rows_do_not_depend_on_their_number() -> None:
    circuit = random_circuit(17)
    values, observed = evidence(circuit, 40, 1)
    whole = conditional(circuit, values, observed)
    for variable, answer in whole.items():
        for row in range(40):
            one = conditional(circuit, values[row : row + 1], observed[row : row + 1])
            if variable in one:
                assert np.allclose(one[variable], answer[row], rtol=1e-13, equal_nan=True)  # type: ignore[arg-type, index]


def test_no_rows_and_nothing_missing() -> None:
    circuit = random_circuit(17)
    values, observed = evidence(circuit, 2, 1)
    assert conditional(circuit, values[:0], observed[:0]) == {}
    assert conditional(circuit, values[1:], observed[1:]) == {}


def test_poisson_cdfs_of_large_rates() -> None:
    circuit = Circuit(input_block(Poisson(), K, [constant([1e6])]), Store())
    found = conditional(circuit, np.zeros((1, 1)), np.zeros((1, 1), dtype=bool))[K]
    assert isinstance(found, Mixture)
    for t in (998_000, 1_000_000, 1_003_000):  # Cornish–Fisher: Φ with the first correction for skewness
        z = (t + 0.5 - 1e6) / 1e3
        normal, density = 0.5 * math.erfc(-z / math.sqrt(2)), math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        assert found.cdf(t)[0] == pytest.approx(normal + (1 - z * z) / 6e3 * density, abs=1e-6)
