"""Samples and most probable values by kernels, through Triton's interpreter: the evaluator's, and by enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import sparse_policy
from danaus.backends.triton.draws import KEYS, LEVEL, words
from danaus.backends.triton.kernel import Argument, Kernel
from danaus.backends.triton.network import Form, Shape, jitted
from danaus.backends.triton.network_queries import Walked, Walks
from danaus.backends.triton.scalar import Device
from danaus.compiler.lowering.lower import lower
from danaus.compiler.lowering.tables import held
from danaus.ir import query as ask
from danaus.ir.block import Block, indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Cat, FiniteDomain, Variable, first_value
from danaus.ir.family import Table
from danaus.ir.linear import sparse
from danaus.ir.parameter import Parameter, Value
from danaus.ir.program.tabled import Tabled
from danaus.ir.random import philox4x32, uniform
from danaus.ir.store import Store

pytest.importorskip("triton")

HERE = Device(torch.device("cpu"))


@pytest.fixture(params=["one launch", "levels"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways through a network, in tiles of 8 nodes and 8 rows; of many rows fewer tiles."""
    count = 2 if request.param == "one launch" else 0
    monkeypatch.setattr(sparse_policy, "programs", lambda *_: count)

    def shape(rows: int, drawn: bool = False, drain: bool = False) -> Shape:
        return Shape(8, 1 if rows == 1 else 8 if rows < 30 else 64 if rows < 100 else 1024, 4, drain)

    monkeypatch.setattr(sparse_policy, "shape", shape)
    monkeypatch.setattr(sparse_policy, "walk_shape", shape)
    with np.errstate(divide="ignore", over="ignore"):
        yield request.param


KNOWN = [  # Random123's known answers
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB)),
]


