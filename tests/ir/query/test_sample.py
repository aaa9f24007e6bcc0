"""Samples have the circuit's distribution, and row i of a seed is one row however it is drawn."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

from danaus.ir.block import Block, concat, hadamard, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Count, Int, Real, Variable
from danaus.ir.family import Bernoulli, Binomial, Gaussian, Indicator, One, Poisson, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.query import sample, sample_given
from danaus.ir.store import Store
from naive import enumeration
from small_circuits import evidence, random_circuit


def surprise(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """How many standard deviations χ² lies above its mean (Wilson and Hilferty); cells of few expected are joined."""
    expected = probabilities * counts.sum()
    assert np.all(counts[probabilities == 0] == 0)
    order = np.argsort(expected)
    few = order[: int(np.searchsorted(np.cumsum(expected[order]), 8)) + 1]
    many = np.setdiff1d(order, few)
    counts = np.append(counts[many], counts[few].sum())
    expected = np.append(expected[many], expected[few].sum())
    if len(counts) < 2:
        return 0.0
    freedom = len(counts) - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    spread = 2 / (9 * freedom)
    return float(((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def cells(circuit: Circuit, rows: np.ndarray) -> np.ndarray:
    """How often each assignment of the enumeration was drawn."""
    places = {assignment: place for place, assignment in enumerate(enumeration(circuit).assignments)}
    counts = np.zeros(len(places))
    for row in rows.astype(int).tolist():
        counts[places[tuple(row)]] += 1
    return counts


@pytest.mark.parametrize("seed", range(50))
def test_samples_have_the_distribution_of_the_circuit(seed: int) -> None:
    circuit = random_circuit(seed)
    worth = np.array([float(w) for w in enumeration(circuit).values])
    if not worth.sum():
        with pytest.raises(DanausError, match="has nothing to sample from"):
            sample(circuit, 5, seed)
        return
    rows = sample(circuit, 3000, seed)
    assert rows.shape == (3000, len(circuit.variables))
    assert surprise(cells(circuit, rows), worth / worth.sum()) < 4


@pytest.mark.parametrize("seed", range(30))
def test_conditional_samples_have_the_conditional_distribution(seed: int) -> None:
    circuit = random_circuit(seed)
    table = enumeration(circuit)
    values, observed = evidence(circuit, 6, seed)
    for given, known in zip(values, observed, strict=True):
        worth = {x: float(w) for x, w in table.matching(given, known)}
        total = sum(worth.values())
        batch, masks = np.tile(given, (500, 1)), np.tile(known, (500, 1))
        if not total:
            with pytest.raises(DanausError, match="impossible-evidence"):
                sample_given(circuit, batch, masks, seed)
            continue
        rows = sample_given(circuit, batch, masks, seed)
        assert np.array_equal(rows[:, known], batch[:, known])
        wanted = np.array([worth.get(x, 0.0) / total for x in table.assignments])
        assert surprise(cells(circuit, rows), wanted) < 4


@pytest.mark.parametrize("seed", [1, 9, 14, 17, 33])
def test_a_row_does_not_depend_on_its_batch(seed: int) -> None:
    circuit = random_circuit(seed)
    whole = sample(circuit, 60, 3)
    assert np.array_equal(np.concatenate([sample(circuit, 25, 3), sample(circuit, 35, 3, first_row=25)]), whole)
    assert np.array_equal(sample(circuit, 1, 3, first_row=17)[0], whole[17])
    values, observed = whole, evidence(circuit, 60, seed)[1]
    given = sample_given(circuit, values, observed, 8)
    for a, b in ((0, 1), (1, 20), (20, 60)):
        assert np.array_equal(sample_given(circuit, values[a:b], observed[a:b], 8, first_row=a), given[a:b])


def test_pieces_of_memory_do_not_change_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = random_circuit(9)
    whole = sample(circuit, 50, 3)
    values, observed = whole, evidence(circuit, 50, 2)[1]
    given = sample_given(circuit, values, observed, 1)
    monkeypatch.setattr("danaus.ir.evaluate._BUDGET", 7 * 3 * circuit.nodes)
    monkeypatch.setattr("danaus.ir.query.descend._CHUNK", 5)
    assert np.array_equal(sample(circuit, 50, 3), whole)
    monkeypatch.setattr(importlib.import_module("danaus.ir.query.sample"), "_AT_ONCE", 0)
    assert np.array_equal(sample(circuit, 50, 3), whole)
    assert np.array_equal(sample_given(circuit, values, observed, 1), given)


def test_seeds_differ() -> None:
    circuit = random_circuit(9)
    assert not np.array_equal(sample(circuit, 50, 1), sample(circuit, 50, 2))


X, Y, K, Z = Variable("x", Bool()), Variable("y", Cat(3)), Variable("k", Count()), Variable("z", Real())
N = Variable("n", Int(0, 4))


def sum_of(block: Block, weights: list[float]) -> Circuit:
    return Circuit(weighted([block], Dense(constant([weights]))), Store())


def kolmogorov(draws: np.ndarray, cdf: np.ndarray) -> float:
    """√n times the largest distance between the empirical distribution and the cdf at the sorted draws."""
    n = len(draws)
    return float(np.abs(cdf - (np.arange(n) + 0.5) / n).max() * math.sqrt(n))


def test_gaussians() -> None:
    z = input_block(Gaussian(), Z, [constant([0.0, 5.0]), constant([1.0, 0.5])])
    draws = np.sort(sample(sum_of(z, [1.0, 3.0]), 4000, 11)[:, 0])
    normal = np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))
    assert kolmogorov(draws, 0.25 * normal(draws) + 0.75 * normal((draws - 5) / 0.5)) < 1.9


@pytest.mark.parametrize("rate", [0.05, 3.0, 700.0])
def test_poissons(rate: float) -> None:
    draws = sample(Circuit(input_block(Poisson(), K, [constant([rate])]), Store()), 4000, 5)[:, 0]
    values = np.arange(int(rate + 12 * math.sqrt(rate) + 20))
    wanted = np.exp([v * math.log(rate) - rate - math.lgamma(v + 1) for v in values])
    counts = np.bincount(draws.astype(int), minlength=len(values))
    assert surprise(counts, wanted / wanted.sum()) < 4


def test_counts_that_are_known_to_the_circuit() -> None:
    k = concat([input_block(Poisson(), K, [constant([2.0])]), input_block(Indicator(40), K)])
    circuit = sum_of(hadamard([k, input_block(Bernoulli(), X, [constant([0.0, 1.0])])]), [1.0, 1.0])
    draws = sample(circuit, 200, 1)
    assert np.all((draws[:, 1] == 40) | (draws[:, 0] == 0))
    assert 60 < draws[:, 0].sum() < 140
    back = sample_given(circuit, np.array([[0.0, 40.0]] * 20), np.array([[False, True]] * 20), 1)
    assert np.all(back[:, 0] == 1)


def test_binomials() -> None:
    draws = sample(Circuit(input_block(Binomial(4), N, [constant([0.3])]), Store()), 3000, 5)[:, 0]
    wanted = np.array([math.comb(4, v) * 0.3**v * 0.7 ** (4 - v) for v in range(5)])
    assert surprise(np.bincount(draws.astype(int), minlength=5), wanted) < 4


def test_the_constant_one_is_uniform_on_finite_domains_only() -> None:
    draws = sample(Circuit(input_block(One(), Y), Store(), free=(N,)), 3000, 1)
    assert surprise(np.bincount((draws[:, 0] * 5 + draws[:, 1]).astype(int), minlength=15), np.full(15, 1 / 15)) < 4
    with pytest.raises(DanausError, match="diverges"):
        sample(Circuit(input_block(One(), Z), Store()), 3, 1)
    with pytest.raises(DanausError, match="diverges"):
        sample(Circuit(input_block(One(), Y), Store(), free=(Z,)), 3, 1)
    assert (
        sample_given(
            Circuit(input_block(One(), Y), Store(), free=(Z,)), np.array([[0.0, 7.5]]), np.array([[False, True]]), 1
        )[0, 1]
        == 7.5
    )


def signed_but_nonnegative() -> Circuit:
    """2·f − f·f for a table f with values in [0, 1], times a gaussian mixture that is nowhere negative."""
    y = input_block(Table(), Y, [constant([[1.0, 0.5, 0.25]])])
    y2 = input_block(Table(), Y, [constant([[1.0, 0.25, 0.0625]])])
    difference = weighted([y, y2], Dense(constant([[2.0, -1.0]])))
    z = input_block(Gaussian(), Z, [constant([0.0, 0.0]), constant([2.0, 1.0])])
    k = input_block(Poisson(), K, [constant([1.0, 6.0])])
    mixture = weighted([z], Dense(constant([[1.0, -0.25]])))
    return Circuit(pairs([difference, mixture, weighted([k], Dense(constant([[1.0, 1.0]])))]), Store())


def test_signed_circuits_are_sampled_variable_by_variable() -> None:
    circuit = signed_but_nonnegative()
    draws = sample(circuit, 1500, 3)
    positions = {variable.name: place for place, variable in enumerate(circuit.variables)}
    y, z, k = (draws[:, positions[name]] for name in "yzk")
    wanted = np.array([1.0, 0.75, 0.4375])
    assert surprise(np.bincount(y.astype(int), minlength=3), wanted / wanted.sum()) < 4
    ordered = np.sort(z)
    normal = np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))
    assert kolmogorov(ordered, (normal(ordered / 2) - 0.25 * normal(ordered)) / 0.75) < 1.9
    values = np.arange(40)
    poisson = np.exp([[v * math.log(r) - r - math.lgamma(v + 1) for v in values] for r in (1.0, 6.0)])
    assert surprise(np.bincount(k.astype(int), minlength=40), poisson.mean(axis=0)) < 4
    assert np.array_equal(sample(circuit, 7, 3, first_row=5), draws[5:12])
    given = sample_given(circuit, draws[:9], np.array([[True, False, True]] * 9), 4)
    assert np.array_equal(given[:, [0, 2]], draws[:9][:, [0, 2]])


@pytest.mark.parametrize("seed", range(10))
def test_signed_circuits_have_the_distribution_too(seed: int) -> None:
    positive = random_circuit(seed, count=3)
    root = positive.root
    half = weighted([root, root], Dense(constant([[2.0, -1.0]])))
    circuit = Circuit(half, positive.store, free=positive.free)
    worth = np.array([float(w) for w in enumeration(positive).values])
    if worth.sum():
        assert surprise(cells(positive, sample(circuit, 800, seed)), worth / worth.sum()) < 4


def test_impossible_evidence_names_its_row() -> None:
    circuit = Circuit(pairs([input_block(Indicator(1), X), input_block(One(), Y)]), Store())
    rows = np.array([[1.0, 0], [1, 0], [0, 0], [0, 0]])
    with pytest.raises(DanausError, match="the evidence of row 2 "):
        sample_given(circuit, rows, np.array([[True, False]] * 4), 0)


def test_no_samples() -> None:
    circuit = random_circuit(9)
    empty = np.zeros((0, len(circuit.variables)))
    assert sample(circuit, 0, 1).shape == empty.shape
    assert sample_given(circuit, empty, empty > 0, 1).shape == empty.shape


def test_a_seed_is_a_64_bit_number() -> None:
    with pytest.raises(DanausError, match="the seed -1 is out of range"):
        sample(random_circuit(9), 2, -1)
