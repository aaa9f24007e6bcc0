"""Folded circuits, compiled: their tables follow parameters, and what float64 cannot fold runs as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.compiler.folding import Folding


def half(length: int = 9, states: int = 4) -> tuple[dn.Circuit, dn.Circuit]:
    """A chain with matrices of its own in each step, and the same with some steps summed out."""
    random = np.random.default_rng(0)
    x = dn.Cat("x", 3, shape=length)

    def rows(name: str, *shape: int) -> dn.Expression:
        value = random.dirichlet(np.ones(shape[-1]), shape[:-1])
        return dn.param(name, shape, value=value)

    block = dn.categorical(x[0], rows("e0", states, 3))
    for t in range(1, length):
        block = dn.sum(block, rows(f"t{t}", states, states)) * dn.categorical(x[t], rows(f"e{t}", states, 3))
    whole = dn.Circuit(dn.sum(block, rows("root", 1, states)))
    return whole, dn.integrate(whole, [whole.variables[t] for t in (0, 1, 4, 5, 6, 8)])


def folding_of(model: torch.nn.Module) -> Folding:
    engine = model.present.engine()
    assert isinstance(engine, Folding)
    return engine


ROWS = np.array([[0, 1, 2], [2, 2, 0], [1, 0, 1]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derived_tables_follow_parameters_in_place(dtype: str) -> None:
    _, circuit = half()
    model = dn.compile(circuit, dtype=dtype)
    within = 1e-6 if dtype == "float32" else 1e-12
    for _ in range(3):
        want = dn.likelihood(model.circuit, ROWS)
        assert np.abs(model.log_likelihood(ROWS).numpy() - want).max() <= within * np.abs(want).max()
        assert folding_of(model).now is folding_of(model).fast
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(torch.rand_like(parameter))
    assert model.recomputed == 0


def test_what_cannot_be_folded_runs_as_it_was_until_it_can() -> None:
    """Both engines answer, one after the other."""
    _, circuit = half()
    model = dn.compile(circuit, dtype="float64")
    held = {name: parameter.clone() for name, parameter in model.named_parameters()}
    before = model.log_likelihood(ROWS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("e"):
                parameter.mul_(1e-290)
    far = model.log_likelihood(ROWS)
    assert folding_of(model).now is not folding_of(model).fast
    torch.testing.assert_close(far, torch.from_numpy(dn.likelihood(model.circuit, ROWS)), rtol=1e-12, atol=0)
    torch.testing.assert_close(far, before + 9 * np.log(1e-290), rtol=1e-12, atol=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(held[name])
    assert torch.equal(model.log_likelihood(ROWS), before)
    assert folding_of(model).now is folding_of(model).fast


def test_a_long_constant_keeps_its_power_of_two() -> None:
    """600 steps summed out, each of which takes 1e-3: beyond float64, and exact all the same."""
    x = dn.Bool("x", shape=600)
    block = dn.table(x[0], np.full((2, 2), 5e-4))
    for t in range(1, 600):
        block = dn.sum(block, np.full((2, 2), 0.5)) * dn.table(x[t], np.full((2, 2), 5e-4))
    circuit = dn.Circuit(dn.sum(block, [[0.5, 0.5]]))
    model = dn.compile(dn.integrate(circuit, list(circuit.variables[1:])))
    got = model.log_likelihood(np.array([[0], [1]])).numpy()
    want = np.log(5e-4) + 599 * np.log(1e-3)
    np.testing.assert_allclose(got, [want, want], rtol=1e-6)


def test_zeros_stay_exact() -> None:
    x = dn.Bool("x", shape=3)
    first, second, third = (dn.table(each, [[1.0, 0.0], [0.0, 1.0]]) for each in x)
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    root = dn.sum(dn.sum(dn.sum(first, swap) * second, swap) * third, [[1.0, 0.0]])
    model = dn.compile(dn.integrate(dn.Circuit(root), [x[1]]))
    answer = model.log_likelihood(np.array([[0, 0], [0, 1], [1, 0], [1, 1]])).exp().numpy()
    assert answer.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert model.recomputed == 0


def test_derivatives_are_those_of_the_program_before_passes() -> None:
    whole, circuit = half()
    model, all_of_it = dn.compile(circuit, dtype="float64"), dn.compile(whole, dtype="float64")
    x, seen = np.zeros((3, 9)), np.zeros((3, 9), dtype=bool)
    x[:, [2, 3, 7]], seen[:, [2, 3, 7]] = ROWS, True
    for each in (model, all_of_it):
        each.requires_grad_()
    model.log_likelihood(ROWS).sum().backward()
    all_of_it.log_likelihood(x, seen).sum().backward()
    others = dict(all_of_it.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, others[name].grad, rtol=1e-9, atol=1e-12)


def test_a_bundle_holds_derived_tables(tmp_path: Path) -> None:
    _, circuit = half()
    model = dn.compile(circuit)
    model.save(tmp_path / "p.danaus")
    bundle = dn.load_bundle(tmp_path / "p.danaus")
    torch.testing.assert_close(bundle.log_likelihood(ROWS), model.log_likelihood(ROWS), rtol=1e-6, atol=0)
