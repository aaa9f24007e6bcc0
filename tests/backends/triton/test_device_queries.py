"""Queries of bundles on a device: the kernels that they hold are launched, and answer as the circuit does on the CPU.

The driver here runs the text that the bundle has of each kernel in Triton's interpreter, so that what stands between a
query and its launch (plans, arguments in order, grids, buffers) is that of a device.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import load, stored
from danaus.backends.triton.answering import ANSWERING, answering
from danaus.backends.triton.kernel import Kernel
from danaus.backends.triton.module import function
from danaus.backends.triton.targets import gpu_named
from danaus.compiler.bundling import bundle_of
from danaus.ir.circuit import Circuit
from danaus.ir.parameter import Value
from danaus.runtime.bundle import Bundle, files_of, save_bundle
from danaus.runtime.bundled import Bundled
from danaus.runtime.device_code import NUMBERS, DeviceCode, DeviceKernel
from danaus.runtime.queries.questions import Questions
from danaus.runtime.unbundle import read_bundle
from recorded_launches import Recording
from tangled_networks import tangled

pytest.importorskip("triton")

SM90 = gpu_named("cuda:sm_90")
HMM = "var x[3] : cat(2)\ncircuit p = hmm(x, states = 3)\n"
NETWORK = "nnf 7 6 2\nL 1\nL -2\nA 2 0 1\nL -1\nL 2\nA 2 3 4\nO 1 2 2 5\n"


def with_text(bundle: Bundle, precision: str, queries: list[str]) -> Bundle:
    """The bundle with kernels for sm_90 that are text only: their digests stand for machine code."""
    kernels = stored.kernels_for(bundle, precision, SM90, queries)  # type: ignore[arg-type]
    answers = tuple(stored.kernels_by(bundle, precision, SM90, queries))  # type: ignore[arg-type]
    form = {"name": "", "shared": 0}
    held = tuple(
        DeviceKernel(
            each.name, each.digest, each.source, tuple((a.name, a.type, a.aligned) for a in each.arguments),
            each.constants, each.warps, each.stages, each.cooperative, "", each.digest.encode(), form, {},
        )
        for each in kernels
    )  # fmt: skip
    kind = f"float{8 * bundle.size}" if bundle.program.layouts else precision
    return replace(bundle, devices=(DeviceCode("cuda:sm_90", kind, "3.6.0", {}, held, answers),))


@dataclass
class Interpreting:
    """A driver that runs a bundle's texts; `launched` are the names of kernels in order."""

    bundle: Bundle
    gpu: Any = SM90
    launched: list[str] = field(default_factory=list)

    def load(self, binary: bytes, form: Mapping[str, Any], arguments: Any) -> Any:
        (found,) = (each for each in self.bundle.devices[0].kernels if each.binary == binary)
        assert tuple((each.name, each.type, each.aligned) for each in arguments) == found.arguments
        own = (found.name, found.source, arguments, found.constants, found.warps, found.stages, found.cooperative)
        return _Function(self, Kernel(*own))


@dataclass
class _Function:
    driver: Interpreting
    kernel: Kernel

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*given: Any) -> None:
            assert len(given) == len(self.kernel.arguments)
            for argument, value in zip(self.kernel.arguments, given, strict=True):
                pointer = argument.type.startswith("*")
                assert isinstance(value, torch.Tensor) == pointer, argument
                if pointer:
                    kinds = {"*fp32": torch.float32, "*fp64": torch.float64, "*i32": torch.int32, "*i64": torch.int64}
                    assert value.dtype == kinds[argument.type] and value.is_contiguous(), argument
            self.driver.launched.append(self.kernel.name)
            with np.errstate(all="ignore"):
                function(self.kernel)[grid](*given, **dict(self.kernel.constants))

        return launch


class _Entry:
    """In place of `load.Entry`: constants by name are those of the kernel's text."""

    def __init__(self, function: _Function, stream: Any) -> None:
        self.function = function

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return lambda *given, **_: self.function[grid](*given)


@pytest.fixture(autouse=True)
def entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(load, "Entry", _Entry)
    monkeypatch.setenv("DANAUS_CACHE", str(tmp_path))
    yield


