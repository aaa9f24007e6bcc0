"""Kernels in Triton's interpreter against the evaluator's float64: random circuits, odd sizes, zeros, mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import engine, policy
from danaus.backends.triton.plan import plan
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from small_circuits import evidence, random_circuit


def _agrees(circuit: Circuit, rows: int, seed: int, missing: float = 0.4) -> int:
    """Parity of likelihoods, −inf exact; how many rows were taken again in float64."""
    x, observed = evidence(circuit, rows, seed, missing)
    model = dn.compile(circuit, device="cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        got = model.log_rows(x, observed)
        want = dn.evaluate(circuit, x, observed=observed, semiring="log")
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    finite = np.isfinite(want)
    bound = 5e-7 * (1 + len(circuit.blocks) ** 0.5) * np.maximum(1, np.abs(want[finite]))
    assert (np.abs(got[finite] - want[finite]) <= bound).all()
    return model.recomputed


def _vectors(seed: int) -> Circuit | None:
    circuit = random_circuit(seed)
    return None if program_of(circuit).layouts else circuit


RANDOM = [seed for seed in range(60) if _vectors(seed) is not None]


@pytest.mark.parametrize("seed", RANDOM)
def test_random_circuits(seed: int) -> None:
    circuit = _vectors(seed)
    assert circuit is not None
    assert _agrees(circuit, 7, seed) == 0


@pytest.mark.parametrize("rows", [0, 1, 16, 17])
def test_every_batch_size(rows: int) -> None:
    assert _agrees(dn.hmm(dn.Cat("x", 5, shape=3), states=9), rows, 1) == 0


@pytest.mark.parametrize("states", [1, 2, 5, 16, 33, 70])
def test_every_width(states: int) -> None:
    assert _agrees(dn.hmm(dn.Cat("x", 3, shape=3), states=states), 3, 2) == 0


@pytest.mark.parametrize("blocks", [(3, 5), (8, 8), (17, 2)])
def test_monarch_factors(blocks: tuple[int, int]) -> None:
    first, second = blocks
    circuit = dn.hmm(dn.Cat("x", 3, shape=3), states=first * second, transition=dn.monarch(first, second))
    assert _agrees(circuit, 5, 3) == 0


CHAINS = [(1, 9), (3, 6), (9, 2), (9, 3), (9, 4), (9, 12), (40, 5)]


@pytest.mark.parametrize("place", ["registers", "memory"])
@pytest.mark.parametrize(("states", "steps"), CHAINS)
def test_chains_in_one_launch(states: int, steps: int, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hidden Markov model with its state in registers, and in memory where its weights would not fit on chip."""
    if place == "memory":
        monkeypatch.setattr(policy, "resident", lambda precision: 0)
        monkeypatch.setattr(policy, "by_scratch", lambda turn, most, gpu: True)
    circuit = dn.hmm(dn.Cat("x", 3, shape=steps), states=states)
    found = plan(program_of(circuit), "ieee", 16)
    assert [launch.kernel.name for launch in found.launches] == ["chain" if place == "registers" else "path"]
    assert _agrees(circuit, 5, 7) == 0


@pytest.mark.parametrize(("states", "rows"), [(64, 32), (128, 32), (256, 32), (256, 1_000)])
@pytest.mark.parametrize("precision", ["bf16x3", "tf32", "bf16", "ieee"])
def test_launches_of_long_chains(states: int, rows: int, precision: policy.Precision) -> None:
    circuit = dn.hmm(dn.Cat("x", 27, shape=256), states=states)
    assert len(plan(program_of(circuit), precision, rows).launches) == 1


def test_launches_of_a_monarch_layer() -> None:
    """Two for each factorised map of a small batch; all in one where batch tiles fill the device."""
    circuit = dn.hmm(dn.Cat("x", 27, shape=3), states=4096, transition=dn.monarch(64, 64))
    assert len(plan(program_of(circuit), "bf16x3", 100).launches) == 5
    assert len(plan(program_of(circuit), "bf16x3", 20_000).launches) == 1


def test_chains_of_factors_in_one_launch() -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=6), states=12, transition=dn.monarch(3, 4))
    assert len(plan(program_of(circuit), "ieee", 16).launches) == 1
    assert _agrees(circuit, 5, 7) == 0


def test_each_step_may_have_weights_of_its_own() -> None:
    variables = [dn.Cat(f"x{i}", 3) for i in range(7)]
    random = np.random.default_rng(3)
    state = dn.categorical(variables[0], random.dirichlet(np.ones(3), 5))
    for variable in variables[1:]:
        moved = dn.sum(state, random.dirichlet(np.ones(5), 5))
        state = dn.product([moved, dn.categorical(variable, random.dirichlet(np.ones(3), 5))])
    circuit = dn.Circuit(dn.sum(state, np.full((1, 5), 0.2)), name="p")
    assert len(plan(program_of(circuit), "ieee", 16).launches) == 1
    assert _agrees(circuit, 6, 8) == 0


