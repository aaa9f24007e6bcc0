"""Circuits at the edge of what compiles: the smallest, the emptiest, the most uneven; and data that is no data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import danaus as dn
from compiled_parity import agrees, compare
from danaus.backends.cpu.vector import Vector
from danaus.compiler.folding import Folding
from danaus.ir.circuit import Circuit
from danaus.runtime.executable import Executable
from small_circuits import evidence

TYPES = ("float32", "float64")
RANDOM = np.random.default_rng(7)


def _everything(circuit: Circuit, recomputed: bool | None = False, some_missing: bool = True) -> None:
    """Compares rows of finite variables, with and without missing values."""
    for dtype in TYPES:
        for missing in (0.0, 0.5) if some_missing else (0.0,):
            x, observed = evidence(circuit, 40, 3, missing)
            observed |= not some_missing
            model = compare(circuit, x, observed, dtype)
            if recomputed is not None:
                assert (model.recomputed > 0) == recomputed


def _positive(*shape: int) -> np.ndarray:
    return RANDOM.random(shape) + 0.1


def test_one_variable_of_width_one() -> None:
    _everything(dn.Circuit(dn.bernoulli(dn.Bool("x"), [0.25])))


def test_fan_in_one() -> None:
    block = dn.bernoulli(dn.Bool("x"), [0.25])
    for _ in range(5):
        block = dn.sum(block, [[0.5]])
    _everything(dn.Circuit(dn.sum(block * dn.categorical(dn.Cat("y", 3), [[0.2, 0.3, 0.5]]), [[4.0]])))


@pytest.mark.parametrize("steps", [1, 2, 3, 40])
def test_one_state(steps: int) -> None:
    _everything(dn.hmm(dn.Cat("x", 3, shape=steps), states=1))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 6, 7, 8, 9, 13, 16, 17, 31, 33])
def test_widths_that_fill_no_register(width: int) -> None:
    x, y = dn.Cat("x", 3), dn.Cat("y", width)
    both = dn.sum(dn.table(x, _positive(width, 3)), _positive(width + 1, width))
    both = both * dn.table(y, _positive(width + 1, width))
    _everything(dn.Circuit(dn.sum(both, _positive(1, width + 1))))


def test_weights_that_are_all_zero() -> None:
    x, y = dn.Cat("x", 3), dn.Bool("y")
    nothing = dn.sum(dn.table(x, _positive(4, 3)), np.zeros((4, 4)))
    _everything(dn.Circuit(dn.sum(nothing * dn.table(y, _positive(4, 2)), _positive(1, 4))), recomputed=None)
    some = dn.sum(dn.concat(nothing, dn.table(x, _positive(2, 3))), _positive(4, 6))
    circuit = dn.Circuit(dn.sum(some * dn.table(y, _positive(4, 2)), _positive(1, 4)))
    _everything(circuit, some_missing=False)  # what has no weight has no scope: it is not smooth


def test_rows_that_are_all_impossible() -> None:
    x, y = dn.Cat("x", 3), dn.Bool("y")
    zeros = np.zeros((4, 3))
    zeros[:, 2] = 1
    circuit = dn.Circuit(dn.sum(dn.table(x, zeros) * dn.table(y, _positive(4, 2)), _positive(1, 4)))
    model = compare(circuit, np.array([[0, 1], [1, 0], [0, 0]] * 20))
    assert torch.isneginf(model.log_likelihood(np.array([[0, 1]] * 100))).all()
    assert not model.recomputed


def test_shared_children() -> None:
    x, y, z = dn.Cat("x", 3), dn.Bool("y"), dn.Cat("z", 4)
    shared = dn.sum(dn.table(x, _positive(5, 3)) * dn.table(y, _positive(5, 2)), _positive(6, 5))
    left = dn.sum(shared, _positive(4, 6))
    right = dn.gather(shared, [5, 0, 0, 3])
    mixed = dn.sum(dn.concat(left, shared, right, left), _positive(6, 18))
    _everything(dn.Circuit(dn.sum(mixed * dn.table(z, _positive(6, 4)), _positive(1, 6))))


@pytest.mark.parametrize("rows", [0, 1, 3, 16, 17, 1000])
def test_batches_with_missing_values(rows: int) -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=5), states=4)
    for dtype in TYPES:
        x, observed = evidence(circuit, rows, 1)
        compare(circuit, x, observed, dtype)


def test_data_that_is_no_data() -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=2), states=4)
    model = dn.compile(circuit)
    with pytest.raises(dn.DanausError, match="missing"):
        model.log_likelihood([[0, np.nan]])
    for wrong in (3, -1, 0.5, np.inf, 1e300):
        with pytest.raises(dn.DanausError, match=r"row 1 .*x\[1\]"):
            model.log_likelihood(np.array([[0, 1], [0, wrong]]))
    for dtype in (np.int8, np.int64, np.uint8, np.uint64):
        with pytest.raises(dn.DanausError, match=r"row 0 .*x\[0\] = 7"):
            model.log_likelihood(np.array([[7, 1], [0, 1]], dtype=dtype))
    with pytest.raises(dn.DanausError, match="shape"):
        model.log_likelihood(np.zeros((2, 3)))
    assert torch.equal(model.marginal([[0, np.nan]]), model.log_likelihood([[0, 2]], [[True, False]]))
    assert torch.equal(model.log_likelihood([[9, 1]], [[False, True]]), model.marginal([[np.nan, 1]]))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float32", "float64"])
def test_every_type_of_data(dtype: str) -> None:
    circuit = dn.hmm(dn.Cat("x", 2, shape=6), states=3)
    x = RANDOM.integers(0, 2, (50, 6))
    model = dn.compile(circuit)
    want = model.log_likelihood(x)
    assert torch.equal(model.log_likelihood(x.astype(dtype)), want)
    assert torch.equal(model.log_likelihood(np.asfortranarray(x.astype(dtype))), want)
    assert torch.equal(model.log_likelihood(x.astype(dtype)[::-1])[torch.arange(49, -1, -1)], want)


def test_integers_that_do_not_begin_at_zero() -> None:
    x, y = dn.Int("x", -3, 2), dn.Int("y", 100, 104)
    circuit = dn.Circuit(dn.sum(dn.table(x, _positive(4, 6)) * dn.table(y, _positive(4, 5)), _positive(1, 4)))
    _everything(circuit)
    model = dn.compile(circuit)
    for dtype in (np.int8, np.int32):
        with pytest.raises(dn.DanausError, match="x = 3"):
            model.log_likelihood(np.array([[3, 100]], dtype=dtype))
        assert torch.equal(
            model.log_likelihood(np.array([[-3, 104]], dtype=dtype)), model.log_likelihood([[-3.0, 104]])
        )


@pytest.mark.parametrize("sizes", [(2, 3, 4), (4, 4, 4), (5, 1, 3), (2, 2, 2, 2)])
def test_monarch_maps(sizes: tuple[int, ...]) -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=int(np.prod(sizes)), transition=dn.monarch(*sizes))
    _everything(circuit)


@pytest.mark.parametrize("shapes", [[(2, 3), (5, 2)], [(1, 4), (3, 2)], [(2, 3), (4, 1), (1, 3)], [(7, 2), (1, 5)]])
def test_kronecker_maps_that_are_not_square(shapes: list[tuple[int, int]]) -> None:
    x = dn.Cat("x", 4)
    inputs, outputs = (int(np.prod([shape[i] for shape in shapes])) for i in (1, 0))
    factors = [dn.const(f"a{i}", list(shape), value=_positive(*shape)) for i, shape in enumerate(shapes)]
    mixed = dn.sum(dn.table(x, _positive(inputs, 4)), *factors, map=dn.kron)
    _everything(dn.Circuit(dn.sum(mixed * dn.table(dn.Bool("y"), _positive(outputs, 2)), _positive(1, outputs))))


@pytest.mark.parametrize("count", [2, 3, 9])
def test_products_of_many_factors(count: int) -> None:
    x = dn.Cat("x", 3, shape=count)
    circuit = dn.Circuit(dn.sum(dn.product([dn.table(each, _positive(5, 3)) for each in x]), _positive(1, 5)))
    _everything(circuit)
    narrow = dn.kron(*(dn.table(each, _positive(2, 3)) for each in x))
    _everything(dn.Circuit(dn.sum(narrow, _positive(1, 2**count))))


@pytest.mark.parametrize("nats", [10, 300, 700])
@pytest.mark.parametrize("later", ["small", "large", "both"])
def test_joins_of_parts_far_apart(nats: float, later: str) -> None:
    """One part lies far below the other, and a later factor may keep the small, the large or both."""
    x, y = dn.Cat("x", 3), dn.Bool("y")
    far = dn.concat(dn.table(x, _positive(3, 3)), dn.table(x, _positive(3, 3) * np.exp(-nats)))
    keep = np.zeros((6, 2)) if later != "both" else _positive(6, 2)
    keep[slice(3, 6) if later == "small" else slice(0, 3)] = _positive(3, 2)
    circuit = dn.Circuit(dn.sum(dn.sum(far, np.eye(6)) * dn.table(y, keep), _positive(1, 6)))
    _everything(circuit, recomputed=None)
    model = compare(circuit, evidence(circuit, 30, 1, 0.0)[0])
    assert (model.recomputed > 0) == (later == "small" and nats > 90)


def test_weights_and_tables_at_the_ends_of_float64() -> None:
    x, y = dn.Cat("x", 3), dn.Bool("y")
    for low, high in ((1e-320, 1e-310), (1e307, 1.7e308), (1e-300, 1e300)):
        ends = np.where(RANDOM.random((4, 4)) < 0.5, low, high)
        circuit = dn.Circuit(dn.sum(dn.sum(dn.table(x, ends[:, :3]), ends) * dn.table(y, ends[:, :2]), _positive(1, 4)))
        for dtype in TYPES:
            compare(circuit, evidence(circuit, 6, 0, 0.0)[0], dtype=dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_densities_of_any_size(dtype: str) -> None:
    """Densities of e^±5000, and one of which not even the logarithm is small."""
    x, n = dn.Real("x"), dn.Count("n")
    wide = dn.gaussian(x, [0.0, 1.0, 100.0], [1.0, 1e-3, 5.0])
    circuit = dn.Circuit(dn.sum(wide * dn.poisson(n, [0.5, 3.0, 2000.0]), _positive(1, 3)))
    rows = np.array([[0, 0], [1, 3], [100, 2000], [1e2, 0], [-99, 5000], [3, 0], [1e3, 10_000], [1e12, 1], [-1e150, 2]])
    compare(circuit, rows, dtype=dtype)
    compare(circuit, rows, RANDOM.random(rows.shape) < 0.5, dtype)
    sharp = dn.product([dn.gaussian(each, [0.0], [1e-300]) for each in dn.Real("y", shape=8)])
    compare(dn.Circuit(sharp), np.array([[0.0] * 8, [1e-300] * 8, [1.0] * 8]), dtype=dtype)


def test_parameters_changed_in_place() -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=9), states=5, name="h")
    x = RANDOM.integers(0, 3, (40, 9))
    model = dn.compile(circuit)
    before = model.log_likelihood(x)
    code = _code(model)
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            parameter.copy_(torch.softmax(3 * torch.randn_like(parameter), -1))
        agrees(model, model.circuit, x)
        assert not torch.equal(model.log_likelihood(x), before), name
    assert _code(model) is code
    model.load_state_dict(dn.compile(circuit).state_dict())
    assert torch.equal(model.log_likelihood(x), before)


def _code(model: Executable) -> object:
    engine = model.present.engine()
    assert isinstance(engine, Folding) and isinstance(engine.fast, Vector)
    return engine.fast.library


def test_many_callers_at_once() -> None:
    circuit = dn.hmm(dn.Cat("x", 5, shape=30), states=17)
    model = dn.compile(circuit)
    batches = [RANDOM.integers(0, 5, (int(rows), 30)) for rows in RANDOM.integers(0, 200, 60)]
    want = [model.log_likelihood(batch) for batch in batches]
    for batch, alone in zip(batches, want, strict=True):
        assert torch.equal(model.log_likelihood(batch), alone)
    with ThreadPoolExecutor(8) as pool:
        for got, alone in zip(pool.map(model.log_likelihood, batches * 3), want * 3, strict=True):
            assert torch.equal(got, alone)


def test_probabilities_below_float64() -> None:
    """A binomial of 2000 draws has values of e^−4605 and less: the evaluator's logarithms, not −inf."""
    x = dn.Int("x", 0, 2000)
    circuit = dn.Circuit(dn.sum(dn.binomial(x, 2000, [0.9, 0.99]), [[0.5, 0.5]]))
    model = dn.compile(circuit)
    rows = np.array([[0], [1000], [1990]])
    np.testing.assert_allclose(model.log_likelihood(rows), dn.likelihood(circuit, rows), rtol=1e-12)
    assert torch.isfinite(model.log_likelihood(rows)).all()


