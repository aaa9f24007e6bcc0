"""Expectation maximisation over tables that stay on a device, beside the same on the host in float64."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton.adjoint import FusedReverse
from danaus.ir.circuit import Circuit
from danaus.ir.parameter import Floats, Value
from danaus.runtime.learning.em import Steps
from danaus.runtime.learning.resident import ResidentSteps
from danaus.runtime.learning.stepping import steps_of

HMM = dn.hmm(dn.Cat("x", 4, shape=4), states=5)
MONARCH = dn.hmm(dn.Cat("x", 4, shape=3), states=12, transition=dn.monarch(3, 4))
TREE = dn.quad_tree(dn.Cat("x", 3, shape=4), (2, 2), 4)
CIRCUITS = {"hmm": HMM, "Monarch": MONARCH, "image": TREE}


def rows_of(circuit: Circuit, count: int, seed: int, missing: float = 0.0) -> Floats:
    """Rows of values, some of them missing."""
    random = np.random.default_rng(seed)
    x = np.stack([random.integers(0, variable.domain.size, count) for variable in circuit.variables], 1).astype(float)
    x[random.random(x.shape) < missing] = np.nan
    return x


def parameters(circuit: Circuit) -> dict[str, Floats]:
    return {each.name: circuit.store[each].floats for each in circuit.parameters if each.learnable}


def chain(start: object, transition: object, emission: object, steps: int) -> Circuit:
    """A hidden Markov model of these numbers."""
    numbers = {"initial": [start], "transition": transition, "emission": emission}
    given = {f"circuit.{name}": np.array(each, dtype=float) for name, each in numbers.items()}
    states, size = given["circuit.emission"].shape
    circuit = dn.hmm(dn.Cat("x", size, shape=steps), states=states)
    values = {parameter: Value.of(given[parameter.name]) for parameter in circuit.parameters}
    return circuit.over(circuit.store.updated(values))


def device_steps(circuit: Circuit) -> ResidentSteps:
    steps = steps_of(dn.compile(circuit, device="cuda"))
    assert isinstance(steps, ResidentSteps)
    return steps


def host_steps(circuit: Circuit) -> Steps:
    return Steps(dn.compile(circuit, dtype="float64"))


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("count", [1, 23])
def test_a_step(name: str, count: int) -> None:
    """Counts of rows with missing values, of a row of the circuit's own, and the parameters that they make."""
    circuit = CIRCUITS[name]
    x = rows_of(circuit, count, 3, 0.3)
    seen = ~np.isnan(x)
    steps, host = device_steps(circuit), host_steps(circuit)
    got, want = steps.expected(x, seen), host.expected(x, seen)
    np.testing.assert_allclose(got.log, want.log, atol=1e-4)
    tables = {each: number for each, number in steps._model.compiled.staying.tables.items()}  # type: ignore[union-attr]
    for parameter, counts in want.entries.items():
        found = np.asarray(got.entries[tables[parameter]])
        np.testing.assert_allclose(found, counts, atol=1e-4 * max(1.0, float(counts.max())), rtol=0)
    own = steps.prior()
    for parameter, counts in host.prior().entries.items():
        found = np.asarray(own.entries[tables[parameter]])
        np.testing.assert_allclose(found, counts, atol=1e-4 * max(1.0, float(counts.max())), rtol=0)
    before = {name: each.copy() for name, each in parameters(steps._model.circuit).items()}
    steps.take(got, 0.5)
    for name, each in parameters(steps._model.circuit).items():
        np.testing.assert_array_equal(each, before[name])  # until they settle
    steps.settle()
    host.take(want, 0.5)
    for name, each in parameters(host._model.circuit).items():
        now = parameters(steps._model.circuit)[name]
        np.testing.assert_allclose(now, each, atol=2e-4)
        np.testing.assert_allclose(now.sum(-1), 1.0, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("em", {}),
        ("em", {"pseudocount": 0.1}),
        ("minibatch-em", {"batch": 16}),
        ("minibatch-em", {"batch": 16, "momentum": 0.9}),
    ],
)
def test_learning(method: str, options: dict[str, float]) -> None:
    """The same way as on the CPU, epoch by epoch, and the same held-out means."""
    x = rows_of(HMM, 40, 1, 0.1)
    found = [
        dn.fit(HMM, x[:30], x[30:], method, epochs=2, tolerance=-1.0, **device, **options)  # type: ignore[arg-type]
        for device in ({}, {"device": "cuda"})
    ]
    for ours, theirs in zip(found[0].history, found[1].history, strict=True):
        assert ours.train == pytest.approx(theirs.train, abs=2e-4)
        assert ours.valid == pytest.approx(theirs.valid, abs=2e-4)
    for name, each in parameters(found[0].circuit).items():
        np.testing.assert_allclose(parameters(found[1].circuit)[name], each, atol=2e-3)
    assert found[0].history[-1].train > found[0].history[0].train + 1e-4


