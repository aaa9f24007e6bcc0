"""Derivatives through `requires_grad_` by finite differences: derived expressions, signed circuits, families, data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.ir.block import Sum, hadamard, input_block
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Variable
from danaus.ir.expression import Expression, broadcast, divide, exp, log, plus, reshape, take, times, total
from danaus.ir.family import Bernoulli, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store

STEP = 1e-5


def gradients(circuit: Circuit, x: np.ndarray, weights: np.ndarray, observed: np.ndarray | None = None) -> None:
    """Compares the derivatives of Σ weight · log p in every entry with differences of the evaluator's answers."""
    model = dn.compile(circuit, dtype="float64").requires_grad_()
    (model.log_likelihood(x, observed) * torch.from_numpy(weights)).sum().backward()

    def at(parameter: Parameter, place: tuple[int, ...], step: float) -> float:
        array = circuit.store[parameter].floats.copy()
        array[place] += step
        moved = circuit.over(circuit.store.updated({parameter: Value.of(array)}))
        return float(np.asarray(dn.evaluate(moved, x, "log", observed=observed)) @ weights)

    for tensor, parameter in zip(model.parameters(), circuit.parameters, strict=True):
        assert tensor.grad is not None
        for place in np.ndindex(*parameter.shape):
            ends = [at(parameter, place, k * STEP) for k in (-2, -1, 1, 2)]
            slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * STEP)
            assert float(tensor.grad[place]) == pytest.approx(slope, rel=1e-6, abs=1e-7), parameter.name


A, B = Variable("a", Bool()), Variable("b", Cat(3))
P = Parameter("p", (2, 3), "positive")
Q = Parameter("q", (3,), "positive")
EXPRESSIONS: dict[str, Callable[[], Expression]] = {
    "a quotient": lambda: divide(P, broadcast(reshape(total(P, 1), (2, 1)), (2, 3))),
    "a logarithm": lambda: log(plus(P, constant(np.full((2, 3), 1.5)))),
    "an exponential": lambda: exp(times(P, Q)),
    "a product with itself": lambda: times(P, times(P, Q)),
    "a quotient of what was picked": lambda: divide(take(P, 1, [2, 0, 0]), plus(Q, take(Q, 0, [1, 2, 0]))),
    "all of them": lambda: divide(exp(log(times(P, P))), plus(total(times(P, Q), 0), exp(Q))),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name: str) -> None:
    """As weights and as the values of an input at once, so that both shares meet in the parameters."""
    derived = EXPRESSIONS[name]()
    on_a = input_block(Bernoulli(), A, [constant([0.25, 0.5, 0.875])])
    on_b = input_block(Table(), B, [derived])
    top = Sum((hadamard([on_b, Sum((on_a,), Dense(derived), 2)]),), Dense(constant([[0.5, 1.5]])), 1)
    random = np.random.default_rng(3)
    store = Store({P: Value.of(random.uniform(0.5, 2, (2, 3))), Q: Value.of(random.uniform(0.5, 2, 3))})
    circuit = Circuit(top, store.restricted([each for each in (P, Q) if each in _used(top)]))
    x = np.array([[a, b] for a in (0, 1) for b in range(3)], dtype=float)
    gradients(circuit, x, random.normal(size=6))
    observed = random.random(x.shape) < 0.5
    gradients(circuit, x, random.normal(size=6), observed)


def _used(top: Sum) -> tuple[Parameter, ...]:
    return Circuit(top, Store({P: Value.of(np.ones((2, 3))), Q: Value.of(np.ones(3))})).parameters


