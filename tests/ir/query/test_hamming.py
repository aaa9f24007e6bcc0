"""Masses of numbers of ones by polynomials and at roots of unity, and sums over patterns of missing values: enumerated.

The tables are filled by the definition of a mixture in plain numpy, not by the circuit.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import danaus as dn
from danaus.ir.numbers import Numbers
from danaus.ir.query.roots import values_at
from danaus.ir.semirings import ScaledComplex

METHODS = ("polynomial", "roots")


def rows(n: int) -> Any:
    return np.array(list(itertools.product([0, 1], repeat=n)), dtype=float)


def mixture(n: int, components: int, seed: int, signed: bool = False) -> tuple[Any, Any]:
    """A mixture of factorised functions of n booleans, and the table of its values."""
    rng = np.random.default_rng(seed)
    tables = rng.uniform(-1 if signed else 0, 1, size=(n, components, 2))
    weights = rng.uniform(-1 if signed else 0, 1, size=components)
    x = [dn.Bool(f"x{i}") for i in range(n)]
    block = dn.table(x[0], tables[0])
    for i in range(1, n):
        block = block * dn.table(x[i], tables[i])
    worth = np.ones((2**n, components))
    for i, column in enumerate(rows(n).T.astype(int)):
        worth *= tables[i][:, column].T
    return dn.Circuit(dn.sum(block, [weights])), worth @ weights


def masses(table: Any, n: int) -> Any:
    return np.array([table[rows(n).sum(axis=1) == count].sum() for count in range(n + 1)])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n, components, seed", [(1, 1, 0), (2, 3, 1), (5, 2, 2), (8, 4, 3), (10, 3, 4)])
def test_masses_are_sums_over_assignments(method: str, n: int, components: int, seed: int) -> None:
    circuit, table = mixture(n, components, seed)
    np.testing.assert_allclose(np.exp(dn.hamming(circuit, method=method)), masses(table, n), rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_negative_masses_are_nan_and_the_others_right(method: str, seed: int) -> None:
    circuit, table = mixture(6, 3, seed, signed=True)
    wanted = masses(table, 6)
    assert (wanted < 0).any()
    with pytest.warns(dn.DanausWarning, match="negative"):
        found = dn.hamming(circuit, method=method)
    np.testing.assert_allclose(np.exp(found[wanted > 0]), wanted[wanted > 0], rtol=1e-8)
    assert np.isnan(found[wanted < 0]).all()


def factorised(chances: list[float]) -> Any:
    x = [dn.Bool(f"x{i}") for i in range(len(chances))]
    block = dn.bernoulli(x[0], chances[:1])
    for variable, chance in zip(x[1:], chances[1:], strict=True):
        block = block * dn.bernoulli(variable, [chance])
    return dn.Circuit(block)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chance", [0.5, 0.25, 1e-5])
def test_masses_of_independent_variables_are_binomial(method: str, chance: float) -> None:
    """Masses that no one radius tells apart: the last one of 40 at 10⁻⁵ is 10⁻²⁰⁰."""
    n = 40
    found = dn.hamming(factorised([chance] * n), method=method)
    wanted = [math.log(math.comb(n, k)) + k * math.log(chance) + (n - k) * math.log1p(-chance) for k in range(n + 1)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_values_beyond_the_range_of_floats(method: str) -> None:
    n, tiny = 30, 1e-60
    x = [dn.Bool(f"x{i}") for i in range(n)]
    block = dn.table(x[0], [[tiny, 2 * tiny]])
    for variable in x[1:]:
        block = block * dn.table(variable, [[tiny, 2 * tiny]])
    found = dn.hamming(dn.Circuit(block), method=method)
    wanted = [n * math.log(tiny) + math.log(math.comb(n, k)) + k * math.log(2) for k in range(n + 1)]
    np.testing.assert_allclose(found, wanted, rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_impossible_numbers_of_ones_are_exactly_so(method: str) -> None:
    x, y, z = dn.Bool("x"), dn.Bool("y"), dn.Bool("z")
    equal = dn.sum(dn.table(x, np.eye(2)) * dn.table(y, np.eye(2)), [[0.25, 0.75]])
    found = dn.hamming(dn.Circuit(equal * dn.table(z, [[1, 0]])), method=method)
    np.testing.assert_allclose(np.exp(found), [0.25, 0, 0.75, 0], rtol=1e-12)
    assert np.isneginf(found[[1, 3]]).all()


@pytest.mark.parametrize("method", METHODS)
def test_free_variables_are_counted(method: str) -> None:
    """p has two variables, and two more that it does not mention: each is 0 or 1 with weight 1."""
    circuit, table = mixture(2, 2, 6)
    wider = replace(circuit, free=(dn.Bool("y"), dn.Bool("z")))
    wanted = np.convolve(masses(table, 2), [1, 2, 1])
    np.testing.assert_allclose(np.exp(dn.hamming(wider, method=method)), wanted, rtol=1e-12)


def test_the_compiled_answer_is_that_of_both_methods() -> None:
    circuit, table = mixture(7, 3, 11)
    found = dn.compile(circuit).hamming().exp().numpy()
    np.testing.assert_allclose(found, masses(table, 7), rtol=1e-9)


def test_what_is_no_boolean_and_what_is_no_method_is_refused() -> None:
    circuit = dn.Circuit(dn.categorical(dn.Cat("x", 3), [[0.2, 0.3, 0.5]]))
    with pytest.raises(dn.DanausError, match="bool"):
        dn.hamming(circuit, method="roots")
    with pytest.raises(dn.DanausError, match="has no method"):
        dn.hamming(mixture(2, 1, 0)[0], method="fourier")


def test_a_circuit_that_is_not_exact_is_refused() -> None:
    x = dn.Bool("x")
    with pytest.raises(dn.DanausError, match="decomposable"):
        dn.hamming(dn.Circuit(dn.table(x, [[1, 2]]) * dn.table(x, [[1, 1]])), method="roots")


def test_queries_of_a_circuit_that_is_right_in_total_only() -> None:
    x, y = dn.Bool("x"), dn.Bool("y")
    terms = dn.concat(dn.table(x, [[1, 0]]) * dn.table(y, [[1, 0]]), dn.table(x, [[1, 0]]), dn.table(y, [[0, 1]]))
    circuit = dn.Circuit(dn.sum(terms, [[1, 1, -1]]))
    table = dn.evaluate(circuit, rows(2)).tolist()
    assert np.exp(dn.partition(circuit)) == pytest.approx(sum(table))
    for refused in (lambda: dn.marginal(circuit, [[0, 0]], [[True, False]]), lambda: dn.integrate(circuit)):
        with pytest.raises(dn.DanausError, match="smooth"):
            refused()


def test_specialised_and_general_marginals_are_sums_over_assignments() -> None:
    """Each pattern of missing values: compiled for it alone, and under a mask."""
    n = 4
    circuit, table = mixture(n, 3, 5)
    x = rows(n)
    general = dn.compile(circuit, dtype="float64")
    for missing in itertools.product([False, True], repeat=n):
        gone = np.array(missing)
        wanted = [table[(x[:, ~gone] == row[~gone]).all(axis=1)].sum() for row in x]
        found = general.log_likelihood(x, observed=np.tile(~gone, (2**n, 1))).exp().numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-10)
        if not gone.any() or gone.all():
            continue
        names = [variable.name for variable, out in zip(circuit.variables, missing, strict=True) if out]
        special = dn.compile(dn.integrate(circuit, names), dtype="float64")
        np.testing.assert_allclose(special.log_likelihood(x[:, ~gone]).exp().numpy(), wanted, rtol=1e-10)


def test_virtual_evidence_is_a_weighted_sum_over_assignments() -> None:
    n = 5
    circuit, table = mixture(n, 3, 8)
    x, rng = rows(n).astype(int), np.random.default_rng(0)
    weights = rng.uniform(0, 2, size=(6, n, 2))
    wanted = [sum(table[r] * math.prod(w[i, x[r, i]] for i in range(n)) for r in range(2**n)) for w in weights]
    given = {f"x{i}": weights[:, i] for i in range(n)}
    found = dn.compile(circuit, dtype="float64").marginal(np.zeros((6, n)), evidence=given).exp().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    for row, w in enumerate(weights):
        program = dn.evidence(circuit, {f"x{i}": w[i] for i in range(n)})
        assert dn.evaluate(program) == pytest.approx(wanted[row], rel=1e-10)


def test_values_at_complex_points_are_the_polynomial_there() -> None:
    n = 6
    circuit, table = mixture(n, 2, 9)
    points = np.array([1.0, -0.5, 0.3 + 0.7j, 2j])
    found = values_at(circuit, points, Numbers(circuit.store))
    wanted = [np.polyval(masses(table, n)[::-1], t) for t in points]
    np.testing.assert_allclose(found[:, 0] * np.exp2(found[:, 1].real), wanted, rtol=1e-12)


def test_scaled_complex_numbers_add_and_multiply() -> None:
    over, rng = ScaledComplex(), np.random.default_rng(0)
    a, b = (rng.standard_normal(50) + 1j * rng.standard_normal(50) for _ in range(2))
    a[0] = b[1] = 0

    def plain(elements: Any) -> Any:
        return elements[..., 0] * np.exp2(np.maximum(elements[..., 1].real, -1074))

    np.testing.assert_allclose(plain(over.add(over.of(a), over.of(b))), a + b, rtol=1e-15)
    np.testing.assert_allclose(plain(over.multiply(over.of(a), over.of(b))), a * b, rtol=1e-15)
    small = over.of(a[2:])
    for _ in range(12):
        small = over.multiply(small, small)  # a to the 4096th: far out of range
    logs = np.log2(np.abs(small[..., 0])) + small[..., 1].real
    np.testing.assert_allclose(logs, 4096 * np.log2(np.abs(a[2:])), rtol=1e-11, atol=1e-9)
