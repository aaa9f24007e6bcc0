"""Laws of operators on random circuits: each gives the function that the language says, or refuses with good reason."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreement import assert_agrees
from danaus.compiler.driver import parse
from danaus.compiler.identity import LAWS, verify_law
from danaus.compiler.operators import add, evidence, integrate, rename, restrict, scale, smooth
from danaus.compiler.properties import check
from danaus.frontend.write import circuit_text
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import Refused
from danaus.ir.domain import Variable
from definitions import Definitions
from exact import Assignment, assignments, values
from strategies import Ingredients, any_circuits, decomposable_circuits, value_of

SPELLED = Ingredients(spelled=True)
STRUCTURED = Ingredients(spelled=True, structured=True)
BOOLEANS = Ingredients(spelled=True, booleans=True)
UNSMOOTH = Ingredients(spelled=True, smooth=False)
UNSMOOTH_STRUCTURED = Ingredients(spelled=True, smooth=False, structured=True)

decomposable = st.one_of(decomposable_circuits(SPELLED, free=True), decomposable_circuits(STRUCTURED))
any_of_all = st.one_of(any_circuits(SPELLED), decomposable_circuits(SPELLED, free=True))
unsmooth = st.one_of(
    any_circuits(SPELLED), decomposable_circuits(UNSMOOTH, free=True), decomposable_circuits(UNSMOOTH_STRUCTURED)
)
numbers = st.sampled_from([Fraction(k, 3) for k in (-3, -1, 0, 1, 2, 3)])


def assert_is(circuit: Circuit, variables: set[Variable], function: Callable[[Assignment], Fraction]) -> None:
    """Asserts that a circuit has at most these variables, computes this function, and is written so that it reads back.

    A zero weight or factor may have lost variables.
    """
    assert set(circuit.variables) <= variables
    found = Definitions(circuit)
    first = {variable: values(variable.domain)[0] for variable in variables}
    rows = list(assignments(circuit.variables))
    wanted = [function({**first, **row}) for row in rows]
    for row in assignments(sorted(variables, key=lambda variable: variable.order)):
        assert function(row) == found.oracle.value(row)
    assert_agrees(circuit, rows, wanted, [found.oracle.magnitude(row) for row in rows])
    if circuit.origin is not None and circuit.origin.operator in LAWS:
        assert verify_law(circuit, circuit.origin.operator, circuit.origin.circuits, circuit.origin.arguments).holds
    again = Definitions(parse(circuit_text({"q": circuit})[0]).circuits["q"])
    assert [again.oracle.value(row) for row in rows] == wanted


def some(data: Any, circuit: Circuit) -> list[Variable]:
    """Some of a circuit's variables."""
    return [variable for variable in circuit.variables if data.draw(st.booleans())]


@given(st.data(), decomposable)
def test_integrate_sums_over_variables(data: Any, p: Circuit) -> None:
    wanted = Definitions(p)
    over = some(data, p)
    assert_is(integrate(p, over), set(p.variables) - set(over), wanted.total)
    assert_is(integrate(p), set(), wanted.total)


@given(st.data(), any_of_all)
def test_restrict_fixes_values(data: Any, p: Circuit) -> None:
    wanted = Definitions(p)
    fixed = {variable: data.draw(value_of(variable)) for variable in some(data, p)}
    at = {variable: Fraction(x) for variable, x in fixed.items()}
    assert_is(restrict(p, fixed), set(p.variables) - set(fixed), lambda row: wanted.oracle.value({**row, **at}))


@given(st.data(), decomposable)
def test_evidence_weighs_values(data: Any, p: Circuit) -> None:
    wanted = Definitions(p)
    weights = {v: [data.draw(numbers) for _ in values(v.domain)] for v in some(data, p)}

    def weighed(row: Assignment) -> Fraction:
        total = Fraction(0)
        for at, value, _ in wanted.completions(row):
            for variable, weight in weights.items():
                value *= weight[values(variable.domain).index(int(at[variable]))]
            total += value
        return total

    assert_is(evidence(p, weights), set(p.variables) - set(weights), weighed)


@given(any_of_all, numbers)
def test_scale_multiplies(p: Circuit, c: Fraction) -> None:
    wanted = Definitions(p)
    assert_is(scale(p, c), set(p.variables), lambda row: c * wanted.oracle.value(row))


@given(any_circuits(BOOLEANS), any_circuits(BOOLEANS))
def test_add_adds(p: Circuit, q: Circuit) -> None:
    one, other = Definitions(p), Definitions(q)
    together = {*p.variables, *q.variables}
    assert_is(add(p, q), together, lambda row: one.oracle.value(row) + other.oracle.value(row))


@given(st.data(), any_of_all)
def test_rename_calls_variables_otherwise(data: Any, p: Circuit) -> None:
    wanted = Definitions(p)
    names: dict[Variable, Variable] = {}
    for number, domain in enumerate(dict.fromkeys(variable.domain for variable in p.variables)):
        alike = [variable for variable in p.variables if variable.domain == domain]
        news = [*alike, *(Variable(f"y{number}{i}", domain) for i in range(2))]
        names |= dict(zip(alike, data.draw(st.permutations(news)), strict=False))
    back = {new: old for old, new in names.items()}
    found = rename(p, names)
    assert_is(found, set(back), lambda row: wanted.oracle.value({back[v]: x for v, x in row.items()}))
    assert {name: result.status for name, result in check(found).items()} == {
        name: result.status for name, result in check(p).items()
    }


@given(unsmooth)
def test_smooth_keeps_the_function_and_the_vtree(p: Circuit) -> None:
    wanted = Definitions(p)
    if not wanted.decomposable:
        with pytest.raises(Refused):
            smooth(p)
        return
    found = smooth(p)
    assert_is(found, set(p.variables), wanted.oracle.value)
    assert found.variables == p.variables
    now = Definitions(found)
    assert now.smooth and now.decomposable and (now.structured or not wanted.laminar)
    assert check(found, "smooth")["smooth"].status == "proved"
    if wanted.smooth:
        assert found.root is p.root


@given(any_circuits(SPELLED))
def test_what_needs_sums_refuses_what_is_not_smooth_and_decomposable(p: Circuit) -> None:
    wanted = Definitions(p)
    if wanted.smooth and wanted.decomposable:
        assert_is(integrate(p), set(), wanted.total)
        return
    for operator in (integrate, lambda q: evidence(q, {})):
        with pytest.raises(Refused):
            operator(p)