def on_device(circuit: Circuit, queries: list[str], precision: str = "ieee") -> tuple[Bundled, list[str]]:
    """A bundle of the circuit, loaded on a device that runs its texts; and the names of what is launched."""
    bundle = with_text(bundle_of(circuit, targets=()), precision, queries)
    driver: Any = Interpreting(bundle)
    found = load.ready_on(bundle, "cuda", driver)
    return Bundled(bundle, found.engine, lambda: "bundle", found.more), driver.launched


def read(text: str, tmp_path: Path, name: str = "p.circuit") -> Circuit:
    (tmp_path / name).write_text(text)
    return dn.load(tmp_path / name).circuit


def rows(circuit: Circuit, count: int, missing: float) -> np.ndarray:
    """Rows of codes, some of them missing."""
    drawn = np.random.default_rng(0)
    sizes = [variable.domain.size for variable in circuit.variables]  # type: ignore[union-attr]
    x = np.stack([drawn.integers(0, size, count) for size in sizes], axis=1).astype(float)
    x[drawn.random(x.shape) < missing] = np.nan
    return x


def brute(circuit: Circuit, x: np.ndarray) -> np.ndarray:
    """p of all completions of a row, [completions], with their values: by the evaluator, one after the other."""
    sizes = [variable.domain.size for variable in circuit.variables]  # type: ignore[union-attr]
    spans = [range(size) if np.isnan(value) else [int(value)] for size, value in zip(sizes, x, strict=True)]
    every = np.array(list(itertools.product(*spans)), dtype=float)
    return np.column_stack([np.exp(dn.evaluate(circuit, every, semiring="log")), every])


CIRCUITS = {"hmm": (HMM, "p.circuit"), "network": (NETWORK, "n.nnf")}


@pytest.fixture(params=CIRCUITS)
def circuit(request: pytest.FixtureRequest, tmp_path: Path) -> Circuit:
    text, name = CIRCUITS[request.param]
    return read(text, tmp_path, name)


def test_samples_are_those_of_the_cpu(circuit: Circuit) -> None:
    model, launched = on_device(circuit, ["sample"])
    host = Bundled(model.bundle, None, lambda: "none")
    x = rows(circuit, 7, 0.6)
    x[~np.isfinite(host.marginal(x).numpy())] = np.nan
    np.testing.assert_array_equal(model.sample(9, seed=3), host.sample(9, seed=3))
    np.testing.assert_array_equal(model.sample(x, seed=4), host.sample(x, seed=4))
    assert {name for name in launched if "descend" in name} and "derive" not in launched


def test_the_most_probable_values_are_the_largest_of_all(circuit: Circuit) -> None:
    model, launched = on_device(circuit, ["map"])
    host = Bundled(model.bundle, None, lambda: "none")
    x = rows(circuit, 3, 0.6)
    found = model.map(x)
    np.testing.assert_array_equal(found.values, host.map(x).values)
    for row, values, exact in zip(x, found.values, found.certain, strict=True):
        every = brute(circuit, row)
        own = np.exp(dn.evaluate(circuit, values[None], semiring="log"))
        assert own == pytest.approx(every[:, 0].max()) or not exact
    assert any("descend" in name for name in launched)


def test_weights_on_values_count_each_with_its_weight(circuit: Circuit) -> None:
    model, launched = on_device(circuit, ["evidence"])
    x = rows(circuit, 4, 0.5)
    name, size = circuit.variables[1].name, circuit.variables[1].domain.size  # type: ignore[union-attr]
    weights = np.random.default_rng(1).random((4, size))
    got = model.marginal(x, evidence={name: weights}).exp().numpy()
    x[:, 1] = np.nan
    for row, given, own in zip(x, weights, got, strict=True):
        every = brute(circuit, row)
        assert own == pytest.approx((every[:, 0] * given[every[:, 2].astype(int)]).sum(), rel=1e-9)
    assert launched


