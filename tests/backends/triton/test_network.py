"""Kernels of networks of scalar nodes through Triton's interpreter, up and back, against node by node in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from danaus.backends.triton import sparse_policy
from danaus.backends.triton.adjoint_scalar import AdjointScalar
from danaus.backends.triton.network import Form, Shape
from danaus.backends.triton.records import slotted, upward, wired
from danaus.backends.triton.scalar import Device, Scalar
from danaus.ir.program.operation import Network
from danaus.ir.program.program import LEAF, PRODUCT, SUM, Layout, Program
from danaus.runtime.backward import flows
from tangled_networks import Tables, coded, executed, lowered, tangled

pytest.importorskip("triton")

HERE = Device(torch.device("cpu"))
FORMS: list[tuple[int, Form]] = [(4, "linear"), (8, "linear"), (8, "log"), (4, "log")]
ERROR = {4: 3e-5, 8: 1e-12}


@pytest.fixture(params=["one launch", "levels"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways through a network, in tiles of 8 nodes and 2 rows, so that tiles are full, part full and many."""
    count = 2 if request.param == "one launch" else 0
    monkeypatch.setattr(sparse_policy, "programs", lambda *_: count)
    monkeypatch.setattr(sparse_policy, "shape", lambda rows, drain: Shape(8, 2, 8, drain))
    monkeypatch.setattr(sparse_policy, "reverse_shape", lambda rows, form, drain: Shape(8, 2, 4, drain))
    with np.errstate(divide="ignore"):
        yield request.param


def _layout(kinds: list[int], members: list[list[int]], weights: list[list[int]] | None = None) -> Program:
    """A network whose nodes keep their slots, over one column of two values; leaf i has values from 3 i on."""
    leaves = kinds.count(LEAF)
    flat = [member for each in members for member in each]
    named = [-1] * len(flat) if weights is None else [name for each in weights for name in each]
    layout = Layout(
        np.array(kinds, dtype=np.int8),
        np.arange(len(kinds)),
        np.concatenate([[0], np.cumsum([len(each) for each in members])]).astype(np.int64),
        np.array(flat, dtype=np.int64),
        np.array(named, dtype=np.int64),
        np.zeros(leaves, dtype=np.int64),
        np.arange(leaves) * 3,
        len(kinds),
    )
    count = max([name + 1 for name in named], default=0)
    return Program((Network(0, 0, 0, 1),), 0, (1,), ((3 * leaves,), (count,)), (2,), (), (layout,))


def _agrees(program: Program, tables: Tables, codes: np.ndarray, size: int, form: Form) -> None:
    engine = Scalar(program, size, form, HERE)
    engine.refill(tables)
    found = engine.run(codes, {})
    assert not found.unsure.any()
    np.testing.assert_allclose(found.log, executed(program, tables, codes), rtol=ERROR[size], atol=ERROR[size])


@pytest.mark.parametrize(("size", "form"), FORMS)
def test_tangled_networks(way: str, size: int, form: Form) -> None:
    """Zeros among weights and tables, products of up to five, nodes that are named twice."""
    for seed in (1, 3):
        program, tables = lowered(tangled(seed))
        codes = coded(program, 3, seed)
        _agrees(program, tables, codes, size, form)


def test_all_zero(way: str) -> None:
    """A root without mass is −inf, and is not NaN."""
    program, tables = lowered(tangled(1))
    nothing = [np.zeros_like(table) for table in tables]
    for form in ("linear", "log"):
        engine = Scalar(program, 8, form, HERE)
        engine.refill(nothing)
        assert np.isneginf(engine.run(coded(program, 3), {}).log).all()


def test_one_node(way: str) -> None:
    """A leaf alone, one row, and rows that are missing."""
    program = _layout([LEAF], [[0]])
    tables = [np.array([0.25, 0.5, 0.75]), np.zeros(0)]
    for form in ("linear", "log"):
        for codes in ([[1]], [[0, 1, 2]]):
            _agrees(program, tables, np.array(codes), 8, form)