def test_a_chain_flags_what_it_loses() -> None:
    """States that never meet: one falls 240 nats below, and is most of what the last value leaves, or all of it.

    Where states meet at every step, as much falls below the largest, and none of it matters.
    """
    steps = 9
    rows = np.array([[0] * 8 + [2], [0] * 9, [2] * 9, [1] * 9])
    for last, transition, hard in (
        (1e-200, np.diag([1.0, 1.0, 0.0]), True),
        (0.0, np.diag([1.0, 1.0, 0.0]), True),
        (1e-200, np.full((3, 3), 1 / 3), False),
    ):
        emission = np.array([[0.999, 0.001, last], [1e-13, 1.0, 0.5], [1e-50, 0.5, 0.5]])
        variables = [dn.Cat(f"x{i}", 3) for i in range(steps)]
        state = dn.table(variables[0], emission)
        for variable in variables[1:]:
            state = dn.product([dn.sum(state, transition), dn.table(variable, emission)])
        circuit = dn.Circuit(dn.sum(state, np.full((1, 3), 1 / 3)), name="p")
        assert plan(program_of(circuit), "ieee", 16).launches[0].kernel.name == "chain"
        model = dn.compile(circuit, device="cuda")
        want = dn.evaluate(circuit, rows, semiring="log")
        np.testing.assert_allclose(model.log_likelihood(rows).numpy(), want, rtol=1e-6)
        assert (model.recomputed > 0) == hard
        assert not hard or want[0] < -200


def test_one_launch_for_all_inputs_of_a_level() -> None:
    """A binary tree over eight variables: what is alike and waits for as much runs together."""
    leaves = [dn.categorical(dn.Cat(f"x{i}", 3), np.full((4, 3), 1 / 3)) for i in range(8)]
    sums = [dn.sum(leaves[i] * leaves[i + 1], np.full((4, 4), 0.25)) for i in range(0, 8, 2)]
    root = dn.sum(dn.product(sums), np.full((1, 4), 0.25))
    circuit = dn.Circuit(root, name="p")
    assert len(plan(program_of(circuit), "ieee", 16).launches) == 2
    assert _agrees(circuit, 5, 4) == 0


def test_many_factors_become_a_tree_of_products() -> None:
    circuit = dn.Circuit(dn.product([dn.bernoulli(dn.Bool(f"x{i}"), [0.25 + i / 200]) for i in range(64)]), name="p")
    found = plan(program_of(circuit), "ieee", 16)
    assert [launch.groups for launch in found.launches] == [8, 1]
    assert _agrees(circuit, 4, 5) == 0


def test_long_joins_are_written_in_place() -> None:
    parts = [dn.bernoulli(dn.Bool(f"x{i}"), [0.2, 0.9]) for i in range(7)]
    sums = [dn.sum(part, np.full((3, 2), 0.5)) for part in parts]
    ones = [dn.sum(dn.product([part for j, part in enumerate(sums) if j != i]), np.eye(3)) for i in range(7)]
    wide = dn.concat(*[dn.product([sums[i], ones[i]]) for i in range(7)])
    circuit = dn.Circuit(dn.sum(wide, np.full((1, 21), 1 / 21)), name="p")
    assert _agrees(circuit, 4, 6) == 0


