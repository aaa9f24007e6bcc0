"""The autotuner: what it tries, what it keeps, and that every choice gives the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import candidates, load, measured, policy, stored, tune
from danaus.backends.triton.ahead import attempted
from danaus.backends.triton.candidates import around
from danaus.backends.triton.chain import ChainForm
from danaus.backends.triton.estimate import at_once, estimated
from danaus.backends.triton.launch import Launch
from danaus.backends.triton.measured import Bench, tuner_on
from danaus.backends.triton.plan import Plan, plan
from danaus.backends.triton.policy import Tiles
from danaus.backends.triton.resources import Resources
from danaus.backends.triton.targets import gpu_named
from danaus.backends.triton.tiled import Choices
from danaus.backends.triton.tune import Tuner, ahead_tuned, searched, tuned
from danaus.cli import main
from danaus.compiler.bundling import bundle_of
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.ir.program.program import Program
from danaus.runtime.bundle import Bundle, files_of, save_bundle
from danaus.runtime.unbundle import read_bundle

pytest.importorskip("triton")

CPU = torch.device("cpu")
H200 = gpu_named("cuda:sm_90")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DANAUS_CACHE", str(tmp_path))
    yield tmp_path


def hmm(states: int, steps: int = 4, transition: object = None) -> Circuit:
    given = {} if transition is None else {"transition": transition}
    return dn.hmm(dn.Cat("x", 3, shape=steps), states=states, **given)


def form_of(program: Program, name: str, rows: int = 512) -> Launch:
    found = plan(program, "ieee", rows).launches
    return next(launch for launch in found if launch.kernel.name == name)


def fastest(wanted: Tiles) -> Callable[[Plan], tune.Judge]:
    """A judge to whom tiles are the slower, the further they are from some in doublings and stages."""

    def seconds(tiles: Tiles) -> float:
        sizes = ((tiles.rows, wanted.rows), (tiles.inner, wanted.inner), (tiles.batch, wanted.batch))
        sizes += ((tiles.warps, wanted.warps),)
        return 1.0 + sum(abs(np.log2(max(1, a) / max(1, b))) for a, b in sizes) + abs(tiles.stages - wanted.stages)

    return lambda made: lambda trials: [seconds(trial.tiles) for trial in trials]


def test_the_search_climbs_to_what_is_fastest() -> None:
    launch = form_of(program_of(hmm(200, 6)), "path")
    wanted = replace(launch.tiles, batch=launch.tiles.batch * 2, warps=8)
    made = plan(program_of(hmm(200, 6)), "ieee", 512)
    assert searched(launch, "ieee", fastest(wanted)(made)) == (wanted, 1.0)
    far = replace(launch.tiles, batch=128, warps=8, stages=4)
    found, _ = searched(launch, "ieee", fastest(far)(made))
    assert found != far and found != launch.tiles  # three rounds go three steps


def test_noise_changes_nothing() -> None:
    launch = form_of(program_of(hmm(200, 6)), "path")

    def judge(trials: Sequence[Launch]) -> list[float]:
        return [1.0, *(1.0 - 0.9 * tune.MARGIN for _ in trials[1:])]

    assert searched(launch, "ieee", judge)[0] == launch.tiles


def test_what_the_device_refuses_is_not_chosen() -> None:
    launch = form_of(program_of(hmm(200, 6)), "path")
    assert searched(launch, "ieee", lambda trials: [float("inf")] * len(trials))[0] == launch.tiles


FORMS = {
    "chain": (hmm(20, 6), False),
    "path": (hmm(20, 6), True),
    "dense": (hmm(20, 3), None),
    "Monarch": (hmm(6, 2, dn.monarch(2, 3)), None),
    "elementwise": (dn.Circuit(dn.product([dn.bernoulli(dn.Bool(f"x{i}"), [0.2 + i / 99]) for i in range(40)])), None),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_candidate_gives_the_evaluators_answers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the tuner may try of every kernel of a plan, through the interpreter."""
    circuit, scratch = FORMS[name]
    if scratch is not False:
        monkeypatch.setattr(policy, "resident", lambda precision: 0)
        monkeypatch.setattr(policy, "by_scratch", lambda turn, most, gpu: bool(scratch))
    program, rows = program_of(circuit), 3
    made = plan(program, "ieee", 16)
    x = np.random.default_rng(0).integers(0, 2, (rows, len(program.columns))).astype(float)
    x[0, :] = np.nan
    want = dn.evaluate(circuit, x, observed=~np.isnan(x), semiring="log")
    tried = 0
    names: set[str] = set()
    for launch in {launch.kernel.digest: launch for launch in made.launches}.values():
        for trial in around(launch, "ieee"):
            choices = {launch.kernel.digest: trial.tiles}
            model = dn.compile(circuit, device="cuda")
            folding = model._compiled.engine(circuit)
            folding.fast.choose = lambda program, precision, rows, given=choices: given
            got = model.marginal(x).numpy()
            np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-6)
            (placed,) = folding.fast.placed.values()
            assert trial.kernel.digest in {each.kernel.digest for each in placed.plan.launches}
            assert placed.plan.batch % trial.batch == 0
            tried += 1
            names.add(launch.kernel.name)
    expected = {"Monarch": "dense"}.get(name, name)
    assert expected in names and tried >= 2


