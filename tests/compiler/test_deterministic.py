"""Deterministic: facts of circuits built by hand, and the definition on random ones, some of them nearly so."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from danaus.compiler.properties import (
    Budget,
    CommonSupport,
    Refuted,
    Result,
    Unknown,
    check,
    deterministic,
    explained,
    marginally_deterministic,
)
from danaus.compiler.properties.deterministic import sat
from danaus.ir.block import Block, concat, constant_block, hadamard, input_block, select, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Count, Int, Real, Variable
from danaus.ir.family import (
    Bernoulli,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    Indicator,
    One,
    Poisson,
    Table,
)
from danaus.ir.linear import Dense, compose, sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store
from determinism import drawn, overlaps
from oracle import Oracle
from packed_circuits import bushy, deep
from sentences import Sentence, sentence
from small_circuits import deterministic_circuit, random_circuit
from unsmooth_circuits import unsmooth_circuit

x, y, z = (Variable(name, Bool()) for name in "xyz")
c, k, t = Variable("c", Cat(3)), Variable("k", Count()), Variable("t", Real())


def is_(variable: Variable, value: int) -> Block:
    return input_block(Indicator(value), variable)


def on(variable: Variable, *probabilities: float) -> Block:
    return input_block(Bernoulli(), variable, [constant(probabilities or (0.5,))])


def table(variable: Variable, *rows: list[object]) -> Block:
    return input_block(Table(), variable, [constant(rows)])


def total(*blocks: Block, weights: object = None) -> Block:
    width = sum(block.width for block in blocks)
    return weighted(blocks, Dense(constant(np.ones((1, width)) if weights is None else weights)))


def judged(root: Block, store: Store | None = None, budget: Budget | None = None) -> Result:
    return deterministic(Circuit(root, store or Store()), budget)


def status(root: Block, store: Store | None = None) -> str:
    return judged(root, store).status


def differ() -> Block:
    """x ≠ y: no value of one variable tells it from `equal`."""
    return total(hadamard([is_(x, 0), is_(y, 1)]), hadamard([is_(x, 1), is_(y, 0)]))


def equal() -> Block:
    """x = y."""
    return total(hadamard([is_(x, 0), is_(y, 0)]), hadamard([is_(x, 1), is_(y, 1)]))


def test_children_on_values_apart_are_deterministic() -> None:
    assert status(total(is_(x, 0), is_(x, 1))) == "proved"
    assert status(total(hadamard([is_(x, 0), on(y)]), hadamard([on(y), is_(x, 1)]))) == "proved"
    assert status(total(table(c, [1, 0, 2]), table(c, [0, 3, 0]))) == "proved"
    assert status(total(table(c, [1, 0, 2]), table(c, [0, 3, 1]))) == "refuted"


def test_the_witness_is_two_children_and_an_assignment() -> None:
    root = total(on(x, 0.2, 0.9), is_(x, 1), weights=[[0.3, 0.0, 0.7]])
    found = judged(root)
    assert isinstance(found, Refuted) and isinstance(found.witness, CommonSupport)
    witness = found.witness
    assert witness.node.block is root and witness.assignment == ((x, 1.0),)
    assert [witness.first.index, witness.second.index] == [0, 0]
    assert str(witness) == "children 0 and 1 of the sum are both non-zero at x = 1"
    assert json.loads(json.dumps(witness.to_json()))["assignment"] == {"x": 1.0}
    assert explained("deterministic", found)[0].message == f"not deterministic: {witness}"


def test_a_weight_of_zero_is_no_child_and_a_learnable_one_is() -> None:
    assert status(total(on(x), on(x, 0.3), weights=[[1, 0]])) == "proved"
    weights = Parameter("w", (1, 2), "real")
    root = weighted([on(x), on(x, 0.3)], Dense(weights))
    assert status(root, Store({weights: Value.of([[1.0, 0.0]])})) == "refuted"


def test_a_learnable_probability_is_neither_0_nor_1() -> None:
    p = Parameter("p", (2,), "unit")
    store = Store({p: Value.of([0.0, 1.0])})
    assert status(total(input_block(Bernoulli(), x, [p])), store) == "refuted"
    assert status(total(on(x, 0.0, 1.0))) == "proved"
    assert status(total(on(x, 0, 1 - Fraction(1, 10**30)))) == "refuted"
    n = Variable("n", Int(0, 3))
    assert status(total(input_block(Binomial(3), n, [constant([0.0, 1.0])]))) == "proved"


def test_a_child_that_stands_twice_counts_twice() -> None:
    one = is_(x, 1)
    assert status(total(one, one)) == "refuted"
    assert status(total(concat([one, one]))) == "refuted"
    nothing = hadamard([is_(x, 0), is_(x, 1)])
    assert status(total(nothing, nothing)) == "proved"
    assert status(total(constant_block(constant([[0.5], [0.25]])))) == "refuted"


def test_nodes_that_do_not_reach_the_root_do_not_count() -> None:
    bad = total(on(x), on(x, 0.1))
    assert status(total(is_(x, 1), bad, weights=[[1, 0]])) == "proved"
    assert status(total(is_(x, 1), bad)) == "refuted"
    packed = weighted([on(x, 0.1, 0.2, 0.3)], sparse([0, 0, 1], [0, 1, 2], constant([1, 1, 1]), 2, 3))
    assert status(select(packed, [1])) == "proved"
    assert status(select(packed, [0])) == "refuted"


def test_a_composed_map_is_judged_by_its_product() -> None:
    both = Dense(constant([[1, 1], [1, -1]]))
    assert status(weighted([on(x), on(y)], compose([Dense(constant([[1, 1]])), both]))) == "proved"
    assert status(weighted([on(x), on(y)], compose([Dense(constant([[1, 2]])), both]))) == "refuted"


def test_infinite_domains_by_points_and_positive_densities() -> None:
    gaussian = input_block(Gaussian(), t, [constant([0.0, 1e6]), constant([1.0, 1e-3])])
    found = judged(total(gaussian))
    assert isinstance(found.witness, CommonSupport)
    assert status(total(is_(k, 3), is_(k, 5))) == "proved"
    assert status(total(is_(k, 3), input_block(Poisson(), k, [constant([2.0])]))) == "refuted"
    assert status(total(input_block(One(), t), input_block(One(), t))) == "refuted"
    assert status(total(hadamard([gaussian, is_(x, 0)]), hadamard([gaussian, is_(x, 1)]))) == "refuted"
    one = select(gaussian, [0])
    assert status(total(hadamard([one, is_(x, 0)]), hadamard([one, is_(x, 1)]))) == "proved"
    logistic = input_block(DiscretizedLogistic(), c, [constant([0.0, 1e5]), constant([1.0, 1.0])])
    assert status(total(logistic)) == "refuted"


def test_ranges_and_many_values() -> None:
    wide = Variable("wide", Int(-100, 199))
    low, high = [[float(v < 150) for v in range(300)], [float(v >= 150) for v in range(300)]]
    assert status(total(table(wide, low), table(wide, high))) == "proved"
    high[149] = 1.0
    found = judged(total(table(wide, low), table(wide, high)))
    assert isinstance(found.witness, CommonSupport) and found.witness.assignment == ((wide, 49.0),)
    many = Variable("many", Cat(5000))
    assert status(total(*(is_(many, v) for v in range(0, 5000, 7)))) == "proved"


def test_primes_of_an_sdd_are_told_apart_along_the_vtree() -> None:
    root = total(hadamard([differ(), is_(z, 1)]), hadamard([equal(), on(z)]))
    assert status(root) == "proved"
    overlapping = total(hadamard([is_(x, 0), is_(y, 1)]), hadamard([is_(x, 1), is_(y, 1)]))
    found = judged(total(hadamard([overlapping, is_(z, 1)]), hadamard([equal(), on(z)])))
    assert isinstance(found.witness, CommonSupport)
    assert dict(found.witness.assignment) == {x: 1.0, y: 1.0, z: 1.0}


def test_terms_that_cancel_are_no_overlap() -> None:
    first = total(table(x, [1, 1]), table(x, [0, 1]), weights=[[1, -1]])  # 1 at 0 and 0 at 1, by cancellation
    found = judged(total(first, is_(x, 1)))
    witness = found.witness
    assert isinstance(witness, CommonSupport) and witness.node.block is first
    assert status(weighted([is_(x, 1), table(x, [1, 1])], compose([Dense(constant([[1, -1]]))]))) == "refuted"


def crossing(width: int) -> Block:
    """Two children whose products part the variables in different ways, which share no assignment by parity."""
    variables = [Variable(f"v{i}", Bool()) for i in range(width)]

    def parity(order: list[Variable], odd: int) -> Block:
        states = [is_(order[0], 0), is_(order[0], 1)]
        for variable in order[1:]:
            zero, one = is_(variable, 0), is_(variable, 1)
            states = [
                total(hadamard([states[0], zero]), hadamard([states[1], one])),
                total(hadamard([states[0], one]), hadamard([states[1], zero])),
            ]
        return states[odd]

    shuffled = [variables[i] for i in np.random.default_rng(1).permutation(width)]
    return total(parity(variables, 0), parity(shuffled, 1))


def test_a_sat_solver_decides_where_scopes_cross() -> None:
    pytest.importorskip("pysat")
    assert judged(crossing(10), budget=Budget(20_000)).status == "proved"


def test_a_budget_ends_the_search_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pysat")
    found = judged(crossing(40), budget=Budget(200))
    assert isinstance(found, Unknown) and found.budget == "200 steps"
    monkeypatch.setattr(sat, "available", lambda: False)
    circuit = Circuit(crossing(40), Store())
    found = check(circuit, "deterministic", budget=Budget(300, 60))["deterministic"]
    assert isinstance(found, Unknown) and "python-sat is not installed" in found.reason
    assert found.budget == "300 steps or 60 seconds"


def test_marginal_determinism_by_hand() -> None:
    decided = Circuit(total(hadamard([is_(x, 0), on(y)]), hadamard([is_(x, 1), on(y, 0.3)])), Store())
    assert deterministic(decided).status == "proved"
    assert marginally_deterministic(decided, [x]).status == "proved"
    assert marginally_deterministic(decided, []).status == "proved"
    found = marginally_deterministic(decided, [y])
    assert isinstance(found.witness, CommonSupport)
    assert str(found.witness) == (
        "children 0 and 1 of the sum are both possible at y = 0: the first at x = 0, the second at x = 1"
    )
    inner = total(hadamard([is_(y, 0), is_(z, 1)]), hadamard([is_(y, 1), is_(z, 0)]))
    free = Circuit(total(hadamard([is_(x, 0), inner]), hadamard([is_(x, 1), on(y), on(z)])), Store())
    assert marginally_deterministic(free, [x]).status == "proved"
    assert marginally_deterministic(free, [x, y]).status == "proved"


@pytest.mark.parametrize("part", range(4))
def test_determinism_is_its_definition_on_random_circuits(part: int) -> None:
    for seed in range(part * 8, part * 8 + 8):
        circuits = [unsmooth_circuit(seed, decomposable=seed % 2 == 0), unsmooth_circuit(seed, False, positive=True)]
        circuits += [random_circuit(seed, signed=seed % 3 == 0), deterministic_circuit(seed)]
        for circuit in circuits:
            assert_defined(deterministic(circuit), circuit, None)
            subset = {variable for place, variable in enumerate(circuit.variables) if (seed >> place) & 1}
            assert_defined(marginally_deterministic(circuit, subset), circuit, subset)


def assert_defined(result: Result, circuit: Circuit, subset: set[Variable] | None) -> None:
    """Asserts that a result is what the definition says, and that its witness shows it."""
    wanted = overlaps(circuit, subset)
    assert result.status == ("refuted" if wanted else "proved"), circuit.name
    witness = result.witness
    if witness is None:
        return
    assert isinstance(witness, CommonSupport)
    assert (witness.node.block, witness.node.index) in wanted
    oracle = Oracle(drawn(circuit))
    both = (witness.assignment, witness.other or witness.assignment)
    for child, assignment in zip((witness.first, witness.second), both, strict=True):
        row = {variable: Fraction(value) for variable, value in assignment}
        assert oracle.nodes(oracle.at(row))[child.block][child.index]
    if subset is not None:
        assert all(a == b for a, b in zip(*both, strict=True) if a[0] in subset)


@pytest.mark.parametrize("planted", range(3))
def test_sentences_along_a_vtree_and_nearly_so(planted: int) -> None:
    for seed in range(planted * 100, planted * 100 + 60):
        assert_sentence(sentence(seed, planted), seed)


def assert_sentence(made: Sentence, seed: int) -> None:
    """Asserts that determinism is that of the truth tables, for all and for some of the variables."""
    circuit = made.circuit()
    assert deterministic(circuit).status == ("refuted" if made.overlaps() else "proved")
    subset = seed * 0x9E3779B1 % (1 << made.variables)
    chosen = [variable for variable in circuit.variables if (subset >> int(variable.name[1:])) & 1]
    found = marginally_deterministic(circuit, chosen)
    assert found.status == ("refuted" if made.overlaps(subset) else "proved")


def test_many_scalar_nodes_in_few_blocks() -> None:
    for circuit in (bushy(20_000, 200, 0), deep(20_000, 100, 3_000, 0)):
        assert {
            name: found.status for name, found in check(circuit, "smooth", "decomposable", "deterministic").items()
        } == {
            "smooth": "proved",
            "decomposable": "proved",
            "deterministic": "proved",
        }


def test_an_overlap_of_latent_states_is_seen_at_once() -> None:
    width, steps = 512, 8
    made: Block = input_block(Categorical(), Variable("e0", Cat(4)), [Parameter("e0", (width, 4), "simplex")])
    for step in range(1, steps):
        linear = Dense(Parameter(f"t{step}", (width, width), "simplex"))
        emitted = input_block(
            Categorical(), Variable(f"e{step}", Cat(4)), [Parameter(f"e{step}", (width, 4), "simplex")]
        )
        made = hadamard([weighted([made], linear), emitted])
    root = weighted([made], Dense(Parameter("last", (1, width), "simplex")))
    values = {
        parameter: Value(np.full(parameter.shape, 1 / parameter.shape[-1]))
        for parameter in Circuit(root, Store()).parameters
    }
    found = judged(root, Store(values))
    assert isinstance(found.witness, CommonSupport)