@pytest.mark.parametrize(("resident", "scratch"), [(1 << 14, True), (0, True), (0, False)])
def test_values_far_below_the_largest_are_not_lost_in_silence(
    resident: int, scratch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two states that never meet: the one that is 400 nats below is all that the last value leaves."""
    monkeypatch.setattr(policy, "resident", lambda precision: resident)
    monkeypatch.setattr(policy, "by_scratch", lambda turn, most, gpu: scratch)
    emission = np.array([[1 - 1e-80, 1e-80, 0.0], [1e-280, 1e-280, 1.0]])
    emission[:, 0] = [1.0, 1e-200]
    x, y = dn.Cat("x", 3), dn.Cat("y", 3)
    first = dn.table(x, emission)
    second = dn.sum(first, np.eye(2) * 0.5)
    third = dn.sum(dn.product([second, dn.table(y, [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])]), np.array([[0.5, 0.5]]))
    circuit = dn.Circuit(third, name="p")
    model = dn.compile(circuit, device="cuda")
    rows = np.array([[0, 2], [0, 0], [2, 2]])
    want = dn.evaluate(circuit, rows, semiring="log")
    np.testing.assert_allclose(model.log_likelihood(rows).numpy(), want, rtol=1e-6)
    assert want[0] < -400
    assert model.recomputed >= 1


def test_weights_of_any_size() -> None:
    """Scales beyond float32, and entries that underflow beside the largest."""
    x = dn.Cat("x", 3)
    leaf = dn.categorical(x, [[0.5, 0.25, 0.25], [0.0, 0.5, 0.5], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    for scale in (1e-300, 1e-30, 1.0, 1e200):
        weights = np.array([[1, 2, 3, 4, 1e-60], [1e-45, 0, 0, 0, 1e-50], [1, 0, 0, 0, 0]] * 2) * scale
        root = dn.sum(dn.sum(leaf, weights), np.full((1, 6), 1.0))
        circuit = dn.Circuit(root, name="p")
        got = dn.compile(circuit, device="cuda").log_rows(np.arange(3.0)[:, None], np.ones((3, 1), bool))
        np.testing.assert_allclose(got, dn.evaluate(circuit, np.arange(3)[:, None], semiring="log"), rtol=1e-6)


def test_densities_are_given() -> None:
    x, y = dn.Real("x"), dn.Cat("y", 2)
    p = dn.sum(
        dn.gaussian(x, [0.0, 1.0, 50.0], [1.0, 2.0, 0.1]) * dn.categorical(y, np.full((3, 2), 0.5)), [[0.2, 0.3, 0.5]]
    )
    circuit = dn.Circuit(p, name="p")
    rows = np.array([[0.5, 1], [60.0, 0], [-1e3, 1]])
    got = dn.compile(circuit, device="cuda").log_likelihood(rows).numpy()
    np.testing.assert_allclose(got, dn.evaluate(circuit, rows, semiring="log"), rtol=1e-6)


def test_other_parameters_need_no_other_kernels() -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=3), states=4)
    model = dn.compile(circuit, device="cuda")
    x = np.array([[0, 1, 2], [2, 2, 0]])
    before = model.log_likelihood(x).numpy()
    emission = dict(model.named_parameters())["circuit/emission"]
    emission.copy_(emission.flip(1))
    after = model.log_likelihood(x).numpy()
    np.testing.assert_allclose(after, dn.evaluate(model.circuit, x, semiring="log"), rtol=1e-6)
    assert (np.abs(after - before) > 1e-3).all()


def test_launches_are_recorded_once_for_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a CUDA graph would replay them: on the buffers of the first time, with other codes, densities and weights."""
    recorded: list[object] = []

    def captured(device: object, launch: Callable[[], None]) -> Callable[[], None]:
        recorded.append(launch)
        return launch

    filled: list[object] = []
    usual = engine.Placed.filled

    def counted(placed: engine.Placed, *given: Any) -> Any:
        filled.append(placed)
        return usual(placed, *given)

    monkeypatch.setattr(policy, "records", lambda device, launches: True)
    monkeypatch.setattr(engine, "captured", captured)
    monkeypatch.setattr(engine.Placed, "filled", counted)
    x, y = dn.Real("x"), dn.Cat("y", 2)
    weights = dn.param("w", [1, 3], "simplex", [[0.2, 0.3, 0.5]])
    parts = dn.gaussian(x, [0.0, 1.0, 50.0], [1.0, 2.0, 0.1]) * dn.categorical(y, [[0.5, 0.5], [0.1, 0.9], [1.0, 0.0]])
    model = dn.compile(dn.Circuit(dn.sum(parts, weights), name="p"), device="cuda")
    for rows in ([[0.5, 1], [60.0, 0]], [[1.5, 0], [2.0, 1], [0.0, 0]]):
        got = model.log_likelihood(np.array(rows)).numpy()
        np.testing.assert_allclose(got, dn.evaluate(model.circuit, np.array(rows), semiring="log"), rtol=1e-6)
        dict(model.named_parameters())["w"].copy_(torch.tensor([[0.5, 0.4, 0.1]]))
    assert len(recorded) == len(filled) == 1  # no memory is taken but that of the first time
    model.log_likelihood(np.zeros((17, 2)))
    assert len(recorded) == 2


def test_one_program_one_text() -> None:
    """Kernels and places are equal in two processes."""
    code = """
import danaus as dn
from danaus.backends.triton import policy
from danaus.backends.triton.plan import plan
from danaus.compiler.pipeline import program_of
p = plan(program_of(dn.hmm(dn.Cat("x", 3, shape=9), states=24, transition=dn.monarch(4, 6))), "bf16x3", 600)
print([(launch.kernel.digest, launch.first, launch.programs) for launch in p.launches], p.places.tolist())
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"device": "abacus"}, "unknown-device"),
        ({"device": "cuda", "precision": "exact"}, "unknown-precision"),
        ({"device": "cpu", "precision": "tf32"}, "unknown-precision"),
        ({"device": "cuda", "dtype": "float64"}, "unknown-type"),
    ],
)
def test_what_is_refused(arguments: dict[str, str], code: str) -> None:
    with pytest.raises(dn.DanausError) as raised:
        dn.compile(dn.hmm(dn.Cat("x", 3, shape=2), states=2), **arguments)
    assert raised.value.diagnostics[0].code == code


def test_without_a_gpu_it_says_so() -> None:
    code = "import danaus as dn; dn.compile(dn.hmm(dn.Cat('x', 3, shape=2), states=2), device='cuda')"
    rest = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    hidden = rest | {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], env=hidden, capture_output=True, text=True, check=False)
    assert "no-device" in done.stderr.splitlines()[-2] or "no-device" in done.stderr