def test_nodes_without_members(way: str) -> None:
    """A product of nothing is 1, a sum of nothing 0."""
    tables = [np.zeros(0), np.zeros(0)]
    codes = np.zeros((1, 3), dtype=np.int64)
    for form in ("linear", "log"):
        _agrees(_layout([PRODUCT], [[]]), tables, codes, 8, form)
        _agrees(_layout([SUM], [[]]), tables, codes, 8, form)


def test_deep_chain(way: str) -> None:
    """Eighteen nodes one above the other."""
    kinds, members, weights = [LEAF, LEAF], [[0], [1]], [[-1], [-1]]
    for node in range(2, 20):
        kinds.append(SUM if node % 2 else PRODUCT)
        members.append([node - 1, node % 2])
        weights.append([node % 3, -1] if node % 2 else [-1, -1])
    tables = [np.array([0.9, 1.1, 2.0, 1.05, 0.95, 2.0]), np.array([0.5, 0.9, 0.7])]
    program = _layout(kinds, members, weights)
    for form in ("linear", "log"):
        _agrees(program, tables, np.array([[0, 1, 2]]), 8, form)


def test_wide_nodes(way: str) -> None:
    """A sum and a product of twenty members, and a leaf that twenty nodes read: their edges lie across the lanes."""
    kinds = [LEAF, LEAF] + [PRODUCT] * 20 + [SUM, PRODUCT, SUM]
    members = [[0], [1]] + [[0, 1]] * 20 + [list(range(2, 22)), list(range(2, 22)), [22, 23]]
    weights = [[-1], [-1]] + [[-1, -1]] * 20 + [list(range(20)), [-1] * 20, [20, 21]]
    tables = [np.array([0.9, 1.1, 2.0, 1.05, 0.95, 2.0]), np.linspace(0.1, 1.0, 22)]
    program = _layout(kinds, members, weights)
    codes = np.array([[0, 1, 2]])
    for form in ("linear", "log"):
        _derivatives_agree(program, tables, codes, 8, form)


def test_empty_batch(way: str) -> None:
    program, tables = lowered(tangled(0))
    engine = Scalar(program, 4, "linear", HERE)
    engine.refill(tables)
    assert engine.run(coded(program, 0), {}).log.shape == (0,)


