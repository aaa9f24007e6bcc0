"""Derivatives by kernels in Triton's interpreter against the reverse of the Program in float64 logarithms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import policy, sparse_policy
from danaus.backends.triton.adjoint import Derived, FusedReverse
from danaus.backends.triton.adjoint_scalar import AdjointScalar
from danaus.backends.triton.plan import drawn
from danaus.backends.triton.reverse import course
from danaus.backends.triton.scalar import Device, Scalar
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.runtime.backward import Flows, flows
from danaus.runtime.columns import codes_of, with_first_values
from recorded_launches import Recording
from small_circuits import evidence, random_circuit
from tangled_networks import coded, executed, lowered, tangled


def _both(circuit: Circuit, rows: int, seed: int) -> tuple[Derived, Flows, frozenset[int]] | None:
    """Derivatives of a sum with weights of both signs, by kernels and in float64; None where zeros are asked for."""
    model = dn.compile(circuit, device="cuda")
    model.log_likelihood(np.zeros((0, len(circuit.variables))))
    compiled = model.compiled
    assert compiled is not None
    reverse = compiled.reverse(circuit)
    assert isinstance(reverse, FusedReverse)
    tables = list(compiled.linear(circuit.store))
    whole = FusedReverse(reverse.program, reverse.device, reverse.precision, reverse.wanted)
    if not whole.load(tables, lambda numbers: []):
        return None
    x, observed = with_first_values(compiled.variables, *evidence(circuit, rows, seed, 0.3))
    codes = codes_of(compiled.program.columns, compiled.variables, x, observed)
    weights = np.random.default_rng(seed).normal(size=rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        want = flows(compiled.lowered, tables, codes, {}, weights)
    return whole.run(codes, {}, weights), want, whole.wanted


def _agree(circuit: Circuit, rows: int, seed: int) -> bool:
    found = _both(circuit, rows, seed)
    if found is None:
        return False
    got, want, wanted = found
    assert not got.unsure.any()
    for number in wanted:
        size = max(1.0, float(np.abs(want.tables[number]).max()))
        np.testing.assert_allclose(got.tables[number], want.tables[number], atol=3e-5 * size, rtol=0)
    return True


RANDOM = [seed for seed in range(60) if not program_of(random_circuit(seed)).layouts]


def test_random_circuits() -> None:
    asked = [_agree(random_circuit(seed), 7, seed) for seed in RANDOM]
    assert sum(asked) >= 5


@pytest.mark.parametrize("states", [1, 3, 20, 40])
@pytest.mark.parametrize("rows", [1, 5, 17])
def test_chains(states: int, rows: int) -> None:
    assert _agree(dn.hmm(dn.Cat("x", 5, shape=6), states=states), rows, 2)


@pytest.mark.parametrize(("states", "launches"), [(64, 8), (128, 8)])
def test_launches_of_long_chains(states: int, launches: int) -> None:
    """All turns forward in one launch, and all back in one: the length of a chain does not count."""
    for steps in (6, 256):
        program = program_of(dn.hmm(dn.Cat("x", 27, shape=steps), states=states))
        made = drawn(program, "bf16x3", 32, True)
        assert [launch.kernel.name for launch in made.plan.launches] == ["dense", "sweep", "dense"]
        assert course(made, "bf16x3", frozenset(range(len(program.tables)))).launches == launches


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_weights_that_steps_share_are_a_few_products(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chain that does not stay on chip and of factors: sums over all steps and rows, in one product or in some."""
    monkeypatch.setattr(policy, "swept", lambda precision, stages=1: 0)
    monkeypatch.setattr(policy, "products", lambda programs, groups, gpu: min(parts, groups))
    for circuit, pulls, outers in (
        (dn.hmm(dn.Cat("x", 3, shape=7), states=5), 7, 3),
        (dn.hmm(dn.Cat("x", 3, shape=3), states=12, transition=dn.monarch(3, 4)), 5, 4),
    ):
        program = program_of(circuit)
        way = course(drawn(program, "ieee", 16, True), "ieee", frozenset(range(len(program.tables))))
        names = [turn.kernel.name for act in way.acts for turn in act.turns]
        assert (names.count("pull"), names.count("outer")) == (pulls, outers)
        assert _agree(circuit, 18, 2)


