"""On which device kernels are launched, and by how many threads: what one GPU and one thread never show."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import device as devices
from danaus.backends.triton import (
    engine,
    graphs,
    network_queries,
    plan,
    policy,
    scalar,
    sparse_policy,
    text,
    way_back,
)
from danaus.backends.triton.device import device_of
from danaus.backends.triton.plan import drawn
from danaus.backends.triton.reverse import course
from danaus.backends.triton.text import At, Lines
from danaus.backends.triton.value import Look
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from recorded_launches import Recording
from scalar_network import network

pytest.importorskip("triton")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were two GPUs, of which the second is current."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(devices, "interpreted", lambda: False)


def test_a_gpu_without_a_number_is_the_current_one(two_gpus: None) -> None:
    """Whatever is current later: tensors, modules and launches stay together."""
    assert device_of("cuda") == torch.device("cuda", 1)
    assert device_of("cuda:0") == torch.device("cuda", 0)
    for name, code in (("cuda:2", "no-device"), ("mps", "unknown-device")):
        with pytest.raises(DanausError) as failure:
            device_of(name)
        assert failure.value.diagnostics[0].code == code and failure.value.diagnostics[0].hint


def test_the_device_is_current_while_kernels_are_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton.runtime.interpreter import InterpretedFunction

    current: list[torch.device] = []
    launched: list[bool] = []
    run: Any = InterpretedFunction.run

    @contextmanager
    def on(device: torch.device) -> Iterator[None]:
        current.append(device)
        try:
            yield
        finally:
            current.pop()

    def watched(self: Any, *given: Any, **more: Any) -> Any:
        launched.append(current == [torch.device("cpu")])
        return run(self, *given, **more)

    for module in (engine, way_back, scalar):
        monkeypatch.setattr(module, "on", on)
    monkeypatch.setattr(InterpretedFunction, "run", watched)
    for circuit in (dn.hmm(dn.Cat("x", 3, shape=4), states=5), network()):
        for ask in asks(circuit):
            launched.clear()
            with np.errstate(all="ignore"):
                ask()
            assert launched and all(launched)


@pytest.mark.parametrize(("nodes", "columns", "size"), [(1, 1, 4), (40, 3, 16), (2000, 1, 8), (7, 100_000, 4)])
def test_rows_at_once_are_within_a_grid_and_32_bits(nodes: int, columns: int, size: int) -> None:
    """Tiles of the batch are the second side of a grid, which has 65535 at most; offsets of codes are 32-bit."""
    for rows in (
        sparse_policy.at_once(nodes, columns, size),
        sparse_policy.at_once(nodes, columns, size, network_queries.HELD),
    ):
        assert rows % 32 == 0 and rows // 32 <= 65535
        assert rows * columns < 2**31 and rows * nodes * size <= max(2**32, 32 * nodes * size)


def test_virtual_evidence_is_taken_in_stretches_of_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a column of many values the weights are more than the codes."""
    asked: list[int] = []

    def at_once(nodes: int, columns: int, size: int, held: int = 0) -> int:
        asked.append(columns)
        return 32

    monkeypatch.setattr(sparse_policy, "at_once", at_once)
    for circuit in (dn.hmm(dn.Cat("x", 7, shape=2), states=3), network()):
        x, columns = np.zeros((33, len(circuit.variables))), [variable.domain.size for variable in circuit.variables]  # type: ignore[union-attr]
        weights = {
            variable.name: np.ones((33, size)) for variable, size in zip(circuit.variables, columns, strict=True)
        }
        with np.errstate(all="ignore"):
            found = dn.compile(circuit, device="cuda").marginal(x, evidence=weights)
        np.testing.assert_allclose(found, np.zeros(33), atol=1e-9)
        assert max(asked) == sum(columns)
        asked.clear()


