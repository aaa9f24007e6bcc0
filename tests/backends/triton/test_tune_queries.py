"""Tuning of derivatives, walks and networks: what is tried, and that every choice gives the same answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import answering, candidates, load, measured, policy, sparse_policy, stored, tune
from danaus.backends.triton.adjoint import FusedReverse
from danaus.backends.triton.backward import Outers, Pulls, backed, usual
from danaus.backends.triton.candidates import Shaped, Trial, around
from danaus.backends.triton.estimate import estimated_back, estimated_shape
from danaus.backends.triton.kernel import Kernel
from danaus.backends.triton.measured import BackBench, Bench, shape_tuner, tuner_on
from danaus.backends.triton.module import function
from danaus.backends.triton.network import Numbers, Shape, level
from danaus.backends.triton.plan import drawn
from danaus.backends.triton.resources import Resources
from danaus.backends.triton.reverse import Course, Swept, Turn, course
from danaus.backends.triton.shapes import Shaping
from danaus.backends.triton.targets import gpu_named
from danaus.backends.triton.tune import Reversed, Tuner, Walking, ahead_tuned, searched, tuned_back, tuned_shapes
from danaus.compiler.bundling import bundle_of
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.runtime.bundle import Bundle, save_bundle
from danaus.runtime.bundled import Bundled
from danaus.runtime.device_code import DeviceCode, DeviceKernel
from danaus.runtime.unbundle import read_bundle

pytest.importorskip("triton")

CPU = torch.device("cpu")
H200 = gpu_named("cuda:sm_90")
HMM = "var x[6] : cat(2)\ncircuit p = hmm(x, states = 3)\n"
SHORT = "var x[2] : cat(2)\ncircuit p = hmm(x, states = 2)\n"
NETWORK = "nnf 7 6 2\nL 1\nL -2\nA 2 0 1\nL -1\nL 2\nA 2 3 4\nO 1 2 2 5\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DANAUS_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def read(text: str, place: Path) -> Circuit:
    name = place / ("p.circuit" if "circuit" in text else "n.nnf")
    name.write_text(text)
    return dn.load(name).circuit


def by_chance(trials: Sequence[Trial]) -> list[float]:
    """Times that hang on the tiles alone, and on nothing else."""
    return [hashlib.sha256(repr(trial.tiles).encode()).digest()[0] + 1.0 for trial in trials]


def chance(*_: object) -> Tuner:
    return Tuner(H200, "estimated", lambda subject: by_chance)


class Interpreting:
    """A driver that runs a bundle's texts in the interpreter; `launched` are their digests in order."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.gpu, self.launched = bundle, H200, list[str]()

    def load(self, binary: bytes, form: Mapping[str, Any], arguments: Any) -> Any:
        (found,) = (each for each in self.bundle.devices[0].kernels if each.binary == binary)
        own = (found.name, found.source, arguments, found.constants, found.warps, found.stages, found.cooperative)

        def launch(grid: tuple[int, ...], given: tuple[Any, ...]) -> None:
            self.launched.append(found.digest)
            with np.errstate(all="ignore"):
                function(Kernel(*own))[grid](*given, **dict(found.constants))

        return launch


class Entry:
    """In place of `load.Entry`."""

    def __init__(self, function: Callable[..., None], stream: object) -> None:
        self.function = function

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return lambda *given, **_: self.function(grid, given)


def with_tiles(circuit: Circuit) -> Bundle:
    """A bundle with all kernels as text, their tiles by chance."""
    bundle = bundle_of(circuit, targets=())
    tiles = stored.tiles_for(bundle, "ieee", H200, ["all"], True)
    by = stored.kernels_by(bundle, "ieee", H200, ["all"], tiles)
    held = {
        each.digest: DeviceKernel(
            each.name, each.digest, each.source, tuple((a.name, a.type, a.aligned) for a in each.arguments),
            each.constants, each.warps, each.stages, each.cooperative, "", each.digest.encode(), FORM, {},
        )
        for own in by.values()
        for each in own
    }  # fmt: skip
    kind = f"float{8 * bundle.size}" if bundle.program.layouts else "ieee"
    laid = {
        rows: {digest: (t.rows, t.inner, t.batch, t.warps, t.stages) for digest, t in own.items()}
        for rows, own in tiles.items()
    }
    return replace(
        bundle, devices=(DeviceCode("cuda:sm_90", kind, "3.6.0", {}, tuple(held.values()), tuple(by), laid),)
    )


FORM = dict.fromkeys(
    (
        "shared", "num_warps", "warp_size", "num_ctas", "launch_cooperative_grid", "launch_pdl",
        "global_scratch_size", "profile_scratch_size", "tmem_size",
    ), 0,
) | {"name": "entry"}  # fmt: skip


