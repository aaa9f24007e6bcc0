"""Every form of kernel on a GPU against the float64 evaluator: `TRITON_INTERPRET=0 pytest -m gpu` where there is one.

Without a GPU these tests are skipped; with DANAUS_GPU_TESTS=interpreter in the environment their bodies run through
Triton's interpreter, in small, so that they are known to run. What only a device can show is then left out: precisions,
graphs and the driver.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import engine, policy, sparse_policy, text
from danaus.backends.triton.device import interpreted
from danaus.backends.triton.plan import drawn, plan
from danaus.backends.triton.policy import ERROR, PRECISIONS, Precision
from danaus.backends.triton.reverse import course
from danaus.compiler.pipeline import program_of
from danaus.ir.block import Block, indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Variable
from danaus.ir.family import Table
from danaus.ir.linear import sparse
from danaus.ir.parameter import Parameter, Value
from danaus.ir.store import Store
from danaus.runtime.executable import Executable

pytest.importorskip("triton")
pytestmark = pytest.mark.gpu

Bools = np.ndarray


@dataclass(frozen=True)
class Scale:
    """How much is run: all of it on a device, little in the interpreter."""

    device: bool

    def of(self, much: int, little: int) -> int:
        return much if self.device else little

    @property
    def precision(self) -> Precision:
        return policy.DEFAULT if self.device else "ieee"


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Scale]:
    if torch.cuda.is_available() and not interpreted():
        monkeypatch.setenv("DANAUS_CACHE", str(tmp_path))
        yield Scale(True)
    elif os.environ.get("DANAUS_GPU_TESTS") == "interpreter" and interpreted():
        with np.errstate(divide="ignore", over="ignore"):
            yield Scale(False)
    else:
        pytest.skip("no GPU: TRITON_INTERPRET=0 pytest -m gpu where there is one, or DANAUS_GPU_TESTS=interpreter")


def hmm(states: int, steps: int, values: int = 5, parts: tuple[int, ...] = ()) -> Circuit:
    given = {"transition": dn.monarch(*parts)} if parts else {}
    return dn.hmm(dn.Cat("x", values, shape=steps), states=states, **given)


def drawn_rows(circuit: Circuit, rows: int, missing: float = 0.2) -> tuple[np.ndarray, Bools]:
    """Values drawn evenly, and which are there."""
    random = np.random.default_rng(rows)
    x = np.stack([random.integers(0, variable.domain.size, rows) for variable in circuit.variables], axis=1)  # type: ignore[union-attr]
    return x.astype(float), random.random(x.shape) >= missing


def agrees(circuit: Circuit, rows: int, precision: Precision, model: Executable | None = None) -> None:
    """Marginals within the budget of a precision; −inf exact."""
    x, observed = drawn_rows(circuit, rows)
    model = model or dn.compile(circuit, device="cuda", precision=precision)
    got = model.marginal(x, observed).numpy()
    want = dn.evaluate(circuit, x, observed=observed, semiring="log")
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    finite = np.isfinite(want)
    np.testing.assert_allclose(got[finite], want[finite], rtol=2e-6, atol=ERROR[precision])


FORMS = {
    "chain of 20": (hmm(20, 33), 1, "chain"),
    "chain of 128": (hmm(128, 256), 1, "chain"),
    "chain of 33 over 3 values": (hmm(33, 7, 3), 1, "chain"),
    "path of 256": (hmm(256, 64), 1, "path"),
    "matrices of 600": (hmm(600, 9), 2, "dense"),
    "Monarch 8 × 8": (hmm(64, 64, 5, (8, 8)), 1, "chain"),
    "Monarch 64 × 64": (hmm(4096, 5, 5, (64, 64)), 2, "dense"),
    "Monarch 3 × 5 × 2": (hmm(30, 5, 5, (3, 5, 2)), 1, None),
    "products": (
        dn.Circuit(dn.product([dn.bernoulli(dn.Bool(f"x{i}"), [0.2 + i / 99]) for i in range(40)])), 2, "elementwise",
    ),
}  # fmt: skip
LITTLE = {
    "chain of 128": hmm(17, 5), "path of 256": hmm(17, 5), "matrices of 600": hmm(20, 3),
    "Monarch 8 × 8": hmm(6, 4, 5, (2, 3)), "Monarch 64 × 64": hmm(6, 3, 5, (2, 3)), "chain of 20": hmm(5, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_likelihoods_of_every_form(scale: Scale, name: str) -> None:
    """One row, odd numbers of rows, and each class of batches; missing values."""
    circuit, least, kernel = FORMS[name]
    if scale.device:
        found = plan(program_of(circuit), scale.precision, 64).launches
        assert len(found) >= least and (kernel is None or kernel in {each.kernel.name for each in found})
    circuit = circuit if scale.device else LITTLE.get(name, circuit)
    model = dn.compile(circuit, device="cuda")
    for rows in (1, 17, 600, 9000) if scale.device else (1, 3):
        agrees(circuit, rows if len(circuit.blocks) < 600 else min(rows, 600), scale.precision, model)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["chain of 128", "path of 256", "matrices of 600", "Monarch 8 × 8"])
def test_every_precision(scale: Scale, name: str, precision: Precision) -> None:
    if not scale.device:
        precision = "ieee"
    if precision == "tf32x3" and torch.version.hip:
        pytest.skip("tf32x3 is not on gfx942")
    agrees(FORMS[name][0] if scale.device else LITTLE[name], scale.of(100, 2), precision)


def test_impossible_rows_are_exactly_so(scale: Scale) -> None:
    """Zero weights and zero emissions: some rows have no path, of which all know."""
    steps = scale.of(40, 4)
    for states in (4, 128) if scale.device else (4,):
        transition = np.eye(states)
        emission = np.tile(np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]), (states // 2, 1))
        variables = [dn.Cat(f"x{i}", 3) for i in range(steps)]
        state = dn.table(variables[0], emission)
        for variable in variables[1:]:
            state = dn.product([dn.sum(state, transition), dn.table(variable, emission)])
        circuit = dn.Circuit(dn.sum(state, np.full((1, states), 1 / states)), name="p")
        model = dn.compile(circuit, device="cuda")
        x = np.ones((3, steps))
        x[1, 0], x[2, 0], x[2, -1] = 0, 0, 2
        got, want = model.log_likelihood(x).numpy(), dn.evaluate(circuit, x, semiring="log")
        assert np.isneginf(got).tolist() == np.isneginf(want).tolist() == [False, False, True]
        np.testing.assert_allclose(got[:2], want[:2], rtol=2e-6, atol=ERROR[scale.precision])


def test_what_a_value_hides_is_taken_again(scale: Scale) -> None:
    """A state 400 nats below the largest is all that the last value leaves."""
    emission = np.array([[1.0, 1e-80, 0.0], [1e-200, 1e-280, 1.0]])
    first = dn.sum(dn.table(dn.Cat("x", 3), emission), np.eye(2) * 0.5)
    second = dn.product([first, dn.table(dn.Cat("y", 3), [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])])
    circuit = dn.Circuit(dn.sum(second, np.array([[0.5, 0.5]])), name="p")
    model = dn.compile(circuit, device="cuda")
    x = np.array([[0, 2], [0, 0], [2, 2]])
    want = dn.evaluate(circuit, x, semiring="log")
    np.testing.assert_allclose(model.log_likelihood(x).numpy(), want, rtol=1e-6, atol=1e-4)
    assert model.recomputed >= 1 and want[0] < -400


def gradients(
    circuit: Circuit, x: np.ndarray, device: str, precision: Precision | None = None
) -> dict[str, np.ndarray]:
    given = {"device": device, "precision": precision} if device != "cpu" else {"dtype": "float64"}
    model = dn.compile(circuit, **given)
    model.requires_grad_()
    model.log_likelihood(x).sum().backward()
    return {name: parameter.grad.double().cpu().numpy() for name, parameter in model.named_parameters()}


BACK = {
    "swept of 20": (hmm(20, 40), hmm(5, 5), "swept"),
    "swept of 128": (hmm(128, 40), hmm(17, 4), "swept"),
    "pulls of 300": (hmm(300, 6), hmm(9, 2), "pull"),
    "pulls of Monarch": (hmm(64, 6, 5, (8, 8)), hmm(6, 3, 5, (2, 3)), "pull"),
}


@pytest.mark.parametrize("name", BACK)
def test_derivatives_of_every_form(scale: Scale, name: str) -> None:
    """Against the CPU's in float64, and the same bits twice: no sum hangs on an order that changes."""
    much, little, kernel = BACK[name]
    circuit = much if scale.device else little
    made = drawn(program_of(much), policy.DEFAULT, 64, True)
    way = course(made, policy.DEFAULT, frozenset(range(len(made.found.program.tables))))
    names = {turn.kernel.name for act in way.acts for turn in (*act.turns, *act.tallies)}
    assert kernel in names | {each.kernel.name for act in way.acts for each in act.swept}
    x, _ = drawn_rows(circuit, scale.of(70, 3))
    got, again = (gradients(circuit, x, "cuda", scale.precision) for _ in range(2))
    want = gradients(circuit, x, "cpu")
    for parameter, exact in want.items():
        size = max(1.0, float(np.abs(exact).max()))
        np.testing.assert_allclose(got[parameter], exact, rtol=1e-3, atol=1e-3 * size)
        assert (got[parameter] == again[parameter]).all()
    assert any(np.abs(each).max() > 0 for each in want.values())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_derivatives_in_every_precision(scale: Scale, precision: Precision) -> None:
    if not scale.device:
        precision = "ieee"
    circuit = hmm(scale.of(64, 5), scale.of(20, 3))
    x, _ = drawn_rows(circuit, scale.of(40, 2))
    got, want = gradients(circuit, x, "cuda", precision), gradients(circuit, x, "cpu")
    for name, exact in want.items():
        share = 3e-2 if precision in ("bf16", "tf32") else 1e-3
        np.testing.assert_allclose(got[name], exact, rtol=share, atol=share * max(1.0, float(np.abs(exact).max())))


