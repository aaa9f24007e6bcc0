"""One step of EM against EM by enumeration, for every map and family; and many steps, none of which goes down."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

import danaus as dn
from danaus.ir.circuit import Circuit
from learning.enumerated import used_by_rows

RANDOM = np.random.default_rng(7)


def simplex(*shape: int) -> np.ndarray:
    return np.round(RANDOM.dirichlet(np.full(shape[-1], 2.0), shape[:-1]) * 64 + 1) / 1.0


def rows_of(*shape: int) -> np.ndarray:
    """Rows that sum to 1."""
    found = simplex(*shape)
    return found / found.sum(-1, keepdims=True)


def weights(name: str, *shape: int, constraint: str | None = "simplex") -> object:
    return dn.param(name, shape, constraint, rows_of(*shape))


@dataclass
class Case:
    """A circuit, how many values its discrete columns have, and by name the rows of weights on no simplex."""

    circuit: Callable[[], Circuit]
    sizes: tuple[int, ...] = (3, 3)
    rows: dict[str, list[int]] = field(default_factory=dict)


def leaves(width: int = 4) -> object:
    a, b = dn.Cat("a", 3), dn.Cat("b", 3)
    return dn.categorical(a, weights("A", width, 3)) * dn.categorical(b, weights("B", width, 3))


def topped(block: object) -> Circuit:
    return dn.Circuit(dn.sum(block, weights("top", 1, block.width)))


def with_map(form: object, *parts: tuple[str, tuple[int, ...], str | None], width: int | None = None) -> Circuit:
    given = [weights(name, *shape, constraint=constraint) for name, shape, constraint in parts]
    return topped(dn.sum(leaves(), *given, map=form))


S = "simplex"
MAPS = {
    "dense": Case(lambda: topped(dn.sum(leaves(), weights("W", 3, 4)))),
    "dense, positive": Case(
        lambda: topped(dn.sum(leaves(), weights("W", 3, 4, constraint="positive"))),
        rows={"W": [0] * 4 + [1] * 4 + [2] * 4},
    ),
    "dense, real": Case(
        lambda: topped(dn.sum(leaves(), weights("W", 2, 4, constraint="real"))), rows={"W": [0] * 4 + [1] * 4}
    ),
    "diagonal": Case(lambda: dn.Circuit(dn.sum(dn.sum(leaves(), weights("d", 4), map=dn.diagonal), [[1, 1, 1, 1]]))),
    "block diagonal": Case(lambda: with_map(dn.block_diagonal(2), ("W", (2, 3, 2), S))),
    "monarch": Case(lambda: with_map(dn.monarch(2, 2), ("L", (2, 2, 2), S), ("R", (2, 2, 2), S))),
    "monarch, tied": Case(lambda: topped(dn.sum(leaves(), *[weights("L", 2, 2, 2)] * 2, map=dn.monarch(2, 2)))),
    "permutation": Case(lambda: topped(dn.sum(leaves(), map=dn.permute([2, 0, 3, 1])))),
    "kronecker": Case(lambda: with_map(dn.kron, ("K", (2, 2), S), ("M", (3, 2), S))),
    "kronecker, unit": Case(
        lambda: with_map(dn.kron, ("K", (2, 2), "unit"), ("M", (3, 2), S)), rows={"K": [0, 0, 1, 1]}
    ),
    "sparse": Case(
        lambda: topped(
            dn.sum(
                leaves(),
                dn.param("e", [5], "positive", [0.5, 0.25, 1.0, 0.5, 0.75]),
                map=dn.sparse([0, 1, 2, 0, 1], [0, 1, 2, 3, 0]),
            )
        ),
        rows={"e": [0, 1, 2, 0, 1]},
    ),
    "compose": Case(
        lambda: with_map(dn.compose(dn.dense, dn.permute([3, 2, 1, 0]), dn.dense), ("W", (3, 4), S), ("V", (4, 4), S))
    ),
    "indexed": Case(
        lambda: topped(
            dn.product(
                dn.concat(
                    dn.categorical(dn.Cat("a", 3), weights("A", 2, 3)),
                    dn.categorical(dn.Cat("b", 3), weights("B", 2, 3)),
                ),
                [[0, 2], [1, 3], [0, 3]],
            )
        )
    ),
    "tied over a chain": Case(lambda: dn.hmm(dn.Cat("x", 3, shape=3), states=2), sizes=(3, 3, 3)),
}


def inputs(*blocks: object) -> Circuit:
    found = blocks[0]
    for block in blocks[1:]:
        found = found * block
    return dn.Circuit(dn.sum(found, weights("top", 1, 2)))


FAMILIES = {
    "bernoulli": Case(
        lambda: inputs(
            dn.bernoulli(dn.Bool("a"), dn.param("p", [2], "unit", [0.3, 0.8])),
            dn.bernoulli(dn.Bool("b"), dn.param("q", [2], "unit", [0.6, 0.1])),
        ),
        sizes=(2, 2),
    ),
    "binomial": Case(
        lambda: inputs(
            dn.binomial(dn.Int("a", 0, 4), dn.param("p", [2], "unit", [0.3, 0.8])),
            dn.bernoulli(dn.Bool("b"), dn.param("q", [2], "unit", [0.6, 0.1])),
        ),
        sizes=(5, 2),
    ),
    "table": Case(
        lambda: inputs(
            dn.table(dn.Cat("a", 3), weights("T", 2, 3, constraint="real")),
            dn.categorical(dn.Cat("b", 3), weights("B", 2, 3)),
        ),
        rows={"T": [0, 0, 0, 1, 1, 1]},
    ),
    "indicators": Case(
        lambda: dn.Circuit(
            dn.sum(
                dn.concat(dn.indicator(dn.Cat("a", 3), 0), dn.indicator(a := dn.Cat("a", 3), 1), dn.indicator(a, 2))
                * dn.categorical(dn.Cat("b", 3), weights("B", 3, 3)),
                weights("top", 1, 3),
            )
        )
    ),
    "gaussian and poisson": Case(
        lambda: inputs(
            dn.gaussian(
                dn.Real("a"),
                dn.param("m", [2], value=[0.5, 2.0]),
                dn.param("s", [2], "positive", [1.0, 0.75]),
            ),
            dn.poisson(dn.Count("b"), dn.param("l", [2], "positive", [0.5, 2.5])),
        ),
        sizes=(4, 4),
    ),
    "a shared mean": Case(
        lambda: inputs(
            dn.gaussian(dn.Real("a"), (m := dn.param("m", [2], value=[0.5, 2.0])), dn.const("s", [2], value=[1, 2])),
            dn.gaussian(dn.Real("b"), m, dn.const("t", [2], value=[0.5, 3])),
        ),
        sizes=(4, 4),
    ),
}
CASES = {**MAPS, **FAMILIES}


def data(case: Case, count: int, missing: float = 0.2) -> np.ndarray:
    random = np.random.default_rng(11)
    rows = np.stack([random.integers(0, size, count) for size in case.sizes], axis=1).astype(float)
    rows[random.random(rows.shape) < missing] = np.nan
    return rows


@pytest.mark.parametrize("name", CASES)
def test_a_step_is_that_of_enumeration(name: str) -> None:
    case = CASES[name]
    circuit, rows = case.circuit(), data(case, 24)
    uses, mean = used_by_rows(circuit, rows)
    result = dn.fit(circuit, rows, epochs=1)
    assert result.history[0].train == pytest.approx(mean, rel=1e-12)
    for parameter in circuit.parameters:
        before, after = circuit.store[parameter].floats, result.circuit.store[parameter].floats
        if not parameter.learnable:
            np.testing.assert_array_equal(before, after)
            continue
        want = _maximised(parameter, before, case, uses, circuit, result.circuit)
        np.testing.assert_allclose(after, want, rtol=1e-9, atol=1e-12, err_msg=parameter.name)


def _maximised(parameter, before, case, uses, circuit, after) -> np.ndarray:
    """The M-step, entry by entry, as the books have it."""
    name, size = parameter.name, before.size
    own = [uses.get((name, i), []) for i in range(size)]
    out = before.ravel().copy()
    seen = next((what for each in own for _, what in each), None)
    if seen is None:  # entries of rows
        count = np.array([math.fsum(weight for weight, _ in each) for each in own])
        rows = np.array(case.rows.get(name, np.arange(size) // before.shape[-1]))
        for row in set(rows.tolist()):
            if (total := count[rows == row].sum()) > 0:
                out[rows == row] = count[rows == row] / total
        return out.reshape(before.shape)
    for i, each in enumerate(own):
        if not each:
            continue
        if name == "s":
            (mean,) = (after.store[other].floats[i] for other in circuit.parameters if other.name == "m")
            squares = math.fsum(weight * (x - mean) ** 2 for weight, (_, x) in each)
            out[i] = math.sqrt(squares / math.fsum(weight for weight, _ in each))
            continue
        total = math.fsum(weight * precision for weight, (precision, _) in each)
        most = 4 if name == "p" and case.sizes[0] == 5 else 1
        out[i] = math.fsum(weight * precision * x for weight, (precision, x) in each) / total / most
    return out.reshape(before.shape)


@pytest.mark.parametrize("name", CASES)
def test_steps_never_go_down(name: str) -> None:
    case = CASES[name]
    result = dn.fit(case.circuit(), data(case, 40), epochs=12, tolerance=-1.0)
    found = np.array([epoch.train for epoch in result.history])
    assert (np.diff(found) >= -1e-9).all()
    assert result.model.partition() == pytest.approx(0.0, abs=1e-9)