@pytest.mark.parametrize("text", [HMM, NETWORK], ids=["vectors", "network"])
def test_bundles_with_other_tiles_answer_alike(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All queries of a bundle whose tiles are by chance, up to the file: a loader plans with them, finds the code of
    all that it launches, and answers as the circuit does."""
    monkeypatch.setattr(measured, "tuner_for", chance)
    monkeypatch.setattr(stored, "ahead_tuned", chance)
    monkeypatch.setattr(sparse_policy, "LANES", (1, 8))
    for place in (stored, answering):
        monkeypatch.setattr(place, "classes", lambda gpu: (512,))
    monkeypatch.setattr(load, "Entry", Entry)
    circuit = read(text, tmp_path)
    made = with_tiles(circuit)
    save_bundle(made, tmp_path / "p.zip")
    bundle = read_bundle(tmp_path / "p.zip")
    assert isinstance(bundle, Bundle) and bundle.devices[0].tiles == made.devices[0].tiles
    driver: Any = Interpreting(bundle)
    found = load.ready_on(bundle, "cuda", driver)
    model = Bundled(bundle, found.engine, lambda: "bundle", found.more)
    x = asked(text, 3)
    exact = dn.compile(circuit, dtype="float64")
    want = dn.evaluate(circuit, np.nan_to_num(x), observed=~np.isnan(x), semiring="log")
    np.testing.assert_allclose(model.marginal(x).numpy(), want, rtol=1e-6)
    full = np.tile([[0.0, 1.0]], (3, len(circuit.variables) // 2))
    mine, theirs = model.flows(full), exact.flows(full)
    for name, flow in theirs.items():
        np.testing.assert_allclose(mine[name], flow, rtol=1e-4, atol=1e-5)
    assert np.array_equal(model.sample(3, seed=3), exact.sample(3, seed=3))
    assert np.array_equal(model.sample(x, seed=3), exact.sample(x, seed=3))
    assert np.array_equal(model.map(x).values, dn.map(circuit, x).values)
    if text == NETWORK:
        np.testing.assert_allclose(np.asarray(model.hamming()), np.asarray(dn.hamming(circuit)), rtol=1e-12, atol=1e-12)
    policies = {
        each.digest
        for own in stored.kernels_by(bundle, "ieee", H200, ["all"]).values()
        for each in own
    }  # fmt: skip
    others = {name_of(bundle, digest) for digest in driver.launched if digest not in policies}
    wanted = {"sweep", "pull", "fill_steps", "descend_steps"} if text == HMM else {"network", "descend"}
    assert others >= wanted, others


def asked(text: str, count: int) -> np.ndarray:
    """Rows with missing values, none of them impossible."""
    if text == NETWORK:
        return np.resize([[0.0, np.nan], [np.nan, 0.0], [np.nan, np.nan]], (count, 2))
    drawn = np.random.default_rng(0)
    x = drawn.integers(0, 2, (count, 6 if text == HMM else 2)).astype(float)
    x[drawn.random(x.shape) < 0.3] = np.nan
    return x


def name_of(bundle: Bundle, digest: str) -> str:
    return next(each.name for each in bundle.devices[0].kernels if each.digest == digest)


def reversed_of(circuit: Circuit, rows: int = 512, precision: policy.Precision = "ieee") -> Reversed:
    program = program_of(circuit)
    made = drawn(program, precision, rows, True)
    return Reversed(made, course(made, precision, frozenset(range(len(program.tables)))))


def launches_of(way: Course) -> dict[str, Turn | Swept]:
    """A launch of each kernel by name."""
    return {launch.kernel.name: launch for act in way.acts for launch in act.launches}


CHAIN = dn.hmm(dn.Cat("x", 3, shape=6), states=20)
DENSE = dn.hmm(dn.Cat("x", 3, shape=3), states=40)


@pytest.mark.parametrize("name", ["swept", "pull", "outer", "tally"])
def test_every_candidate_gives_the_same_derivatives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With buffers of 32 rows a tile, so that kernels may have half as many."""
    monkeypatch.setattr(policy, "batch_tile", lambda rows: 32)
    circuit = CHAIN if name == "swept" else DENSE
    model, exact = dn.compile(circuit, device="cuda"), dn.compile(circuit, dtype="float64")
    x = np.random.default_rng(1).integers(0, 3, (17, len(circuit.variables)))
    want = exact.flows(x)
    model.log_likelihood(x[:1])
    reverse = model._compiled.reverse(circuit)
    assert isinstance(reverse, FusedReverse)
    made = drawn(reverse.program, "ieee", 17, True)
    launch = launches_of(course(made, "ieee", reverse.wanted))[name]
    tried = [trial for trial in around(launch, "ieee", made.plan.batch) if trial.tiles.stages == launch.tiles.stages]
    tried = [trial for trial in tried if trial.tiles.warps == launch.tiles.warps]  # which the interpreter has not
    for trial in tried:
        assert trial.tiles.batch in (16, 32) and trial.kernel.digest != launch.kernel.digest
        reverse.choose = lambda program, precision, rows, trial=trial: {launch.kernel.digest: trial.tiles}
        reverse.ready.clear()
        got = model.flows(x)
        (way,) = reverse.ready.values()
        assert trial.kernel.digest in {each.digest for each in way.course.kernels}
        for key, flow in want.items():
            np.testing.assert_allclose(got[key], flow, rtol=1e-4, atol=1e-4)
    batches = {trial.tiles.batch for trial in tried}
    assert batches == ({32} if name == "swept" else {16, 32})  # a path has the least tiles as it is


def test_tiles_that_do_not_part_the_buffers_are_not_taken() -> None:
    """32 rows at a time would leave 16 of 48 out: what a manifest says of other buffers counts for nothing."""
    form = next(launch.form for launch in launches_of(reversed_of(DENSE).course).values() if launch.form is not None)
    what = Outers(form)  # type: ignore[arg-type]
    tiles = usual(what, 512, 16, "ieee", H200)
    kernel, own = backed(what, 512, 16, "ieee", H200, {})
    for batch, taken in ((16, True), (32, False)):
        other = replace(tiles, batch=batch, warps=2)
        found = backed(what, 512, 16, "ieee", H200, {kernel.digest: other})
        assert found[1] == (other if taken else own)


TAKEN = Resources(64, 0, 32 << 10, 0, 128)


def test_an_estimate_of_a_reverse_hangs_on_tiles_and_resources() -> None:
    found = launches_of(reversed_of(dn.hmm(dn.Cat("x", 3, shape=3), states=300), precision="bf16x3").course)
    for name, launch in found.items():

        def seconds(trial: Trial = launch, **changed: int) -> float:
            return estimated_back(trial, 4096, H200, "bf16x3", replace(TAKEN, **changed))  # type: ignore[arg-type]

        assert seconds(spilled=8) == float("inf") and seconds(shared=1 << 20) == float("inf")
        assert 0 < seconds() <= seconds(shared=200 << 10), name  # one at a time hides less
    pull = found["pull"]
    assert isinstance(pull, Turn) and isinstance(pull.what, Pulls)
    low, high = (replace(pull, tiles=replace(pull.tiles, rows=rows)) for rows in (16, 64))
    times = [estimated_back(each, 1 << 15, H200, "bf16x3", TAKEN) for each in (low, high)]
    assert times[0] > times[1]  # lower tiles compute the exponentials of what they read more often


def test_an_estimate_of_a_shape_hangs_on_what_it_takes() -> None:
    assert estimated_shape(1.0, H200, replace(TAKEN, spilled=4)) == float("inf")
    assert estimated_shape(1.0, H200, replace(TAKEN, shared=1 << 20)) == float("inf")
    assert estimated_shape(1.0, H200, replace(TAKEN, shared=0, threads=256)) == 1.0
    assert estimated_shape(1.0, H200, replace(TAKEN, shared=200 << 10)) > estimated_shape(1.0, H200, TAKEN) >= 1.0


def test_machine_code_decides_of_a_reverse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates of an outer product are compiled for the target; what is chosen does not spill and is not slower."""
    subject = reversed_of(DENSE, precision="bf16")
    launch = launches_of(subject.course)["outer"]
    judge, asked = ahead_tuned(H200, "bf16").judge(subject), dict[str, float]()

    def judged(trials: Sequence[Trial]) -> Sequence[float]:
        some = [trial for trial in trials if trial.tiles.warps != launch.tiles.warps or trial is trials[0]]
        times = dict(zip((each.kernel.digest for each in some), judge(some), strict=True))
        asked.update(times)
        return [times.get(trial.kernel.digest, float("inf")) for trial in trials]

    tiles, seconds = searched(launch, "bf16", judged, 16)
    assert len(asked) > 1 and seconds == min(seconds, *asked.values()) < float("inf")
    assert tiles.rows == launch.tiles.rows


def latest(runs: Sequence[Callable[[], None]]) -> list[float]:
    """A timer to whom what comes last is the fastest; it runs all of them."""
    for run in runs:
        run()
    return [1.0 / (1 + number) for number in range(len(runs))]


@pytest.mark.parametrize("circuit", [CHAIN, DENSE], ids=["loop", "dense"])
def test_a_bench_runs_what_is_tried_of_a_reverse(circuit: Circuit) -> None:
    subject = reversed_of(circuit)
    bench = BackBench(subject, Bench(subject.drawn.plan, CPU, "ieee", latest))
    bench.bench.stride = 16  # one tile: the interpreter is slow
    for launch in launches_of(subject.course).values():
        trials = [launch, *list(around(launch, "ieee", 16))[:1]]
        assert bench.seconds(trials) == [1.0, 0.5][: len(trials)]


def test_a_choice_of_a_reverse_is_kept_and_stands_after_likelihoods(cache: Path) -> None:
    program = program_of(CHAIN)
    wanted = frozenset(range(len(program.tables)))
    found = tuned_back(program, "ieee", 512, chance(), wanted)
    names = {launch.kernel.digest: name for name, launch in launches_of(reversed_of(CHAIN).course).items()}
    assert {"swept", "pull"} & {names.get(digest) for digest in found}

    def never(trials: Sequence[Trial]) -> list[float]:
        raise AssertionError("it was kept")

    again = Tuner(H200, "estimated", lambda subject: never)
    assert tuned_back(program, "ieee", 512, again, wanted) == found
    plain = drawn(program, "ieee", 512, True).plan.launches
    known = {launch.kernel.digest: launch.tiles for launch in plain}
    assert known.items() <= tuned_back(program, "ieee", 512, chance(), wanted, known=known).items()


def test_shapes_of_unlike_networks_are_chosen_apart() -> None:
    shaping = Shaping(lambda shape: level(Numbers("linear", 4), shape), Shape(32, 32, 8))
    wide = Tuner(H200, "measured", lambda subject: lambda trials: [1.0 / trial.tiles.rows for trial in trials])
    few = Tuner(H200, "measured", lambda subject: lambda trials: [float(trial.tiles.warps) for trial in trials])
    digest = shaping.make(shaping.shape).digest
    found = [
        tuned_shapes([shaping], Walking(about, 32, lambda kernels: {}), "ieee", tuner)[digest]
        for about, tuner in (("one", wide), ("other", few), ("one", few))
    ]
    assert [(each.rows, each.batch, each.warps) for each in found] == [(64, 32, 8), (32, 32, 2), (64, 32, 8)]
    assert all(isinstance(each, Shaped) and each.kernel.registers for each in around(shaped_of(shaping), "ieee"))


def shaped_of(shaping: Shaping) -> Shaped:
    return Shaped(shaping, shaping.make(shaping.shape))


@pytest.mark.parametrize("text", [SHORT, NETWORK], ids=["vectors", "network"])
def test_a_device_finds_shapes_where_it_runs(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a timer of the test: what is tried on the way changes no answer, and is tried once."""
    tried: list[int] = []

    def timer(runs: Sequence[Callable[[], None]]) -> list[float]:
        tried.append(len(runs))
        return latest(runs)

    few = candidates.shape_neighbours
    monkeypatch.setattr(tune, "ROUNDS", 1)
    monkeypatch.setattr(candidates, "shape_neighbours", lambda tiles: list(few(tiles))[:1])
    monkeypatch.setattr(measured, "shape_tuner", lambda place: shape_tuner(place, timer))
    monkeypatch.setattr(sparse_policy, "LANES", (1, 8))
    circuit = read(text, tmp_path)
    model, exact = dn.compile(circuit, device="cuda", tune=True), dn.compile(circuit, dtype="float64")
    x = asked(text, 3)
    full = np.tile([[0.0, 1.0]], (3, len(circuit.variables) // 2))
    for apart in (False, True):
        if apart:  # level by level, or step by step
            monkeypatch.setattr(sparse_policy, "programs", lambda *_: 0)
        count = len(tried)
        want, got = exact.flows(full), model.flows(full)
        for name, flow in want.items():
            np.testing.assert_allclose(got[name], flow, rtol=1e-4, atol=1e-6)
        assert np.array_equal(model.sample(x, seed=5), exact.sample(x, seed=5))
        assert np.array_equal(model.map(x).values, dn.map(circuit, x).values)
        np.testing.assert_allclose(model.marginal(x).numpy(), exact.marginal(x).numpy(), rtol=1e-6)
        assert len(tried) > count or (apart and text == SHORT)
    count = len(tried)
    assert np.array_equal(model.sample(x, seed=6), exact.sample(x, seed=6))
    assert len(tried) == count and max(tried) > 1


def test_the_interpreter_has_no_times() -> None:
    assert shape_tuner(CPU) is None
    judge = tuner_on(CPU, "ieee").judge
    subject = reversed_of(DENSE)
    for launch in launches_of(subject.course).values():
        assert all(seconds > 0 for seconds in judge(subject)([launch]))
