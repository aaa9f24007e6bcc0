"""Compiled derivatives of networks of scalar nodes, against the reverse in float64 logarithms and differences."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
import torch

import danaus as dn
from conftest import SHARED
from danaus.backends.cpu import adjoint_scalar
from danaus.backends.cpu.adjoint_scalar import AdjointScalar, Derived
from danaus.backends.cpu.network import Numeric
from danaus.compiler.able import Type
from danaus.compiler.lowering.lower import lower
from danaus.compiler.lowering.tables import depending, held
from danaus.compiler.rewrite import rewritten
from danaus.ir.block import Block, Input, indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Variable
from danaus.ir.family import Indicator, Table
from danaus.ir.linear import sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.program.operation import Network
from danaus.ir.program.program import LEAF, PRODUCT, SUM, Layout, Program
from danaus.ir.store import Store
from danaus.runtime.backward import Flows, flows
from danaus.runtime.executable import Executable
from small_circuits import evidence, random_circuit

ERROR: dict[Type, float] = {"float32": 2e-5, "float64": 1e-11}
"""Relative to the largest derivative of a parameter."""


def _interpreted(model: Executable) -> None:
    model.present.reverse = lambda: None  # type: ignore[method-assign]


def _taken(model: Executable) -> bool:
    """Whether compiled code for a network takes the derivatives."""
    assert model.compiled is not None
    return isinstance(model.present.reverse(), AdjointScalar)


def _compare(circuit: Circuit, dtype: Type, rows: int = 40, seed: int = 0, error: float = 1.0) -> bool:
    """Both ways, over the same rows and weights of both signs; whether compiled code took the first."""
    model = dn.compile(circuit, dtype=dtype)
    x, observed = evidence(circuit, rows, seed, 0.3)
    weights = np.linspace(-1.0, 2.0, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        found = model.derivatives(x, observed, weights)
        compiled = _taken(model)
        _interpreted(model)
        want = model.derivatives(x, observed, weights)
    np.testing.assert_allclose(found.log, want.log, rtol=ERROR[dtype] * error, atol=ERROR[dtype] * error)
    for name, derivative in want.named.items():
        size = np.abs(derivative).max(initial=0.0)
        np.testing.assert_allclose(
            found.named[name], derivative, rtol=0, atol=ERROR[dtype] * error * size, err_msg=name
        )
    return compiled


def test_random_circuits() -> None:
    """Zeros among weights and tables, shared nodes, every map."""
    compiled = sum(_compare(random_circuit(seed), dtype, seed=seed) for seed in range(24) for dtype in ERROR)
    assert compiled >= 16


def _network(seed: int, zeros: bool = True) -> Circuit:
    """Layers of products and weighted sums of any nodes below, some named twice or not at all; not decomposable."""
    random = np.random.default_rng(seed)
    x = [Variable(f"x{i}", Cat(int(random.integers(2, 6)))) for i in range(3)]
    values: dict[Parameter, Value] = {}

    def numbers(shape: tuple[int, ...]) -> Parameter:
        parameter = Parameter(f"w{len(values)}", shape, None, True)
        entries = random.uniform(0.3, 1.2, shape)
        values[parameter] = Value.of(np.where(random.random(shape) < (0.15 if zeros else 0.0), 0.0, entries))
        return parameter

    def layer(below: list[Block], width: int) -> Block:
        total = sum(block.width for block in below)
        if random.random() < 0.5:
            lengths = random.integers(0, 6, width)
            bounds = np.concatenate([[0], np.cumsum(lengths)])
            return indexed(below, bounds, random.integers(0, total, bounds[-1]))
        pairs = np.flatnonzero(random.random(width * total) < min(1.0, 3 / total))
        expression = numbers((len(pairs),)) if random.random() < 0.7 else constant(np.ones(len(pairs)))
        return weighted(below, sparse(pairs // total, pairs % total, expression, width, total))

    blocks: list[Block] = [input_block(Table(), each, (numbers((2, each.domain.size)),)) for each in x]  # type: ignore[union-attr]
    for _ in range(6):
        blocks = [*blocks[-4:], layer(blocks, 6)]
    total = sum(block.width for block in blocks)
    root = weighted(blocks, sparse([0] * total, range(total), numbers((total,)), 1, total))
    return Circuit(root, Store(values), "n")


def _alone(
    circuit: Circuit, size: int, numeric: Numeric, codes: np.ndarray, weights: np.ndarray, threads: int = 1
) -> tuple[bool, Derived | None, Flows]:
    """The derivatives of tables in numbers of a kind, if it holds them, and those in float64 logarithms."""
    lowered = lower(circuit)
    tables = held(lowered.tables, circuit.store)
    wanted = tuple(depending(table) for table in lowered.tables)
    engine = AdjointScalar(lowered.program, size, numeric, wanted)  # type: ignore[arg-type]
    want = flows(lowered.program, tables, codes, {}, weights)
    for table, entries in zip(want.tables, wanted, strict=True):
        if not entries.any():
            table[:] = 0.0
    if not engine.load(tables, lambda numbers: []):
        return False, None, want
    return True, engine.run(codes, {}, weights, threads), want


def _codes(circuit: Circuit, rows: int, seed: int = 0) -> np.ndarray:
    columns = lower(circuit).program.columns
    return np.random.default_rng(seed).integers(0, np.array(columns)[:, None] + 1, (len(columns), rows))


def _agree(found: Derived | None, want: Flows, error: float) -> None:
    assert found is not None
    assert not found.unsure.any()
    np.testing.assert_allclose(found.log, want.log, rtol=error, atol=error)
    for mine, exact in zip(found.tables, want.tables, strict=True):
        np.testing.assert_allclose(mine, exact, rtol=0, atol=error * np.abs(exact).max(initial=0.0))


@pytest.mark.parametrize(("size", "numeric"), [(4, "linear"), (8, "linear"), (8, "log"), (4, "log")])
def test_networks_in_all_numbers(size: int, numeric: Numeric) -> None:
    """Few rows go level by level, more depth first in tiles of three widths."""
    for seed in range(8):
        circuit = _network(seed, zeros=numeric == "linear")
        for rows in (1, 2, 20, 150):
            codes = _codes(circuit, rows, seed)
            if not len(codes):
                continue
            held, found, want = _alone(circuit, size, numeric, codes, np.linspace(-1, 2, rows))
            assert held
            _agree(found, want, 5e-5 if size == 4 else 1e-11)


def test_logarithms_leave_wanted_zeros_to_others() -> None:
    circuit = _network(1)
    held, _, _ = _alone(circuit, 8, "log", _codes(circuit, 4), np.ones(4))
    assert not held


@pytest.mark.parametrize("numeric", ["linear", "log"])
@pytest.mark.parametrize("rows", [0, 1, 3, 16, 17, 1000])
def test_every_batch_size(rows: int, numeric: Numeric) -> None:
    circuit = _network(3, zeros=False)
    for size in (4, 8):
        _, found, want = _alone(circuit, size, numeric, _codes(circuit, rows), np.linspace(0.5, 2, rows))
        _agree(found, want, 5e-5 if size == 4 else 1e-11)


def test_threads_and_stretches_share_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = _network(5)
    codes, weights = _codes(circuit, 1100), np.linspace(0, 1, 1100)
    for folded in (adjoint_scalar.FOLDED, 128):
        monkeypatch.setattr(adjoint_scalar, "FOLDED", folded)
        for threads in (1, 3):
            _, found, want = _alone(circuit, 8, "linear", codes, weights, threads)
            _agree(found, want, 1e-11)


def _weighted_literals(circuit: Circuit) -> Circuit:
    """Each literal with a weight of its own where it is true; that it is 0 where it is false can be learnt too."""
    random, values, literals = np.random.default_rng(0), {}, {}
    for i, block in enumerate(circuit.blocks):
        if isinstance(block, Input):
            assert isinstance(block.family, Indicator)
            parameter = Parameter(f"w{i}", (1, 2), None, True)
            numbers = np.zeros((1, 2))
            numbers[0, block.family.value] = random.uniform(0.3, 1.5)
            values[parameter] = Value.of(numbers)
            literals[block] = input_block(Table(), block.variable, (parameter,))
    return Circuit(rewritten(circuit.root, literals), Store(values), "weighted", circuit.free)


SENTENCES = ("nnf/uf20/uf20-08.nnf", "nnf/ddnnife/example_input/small_example_c2d.nnf")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SENTENCES)
def test_weights_of_literals(name: str, dtype: Type) -> None:
    """The derivative of the logarithm of the weighted count, by differences; most complete rows are impossible."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    circuit = dn.smooth(_weighted_literals(dn.load(path).circuit))
    assert _compare(circuit, dtype)
    model = dn.compile(circuit, dtype="float64")
    nothing = np.zeros((1, len(circuit.variables)), dtype=bool)
    named = model.derivatives(np.zeros(nothing.shape), nothing, np.ones(1)).named
    before = model.partition()
    for parameter in circuit.parameters[:6]:
        for entry in ((0, 0), (0, 1)):
            step = np.zeros(parameter.shape)
            step[entry] = 0.5
            changed = circuit.store.updated({parameter: Value.of(circuit.store[parameter].floats + step)})
            after = dn.compile(circuit.over(changed), dtype="float64").partition()
            # the count is affine in each weight
            slope = np.expm1(after - before) / 0.5
            np.testing.assert_allclose(named[parameter.name][entry], slope, rtol=1e-6, atol=1e-9)


