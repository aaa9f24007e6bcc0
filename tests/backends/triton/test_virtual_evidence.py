"""Weights in place of values, and numbers of ones, by kernels through Triton's interpreter, against enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from danaus.backends.triton import sparse_policy
from danaus.backends.triton.network import Form, Shape
from danaus.backends.triton.network_ones import ones
from danaus.backends.triton.scalar import Device, Scalar
from danaus.compiler.lowering.lower import lower
from danaus.compiler.lowering.tables import held
from danaus.ir.block import Block, indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Variable
from danaus.ir.family import Table
from danaus.ir.linear import sparse
from danaus.ir.parameter import Parameter, Value
from danaus.ir.store import Store
from tangled_networks import executed

pytest.importorskip("triton")

HERE = Device(torch.device("cpu"))


@pytest.fixture(params=["one launch", "levels"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    count = 2 if request.param == "one launch" else 0
    monkeypatch.setattr(sparse_policy, "programs", lambda *_: count)
    with np.errstate(divide="ignore"):
        yield request.param


def tree(seed: int, sizes: list[int], booleans: bool = False) -> Circuit:
    """A sum of four products of leaves, one of each variable's two, with a few zeros."""
    random = np.random.default_rng(seed)
    values: dict[Parameter, Value] = {}

    def numbers(shape: tuple[int, ...], zeros: float) -> Parameter:
        parameter = Parameter(f"w{len(values)}", shape, None, True)
        values[parameter] = Value.of(np.where(random.random(shape) < zeros, 0.0, random.uniform(0.1, 1.0, shape)))
        return parameter

    domains = [Bool() if booleans else Cat(size) for size in sizes]
    x = [Variable(f"x{i}", domain) for i, domain in enumerate(domains)]
    leaves: list[Block] = [
        input_block(Table(), each, (numbers((2, size), 0.2),)) for each, size in zip(x, sizes, strict=True)
    ]
    count = len(sizes)
    picked = random.integers(0, 2, (4, count)) + 2 * np.arange(count)
    product = indexed(leaves, np.arange(5) * count, picked.ravel())
    mixed = weighted([product], sparse([0] * 4, range(4), numbers((4,), 0.0), 1, 4))
    return Circuit(mixed, Store(values), "t")


@pytest.mark.parametrize(("size", "form"), [(4, "linear"), (8, "linear"), (8, "log")])
def test_weights_stand_for_values(way: str, size: int, form: Form) -> None:
    """A row is the sum over all values by their weights, zeros among them, beside columns with codes or without."""
    circuit = tree(1, [3, 2, 4])
    found = lower(circuit)
    program, tables = found.program, held(found.tables, circuit.store)
    random = np.random.default_rng(0)
    rows = 4
    evidence = {0: random.random((rows, 3)), 2: np.where(random.random((rows, 4)) < 0.5, 0.0, 2.0)}
    evidence[2][3] = 0.0
    codes = np.array([[3] * rows, [0, 1, 2, 0], [4] * rows])
    engine = Scalar(program, size, form, HERE)
    engine.refill(tables)
    got = engine.run(codes, {}, evidence=evidence).log
    total = np.zeros(rows)
    for a, c in itertools.product(range(3), range(4)):
        each = np.array([[a] * rows, codes[1], [c] * rows])
        total += np.exp(executed(program, tables, each)) * evidence[0][:, a] * evidence[2][:, c]
    np.testing.assert_allclose(np.exp(got), total, rtol=1e-5 if size == 4 else 1e-12)
    assert np.isneginf(got[3])


def _enumerated(circuit: Circuit) -> np.ndarray:
    """The mass of each number of ones, by all assignments."""
    found = lower(circuit)
    tables = held(found.tables, circuit.store)
    cells = np.array(list(itertools.product((0, 1), repeat=len(found.program.columns)))).T
    mass = np.exp(executed(found.program, tables, cells))
    return np.bincount(cells.sum(axis=0), weights=mass, minlength=len(cells) + 1)


@pytest.mark.parametrize("form", ["linear", "log"])
def test_numbers_of_ones(form: Form) -> None:
    """Every coefficient, by enumeration; one variable, three and nine, where products are of pairs of pairs."""
    for count in (1, 3, 9):
        circuit = tree(count, [2] * count, booleans=True)
        found = lower(circuit)
        with np.errstate(divide="ignore"):
            got = ones(found.program, held(found.tables, circuit.store), count, form, HERE)
        np.testing.assert_allclose(np.exp(got), _enumerated(circuit), rtol=1e-12)


def test_small_coefficients_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in 10^80 beside one: roots of unity would have lost it."""
    circuit = tree(5, [2] * 5, booleans=True)
    found = lower(circuit)
    tables = held(found.tables, circuit.store)
    layout = found.program.layouts[0]
    for first in layout.leaf_offsets.tolist():
        tables[0][first : first + 3] = [1.0, 1e-16, 1.0]
    monkeypatch.setattr(sparse_policy, "shape", lambda rows, drain: Shape(4, 2, 4, drain))
    with np.errstate(divide="ignore"):
        got = ones(found.program, tables, 5, "linear", HERE)
    total = tables[1].sum()
    want = [total * binomial * 1e-16**k for k, binomial in enumerate((1, 5, 10, 10, 5, 1))]
    np.testing.assert_allclose(np.exp(got), want, rtol=1e-12)