def by_differences(circuit: Circuit, x: np.ndarray) -> dict[str, np.ndarray]:
    """Each entry of a parameter times the difference quotient of Σ log p, by the evaluator."""
    found = {}
    for parameter in circuit.parameters:
        value = circuit.store[parameter].floats
        found[parameter.name.replace(".", "/")] = own = np.zeros(value.shape)
        for place in np.ndindex(*value.shape):
            moved = [value.copy(), value.copy()]
            moved[0][place] += 1e-5
            moved[1][place] -= 1e-5
            others = (circuit.over(circuit.store.updated({parameter: Value.of(each)})) for each in moved)
            high, low = (evaluated(other, x).sum() for other in others)
            own[place] = value[place] * (high - low) / 2e-5
    return found


def evaluated(circuit: Circuit, x: np.ndarray) -> np.ndarray:
    return np.asarray(dn.evaluate(circuit, x, observed=~np.isnan(x), semiring="log"))


@pytest.mark.parametrize("kind", ["hmm", "network"])
def test_counts_are_those_of_enumeration(kind: str) -> None:
    """Each entry times its derivative: by differences of the log-likelihood of the circuit with another entry."""
    circuit = dn.parse(HMM).circuits["p"] if kind == "hmm" else tangled(3, zeros=False)
    x = rows(circuit, 6, 0.3 if kind == "hmm" else 0.0)
    expected = by_differences(circuit, x)
    model, launched = on_device(circuit, ["flows"])
    for found in (model.flows(x), Bundled(model.bundle, None, lambda: "none").flows(x)):
        assert set(found) == set(expected)
        for name, own in expected.items():
            np.testing.assert_allclose(found[name], own, rtol=3e-4, atol=3e-4)
    assert set(launched) & {"pull", "derive"}


def test_derivatives_of_a_bundle_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice over other rows of one number: recorded once forward and once back, and launched again each time."""
    circuit = dn.parse(HMM).circuits["p"]
    model, launched = on_device(circuit, ["flows"])
    host, found = Bundled(model.bundle, None, lambda: "none"), Recording(monkeypatch)
    for turn in range(2):
        x = np.random.default_rng(turn).integers(0, 2, (4, 3)).astype(float)
        for (name, own), other in zip(model.flows(x).items(), host.flows(x).values(), strict=True):
            np.testing.assert_allclose(own, other, rtol=2e-4, atol=2e-4, err_msg=name)
        assert (found.count, found.replayed) == (2, 2 * turn + 2)
    counts = {name: launched.count(name) for name in launched}  # once as they are recorded, then for each batch
    assert {count % 3 for count in counts.values()} == {0} and {"pull", "outer"} <= set(counts)


@pytest.mark.parametrize("ahead", [True, False], ids=["bundle", "module"])
def test_what_comes_through_inputs_is_the_devices(
    circuit: Circuit, ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The distribution of each missing variable, by enumeration of all completions; no walk on the CPU has a part."""
    x = rows(circuit, 5, 0.6)
    model: Any = on_device(circuit, ["conditional"])[0] if ahead else dn.compile(circuit, device="cuda")
    x = x[np.isfinite(model.marginal(x).numpy())]

    def none(*_: object, **__: object) -> object:
        raise AssertionError("the Program was walked here")

    monkeypatch.setattr(Questions, "filled", none)
    found = model.conditional(x)
    assert set(found) == {each.name for each, own in zip(circuit.variables, x.T, strict=True) if np.isnan(own).any()}
    for number, row in enumerate(x):
        every = brute(circuit, row)
        for column, variable in enumerate(circuit.variables):
            if variable.name in found:
                size = variable.domain.size  # type: ignore[union-attr]
                mass = np.bincount(every[:, 1 + column].astype(int), every[:, 0], size)
                np.testing.assert_allclose(found[variable.name][number], mass / mass.sum(), atol=2e-5)


