"""Likelihoods, marginals, totals and Hamming weights agree with enumeration; what is impossible is −inf."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from danaus.ir.block import hadamard, indexed, input_block, input_product, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, DanausWarning
from danaus.ir.domain import Bool, Cat, Real, Variable
from danaus.ir.family import Bernoulli, Gaussian, Indicator, One, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.query import (
    hamming,
    log_likelihood,
    marginal,
    moment,
    partition,
    signed_log_value,
    signed_partition,
)
from danaus.ir.store import Store
from naive import enumeration, log
from small_circuits import evidence, random_circuit


def close(found: float, wanted: float, tolerance: float = 1e-12) -> bool:
    return found == wanted or abs(found - wanted) <= tolerance * max(1.0, abs(wanted))


@pytest.mark.parametrize("seed", range(60))
def test_marginals_are_the_sums_over_what_is_missing(seed: int) -> None:
    circuit = random_circuit(seed)
    table = enumeration(circuit)
    values, observed = evidence(circuit, 8, seed)
    found = marginal(circuit, values, observed)
    for row in range(8):
        assert close(found[row], log(table.mass(values[row], observed[row])))
    assert close(partition(circuit), log(sum(table.values)))


@pytest.mark.parametrize("seed", range(60))
def test_signed_values_have_their_sign(seed: int) -> None:
    circuit = random_circuit(seed, signed=True)
    table = enumeration(circuit)
    values, observed = evidence(circuit, 8, seed)
    logs, signs = signed_log_value(circuit, values, observed)
    scale = max(1.0, float(sum(abs(worth) for worth in table.values)))
    for row in range(8):
        wanted = table.mass(values[row], observed[row])
        assert abs(signs[row] * math.exp(logs[row]) - wanted) <= 1e-11 * scale
        if abs(wanted) > 1e-6 * scale:
            assert signs[row] == (1 if wanted > 0 else -1)
            assert close(logs[row], log(abs(wanted)), 1e-9)
    log_total, sign = signed_partition(circuit)
    assert abs(sign * math.exp(log_total) - sum(table.values)) <= 1e-11 * scale


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("signed", [False, True])
def test_hamming_is_the_mass_of_each_number_of_ones(seed: int, signed: bool) -> None:
    circuit = random_circuit(seed, signed=signed, booleans=True)
    table = enumeration(circuit)
    wanted = [0.0] * (len(circuit.variables) + 1)
    for assignment, worth in zip(table.assignments, table.values, strict=True):
        wanted[sum(assignment)] += float(worth)
    scale = max(1.0, sum(abs(float(worth)) for worth in table.values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DanausWarning)
        found = hamming(circuit)
    for ones, mass in enumerate(wanted):
        if np.isnan(found[ones]):
            assert mass < 1e-11 * scale
        else:
            assert abs(math.exp(found[ones]) - mass) <= 1e-11 * scale
        if not signed and mass:
            assert close(found[ones], math.log(mass))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("order", [0, 1, 3])
def test_moments_are_weighted_sums(seed: int, order: int) -> None:
    circuit = random_circuit(seed, signed=seed % 2 == 0)
    table = enumeration(circuit)
    total = sum(table.values)
    variable = circuit.variables[0] if circuit.variables else Variable("none", Bool())
    if not total or not circuit.variables:
        with pytest.raises(DanausError):
            moment(circuit, variable, order)
        return
    wanted = float(sum(a[0] ** order * w for a, w in zip(table.assignments, table.values, strict=True)) / total)
    scale = float(sum(abs(w) for w in table.values) / abs(total))
    assert abs(moment(circuit, variable, order) - wanted) <= 1e-11 * max(1.0, scale) * 10**order


X, Y, Z = Variable("x", Bool()), Variable("y", Cat(3)), Variable("z", Real())


def total_of(block: object) -> Circuit:
    return Circuit(block, Store())  # type: ignore[arg-type]


def test_impossible_is_exactly_minus_infinity() -> None:
    circuit = total_of(input_block(Indicator(1), X))
    assert log_likelihood(circuit, np.array([[0.0], [1.0]])).tolist() == [-math.inf, 0.0]


def test_values_below_the_smallest_float_keep_their_logarithm() -> None:
    variables = [Variable(f"tiny{i}", Bool()) for i in range(400)]
    inputs = [input_block(Bernoulli(), variable, [constant([1e-3])]) for variable in variables]
    circuit = total_of(hadamard(inputs))
    assert close(log_likelihood(circuit, np.ones((1, 400)))[0], 400 * math.log(1e-3))


def test_a_negative_value_is_nan_with_a_warning() -> None:
    circuit = total_of(input_block(Table(), Y, [constant([[0.5, -0.25, 0.0]])]))
    with pytest.warns(DanausWarning, match='the value of "circuit" is negative at row 1: it has no logarithm'):
        found = log_likelihood(circuit, np.array([[0.0], [1.0], [2.0]]))
    assert found[0] == math.log(0.5) and np.isnan(found[1]) and found[2] == -math.inf
    logs, signs = signed_log_value(circuit, np.array([[1.0]]))
    assert (logs[0], signs[0]) == (math.log(0.25), -1.0)


def test_a_negative_total_is_nan_with_a_warning() -> None:
    circuit = total_of(input_block(Table(), Y, [constant([[-0.5, 0.25, 0.0]])]))
    with pytest.warns(DanausWarning, match="the total of"):
        assert np.isnan(partition(circuit))
    assert signed_partition(circuit) == (math.log(0.25), -1.0)


def test_no_rows_give_no_answers() -> None:
    circuit = total_of(input_block(Bernoulli(), X, [constant([0.5])]))
    assert log_likelihood(circuit, np.zeros((0, 1))).shape == (0,)


def test_a_circuit_without_variables_is_a_number() -> None:
    circuit = total_of(weighted([indexed([], [0, 0], [])], Dense(constant([[3.0]]))))
    assert log_likelihood(circuit, np.zeros((2, 0))).tolist() == [math.log(3.0)] * 2
    assert hamming(circuit).tolist() == [math.log(3.0)]


def test_free_variables_multiply_totals() -> None:
    circuit = Circuit(input_block(Bernoulli(), X, [constant([0.5])]), Store(), free=(Variable("w", Cat(5)),))
    assert close(partition(circuit), math.log(5))
    assert close(log_likelihood(circuit, np.array([[1.0, 3.0]]))[0], math.log(0.5))


def test_hamming_refuses_other_domains() -> None:
    circuit = total_of(hadamard([input_block(Bernoulli(), X, [constant([0.5])]), input_block(One(), Y)]))
    with pytest.raises(DanausError, match='"y" of "circuit" is cat'):
        hamming(circuit)


def test_columns_must_be_the_variables() -> None:
    circuit = total_of(input_block(Bernoulli(), X, [constant([0.5])]))
    with pytest.raises(DanausError, match="wrong-shape"):
        log_likelihood(circuit, np.zeros((3, 2)))


def test_moments_of_a_gaussian() -> None:
    circuit = total_of(
        weighted([input_block(Gaussian(), Z, [constant([1.0, -3.0]), constant([2.0, 1.0])])], Dense(constant([[1, 3]])))
    )
    assert close(moment(circuit, Z, 1), (1 - 9) / 4)
    assert close(moment(circuit, Z, 2), (1 + 4 + 3 * (9 + 1)) / 4)
    assert close(moment(circuit, Z, 3), (1 + 3 * 4 + 3 * (-27 - 9)) / 4)


def test_a_moment_needs_mass_and_a_natural_order() -> None:
    nothing = total_of(input_block(Table(), Y, [constant([[1.0, -1.0, 0.0]])]))
    with pytest.raises(DanausError, match="zero-mass"):
        moment(nothing, Y, 1)
    with pytest.raises(DanausError, match="no moment of order -1"):
        moment(total_of(input_block(One(), Y)), Y, -1)
    with pytest.raises(DanausError, match="unknown-variable"):
        moment(total_of(input_block(One(), Y)), X, 1)


def test_the_constant_one_on_real_has_no_total() -> None:
    with pytest.raises(DanausError, match="diverges"):
        partition(total_of(input_block(One(), Z)))


def test_products_of_tables_with_negative_entries_have_their_signs() -> None:
    """(p·p)(x) for p(x) = −1 or 2: the square as one input, and its sum 1 + 4; the cube is negative at 0."""
    x = Variable("x", Bool())
    block = input_block(Table(), x, [constant(np.array([[-1.0, 2.0]]))])
    square = Circuit(input_product([block, block]), Store())
    assert log_likelihood(square, np.array([[0.0], [1.0]])).tolist() == [0.0, pytest.approx(math.log(4))]
    assert partition(square) == pytest.approx(math.log(5))
    cube = Circuit(input_product([block, block, block]), Store())
    assert signed_log_value(cube, np.array([[0.0], [1.0]]))[1].tolist() == [-1.0, 1.0]
