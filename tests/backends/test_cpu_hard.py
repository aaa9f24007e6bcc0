"""Where fast numbers lose: deep circuits, very small likelihoods, near-deterministic and anti-correlated models.

Every row must be right; `recomputed` shows which path it took.
"""

from __future__ import annotations

import numpy as np
import pytest

import danaus as dn
from compiled_parity import compare, within
from danaus.compiler.pipeline import program_of
from danaus.frontend.dsl.maps import MapLike
from hard_chains import HARD, ORDINARY, OTHERS, chain

SEEDS = range(3)


@pytest.mark.parametrize("name", [*ORDINARY, *HARD, *OTHERS])
@pytest.mark.parametrize("seed", SEEDS)
def test_chains(name: str, seed: int) -> None:
    hard = chain(name, seed=seed)
    circuit, want = hard.circuit, hard.log_likelihood()
    for dtype in ("float32", "float64"):
        model = dn.compile(circuit, dtype=dtype)
        within(model.log_likelihood(hard.rows).numpy(), want, dtype, len(circuit.blocks))
        if dtype == "float32" and name not in OTHERS:
            assert (model.recomputed > 0) == (name in HARD)
        if name in ORDINARY:
            assert model.recomputed == 0


@pytest.mark.parametrize("nats", [4, 40, 90, 150, 400, 800])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_anti_correlated_products(nats: float, dtype: str) -> None:
    """Each factor has its largest values where the other's are far below: the product is lost, or right."""
    x, y = dn.Cat("x", 3), dn.Cat("y", 3)
    falling = np.exp(-nats * np.linspace(0, 1, 8))
    left = dn.table(x, np.outer(falling, [1.0, 0.5, 0.0]))
    right = dn.table(y, np.outer(falling[::-1], [0.2, 0.0, 1.0]))
    keep = np.eye(8)[3:4]
    circuit = dn.Circuit(dn.sum(left * right * dn.table(dn.Cat("z", 2), np.ones((8, 2)) * 0.5), keep))
    model = compare(circuit, _grid(3, 3, 2), dtype=dtype)
    if nats > 150 and dtype == "float32":
        assert model.recomputed
    if nats <= 40:
        assert not model.recomputed


def _grid(*sizes: int) -> np.ndarray:
    return np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1).reshape(-1, len(sizes))


@pytest.mark.parametrize(("steps", "transition"), [(10_000, dn.dense), (2000, dn.monarch(2, 2))])
def test_many_steps_are_few_operations(steps: int, transition: MapLike) -> None:
    circuit = dn.hmm(dn.Cat("x", 4, shape=steps), states=4, transition=transition)
    assert len(program_of(circuit).operations) < 30
    model = compare(circuit, np.random.default_rng(0).integers(0, 4, (3, steps)))
    assert not model.recomputed


def test_a_likelihood_of_minus_a_million() -> None:
    random = np.random.default_rng(1)
    x = dn.Cat("x", 4, shape=2_000)
    emission = dn.const("E", [5, 4], value=np.exp(-600 - random.random((5, 4))))
    transition = dn.const("W", [5, 5], value=random.dirichlet(np.ones(5), 5))
    block = dn.table(x[0], emission)
    for t in range(1, 2_000):
        block = dn.sum(block, transition) * dn.table(x[t], emission)
    circuit = dn.Circuit(dn.sum(block, np.full((1, 5), 0.2)))
    rows = random.integers(0, 4, (2, 2_000))
    for dtype in ("float32", "float64"):
        model = compare(circuit, rows, dtype=dtype)
        assert not model.recomputed
        assert (model.log_likelihood(rows) < -1e6).all()


def test_long_chains_of_products_of_small_numbers() -> None:
    x = dn.Cat("x", 3, shape=3000)
    block = dn.product([dn.table(each, [[1e-300, 1e-5, 0.0]]) for each in x])
    rows = np.random.default_rng(2).integers(0, 2, (20, 3000))
    rows[3, 7] = 2
    model = compare(dn.Circuit(block), rows)
    assert not model.recomputed