@pytest.mark.parametrize("way", ["levels"], indirect=True)
def test_stretches_add_up(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that do not fit at once are taken one stretch after the other."""
    program, tables = lowered(tangled(9))
    monkeypatch.setattr(sparse_policy, "at_once", lambda *_: 2)
    codes = coded(program, 3)
    _agrees(program, tables, codes, 8, "linear")
    _derivatives_agree(program, tables, codes, 8, "linear")


@pytest.mark.parametrize("way", ["levels"], indirect=True)
def test_tables_are_taken_anew(way: str) -> None:
    program, tables = lowered(tangled(2))
    engine = Scalar(program, 8, "linear", HERE)
    codes = coded(program, 3)
    for factor in (1.0, 0.5):
        engine.refill([table * factor for table in tables])
        want = executed(program, [table * factor for table in tables], codes)
        np.testing.assert_allclose(engine.run(codes, {}).log, want, rtol=1e-12)


def test_slots_are_fewer_than_nodes_and_hold_no_two_values() -> None:
    """No node is written over before the last that reads it has."""
    for seed in range(20):
        program, _ = lowered(tangled(seed, layers=8, width=6))
        net = wired(program.layouts[0])
        up = upward(net, 4)
        tiles, size, root = slotted(net, up)
        assert size < net.nodes
        slot_of = np.full(net.nodes, -1)
        slot_of[up.nodes[up.nodes >= 0]] = tiles.nodes[up.nodes >= 0]
        assert root == slot_of[net.root]
        last = net.levels.copy()
        np.maximum.at(last, net.members, net.levels[net.readers])
        for slot in range(size):
            mine = np.flatnonzero(slot_of == slot)
            mine = mine[np.argsort(net.levels[mine])]
            assert (net.levels[mine[1:]] > last[mine[:-1]]).all()


def _derivatives_agree(program: Program, tables: Tables, codes: np.ndarray, size: int, form: Form) -> None:
    weights = np.linspace(-1.0, 2.0, codes.shape[1])
    engine = AdjointScalar(program, size, form, tuple(np.ones(table.shape, bool) for table in tables), HERE)
    assert engine.load(tables, lambda numbers: [])
    found = engine.run(codes, {}, weights)
    want = flows(program, tables, codes, {}, weights)
    assert not found.unsure.any()
    np.testing.assert_allclose(found.log, want.log, rtol=ERROR[size], atol=ERROR[size])
    error = 1e-4 if size == 4 else 1e-11
    for mine, exact in zip(found.tables, want.tables, strict=True):
        np.testing.assert_allclose(mine, exact, rtol=0, atol=error * np.abs(exact).max(initial=0.0))


@pytest.mark.parametrize(("size", "form"), [(4, "linear"), (8, "log")])
def test_derivatives(way: str, size: int, form: Form) -> None:
    """Sums and products of up to five; zeros among numbers are exact where these are linear."""
    program, tables = lowered(tangled(3, zeros=form == "linear"))
    assert {PRODUCT, SUM} <= set(program.layouts[0].kinds.tolist())
    _derivatives_agree(program, tables, coded(program, 3, 3), size, form)


def test_an_impossible_row_brings_nothing(way: str) -> None:
    """Its root is −inf; the sums are those of the other row."""
    kinds, members = [LEAF, LEAF, PRODUCT, SUM], [[0], [1], [0, 1], [2]]
    program = _layout(kinds, members, [[-1], [-1], [-1, -1], [0]])
    tables = [np.array([0.0, 0.5, 0.5, 0.25, 0.5, 0.75]), np.array([2.0])]
    for form in ("linear", "log"):
        wanted = (np.zeros(6, bool), np.ones(1, bool))
        engine = AdjointScalar(program, 8, form, wanted, HERE)
        assert engine.load(tables, lambda numbers: [])
        found = engine.run(np.array([[0, 1]]), {}, np.array([3.0, 5.0]))
        np.testing.assert_allclose(found.log, [-np.inf, np.log(0.5)], rtol=1e-12)
        assert found.tables[1] == pytest.approx([2.5]) and not found.tables[0].any() and not found.unsure.any()


def test_logarithms_refuse_zeros() -> None:
    """A flow does not say what a zero would bring."""
    program, tables = lowered(tangled(0))
    wanted = tuple(np.ones(table.shape, bool) for table in tables)
    assert not AdjointScalar(program, 8, "log", wanted, HERE).load(tables, lambda numbers: [])


def test_rows_beyond_all_numbers_are_told(way: str) -> None:
    """A row whose root is so small that float32 cannot divide by it is in no sum; the others are."""
    kinds, members = [LEAF, LEAF, PRODUCT, SUM], [[0], [1], [0, 1], [2]]
    tables = [np.array([1e-20, 1.0, 1.0, 1e-20, 1.0, 1.0]), np.array([1.0])]
    program = _layout(kinds, members, [[-1], [-1], [-1, -1], [0]])
    wanted = tuple(np.ones(table.shape, bool) for table in tables)
    engine = AdjointScalar(program, 4, "linear", wanted, HERE)
    assert engine.load(tables, lambda numbers: [])
    with np.errstate(over="ignore", invalid="ignore"):
        found = engine.run(np.array([[0, 1]]), {}, np.ones(2))
    assert found.unsure.tolist() == [True, False]
    assert found.tables[1].tolist() == [1.0]


def test_the_same_numbers_every_time(way: str) -> None:
    """Derivatives are added in the order of edges and rows: to the last bit."""
    program, tables = lowered(tangled(4))
    codes, weights = coded(program, 3), np.ones(3)
    engine = AdjointScalar(program, 4, "linear", tuple(np.ones(table.shape, bool) for table in tables), HERE)
    assert engine.load(tables, lambda numbers: [])
    first, second = engine.run(codes, {}, weights), engine.run(codes, {}, weights)
    assert all((a == b).all() for a, b in zip(first.tables, second.tables, strict=True))