def test_offsets_in_large_tables_have_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of 65536 nodes and 50257 values has more numbers than 32 bits count."""
    at, names = At("k", None), {0: "t", 1: "code"}

    def written(width: int, values: int) -> str:
        lines = Lines()
        text.value(lines, Look(0, 1, width, values), at, names)
        return "".join(lines.lines)

    assert "code[None, :].to(tl.int64) * 65536" in written(65536, 50257)
    assert "int64" not in written(16384, 50257)
    monkeypatch.setattr(text, "FAR", 1)
    circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=5)
    model, x = dn.compile(circuit, device="cuda"), np.array([[0, 1, 2, 1], [2, 2, 0, 0]])
    np.testing.assert_allclose(model.log_likelihood(x), dn.evaluate(circuit, x, semiring="log"), rtol=1e-5)
    monkeypatch.setattr(plan, "FAR", 16)
    with pytest.raises(DanausError) as failure:
        plan.plan(program_of(circuit), "ieee", 16)
    assert failure.value.diagnostics[0].code == "not-on-device" and failure.value.diagnostics[0].hint


def test_rows_are_counted_with_the_sums_of_programs() -> None:
    """Each program that sweeps has sums of its own, as many as weights: more than flows where a path is short."""
    made = drawn(program_of(dn.hmm(dn.Cat("x", 3, shape=8), states=64)), "ieee", 64, True)
    way = course(made, "ieee", frozenset(range(len(made.found.program.tables))))
    (swept,) = (each for act in way.acts for each in act.swept)
    rows = 64 * swept.batch
    assert way.numbers * rows >= way.rows * rows + swept.grid(rows) * 64 * 64
    assert "tl.program_id(0).to(tl.int64)" in swept.kernel.source


def test_batches_take_a_part_of_the_memory_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=24 << 30))
    some = devices.numbers_on(torch.device("cuda", 0))
    assert 4 * some * policy.RECORDED == 6 << 30
    circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=5)
    x = np.random.default_rng(0).integers(0, 3, (40, 4))
    model, whole = (dn.compile(circuit, device="cuda") for _ in range(2))
    want, flows = whole.log_likelihood(x).numpy(), whole.flows(x)
    launched: list[int] = []
    usual = engine.Placed.filled

    def counted(placed: engine.Placed, codes: Any, densities: Any) -> Any:
        launched.append(codes.shape[1])
        return usual(placed, codes, densities)

    monkeypatch.setattr(engine.Placed, "filled", counted)
    for module in (engine, way_back):
        monkeypatch.setattr(module, "numbers_on", lambda device: 1)
    np.testing.assert_array_equal(model.log_likelihood(x).numpy(), want)
    for name, own in model.flows(x).items():
        np.testing.assert_allclose(own, flows[name], rtol=1e-5)
    assert launched == [16, 16, 8] * 2


def test_no_memory_left_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model = dn.compile(dn.hmm(dn.Cat("x", 3, shape=4), states=5), device="cuda")

    def full(*given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine.Placed, "filled", full)
    with pytest.raises(DanausError) as failure:
        model.log_likelihood(np.zeros((2, 4)))
    assert failure.value.diagnostics[0].code == "no-room" and failure.value.diagnostics[0].hint


def asks(circuit: Circuit) -> Iterator[Callable[[], object]]:
    """Queries by each of the engines."""
    model = dn.compile(circuit, device="cuda")
    x = np.zeros((2, len(circuit.variables)))
    yield lambda: model.log_likelihood(x)
    yield lambda: model.flows(x)
    yield lambda: model.sample(2, seed=1)
    yield lambda: model.map(x, np.zeros(x.shape, dtype=bool))
    yield lambda: model.conditional(np.full(x.shape, np.nan))


def test_threads_that_share_a_model_do_not_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one waits for what it replays, another's rows must not take the place of its own."""
    recording = Recording(monkeypatch)
    replayed, captured = threading.Event(), recording.captured

    def slow(device: object, launch: Callable[[], None]) -> Callable[[], None]:
        replay = captured(device, launch)

        def waits() -> None:
            replayed.set()
            time.sleep(0.2)
            replay()

        return waits

    for module in (engine, graphs, way_back):
        monkeypatch.setattr(module, "captured", slow)
    monkeypatch.setattr(policy, "records", lambda device, launches: True)
    monkeypatch.setattr(sparse_policy, "programs", lambda *_: 0)
    for circuit in (dn.hmm(dn.Cat("x", 3, shape=3), states=4), network()):
        model = dn.compile(circuit, device="cuda")
        rows = [np.full((2, len(circuit.variables)), float(value)) for value in (0, 1)]
        want = [model.log_likelihood(x).numpy() for x in rows]
        assert not np.array_equal(*want)
        got: dict[int, np.ndarray] = {}

        def ask(number: int, model: Any = model, rows: list[np.ndarray] = rows, got: Any = got) -> None:
            got[number] = model.log_likelihood(rows[number]).numpy()

        replayed.clear()
        first, second = (threading.Thread(target=ask, args=(number,)) for number in (0, 1))
        first.start()
        assert replayed.wait(5)
        second.start()
        for thread in (first, second):
            thread.join()
        np.testing.assert_array_equal([got[0], got[1]], want)