def test_inputs_at_fixed_evidence() -> None:
    """Restricted, integrated and weighted inputs are expressions over their parameters."""
    a, b, c = dn.Bool("a"), dn.Cat("b", 3), dn.Int("c", 0, 4)
    random = np.random.default_rng(0)
    inputs = dn.bernoulli(a, dn.param("p", [2], "unit", [0.25, 0.625]))
    inputs = inputs * dn.table(b, dn.param("t", [2, 3], value=random.uniform(0.5, 2, (2, 3))))
    inputs = inputs * dn.discretized_logistic(
        c, dn.param("m", [2], value=[1.0, 3.5]), dn.param("s", [2], "positive", [0.5, 2.0])
    )
    circuit = dn.Circuit(dn.sum(inputs, dn.param("w", [1, 2], value=[[0.75, 1.25]])))
    x = np.array([[a, b, c] for a in (0, 1) for b in (0, 2) for c in (0, 2, 4)], dtype=float)
    gradients(circuit, x, random.normal(size=len(x)), random.random(x.shape) < 0.7)
    gradients(dn.restrict(circuit, {"c": 2}), x[:, :2], random.normal(size=len(x)))
    gradients(dn.integrate(circuit, ["b"]), x[:, [0, 2]], random.normal(size=len(x)))
    gradients(dn.evidence(circuit, {"c": [0.5, 1, 2, 0, 1]}), x[:, :2], random.normal(size=len(x)))


@pytest.mark.parametrize("seed", range(4))
def test_signed_circuits(seed: int) -> None:
    """Negative weights and values: derivatives of log p where p is positive, entries of either sign."""
    random = np.random.default_rng(seed)
    a, b = dn.Cat("a", 3), dn.Cat("b", 4)
    left = dn.table(a, dn.param("s", [4, 3], value=random.normal(size=(4, 3))))
    right = dn.table(b, dn.param("t", [4, 4], value=random.normal(size=(4, 4))))
    middle = dn.sum(left * right, dn.param("v", [3, 4], value=random.normal(size=(3, 4))))
    circuit = dn.Circuit(dn.sum(middle, dn.param("w", [1, 3], value=random.normal(size=(1, 3)))))
    x = np.array([[a, b] for a in range(3) for b in range(4)], dtype=float)
    kept = x[dn.evaluate(circuit, x) > 1e-2]
    assert len(kept)
    gradients(circuit, kept, random.normal(size=len(kept)))
    assert any((value.floats < 0).any() for value in circuit.store.values())


@pytest.mark.parametrize("signed", [False, True])
def test_real_columns(signed: bool) -> None:
    """∂ log p / ∂x, beside discrete columns and missing values, which have none."""
    y, z, k = dn.Real("y"), dn.Real("z"), dn.Cat("k", 2)
    inputs = dn.gaussian(y, [0.0, 1.0, -2.0], [1.0, 0.5, 2.0]) * dn.gaussian(z, [1.0, 1.0, 0.0], [2.0, 1.0, 0.25])
    inputs = inputs * dn.categorical(k, [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    circuit = dn.Circuit(dn.sum(inputs, [[0.5, -0.01 if signed else 0.25, 0.25]]))
    random = np.random.default_rng(1)
    x = np.column_stack([random.normal(size=8), random.normal(size=8), random.integers(0, 2, 8)])
    observed = random.random(x.shape) < 0.75
    data = torch.from_numpy(x.copy()).requires_grad_()
    weights = random.normal(size=8)
    log = dn.compile(circuit, dtype="float64").log_likelihood(data, observed)
    (log * torch.from_numpy(weights)).sum().backward()
    assert data.grad is not None
    for row, column in np.ndindex(*x.shape):
        if column == 2 or not observed[row, column]:
            assert data.grad[row, column] == 0
            continue
        ends = []
        for k_ in (-2, -1, 1, 2):
            moved = x.copy()
            moved[row, column] += k_ * STEP
            ends.append(float(dn.evaluate(circuit, moved, "log", observed=observed)[row]))
        slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * STEP) * weights[row]
        assert float(data.grad[row, column]) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("size", [1, 2, 256])
def test_logistic_inputs_far_from_their_means(size: int) -> None:
    """Where σ(a) − σ(b) cancels, underflows or is all of the mass."""
    x = dn.Int("x", -1, size - 2)
    means = dn.param("m", [4], value=[0.25, -40.0, size * 0.75, size + 300.0])
    deviations = dn.param("s", [4], "positive", [1.0, 2.0, 50.0, 5.0])
    inputs = dn.discretized_logistic(x, means, deviations)
    rows = np.arange(-1.0, size - 1)[:: max(1, size // 8), None]
    random = np.random.default_rng(0)
    for i in range(4):
        circuit = dn.Circuit(inputs[i] if size > 1 else dn.sum(inputs, np.eye(4)[i : i + 1]))
        gradients(circuit, rows, random.normal(size=len(rows)))
