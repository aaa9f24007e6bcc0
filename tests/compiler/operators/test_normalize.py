"""Normalised circuits against fractions by enumeration, map by map; local rows; what is refused."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.operators import condition, multiply, normalize
from danaus.compiler.properties import check
from danaus.frontend.write import circuit_text
from danaus.ir.apply import apply
from danaus.ir.block import Block, Input, Sum, hadamard, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.domain import Bool, Cat, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import Categorical, Table
from danaus.ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Kronecker, LinearMap, compose, monarch, selection
from danaus.ir.linear import sparse as sparse_map
from danaus.ir.numbers import Numbers
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.pullback import pullback
from danaus.ir.semirings import EXACT, LINEAR
from danaus.ir.store import Store
from naive import domain, value
from small_circuits import random_circuit

x, y = Variable("x", Cat(3)), Variable("y", Bool())


def sixteenths(seed: int, *shape: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random(shape) < 0.25, 0, random.integers(1, 33, shape)) / 16


def below(width: int) -> Block:
    """Unnormalised inputs on two variables, one node of them without mass."""
    table = sixteenths(width, width, 3)
    table[1] = 0
    one = input_block(Table(), x, [constant(table)])
    other = input_block(Table(), y, [constant(sixteenths(width + 1, width, 2))])
    return hadamard([one, other])


VALUES: dict[Parameter, Value] = {}


def learnt(numbers: np.ndarray) -> Parameter:
    """A learnable parameter: its zeros count as edges."""
    parameter = Parameter(f"w{len(VALUES)}", numbers.shape, "real")
    VALUES[parameter] = Value.of(numbers)
    return parameter


def maps() -> dict[str, LinearMap]:
    return {
        "dense": Dense(learnt(sixteenths(1, 4, 6))),
        "diagonal": Diagonal(learnt(sixteenths(2, 6))),
        "blocks": BlockDiagonal(learnt(sixteenths(3, 3, 2, 2))),
        "selection": selection([5, 0, 3, 3], 6),
        "sparse": sparse_map([0, 0, 0, 2, 1, 3], [0, 2, 5, 1, 3, 4], learnt(sixteenths(4, 6)), 4, 6),
        "monarch": monarch([learnt(sixteenths(5, 2, 3, 3)), learnt(sixteenths(6, 3, 2, 2))]),
        "kronecker": Kronecker((Dense(learnt(sixteenths(7, 2, 3))), Dense(learnt(sixteenths(8, 3, 2))))),
        "kronecker of all": Kronecker(
            (
                sparse_map([0, 1, 1], [0, 0, 2], learnt(sixteenths(9, 3)), 2, 3),
                compose([Diagonal(learnt(sixteenths(10, 2))), selection([1, 0], 2)]),
            )
        ),
        "composed": compose([Dense(learnt(sixteenths(11, 2, 3))), Dense(learnt(sixteenths(12, 3, 6)))]),
    }


def exactly(circuit: Circuit, variables: tuple[Variable, ...]) -> list[Fraction]:
    rows = list(itertools.product(*map(domain, variables)))
    columns = [variables.index(v) for v in circuit.variables]
    grid = np.array([[row[k] for k in columns] for row in rows], dtype=np.float64).reshape(len(rows), len(columns))
    return list(evaluate(circuit, EXACT, Evidence(circuit.variables, grid, np.ones(grid.shape, dtype=bool))))


def by_enumeration(p: Circuit) -> list[Fraction]:
    rows = itertools.product(*map(domain, p.variables))
    return [value(p, dict(zip(p.variables, row, strict=True))) for row in rows]


def parts(linear: LinearMap) -> list[LinearMap]:
    return [leaf for part in linear.maps for leaf in parts(part)] if isinstance(linear, Compose) else [linear]


def assert_local(circuit: Circuit) -> None:
    """Each row of each part of each map sums to 1, or to 0, and so does each input."""
    numbers = Numbers(circuit.store)
    for block in circuit.blocks:
        match block:
            case Input(Categorical(), _, (rows,)):
                sums = numbers.of(rows, EXACT).sum(axis=1)
                assert set(sums.tolist()) <= {Fraction(0), Fraction(1)}
            case Input(family):
                assert not isinstance(family, Table)
            case Sum(_, linear):
                for part in parts(linear):
                    assert not isinstance(part, Kronecker)
                    eye = np.array(EXACT.lift(Value.of(np.ones((part.inputs, 1)))))
                    sums = apply(part, eye, EXACT, numbers)[:, 0]
                    assert set(sums.tolist()) <= {Fraction(0), Fraction(1)}


@pytest.mark.parametrize("name", maps())
def test_each_map_is_normalised_by_itself(name: str) -> None:
    linear = maps()[name]
    block = weighted([below(6)], linear)
    p = Circuit(weighted([block], Dense(constant(sixteenths(20, 1, block.width) + 0.5))), Store(VALUES), "p")
    found = normalize(p)
    worth = by_enumeration(p)
    assert exactly(found, p.variables) == [each / sum(worth) for each in worth]
    assert_local(found)
    assert all(result.status == "proved" for result in check(found, "smooth", "decomposable", "normalized").values())


@pytest.mark.parametrize("seed", range(40))
def test_random_circuits(seed: int) -> None:
    p = random_circuit(seed, signed=seed % 4 == 3)
    wanted = check(p, "smooth", "decomposable", "nonnegative")
    if any(result.status != "proved" for result in wanted.values()):
        with pytest.raises(Refused):
            normalize(p)
        return
    worth = by_enumeration(p)
    if sum(worth) == 0:
        with pytest.raises(DanausError, match="is 0"):
            normalize(p)
        return
    found = normalize(p)
    assert exactly(found, p.variables) == [each / sum(worth) for each in worth]
    if not any(v in p.free for v in p.variables) and seed % 4 != 3:
        assert_local(found)


def test_other_parameters_stay_normalised() -> None:
    weights, table = Parameter("w", (2, 2), "real"), Parameter("t", (2, 3), "real")
    leaf = hadamard([input_block(Table(), x, [table]), input_block(Table(), y, [constant(sixteenths(1, 2, 2) + 1)])])
    root = weighted([weighted([leaf], Dense(weights))], Dense(constant([[0.25, 1.5]])))
    store = Store({weights: Value.of(sixteenths(2, 2, 2)), table: Value.of(sixteenths(3, 2, 3) + 0.5)})
    found = normalize(Circuit(root, store, "p"))
    again = found.over(
        store.updated({weights: Value.of([[3.0, 1.0], [0.0, 2.0]]), table: Value.of([[1, 2, 3], [0, 0, 5.0]])})
    )
    assert again.parameters == (table, weights) or set(again.parameters) == {weights, table}
    worth = by_enumeration(Circuit(root, again.store, "q"))
    assert exactly(again, again.variables) == [each / sum(worth) for each in worth]


def test_derivatives_reach_the_parameters() -> None:
    weights, table = Parameter("w", (2, 3), "real"), Parameter("t", (3, 3), "real")
    thin = Parameter("s", (3,), "real")
    leaf = hadamard([input_block(Table(), x, [table]), input_block(Table(), y, [constant(sixteenths(1, 3, 2) + 1)])])
    sums = weighted([leaf], sparse_map([0, 1, 1], [0, 1, 2], thin, 2, 3))
    root = weighted([weighted([leaf], Dense(weights)), sums], Dense(constant([[0.25, 1.5, 1, 2]])))
    values = {weights: sixteenths(2, 2, 3) + 0.5, table: sixteenths(3, 3, 3) + 0.5, thin: sixteenths(4, 3) + 0.5}
    found = normalize(Circuit(root, Store({each: Value.of(at) for each, at in values.items()}), "p"))

    def worth(store: Store) -> float:
        numbers = Numbers(store)
        return sum(float((numbers.of(each, LINEAR) ** 2).sum()) for each in found.expressions)

    numbers = Numbers(found.store)
    slopes = pullback(((each, 2 * numbers.of(each, LINEAR)) for each in found.expressions), numbers)
    assert set(slopes) == set(values)
    for parameter, at in values.items():
        for place in np.ndindex(*at.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = at.copy()
                moved[place] += step
                ends.append(worth(found.store.updated({parameter: Value.of(moved)})))
            assert math.isclose(slopes[parameter][place], (ends[0] - ends[1]) / 2e-5, rel_tol=1e-6, abs_tol=1e-6)


def test_distributions_keep_their_parameters() -> None:
    p = dn.hmm(dn.Cat("x", 4, shape=6), states=3)
    assert set(normalize(p).parameters) == set(p.parameters)
    assert normalize(p).root is p.root


def test_products_of_hmms() -> None:
    v = dn.Cat("x", 3, shape=4)
    p, q = dn.hmm(v, states=2), dn.hmm(v, states=3)
    found = normalize(multiply(p, q))
    rows = np.array(list(itertools.product(range(3), repeat=4)))
    wanted = dn.evaluate(p, rows) * dn.evaluate(q, rows)
    assert np.allclose(dn.evaluate(found, rows), wanted / wanted.sum(), rtol=1e-12)
    assert np.allclose(
        dn.compile(found, dtype="float64").log_likelihood(rows), np.log(wanted / wanted.sum()), atol=1e-10
    )


def test_long_chains_have_tiny_masses() -> None:
    v = dn.Cat("x", 40, shape=300)
    p, q = dn.hmm(v, states=2), dn.hmm(v, states=2)
    product = multiply(p, q)
    mass = dn.partition(product)
    assert mass < -800
    found = normalize(product)
    rows = np.random.default_rng(0).integers(40, size=(3, 300))
    wanted = dn.evaluate(product, rows, semiring="log") - mass
    assert np.allclose(dn.evaluate(found, rows, semiring="log"), wanted, atol=1e-8)
    assert abs(dn.partition(found)) < 1e-9


def test_inputs_on_real_and_count() -> None:
    spec = dn.parse(
        "var y : real; var n : count\n"
        "circuit p { return sum(gaussian(y, [0, 3], [1, 2]) * poisson(n, [1, 4]), [[2, 3]]) }\n"
        "circuit g { return sum(gaussian(y, [1, -1], [0.5, 1]) * [n = 2], [[1, 1]]) }\n"
    )
    product = multiply(spec.circuits["p"], spec.circuits["g"])
    found = normalize(product)
    assert not math.isclose(dn.partition(product), 0, abs_tol=0.1) and math.isclose(
        dn.partition(found), 0, abs_tol=1e-12
    )
    rows = [[0.3, 2], [-1.0, 2], [2.0, 2], [0.0, 1]]
    wanted = dn.evaluate(product, rows) / math.exp(dn.partition(product))
    assert np.allclose(dn.evaluate(found, rows), wanted, rtol=1e-12)
    wide = normalize(dn.scale(spec.circuits["p"], 7))
    assert math.isclose(dn.partition(wide), 0, abs_tol=1e-12)


def test_signed_ones_are_scaled_at_the_root() -> None:
    p = dn.parse("var x : bool; var y : bool; circuit p { return table(x, [[1, -2]]) * table(y, [[3, 1]]) }").circuit
    found = normalize(multiply(p, p))
    assert exactly(found, found.variables) == [Fraction(k, 50) for k in (9, 1, 36, 4)]
    assert found.origin is not None and found.origin.operator == "normalize"


def test_pairs_of_constants_and_variables_keep_their_order() -> None:
    leaf = input_block(Table(), x, [constant(sixteenths(5, 2, 3) + 0.25)])
    other = input_block(Table(), y, [constant(sixteenths(6, 3, 2) + 0.25)])
    p = Circuit(weighted([pairs([other, leaf])], Dense(constant(sixteenths(7, 1, 6) + 0.5))), Store({}), "p")
    worth = by_enumeration(p)
    for at in range(2):
        rows = [value(p, {x: float(k), y: float(at)}) for k in range(3)]
        assert exactly(condition(p, {"y": at}), (x,)) == [row / sum(rows) for row in rows]
    assert exactly(normalize(p), p.variables) == [each / sum(worth) for each in worth]


def test_it_is_written_and_read() -> None:
    text = (
        "var x : cat(3); param w[1, 2] : real = [[1, 2]]\n"
        "circuit p { return sum(table(x, [[1, 2, 3], [0, 0, 1]]), w) }\ncircuit n = normalize(p)\nassert normalized(n)"
    )
    spec = dn.parse(text)
    assert dn.check(spec)[0].status == "proved"
    written = circuit_text(spec.circuits)[0]
    assert "normalize(p)" in written
    assert exactly(dn.parse(written).circuits["n"], (spec.circuits["p"].variables[0],)) == [
        Fraction(k, 8) for k in (1, 2, 5)
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("var x : bool; circuit p { return table(x, [[0, 0]]) }", "no-mass"),
        ("var x : bool; circuit p { return table(x, [[1, -1]]) }", "not-nonnegative"),
        (
            "var x : bool; var y : bool; circuit p { return sum(concat([x = 0], [y = 0]), [[1, 1]]) }",
            "not-smooth",
        ),
        (
            "var n : count; circuit p { return poisson(n, [2]) }\ncircuit q = multiply(p, p)",
            "no-closed-integral",
        ),
    ],
)
def test_refusals(text: str, code: str) -> None:
    with pytest.raises(DanausError) as caught:
        normalize(list(dn.parse(text).circuits.values())[-1])
    assert caught.value.diagnostics[0].code == code


def test_infinite_masses() -> None:
    body = "return sum(concat(gaussian(y, [0], [1]) * [x = 0], [x = 1]), [[1, 1]])"
    text = f"var y : real; var x : bool; circuit p {{ {body} }}"
    with pytest.raises(DanausError) as caught:
        normalize(dn.smooth(dn.parse(text).circuit))
    assert caught.value.diagnostics[0].code == "diverges"