def test_sizes_stay_within_what_kernels_take() -> None:
    for name, rows in product(FORMS, (16, 1000, 1 << 20)):
        for launch in plan(program_of(FORMS[name][0]), "bf16x3", rows).launches:
            for trial in around(launch, "bf16x3"):
                tiles = trial.tiles
                assert 16 <= tiles.batch <= 128 and tiles.warps in (2, 4, 8) and 1 <= tiles.stages < 5
                assert trial.programs % launch.groups == 0 and trial.first == launch.first
                if trial.kernel.name == "dense" and tiles.rows > 1:
                    assert min(tiles.rows, tiles.inner) >= 16  # tensor cores take no fewer
                assert trial.kernel.digest != launch.kernel.digest


def test_a_choice_is_found_once_and_kept(cache: Path) -> None:
    program = program_of(hmm(20, 6))
    asked: list[int] = []

    def tuner(target: str, how: str, stages: int) -> Tuner:
        def judge(made: Plan) -> tune.Judge:
            def judged(trials: Sequence[Launch]) -> list[float]:
                asked.append(len(trials))
                return [float(abs(trial.tiles.stages - stages)) for trial in trials]

            return judged

        return Tuner(gpu_named(target), how, judge)

    (launch,) = plan(program, "ieee", 512).launches
    found = tuned(program, "ieee", 512, tuner("cuda:sm_90", "estimated", 2))
    assert found == {launch.kernel.digest: replace(launch.tiles, stages=2)} and asked
    count = len(asked)
    assert tuned(program, "ieee", 512, tuner("cuda:sm_90", "estimated", 4)) == found and len(asked) == count
    other = tuned(program, "ieee", 512, tuner("cuda:sm_80", "estimated", 4))
    assert other == {launch.kernel.digest: replace(launch.tiles, stages=4)}
    # what was measured stands before what was estimated
    assert tuned(program, "ieee", 512, tuner("cuda:sm_90", "measured", 4)) == other
    assert tuned(program, "ieee", 512, tuner("cuda:sm_90", "estimated", 2)) == other
    # a class of batches has a choice of its own
    count = len(asked)
    tuned(program, "ieee", 1 << 20, tuner("cuda:sm_90", "estimated", 2))
    assert len(asked) > count
    # and what is damaged is found anew
    for file in (cache / "danaus" / "tiles").iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert tuned(program, "ieee", 512, tuner("cuda:sm_90", "estimated", 2)) == found