@pytest.mark.parametrize("own", ["emissions", "transitions"])
def test_steps_with_tables_of_their_own(own: str) -> None:
    random = np.random.default_rng(6)

    def learned(name: str, *shape: int) -> object:
        return dn.param(name, list(shape), "positive", random.random(shape) + 0.1)

    shared = dn.param("A", [5, 5], "positive", (random.random((5, 5)) + 0.1) * 1e9)  # beyond what is not scaled
    emission = learned("E", 5, 3)
    variables = [dn.Cat(f"x{i}", 3) for i in range(7)]
    state = dn.table(variables[0], emission)
    for i, variable in enumerate(variables[1:]):
        moved = dn.sum(state, learned(f"A{i}", 5, 5) if own == "transitions" else shared)
        state = moved * dn.table(variable, learned(f"E{i}", 5, 3) if own == "emissions" else emission)
    circuit = dn.Circuit(dn.sum(state, learned("V", 1, 5)), name="p")
    made = drawn(program_of(circuit), "ieee", 16, True)
    assert ("sweep" in [launch.kernel.name for launch in made.plan.launches]) == (own == "emissions")
    assert _agree(circuit, 6, 7)


def test_two_chains_side_by_side() -> None:
    """Loops of one form are one launch; they share their tables, and have sums of their own."""
    random = np.random.default_rng(9)
    emission, move = (dn.param(n, [3, 3], "positive", random.random((3, 3)) + 0.1) for n in "EA")

    def chain(name: str) -> object:
        state = dn.table(dn.Cat(f"{name}0", 3), emission)
        for i in range(1, 6):
            state = dn.sum(state, move) * dn.table(dn.Cat(f"{name}{i}", 3), emission)
        return dn.sum(state, dn.param(f"V{name}", [3, 3], "positive", random.random((3, 3)) + 0.1))

    circuit = dn.Circuit(dn.sum(chain("x") * chain("y"), np.full((1, 3), 0.5)), name="p")
    made = drawn(program_of(circuit), "ieee", 16, True)
    assert [launch.groups for launch in made.plan.launches if launch.kernel.name == "sweep"] == [2]
    assert _agree(circuit, 18, 7)


def test_factors() -> None:
    assert _agree(dn.hmm(dn.Cat("x", 3, shape=4), states=12, transition=dn.monarch(3, 4)), 6, 3)


