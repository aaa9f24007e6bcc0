"""Laws of random circuits: the evaluator is enumeration in every semiring, and properties are their definitions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from agreement import (
    assert_agrees,
    assert_derivatives,
    assert_largest,
    assert_masses_of_ones,
    assert_network_polynomial,
    has_negative_numbers,
    masses_of_ones,
)
from definitions import Definitions
from hypothesis import given
from hypothesis import strategies as st
from oracle import ZERO, Oracle
from strategies import Ingredients, any_circuits, decomposable_circuits, reordered, value_of

from danaus.compiler.properties import Proved, Refuted, check
from danaus.ir.circuit import Circuit

SIGNED, POSITIVE = Ingredients(), Ingredients(signed=False)
IRRATIONAL = Ingredients(irrational=True)
INFINITE = Ingredients(infinite=True)
STRUCTURED = Ingredients(structured=True)
STRUCTURAL = ("smooth", "decomposable", "structured")
circuits_of_all_kinds = st.one_of(
    any_circuits(), any_circuits(IRRATIONAL), decomposable_circuits(free=True), decomposable_circuits(STRUCTURED)
)


@given(circuits_of_all_kinds)
def test_the_evaluator_is_enumeration_at_complete_assignments(circuit: Circuit) -> None:
    found = Definitions(circuit)
    rows = [row for row, _, _ in found.table]
    wanted = [value for _, value, _ in found.table]
    assert_agrees(circuit, rows, wanted, [found.oracle.magnitude(row) for row in rows])


@given(st.data(), any_circuits(INFINITE))
def test_the_evaluator_is_the_definition_on_infinite_domains(data: Any, circuit: Circuit) -> None:
    oracle = Oracle(circuit)
    row = {variable: Fraction(data.draw(value_of(variable))) for variable in circuit.variables}
    assert_agrees(circuit, [row], [oracle.value(row)], [oracle.magnitude(row)])


@given(st.data(), decomposable_circuits(IRRATIONAL, free=True))
def test_what_is_missing_is_summed_out(data: Any, circuit: Circuit) -> None:
    found = Definitions(circuit)
    row = {v: Fraction(data.draw(value_of(v))) for v in circuit.variables if data.draw(st.booleans())}
    magnitude = sum((found.oracle.magnitude(a) for a, _, _ in found.completions(row)), ZERO)
    assert_agrees(circuit, [row], [found.total(row)], [magnitude])


@given(decomposable_circuits(INFINITE, most=2))
def test_real_and_count_variables_are_integrated_out(circuit: Circuit) -> None:
    found = Definitions(circuit)
    magnitude = sum((found.oracle.magnitude(a) * weight for a, _, weight in found.table), ZERO)
    assert_agrees(circuit, [{}], [found.total({})], [magnitude], slack=Fraction(1, 10**16))


@given(any_circuits(POSITIVE))
def test_maxima_are_the_largest_products(circuit: Circuit) -> None:
    found = Definitions(circuit)
    rows = [{}, *(row for row, _, _ in found.table)]
    assert_largest(circuit, rows, [found.oracle.largest(row) for row in rows])


@given(any_circuits(most=3))
def test_the_network_polynomial_is_the_circuit_at_indicators(circuit: Circuit) -> None:
    found = Definitions(circuit)
    assert_network_polynomial(circuit, [row for row, _, _ in found.table], [value for _, value, _ in found.table])


@given(st.data(), decomposable_circuits(most=3, free=True))
def test_dual_numbers_are_derivatives(data: Any, circuit: Circuit) -> None:
    row = {v: Fraction(data.draw(value_of(v))) for v in circuit.variables if data.draw(st.booleans())}
    assert_derivatives(Definitions(circuit), row)


@given(decomposable_circuits(Ingredients(booleans=True), free=True))
def test_polynomials_count_ones(circuit: Circuit) -> None:
    found = Definitions(circuit)
    wanted = masses_of_ones(circuit, {tuple(row.values()): value for row, value, _ in found.table})
    scales = {tuple(row.values()): found.oracle.magnitude(row) for row, _, _ in found.table}
    assert_masses_of_ones(circuit, wanted, masses_of_ones(circuit, scales))


@given(circuits_of_all_kinds)
def test_scopes_and_what_reaches_the_root_are_as_defined(circuit: Circuit) -> None:
    found = Definitions(circuit)
    assert circuit.variables == found.variables
    live = set(found.nodes)
    for block in circuit.blocks:
        for node in range(block.width):
            assert frozenset(circuit.scopes.node(block, node)) == found.scope((block, node))
            assert bool(circuit.live[block][node]) == ((block, node) in live)


@given(circuits_of_all_kinds)
def test_properties_are_their_definitions(circuit: Circuit) -> None:
    assert_properties(circuit, Definitions(circuit))


@given(decomposable_circuits(STRUCTURED))
def test_circuits_over_a_vtree_are_structured(circuit: Circuit) -> None:
    found = check(circuit, *STRUCTURAL)
    assert all(isinstance(result, Proved) for result in found.values())
    vtree = found["structured"].vtree
    assert set(vtree.variables) == set(circuit.variables) - set(circuit.free)


def assert_properties(circuit: Circuit, wanted: Definitions) -> None:
    """Asserts that each property is proved where it holds, and refuted where it does not."""
    for name, result in check(circuit).items():
        assert result.status == ("proved" if getattr(wanted, name) else "refuted"), name


@given(st.data(), circuits_of_all_kinds)
def test_nothing_changes_under_reordering(data: Any, circuit: Circuit) -> None:
    order = data.draw(st.permutations(circuit.variables))
    other = data.draw(reordered(circuit, order))
    assert other.variables == tuple(order)
    ours, theirs = Definitions(circuit), Definitions(other)
    assert {frozenset(row.items()): value for row, value, _ in ours.table} == {
        frozenset(row.items()): value for row, value, _ in theirs.table
    }
    rows = [row for row, _, _ in theirs.table]
    assert_agrees(other, rows, [v for _, v, _ in theirs.table], [theirs.oracle.magnitude(row) for row in rows])
    for name, result in check(circuit).items():
        assert check(other, name)[name].status == result.status, name
