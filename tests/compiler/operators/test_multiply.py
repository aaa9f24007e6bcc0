"""Products of circuits against the products of their values, in fractions, at every assignment."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest

from danaus import api
from danaus.compiler.driver import parse
from danaus.compiler.operators import integrate, multiply, power, product_size, provenance
from danaus.compiler.properties import Proved, Refuted, check, compatible
from danaus.frontend.write import circuit_text
from danaus.ir.block import Block, Input, Sum, concat, hadamard, input_block, pairs, select, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.domain import Bool, Cat, Count, Real, Variable
from danaus.ir.evaluate import Evidence, evaluate, forward
from danaus.ir.family import Gaussian, Indicator, InputProduct, Poisson, Table
from danaus.ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Kronecker, expressions, selection
from danaus.ir.numbers import Numbers
from danaus.ir.parameter import constant
from danaus.ir.semirings import EXACT
from danaus.ir.store import Store
from naive import domain, value
from small_circuits import random_circuit

Row = dict[Variable, int]


def rows_of(*circuits: Circuit) -> tuple[list[Variable], list[tuple[int, ...]]]:
    variables = sorted({v for c in circuits for v in c.variables}, key=lambda v: v.order)
    return variables, list(itertools.product(*(domain(v) for v in variables)))


def exactly(circuit: Circuit, variables: list[Variable], rows: list[tuple[int, ...]]) -> list[Fraction]:
    columns = [variables.index(v) for v in circuit.variables]
    x = np.array([[row[k] for k in columns] for row in rows], dtype=np.float64).reshape(len(rows), len(columns))
    known = np.ones(x.shape, dtype=bool)
    return list(evaluate(circuit, EXACT, Evidence(circuit.variables, x, known)))


def assert_product(product: Circuit, *factors: Circuit) -> None:
    """Values, sums and properties of a product."""
    variables, rows = rows_of(*factors)
    wanted = [prod(each) for each in zip(*(exactly(c, variables, rows) for c in factors), strict=True)]
    assert exactly(product, variables, rows) == wanted
    lost = prod(v.size or 0 for v in variables if v not in product.variables)
    assert exactly(integrate(product), [], [()])[0] * lost == sum(wanted)
    assert all(isinstance(result, Proved) for result in check(product, "smooth", "decomposable").values())


def number(random: np.random.Generator, *shape: int) -> Any:
    return constant(random.integers(1, 9, size=shape) * random.choice([-1, 1], size=shape) / 8)


def chain(seed: int, variables: list[Variable], width: int, kron: bool = False) -> Circuit:
    """A chain of sums over products, the variables from the last to the first."""
    random = np.random.default_rng(seed)
    below: Block | None = None
    for variable in reversed(variables):
        leaf = input_block(Table(), variable, [number(random, width, variable.size or 0)])
        made = leaf if below is None else pairs([leaf, below]) if kron else hadamard([below, leaf])
        below = weighted([made], Dense(number(random, width, made.width)))
    assert below is not None
    return Circuit(weighted([below], Dense(number(random, 1, width))), Store({}), f"chain {seed}")


def factorised(seed: int, variables: list[Variable]) -> Circuit:
    random = np.random.default_rng(seed)
    leaves = [input_block(Table(), v, [number(random, 3, v.size or 0)]) for v in variables]
    order = random.permutation(len(leaves))
    return Circuit(
        weighted([hadamard([leaves[i] for i in order])], Dense(number(random, 1, 3))), Store({}), f"flat {seed}"
    )


@pytest.mark.parametrize("seed", range(60))
def test_random_circuits_of_all_forms(seed: int) -> None:
    p, q = random_circuit(seed, signed=bool(seed % 2)), random_circuit(seed + 1 + seed % 4, signed=True)
    for first, second in ((p, p), (p, q)):
        try:
            result = compatible(first, second)
            if isinstance(result, Proved):
                assert_product(multiply(first, second), first, second)
                continue
        except DanausError as failure:
            assert failure.diagnostics[0].code == "two-domains"
            continue
        with pytest.raises(Refused) as caught:
            multiply(first, second)
        assert isinstance(result, Refuted) and str(result.witness) in str(caught.value)


def test_the_definition_agrees_on_a_product_of_maps() -> None:
    """By nodes and matrices written out, with nothing of the evaluator."""
    variables = [Variable(f"x{i}", Bool()) for i in range(3)]
    p, q = chain(1, variables, 2), chain(2, variables, 3)
    product = multiply(p, q)
    for row in rows_of(p)[1]:
        at = dict(zip(variables, row, strict=True))
        x = {v: float(k) for v, k in at.items()}
        assert value(product, x) == value(p, x) * value(q, x)


@pytest.mark.parametrize("arity", [2, 3])
def test_chains_and_factorised_circuits(arity: int) -> None:
    variables = [Variable(f"x{i}", Cat(2 + i % 2)) for i in range(4)]
    p, q = chain(3, variables, 2), factorised(4, variables)
    assert_product(multiply(p, q), p, q)
    assert_product(multiply(q, p), q, p)
    assert_product(multiply(*[p, q, p][:arity]), *[p, q, p][:arity])
    assert_product(multiply(multiply(q, q), multiply(p, p)), q, q, p, p)


def test_variables_shared_in_part() -> None:
    a, b, c, d = (Variable(name, Cat(2)) for name in "abcd")
    p, q = chain(5, [a, b, c], 2), chain(6, [b, c, d], 3)
    assert_product(multiply(p, q), p, q)
    r = factorised(7, [d, b])
    assert_product(multiply(p, r), p, r)
    apart = factorised(8, [d])
    assert_product(multiply(p, apart), p, apart)


def test_tensor_trains_squared_and_all_pairs() -> None:
    variables = [Variable(f"x{i}", Cat(3)) for i in range(4)]
    for rank in (2, 3):
        train = chain(rank, variables, rank, kron=True)
        assert_product(multiply(train, train), train, train)


def test_children_laid_end_to_end_keep_their_places() -> None:
    """Kronecker columns stand in the order of pairs of positions, whatever the children are."""
    x = Variable("x", Cat(3))
    random = np.random.default_rng(0)
    leaves = [input_block(Table(), x, [number(random, width, 3)]) for width in (1, 2, 3)]
    p = Circuit(weighted([weighted(leaves, Dense(number(random, 2, 6)))], Dense(number(random, 1, 2))), Store({}), "p")
    q = Circuit(weighted(leaves[:2], Dense(number(random, 1, 3))), Store({}), "q")
    for pair in ((p, q), (q, p), (p, p)):
        assert_product(multiply(*pair), *pair)
    both = concat([leaves[0], select(leaves[2], [2, 0])])
    r = Circuit(weighted([both], Dense(number(random, 1, 3))), Store({}), "r")
    assert_product(multiply(r, q), r, q)


def test_seven_factors_hold_their_maps_as_factors() -> None:
    variables = [Variable(f"x{i}", Bool()) for i in range(3)]
    p = chain(9, variables, 2)
    product = multiply(*[p] * 7)
    assert_product(product, *[p] * 7)
    wide = [b.map for b in product.blocks if isinstance(b, Sum) and b.width == 128]
    assert wide and all(isinstance(linear, Kronecker) and len(linear.factors) == 7 for linear in wide)
    assert max(prod(each.shape) for linear in wide for each in expressions(linear)) == 4
    families = [b.family for b in product.blocks if isinstance(b, Input)]
    assert families and all(isinstance(f, InputProduct) and len(f.factors) == 7 for f in families)


def test_all_pairs_of_width_32_stay_linear() -> None:
    x, y = Variable("x", Cat(2)), Variable("y", Cat(2))
    random = np.random.default_rng(1)
    leaves = [input_block(Table(), v, [number(random, 32, 2)]) for v in (x, y)]
    p = Circuit(weighted([pairs(leaves)], Dense(number(random, 1, 1024))), Store({}), "p")
    product = multiply(p, p)
    assert max(block.width for block in product.blocks) == 32**4
    held = sum(prod(each.shape) for b in product.blocks if isinstance(b, Sum) for each in expressions(b.map))
    assert held == 2 * 1024
    rows = [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert np.allclose(api.evaluate(product, rows), api.evaluate(p, rows) ** 2, rtol=1e-9)


def test_every_map_beside_every_other_and_compiled() -> None:
    x, y = Variable("x", Cat(2)), Variable("y", Cat(3))
    random = np.random.default_rng(2)

    def positive(*shape: int) -> Any:
        return constant(random.integers(1, 9, size=shape) / 8)

    maps = [
        Dense(positive(4, 4)),
        Diagonal(positive(4)),
        BlockDiagonal(positive(2, 2, 2)),
        selection([2, 0, 3, 1], 4),
        Kronecker((Dense(positive(2, 2)), Diagonal(positive(2)))),
        Compose((BlockDiagonal(positive(2, 2, 2)), selection([0, 2, 1, 3], 4), Dense(positive(4, 4)))),
    ]
    leaves = [input_block(Table(), v, [positive(4, v.size or 0)]) for v in (x, y)]
    made = [
        Circuit(weighted([weighted([hadamard(leaves)], each)], Dense(positive(1, 4))), Store({}), f"m{k}")
        for k, each in enumerate(maps)
    ]
    rows = np.array(rows_of(made[0])[1], dtype=np.float64)
    for first, second in itertools.combinations_with_replacement(made, 2):
        product = multiply(first, second)
        assert_product(product, first, second)
        wanted = api.evaluate(first, rows) * api.evaluate(second, rows)
        model = api.compile(product, dtype="float64")
        assert np.allclose(np.exp(model.log_likelihood(rows).numpy()), wanted, rtol=1e-10)
        mass = model.marginal(np.full((1, 2), np.nan)).numpy()
        assert np.allclose(np.exp(mass), wanted.sum(), rtol=1e-10)


def test_products_of_densities() -> None:
    y, z = Variable("y", Real()), Variable("z", Count())
    normal = input_block(Gaussian(), y, [constant([0.0, 1.0]), constant([1.0, 2.0])])
    rates = input_block(Poisson(), z, [constant([1.0, 2.0])])
    half = Dense(constant([[0.5, 0.5]]))
    p = Circuit(weighted([hadamard([normal, rates])], half), Store({}), "p")
    product = multiply(p, p)
    rows = [[0.3, 2], [1.0, 0]]
    assert np.allclose(api.evaluate(product, rows), api.evaluate(p, rows) ** 2, rtol=1e-12)
    with pytest.raises(DanausError, match="poisson × poisson"):
        integrate(product)
    with pytest.raises(DanausError, match="poisson × poisson"):
        api.partition(product)
    kept = integrate(product, ["y"])
    assert [v.name for v in kept.variables] == ["z"]
    q = integrate(p, ["z"])
    grid = np.linspace(-30, 30, 60001)[:, None]
    density = api.evaluate(q, grid) ** 3
    cube = power(q, 3)
    mass = density.sum() * 1e-3
    assert np.isclose(api.evaluate(integrate(cube)), mass, rtol=1e-9)
    assert np.isclose(api.moment(cube, "y", 2), (density * grid[:, 0] ** 2).sum() * 1e-3 / mass, rtol=1e-9)
    answer = api.conditional(cube, [[np.nan]])["y"]
    assert np.isclose(answer.mean[0], (density * grid[:, 0]).sum() * 1e-3 / mass, rtol=1e-9)
    assert np.isfinite(api.sample(cube, 3)).all()
    at = Circuit(hadamard([select(normal, [0]), input_block(Indicator(3), z)]), Store({}), "at")
    fixed = multiply(p, at)
    assert np.isclose(
        np.exp(api.marginal(fixed, [0.3, np.nan])), api.evaluate(p, [0.3, 3]) * api.evaluate(at, [0.3, 3])
    )


def test_nodes_know_the_pair_they_came_from() -> None:
    for seed in range(12):
        p = random_circuit(seed, signed=True)
        if not isinstance(compatible(p, p), Proved):
            continue
        product = multiply(p, p)
        known = provenance(product)
        assert known.nodes == product_size(p, p)
        variables, rows = rows_of(p)
        seen = 0
        for row in rows[:3]:
            at = dict(zip(variables, row, strict=True))

            def values(circuit: Circuit, at: Row = at) -> dict[Block, Any]:
                x = np.array([[at[v] for v in circuit.variables]], dtype=np.float64)
                evidence = Evidence(circuit.variables, x, np.ones(x.shape, dtype=bool))
                return dict(forward(circuit, EXACT, evidence, Numbers(circuit.store), keep=True))

            own, made = values(p), values(product)
            for block in product.blocks:
                for node in range(block.width):
                    pair = known.pair(block, node)
                    if pair is None or pair[0][0] not in own or pair[1][0] not in own:
                        continue
                    (a, i), (b, j) = pair
                    assert made[block][node, 0] == own[a][i, 0] * own[b][j, 0]
                    back = known.product(a, i, b, j)
                    assert back is not None and made[back[0]][back[1], 0] == made[block][node, 0]
                    seen += 1
        assert seen
    with pytest.raises(DanausError, match="not made by multiply"):
        provenance(random_circuit(0))


def test_sizes_are_planned_and_bounded() -> None:
    variables = [Variable(f"x{i}", Bool()) for i in range(5)]
    p = chain(3, variables, 4)
    assert product_size(p, p) <= p.nodes**2
    assert provenance(multiply(p, p)).nodes == product_size(p, p)
    multiply(p, p, limit=product_size(p, p))
    with pytest.raises(DanausError, match="more than 50 pairs"):
        multiply(p, p, limit=50)


def test_a_long_chain_shares_its_steps() -> None:
    variables = [Variable(f"x{i}", Bool()) for i in range(400)]
    p = chain(3, variables, 2)
    product = multiply(p, factorised(1, variables))
    assert len(product.blocks) < 5 * len(p.blocks)


def test_the_text_of_a_product_reads_back() -> None:
    spec = parse(
        "var x : bool; var y : cat(3)\n"
        "circuit p { return sum(bernoulli(x, [0.2, 0.9]) * categorical(y, [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]),"
        " [[0.3, 0.7]]) }\n"
        "circuit q = multiply(p, p, p)\ncircuit s = power(p, 3)\n"
    )
    p, q, s = (spec.circuits[name] for name in "pqs")
    assert_product(q, p, p, p)
    assert_product(s, p, p, p)
    again = parse(circuit_text({"q": q})[0]).circuits["q"]
    assert_product(again, p, p, p)
    with pytest.raises(DanausError, match='power needs "p" to be deterministic, which it is not'):
        power(p, 0.5)
