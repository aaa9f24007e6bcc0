"""Compiled derivatives against the reverse in float64 logarithms, which others hold to enumeration."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.cpu import adjoint_vector, packed
from danaus.backends.cpu.adjoint_vector import AdjointVector
from danaus.compiler.able import Type
from danaus.compiler.lowering.lower import lower
from danaus.compiler.programs.split import split
from danaus.ir.circuit import Circuit
from danaus.ir.parameter import Value
from danaus.ir.program.adjoint import Clear, Pull, Seed, adjoint
from danaus.ir.program.operation import Contract, reads
from danaus.runtime.backward import Flows
from danaus.runtime.executable import Executable
from small_circuits import evidence, random_circuit

ERROR: dict[Type, float] = {"float32": 2e-5, "float64": 1e-11}
"""Relative to the largest derivative of a parameter."""


def _derived(model: Executable, x: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> tuple[Flows, dict]:
    found = model.derivatives(x, observed, weights, data=True)
    return Flows(found.log, [found.data], {}), found.named


def _compare(circuit: Circuit, dtype: Type, rows: int = 40, seed: int = 0, missing: float = 0.3) -> bool:
    """Both ways, over the same rows and weights of both signs; whether compiled code took the first."""
    model = dn.compile(circuit, dtype=dtype)
    x, observed = _rows(circuit, rows, seed, missing)
    weights = np.linspace(-1.0, 2.0, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        found, named = _derived(model, x, observed, weights)
        assert model.compiled is not None
        compiled = model.present.reverse() is not None
        model.present.reverse = lambda: None  # type: ignore[method-assign]
        want, exact = _derived(model, x, observed, weights)
    np.testing.assert_array_equal(np.isneginf(found.log), np.isneginf(want.log))
    for name, derivative in [*exact.items(), ("data", want.tables[0])]:
        mine = found.tables[0] if name == "data" else named[name]
        size = np.abs(derivative).max(initial=0.0)
        np.testing.assert_allclose(mine, derivative, rtol=0, atol=ERROR[dtype] * size, err_msg=name)
    return compiled


def _image(layer: str, states: int, side: int = 4) -> Circuit:
    return dn.quad_graph(dn.Cat("x", 5, shape=side * side), shape=[side, side], states=states, layer=layer)


def _gaussians() -> Circuit:
    x, y = dn.Real("x"), dn.Cat("y", 3)
    a = dn.gaussian(x, [-1.0, 0.0, 2.0, 5.0, 9.0], [1.0, 2.0, 0.5, 3.0, 0.1])
    b = dn.categorical(y, dn.param("B", [5, 3], "simplex"))
    return dn.Circuit(dn.sum(a * b, dn.param("W", [1, 5], "simplex")), name="g")


CIRCUITS: dict[str, Callable[[], Circuit]] = {
    **{f"chain {k}": lambda k=k: dn.hmm(dn.Cat("x", 4, shape=6), states=k) for k in (1, 2, 8, 17)},
    "chain of 16 values": lambda: dn.hmm(dn.Cat("x", 16, shape=5), states=9),
    "monarch": lambda: dn.hmm(dn.Cat("x", 4, shape=6), states=12, transition=dn.monarch(3, 4)),
    "square monarch": lambda: dn.hmm(dn.Cat("x", 4, shape=6), states=64, transition=dn.monarch(8, 8)),
    **{f"{kind} {k}": lambda kind=kind, k=k: _image(kind, k) for kind in ("cp", "tucker") for k in (1, 10)},
    "tree of latents": lambda: dn.hclt(
        np.random.default_rng(0).integers(0, 3, (50, 7)), dn.Cat("x", 3, shape=7), states=5
    ),
    "gaussians": _gaussians,
}


def _rows(circuit: Circuit, rows: int, seed: int, missing: float) -> tuple[np.ndarray, np.ndarray]:
    if all(variable.size for variable in circuit.variables):
        return evidence(circuit, rows, seed, missing)
    random = np.random.default_rng(seed)
    x = np.stack([random.integers(0, v.size, rows) if v.size else random.normal(2, 4, rows) for v in circuit.variables])
    return x.T, random.random(x.T.shape) >= missing


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CIRCUITS)
def test_derivatives_of_circuits(name: str, dtype: Type) -> None:
    assert _compare(CIRCUITS[name](), dtype, rows=70)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [0, 1, 3, 16, 17, 1000])
def test_every_batch_size(rows: int, dtype: Type) -> None:
    assert _compare(dn.hmm(dn.Cat("x", 5, shape=4), states=6), dtype, rows=rows)


def test_random_circuits() -> None:
    """Zeros among weights and tables, shared blocks, every map."""
    compiled = sum(_compare(random_circuit(seed), dtype, seed=seed) for seed in range(24) for dtype in ERROR)
    assert compiled >= 8


@pytest.mark.parametrize("name", ["cp 10", "tucker 10", "square monarch", "chain of 16 values", "gaussians"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_native_packing_of_few_tables(name: str, dtype: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FEW_TABLES", -1)
    assert _compare(CIRCUITS[name](), dtype, rows=50)


def test_numbers_out_of_reach_of_native_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FEW_TABLES", -1)
    circuit = dn.hmm(dn.Cat("x", 5, shape=7), states=9)
    name = next(parameter for parameter in circuit.parameters if parameter.shape == (9, 5))
    small = circuit.store[name].floats * 1e-250
    assert _compare(circuit.over(circuit.store.updated({name: Value.of(small)})), "float32")


def test_threads_share_the_rows() -> None:
    circuit = _image("cp", 8)
    x, _ = evidence(circuit, 500, 3, 0.0)
    model = dn.compile(circuit)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = model.flows(x)
        torch.set_num_threads(3)
        for name, flow in model.flows(x).items():
            np.testing.assert_allclose(flow, alone[name], rtol=1e-4, atol=1e-4)
    finally:
        torch.set_num_threads(before)


def test_more_rows_than_are_summed_in_the_type_of_the_code() -> None:
    rows = 3 * adjoint_vector.FOLDED * 32 + 5
    circuit = dn.hmm(dn.Cat("x", 5, shape=4), states=6)
    x, _ = evidence(circuit, rows, 3, 0.0)
    totals = [float(flow.sum()) for flow in dn.compile(circuit).flows(x).values()]
    np.testing.assert_allclose(sorted(totals), [rows, 3 * rows, 4 * rows], rtol=1e-6)


def test_what_is_kept_is_bounded_and_the_rest_made_again() -> None:
    circuit = dn.hmm(dn.Cat("x", 4, shape=400), states=8)
    program = split(lower(circuit).program)
    whole, thin = adjoint(program, 1 << 30), adjoint(program, 100 * 8)
    assert sum(thin.buffers) < sum(whole.buffers) / 2

    def matrices(moves: tuple[object, ...]) -> int:
        return sum(isinstance(move, Contract) for move in moves)

    assert matrices(whole.moves) == 400
    assert 400 < matrices(thin.moves) <= 800


def test_a_bounded_memory_gives_the_same_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = dn.hmm(dn.Cat("x", 4, shape=100), states=8)
    x, _ = evidence(circuit, 20, 1, 0.2)
    want = dn.compile(circuit).flows(x)
    monkeypatch.setattr(adjoint_vector, "KEPT", 25 * 8 * 128)
    found = dn.compile(circuit).flows(x)
    for name, flow in want.items():
        np.testing.assert_array_equal(found[name], flow)


@pytest.mark.parametrize("name", ["chain 8", "tucker 10", "cp 10", "monarch"])
def test_every_move_reads_what_an_earlier_one_wrote(name: str) -> None:
    """No buffer is taken by another while something still reads it."""
    found = adjoint(split(lower(CIRCUITS[name]()).program), 50)
    holder: dict[int, object] = {}
    for move in found.moves:
        match move:
            case Seed(root, out):
                assert root in holder
                holder[out] = "derivative"
            case Clear(out):
                holder[out] = "derivative"
            case Pull(step, result, shares, adds):
                assert holder[result] == "derivative"
                for share, add in zip(shares, adds, strict=True):
                    assert not add or holder[share] == "derivative"
                    assert share not in {result, *(source for source in reads(step) if source >= 0)}
                    holder[share] = "derivative"
            case _:
                assert all(holder[source] == "value" for source in reads(move))
                holder[move.out] = "value"


def test_a_derivative_beyond_all_numbers_is_taken_in_logarithms() -> None:
    """What comes after makes states likely that are next to impossible before: d would be beyond float32."""
    steps = 30
    x = dn.Cat("x", 2, shape=steps)
    weak = 1e-5
    emission = np.array([[1 - weak, weak], [weak, 1 - weak]])
    circuit = dn.hmm(x, states=2, name="h")
    values = {}
    for parameter in circuit.parameters:
        if "emission" in parameter.name:
            values[parameter] = Value.of(emission)
        elif "transition" in parameter.name:
            values[parameter] = Value.of(np.array([[1.0, 0.0], [0.0, 1.0]]))
        else:
            values[parameter] = Value.of(np.array([[1.0, 0.0]]))
    circuit = circuit.over(circuit.store.updated(values))
    rows = np.array([[0] * steps, [1] * steps, [0] * 15 + [1] * 15])
    model = dn.compile(circuit)
    compiled = model.compiled
    assert compiled is not None
    reverse = compiled.reverse(circuit)
    assert isinstance(reverse, AdjointVector)
    model.flows(rows)
    tables = model.present.tables(compiled)
    assert tables is not None
    densities: dict[int, np.ndarray] = {}
    unsure = reverse.run(rows.T, densities, np.ones(3)).unsure
    assert unsure[1] and not unsure[0]
    everywhere = np.ones(rows.shape, dtype=bool)
    found, named = _derived(model, rows.astype(float), everywhere, np.ones(3))
    model.present.reverse = lambda: None  # type: ignore[method-assign]
    want, exact = _derived(model, rows.astype(float), everywhere, np.ones(3))
    for name, derivative in exact.items():
        np.testing.assert_allclose(named[name], derivative, rtol=1e-5)
    np.testing.assert_allclose(found.log, want.log, rtol=1e-6, atol=1e-6)


def test_parameters_changed_in_place_reach_the_derivatives() -> None:
    circuit = _image("cp", 8)
    x, _ = evidence(circuit, 30, 3, 0.0)
    model = dn.compile(circuit)
    model.flows(x)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.pow_(2.0)
    fresh = dn.compile(model.circuit).flows(x)
    for name, flow in model.flows(x).items():
        np.testing.assert_allclose(flow, fresh[name], rtol=1e-5, atol=1e-9)
