"""Which marginalisation programs are exact: facts of circuits built by hand, and the definition on random ones."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from danaus.compiler.properties import PROGRAMS, Proved, Refuted, Unknown, WrongSum, marginalisation
from danaus.ir.block import Block, hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Real, Variable
from danaus.ir.family import Bernoulli, Gaussian, Indicator, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.store import Store
from marginalising import Sums
from small_circuits import random_circuit
from unsmooth_circuits import unsmooth_circuit

x, y, z, t = (*(Variable(name, Bool()) for name in "xyz"), Variable("t", Real()))
BOOLS = tuple(Variable(f"b{i}", Bool()) for i in range(4))


def table(variable: Variable, *values: float) -> Block:
    return input_block(Table(), variable, [constant([values])])


def total(*blocks: Block, weights: object = None) -> Circuit:
    width = sum(block.width for block in blocks)
    given = np.ones((1, width)) if weights is None else weights
    return Circuit(weighted(blocks, Dense(constant(given))), Store())


def statuses(circuit: Circuit) -> list[str]:
    return [result.status for result in marginalisation(circuit).values()]


def test_smooth_and_decomposable_circuits_are_exact_for_all() -> None:
    found = marginalisation(total(hadamard([table(x, 1, 2), table(y, 3, 4)])))
    assert list(found) == list(PROGRAMS)
    for result in found.values():
        assert isinstance(result, Proved) and result.reason == "it is smooth and decomposable"


def test_a_product_of_one_variable_with_itself_counts_it_twice() -> None:
    circuit = total(hadamard([table(x, 1, 2), table(x, 1, 1)]))
    assert statuses(circuit) == ["refuted"] * 4
    witness = marginalisation(circuit)["total"].witness
    assert isinstance(witness, WrongSum) and (witness.computed, witness.true) == (6.0, 3.0)
    assert str(witness) == "fed forward, the sum with x summed out is 6.0, but it is 3.0"
    assert json.loads(json.dumps(witness.to_json()))["weights"] == {"x": [1.0, 1.0]}


def test_a_circuit_may_be_exact_without_being_smooth() -> None:
    """(x̄ + x) y + 1·y − y, whose last terms cancel: the polynomial is of degree 1 in both."""
    circuit = total(hadamard([table(x, 1, 1), table(y, 1, 3)]), table(y, 1, 3), table(y, 1, 3), weights=[[1, 1, -1]])
    found = marginalisation(circuit)
    assert statuses(circuit) == ["proved"] * 4
    assert "degree 1" in found["virtual"].reason and "err with at most" in found["virtual"].reason
    assert "virtual evidence" in found["total"].reason


def test_the_total_may_be_exact_and_subsets_not() -> None:
    """x̄ ȳ + 3 x y + 4 x y·y, where the second y is summed apart: right in total only."""
    circuit = total(hadamard([table(x, 1, 0), table(y, 1, 0)]), table(x, 1, 0), table(y, 0, 1), weights=[[1, 1, -1]])
    found = marginalisation(circuit)
    assert [found["total"].status, found["subset"].status, found["virtual"].status] == ["proved", "refuted", "refuted"]
    assert "all assignments" in found["total"].reason


def test_integrals_are_proved_by_symbols_and_refuted_by_nothing() -> None:
    first, second = (input_block(Gaussian(), t, [constant([m]), constant([1.0])]) for m in (0.0, 1.0))
    cancels = total(hadamard([first, table(x, 1, 1)]), second, second, weights=[[1, 1, -1]])
    assert statuses(cancels) == ["proved"] * 4
    squared = marginalisation(total(hadamard([first, second])))
    assert {result.status for result in squared.values()} == {"unknown"}


def test_too_many_sums_are_unknown_with_the_budget() -> None:
    variables = [Variable(f"w{i}", Bool()) for i in range(30)]
    circuit = total(hadamard([table(v, 1, 2) for v in variables]), table(variables[0], 1, 1))
    found = marginalisation(circuit)
    assert isinstance(found["total"], Unknown) and found["total"].budget == "65,536 sums"
    assert isinstance(found["virtual"], Refuted)


def test_hamming_weights_are_of_booleans() -> None:
    assert isinstance(marginalisation(unsmooth_circuit(3, decomposable=False))["hamming"], Unknown | Proved)
    on = input_block(Bernoulli(), x, [constant([0.5])])
    circuit = total(hadamard([on, input_block(Indicator(1), x)]))
    witness = marginalisation(circuit)["hamming"].witness
    assert isinstance(witness, WrongSum)


@pytest.mark.parametrize("part", range(4))
def test_exactness_is_its_definition(part: int) -> None:
    for seed in range(part * 8, part * 8 + 8):
        assert_defined(unsmooth_circuit(seed, decomposable=False, variables=BOOLS[:3]))
        assert_defined(unsmooth_circuit(seed, decomposable=True, positive=seed % 2 == 0, variables=BOOLS[:2]))
        assert_defined(random_circuit(seed, count=2) if seed % 2 else unsmooth_circuit(seed, decomposable=False))


def assert_defined(circuit: Circuit) -> None:
    """Asserts that each result is what the definition says, and that witnesses show it."""
    sums = Sums(circuit)
    found = marginalisation(circuit)
    booleans = all(isinstance(variable.domain, Bool) for variable in circuit.variables)
    for program, result in found.items():
        if program == "hamming" and not booleans:
            assert result.status == ("proved" if found["virtual"].status == "proved" else "unknown")
            continue
        assert result.status == ("proved" if sums.exact(program) else "refuted"), program
        if isinstance(result.witness, WrongSum):
            weights = {variable: [Fraction(w) for w in row] for variable, row in result.witness.weights}
            assert float(sums.fed(weights)) == pytest.approx(result.witness.computed, rel=1e-12)
            assert float(sums.true(weights)) == pytest.approx(result.witness.true, rel=1e-12)
            assert sums.fed(weights) != sums.true(weights)