def test_zeros_stay() -> None:
    """Rows of weights with zeros: EM never leaves them, and what nothing uses keeps its numbers."""
    transition = [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]
    emission = [[0.7, 0.3, 0.0], [0.2, 0.3, 0.5], [0.0, 0.4, 0.6]]
    circuit = chain([1.0, 0.0, 0.0], transition, emission, 5)
    data = np.asarray(dn.compile(circuit).sample(30, seed=4))
    ours, theirs = (
        dn.fit(circuit, data, epochs=2, tolerance=-1.0, **device)  # type: ignore[arg-type]
        for device in ({}, {"device": "cuda"})
    )
    for name, each in parameters(ours.circuit).items():
        got = parameters(theirs.circuit)[name]
        np.testing.assert_allclose(got, each, atol=1e-4)
        np.testing.assert_array_equal(got == 0, each == 0)


def test_unsure_rows_are_counted_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the parameters of the last step, which the device has and the module has not yet."""
    x = rows_of(HMM, 9, 5)
    seen = np.ones(x.shape, dtype=bool)
    steps, host = device_steps(HMM), host_steps(HMM)
    steps.take(steps.expected(x, seen), 0.1)
    host.take(host.expected(x, seen), 0.1)
    monkeypatch.setattr(type(steps._resident), "expected", lambda self, codes: None)
    got, want = steps.expected(x, seen), host.expected(x, seen)
    np.testing.assert_allclose(got.log, want.log, atol=1e-4)
    compiled = steps._model.compiled
    assert compiled is not None and compiled.staying is not None
    for parameter, counts in want.entries.items():
        found = np.asarray(got.entries[compiled.staying.tables[parameter]])
        np.testing.assert_allclose(found, counts, atol=1e-3)
    steps.take(got)
    steps.settle()
    host.take(want)
    for name, each in parameters(host._model.circuit).items():
        np.testing.assert_allclose(parameters(steps._model.circuit)[name], each, atol=1e-3)


def test_a_device_without_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, x = device_steps(HMM), rows_of(HMM, 3, 1)

    def full(*given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(FusedReverse, "there_and_back", full)
    for ask in (lambda: steps.expected(x, np.ones(x.shape, dtype=bool)), steps.prior):
        with pytest.raises(dn.DanausError, match="no memory left") as failure:
            ask()
        assert failure.value.diagnostics[0].code == "no-room"


def test_small_probabilities_are_the_hosts() -> None:
    """Tables with numbers that float32 does not hold beside larger ones: rows that hang on them are unsure."""
    x = dn.Cat("x", 2, shape=3)
    tiny = np.array([[1 - 1e-300, 1e-300]])
    inputs = [dn.categorical(x[i], dn.param(f"t{i}", [1, 2], "simplex", tiny)) for i in range(3)]
    circuit = dn.Circuit(dn.sum(dn.product(inputs), dn.param("w", [1, 1], "simplex", [[1.0]])))
    data = np.ones((2, 3))
    seen = np.ones(data.shape, dtype=bool)
    steps, host = device_steps(circuit), host_steps(circuit)
    got, want = steps.expected(data, seen), host.expected(data, seen)
    np.testing.assert_allclose(got.log, want.log, rtol=1e-5)
    assert (want.log < -2000).all()


def test_impossible_rows_are_named() -> None:
    circuit = chain([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]], 3)
    data = np.array([[0, 0, 0], [0, 1, 0]])
    with pytest.raises(dn.DanausError, match="row 1 has likelihood zero"):
        dn.fit(circuit, data, device="cuda", epochs=1)


def test_learning_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """Interrupted after one epoch of two, with a mean over batches."""
    x = rows_of(HMM, 12, 2)
    options = {"method": "minibatch-em", "epochs": 2, "batch": 6, "momentum": 0.5, "device": "cuda"}
    whole = dn.fit(HMM, x, **options)  # type: ignore[arg-type]
    path = tmp_path / "c.safetensors"

    def stop(epoch: object) -> None:
        if epoch.epoch == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dn.fit(HMM, x, **options, checkpoint=path, progress=stop)  # type: ignore[arg-type]
    again = dn.fit(HMM, x, **options, checkpoint=path, resume=True)  # type: ignore[arg-type]
    for name, each in parameters(whole.circuit).items():
        np.testing.assert_array_equal(parameters(again.circuit)[name], each)


def test_other_circuits_step_on_the_host() -> None:
    """Densities, and parameters that are no rows."""
    x = dn.Real("x")
    circuit = dn.Circuit(dn.gaussian(x, dn.param("m", [1], "real", [0.0]), [1.0]))
    assert isinstance(steps_of(dn.compile(circuit, device="cuda")), Steps)
    found = dn.fit(circuit, np.array([[1.0], [3.0]]), device="cuda", epochs=3)
    assert parameters(found.circuit)["m"] == pytest.approx([2.0], abs=1e-5)


def test_refusals() -> None:
    with pytest.raises(dn.DanausError, match="kernels for GPUs compute in float32"):
        dn.fit(HMM, rows_of(HMM, 2, 0), device="cuda", dtype="float64")
    with warnings.catch_warnings(), pytest.raises(dn.DanausError, match='there is no device "gpu"'):
        dn.fit(HMM, rows_of(HMM, 2, 0), device="gpu")
