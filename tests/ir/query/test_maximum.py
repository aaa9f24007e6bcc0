"""The most probable completions are those of an enumeration, or are not said to be; ties fall to the first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from danaus.ir.block import Block, concat, hadamard, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Count, Int, Real, Variable
from danaus.ir.family import Bernoulli, Gaussian, Indicator, One, Poisson, Table
from danaus.ir.linear import Dense, compose
from danaus.ir.parameter import constant
from danaus.ir.query import MostProbable, log_likelihood, most_probable
from danaus.ir.store import Store
from naive import Enumeration, enumeration, log
from small_circuits import deterministic_circuit, evidence, random_circuit


def best_of(table: Enumeration, row: np.ndarray, known: np.ndarray) -> float:
    return max((log(worth) for _, worth in table.matching(row, known)), default=-math.inf)


def check_rows(circuit: Circuit, values: np.ndarray, observed: np.ndarray, found: MostProbable) -> None:
    """What an answer says of itself is true: its values, their probability, and where none is more probable."""
    table = enumeration(circuit)
    for row in range(len(values)):
        best = best_of(table, values[row], observed[row])
        if best == -math.inf:
            assert np.isnan(found.values[row]).all() and found.log_probability[row] == -math.inf
            assert found.certain[row]
            continue
        assert np.array_equal(found.values[row, observed[row]], values[row, observed[row]])
        worth = table.values[table.assignments.index(tuple(found.values[row].astype(int).tolist()))]
        assert found.log_probability[row] == pytest.approx(log(worth), rel=1e-12, abs=1e-12)
        assert found.log_probability[row] > -math.inf
        if found.certain[row]:
            assert found.log_probability[row] == pytest.approx(best, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", [*range(60), 1049, 1110, 1550])
def test_deterministic_circuits_are_maximised_exactly(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danaus.ir.query.exactness._WORK", 0)
    circuit = deterministic_circuit(seed)
    values, observed = evidence(circuit, 8, seed)
    found = most_probable(circuit, values, observed, deterministic=True)
    assert found.exact
    check_rows(circuit, values, observed, found)


@pytest.mark.parametrize("seed", range(50))
def test_small_circuits_are_enumerated(seed: int) -> None:
    circuit = random_circuit(seed)
    values, observed = evidence(circuit, 8, seed)
    found = most_probable(circuit, values, observed)
    assert found.exact
    check_rows(circuit, values, observed, found)


@pytest.mark.parametrize("seed", range(50))
def test_without_enumeration_only_what_is_proved_is_certain(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danaus.ir.query.exactness._WORK", 0)
    circuit = random_circuit(seed)
    values, observed = evidence(circuit, 8, seed)
    check_rows(circuit, values, observed, most_probable(circuit, values, observed))


X, Y, K, Z = Variable("x", Bool()), Variable("y", Cat(3)), Variable("k", Count()), Variable("z", Real())


def everything_missing(circuit: Circuit, **options: bool) -> MostProbable:
    nothing = np.zeros((1, len(circuit.variables)))
    return most_probable(circuit, nothing, nothing > 0, **options)


def test_a_product_distribution_is_exact_without_a_word() -> None:
    """Each sum has one child: the bound is reached, over more variables than can be enumerated."""
    variables = [Variable(f"b{i}", Bool()) for i in range(300)]
    inputs = [input_block(Bernoulli(), v, [constant([0.3 + 0.4 * (i % 2)])]) for i, v in enumerate(variables)]
    found = everything_missing(Circuit(hadamard(inputs), Store()))
    assert found.exact
    assert found.values[0].tolist() == [i % 2 for i in range(300)]
    assert found.log_probability[0] == pytest.approx(300 * math.log(0.7), rel=1e-14)


def test_a_mixture_too_large_to_enumerate_is_not_certain() -> None:
    variables = [Variable(f"b{i}", Bool()) for i in range(30)]
    inputs = [input_block(Bernoulli(), v, [constant([0.4, 0.7])]) for v in variables]
    circuit = Circuit(weighted([hadamard(inputs)], Dense(constant([[0.5, 0.5]]))), Store())
    found = everything_missing(circuit)
    assert not found.exact
    assert found.log_probability[0] == log_likelihood(circuit, found.values)[0]


def test_paths_of_a_composed_map_are_added() -> None:
    """x = 0 is worth 0.3 + 0.3, x = 1 only 0.45: the largest single path is the wrong one."""
    x = concat([input_block(Indicator(0), X), input_block(Indicator(1), X)])
    linear = compose([Dense(constant([[1.0, 1.0]])), Dense(constant([[0.3, 0.45], [0.3, 0.0]]))])
    others = [input_block(Bernoulli(), Variable(f"o{i}", Bool()), [constant([0.9])]) for i in range(20)]
    circuit = Circuit(hadamard([weighted([x], linear), *others]), Store())
    found = everything_missing(circuit, deterministic=True)
    assert found.exact and found.values[0, 0] == 0
    assert found.log_probability[0] == pytest.approx(math.log(0.6) + 20 * math.log(0.9))


def test_ties_fall_to_the_first() -> None:
    y = input_block(Table(), Y, [constant([[0.25, 0.5, 0.5], [0.5, 0.25, 0.5]])])
    circuit = Circuit(weighted([y], Dense(constant([[1.0, 1.0]]))), Store())
    assert everything_missing(circuit).values.tolist() == [[2.0]]
    single = Circuit(input_block(Table(), Y, [constant([[0.25, 0.5, 0.5]])]), Store())
    assert everything_missing(single).values.tolist() == [[1.0]]
    assert everything_missing(Circuit(input_block(One(), Variable("n", Int(3, 5))), Store())).values.tolist() == [[3.0]]


def test_infinite_domains_take_the_mode() -> None:
    z = input_block(Gaussian(), Z, [constant([1.0, -2.0]), constant([1.0, 0.5])])
    k = input_block(Poisson(), K, [constant([3.7, 0.2])])
    circuit = Circuit(weighted([hadamard([z, k])], Dense(constant([[0.1, 0.9]]))), Store())
    found = everything_missing(circuit)
    row = dict(zip((variable.name for variable in circuit.variables), found.values[0].tolist(), strict=True))
    assert row == {"z": -2.0, "k": 0.0}
    assert not found.exact
    assert everything_missing(Circuit(hadamard([pick(z, 0), pick(k, 0)]), Store())).exact


def pick(block: Block, node: int) -> Block:
    return weighted([block], Dense(constant([[float(i == node) for i in range(block.width)]])))


def test_free_variables_take_their_first_value() -> None:
    circuit = Circuit(input_block(Bernoulli(), X, [constant([0.75])]), Store(), free=(Variable("n", Int(3, 5)), Z))
    values = {v.name: x for v, x in zip(circuit.variables, everything_missing(circuit).values[0], strict=True)}
    assert values == {"x": 1.0, "n": 3.0, "z": 0.0}
    assert everything_missing(circuit).log_probability[0] == pytest.approx(math.log(0.75))


def test_impossible_evidence_has_no_values() -> None:
    circuit = Circuit(pairs([input_block(Indicator(1), X), input_block(One(), Y)]), Store())
    found = most_probable(circuit, np.array([[0.0, 1], [1, 1]]), np.array([[True, False]] * 2))
    assert np.isnan(found.values[0]).all() and found.log_probability.tolist() == [-math.inf, 0.0]
    assert found.values[1].tolist() == [1.0, 0.0] and found.exact


@pytest.mark.parametrize("seed", range(20))
def test_negative_numbers_that_cancel(seed: int) -> None:
    """p = 2·q − q over a nonnegative q, which maximisation by magnitudes overrates, is still answered rightly."""
    positive = random_circuit(seed, count=3)
    circuit = Circuit(weighted([positive.root, positive.root], Dense(constant([[2.0, -1.0]]))), positive.store)
    circuit = Circuit(circuit.root, circuit.store, free=positive.free)
    values, observed = evidence(circuit, 6, seed)
    check_rows(positive, values, observed, most_probable(circuit, values, observed))


def test_a_signed_circuit_whose_largest_term_is_worth_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """[3 3 1] − [3 2 0]: the largest term is at y = 0, where the circuit is zero."""
    monkeypatch.setattr("danaus.ir.query.exactness._WORK", 0)
    y = input_block(Table(), Y, [constant([[3.0, 3.0, 1.5], [3.0, 2.0, 0.0]])])
    z = input_block(Gaussian(), Z, [constant([1.0]), constant([1.0])])
    circuit = Circuit(pairs([weighted([y], Dense(constant([[1.0, -1.0]]))), z]), Store())
    found = everything_missing(circuit)
    assert found.values.tolist() == [[2.0, 1.0]] and not found.exact
    impossible = most_probable(circuit, np.array([[0.0, 0.0]]), np.array([[True, False]]))
    assert np.isnan(impossible.values).all() and impossible.log_probability[0] == -math.inf


def test_pieces_of_memory_do_not_change_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = random_circuit(9)
    values, observed = evidence(circuit, 30, 3)
    whole = most_probable(circuit, values, observed)
    monkeypatch.setattr("danaus.ir.evaluate._BUDGET", 7 * 3 * circuit.nodes)
    monkeypatch.setattr("danaus.ir.query.exactness._CHUNK", 40)
    pieces = most_probable(circuit, values, observed)
    assert np.array_equal(pieces.values, whole.values, equal_nan=True)
    assert np.allclose(pieces.log_probability, whole.log_probability, rtol=1e-14)


def test_no_rows() -> None:
    circuit = random_circuit(9)
    empty = np.zeros((0, len(circuit.variables)))
    found = most_probable(circuit, empty, empty > 0)
    assert found.values.shape == empty.shape and found.exact
