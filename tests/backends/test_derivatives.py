"""Derivatives and flows of compiled circuits against finite differences of the evaluator and against known ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.compiler.able import Type
from danaus.ir.circuit import Circuit
from danaus.ir.parameter import Value
from small_circuits import evidence, random_circuit


def _moved(circuit: Circuit, parameter: object, place: tuple[int, ...], step: float) -> Circuit:
    values = dict(circuit.store)
    array = circuit.store[parameter].floats.copy()  # type: ignore[index]
    array[place] += step
    values[parameter] = Value.of(array)  # type: ignore[index]
    return circuit.over(type(circuit.store)(values))


@pytest.mark.parametrize("seed", range(35))
def test_parameters_by_finite_differences(seed: int) -> None:
    circuit = random_circuit(seed)
    if not circuit.parameters:
        return
    x, observed = evidence(circuit, 12, seed, 0.3)
    if any(found.status != "proved" for found in dn.check(circuit, "smooth", "decomposable").values()):
        observed[:] = True
    model = dn.compile(circuit, dtype="float64")
    for tensor in model.parameters():
        tensor.requires_grad_(True)
    weights = np.random.default_rng(seed).normal(size=12)
    log = model.log_likelihood(x, observed)
    kept = torch.isfinite(log)
    (log[kept] * torch.from_numpy(weights)[kept]).sum().backward()
    random = np.random.default_rng(seed)
    rows = kept.numpy()

    def mass(at: Circuit) -> np.ndarray:
        return np.asarray(dn.evaluate(at, x[rows], observed=observed[rows]), dtype=np.float64)

    if not rows.any():
        return
    for tensor, parameter in zip(model.parameters(), circuit.parameters, strict=True):
        assert tensor.grad is not None
        for _ in range(3):
            place = tuple(int(i) for i in np.unravel_index(int(random.integers(tensor.numel())), tensor.shape))
            if parameter.constraint == "unit" and float(tensor.detach()[place]) in (0.0, 1.0):
                continue  # no room on both sides
            ends = [mass(_moved(circuit, parameter, place, k / 64)) for k in (-2, -1, 1, 2)]
            change = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) * 64 / 12  # exact up to the fourth degree
            slope = float((change / mass(circuit) * weights[rows]).sum())
            assert float(tensor.grad[place]) == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-6), ("float64", 1e-12)])
def test_flows_of_a_chain_sum_to_its_length(dtype: Type, error: float) -> None:
    circuit = dn.hmm(dn.Cat("x", 5, shape=7), states=9)
    x = np.random.default_rng(0).integers(0, 5, size=(30, 7))
    model = dn.compile(circuit, dtype=dtype)
    totals = sorted(float(flow.sum()) for flow in model.flows(x).values())
    np.testing.assert_allclose(totals, [30.0, 6 * 30.0, 7 * 30.0], rtol=error)


@pytest.mark.parametrize(("dtype", "error"), [("float32", 5e-6), ("float64", 1e-9)])
def test_log_likelihoods_of_minus_a_million_have_right_derivatives(dtype: Type, error: float) -> None:
    circuit = dn.hmm(dn.Cat("x", 40, shape=1800), states=3)
    name = next(parameter for parameter in circuit.parameters if parameter.shape == (3, 40))
    table = circuit.store[name].floats * 1e-250
    circuit = circuit.over(circuit.store.updated({name: Value.of(table)}))
    x = np.random.default_rng(1).integers(0, 40, size=(4, 1800))
    model = dn.compile(circuit, dtype=dtype)
    assert (model.log_likelihood(x) < -1e6).all()
    flows = model.flows(x)
    totals = sorted(float(flow.sum()) for flow in flows.values())
    np.testing.assert_allclose(totals, [4.0, 1799 * 4.0, 1800 * 4.0], rtol=error)


def test_impossible_rows_give_nothing() -> None:
    x = dn.Bool("x")
    circuit = dn.Circuit(dn.sum(dn.bernoulli(x, [1.0, 1.0]), [[0.3, 0.7]]))
    model = dn.compile(circuit)
    for tensor in model.parameters():
        tensor.requires_grad_(True)
    assert all((flow == 0).all() for flow in model.flows([[0.0]]).values())


def test_gaussians_by_known_derivatives() -> None:
    y = dn.Real("y")
    mean, deviation = dn.param("m", [2], value=[0.0, 1.0]), dn.param("s", [2], value=[1.0, 2.0])
    circuit = dn.Circuit(dn.sum(dn.gaussian(y, mean, deviation), [[0.3, 0.7]]))
    model = dn.compile(circuit, dtype="float64").requires_grad_()
    x = torch.tensor([[0.3], [2.0], [-1.0]], dtype=torch.float64, requires_grad=True)
    model.log_likelihood(x).sum().backward()
    m = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    s = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    z = x.detach().clone().requires_grad_(True)
    parts = torch.distributions.Normal(m, s).log_prob(z) + torch.log(torch.tensor([0.3, 0.7], dtype=torch.float64))
    torch.logsumexp(parts, 1).sum().backward()
    grads = dict(model.named_parameters())
    for got, want in ((grads["m"].grad, m.grad), (grads["s"].grad, s.grad), (x.grad, z.grad)):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def test_second_derivatives_are_refused() -> None:
    """A penalty on derivatives would else count for nothing, without a word."""
    model = dn.compile(dn.hmm(dn.Cat("x", 3, shape=2), states=2)).requires_grad_()
    free = dn.compile(dn.hmm(dn.Cat("x", 3, shape=2), states=2)).unconstrained()
    data = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
    normal = dn.compile(dn.parse("var x : real; circuit p { return gaussian(x, [0], [1]) }").circuit)
    for log, leaf in (
        (model.log_likelihood([[0, 1]]), next(model.parameters())),
        (free.log_likelihood([[0, 1]]), free.numbers),
        (normal.log_likelihood(data), data),
    ):
        (slope,) = torch.autograd.grad(log.sum(), leaf, create_graph=True)
        assert bool((slope != 0).any())
        with pytest.raises(dn.DanausError, match="not-differentiable"):
            (log.sum() + (slope**2).sum()).backward()
