"""Factorised maps whose factors and states stay on chip, in Triton's interpreter against the evaluator's float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import policy
from danaus.backends.triton.plan import plan
from danaus.backends.triton.value import Form
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from small_circuits import evidence


@pytest.fixture(autouse=True)
def everything_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter's precision, without tensor cores, keeps fewer weights on chip than others."""
    monkeypatch.setattr(policy, "resident", lambda precision: 1 << 16)


def agrees(circuit: Circuit, rows: int, seed: int) -> None:
    """One launch, and parity of likelihoods, none of them taken again in float64; −inf exact."""
    assert [launch.kernel.name for launch in plan(program_of(circuit), "ieee", rows).launches] == ["chain"]
    x, observed = evidence(circuit, rows, seed, 0.3)
    model = dn.compile(circuit, device="cuda")
    got = model.log_rows(x, observed)
    want = dn.evaluate(circuit, x, observed=observed, semiring="log")
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    finite = np.isfinite(want)
    np.testing.assert_allclose(got[finite], want[finite], rtol=2e-6, atol=2e-6)
    assert finite.any() and model.recomputed == 0


SIZES = [
    *((2, 2), (2, 3), (3, 5), (5, 3), (16, 2), (2, 17), (4, 4), (16, 16), (8, 32), (4, 64), (128, 2), (12, 20)),
    *((4, 4, 4), (2, 8, 4), (3, 4, 5), (2, 2, 3), (4, 4, 4, 4), (6, 6, 7)),
]


@pytest.mark.parametrize("sizes", SIZES)
def test_chains(sizes: tuple[int, ...]) -> None:
    """Blocks of all sizes, also smaller than a tensor core's, two factors and three; odd numbers of rows."""
    states = int(np.prod(sizes))
    agrees(dn.hmm(dn.Cat("x", 3, shape=6), states=states, transition=dn.monarch(*sizes)), 5, 7)


@pytest.mark.parametrize("sizes", [(3, 5), (4, 4)])
@pytest.mark.parametrize("rows", [1, 33])
def test_maps_without_a_chain(sizes: tuple[int, int], rows: int) -> None:
    """Both factors of two maps in one launch, and what reads the two in another."""
    width, random = sizes[0] * sizes[1], np.random.default_rng(1)
    both = [
        dn.sum(
            dn.categorical(dn.Cat(name, 3), random.dirichlet(np.ones(3), width)), width=width, map=dn.monarch(*sizes)
        )
        for name in "xy"
    ]
    circuit = dn.Circuit(dn.sum(both[0] * both[1], np.full((1, width), 1 / width)), name="p")
    found = plan(program_of(circuit), "ieee", rows).launches
    assert [(launch.kernel.name, launch.groups) for launch in found] == [("chain", 2), ("dense", 1)]
    x, observed = evidence(circuit, rows, 2, 0.3)
    got = dn.compile(circuit, device="cuda").log_rows(x, observed)
    np.testing.assert_allclose(got, dn.evaluate(circuit, x, observed=observed, semiring="log"), rtol=2e-6, atol=2e-6)