def network(variables: int, products: int, values: int = 3, zeros: float = 0.0) -> Circuit:
    """Sums of products of leaves, one of each variable's three, and a sum of those: scalar nodes, numbers at random."""
    random = np.random.default_rng(variables)
    held: dict[Parameter, Value] = {}

    def numbers(shape: tuple[int, ...]) -> Parameter:
        parameter = Parameter(f"w{len(held)}", shape, None, True)
        held[parameter] = Value.of(np.where(random.random(shape) < zeros, 0.0, random.uniform(0.1, 0.9, shape)))
        return parameter

    domains = [Bool() if values == 2 else Cat(values)] * variables
    x = [Variable(f"x{i}", domain) for i, domain in enumerate(domains)]
    leaves: list[Block] = [input_block(Table(), each, (numbers((3, values)),)) for each in x]
    picked = random.integers(0, 3, (products, variables)) + 3 * np.arange(variables)
    products_of = indexed(leaves, np.arange(products + 1) * variables, picked.ravel())
    pairs = np.arange(products)
    sums = weighted([products_of], sparse(pairs // 3, pairs, numbers((products,)), -(-products // 3), products))
    root = weighted([sums], sparse([0] * sums.width, range(sums.width), numbers((sums.width,)), 1, sums.width))
    return Circuit(root, Store(held), "n")


@pytest.fixture(params=["one launch", "levels"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways through a network of scalar nodes."""
    count = 4 if request.param == "one launch" else 0
    monkeypatch.setattr(sparse_policy, "programs", lambda *_: count)
    monkeypatch.setattr(sparse_policy, "parts", lambda *_: 1 if count else 2)
    return str(request.param)


def test_networks(scale: Scale, way: str) -> None:
    """Likelihoods with zeros among the numbers, derivatives, weights in place of values."""
    circuit = network(scale.of(20, 3), scale.of(900, 6), zeros=0.1)
    assert program_of(circuit).layouts
    model = dn.compile(circuit, device="cuda")
    for rows in (1, 33, 5000) if scale.device else (1, 3):
        x, observed = drawn_rows(circuit, rows)
        got, want = model.marginal(x, observed).numpy(), dn.evaluate(circuit, x, observed=observed, semiring="log")
        np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
        np.testing.assert_allclose(np.exp(got), np.exp(want), rtol=1e-4, atol=0)
    circuit = network(scale.of(20, 3), scale.of(900, 6))
    x, observed = drawn_rows(circuit, scale.of(50, 2))
    here, there = (dn.compile(circuit, device=device) for device in ("cuda", "cpu"))
    for name, flow in there.flows(x).items():
        np.testing.assert_allclose(here.flows(x)[name], flow, rtol=1e-4, atol=1e-5)
    weights = {"x1": np.array([0.5, 0.0, 2.0])}
    got, want = (model.marginal(x, observed, evidence=weights).numpy() for model in (here, there))
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_numbers_of_ones(scale: Scale) -> None:
    """Every coefficient, by enumeration."""
    circuit = network(4, 9, values=2)
    cells = np.array(list(itertools.product((0, 1), repeat=4)), dtype=float)
    mass = np.exp(dn.evaluate(circuit, cells, semiring="log"))
    want = np.bincount(cells.sum(axis=1).astype(int), weights=mass, minlength=5)
    np.testing.assert_allclose(dn.compile(circuit, device="cuda").hamming().exp().numpy(), want, rtol=1e-9)


@pytest.mark.parametrize("kind", ["network", "chain", "Monarch"])
def test_samples_and_most_probable_values(scale: Scale, way: str, kind: str) -> None:
    """Those of the CPU for the same seed; of logarithms a boundary may move by rounding, in one of many draws."""
    steps = scale.of(12, 3)
    circuit = {
        "network": network(scale.of(9, 3), scale.of(60, 6)),
        "chain": hmm(scale.of(40, 3), steps),
        "Monarch": hmm(scale.of(64, 4), steps, 3, (8, 8) if scale.device else (2, 2)),
    }[kind]
    here, there = (dn.compile(circuit, device=device) for device in ("cuda", "cpu"))
    count = scale.of(3000, 5)
    x, observed = drawn_rows(circuit, scale.of(200, 3), 0.5)
    for got, want in (
        (here.sample(count, seed=3), there.sample(count, seed=3)),
        (here.sample(x, observed, seed=4), there.sample(x, observed, seed=4)),
    ):
        differing = int((got != want).any(1).sum())
        print(f"{kind}: {differing} of {len(want)} draws differ")
        assert differing <= len(want) // 500
    mine, best = here.map(x, observed), there.map(x, observed)
    np.testing.assert_allclose(mine.log_probability, best.log_probability, rtol=1e-9)


@pytest.mark.parametrize("method", ["em", "minibatch-em"])
def test_steps_of_em_where_the_tables_are(scale: Scale, method: str) -> None:
    """Parameters stay on the device between steps: the same way as in float64 on the CPU."""
    states, count = scale.of(64, 5), scale.of(256, 12)
    circuit = dn.hmm(dn.Cat("x", 7, shape=scale.of(32, 3)), states=states)
    x = np.asarray(
        dn.compile(dn.hmm(dn.Cat("x", 7, shape=scale.of(32, 3)), states=states, seed=1)).sample(count, seed=2)
    )
    options = {"method": method, "epochs": scale.of(4, 1), "batch": count // 2, "tolerance": -1.0}
    ours = dn.fit(circuit, x, device="cuda", **options)
    theirs = dn.fit(circuit, x, **options)
    for mine, other in zip(ours.history, theirs.history, strict=True):
        assert mine.train == pytest.approx(other.train, abs=2e-3)
    for parameter in circuit.parameters:
        np.testing.assert_allclose(
            ours.circuit.store[parameter].floats, theirs.circuit.store[parameter].floats, atol=5e-3
        )


def test_launches_are_replayed(scale: Scale, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph reads what it is given anew: other rows, other parameters, sizes one after the other."""
    if not scale.device:
        monkeypatch.setattr(policy, "records", lambda device, launches: True)
        monkeypatch.setattr(engine, "captured", lambda device, launch: launch)
    circuit = hmm(scale.of(600, 5), scale.of(9, 2))
    model = dn.compile(circuit, device="cuda")
    sizes = (40, 40, 700, 40, 1, 2000, 90, 300, 40) if scale.device else (3, 3, 17, 2)
    for number, rows in enumerate(sizes):
        x, _ = drawn_rows(circuit, rows)
        want = dn.evaluate(model.circuit, x, semiring="log")
        np.testing.assert_allclose(model.log_likelihood(x).numpy(), want, rtol=2e-6, atol=ERROR[scale.precision])
        if number % 3 == 1:
            emission = dict(model.named_parameters())["circuit/emission"]
            emission.copy_(emission.flip(1))
    placed = model._compiled.engine(circuit).fast.placed.values()
    assert any(each.recorded for each in placed)
    assert all(len(each.recorded) <= policy.RECORDED for each in placed)


def test_bundles_through_the_driver(scale: Scale, tmp_path: Path) -> None:
    """Machine code made ahead of time, loaded and launched without Triton's own launcher."""
    if not scale.device:
        pytest.skip("the interpreter has no driver")
    from danaus.backends.triton.measured import target_of

    target = target_of(torch.device("cuda"))
    for number, circuit in enumerate((hmm(64, 40), hmm(600, 9), network(9, 60))):
        dn.compile(circuit).save(tmp_path / f"{number}.danaus", [target])
        model = dn.load_bundle(tmp_path / f"{number}.danaus", device="cuda")
        for rows in (1, 33, 700):
            x, observed = drawn_rows(circuit, rows)
            want = dn.evaluate(circuit, x, observed=observed, semiring="log")
            x[~observed] = np.nan
            np.testing.assert_allclose(model.marginal(x).numpy(), want, rtol=1e-5, atol=ERROR[policy.DEFAULT])


def test_tuned_tiles_give_the_same(scale: Scale) -> None:
    """Tiles that were measured on the device, and are kept for the next time."""
    circuit = hmm(scale.of(300, 5), scale.of(6, 4))
    model = dn.compile(circuit, device="cuda", tune=True)
    for rows in (17, 600) if scale.device else (3,):
        agrees(circuit, rows, scale.precision, model)


def test_the_same_bits_every_time(scale: Scale, way: str) -> None:
    """Threads of a program that read what others have not written yet would differ from one time to the next."""
    chain, flat = FORMS["path of 256"][0] if scale.device else hmm(5, 3), network(scale.of(20, 3), scale.of(900, 6))
    for circuit in (chain, flat):
        model = dn.compile(circuit, device="cuda")
        for rows in (1, 40, 700) if scale.device else (2,):
            x, observed = drawn_rows(circuit, rows)
            asked = {
                "likelihood": lambda model=model, x=x, observed=observed: model.marginal(x, observed).numpy(),
                "samples": lambda model=model, x=x, observed=observed: model.sample(x, observed, seed=2),
                "best": lambda model=model, x=x, observed=observed: model.map(x, observed).values,
            }
            for name, ask in asked.items():
                first = ask()
                for _ in range(scale.of(20, 1)):
                    np.testing.assert_array_equal(ask(), first, err_msg=name)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_long_sums(scale: Scale, precision: Precision) -> None:
    """Tensor cores cut off what a sum does not hold: what that costs must not grow with the number of columns."""
    if not scale.device or (precision == "tf32x3" and torch.version.hip):
        precision = "ieee"
    circuit = hmm(scale.of(2048, 20), scale.of(64, 3))
    x, observed = drawn_rows(circuit, scale.of(24, 2), 0.0)
    got = dn.compile(circuit, device="cuda", precision=precision).marginal(x, observed).numpy()
    error = got - dn.evaluate(circuit, x, observed=observed, semiring="log")
    print(f"{precision}: mean {error.mean():.1e}, largest {np.abs(error).max():.1e}")
    assert np.abs(error).max() <= ERROR[precision]


def test_threads_and_streams(scale: Scale) -> None:
    """Threads that share a model, each on a stream of its own, over sizes whose launches are recorded."""
    for circuit in (hmm(scale.of(600, 5), scale.of(9, 2)), network(scale.of(20, 3), scale.of(900, 6))):
        model = dn.compile(circuit, device="cuda")
        rows = [drawn_rows(circuit, count)[0] for count in ((30, 31, 500, 40) if scale.device else (2, 3))]
        want = [model.log_likelihood(x).numpy() for x in rows]
        wrong: list[int] = []

        def ask(number: int, model: Executable = model, rows: list[np.ndarray] = rows, want: list[np.ndarray] = want,
                wrong: list[int] = wrong) -> None:  # fmt: skip
            stream = torch.cuda.Stream() if scale.device else None
            with torch.cuda.stream(stream):
                for _ in range(scale.of(30, 1)):
                    if not np.array_equal(model.log_likelihood(rows[number]).numpy(), want[number]):
                        wrong.append(number)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(rows))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def test_a_device_that_is_not_the_current_one(scale: Scale, tmp_path: Path) -> None:
    """Kernels of Triton, graphs, and machine code through the driver, all on the second GPU."""
    if not scale.device or torch.cuda.device_count() < 2:
        pytest.skip("it takes two GPUs")
    from danaus.backends.triton.device import target_of

    for number, circuit in enumerate((hmm(64, 20), hmm(600, 9), network(9, 60))):
        dn.compile(circuit).save(tmp_path / f"{number}.danaus", [target_of(torch.device("cuda:1"))])
        x, _ = drawn_rows(circuit, 33)
        want = dn.evaluate(circuit, x, semiring="log")
        for model in (
            dn.compile(circuit, device="cuda:1"),
            dn.load_bundle(tmp_path / f"{number}.danaus", device="cuda:1"),
        ):
            for _ in range(2):
                np.testing.assert_allclose(model.log_likelihood(x), want, rtol=1e-5, atol=ERROR[policy.DEFAULT])
                assert torch.cuda.current_device() == 0


def test_more_rows_than_a_grid_has_sides(scale: Scale) -> None:
    """Beyond 65535 tiles of the batch what comes through leaves is asked for in stretches."""
    circuit = network(3, 6)
    model, rows = dn.compile(circuit, device="cuda"), scale.of(2_200_000, 40)
    few, _ = drawn_rows(circuit, 40)
    x = np.tile(few, (rows // 40, 1))
    x[:, 0] = np.nan
    got, want = (model.conditional(each)["x0"] for each in (x, x[:40]))
    np.testing.assert_array_equal(got, np.tile(want, (rows // 40, 1)))


def test_offsets_of_64_bits(scale: Scale, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in tables of more than 2^31 numbers, which are too large for a test."""
    monkeypatch.setattr(text, "FAR", 1)
    circuit = hmm(scale.of(128, 5), scale.of(40, 3))
    agrees(circuit, scale.of(50, 2), scale.precision)