def test_states_of_a_chain_are_those_of_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    """P(state t | row), by going through all paths of states."""
    circuit = dn.parse(HMM.replace("x[3]", "x[6]")).circuits["p"]
    model, launched = on_device(circuit, ["posterior"])
    named = {each.name: circuit.store[each].floats for each in circuit.parameters}
    initial, transition, emission = (named[f"p.{name}"] for name in ("initial", "transition", "emission"))
    x = np.array([[0, 1, 1, 0, 0, 1], [1, np.nan, 0, 0, np.nan, 1]])
    expected = np.zeros((2, 6, 3))
    for number, row in enumerate(x):
        for path in itertools.product(range(3), repeat=6):
            mass = initial.reshape(-1)[path[0]] * np.prod([transition[a, b] for a, b in itertools.pairwise(path)])
            mass *= np.prod([emission[s, int(v)] for s, v in zip(path, row, strict=True) if not np.isnan(v)])
            for step, state in enumerate(path):
                expected[number, step, state] += mass
    expected /= expected.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(model.posterior(x).numpy(), expected, atol=2e-5)
    assert {"sweep", "swept"} <= set(launched) and "tally" not in launched


def test_rows_that_float32_cannot_vouch_for_are_taken_here() -> None:
    """A chain that all but excludes what is seen: 1e-30 beside 1 at each of its steps."""
    tables = {
        "initial": [1.0, 0.0],
        "transition": [[1.0 - 1e-30, 1e-30], [1e-30, 1.0 - 1e-30]],
        "emission": [[1.0 - 1e-30, 1e-30], [1e-30, 1.0 - 1e-30]],
    }
    circuit = dn.parse(HMM.replace("states = 3", "states = 2")).circuits["p"]
    values = {each: Value.of(np.reshape(tables[each.name[2:]], each.shape)) for each in circuit.parameters}
    circuit = circuit.over(circuit.store.updated(values))
    model, _ = on_device(circuit, ["conditional"])
    x = np.array([[1, np.nan, 1], [0, np.nan, 1], [np.nan, 0, 0]])
    host = Bundled(model.bundle, None, lambda: "none").conditional(x)
    for name, own in model.conditional(x).items():
        np.testing.assert_allclose(own, host[name], atol=1e-5)


def test_a_query_without_kernels_says_how_to_include_it(circuit: Circuit) -> None:
    model, launched = on_device(circuit, [])
    row = np.eye(1, len(circuit.variables))
    np.testing.assert_allclose(model.log_likelihood(row), evaluated(circuit, row), atol=1e-6)
    assert launched
    name = circuit.variables[0].name
    asked: dict[str, Callable[[], object]] = {
        "sample": lambda: model.sample(2),
        "map": lambda: model.map(np.full((1, len(circuit.variables)), np.nan)),
        "evidence": lambda: model.marginal(row, evidence={name: [1.0, 2.0]}),
        "flows": lambda: model.flows(row),
        "flows ": lambda: model.conditional(np.full(row.shape, np.nan)),
    }
    for what, call in asked.items():
        with pytest.raises(dn.DanausError) as failure:
            call()
        (found,) = failure.value.diagnostics
        assert found.code == "not-in-bundle" and f"--queries {what.strip()}" in (found.hint or ""), what
    assert model.moment(name, 1) >= 0  # the Program answers it, whatever the device has


def test_numbers_of_ones_of_a_network(tmp_path: Path) -> None:
    circuit = read(NETWORK, tmp_path, "n.nnf")
    model, launched = on_device(circuit, ["hamming"])
    np.testing.assert_allclose(model.hamming().exp().numpy(), [0.0, 2.0, 0.0], atol=1e-12)
    assert launched and set(launched) == {"ones_level"}


def test_numbers_of_ones_of_vectors() -> None:
    circuit = dn.hmm(dn.Bool("x", shape=3), states=2)
    cells = np.array(list(itertools.product((0, 1), repeat=3)), dtype=float)
    want = np.bincount(cells.sum(axis=1).astype(int), weights=np.exp(dn.evaluate(circuit, cells, semiring="log")))
    model, launched = on_device(circuit, ["hamming"])
    np.testing.assert_allclose(model.hamming().exp().numpy(), want, rtol=1e-12)
    assert launched and set(launched) == {"ones_step"}
    with pytest.raises(dn.DanausError, match="not-in-bundle") as failure:
        on_device(circuit, ["sample"])[0].hamming()
    assert "--queries hamming" in (failure.value.diagnostics[0].hint or "")