def test_the_same_choices_give_the_same_text() -> None:
    program = program_of(hmm(200, 5))
    (launch,) = plan(program, "bf16x3", 512).launches
    choices: Choices = {launch.kernel.digest: replace(launch.tiles, batch=64, warps=8)}
    first, second = (plan(program, "bf16x3", 512, choices) for _ in range(2))
    assert [each.kernel for each in first.launches] == [each.kernel for each in second.launches]
    assert first.launches[0].kernel != launch.kernel and first.launches[0].tiles == choices[launch.kernel.digest]
    assert first.batch == 64 and plan(program, "bf16x3", 512, {"another": Tiles(0, 0, 64, 8, 2)}).batch == 16


def test_runs_are_timed_on_the_plans_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a device would: a fake timer runs each launch, and says that the last is fastest."""
    circuit = hmm(5, 4)
    program = program_of(circuit)
    monkeypatch.setattr(tune, "ROUNDS", 1)
    ran: list[int] = []

    def timer(runs: Sequence[Callable[[], None]]) -> list[float]:
        for run in runs:
            run()
        ran.append(len(runs))
        return [1.0 / (1 + i) for i in range(len(runs))]

    choices = tuned(program, "ieee", 512, tuner_on(CPU, "ieee", timer))
    launches = plan(program, "ieee", 512).launches
    assert ran and set(choices) <= {launch.kernel.digest for launch in launches} and choices
    made = plan(program, "ieee", 512, choices)
    assert [each.tiles for each in made.launches] == [choices.get(each.kernel.digest, each.tiles) for each in launches]


def test_a_launch_that_is_refused_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(program_of(hmm(20, 6)), "ieee", 512)
    (launch,) = made.launches
    stages = launch.tiles.stages
    monkeypatch.setattr(measured, "runs_at_all", lambda run: run.args[0].tiles.stages == stages)
    bench = Bench(made, CPU, "ieee", lambda runs: [1.0] * len(runs))
    trials = [launch, replace(launch, tiles=replace(launch.tiles, stages=stages + 1))]
    assert bench.seconds(trials) == [1.0, float("inf")]


TAKEN = Resources(64, 0, 32 << 10, 0, 128)


def test_an_estimate_hangs_on_what_a_kernel_takes() -> None:
    launch = form_of(program_of(hmm(300, 3)), "dense")
    rows = 4096

    def seconds(**changed: int) -> float:
        return estimated(launch, rows, H200, "bf16", replace(TAKEN, **changed))

    assert seconds(spilled=8) == float("inf") and seconds(shared=1 << 20) == float("inf")
    assert at_once(H200, TAKEN) == 6  # by shared memory: 33 of 227 KB
    assert at_once(H200, replace(TAKEN, shared=0)) == 8 and at_once(H200, replace(TAKEN, registers=255)) == 2
    assert seconds() <= seconds(shared=200 << 10)  # one at a time hides less
    with_one = replace(launch, tiles=replace(launch.tiles, stages=4))
    assert estimated(with_one, rows, H200, "bf16", TAKEN) <= seconds()


def test_tiles_that_read_less_or_fill_less_are_faster() -> None:
    big = form_of(program_of(hmm(300, 3)), "dense")
    few = [trial for trial in around(big, "bf16") if trial.tiles.batch < big.tiles.batch]
    tall = [trial for trial in around(big, "bf16") if trial.tiles.rows > big.tiles.rows]
    for trial in tall:  # 300 rows in tiles of 128 are 384
        assert estimated(trial, 1 << 16, H200, "ieee", TAKEN) > estimated(big, 1 << 16, H200, "ieee", TAKEN)
    assert tall and not few  # 16 is the least


def test_machine_code_decides_where_there_is_no_device() -> None:
    """Candidates are compiled for the target; what is chosen neither spills nor is estimated slower."""
    program = program_of(hmm(24, 4))
    few = candidates.neighbours
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "ROUNDS", 1)
        patch.setattr(
            candidates, "neighbours", lambda form, tiles: [each for each in few(form, tiles) if each.warps != 4]
        )
        choices = tuned(program, "bf16", 512, ahead_tuned(H200, "bf16"))
    launches = plan(program, "bf16", 512).launches
    chosen = plan(program, "bf16", 512, choices).launches
    code, wrong = attempted([(each.kernel, H200) for each in (*launches, *chosen)])
    assert not wrong
    rows = policy.typical(512)
    for usual, better in zip(launches, chosen, strict=True):
        assert code[better.kernel.digest, H200.name].resources.spilled == 0
        before, after = (
            estimated(each, rows, H200, "bf16", code[each.kernel.digest, H200.name].resources)
            for each in (usual, better)
        )
        assert after <= before
        assert isinstance(usual.form, ChainForm) == isinstance(better.form, ChainForm)


SPEC = "var x[5] : cat(3)\ncircuit p = hmm(x, states = 20)\n"


def wider(gpu: object, precision: str) -> Tuner:
    """A tuner to whom twice as many warps are twice as fast."""
    return Tuner(H200, "measured", lambda made: lambda trials: [1.0 / trial.tiles.warps for trial in trials])


def test_bundles_hold_what_was_found_and_launch_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The manifest has the tiles; a loader plans with them, and finds the code of what it launches."""
    monkeypatch.setattr(measured, "tuner_for", wider)
    monkeypatch.setattr(stored, "classes", lambda gpu: (512,))
    circuit = dn.parse(SPEC).circuits["p"]
    bundle = bundle_of(circuit, targets=["cuda:sm_90"], tune=True)
    plainly = bundle_of(circuit, targets=["cuda:sm_90"])
    (code,), (usual,) = bundle.devices, plainly.devices
    (launch,) = plan(bundle.program, "bf16x3", 512).launches
    twice = launch.tiles.warps * 2
    assert {rows: dict(own) for rows, own in code.tiles.items()} == {
        512: {launch.kernel.digest: (0, 0, launch.tiles.batch, twice, launch.tiles.stages)}
    }
    assert [kernel.warps for kernel in code.kernels] == [twice] and [kernel.warps for kernel in usual.kernels] != [
        twice
    ]
    assert "tiles" in json.loads(files_of(bundle)["manifest.json"])["devices"][0]
    assert "tiles" not in json.loads(files_of(plainly)["manifest.json"])["devices"][0]
    save_bundle(bundle, tmp_path / "p.zip")
    read = read_bundle(tmp_path / "p.zip")
    assert isinstance(read, Bundle) and read.devices == bundle.devices
    loaded: list[bytes] = []

    class Held:
        gpu = H200

        def load(self, binary: bytes, form: object, arguments: object) -> object:
            loaded.append(binary)
            return None

    engine = load.engine_of(read, "cuda", Held())  # type: ignore[arg-type]
    engine.refill(read.tables)
    (placed,) = engine._placed(3).plan.launches
    assert placed.tiles.warps == twice and loaded == [code.kernels[0].binary]


def test_the_command_tunes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(measured, "tuner_for", wider)
    monkeypatch.chdir(tmp_path)
    Path("p.circuit").write_text(SPEC)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["compile", "p.circuit", *arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    for option in (["--emit", "kernels"], ["--report", "--batch", "100"]):
        outs = [run(*option, "--target", "cuda:sm_90", *tune)[1] for tune in ([], ["--tune"])]
        assert "4 warps" in outs[0] and "8 warps" in outs[1] and "8 warps" not in outs[0]
    status, _, err = run("--tune", "-o", "p.zip")
    assert status == 2 and "error[wrong-option]" in err and "hint" in err


def test_tuning_is_asked_for_when_compiling() -> None:
    circuit = hmm(20, 5)
    model = dn.compile(circuit, device="cuda", tune=True)
    x = np.random.default_rng(1).integers(0, 3, (6, 5))
    want = dn.evaluate(circuit, x, semiring="log")
    np.testing.assert_allclose(model.log_likelihood(x).numpy(), want, rtol=2e-6)
    assert model._compiled.engine(circuit).fast.choose is not None
    with pytest.raises(dn.DanausError) as raised:
        dn.compile(circuit, tune=True)
    assert raised.value.diagnostics[0].code == "wrong-option"
