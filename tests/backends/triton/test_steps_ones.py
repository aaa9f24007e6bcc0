"""Numbers of ones of Programs of vectors by kernels through Triton's interpreter, against enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import comb

import numpy as np
import pytest

import danaus as dn
from danaus.backends.triton import sparse_policy, steps_ones
from danaus.backends.triton.network import Shape
from danaus.backends.triton.scalar import Device
from danaus.compiler.lowering.lower import lower
from danaus.ir.circuit import Circuit

pytest.importorskip("triton")

TREE = np.random.default_rng(0).integers(0, 2, (40, 4)).astype(float)
CIRCUITS = {
    "chain": lambda: dn.hmm(dn.Bool("x", shape=4), states=3),
    "one variable": lambda: dn.hmm(dn.Bool("x", shape=1), states=3),
    "Monarch": lambda: dn.hmm(dn.Bool("x", shape=3), states=6, transition=dn.monarch(2, 3)),
    "three factors": lambda: dn.hclt(TREE, dn.Bool("x", shape=4), states=2),
    "joins": lambda: dn.poon_domingos(dn.Bool("x", shape=4), shape=[2, 2], delta=1, states=2),
    "all pairs": lambda: dn.quad_tree(dn.Bool("x", shape=4), shape=[2, 2], states=2, layer="tucker"),
    "all pairs of four": lambda: _pairs(),
    "gathers and scales": lambda: _gathered(),
}


def _pairs() -> Circuit:
    """All pairs of four inputs of unlike widths."""
    x, drawn = dn.Bool("x", shape=4), np.random.default_rng(3)
    inputs = [dn.bernoulli(x[i], drawn.random(width)) for i, width in enumerate((2, 1, 3, 2))]
    return dn.Circuit(dn.sum(dn.kron(*inputs), drawn.random((1, 12))))


def _gathered() -> Circuit:
    """A product of a sum of two inputs' products, permuted and scaled, and of an input of higher degree below it."""
    x, drawn = dn.Bool("x", shape=4), np.random.default_rng(4)
    a, b, c, d = (dn.bernoulli(each, drawn.random(3)) for each in x)
    mixed = dn.sum(dn.product([a, b, c]), drawn.random((3, 3)))
    turned = dn.sum(dn.gather(mixed, [2, 0, 0]), dn.const("d", [3], value=drawn.random(3)), map=dn.diagonal)
    return dn.Circuit(dn.sum(dn.product([turned, d]), drawn.random((1, 3))))


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of what is launched."""
    launched: list[str] = []
    launch = Device.launch

    def noted(self: Device, kernel, grid, arguments) -> None:  # type: ignore[no-untyped-def]
        launched.append(kernel.name)
        launch(self, kernel, grid, arguments)

    monkeypatch.setattr(Device, "launch", noted)
    with np.errstate(divide="ignore"):
        yield launched


def enumerated(circuit: Circuit) -> np.ndarray:
    """The mass of each number of ones, by all assignments."""
    cells = np.array(list(itertools.product((0.0, 1.0), repeat=len(circuit.variables))))
    mass = np.exp(dn.evaluate(circuit, cells, semiring="log"))
    return np.bincount(cells.sum(axis=1).astype(int), weights=mass, minlength=cells.shape[1] + 1)


@pytest.mark.parametrize("kind", CIRCUITS)
@pytest.mark.parametrize("tile", ["policy", "small"])
def test_every_coefficient(kind: str, tile: str, monkeypatch: pytest.MonkeyPatch, interpreted: list[str]) -> None:
    """By enumeration, also where nodes and coefficients are many tiles."""
    if tile == "small":
        monkeypatch.setattr(sparse_policy, "shape", lambda rows, drain=False: Shape(2, 4, 4, drain))
    circuit = CIRCUITS[kind]()
    got = dn.compile(circuit, device="cuda").hamming()
    np.testing.assert_allclose(got.exp().numpy(), enumerated(circuit), rtol=1e-12)
    assert set(interpreted) == {"ones_step"}


def test_a_chain_of_more_coefficients_than_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve steps over eight lanes, by adding up states and numbers of ones step by step."""
    length = 12
    monkeypatch.setattr(sparse_policy, "shape", lambda rows, drain=False: Shape(4, 8, 4, drain))
    circuit = dn.hmm(dn.Bool("x", shape=length), states=2)
    found = {parameter.name: value.floats for parameter, value in circuit.store.items()}
    initial, move, one = (found[f"circuit.{name}"] for name in ("initial", "transition", "emission"))
    mass = np.zeros((2, length + 1))
    mass[:, 0] = initial[0]
    for step in range(length):
        before = mass if step == 0 else move.T @ mass
        mass = before * (1 - one.reshape(2, -1)[:, -1:])
        mass[:, 1:] += before[:, :-1] * one.reshape(2, -1)[:, -1:]
    got = dn.compile(circuit, device="cuda").hamming().exp().numpy()
    np.testing.assert_allclose(got, mass.sum(axis=0), rtol=1e-10)


def test_small_coefficients_and_none_are_right() -> None:
    """One in 10^400 beside one, and numbers of ones that nothing has."""
    rare = 1e-80
    x = dn.Bool("x", shape=5)
    product = dn.product([dn.bernoulli(each, [rare, rare]) for each in x])
    got = dn.compile(dn.Circuit(dn.sum(product, [[0.5, 0.5]])), device="cuda").hamming().numpy()
    want = [np.log(comb(5, ones)) + ones * np.log(rare) for ones in range(6)]
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)
    all_or_none = dn.product([dn.bernoulli(each, [0.0, 1.0]) for each in x])
    got = dn.compile(dn.Circuit(dn.sum(all_or_none, [[0.25, 0.75]])), device="cuda").hamming().exp().numpy()
    np.testing.assert_allclose(got, [0.25, *[0.0] * 4, 0.75], rtol=1e-14, atol=0)


def test_other_numbers_take_the_place_of_those_before() -> None:
    circuit = CIRCUITS["chain"]()
    model = dn.compile(circuit, device="cuda")
    model.hamming()
    other = dn.hmm(dn.Bool("x", shape=4), states=3, seed=1)
    values = {mine: other.store[theirs] for mine, theirs in zip(circuit.store, other.store, strict=True)}
    model.take(circuit.store.updated(values))
    np.testing.assert_allclose(model.hamming().exp().numpy(), enumerated(other), rtol=1e-12)


def test_room_is_used_again(monkeypatch: pytest.MonkeyPatch, interpreted: list[str]) -> None:
    """Of a chain it is the same for any number of steps; where it would be too much, the CPU counts."""
    found = [steps_ones.ones_of(lower(dn.hmm(dn.Bool("x", shape=steps), states=3)).program, steps) for steps in (6, 60)]
    rows = [each.steps.rows for each in found if each is not None]
    assert len(rows) == 2 and rows[0] == rows[1]
    circuit = CIRCUITS["three factors"]()
    monkeypatch.setattr(steps_ones, "ROOM", 0)
    got = dn.compile(circuit, device="cuda").hamming().exp().numpy()
    np.testing.assert_allclose(got, enumerated(circuit), rtol=1e-12)
    assert not interpreted