def test_a_damaged_cache_is_as_if_it_were_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANAUS_CACHE", str(tmp_path))
    circuit = dn.hmm(dn.Cat("x", 3, shape=3), states=2)
    want = dn.compile(circuit).log_likelihood([[0, 1, 2]])
    (kept,) = tmp_path.rglob("*.o")
    sound = kept.read_bytes()
    for damaged in (b"", sound[:-7], sound[:200] + bytes(64) + sound[264:], b"no object"):
        kept.write_bytes(damaged)
        assert torch.equal(dn.compile(circuit).log_likelihood([[0, 1, 2]]), want)
        assert kept.read_bytes() == sound


def test_proofs_are_made_again_for_other_parameters() -> None:
    """A child under a zero weight asks nothing of smoothness; under another weight it does."""
    spec = dn.parse(
        """
        var x : bool
        var y : bool
        const W[1, 2] = [[1, 0]]
        circuit p { return sum(concat([x = 1] * [y = 1], [x = 0]), W) }
        """
    )
    model = dn.compile(spec.circuit)
    assert model.marginal([[1, np.nan]]).tolist() == [0.0]
    dict(model.named_parameters())["W"].copy_(torch.tensor([[0.5, 0.5]], dtype=torch.float64))
    with pytest.raises(dn.DanausError, match="smooth"):
        model.marginal([[1, np.nan]])
