"""Normalized and nonnegative: facts of circuits built by hand, and their definitions on random ones."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest

from danaus.compiler.operators import smooth
from danaus.compiler.properties import DifferentScopes, Mass, NegativeAt, Refuted, SharedVariables, Unknown, check
from danaus.ir.block import Block, hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Count, Domain, Int, Real, Variable
from danaus.ir.expression import log, plus
from danaus.ir.family import Bernoulli, Categorical, DiscretizedLogistic, Gaussian, Indicator, One, Poisson, Table
from danaus.ir.linear import Dense, Diagonal, compose, selection, sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store
from definitions import Definitions
from unsmooth_circuits import unsmooth_circuit

x, y, z = Variable("x", Bool()), Variable("y", Cat(3, ("low", "mid", "high"))), Variable("z", Bool())
t, k = Variable("t", Real()), Variable("k", Count())


def on(variable: Variable, *probabilities: float | Fraction) -> Block:
    return input_block(Bernoulli(), variable, [constant(probabilities or (0.5,))])


def table(variable: Variable, *rows: list[object]) -> Block:
    return input_block(Table(), variable, [constant(rows)])


def mix(weights: list[object], *blocks: Block) -> Circuit:
    return Circuit(weighted(blocks, Dense(constant([weights]))), Store())


def mass_of(circuit: Circuit) -> Mass:
    witness = check(circuit, "normalized")["normalized"].witness
    assert isinstance(witness, Mass)
    return witness


def status(circuit: Circuit, name: str = "nonnegative") -> str:
    return check(circuit, name)[name].status


def test_the_mass_must_be_within_a_billionth_of_one() -> None:
    assert status(mix([0.3, 0.7], on(x, 0.2, 0.9)), "normalized") == "proved"
    assert status(mix([0.3, 0.7 + 9e-10], on(x, 0.2, 0.9)), "normalized") == "proved"
    assert status(mix([0.3, 0.7 + 2e-9], on(x, 0.2, 0.9)), "normalized") == "refuted"
    assert status(mix([1.5, -0.5], on(x, 0.2, 0.9)), "normalized") == "proved"


def test_the_witness_is_the_mass() -> None:
    found = mass_of(mix([0.25, 0.25], on(x, 0.2, 0.9)))
    assert found.value == pytest.approx(0.5) and found.logarithm == pytest.approx(math.log(0.5))
    assert json.loads(json.dumps(found.to_json()))["value"] == found.value
    assert mass_of(mix([-0.5], on(x))).value == pytest.approx(-0.5)
    assert mass_of(mix([0], on(x))) == Mass(0.0, -math.inf)


def test_a_mass_beyond_float64_has_its_logarithm() -> None:
    variables = [Variable(f"v{i}", Bool()) for i in range(40)]
    small = hadamard([table(variable, [1e-30, 1e-30]) for variable in variables])
    large = hadamard([table(variable, [1e30, 1e30]) for variable in variables])
    assert mass_of(Circuit(small, Store())).logarithm == pytest.approx(40 * math.log(2e-30))
    found = mass_of(Circuit(large, Store()))
    assert found.value == math.inf and found.logarithm == pytest.approx(40 * math.log(2e30))
    assert "diverges" not in str(found)


def test_what_is_not_smooth_or_decomposable_is_not_normalized() -> None:
    unsmooth = mix([0.5, 0.25], on(x), on(z))
    assert isinstance(check(unsmooth, "normalized")["normalized"].witness, DifferentScopes)
    squared = Circuit(hadamard([on(x), on(x)]), Store())
    assert isinstance(check(squared, "normalized")["normalized"].witness, SharedVariables)


def test_densities_and_masses_on_infinite_domains_integrate_to_one() -> None:
    bell = input_block(Gaussian(), t, [constant([0.0, 5.0]), constant([1.0, 0.1])])
    rare = input_block(Poisson(), k, [constant([3.0, 40.0])])
    assert status(mix([0.5, 0.5], hadamard([bell, rare])), "normalized") == "proved"
    assert status(mix([1], input_block(Indicator(4), k)), "normalized") == "proved"


@pytest.mark.parametrize("variable", [t, k])
def test_the_constant_one_has_no_mass_on_infinite_domains(variable: Variable) -> None:
    found = mass_of(mix([0.5], input_block(One(), variable)))
    assert found.value == math.inf and "diverges" in str(found)
    assert found.to_json()["value"] is None
    bell = input_block(Gaussian(), t, [constant([0.0]), constant([1.0])])
    made = smooth(mix([0.5, 0.5], on(x), hadamard([on(x), bell])))
    assert mass_of(made).value == math.inf
    assert mass_of(Circuit(on(x), Store(), free=(variable,))).value == math.inf


def test_a_mass_that_diverges_with_weight_zero_does_not() -> None:
    bell = input_block(Gaussian(), t, [constant([0.0]), constant([1.0])])
    zero = Parameter("w", (1, 2), "real")
    root = weighted([bell, input_block(One(), t)], Dense(zero))
    assert status(Circuit(root, Store({zero: Value.of([[1.0, 0.0]])})), "normalized") == "proved"
    assert mass_of(Circuit(root, Store({zero: Value.of([[1.0, -1e-9]])}))).value == -math.inf
    assert status(mix([1, 0], bell, input_block(One(), t)), "normalized") == "proved"


def test_free_variables_multiply_the_mass() -> None:
    assert mass_of(Circuit(on(x), Store(), free=(y,))).value == pytest.approx(3)
    third = weighted([on(x)], Dense(constant([[Fraction(1, 3)]])))
    assert status(Circuit(third, Store(), free=(y,)), "normalized") == "proved"


def test_no_negative_number_is_a_proof() -> None:
    assert status(mix([0.3, 0], on(x, 0.2, 0.9))) == "proved"
    bell = input_block(Gaussian(), t, [constant([-3.0]), constant([1.0])])
    assert status(mix([0.3], bell)) == "proved"


def test_a_negative_value_is_refuted_by_its_assignment() -> None:
    circuit = mix([Fraction(1), Fraction(-1)], table(y, [0.5, 0.5, 0.5], [0.25, 0.5, 0.75]))
    witness = check(circuit, "nonnegative")["nonnegative"].witness
    assert witness == NegativeAt(((y, 2.0),), -0.25)
    assert str(witness) == "the value at y = high is -0.25"
    assert witness.to_json()["assignment"] == {"y": 2.0}


def test_negative_numbers_that_cancel_everywhere_are_proved_by_enumeration() -> None:
    assert status(mix([1, -1], on(x, 0.3, 0.3))) == "proved"
    assert status(mix([1, -1], table(x, [Fraction(1, 3), 2]), table(x, [Fraction(1, 3), 1]))) == "proved"


def test_the_smallest_negative_number_counts() -> None:
    tiny = Fraction(1, 10**400)
    assert status(mix([tiny], on(x))) == "proved"
    assert status(mix([Fraction(1, 3), -tiny], table(x, [0, 1], [1, 0]))) == "refuted"
    third = Fraction(1, 3)
    assert status(mix([1, -1], table(x, [third, third], [third, third + Fraction(1, 10**30)]))) == "refuted"


def test_a_composed_map_is_judged_by_its_parts_or_by_its_product() -> None:
    signs = Dense(constant([[1, 1], [1, -1]]))
    twice = compose([signs, signs])
    assert status(Circuit(weighted([on(x, 0.2, 0.9)], compose([selection([0], 2), twice])), Store())) == "proved"
    several = [Variable(f"v{i}", Bool()) for i in range(40)]
    wide = hadamard([on(each, 0.2, 0.9) for each in several])
    assert status(Circuit(weighted([wide], compose([selection([0], 2), twice])), Store())) == "proved"


def test_only_numbers_that_reach_the_root_count() -> None:
    negative = weighted([on(x, 0.2, 0.9)], Dense(constant([[1, 1], [1, -1]])))
    several = [on(Variable(f"v{i}", Bool())) for i in range(40)]
    first = weighted([negative], selection([0], 2))
    assert status(Circuit(hadamard([first, *several]), Store())) == "proved"
    packed = weighted([on(x, 0.2, 0.9)], sparse([0, 1], [0, 1], constant([1, -1]), 2, 2))
    assert status(Circuit(hadamard([weighted([packed], selection([0], 2)), *several]), Store())) == "proved"
    assert status(Circuit(hadamard([weighted([packed], selection([1], 2)), *several]), Store())) == "refuted"


def test_current_values_count_even_where_they_are_learnable() -> None:
    w = Parameter("w", (1, 2), "real")
    root = weighted([on(x, 0.2, 0.9)], Dense(w))
    assert status(Circuit(root, Store({w: Value.of([[1.0, 0.0]])}))) == "proved"
    assert status(Circuit(root, Store({w: Value.of([[1.0, -1.0]])}))) == "refuted"


def test_derived_numbers_are_judged_exactly() -> None:
    close = plus(constant([[Fraction(1, 3)]]), constant([[Fraction(-1, 3)]]))
    assert status(Circuit(weighted([on(x)], Dense(close)), Store())) == "proved"
    below = plus(constant([[Fraction(1, 3)]]), constant([[Fraction(-1, 3) - Fraction(1, 10**30)]]))
    assert status(Circuit(weighted([on(x)], Dense(below)), Store())) == "refuted"
    logarithm = weighted([on(x)], Diagonal(log(constant([2.0]))))
    assert status(Circuit(logarithm, Store())) == "proved"


def test_sixteen_thousand_assignments_are_enumerated_and_more_are_drawn() -> None:
    def pair(count: int) -> Circuit:
        several = [Variable(f"v{i}", Bool()) for i in range(count)]
        return mix([1, Fraction(-1, 2**count)], hadamard([on(each, 0.5, 0.75) for each in several]))

    assert status(pair(10)) == "proved"
    found = check(pair(60), "nonnegative")["nonnegative"]
    assert isinstance(found, Unknown)
    assert "4,096" in found.budget and "10^18" in found.reason


def test_drawn_assignments_refute() -> None:
    several = [Variable(f"v{i}", Int(-2, 2)) for i in range(300)]
    thirds = [Fraction(1, 5)] * 5
    equal = [input_block(Categorical(), each, [constant([thirds, thirds])]) for each in several]
    found = check(mix([1, -2], hadamard(equal)), "nonnegative")["nonnegative"]
    assert isinstance(found.witness, NegativeAt) and len(found.witness.assignment) == 300


def test_gaussians_with_negative_weights() -> None:
    def difference(weights: list[object], deviations: list[float]) -> Circuit:
        return mix(weights, input_block(Gaussian(), t, [constant([0.0, 0.0]), constant(deviations)]))

    assert status(difference([1, -0.5], [1.0, 2.0])) == "refuted"
    assert status(difference([1, -0.1], [2.0, 1.0])) == "unknown"
    counts = input_block(Poisson(), k, [constant([3.0, 30.0])])
    assert status(mix([1, -0.5], counts)) == "refuted"


def test_irrational_values_on_finite_domains_are_bounded() -> None:
    v = Variable("v", Int(0, 9))
    bins = input_block(DiscretizedLogistic(), v, [constant([4.0, 4.0]), constant([2.0, 1.0])])
    assert status(mix([1, -0.01], bins)) == "proved"
    assert status(mix([0.1, -1], bins)) == "refuted"


def test_free_variables_change_no_sign() -> None:
    free: list[Domain] = [Real(), Count(), Bool()]
    extra = tuple(Variable(f"free{i}", domain) for i, domain in enumerate(free))
    made = mix([1, -0.5], on(x, 0.3, 0.3))
    assert status(Circuit(made.root, Store(), free=extra)) == "proved"
    bad = check(Circuit(mix([1, -2], on(x, 0.3, 0.3)).root, Store(), free=extra), "nonnegative")["nonnegative"]
    assert isinstance(bad.witness, NegativeAt) and len(bad.witness.assignment) == 4


@pytest.mark.parametrize("part", range(6))
def test_properties_are_their_definitions_on_unsmooth_circuits(part: int) -> None:
    for seed in range(part * 10, part * 10 + 10):
        circuit = unsmooth_circuit(seed, positive=seed % 3 == 0)
        wanted = Definitions(circuit)
        found = check(circuit, "nonnegative")["nonnegative"]
        assert found.status == ("proved" if wanted.nonnegative else "refuted"), seed
        if isinstance(found, Refuted):
            assert isinstance(found.witness, NegativeAt)
            row = {variable: Fraction(value) for variable, value in found.witness.assignment}
            assert wanted.oracle.value(row) < 0
            assert found.witness.value == pytest.approx(float(wanted.oracle.value(row)), rel=1e-12)
        mass = float(wanted.total({}))
        result = check(smooth(circuit), "normalized")["normalized"]
        assert result.status == ("proved" if abs(mass - 1) <= 1e-9 else "refuted"), seed
        if mass and isinstance(result, Refuted):
            assert isinstance(result.witness, Mass)
            assert result.witness.value == pytest.approx(mass, rel=1e-9)


def test_the_search_does_not_depend_on_the_order_of_variables() -> None:
    one, other = Variable("p", Bool()), Variable("q", Real())
    again, before = Variable("q", Real()), Variable("p", Bool())
    found: list[dict[str, float]] = []
    for coin, height in ((one, other), (before, again)):
        bell = input_block(Gaussian(), height, [constant([0.0, 0.0]), constant([1.0, 2.0])])
        result = check(mix([1, -0.5], hadamard([on(coin, 0.5, 0.5), bell])), "nonnegative")["nonnegative"]
        assert isinstance(result.witness, NegativeAt)
        found.append(result.witness.to_json()["assignment"])
    assert found[0] == found[1] and list(found[0]) != list(found[1])
