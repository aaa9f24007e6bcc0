"""Monarch layers: the factor loop against explicit Kronecker products, the three starts, and projections."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.lowering.lower import lower
from danaus.compiler.operators.layers import layered
from danaus.compiler.operators.project import nearest_monarch, written
from danaus.ir.block import Sum
from danaus.ir.circuit import Circuit
from danaus.ir.linear import BlockDiagonal, Dense, Diagonal, Kronecker, Selection, compose, monarch_parts, selection
from danaus.ir.parameter import constant
from naive import domain, matrix
from small_circuits import random_circuit

SIZES = list(itertools.permutations((2, 3, 4)))


def number(random: np.random.Generator, *shape: int) -> Any:
    return constant(random.integers(1, 9, size=shape) / 8)


def written_out(circuit: Circuit, linear: Any) -> np.ndarray:
    """A map as a matrix of floats, derived numbers included."""
    from danaus.ir.apply import apply
    from danaus.ir.numbers import Numbers
    from danaus.ir.semirings import LINEAR

    return np.asarray(apply(linear, np.eye(linear.inputs), LINEAR, Numbers(circuit.store)))


@pytest.mark.parametrize("sizes", [*SIZES, (2, 3), (5,), (2, 2, 2, 2, 2), (1, 3)])
def test_the_factor_loop_is_the_kronecker_product(sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(len(sizes))
    nothing = random_circuit(0)
    kron = Kronecker(tuple(Dense(number(random, b, b)) for b in sizes))
    turned = layered(kron)
    assert not any(isinstance(part, Kronecker) for part in getattr(turned, "maps", (turned,)))
    wanted = np.array(matrix(nothing, kron), dtype=np.float64)
    assert np.allclose(written_out(nothing, turned), wanted, rtol=1e-14)
    if len(sizes) > 1 and 1 not in sizes:
        assert [part.shape[1] for part in monarch_parts(turned)] == list(sizes)


def test_factors_of_any_kind_and_shape() -> None:
    random = np.random.default_rng(7)
    nothing = random_circuit(0)
    kinds = [
        Dense(number(random, 2, 3)),
        Diagonal(number(random, 3)),
        BlockDiagonal(number(random, 2, 1, 2)),
        selection([1, 0, 1], 2),
        compose([Dense(number(random, 2, 4)), BlockDiagonal(number(random, 2, 2, 1))]),
        Kronecker((Diagonal(number(random, 2)), Dense(number(random, 2, 1)))),
    ]
    for factors in itertools.product(kinds, repeat=2):
        kron = Kronecker(factors)
        wanted = np.array(matrix(nothing, kron), dtype=np.float64)
        assert np.allclose(written_out(nothing, layered(kron)), wanted, rtol=1e-14)


def test_a_product_layer_runs_as_a_monarch_layer_does() -> None:
    """Step for step the operations of a Monarch HMM of as many states, and as many tables: tied ones are held once."""
    x = dn.Cat("x", 3, shape=40)
    product = dn.multiply(dn.hmm(x, 4, name="g"), dn.hmm(x, 4, name="h"))
    wanted = lower(dn.hmm(x, 16, transition=dn.monarch(4, 4)))
    for made in (dn.monarch_layers(product), dn.untie(product)):
        found = lower(made)
        steps = len(wanted.program.operations) - 1  # the root has one map for all states, or one for each factor
        assert found.program.operations[:steps] == wanted.program.operations[:steps]
        assert len(found.tables) <= len(wanted.tables) + 1


def models(*states: int) -> tuple[list[Circuit], np.ndarray]:
    x = dn.Cat("x", 3, shape=4)
    return [dn.hmm(x, states=k) for k in states], np.array(list(itertools.product(range(3), repeat=4)))


@pytest.mark.parametrize("states", [(2, 3), (3, 2, 4)])
def test_hmms_multiply_to_a_monarch_hmm(states: tuple[int, ...]) -> None:
    given, rows = models(*states)
    product = dn.multiply(*given)
    wanted = np.prod([dn.evaluate(each, rows) for each in given], axis=0)
    for made in (product, dn.monarch_layers(product), dn.untie(product)):
        assert np.allclose(dn.evaluate(made, rows), wanted, rtol=1e-12)
        model = dn.compile(made, dtype="float64")
        assert np.allclose(np.exp(model.log_likelihood(rows).numpy()), wanted, rtol=1e-10)
    untied = dn.untie(product)
    transitions = [b.map for b in untied.blocks if isinstance(b, Sum) and b.width > 1]
    assert [[part.shape[1] for part in monarch_parts(each)] for each in transitions] == [list(states)] * 3
    assert len(untied.parameters) == len(states) + 2  # tied over time: one per factor, the emission, the initial


def test_trees_multiply_to_a_monarch_tree() -> None:
    x = dn.Cat("x", 2, shape=5)
    random = np.random.default_rng(0)
    data = random.integers(0, 2, size=(50, 5))
    first, second = (dn.hclt(data, x, states=k) for k in (2, 3))
    rows = np.array(list(itertools.product(range(2), repeat=5)))
    product = dn.multiply(first, second)
    wanted = dn.evaluate(first, rows) * dn.evaluate(second, rows)
    untied = dn.untie(product)
    assert np.allclose(dn.evaluate(untied, rows), wanted, rtol=1e-12)
    wide = [b.map for b in untied.blocks if isinstance(b, Sum) and b.width > 1 and not isinstance(b.map, Selection)]
    assert wide and all(monarch_parts(each) for each in wide)
    exact = dn.initialise(product, "exact")
    assert np.allclose(dn.evaluate(exact, rows), wanted / wanted.sum(), rtol=1e-12)


@pytest.mark.parametrize("states", [(2, 3), (2, 2, 3)])
def test_the_three_starts(states: tuple[int, ...]) -> None:
    given, rows = models(*states)
    product = dn.multiply(*given)
    wanted = np.prod([dn.evaluate(each, rows) for each in given], axis=0)
    unnormalised = dn.initialise(product, "unnormalised")
    assert np.isclose(dn.evaluate(dn.integrate(unnormalised)), wanted.sum(), rtol=1e-12)
    exact = dn.initialise(product, "exact")
    assert np.allclose(dn.evaluate(exact, rows), wanted / wanted.sum(), rtol=1e-12)
    assert {parameter.constraint for parameter in exact.parameters} == {"simplex"}
    for parameter in exact.parameters:
        assert np.allclose(exact.store[parameter].floats.sum(axis=-1), 1, rtol=1e-12)
    reference = dn.initialise(product, "reference")
    assert dn.check(reference, "normalized")["normalized"].status == "proved"
    assert not np.allclose(dn.evaluate(reference, rows), wanted / wanted.sum(), rtol=1e-3)


@pytest.mark.parametrize("seed", range(40))
def test_exact_normalisation_of_random_circuits(seed: int) -> None:
    p = random_circuit(seed)
    if any(result.status != "proved" for result in dn.check(p, "smooth", "nonnegative").values()) or not p.variables:
        return
    variables = p.variables
    columns = [domain(v) for v in variables]
    rows = np.array(list(itertools.product(*columns)), dtype=np.float64).reshape(-1, len(variables))
    wanted = dn.evaluate(p, rows)
    if wanted.sum() == 0:
        with pytest.raises(dn.DanausError, match="no mass"):
            dn.initialise(p)
        return
    exact = dn.initialise(p)
    order = [variables.index(v) for v in exact.variables]
    assert np.allclose(dn.evaluate(exact, rows[:, order]), wanted / wanted.sum(), rtol=1e-12, atol=1e-300)
    assert dn.check(exact, "normalized")["normalized"].status == "proved"


def test_a_row_without_mass_is_any_row() -> None:
    spec = dn.parse(
        "var x : bool; var y : bool\n"
        "param A[2, 2] = [[0, 0], [0.5, 0.5]]\n"
        "circuit p { a = sum(bernoulli(x, [0.2, 0.4]), A); return sum(a * bernoulli(y, [0.1, 0.3]), [[1, 1]]) }\n"
    )
    p = spec.circuits["p"]
    exact = dn.initialise(p)
    rows = [[0, 0], [0, 1], [1, 0], [1, 1]]
    wanted = dn.evaluate(p, rows)
    assert np.allclose(dn.evaluate(exact, rows), wanted / wanted.sum(), rtol=1e-12)


@pytest.mark.parametrize("sizes", [(2, 3), (3, 2), *SIZES, (2, 2, 2, 2)])
def test_a_monarch_matrix_is_its_own_projection(sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    size = int(np.prod(sizes))
    parts = [random.random((size // b, b, b)) for b in sizes]
    found, distance = nearest_monarch(written(parts), sizes)
    assert [part.shape for part in found] == [part.shape for part in parts]
    assert distance < 1e-13
    assert all((part >= -1e-15).all() for part in found)


def test_of_two_factors_none_is_nearer() -> None:
    random = np.random.default_rng(1)
    dense = random.random((6, 6))
    found, distance = nearest_monarch(dense, (2, 3))
    for _ in range(50):
        near = [part + 1e-3 * random.standard_normal(part.shape) for part in found]
        assert np.linalg.norm(dense - written(near)) >= distance * np.linalg.norm(dense)


def test_project_reports_its_error() -> None:
    given, rows = models(6)
    made = dn.project(given[0], (2, 3))
    assert len(made.errors) == 1 and 0 < made.errors[0] < 1
    normal = dn.initialise(made.circuit, "exact")
    assert np.isclose(dn.evaluate(normal, rows).sum(), 1)
    with pytest.raises(dn.DanausError, match="no dense map of 8"):
        dn.project(given[0], (2, 4))
    with pytest.raises(dn.DanausError, match="two or more sizes"):
        dn.project(given[0], (6,))
