"""Everything between Python and kernels on a device that refuses the host's tensors, as a GPU does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.ir.circuit import Circuit
from pretended_gpu import GPU, OnGpu, pretended_gpu
from recorded_launches import Recording
from scalar_network import network

HMM = dn.hmm(dn.Cat("x", 4, shape=4), states=5)
BOOLEANS = dn.hmm(dn.Bool("x", shape=3), states=3)
GAUSSIAN = dn.Circuit(dn.sum(dn.gaussian(dn.Real("y"), [0.0, 1.0], [1.0, 2.0]), [[0.4, 0.6]]))
CIRCUITS: dict[str, Callable[[], Circuit]] = {"chain": lambda: HMM, "ones": lambda: BOOLEANS, "network": network}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    with pretended_gpu(monkeypatch) as recording:
        yield recording


def rows_of(circuit: Circuit, count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(count)
    x = np.stack([random.integers(0, variable.domain.size, count) for variable in circuit.variables], 1)
    return x.astype(float), random.random(x.shape) < 0.6


def test_what_a_gpu_refuses_is_refused(gpu: Recording) -> None:
    there, here = torch.zeros(3, device=GPU), torch.zeros(3)
    assert isinstance(there, OnGpu) and there.device == GPU and not isinstance(here, OnGpu)
    assert isinstance(there + 1.0, OnGpu) and isinstance(there[1:], OnGpu) and not isinstance(there.cpu(), OnGpu)
    there[1:] += 2.0
    np.testing.assert_array_equal(there.cpu().numpy(), [0.0, 2.0, 2.0])
    for refused in (lambda: there + here, lambda: here.add_(there), lambda: torch.cat([there, here])):
        with pytest.raises(AssertionError, match="tensors of both sides"):
            refused()
    with pytest.raises((TypeError, RuntimeError)):
        there.numpy()


@pytest.mark.parametrize("name", CIRCUITS)
def test_queries(gpu: Recording, name: str) -> None:
    """Each runs, twice where launches are recorded, and likelihoods are those of the definition."""
    circuit = CIRCUITS[name]()
    model, (x, seen) = dn.compile(circuit, device="cuda"), rows_of(circuit, 5)
    for _ in range(2):
        np.testing.assert_allclose(model.log_likelihood(x), dn.evaluate(circuit, x, semiring="log"), atol=1e-4)
    asked: list[Callable[[], Any]] = [
        lambda: model.sample(2),
        lambda: model.sample(x, observed=seen),
        lambda: model.map(x, observed=seen),
        lambda: model.conditional(x, observed=seen),
        lambda: model.flows(x, seen),
        lambda: model.marginal(
            x, seen, evidence={circuit.variables[0].name: np.ones(circuit.variables[0].domain.size)}
        ),
    ]
    if name != "chain":
        asked.append(model.hamming)
    for ask in asked:
        ask()
    if name == "chain":
        model.posterior(x, seen)
        assert gpu.count and gpu.replayed


def test_densities(gpu: Recording) -> None:
    x = np.array([[0.3], [1.0]])
    model = dn.compile(GAUSSIAN, device="cuda")
    np.testing.assert_allclose(model.log_likelihood(x), dn.evaluate(GAUSSIAN, x, semiring="log"), atol=1e-5)
    model.requires_grad_()
    model.log_likelihood(torch.from_numpy(x).requires_grad_()).sum().backward()


@pytest.mark.parametrize("method", ["em", "minibatch-em", "adam"])
def test_learning(gpu: Recording, method: str) -> None:
    x, _ = rows_of(HMM, 12)
    found = dn.fit(HMM, x, method=method, epochs=1, batch=6, device="cuda")
    assert found.history[1].train > found.history[0].train