def _generated(counters: np.ndarray, keys: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two words and the level for counters [n, 4], by the lines of the kernels."""
    arguments = (Argument("rows", "*i64"), Argument("nodes", "*i32"), Argument("stages", "*i32"))
    arguments += (Argument("out", "*i64"), *(Argument(name, "i32", aligned=False) for name in KEYS))
    body = [
        "i = tl.arange(0, COUNT)",
        *words("tl.load(rows + i)", "tl.load(nodes + i)", "tl.load(stages + i)"),
        *LEVEL,
        "tl.store(out + i, first.to(tl.int64))",
        "tl.store(out + COUNT + i, second.to(tl.int64))",
        "tl.store(out + 2 * COUNT + i, level.to(tl.int64, bitcast=True))",
    ]
    text = jitted("generated", arguments, ("COUNT",), "Words of the generator.", body)
    kernel = Kernel("generated", text, arguments, (("COUNT", len(counters)),))
    rows = (counters[:, 0].astype(np.uint64) | (counters[:, 1].astype(np.uint64) << np.uint64(32))).view(np.int64)
    nodes, stages = (counters[:, i].astype(np.uint32).view(np.int32) for i in (2, 3))
    out = torch.zeros(3 * len(counters), dtype=torch.int64)
    signed = [int(np.uint32(key).view(np.int32)) for key in keys]
    with np.errstate(over="ignore"):
        HERE.launch(kernel, (1,), [*(HERE.put(each) for each in (rows, nodes, stages)), out, *signed])
    first, second, level = out.numpy().reshape(3, -1)
    return first, second, level.view(np.uint64)


def test_known_answers() -> None:
    for counter, key, want in KNOWN:
        first, second, _ = _generated(np.array([counter]), key)
        assert (int(first[0]), int(second[0])) == want


def test_the_generator_is_that_of_the_evaluator() -> None:
    """Words and levels, bit by bit, for rows beyond 32 bits too."""
    random = np.random.default_rng(1)
    counters = random.integers(0, 1 << 32, (64, 4))
    counters[:, 1] >>= 1
    seed = 0x9123456789ABCDEF
    key = (seed & 0xFFFFFFFF, seed >> 32)
    first, second, level = _generated(counters, key)
    want = philox4x32(counters.astype(np.uint32), np.array(key, dtype=np.uint32))
    assert (first == want[:, 0]).all() and (second == want[:, 1]).all()
    for i, counter in enumerate(counters.tolist()):
        exact = uniform(seed, np.array([counter[0] | counter[1] << 32]), np.array([counter[2]]), counter[3])[0]
        assert int(level[i]) == int(exact * 2**53) << 11


def _tree(seed: int, variables: int = 3, zeros: bool = True, shared: bool = True) -> Circuit:
    """A smooth, decomposable network: sums of products of sums of leaves, whose parts are shared."""
    random = np.random.default_rng(seed)
    values: dict[Parameter, Value] = {}

    def numbers(shape: tuple[int, ...]) -> Parameter:
        parameter = Parameter(f"w{len(values)}", shape, None, True)
        entries = random.uniform(0.1, 1.0, shape)
        values[parameter] = Value.of(np.where(random.random(shape) < (0.2 if zeros else 0.0), 0.0, entries))
        return parameter

    def mixed(below: Block, width: int) -> Block:
        pairs = np.arange(width * below.width)
        return weighted(
            [below], sparse(pairs // below.width, pairs % below.width, numbers((len(pairs),)), width, below.width)
        )

    parts = [
        mixed(input_block(Table(), Variable(f"x{i}", Cat(2 + i % 3)), (numbers((3, 2 + i % 3)),)), 2)
        for i in range(variables)
    ]
    choices = random.integers(0, 2, (4, variables)) + 2 * np.arange(variables)
    product = indexed(parts, np.arange(5) * variables, choices.ravel())
    return Circuit(mixed(mixed(product, 3), 1), Store(values), "t")


def _walks(circuit: Circuit, form: Form, size: int = 8) -> tuple[Walks, Tabled]:
    found = lower(circuit)
    assert found.program.layouts
    tabled = Tabled(found.program, held(found.tables, circuit.store))
    walks = Walks(found.program, found.sites, size, form, HERE)
    walks.refill((tabled.with_largest() if form == "max" else tabled).tables)
    return walks, tabled


def _sampled(walks: Walks, count: int, seed: int) -> Walked:
    """Samples of all columns."""
    return walks.sample(np.array(walks.program.columns)[:, None], count, seed)


def _codes(circuit: Circuit, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Codes [columns, rows] of raw values, what is not observed missing."""
    first = np.array([first_value(variable.domain) for variable in circuit.variables])
    sizes = [v.domain.size if isinstance(v.domain, FiniteDomain) else 0 for v in circuit.variables]
    return np.where(observed, values - first, sizes).astype(np.int32).T


@pytest.mark.parametrize(("way", "form"), [("one launch", "linear"), ("levels", "log")], indirect=["way"])
def test_samples_are_the_evaluators(way: str, form: Form) -> None:
    """The same rows, to the last, for equal float64 tables: nothing is near enough to a boundary."""
    circuit = _tree(0)
    walks, _ = _walks(circuit, form)
    found = _sampled(walks, 37, 2**63 + 5)
    want = ask.sample(circuit, 37, 2**63 + 5)
    assert found.possible.all()
    assert (found.codes == _codes(circuit, want, np.ones(want.shape, bool))).all()


@pytest.mark.parametrize(("way", "form"), [("one launch", "linear"), ("levels", "log")], indirect=["way"])
def test_samples_given_are_the_evaluators(way: str, form: Form) -> None:
    """Rows with some of their variables observed; impossible ones are told."""
    circuit = _tree(3)
    walks, _ = _walks(circuit, form)
    random = np.random.default_rng(0)
    values = ask.sample(circuit, 9, 1)
    observed = random.random(values.shape) < 0.5
    codes = _codes(circuit, values, observed)
    found = walks.sample_given(codes, seed=11)
    want = ask.sample_given(circuit, values, observed, 11)
    assert found.possible.all()
    assert (found.codes == _codes(circuit, want, np.ones(want.shape, bool))).all()


def test_impossible_rows_are_told_and_left(way: str) -> None:
    """Their codes stay as they were."""
    circuit = _tree(0)
    program = lower(circuit).program
    tables = held(lower(circuit).tables, circuit.store)
    layout = program.layouts[0]
    for leaf in np.flatnonzero(layout.leaf_columns == 0):
        tables[0][layout.leaf_offsets[leaf]] = 0.0
    walks = Walks(program, lower(circuit).sites, 8, "linear", HERE)
    walks.refill(tables)
    codes = np.array([[0, 1], [3, 3], [4, 4]])
    found = walks.sample_given(codes, 0)
    assert found.possible.tolist() == [False, True]
    assert (found.codes[:, 0] == codes[:, 0]).all()
    assert (found.codes[:, 1] < np.array(program.columns)).all()


@pytest.mark.parametrize("way", ["one launch"], indirect=True)
def test_stretches_draw_the_same(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows draw by their numbers, however many are taken at once."""
    from danaus.backends.triton import network_queries

    circuit = _tree(5)
    walks, _ = _walks(circuit, "linear")
    whole = _sampled(walks, 40, 7)
    monkeypatch.setattr(network_queries, "HELD", 1)
    parts = _sampled(walks, 40, 7)
    assert (whole.codes == parts.codes).all()


@pytest.mark.parametrize("way", ["one launch"], indirect=True)
def test_float32_draws_differ_only_where_a_boundary_moves(way: str) -> None:
    """Of 200 rows none here: float32 moves boundaries by 1e-7."""
    circuit = _tree(6, zeros=False)
    narrow, _ = _walks(circuit, "linear", 4)
    exact, _ = _walks(circuit, "linear", 8)
    differ = (_sampled(narrow, 200, 3).codes != _sampled(exact, 200, 3).codes).any(axis=0)
    assert differ.sum() == 0


@pytest.mark.parametrize("way", ["one launch"], indirect=True)
def test_frequencies(way: str) -> None:
    """A thousand samples have the frequencies that enumeration gives: the largest deviation is what chance allows."""
    circuit = _tree(8, variables=2)
    walks, tabled = _walks(circuit, "linear")
    count = 1000
    found = _sampled(walks, count, 0).codes
    cells = np.array(list(itertools.product(*(range(size) for size in tabled.program.columns))))
    logs = ask.log_likelihood(circuit, cells.astype(float), np.ones(cells.shape, bool))
    exact = np.exp(logs - np.logaddexp.reduce(logs))
    seen = np.array([(cell == found.T).all(axis=1).mean() for cell in cells])
    assert seen.sum() == pytest.approx(1.0)
    assert (np.abs(seen - exact) <= 5 * np.sqrt(exact * (1 - exact) / count) + 1e-12).all()


def test_most_probable(way: str) -> None:
    """The term of largest value: found by enumerating what each assignment's largest path has."""
    for seed in range(2):
        circuit = _tree(seed + 20)
        walks, tabled = _walks(circuit, "max")
        sizes = tabled.program.columns
        codes = np.array([[sizes[0], 0, sizes[0]], [sizes[1], sizes[1], 1], [sizes[2], sizes[2], sizes[2]]])
        found = walks.best(codes)
        cells = np.array(list(itertools.product(*(range(size) for size in sizes)))).T
        paths = _largest_paths(tabled, cells)
        for row in range(codes.shape[1]):
            fits = ((cells == codes[:, row : row + 1]) | (codes[:, row] == np.array(sizes))[:, None]).all(axis=0)
            best = paths[fits].max()
            mine = paths[(cells == found.codes[:, row : row + 1]).all(axis=0)]
            assert found.possible[row] == (best > -np.inf)
            if found.possible[row]:
                assert mine[0] == pytest.approx(best, abs=1e-12)


def _largest_paths(tabled: Tabled, cells: np.ndarray) -> np.ndarray:
    """The logarithm of the largest path to each assignment, node by node."""
    layout = tabled.program.layouts[0]
    leaves, weights = (np.log(np.asarray(table)) for table in tabled.tables)
    slots: dict[int, np.ndarray] = {}
    for node in range(layout.nodes):
        edges = slice(layout.offsets[node], layout.offsets[node + 1])
        members, names = layout.members[edges].tolist(), layout.weights[edges].tolist()
        if layout.kinds[node] == 0:
            value = leaves[layout.leaf_offsets[members[0]] + cells[layout.leaf_columns[members[0]]]]
        elif layout.kinds[node] == 1:
            value = np.sum([slots[member] for member in members], axis=0)
        else:
            value = np.max([slots[m] + (weights[w] if w >= 0 else 0.0) for m, w in zip(members, names, strict=True)], 0)
        slots[int(layout.slots[node])] = value
    return value


@pytest.mark.parametrize("way", ["one launch"], indirect=True)
def test_one_draw_of_many_sums_integers(way: str) -> None:
    """A sum of twelve members over leaves of ten values, more than a tile has lanes."""
    random = np.random.default_rng(2)
    table = Parameter("t", (12, 10), None, True)
    mix = Parameter("m", (12,), None, True)
    x = Variable("x", Cat(10))
    store = {table: Value.of(random.random((12, 10))), mix: Value.of(random.random(12))}
    leaf = input_block(Table(), x, (table,))
    circuit = Circuit(weighted([leaf], sparse([0] * 12, range(12), mix, 1, 12)), Store(store), "wide")
    walks, _ = _walks(circuit, "linear")
    found = _sampled(walks, 20, 4)
    assert (found.codes == ask.sample(circuit, 20, 4).T).all()


def test_queries_of_a_compiled_network() -> None:
    """Through `compile(device="cuda")`: likelihoods, derivatives, samples, most probable values, as on the CPU."""
    circuit = _tree(30, variables=2, zeros=False)
    here, there = dn.compile(circuit, device="cuda"), dn.compile(circuit)
    x = np.array([[0.0, 1.0], [1.0, 2.0]])
    some = np.array([[True, False], [False, False]])
    with np.errstate(divide="ignore", over="ignore"):
        np.testing.assert_allclose(here.log_likelihood(x), there.log_likelihood(x), rtol=1e-6)
        np.testing.assert_allclose(here.marginal(x, some), there.marginal(x, some), rtol=1e-6)
        weights = {"x1": np.array([0.5, 0.0, 2.0])}
        found, want = (model.marginal(x, some, evidence=weights) for model in (here, there))
        np.testing.assert_allclose(found, want, rtol=1e-12)
        for name, flow in there.flows(x).items():
            np.testing.assert_allclose(here.flows(x)[name], flow, rtol=1e-4, atol=1e-6)
        assert (here.sample(9, seed=3) == there.sample(9, seed=3)).all()
        assert (here.sample(x=x, observed=some, seed=3) == there.sample(x=x, observed=some, seed=3)).all()
        assert (here.map(x, some).values == there.map(x, some).values).all()
