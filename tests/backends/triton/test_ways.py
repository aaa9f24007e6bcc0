"""The policy asks the cost model: one launch or many, and how wide a path's tiles are, by predicted times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import policy, tiled, ways
from danaus.backends.triton.launch import Launch
from danaus.backends.triton.plan import Plan, plan
from danaus.backends.triton.policy import batch_class, classes, typical
from danaus.backends.triton.roofline import memory_of, predicted, seconds_of, work_of
from danaus.backends.triton.targets import gpu_named
from danaus.backends.triton.tiled import launched, with_tiles
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit

H200 = gpu_named("cuda:sm_90")
CLASSES = classes(H200)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    ways.seconds.cache_clear()
    yield
    ways.seconds.cache_clear()


def monarch(first: int, second: int, steps: int = 9) -> Circuit:
    return dn.hmm(dn.Cat("x", 3, shape=steps), states=first * second, transition=dn.monarch(first, second))


def both(circuit: Circuit, rows: int, patch: pytest.MonkeyPatch) -> tuple[Plan, Plan]:
    """The plans with every path in one launch, and with none so."""
    found: list[Plan] = []
    for one in (True, False):
        patch.setattr("danaus.backends.triton.plan.one_launch", lambda *given, one=one: one)
        found.append(plan(program_of(circuit), "bf16x3", rows))
    patch.undo()
    return found[0], found[1]


@pytest.mark.parametrize("rows", CLASSES)
@pytest.mark.parametrize("circuit", [monarch(32, 32), monarch(64, 64), dn.hmm(dn.Cat("x", 3, shape=9), states=600)])
def test_the_plan_is_the_one_that_is_predicted_to_be_faster(
    circuit: Circuit, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = plan(program_of(circuit), "bf16x3", rows)
    one, many = both(circuit, rows, monkeypatch)
    assert len(one.launches) == 1 < len(many.launches)
    times = [predicted(each.launches, typical(rows), H200, "bf16x3") for each in (one, many)]
    quicker = one if times[0] <= (1 - ways.GAIN) * times[1] else many
    assert [each.kernel for each in chosen.launches] == [each.kernel for each in quicker.launches]


def test_both_ways_are_taken() -> None:
    found = {len(plan(program_of(monarch(64, 64)), "bf16x3", rows).launches) for rows in CLASSES}
    assert min(found) == 1 < max(found)


def test_a_gap_between_launches_decides() -> None:
    counts: list[int] = []
    for gap in (0.0, 1.0):
        rates = replace(H200.rates, launch=gap)
        other = replace(H200, rates=rates)
        counts.append(len(plan(program_of(monarch(64, 64)), "bf16x3", 512, gpu=other).launches))
    assert counts[0] > 1 == counts[1]


def test_small_loops_are_one_launch_whatever_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "seconds", lambda form, alike, rows, precision, gpu: 1.0)
    assert len(plan(program_of(dn.hmm(dn.Cat("x", 3, shape=9), states=256)), "ieee", 32).launches) == 1
    monkeypatch.setattr(policy, "LOOPED", 0)
    monkeypatch.setattr(
        ways, "seconds", lambda form, alike, rows, precision, gpu: 1e-9 if hasattr(form, "matrix") else 1.0
    )
    assert len(plan(program_of(dn.hmm(dn.Cat("x", 3, shape=9), states=256)), "ieee", 32).launches) > 1


def test_one_class_has_one_plan() -> None:
    """Whatever batch of a class comes first, the launches are the same."""
    program = program_of(monarch(64, 64))
    for most, rows in zip(CLASSES, ((1, 7, 512), (513, 2000, 8448), (8449, 10**6)), strict=True):
        kernels = {tuple(each.kernel.digest for each in plan(program, "bf16x3", n).launches) for n in rows}
        assert len(kernels) == 1
        assert batch_class(typical(most)) == most


def path(states: int, rows: int) -> Launch:
    (launch,) = plan(program_of(dn.hmm(dn.Cat("x", 3, shape=9), states=states)), "bf16x3", rows).launches
    return launch


def test_tiles_of_a_path_are_those_predicted_to_be_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    for rows in CLASSES[1:]:
        chosen = path(256, rows)
        times: dict[int, float] = {}
        for tile in (16, 32, 64):
            monkeypatch.setattr(tiled, "_halves", lambda batch, tile=tile: [tile])
            times[tile] = seconds_of(path(256, rows), typical(rows), H200, "bf16x3")
        monkeypatch.undo()
        assert times[chosen.batch] == min(times.values())
    assert path(256, CLASSES[1]).batch < path(256, CLASSES[2]).batch


def test_what_the_cache_holds_does_not_come_of_memory() -> None:
    launch = plan(program_of(dn.hmm(dn.Cat("x", 3, shape=3), states=1024)), "bf16x3", 512).launches[1]
    rates = H200.rates
    for rows in (64, 4096, 1 << 17):
        work = work_of(launch, rows, "bf16x3")
        beyond = max(0.0, work.moved - rates.cache)
        want = max((work.fixed + beyond) / rates.bytes, work.moved / (rates.stream * rates.units))
        assert memory_of(launch, work, rows, rates) == pytest.approx(want)
    assert memory_of(launch, work, rows, replace(rates, cache=0.0)) > want


def test_a_scratch_that_the_cache_does_not_hold_passes_memory() -> None:
    (launch,) = plan(program_of(monarch(64, 64)), "bf16x3", 1 << 20).launches
    rows = 1 << 16
    work, rates = work_of(launch, rows, "bf16x3"), H200.rates
    small, large = (memory_of(launch, work, rows, replace(rates, cache=cache)) for cache in (0.0, 1e12))
    # eight maps of two factors write 4096 numbers each, which the next stage reads; the root is one number
    state = 4 * rows * 2 * (4096 * 16 + 1)
    assert small == pytest.approx((work.bytes + state) / rates.bytes)
    assert large == pytest.approx(max(work.bytes / rates.bytes, state / (rates.stream * rates.units)))


def test_answers_are_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = monarch(3, 4, 6)
    x = np.random.default_rng(2).integers(0, 3, (5, 6))
    want = dn.evaluate(circuit, x, semiring="log")
    for one in (True, False):
        monkeypatch.setattr("danaus.backends.triton.plan.one_launch", lambda *given, one=one: one)
        got = dn.compile(circuit, device="cuda").log_likelihood(x).numpy()
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_matrix_has_the_batch_tile_that_is_predicted_to_be_fastest() -> None:
    """Few weights are waited for, and many are read less often by wider tiles."""
    found: dict[int, int] = {}
    for states in (600, 4096):
        circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=states)
        launch = next(each for each in plan(program_of(circuit), "bf16x3", 512).launches if each.tiles.rows > 1)
        found[states] = launch.batch
        times = {
            tile: seconds_of(
                launched(launch.form, with_tiles(launch.form, replace(launch.tiles, batch=tile), "bf16x3"), 0, 1),
                typical(512), H200, "bf16x3",
            )
            for tile in (16, 32, 64)
        }  # fmt: skip
        assert times[launch.batch] == min(times.values())
    assert found[600] < found[4096]


def test_wider_tiles_give_the_same_likelihoods_and_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a plan's launches have tiles of several widths, up and back."""
    monkeypatch.setattr(tiled, "_quickest", lambda form, several, rows, precision, gpu: several[-1])
    monkeypatch.setattr("danaus.backends.triton.plan.one_launch", lambda *given: False)
    circuit = dn.hmm(dn.Cat("x", 3, shape=3), states=9)
    made = plan(program_of(circuit), "ieee", 16)
    assert {launch.batch for launch in made.launches} == {16, 64} and made.batch == 64
    x = np.random.default_rng(2).integers(0, 3, (19, 3))
    model, exact = dn.compile(circuit, device="cuda"), dn.compile(circuit, dtype="float64")
    want = dn.evaluate(circuit, x, semiring="log")
    np.testing.assert_allclose(model.log_likelihood(x).numpy(), want, rtol=1e-6)
    for each in (model, exact):
        each.requires_grad_()
        each.log_likelihood(x).sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, dict(exact.named_parameters())[name].grad, rtol=1e-4, atol=1e-4)
