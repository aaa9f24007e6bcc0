"""The derivative by an input node is the value with the node at 1, less that with it at 0, in every semiring."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from danaus.ir.block import Block, hadamard, indexed, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Variable
from danaus.ir.evaluate import Evidence
from danaus.ir.family import Bernoulli, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.query import derivatives
from danaus.ir.semirings import DUAL, EXACT, LINEAR, LOG, MAX, SIGNED_LOG, Modular, Polynomial
from danaus.ir.store import Store
from naive import Enumeration, domain, input_value, value
from small_circuits import evidence, random_circuit

PRIME = 2147483647


def wanted_derivative(circuit: Circuit, block: Block, node: int, row: dict[Variable, float]) -> Fraction:
    at_one = value(circuit, row, {(block, node): Fraction(1)})  # type: ignore[dict-item]
    at_zero = value(circuit, row, {(block, node): Fraction(0)})  # type: ignore[dict-item]
    return Fraction(at_one) - Fraction(at_zero)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_derivatives_at_complete_rows_are_exact(seed: int, signed: bool) -> None:
    circuit = random_circuit(seed, signed=signed)
    values, _ = evidence(circuit, 3, seed)
    given = Evidence(circuit.variables, values, np.ones(values.shape, dtype=bool))
    exact = derivatives(circuit, EXACT, given)
    linear = derivatives(circuit, LINEAR, given)
    modular = derivatives(circuit, Modular(PRIME), given)
    logs = derivatives(circuit, SIGNED_LOG, given)
    for block, found in exact.items():
        assert found.shape == (block.width, 3)
        for row in range(3):
            x = dict(zip(circuit.variables, values[row].tolist(), strict=True))
            for node in range(block.width):
                wanted = wanted_derivative(circuit, block, node, x)
                assert found[node, row] == wanted
                assert linear[block][node, row] == pytest.approx(float(wanted), rel=1e-12, abs=1e-14)
                assert modular[block][node, row] == wanted.numerator * pow(wanted.denominator, -1, PRIME) % PRIME
                log, sign = logs[block][node, row]
                assert sign * np.exp(log) == pytest.approx(float(wanted), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("seed", range(40))
def test_derivatives_times_inputs_are_the_marginals(seed: int) -> None:
    """Σ over the nodes on x of derivative · f(v) is p(x = v, rest), in exact arithmetic."""
    circuit = random_circuit(seed)
    table = Enumeration(circuit)
    values, observed = evidence(circuit, 4, seed)
    found = derivatives(circuit, EXACT, Evidence(circuit.variables, values, observed))
    for row in range(4):
        for position, variable in enumerate(circuit.variables):
            blocks = [block for block in found if block.variable == variable]
            if observed[row, position] or not blocks:
                continue
            for v in domain(variable):
                given, known = values[row].copy(), observed[row].copy()
                given[position], known[position] = v, True
                joint = sum(
                    found[block][node, row] * input_value(circuit, block, node, v)
                    for block in blocks
                    for node in range(block.width)
                )
                assert joint == table.mass(given, known)


def test_logarithms_of_zero_need_no_division() -> None:
    """With two zeros among the factors all derivatives but none are zero; with one, only its own is not."""
    variables = [Variable(f"x{i}", Bool()) for i in range(4)]
    inputs = [
        input_block(Bernoulli(), variable, [constant([p])])
        for variable, p in zip(variables, (0, 0, 0.5, 1), strict=True)
    ]
    for make in (hadamard, pairs, lambda blocks: indexed(blocks, [0, 4], [0, 1, 2, 3])):
        circuit = Circuit(make(inputs), Store())
        rows = np.array([[1.0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]])
        found = derivatives(circuit, LOG, Evidence(circuit.variables, rows, np.ones(rows.shape, dtype=bool)))
        linear = np.exp(np.concatenate([found[block] for block in inputs]))  # type: ignore[index]
        assert linear.T.tolist() == [[0, 0, 0, 0], [0, 0.5, 0, 0], [0.5, 0.5, 1, 0.5]]


def test_a_node_that_stands_twice_has_both_its_derivatives() -> None:
    x = Variable("x", Bool())
    block = input_block(Table(), x, [constant([[2.0, 3.0]])])
    square = Circuit(hadamard([block, block]), Store())
    given = Evidence(square.variables, np.array([[0.0], [1.0]]), np.ones((2, 1), dtype=bool))
    assert derivatives(square, LINEAR, given)[block].tolist() == [[4.0, 6.0]]  # type: ignore[index]


def test_long_products_of_many_lengths() -> None:
    """Running products by doubling, across stretches of 0 to 40 factors."""
    count = 40
    variables = [Variable(f"x{i}", Bool()) for i in range(count)]
    inputs = [input_block(Table(), v, [constant([[1.0, 1 + i / 8]])]) for i, v in enumerate(variables)]
    rows = [list(range(length)) for length in (0, 1, 2, 3, 7, 8, 40)]
    bounds = np.cumsum([0, *map(len, rows)])
    block = indexed(inputs, bounds, [j for row in rows for j in row])
    circuit = Circuit(weighted([block], Dense(constant(np.ones((1, len(rows)))))), Store())
    given = Evidence(circuit.variables, np.ones((1, count)), np.ones((1, count), dtype=bool))
    found = derivatives(circuit, EXACT, given)
    worth = [Fraction(8 + i, 8) for i in range(count)]
    for i, single in enumerate(inputs):
        wanted = Fraction(0)
        for row in rows:
            if i in row:
                product = Fraction(1)
                for j in row:
                    product *= worth[j] if j != i else 1
                wanted += product
        assert found[single][0, 0] == wanted  # type: ignore[index]


@pytest.mark.parametrize("seed", range(12))
def test_semirings_of_several_numbers_and_maxima(seed: int) -> None:
    """Dual numbers and polynomials have the same first coefficient; the largest terms are no more than the sums."""
    circuit = random_circuit(seed)
    values, observed = evidence(circuit, 3, seed)
    given = Evidence(circuit.variables, values, observed)
    linear, dual = derivatives(circuit, LINEAR, given), derivatives(circuit, DUAL, given)
    polynomial, largest = derivatives(circuit, Polynomial(LINEAR), given), derivatives(circuit, MAX, given)
    for block, found in linear.items():
        assert np.allclose(dual[block][..., 0], found, rtol=1e-12)
        assert np.allclose(polynomial[block][..., 0], found, rtol=1e-12)
        assert np.all(np.exp(largest[block]) <= found * (1 + 1e-12))


def test_no_rows() -> None:
    circuit = random_circuit(3)
    given = Evidence(
        circuit.variables, np.zeros((0, len(circuit.variables))), np.zeros((0, len(circuit.variables)), bool)
    )
    assert all(found.shape == (block.width, 0) for block, found in derivatives(circuit, LOG, given).items())