def test_what_is_asked_decides_what_is_compiled() -> None:
    assert answering([]) == ("likelihood",) == answering(["marginal", "moment", "count"])
    assert answering(["posterior"]) == ("likelihood", "flows") == answering(["conditional", "flows"])
    assert answering(["map", "sample", "map"]) == ("likelihood", "sample", "map")
    assert answering(["decode"]) == ("likelihood", "map")
    assert answering(["all"]) == ANSWERING
    with pytest.raises(dn.DanausError, match="unknown-query") as failure:
        answering(["sampel"])
    assert "sample" in (failure.value.diagnostics[0].hint or "")
    bundle = bundle_of(dn.parse(HMM).circuits["p"], targets=())
    names = {
        what: {each.name for each in own} for what, own in stored.kernels_by(bundle, "ieee", SM90, ["all"]).items()
    }
    assert list(names) == ["likelihood", "flows", "sample", "map", "evidence", "hamming"]
    assert names["hamming"] == {"ones_step"}
    assert names["sample"] == names["map"] == {"fill_steps", "descend_steps"} and names["evidence"] == {"fill_steps"}


def test_what_a_bundle_says_of_its_queries_is_read(tmp_path: Path) -> None:
    bundle = with_text(bundle_of(dn.parse(HMM).circuits["p"], targets=()), "ieee", ["sample"])
    form = {**dict.fromkeys(NUMBERS, 0), "name": "k"}
    (code,) = bundle.devices
    bundle = replace(bundle, devices=(replace(code, kernels=tuple(replace(k, form=form) for k in code.kernels)),))
    save_bundle(bundle, tmp_path / "p.zip")
    found = read_bundle(tmp_path / "p.zip")
    assert isinstance(found, Bundle) and found.devices[0].answers == ("likelihood", "sample")
    assert found.fed == bundle.fed and {each.name for each in found.fed} == {"p/initial", "p/transition", "p/emission"}
    assert files_of(found) == files_of(bundle)


@pytest.mark.parametrize("maps", [{}, {"transition": dn.monarch(2, 2)}], ids=["chain", "Monarch"])
def test_states_are_those_of_the_best_path(maps: dict[str, object]) -> None:
    """By every path of a chain, missing values summed out, an impossible row among the rest."""
    circuit = dn.hmm(dn.Cat("x", 3, shape=3), states=4, **maps)  # type: ignore[arg-type]
    found = {parameter.name.partition(".")[2]: value.floats.copy() for parameter, value in circuit.store.items()}
    found["emission"][:, 2] = 0.0
    given = {each: Value.of(found[each.name.partition(".")[2]]) for each in circuit.parameters}
    circuit = circuit.over(circuit.store.updated(given))
    move = found["transition"]
    if maps:  # the second part first, each leaving its digit slowest
        move = np.eye(4)
        for part in (found["transition#1"], found["transition"]):
            move = np.einsum("bij,bjk->ibk", part, move.reshape(2, 2, -1)).reshape(4, -1)
    model, launched = on_device(circuit, ["decode"])
    x = np.array([[0, 1, 0], [1, np.nan, 1], [np.nan, 0, np.nan], [0, 2, 1]])
    got = model.decode(x)
    assert {"fill_steps", "descend_steps"} <= set(launched)
    emission = found["emission"]
    for row, states, log in zip(x, got.values, got.log_probability, strict=True):
        masses = {
            path: found["initial"][0][path[0]]
            * np.prod([move[a, b] for a, b in itertools.pairwise(path)])
            * np.prod([emission[s, int(v)] if v == v else emission[s].sum() for s, v in zip(path, row, strict=True)])
            for path in itertools.product(range(4), repeat=3)
        }
        top = max(masses, key=masses.__getitem__)
        if masses[top] == 0:
            assert np.isnan(states).all() and np.isneginf(log)
        else:  # of two parts, one path leads from a state to another
            assert tuple(states) == top and log == pytest.approx(np.log(masses[top]), abs=1e-12)
    assert got.certain.all()
