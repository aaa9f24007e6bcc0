"""Laws of random circuits: the evaluator is enumeration in every semiring, and properties are their definitions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agreement import (
    assert_agrees,
    assert_derivatives,
    assert_largest,
    assert_masses_of_ones,
    assert_network_polynomial,
    assert_symbolic,
    masses_of_ones,
)
from danaus.compiler.driver import parse
from danaus.compiler.properties import (
    CommonSupport,
    DifferentScopes,
    Mass,
    NegativeAt,
    OverlappingScopes,
    Proved,
    SharedVariables,
    WideFactor,
    Witness,
    check,
)
from danaus.frontend.write import circuit_text
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Variable
from definitions import Definitions
from determinism import drawn, overlaps
from exact import ZERO
from oracle import Oracle
from reordering import reordered
from same import assert_same
from strategies import Ingredients, any_circuits, decomposable_circuits, value_of

SIGNED, POSITIVE = Ingredients(), Ingredients(signed=False)
IRRATIONAL = Ingredients(irrational=True)
INFINITE = Ingredients(infinite=True)
STRUCTURED = Ingredients(structured=True)
SPELLED = Ingredients(spelled=True)
circuits_of_all_kinds = st.one_of(
    any_circuits(), any_circuits(IRRATIONAL), decomposable_circuits(free=True), decomposable_circuits(STRUCTURED)
)


@given(circuits_of_all_kinds)
def test_the_evaluator_is_enumeration_at_complete_assignments(circuit: Circuit) -> None:
    found = Definitions(circuit)
    rows = [row for row, _, _ in found.table]
    wanted = [value for _, value, _ in found.table]
    assert_agrees(circuit, rows, wanted, [found.oracle.magnitude(row) for row in rows])


@given(st.data(), st.one_of(any_circuits(INFINITE), any_circuits(IRRATIONAL)))
def test_the_evaluator_is_the_definition_for_irrational_families(data: Any, circuit: Circuit) -> None:
    oracle = Oracle(circuit)
    row = {variable: Fraction(data.draw(value_of(variable))) for variable in circuit.variables}
    assert_agrees(circuit, [row], [oracle.value(row)], [oracle.magnitude(row)])
    assert_symbolic(circuit, row, oracle.value(row), oracle.magnitude(row))


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
def test_properties_are_their_definitions_and_witnesses_show_why_not(circuit: Circuit) -> None:
    wanted = Definitions(circuit)
    for name, result in check(circuit).items():
        holds = not overlaps(circuit) if name == "deterministic" else getattr(wanted, name)
        assert result.status == ("proved" if holds else "refuted"), name
        if result.witness is not None:
            assert_witness(wanted, result.witness)


def assert_witness(wanted: Definitions, witness: Witness) -> None:
    """Asserts that what a witness says is so."""
    match witness:
        case DifferentScopes(node, first, second):
            children = (first, second)
            assert len({wanted.scope((child.block, child.index)) for child in children}) == 2
            assert {(child.block, child.index) for child in children} <= set(wanted.below((node.block, node.index)))
        case SharedVariables(node, first, second, positions, shared):
            below = wanted.below((node.block, node.index))
            assert [below[place] for place in positions] == [(first.block, first.index), (second.block, second.index)]
            scopes = [wanted.scope(below[place]) for place in positions]
            assert positions[0] != positions[1] and scopes[0] & scopes[1] == set(shared) != set()
        case OverlappingScopes(nodes, factors):
            for node, factor in zip(nodes, factors, strict=True):
                assert (factor.block, factor.index) in wanted.below((node.block, node.index))
            one, other = (wanted.scope((factor.block, factor.index)) for factor in factors)
            assert one & other and one - other and other - one
        case CommonSupport(node, first, second, positions, assignment):
            below = wanted.below((node.block, node.index))
            assert positions[0] != positions[1]
            row = {variable: Fraction(x) for variable, x in assignment}
            oracle = Oracle(drawn(wanted.circuit))
            numbers = oracle.nodes(oracle.at(row))
            for place, child in zip(positions, (first, second), strict=True):
                block, index = below[place]
                assert numbers[block][index] and numbers[child.block][child.index]
        case WideFactor(node, factor, position):
            assert wanted.below((node.block, node.index))[position] == (factor.block, factor.index)
            assert len(wanted.scope((factor.block, factor.index))) > 1
        case Mass(value):
            assert abs(Fraction(value) - wanted.total({})) <= 1e-9
        case NegativeAt(assignment):
            assert wanted.oracle.value({variable: Fraction(x) for variable, x in assignment}) < 0


@given(decomposable_circuits(STRUCTURED))
def test_circuits_over_a_vtree_are_structured_by_it(circuit: Circuit) -> None:
    result = check(circuit, "structured")["structured"]
    assert isinstance(result, Proved) and result.vtree is not None
    below: list[frozenset[Variable]] = []
    for node in result.vtree.nodes:
        below.append(frozenset([node]) if isinstance(node, Variable) else frozenset().union(*(below[i] for i in node)))
    assert {scope for scope in Definitions(circuit).factor_scopes if scope} <= set(below)
    assert set(result.vtree.variables) == set(circuit.variables)


@given(st.one_of(any_circuits(SPELLED), decomposable_circuits(SPELLED, free=True)))
def test_print_and_parse_give_the_same_circuit(circuit: Circuit) -> None:
    text, tensors = circuit_text({"p": circuit})
    again = parse(text).circuits["p"]
    assert not tensors and circuit_text({"p": again})[0] == text
    assert again.variables == circuit.variables
    if not circuit.free:  # a free variable is spelled as a table of ones
        named = [parameter.name for parameter in circuit.parameters]
        assert_same(circuit, again, [parameter.name for parameter in again.parameters if parameter.name not in named])
    found, wanted = Definitions(again), Definitions(circuit)
    assert [value for _, value, _ in found.table] == [value for _, value, _ in wanted.table]
    for name, result in check(circuit).items():
        assert check(again, name)[name].status == result.status, name


@given(circuits_of_all_kinds)
def test_what_has_no_form_is_printed_in_several_steps_as_the_same_function(circuit: Circuit) -> None:
    text, _ = circuit_text({"p": circuit})
    again = Oracle(parse(text).circuits["p"])
    assert all(again.value(row) == value for row, value, _ in Definitions(circuit).table)


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
