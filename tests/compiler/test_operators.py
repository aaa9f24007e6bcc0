"""The simple operators: facts of circuits built by hand, and enumeration on random ones, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from danaus.compiler.operators import (
    OPERATORS,
    add,
    condition,
    divide,
    evidence,
    integrate,
    log,
    multiply,
    normalize,
    power,
    reciprocal,
    rename,
    restrict,
    scale,
    smooth,
)
from danaus.compiler.properties import check
from danaus.ir.block import Block, Input, hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.domain import Bool, Cat, Count, Int, Real, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import Bernoulli, Categorical, Gaussian, Indicator, One, Poisson, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.semirings import EXACT, LINEAR
from danaus.ir.store import Store
from definitions import Definitions
from unsmooth_circuits import unsmooth_circuit

x, y, n = Variable("x", Bool()), Variable("y", Cat(3, ("low", "mid", "high"))), Variable("n", Int(-1, 1))
t, k = Variable("t", Real()), Variable("k", Count())
THIRD = Fraction(1, 3)


def on(variable: Variable, *probabilities: object) -> Block:
    return input_block(Bernoulli(), variable, [constant(probabilities or (THIRD,))])


def table(variable: Variable, *rows: list[object]) -> Block:
    return input_block(Table(), variable, [constant(rows)])


def mixture() -> Circuit:
    """x and y in two components: of mass 1."""
    rows = [[THIRD, THIRD, THIRD], [Fraction(1, 10), Fraction(2, 10), Fraction(7, 10)]]
    both = hadamard([on(x, Fraction(1, 5), Fraction(9, 10)), input_block(Categorical(), y, [constant(rows)])])
    return Circuit(weighted([both], Dense(constant([[Fraction(3, 10), Fraction(7, 10)]]))), Store(), "p")


def at(circuit: Circuit, assignment: Mapping[Variable, float] | None = None) -> Any:
    """The exact value; what the assignment leaves out is summed out."""
    known = assignment or {}
    observed = np.array([[variable in known for variable in circuit.variables]])
    values = np.array([[float(known.get(variable, 0)) for variable in circuit.variables]])
    shape = (1, len(circuit.variables))
    return evaluate(circuit, EXACT, Evidence(circuit.variables, values.reshape(shape), observed.reshape(shape)))[0]


def code(run: Any) -> str:
    with pytest.raises(DanausError) as caught:
        run()
    return caught.value.diagnostics[0].code


def test_every_operator_says_how_it_was_made_and_keeps_the_name() -> None:
    p = mixture()
    made = {
        "add": add(p, p),
        "condition": condition(p, {"x": 1}),
        "evidence": evidence(p, {x: [1, 2]}),
        "integrate": integrate(p, [x]),
        "multiply": multiply(p, p),
        "normalize": normalize(p),
        "power": power(p, 1),
        "rename": rename(p, {x: "z"}),
        "restrict": restrict(p, {"x": 1}),
        "scale": scale(p, 2),
        "smooth": smooth(p),
    }
    one = Circuit(hadamard([on(x), table(y, [1, 2, 3])]), Store(), "p")
    of_one = {"divide": divide(one, one), "log": log(one), "reciprocal": reciprocal(one)}
    assert {*made, *of_one} == set(OPERATORS) - {"differentiate"}  # of real variables
    for operator, circuit in {**made, **of_one}.items():
        assert circuit.origin is not None and circuit.origin.operator == operator and circuit.name == "p"
        assert all(given is (one if operator in of_one else p) for given in circuit.origin.circuits)
    assert made["restrict"].origin.arguments == {"values": {x: 1.0}}
    assert made["integrate"].origin.arguments == {"variables": (x,)}
    assert made["scale"].origin.arguments == {"number": Fraction(2)}


def test_integrate_sums_out_and_leaves_a_circuit_of_the_other_variables() -> None:
    p = mixture()
    whole = integrate(p)
    assert whole.variables == () and at(whole) == 1
    part = integrate(p, ["x"])
    assert part.variables == (y,)
    assert at(part, {y: 2}) == Fraction(3, 10) * THIRD + Fraction(7, 10) * Fraction(7, 10)
    assert integrate(p, []).variables == (x, y)
    assert not any(isinstance(block, Input) for block in whole.blocks)
    assert [result.status for result in check(part, "smooth", "decomposable").values()] == ["proved", "proved"]


def test_nothing_is_rounded_and_nothing_is_computed() -> None:
    weights = Parameter("w", (1, 2), "simplex")
    values = Parameter("v", (2, 3), "real")
    root = weighted([input_block(Table(), y, [values])], Dense(weights))
    rows = [[0.25, 0.5, 2.0], [1.0, 2.0, 3.0]]
    p = Circuit(root, Store({weights: Value.of([[0.25, 0.75]]), values: Value.of(rows)}))
    whole = integrate(p)
    assert set(whole.parameters) == {weights, values}
    trained = whole.over(Store({weights: Value.of([[1.0, 0.0]]), values: Value.of(rows)}))
    assert (at(whole), at(trained)) == (Fraction(83, 16), Fraction(11, 4))


def test_integrate_needs_smooth_and_decomposable_and_says_both() -> None:
    root = weighted([on(x), hadamard([on(y_bool), on(y_bool)])], Dense(constant([[1, 1]])))
    with pytest.raises(Refused) as caught:
        integrate(Circuit(root, Store()))
    assert [found.code for found in caught.value.diagnostics] == ["not-smooth", "not-decomposable"]
    assert "different scopes" in str(caught.value) and "share {b}" in str(caught.value)


y_bool = Variable("b", Bool())


def test_densities_integrate_to_one_and_the_constant_one_is_named() -> None:
    bell = input_block(Gaussian(), t, [constant([0.0, 1.0]), constant([1.0, 2.0])])
    rare = input_block(Poisson(), k, [constant([1.0, 2.0])])
    root = weighted([hadamard([bell, rare])], Dense(constant([[1, 2]])))
    assert at(integrate(Circuit(root, Store()))) == 3
    part = integrate(Circuit(root, Store()), [t])
    assert part.variables == (k,)
    endless = Circuit(input_block(One(), t), Store())
    with pytest.raises(DanausError, match='"t"') as caught:
        integrate(endless)
    assert caught.value.diagnostics[0].code == "diverges"
    assert at(integrate(Circuit(input_block(Indicator(3), k), Store()))) == 1


def test_restrict_fixes_values_and_needs_nothing() -> None:
    p = mixture()
    made = restrict(p, {"x": 1, y: "high"})
    assert made.variables == () and at(made) == at(p, {x: 1, y: 2})
    squared = Circuit(hadamard([on(x), on(x)]), Store())
    assert at(restrict(squared, {x: 1})) == THIRD**2
    apart = Circuit(weighted([on(x), on(y_bool)], Dense(constant([[1, 1]]))), Store())
    assert at(restrict(apart, {x: 0}), {y_bool: 1}) == Fraction(2, 3) + THIRD


def test_restrict_on_real_and_count() -> None:
    bell = input_block(Gaussian(), t, [constant([0.5]), constant([2.0])])
    rare = input_block(Poisson(), k, [constant([3.0])])
    made = restrict(Circuit(hadamard([bell, rare]), Store()), {t: 1.5, k: 2})
    found = evaluate(made, LINEAR, Evidence.nothing(()))[0]
    density = np.exp(-((1.5 - 0.5) ** 2) / 8) / (2 * np.sqrt(2 * np.pi))
    assert found == pytest.approx(density * 9 / 2 * np.exp(-3), rel=1e-14)


@pytest.mark.parametrize(
    "values",
    [{x: 2}, {x: 0.5}, {y: "hihg"}, {x: "low"}, {n: 2}, {k: -1}, {k: float("inf")}, {t: float("nan")}],
)
def test_values_outside_the_domain_are_refused(values: dict[Variable, Any]) -> None:
    free = tuple(Variable(name, domain) for name, domain in (("k", Count()), ("t", Real()), ("n", Int(-1, 1))))
    p = mixture()
    assert code(lambda: restrict(Circuit(p.root, p.store, free=free), values)) == "wrong-value"


def test_unknown_variables_are_refused_by_every_operator() -> None:
    p = mixture()
    assert code(lambda: restrict(p, {"z": 1})) == "unknown-variable"
    assert code(lambda: integrate(p, [n])) == "unknown-variable"
    assert code(lambda: evidence(p, {"z": [1, 1]})) == "unknown-variable"
    assert code(lambda: rename(p, {"z": "w"})) == "unknown-variable"
    assert code(lambda: restrict(p, {Variable("x", Cat(2)): 1})) == "two-domains"


def test_evidence_weighs_the_values_of_a_variable() -> None:
    p = mixture()
    weights = [Fraction(1, 7), 0, 3]
    made = evidence(p, {"y": weights})
    assert made.variables == (x,)
    for value in (0, 1):
        wanted = sum(Fraction(w) * at(p, {x: value, y: v}) for v, w in enumerate(weights))
        assert at(made, {x: value}) == wanted
    assert at(evidence(p, {x: [1, 1], y: np.array([1, 1, 1])})) == 1
    assert at(evidence(p, {x: Value.of([-1, 1])})) == at(p, {x: 1}) - at(p, {x: 0})


def test_evidence_refuses_what_it_cannot_weigh() -> None:
    p = mixture()
    assert code(lambda: evidence(p, {x: [1, 1, 1]})) == "wrong-shape"
    assert code(lambda: evidence(p, {x: [1, float("nan")]})) == "wrong-number"
    bell = Circuit(input_block(Gaussian(), t, [constant([0.0]), constant([1.0])]), Store())
    assert code(lambda: evidence(bell, {t: [1, 1]})) == "wrong-domain"
    apart = Circuit(weighted([on(x), on(y_bool)], Dense(constant([[1, 1]]))), Store())
    assert code(lambda: evidence(apart, {x: [1, 1]})) == "not-smooth"


def test_add_is_the_sum_over_all_variables() -> None:
    one, other = Circuit(on(x), Store()), Circuit(table(y, [1, 2, 3]), Store())
    made = add(one, other)
    assert made.variables == (x, y)
    assert at(made, {x: 1, y: 2}) == THIRD + 3
    assert check(made, "smooth")["smooth"].status == "refuted"
    assert check(add(one, one), "smooth")["smooth"].status == "proved"
    assert code(lambda: add(one, Circuit(table(Variable("x", Cat(2)), [1, 2]), Store()))) == "two-domains"


def test_add_needs_one_state_of_training() -> None:
    w = Parameter("w", (1, 1), "real")
    p = Circuit(weighted([on(x)], Dense(w)), Store({w: Value.of([[1.0]])}))
    assert at(add(p, p), {x: 1}) == 2 * THIRD
    assert code(lambda: add(p, p.over(Store({w: Value.of([[2.0]])})))) == "two-values"


@pytest.mark.parametrize("number", [2, 0.25, -1.5, Fraction(1, 3), 0, np.float64(0.5), np.int64(3)])
def test_scale_by_any_rational_number(number: Any) -> None:
    exact = Fraction(float(number)) if not isinstance(number, Fraction) else number
    made = scale(mixture(), number)
    assert at(integrate(made)) == exact
    assert made.variables == ((x, y) if number else ())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "two", None])
def test_scale_refuses_what_is_no_number(number: Any) -> None:
    assert code(lambda: scale(mixture(), number)) == "wrong-number"


def test_rename_is_simultaneous() -> None:
    p = Circuit(hadamard([on(x), on(y_bool, Fraction(1, 7))]), Store())
    swapped = rename(p, {x: y_bool, y_bool: x})
    assert set(swapped.variables) == {x, y_bool}
    assert at(swapped, {x: 1, y_bool: 1}) == at(p, {x: 1, y_bool: 1})
    assert at(swapped, {x: 1, y_bool: 0}) == at(p, {x: 0, y_bool: 1})
    new = rename(p, {"x": "z"})
    assert {variable.name for variable in new.variables} == {"z", "b"}


def test_rename_refuses_to_make_two_one_and_domains_that_differ() -> None:
    p = Circuit(hadamard([on(x), on(y_bool)]), Store())
    assert code(lambda: rename(p, {x: y_bool})) == "duplicate-variable"
    assert code(lambda: rename(p, {x: "z", y_bool: "z"})) == "duplicate-variable"
    assert code(lambda: rename(p, {x: Variable("z", Cat(2))})) == "wrong-domain"
    hidden = weighted([on(x), on(y_bool)], Dense(constant([[1, 0]])))
    assert code(lambda: rename(Circuit(hidden, Store()), {x: y_bool})) == "duplicate-variable"


def test_free_variables_stay_until_one_is_named() -> None:
    p = mixture()
    free = Circuit(p.root, p.store, "p", (n, y_bool))
    assert at(integrate(free)) == 6
    assert integrate(free, [n]).free == (y_bool,) and at(integrate(free, [n])) == 6
    assert restrict(free, {n: 0}).free == (y_bool,) and at(restrict(free, {n: 0})) == 2
    assert at(evidence(free, {n: [1, 2, 4]})) == 14
    assert {variable.name for variable in rename(free, {n: "m"}).free} == {"m", "b"}
    assert scale(free, 2).free == smooth(free).free == restrict(free, {x: 1}).free == (n, y_bool)
    endless = Circuit(p.root, p.store, "p", (t,))
    assert code(lambda: integrate(endless)) == "diverges"
    assert integrate(endless, [x]).free == (t,)


def test_a_sum_frees_only_what_neither_part_mentions() -> None:
    one = Circuit(on(x), Store(), free=(y_bool, n))
    other = Circuit(on(y_bool), Store())
    made = add(one, other)
    assert made.free == (n,) and set(made.variables) == {x, y_bool, n}
    wanted = sum(at(one, {x: v, y_bool: 0, n: 0}) + at(other, {y_bool: w}) for v in (0, 1) for w in (0, 1)) * 3
    assert at(integrate(smooth(made))) == wanted


def test_shared_blocks_stay_shared() -> None:
    shared = on(x)
    root = weighted([hadamard([shared, on(y_bool)]), hadamard([shared, on(y_bool)])], Dense(constant([[1, 2]])))
    p = Circuit(root, Store())
    assert len(restrict(p, {x: 1}).blocks) == len(p.blocks) + 1
    untouched = restrict(Circuit(hadamard([root, on(n_bool)]), Store()), {n_bool: 1})
    assert untouched.root.children[0] is root


n_bool = Variable("m", Bool())


@pytest.mark.parametrize("part", range(6))
def test_operators_are_enumeration(part: int) -> None:
    for seed in range(2000 + part * 8, 2000 + part * 8 + 8):
        p = unsmooth_circuit(seed)
        if not p.variables:
            continue
        found, even = Definitions(p), smooth(p)
        chosen = p.variables[seed % len(p.variables)]
        rest = [variable for variable in p.variables if variable != chosen]
        rows = found.table[:: max(1, len(found.table) // 5)]
        values = [value for value, _ in found.oracle.points(chosen)]
        weights = [Fraction(place, 3) - 1 for place in range(len(values))]
        summed, weighed = integrate(even, [chosen]), evidence(even, {chosen.name: weights})
        renamed = rename(p, {chosen: "new"})
        new = renamed.variable("new")
        for row, value, _ in rows:
            others = {variable: float(row[variable]) for variable in rest}
            column = [found.oracle.value({**row, chosen: each}) for each in values]
            fixed = restrict(p, {chosen: float(row[chosen])})
            assert value == at(fixed, {v: others[v] for v in fixed.variables}), seed
            assert sum(column) == at(summed, {v: others[v] for v in summed.variables}), seed
            wanted = sum(w * each for w, each in zip(weights, column, strict=True))
            assert wanted == at(weighed, {v: others[v] for v in weighed.variables}), seed
            assert value == at(renamed, {**others, new: float(row[chosen])}), seed
        assert at(integrate(even)) == found.total({})
        assert all(result.status == "proved" for result in check(summed, "smooth", "decomposable").values())


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_sums_are_enumeration(seed: int) -> None:
    p, q = unsmooth_circuit(3000 + seed), unsmooth_circuit(4000 + seed)
    made = add(p, scale(q, Fraction(-1, 3)))
    one, other = Definitions(p), Definitions(q)
    for row, value, _ in Definitions(made).table[::7]:
        assert value == one.oracle.value(row) - other.oracle.value(row) / 3
