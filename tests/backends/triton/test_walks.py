"""Walks over Programs of vectors by kernels, through Triton's interpreter: chains, trees, and circuits of every map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import sparse_policy
from danaus.backends.triton.inputs import Inputs
from danaus.backends.triton.network import Shape
from danaus.backends.triton.scalar import Device
from danaus.backends.triton.steps import steps
from danaus.backends.triton.steps_walker import StepsWalker
from danaus.compiler.lowering.lower import lower
from danaus.compiler.lowering.tables import held
from danaus.ir.circuit import Circuit
from danaus.ir.numbers import Numbers
from danaus.ir.program.tabled import Tabled
from danaus.ir.query.exactness import one_path
from danaus.runtime.queries import conditional
from danaus.runtime.queries.answers import ByProgram
from danaus.runtime.queries.on_device import ByDevice
from danaus.runtime.queries.questions import Questions
from recorded_launches import Recording
from small_circuits import evidence, random_circuit

pytest.importorskip("triton")

HERE = Device(torch.device("cpu"))

CHAIN = "var w[3] : cat(5)\ncircuit p = hmm(w, states=3)"
MONARCH = "var w[3] : cat(3)\ncircuit p = hmm(w, states=4, transition=monarch(2, 2))"
TREE = "var x[4] : bool\ncircuit p = quad_tree(x, shape=[2, 2], states=2, layer=tucker)"


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways through a Program, in tiles of 4 nodes and 8 rows."""
    count = 1 if request.param == "one launch" else 2
    monkeypatch.setattr(sparse_policy, "parts", lambda *_: count)
    monkeypatch.setattr(
        sparse_policy, "walk_shape", lambda rows, drawn, drain: Shape(4, 1 if rows == 1 else 8, 4, drain)
    )
    with np.errstate(divide="ignore", over="ignore"):
        yield request.param


def _both(circuit: Circuit) -> tuple[ByProgram, ByDevice] | None:
    """The CPU's answers, and those with the walks by kernels; None for what no kernel walks."""
    found = lower(circuit)
    tables = held(found.tables, circuit.store)
    records = None if found.program.layouts else steps(found.program, found.sites)
    if records is None or any(table.min(initial=0.0) < 0 for table in tables):
        return None
    tabled = Tabled(found.program, tables)
    free = tuple(circuit.variables.index(variable) for variable in circuit.free)
    numbers = Numbers(circuit.store)
    questions = Questions(
        "c", circuit.variables, found.variables, free, tabled, found.densities, numbers, found.sites, circuit.nodes
    )
    program = ByProgram(questions, one_path(circuit)[0].root is circuit.root, lambda: False)
    return program, ByDevice(program, StepsWalker(records, HERE, tabled))


def _agrees(circuit: Circuit, seed: int) -> bool:
    """Samples, samples given, most probable values and virtual evidence, on both."""
    both = _both(circuit)
    if both is None:
        return False
    cpu, device = both
    if not np.isfinite(dn.partition(circuit)):
        return False
    x = cpu.sample(6, seed)
    assert (device.sample(6, seed) == x).all()
    random = np.random.default_rng(seed)
    some = random.random(x.shape) < 0.4
    assert (device.sample_given(x, some, seed) == cpu.sample_given(x, some, seed)).all()
    mine, best = device.map(x, some), cpu.map(x, some)
    np.testing.assert_allclose(mine.log_probability, best.log_probability, rtol=1e-12, atol=1e-12)
    sizes = [getattr(variable.domain, "size", 0) for variable in circuit.variables]
    weights = {0: random.random((len(x), sizes[0])) * (random.random((len(x), sizes[0])) < 0.7)}
    some[:, 0] = False
    got, want = device.weighted(x, some, weights), cpu.weighted(x, some, weights)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    return True


@pytest.mark.parametrize(
    ("way", "text"),
    [("one launch", CHAIN), ("steps", MONARCH), ("one launch", TREE), ("steps", TREE)],
    ids=["chain", "monarch", "tree", "tree by steps"],
    indirect=["way"],
)
def test_chains_and_trees(way: str, text: str) -> None:
    """Hidden Markov models, dense and of two block-diagonal factors, and a tree."""
    assert _agrees(dn.parse(text).circuit, 5)


@pytest.mark.parametrize(("way", "seed"), [("one launch", 49), ("steps", 57), ("steps", 107)], indirect=["way"])
def test_circuits_of_other_maps(way: str, seed: int) -> None:
    """Gathers, joins, matrices on blocks, scales; zeros among numbers."""
    assert _agrees(random_circuit(seed), seed)


@pytest.mark.parametrize("way", ["steps"], indirect=True)
def test_steps_up_are_recorded_once_for_a_size(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other rows, and other evidence, over what was recorded; samples given them are the CPU's."""
    both = _both(dn.parse(CHAIN).circuit)
    assert both is not None
    cpu, device = both
    found = Recording(monkeypatch)
    for turn in range(2):
        x = cpu.sample(5, turn)
        some = np.random.default_rng(turn).random(x.shape) < 0.5
        np.testing.assert_array_equal(device.sample_given(x, some, turn), cpu.sample_given(x, some, turn))
        weights = {0: np.random.default_rng(turn).random((5, 5))}
        some[:, 0] = False
        np.testing.assert_allclose(device.weighted(x, some, weights), cpu.weighted(x, some, weights), rtol=1e-12)
        assert (found.count, found.replayed) == (2, 2 * turn + 2)


@pytest.mark.parametrize("text", [MONARCH, TREE, 11, 49, 57])
def test_what_comes_through_inputs(text: str | int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distributions of missing variables from flows of inputs: the evaluator's, with no walk on the CPU."""
    circuit = dn.parse(text).circuit if isinstance(text, str) else random_circuit(text)
    model = dn.compile(circuit, device="cuda")
    monkeypatch.delattr(Questions, "filled")
    x, observed = evidence(circuit, 6, 3, 0.5)
    possible = np.isfinite(dn.evaluate(circuit, x, observed=observed, semiring="log"))
    found = model.conditional(x[possible], observed[possible])
    expected = dn.conditional(circuit, x[possible], observed[possible])
    assert found and set(found) == set(expected)
    for name, own in expected.items():
        np.testing.assert_allclose(found[name], np.asarray(own), atol=1e-5)


def test_many_rows_come_through_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty rows, of which 32 are taken at a time where memory is short."""
    circuit = dn.parse(CHAIN).circuit
    model = dn.compile(circuit, device="cuda")
    asked: list[int] = []
    real = Inputs.run

    def run(own: Inputs, tabled: Tabled, codes: np.ndarray) -> object:
        asked.append(codes.shape[1])
        return real(own, tabled, codes)

    monkeypatch.setattr(Inputs, "run", run)
    monkeypatch.setattr(conditional, "HELD", 1)
    x, observed = evidence(circuit, 40, 3, 0.5)
    found, expected = model.conditional(x, observed), dn.conditional(circuit, x, observed)
    assert asked == [32, 8]
    for name, own in expected.items():
        np.testing.assert_allclose(found[name], np.asarray(own), atol=1e-5)
