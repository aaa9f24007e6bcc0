"""Every query of information theory is what its definition gives on the table of all values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import danaus as dn
import information_defined as define
from vtree_circuits import Over, pair, variables_made, vtree_made

SEEDS = range(3)
SIZES = [*((seed, 1 + seed % 5, False) for seed in range(6)), (5, 16, True)]
ALPHAS = (0.5, 1, 2, 1.2)
NEAR = (0.9999, 1.0009, 1 + 1e-9)


def close(got: float, wanted: float, tolerance: float = 1e-10) -> bool:
    return got == wanted or math.isclose(got, wanted, rel_tol=tolerance, abs_tol=tolerance)


def drawn(seed: int, size: int, binary: bool, **kinds: bool) -> tuple[Any, ...]:
    ((p, a), (q, b)), _ = pair(seed, size, binary, **kinds)
    if not a.any():
        p, a = Over(vtree_made(seed, variables_made(seed, size, binary)), seed + 1000, positive=True).circuit("p")
    if not b.any():
        q, b = Over(vtree_made(seed, variables_made(seed, size, binary)), seed + 2000, positive=True).circuit("q")
    return p, a, q, b


def test_the_circuits_are_what_their_tables_say() -> None:
    for seed in SEEDS:
        p, table, _, _ = drawn(seed, 4, False)
        rows = np.indices(table.shape).reshape(table.ndim, -1).T
        lows = [getattr(variable.domain, "lo", 0) for variable in p.variables]
        assert p.variables and np.allclose(dn.evaluate(p, rows + np.array(lows)), table.ravel(), atol=1e-12)


@pytest.mark.parametrize(("seed", "size", "binary"), SIZES)
def test_queries_of_deterministic_circuits(seed: int, size: int, binary: bool) -> None:
    p, a, q, b = drawn(seed, size, binary)
    assert close(dn.entropy(p), define.entropy(a))
    assert close(dn.cross_entropy(p, q), define.cross_entropy(a, b))
    assert close(dn.kl(p, q), define.kl(a, b))
    assert close(dn.kl(q, p), define.kl(b, a))
    assert close(dn.cauchy_schwarz(p, q), define.cauchy_schwarz(a, b))
    assert close(dn.squared_loss(p, q), define.squared_loss(a, b), 1e-10 * (1 + float((a * a).sum())))
    for alpha in ALPHAS[seed % 3 :]:
        assert close(dn.renyi(p, alpha), define.renyi(a, alpha))
        assert close(dn.alpha_divergence(p, q, alpha), define.alpha_divergence(a, b, alpha))


@pytest.mark.parametrize(("seed", "size", "binary"), SIZES)
def test_divergences_of_circuits_without_zeros_are_finite(seed: int, size: int, binary: bool) -> None:
    p, a, q, b = drawn(seed, size, binary, positive=True)
    assert (a > 0).all() and (b > 0).all()
    assert close(dn.cross_entropy(p, q), define.cross_entropy(a, b))
    assert 0 < define.kl(a, b) < math.inf
    assert close(dn.kl(p, q), define.kl(a, b))
    for alpha in ALPHAS[seed % 3 :]:
        assert close(dn.alpha_divergence(p, q, alpha), define.alpha_divergence(a, b, alpha))
    assert close(dn.itakura_saito(p, q), define.itakura_saito(a, b), 1e-12 * a.size)


@pytest.mark.parametrize("alpha", NEAR)
@pytest.mark.parametrize(("seed", "positive"), [(1, True), (2, False), (4, False)])
def test_powers_close_to_one(seed: int, positive: bool, alpha: float) -> None:
    p, a, q, b = drawn(seed, 3, False, positive=positive)
    assert close(dn.renyi(p, alpha), define.renyi(a, alpha))
    assert close(dn.alpha_divergence(p, q, alpha), define.alpha_divergence(a, b, alpha))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_needs_structure_alone_takes_circuits_that_are_not_deterministic(seed: int) -> None:
    p, a, q, b = drawn(seed, 5, False, decided=False)
    assert close(dn.expectation(p, q), define.expectation(a, b))
    assert close(dn.cauchy_schwarz(p, q), define.cauchy_schwarz(a, b))
    assert close(dn.squared_loss(p, q), define.squared_loss(a, b), 1e-10 * (1 + float((a * a).sum())))
    for alpha in (2, 3):
        assert close(dn.renyi(p, alpha), define.renyi(a, alpha))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_circuit_of_a_cross_entropy_need_not_be_deterministic(seed: int) -> None:
    p, a, _, _ = drawn(seed, 4, False, decided=False)
    for positive in (True, False):
        _, _, q, b = drawn(seed, 4, False, positive=positive)
        assert close(dn.cross_entropy(p, q), define.cross_entropy(a, b))
        assert close(dn.alpha_divergence(p, q, 2), define.alpha_divergence(a, b, 2))


@pytest.mark.parametrize("seed", SEEDS)
def test_expectations_of_signed_functions(seed: int) -> None:
    vtree = vtree_made(seed, variables_made(seed, 5))
    p, a = Over(vtree, seed, positive=True).circuit("p")
    f, b = Over(vtree, seed + 100, decided=False, signed=True).circuit("f")
    assert close(dn.expectation(p, f), define.expectation(a, b), 1e-10 * define.expectation(a, np.abs(b)))
    assert close(dn.squared_loss(p, f), define.squared_loss(a, b), 1e-10 * (1 + float((a * a).sum())))


def test_expectations_of_functions_of_some_of_the_variables() -> None:
    variables = variables_made(3, 4)
    p, a = Over(vtree_made(3, variables), 3, positive=True).circuit("p")
    f, b = Over(vtree_made(3, variables[1:3]), 4, signed=True).circuit("f")
    assert close(dn.expectation(p, f), define.expectation(a, b[None, :, :, None]))


@pytest.mark.parametrize("seed", SEEDS)
def test_scales_of_circuits_change_no_divergence_of_their_distributions(seed: int) -> None:
    p, a, q, b = drawn(seed, 4, False, positive=True)
    large, small = dn.scale(p, 2.0**900), dn.scale(q, 2.0**-900)
    assert close(dn.entropy(large), define.entropy(a))
    assert close(dn.kl(large, small), define.kl(a, b))
    assert close(dn.renyi(small, 0.5), define.renyi(b, 0.5))
    assert close(dn.renyi(large, 3), define.renyi(a, 3))
    assert close(dn.alpha_divergence(large, small, 1.5), define.alpha_divergence(a, b, 1.5))
    assert close(dn.cauchy_schwarz(large, small), define.cauchy_schwarz(a, b))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_circuit_does_not_diverge_from_itself(seed: int) -> None:
    p, _, _, _ = drawn(seed, 6, False)
    assert abs(dn.kl(p, p)) < 1e-12
    assert abs(dn.squared_loss(p, p)) < 1e-12 * dn.expectation(p, p)
    assert abs(dn.cauchy_schwarz(p, p)) < 1e-12
    assert abs(dn.alpha_divergence(p, p, 0.5)) < 1e-12
    assert dn.itakura_saito(p, p) == pytest.approx(0, abs=1e-9)
    assert close(dn.cross_entropy(p, p), dn.entropy(p))


def test_what_underflows_as_a_number_has_its_divergences() -> None:
    random = np.random.default_rng(0)
    one, other = random.dirichlet(np.ones(1000), size=2)
    x = dn.Cat("x", 1000, shape=60)
    p = dn.Circuit(dn.product([dn.table(each, one[None]) for each in x]), name="p")
    q = dn.Circuit(dn.product([dn.table(each, other[None]) for each in x]), name="q")
    assert dn.evaluate(q, np.full(60, other.argmin())) == 0  # in float64
    assert close(dn.entropy(p), 60 * define.entropy(one))
    assert close(dn.kl(p, q), 60 * define.kl(one, other))
    assert close(dn.renyi(p, 2), 60 * define.renyi(one, 2))
    assert close(dn.alpha_divergence(p, q, 0.5), 60 * define.alpha_divergence(one, other, 0.5))
    assert close(dn.cauchy_schwarz(p, q), 60 * define.cauchy_schwarz(one, other))
    squares = (one @ one) ** 60 + (other @ other) ** 60 - 2 * (one @ other) ** 60
    assert math.isclose(dn.squared_loss(p, q), squares, rel_tol=1e-10)
    with pytest.raises(dn.DanausError, match="beyond the range of float64"):
        dn.itakura_saito(dn.scale(p, 2.0**900), dn.scale(q, 2.0**-900))


def test_one_variable() -> None:
    x = dn.Cat("x", 4)
    p = dn.Circuit(dn.table(x, [[1, 2, 0, 1]]), name="p")
    q = dn.Circuit(dn.categorical(x, [[0.25, 0.25, 0.25, 0.25]]), name="q")
    a, b = np.array([1.0, 2, 0, 1]), np.full(4, 0.25)
    assert close(dn.entropy(p), 1.5 * math.log(2))
    assert close(dn.kl(p, q), 0.5 * math.log(2))
    assert dn.kl(q, p) == math.inf == dn.alpha_divergence(q, p, 2) == dn.cross_entropy(q, p)
    assert close(dn.alpha_divergence(q, p, 0.5), define.alpha_divergence(b, a, 0.5))
    assert dn.itakura_saito(p, q) == math.inf
    assert close(dn.itakura_saito(q, q), 0)