def _chain(levels: int) -> Layout:
    """v ← w v + w' leaf, in two slots, so many times."""
    count = 2 * levels
    leaf = np.arange(count) % 2 == 0
    kinds = np.where(leaf, LEAF, SUM).astype(np.int8)
    kinds[1] = PRODUCT
    members = [np.array([i // 2]) if i % 2 == 0 else np.array([0] if i == 1 else [1, 0]) for i in range(count)]
    numbers = [np.full(len(each), -1) if i < 2 or i % 2 == 0 else np.array([0, 1]) for i, each in enumerate(members)]
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in members])])
    columns, starts = np.arange(levels) % 3, np.arange(levels) % 5 * 3
    slots = np.arange(count) % 2
    return Layout(kinds, slots, offsets, np.concatenate(members), np.concatenate(numbers), columns, starts, 2)


LEVELS = 100_000
TABLES = [np.random.default_rng(1).uniform(0.5, 1.5, 15), np.array([0.75, 0.25])]


@cache
def _derivatives_of_chain(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes, log p, and derivatives of both tables, by the recurrence and its reverse."""
    layout = _chain(LEVELS)
    codes = np.random.default_rng(0).integers(0, 3, (3, rows))
    entries = layout.leaf_offsets[:, None] + codes[layout.leaf_columns]
    leaves = TABLES[0][entries]
    values = leaves.copy()
    for level in range(1, LEVELS):
        values[level] = 0.75 * values[level - 1] + 0.25 * leaves[level]
    powers = 0.75 ** np.arange(LEVELS - 1, -1, -1)[:, None] / values[-1]
    weights = [(powers[1:] * values[:-1]).sum(), (powers[1:] * leaves[1:]).sum()]
    given = 0.25 * powers
    given[0] = powers[0]
    found = np.bincount(entries.ravel(), given.ravel(), 15)
    return codes, np.log(values[-1]), found, np.array(weights)


@pytest.mark.parametrize(("size", "numeric"), [(4, "linear"), (8, "linear"), (8, "log")])
def test_a_chain_of_many_levels(size: int, numeric: Numeric) -> None:
    program = Program((Network(0, 0, 0, 1),), 0, (1,), ((15,), (2,)), (2, 2, 2), (), (_chain(LEVELS),))
    engine = AdjointScalar(program, size, numeric, (np.ones(15, dtype=bool), np.ones(2, dtype=bool)))
    assert engine.load(TABLES, lambda numbers: [])
    error = 1e-5 if size == 4 else 1e-10
    for rows in (1, 20):
        codes, log, leaves, weights = _derivatives_of_chain(rows)
        found = engine.run(codes, {}, np.ones(rows))
        np.testing.assert_allclose(found.log, log, rtol=error, atol=error)
        np.testing.assert_allclose(found.tables[0], leaves, rtol=error, atol=error)
        np.testing.assert_allclose(found.tables[1], weights, rtol=error)


def test_what_is_beyond_all_numbers_is_taken_in_logarithms() -> None:
    """A zero that 10¹⁵ and 10¹⁵ hang on: the derivative is no float32, and the row comes from the reverse in numpy."""
    a, b, c = (Variable(name, Bool()) for name in "abc")
    blocks = [input_block(Table(), each, (constant(np.array([[0.0, 1e15]])),)) for each in (a, b)]
    parameter = Parameter("w", (1, 2), None, True)
    zero = input_block(Table(), c, (parameter,))
    one = input_block(Table(), a, (constant(np.array([[1e-20, 1e-20]])),))
    whole = indexed([*blocks, zero], [0, 3], [2, 0, 1])
    circuit = Circuit(
        weighted([whole, one], sparse([0, 0], [0, 1], constant(np.ones(2)), 1, 2)),
        Store({parameter: Value.of(np.array([[0.0, 1e-30]]))}),
    )
    model = dn.compile(circuit)
    x = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    assert model.compiled is not None
    reverse = model.present.reverse()
    assert isinstance(reverse, AdjointScalar)
    assert (reverse.size, reverse.numeric) == (4, "linear")
    unsure = reverse.run(x.T.astype(np.int64), {}, np.ones(3)).unsure
    np.testing.assert_array_equal(unsure, [True, False, False])
    named = model.derivatives(x, np.ones(x.shape, dtype=bool), np.ones(3)).named
    np.testing.assert_allclose(named["w"], [[1e50, 1e30]], rtol=1e-5)


def test_signed_circuits_are_not_for_it() -> None:
    circuit = random_circuit(2, signed=True)
    assert not _compare(circuit, "float64")


def test_parameters_changed_in_place_reach_the_derivatives() -> None:
    """From float32 to numbers that need logarithms, and back."""
    circuit = _network(3, zeros=False)
    model = dn.compile(circuit)
    x = _codes(circuit, 9).T % 2
    ones, weights = np.ones(x.shape, dtype=bool), np.ones(len(x))
    seen = set()
    for power in (1.0, 400.0, 1 / 400):
        with torch.no_grad():
            for tensor in model.parameters():
                tensor.pow_(power)
        assert _taken(model)
        named = model.derivatives(x.astype(float), ones, weights).named
        assert model.compiled is not None
        reverse = model.present.reverse()
        assert isinstance(reverse, AdjointScalar)
        seen.add(reverse.numeric)
        fresh = dn.compile(model.circuit)
        _interpreted(fresh)
        exact = fresh.derivatives(x.astype(float), ones, weights).named
        for name, derivative in exact.items():
            np.testing.assert_allclose(named[name], derivative, rtol=0, atol=5e-5 * np.abs(derivative).max())
    assert seen == {"linear", "log"}


def test_autograd_asks_for_it() -> None:
    circuit = _network(4, zeros=False)
    model = dn.compile(circuit, dtype="float64").requires_grad_()
    x = _codes(circuit, 6).T % 2
    model.log_likelihood(x).sum().backward()
    assert _taken(model)
    for tensor in model.parameters():
        assert tensor.grad is not None
        before, step = model.log_likelihood(x).sum().item(), 1e-7
        with torch.no_grad():
            tensor.view(-1)[0] += step
        slope = (model.log_likelihood(x).sum().item() - before) / step
        with torch.no_grad():
            tensor.view(-1)[0] -= step
        np.testing.assert_allclose(float(tensor.grad.view(-1)[0]), slope, rtol=1e-4, atol=1e-5)


def test_products_of_some_factors_are_within_the_range_too() -> None:
    """The product is 1, but that of the first two is no float32."""
    variables = [Variable(f"v{i}", Bool()) for i in range(4)]
    numbers = [1e-30, 1e-30, 1e30, 1e30]
    parameters = [Parameter(f"w{i}", (1, 2), None, True) for i in range(4)]
    blocks = [input_block(Table(), *each) for each in zip(variables, [(p,) for p in parameters], strict=True)]
    store = Store({p: Value.of(np.full((1, 2), number)) for p, number in zip(parameters, numbers, strict=True)})
    model = dn.compile(Circuit(indexed(blocks, [0, 4], range(4)), store))
    x = np.zeros((1, 4))
    np.testing.assert_allclose(model.log_likelihood(x).numpy(), 0.0, atol=1e-6)
    for parameter, number in zip(parameters, numbers, strict=True):
        np.testing.assert_allclose(model.flows(x)[parameter.name], [[1.0, 0.0]], rtol=1e-5, err_msg=str(number))