def identities(circuit: Circuit, weights: dict[int, float], emission: np.ndarray) -> dn.Compiled:
    """A model of 4 · 4 states that never meet; states of two equal digits are weighed, in each factor."""
    model = dn.compile(circuit, device="cuda")
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if "transition" in name:
            found = np.tile(np.eye(4), (4, 1, 1))
            for state, weight in weights.items():
                found[state // 4, state % 4, state % 4] = weight
            parameter.copy_(torch.from_numpy(found))
        elif "emission" in name:
            parameter.copy_(torch.from_numpy(emission))
    return model


def test_zeros_are_exact() -> None:
    emission = np.full((16, 3), 0.5)
    emission[:, 1] = 0.0
    emission[5, 1] = 0.25
    circuit = dn.hmm(dn.Cat("x", 3, shape=5), states=16, transition=dn.monarch(4, 4))
    rows = np.array([[0, 0, 0, 0, 1], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
    for kept in (0.0, 1.0):
        model = identities(circuit, {5: kept}, emission)
        want = dn.evaluate(model.circuit, rows, semiring="log")
        assert np.isneginf(want).tolist() == [not kept, not kept, False]
        np.testing.assert_allclose(model.log_likelihood(rows).numpy(), want, rtol=1e-6)
        assert model.recomputed == 0


@pytest.mark.parametrize(("weight", "hard"), [(1e-20, True), (1e-5, False)])
def test_what_the_second_factor_loses_is_flagged(weight: float, hard: bool) -> None:
    """A state that the first factor leaves 85 nats below the largest, and the second another 46: all that is left."""
    emission = np.full((16, 3), 1.0)
    emission[:, 2], emission[5] = 0.0, [1e-17, 1.0, 1.0]
    circuit = dn.hmm(dn.Cat("x", 3, shape=6), states=16, transition=dn.monarch(4, 4))
    model = identities(circuit, {5: weight}, emission)
    rows = np.array([[1, 1, 1, 1, 2, 0], [1, 1, 1, 1, 1, 1]])  # the last step is the first of the path
    want = dn.evaluate(model.circuit, rows, semiring="log")
    assert not hard or want[0] < -120
    np.testing.assert_allclose(model.log_likelihood(rows).numpy(), want, rtol=1e-6, atol=1e-6)
    assert model.recomputed == hard


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for more states than stay on chip: two launches, or one with its own scratch where `policy.by_scratch`."""
    monkeypatch.setattr(policy, "resident", lambda precision: 0)
    monkeypatch.setattr(policy, "by_scratch", lambda turn, most, gpu: False)


def links(circuit: Circuit, rows: int) -> list[tuple[bool, bool]]:
    """Of each launch that is one group whether it reads and writes sums."""
    forms = [launch.form for launch in plan(program_of(circuit), "ieee", rows).launches]
    return [(form.reads is not None, form.writes is not None) for form in forms if isinstance(form, Form)]


@pytest.mark.parametrize(
    ("sizes", "steps", "scratch"),
    [((5, 7), 3, False), ((5, 7), 5, True), ((70, 5), 2, False), ((5, 5, 5), 2, False)],
)
def test_sums_between_factors(
    sizes: tuple[int, ...], steps: int, scratch: bool, in_memory: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Factors in launches of their own, or through scratch, hand on sums and powers of two."""
    monkeypatch.setattr(policy, "by_scratch", lambda turn, most, gpu: scratch)
    circuit = dn.hmm(dn.Cat("x", 3, shape=steps), states=int(np.prod(sizes)), transition=dn.monarch(*sizes))
    found = plan(program_of(circuit), "ieee", 5).launches
    if scratch:
        assert [launch.kernel.name for launch in found] == ["path"] and "0x7FFFFF" in found[0].kernel.source
    else:
        assert links(circuit, 5)[: len(sizes)] == [(i > 0, i < len(sizes) - 1) for i in range(len(sizes))]
    x, observed = evidence(circuit, 5, 3, 0.3)
    model = dn.compile(circuit, device="cuda")
    got = model.log_rows(x, observed)
    np.testing.assert_allclose(got, dn.evaluate(circuit, x, observed=observed, semiring="log"), rtol=2e-6, atol=2e-6)
    assert model.recomputed == 0


def test_sums_that_are_zero_or_far_apart(in_memory: None) -> None:
    """States that never meet: none is left, one is left at a hundredth or 10⁻⁴⁰ of the others, which float32 loses."""
    circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=25, transition=dn.monarch(5, 5))
    rows = np.array([[0, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 2]])
    for kept, flagged in ((0.0, 0), (0.1, 0), (1e-20, 1)):
        model = dn.compile(circuit, device="cuda")
        for name, parameter in model.named_parameters():
            if "transition" in name:
                found = np.tile(np.eye(5), (5, 1, 1))
                found[1, 1, 1] = kept
                parameter.copy_(torch.from_numpy(found))
            elif "emission" in name:
                emission = np.full((25, 3), 0.5)
                emission[:, 1], emission[6] = 0.0, [0.5, 0.25, 1e-17]
                parameter.copy_(torch.from_numpy(emission))
        want = dn.evaluate(model.circuit, rows, semiring="log")
        assert np.isneginf(want).tolist() == [not kept, not kept, False, not kept]
        np.testing.assert_allclose(model.log_likelihood(rows).numpy(), want, rtol=1e-6)
        assert (model.recomputed > 0) == (flagged > 0), kept


def test_sums_of_long_chains_do_not_drift(in_memory: None) -> None:
    """At −1,000 the powers of two are whole numbers of some thousands: nothing is rounded but what logarithms are."""
    circuit = dn.hmm(dn.Cat("x", 27, shape=11), states=25, transition=dn.monarch(5, 5))
    model = dn.compile(circuit, device="cuda")
    emission = dict(model.named_parameters())["circuit/emission"]
    emission.copy_(emission * 1e-42)
    x = np.random.default_rng(3).integers(0, 27, (3, 11))
    want = dn.evaluate(model.circuit, x, semiring="log")
    assert (want < -1000).all()
    np.testing.assert_allclose(model.log_likelihood(x).numpy(), want, rtol=3e-7)
    assert model.recomputed == 0