@pytest.mark.parametrize(
    ("sizes", "rows"), [((3, 4), 17), ((4, 4), 1), ((2, 2), 5), ((2, 3, 4), 5), ((2, 64), 3), ((8, 16), 1)]
)
def test_loops_of_several_stages(sizes: tuple[int, ...], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All turns forward in one launch and all back in one, whatever the sizes of the factors."""
    monkeypatch.setattr(policy, "swept", lambda precision, stages=1: 1 << 16)
    circuit = dn.hmm(dn.Cat("x", 3, shape=5), states=int(np.prod(sizes)), transition=dn.monarch(*sizes))
    program = program_of(circuit)
    made = drawn(program, "ieee", 16, True)
    names = [launch.kernel.name for launch in made.plan.launches]
    assert names == [
        "dense",
        "sweep",
        *["dense"] * len(sizes),
    ]  # the first factor, then those of the last step, the root
    way = course(made, "ieee", frozenset(range(len(program.tables))))
    assert sum(len(act.swept) for act in way.acts) == 1
    assert _agree(circuit, rows, 3)


def test_launches_of_long_chains_of_factors() -> None:
    for steps in (6, 256):
        program = program_of(dn.hmm(dn.Cat("x", 27, shape=steps), states=128, transition=dn.monarch(8, 16)))
        made = drawn(program, "bf16x3", 32, True)
        assert [launch.kernel.name for launch in made.plan.launches] == ["dense", "sweep", "dense", "dense"]
        assert course(made, "bf16x3", frozenset(range(len(program.tables)))).launches == 10


def test_each_block_has_a_largest_flow_of_its_own() -> None:
    """Two blocks that never meet, one 69 nats below the other until the last step, which evens them out: both count,
    and no row is taken again in float64."""
    random = np.random.default_rng(5)

    def emission(name: str, *scales: float) -> object:
        return dn.param(name, [4, 3], "positive", (random.random((4, 3)) + 0.1) * np.repeat(scales, 2)[:, None])

    move = dn.param("A", [2, 2, 2], "positive", random.random((2, 2, 2)) + 0.1)
    variables = [dn.Cat(f"x{i}", 3) for i in range(7)]
    same = emission("E", 1.0, 1.0)
    tables = [emission("F", 1.0, 1e-30), *[same] * 5, emission("L", 1e-30, 1.0)]
    state = dn.table(variables[0], tables[0])
    for variable, table in zip(variables[1:], tables[1:], strict=True):
        state = dn.sum(state, move, map=dn.block_diagonal(2)) * dn.table(variable, table)
    circuit = dn.Circuit(dn.sum(state, dn.param("V", [1, 4], "positive", random.random((1, 4)) + 0.1)), name="p")
    made = drawn(program_of(circuit), "ieee", 16, True)
    assert "sweep" in [launch.kernel.name for launch in made.plan.launches]
    assert _agree(circuit, 6, 7)


def _shared() -> Circuit:
    """What is read twice, by pairs, in parts and by an index; a long join whose parts are read elsewhere too."""
    random = np.random.default_rng(5)

    def learned(name: str, *shape: int) -> object:
        return dn.param(name, list(shape), "positive", random.random(shape) + 0.1)

    x = [dn.Cat(f"x{i}", 3) for i in range(4)]
    a, b, c, d = (dn.sum(dn.table(v, learned(f"E{i}", 3, 3)), learned(f"W{i}", 3, 3)) for i, v in enumerate(x))
    paired = dn.sum(dn.kron(a, b), learned("P", 5, 9))
    again = dn.sum(a * b, learned("Q", 5, 3))
    both = [dn.sum(each, learned(f"R{i}", 2, 5)) for i, each in enumerate((paired, again, paired * again, again))]
    joined = dn.concat(*both, dn.sum(paired, learned("S", 1, 5)))
    rest = dn.sum(c * d, learned("T", 9, 3))
    more = dn.sum(both[0], learned("U", 9, 2))
    root = dn.sum(joined * rest * more, learned("V", 1, 9))
    return dn.Circuit(root, name="p")


def test_what_is_read_more_than_once() -> None:
    assert _agree(_shared(), 9, 4)


def test_rows_that_float32_does_not_hold_count_nothing() -> None:
    """A weight so small that only what it carries is left: the row is the evaluator's, the others are not."""
    x, y = dn.Cat("x", 2), dn.Cat("y", 2)
    first = dn.table(x, [[1.0, 0.0], [1e-30, 1.0]])
    weights = dn.param("W", [2, 2], "positive", np.array([[1.0, 1e-37], [1e-37, 1e-30]]))
    second = dn.sum(first, weights) * dn.table(y, [[1.0, 0.0], [1.0, 1.0]])
    circuit = dn.Circuit(dn.sum(second, [[1.0, 1.0]]), name="p")
    model = dn.compile(circuit, device="cuda")
    rows = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    got, want = model.flows(rows), dn.compile(circuit, dtype="float64").flows(rows)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-4, atol=1e-6)


def test_autograd_and_expectation_maximisation() -> None:
    circuit = dn.hmm(dn.Cat("x", 4, shape=5), states=6)
    x = np.random.default_rng(1).integers(0, 4, (8, 5))
    model, other = dn.compile(circuit, device="cuda"), dn.compile(circuit, dtype="float64")
    for each in (model, other):
        each.requires_grad_()
        each.log_likelihood(x).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, dict(other.named_parameters())[name].grad, rtol=1e-4, atol=1e-4)


def test_large_batches_run_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from danaus.backends.triton import way_back

    circuit = dn.hmm(dn.Cat("x", 3, shape=3), states=4)
    whole = _both(circuit, 40, 1)
    monkeypatch.setattr(way_back, "MOST", 1)
    parts = _both(circuit, 40, 1)
    assert whole is not None and parts is not None
    for number in whole[2]:
        np.testing.assert_allclose(parts[0].tables[number], whole[0].tables[number], rtol=1e-5, atol=1e-6)


def test_launches_of_derivatives_are_recorded_once_for_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other rows, weights of rows and parameters go through what was recorded for the same number of rows."""
    circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=5)
    model, plain = (dn.compile(circuit, device=device) for device in ("cuda", "cpu"))
    random = np.random.default_rng(0)
    found, lying = Recording(monkeypatch), set[int]()
    for turn, count in enumerate((6, 6, 9, 20)):  # 9 fill as many tiles as 6, 20 more
        x = random.integers(0, 3, (count, 4))
        for name, own in model.flows(x).items():
            np.testing.assert_allclose(own, plain.flows(x)[name], rtol=2e-4, atol=2e-4)
        reverse = model.present.reverse()
        assert isinstance(reverse, FusedReverse)
        lying |= {each.data_ptr() for way in reverse.ready.values() for each in (way.placed.tables, way.placed.weights)}
        assert len(lying) == 2  # other numbers take the place of those that were recorded
        for each in (model, plain):
            emission = dict(each.named_parameters())["circuit/emission"]
            emission.copy_(emission.flip(1))
        assert (found.count, found.replayed) == (2 if turn < 3 else 4, 2 * turn + 2)  # forward, and back


def test_levels_of_networks_are_recorded_once_for_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_policy, "programs", lambda *_: 0)
    program, tables = lowered(tangled(3, zeros=False))
    wanted = tuple(np.ones(len(table), dtype=bool) for table in tables)
    reverse = AdjointScalar(program, 8, "linear", (wanted[0], wanted[1]), Device(torch.device("cpu")))
    found, lying = Recording(monkeypatch), set[int]()
    for turn in range(3):
        assert reverse.load(tables, None)
        codes, weights = coded(program, 5, turn), np.random.default_rng(turn).normal(size=5)
        got, want = reverse.run(codes, {}, weights), flows(program, tables, codes, {}, weights)
        np.testing.assert_allclose(got.log, want.log, rtol=1e-12)
        for own, other in zip(got.tables, want.tables, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-9)
        assert (found.count, found.replayed) == (2, 2 * turn + 2)
        lying |= {reverse.forward.leaves.data_ptr(), reverse.forward.weights.data_ptr()}
        assert len(lying) == 2
        tables = [table * 1.1 for table in tables]
    engine, lying = Scalar(program, 8, "linear", Device(torch.device("cpu"))), set()
    for turn in range(2):
        engine.refill(tables)
        codes = coded(program, 5, turn)
        np.testing.assert_allclose(engine.run(codes, {}).log, executed(program, tables, codes), rtol=1e-12)
        lying |= {engine.leaves.data_ptr(), engine.weights.data_ptr()}
        assert len(lying) == 2 and found.count == 3 + turn
        weights = np.random.default_rng(turn).random((5, program.columns[turn]))  # of one column, then of another
        with monkeypatch.context() as inner:
            inner.setattr(policy, "records", lambda *_: False)
            plain = Scalar(program, 8, "linear", Device(torch.device("cpu")))
            plain.refill(tables)
            want = plain.run(codes, {}, evidence={turn: weights}).log
        np.testing.assert_array_equal(engine.run(codes, {}, evidence={turn: weights}).log, want)
        tables = [table * 1.1 for table in tables]


def test_sums_have_one_order() -> None:
    circuit = dn.hmm(dn.Cat("x", 3, shape=3), states=4)
    first, second = (_both(circuit, 33, 8) for _ in range(2))
    assert first is not None and second is not None
    assert all((first[0].tables[n] == second[0].tables[n]).all() for n in first[2])
    assert policy.batch_tile(33) == 16  # so that the order matters: three tiles


def test_scaled_weights() -> None:
    random = np.random.default_rng(2)
    x = dn.table(dn.Cat("x", 3), dn.param("E", [6, 3], "positive", random.random((6, 3)) + 0.1))
    below = dn.sum(x, dn.param("W", [6, 6], "positive", (random.random((6, 6)) + 0.1) * 1e12))
    root = dn.sum(below, dn.param("V", [1, 6], "positive", (random.random((1, 6)) + 0.1) * 1e-9))
    assert _agree(dn.Circuit(root, name="p"), 5, 6)
