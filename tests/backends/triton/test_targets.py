"""Each target has its own rates, and the plan that is predicted to be faster by them; what agrees is shared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import danaus as dn
from danaus.backends.triton import device, load, sparse_policy, stored, ways
from danaus.backends.triton.ahead import Compiled
from danaus.backends.triton.kernel import Kernel
from danaus.backends.triton.plan import Plan, plan
from danaus.backends.triton.policy import by_scratch, classes, typical
from danaus.backends.triton.resources import Resources
from danaus.backends.triton.roofline import predicted, seconds_of
from danaus.backends.triton.targets import GPUS, Gpu, gpu_named, kind_like
from danaus.cli import main
from danaus.compiler.bundling import bundle_of
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.runtime.bundle import Bundle, files_of, save_bundle
from danaus.runtime.unbundle import read_bundle

A100, H200, B200, MI300X = (gpu_named(name) for name in GPUS)

# bytes and operations per second by the vendors' data sheets, without sparsity: memory, bf16, tf32, float32
SHEETS = {
    "A100": (2.039e12, 312e12, 156e12, 19.5e12),
    "H200": (4.8e12, 989e12, 494.5e12, 67e12),
    "B200": (8e12, 2250e12, 1125e12, 80e12),
    "MI300X": (5.3e12, 1307.4e12, 653.7e12, 163.4e12),
}


def hmm(states: int, steps: int = 9, factors: tuple[int, int] | None = None) -> Circuit:
    given = {} if factors is None else {"transition": dn.monarch(*factors)}
    return dn.hmm(dn.Cat("x", 3, shape=steps), states=states, **given)


MODELS = {"600": hmm(600), "512": hmm(512), "Monarch": hmm(4096, 9, (64, 64)), "32 by 32": hmm(1024, 9, (32, 32))}


def test_no_device_is_faster_than_its_data_sheet() -> None:
    """The measured rates of an H200 are shares of its sheet's, which the others are given."""
    assert (H200.rates.bytes, H200.rates.half) == (4.3e12, 790e12)
    for gpu in GPUS.values():
        rates = gpu.rates
        found = (rates.bytes, rates.half, rates.tf32, rates.single)
        for rate, sheet in zip(found, SHEETS[rates.device], strict=True):
            assert 0.79 * sheet <= rate <= 0.9 * sheet
        assert rates.near * rates.dies <= rates.cache and rates.far <= rates.stream
        assert rates.special == pytest.approx(rates.units * 16 * rates.stream / 64)  # both by the clock


def ways_of(circuit: Circuit, rows: int, gpu: Gpu, patch: pytest.MonkeyPatch) -> tuple[Plan, Plan]:
    """The plans with every path in one launch, and with none so."""
    found: list[Plan] = []
    for one in (True, False):
        patch.setattr("danaus.backends.triton.plan.one_launch", lambda *given, one=one: one)
        found.append(plan(program_of(circuit), "bf16x3", rows, gpu=gpu))
    patch.undo()
    return found[0], found[1]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("target", GPUS)
def test_a_target_has_the_plan_that_is_faster_by_its_rates(
    target: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = GPUS[target]
    for rows in classes(gpu):
        chosen = plan(program_of(MODELS[name]), "bf16x3", rows, gpu=gpu)
        one, many = ways_of(MODELS[name], rows, gpu, monkeypatch)
        times = [predicted(each.launches, typical(rows, gpu), gpu, "bf16x3") for each in (one, many)]
        quicker = one if times[0] <= (1 - ways.GAIN) * times[1] else many
        assert [each.kernel.digest for each in chosen.launches] == [each.kernel.digest for each in quicker.launches]


def test_targets_differ_where_their_rates_do() -> None:
    """4096 states as two factors, batches that do not fill a device: an H200 keeps the state in its cache, an A100 has
    less, and a B200 has launches that are over sooner."""
    counts = [
        len(plan(program_of(MODELS["Monarch"]), "bf16x3", classes(gpu)[1], gpu=gpu).launches) for gpu in GPUS.values()
    ]
    assert counts == [17, 1, 17, 17]
    tiles = [
        plan(program_of(hmm(1024, 9, (32, 32))), "bf16x3", classes(gpu)[2], gpu=gpu).launches[0].batch
        for gpu in (H200, B200)
    ]
    assert tiles == [32, 64]


def test_what_is_chosen_alike_has_one_text() -> None:
    for circuit in (hmm(64), hmm(256)):
        texts = {
            tuple(each.kernel.digest for each in plan(program_of(circuit), "bf16x3", 512, gpu=gpu).launches)
            for gpu in GPUS.values()
        }
        assert len(texts) == 1


def test_classes_end_where_a_device_is_full() -> None:
    assert [classes(gpu)[1] // 64 for gpu in GPUS.values()] == [108, 132, 148, 304]


def test_weights_of_a_path_stay_in_the_cache_of_the_target() -> None:
    weights = 22 << 20
    assert [by_scratch(weights, weights, gpu) for gpu in GPUS.values()] == [False, True, True, True]


def test_what_one_die_does_not_hold_comes_of_the_cache_behind() -> None:
    assert MI300X.rates.taken(4 << 20, 0) == MI300X.rates.stream > MI300X.rates.taken((4 << 20) + 1, 0)
    assert MI300X.rates.taken(0, 32 << 20) == MI300X.rates.stream > MI300X.rates.taken(1, 32 << 20)
    assert H200.rates.taken(0, 1e12) == H200.rates.stream  # there is none behind
    launch = plan(program_of(hmm(2048)), "bf16x3", 512, gpu=MI300X).launches[1]  # 16 MiB of weights
    matrix = launch.tiles.rows * 2048 * 4
    waves = -(-launch.grid(512) // 304)
    assert seconds_of(launch, 512, MI300X, "bf16x3") >= waves * matrix / MI300X.rates.far


def test_a_network_is_one_launch_where_the_target_holds_it() -> None:
    """90 scratches of 250 KB are 23 MB: more than half of an A100's cache, and of the second-level caches of an
    MI300X."""
    found = [sparse_policy.programs(2000, 32 * 90, 4, 50, 60, gpu) for gpu in GPUS.values()]
    assert found == [0, 90, 90, 0]


class Held:
    """A driver that loads whatever it is given."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.loaded = gpu, list[bytes]()

    def load(self, binary: bytes, form: object, arguments: object) -> None:
        self.loaded.append(binary)


def test_a_bundle_holds_a_plan_for_each_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each device takes its own: all that its engine launches is in the code for it."""

    def made(pairs: Sequence[tuple[Kernel, Gpu]]) -> dict[tuple[str, str], Compiled]:
        form = dict.fromkeys(stored_numbers, 0) | {"name": "entry"}
        taken = Resources(1, 0, 0, 0, 128)
        return {
            (kernel.digest, gpu.name): Compiled(kernel, gpu, "", f"{kernel.digest} {gpu.name}".encode(), form, taken)
            for kernel, gpu in pairs
        }

    from danaus.runtime.device_code import NUMBERS as stored_numbers

    monkeypatch.setattr(stored, "compiled_pairs", made)
    circuit = MODELS["Monarch"]
    bundle = bundle_of(circuit, targets=list(GPUS))
    save_bundle(bundle, tmp_path / "p.zip")
    read = read_bundle(tmp_path / "p.zip")
    assert isinstance(read, Bundle)
    devices = {each["target"]: each for each in json.loads(files_of(bundle)["manifest.json"])["devices"]}
    counts = []
    for gpu in GPUS.values():
        driver = Held(gpu)
        engine = load.engine_of(read, "cuda", driver)  # type: ignore[arg-type]
        assert isinstance(engine, load.Fused) and engine.gpu == gpu
        engine.refill(read.tables)
        for rows in classes(gpu):
            launches = engine._placed(min(rows, 1 << 20)).plan.launches
            assert len(launches) == devices[gpu.name]["launches"][str(rows)]
            want = plan(read.program, "bf16x3", rows, gpu=gpu).launches
            assert [each.kernel.digest for each in launches] == [each.kernel.digest for each in want]
        counts.append(devices[gpu.name]["launches"][str(classes(gpu)[1])])
        assert all(binary.decode().endswith(gpu.name) for binary in driver.loaded) and driver.loaded
    assert counts == [17, 1, 17, 17]


@pytest.mark.parametrize(
    ("capability", "units", "name", "like"),
    [((9, 0), 114, "cuda:sm_90", "H200"), ((8, 6), 84, "cuda:sm_86", None), ((12, 0), 170, "cuda:sm_120", None)],
)
def test_a_device_is_its_target_or_one_like_it(
    capability: tuple[int, int], units: int, name: str, like: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = SimpleNamespace(multi_processor_count=units, L2_cache_size=6 << 20, shared_memory_per_block_optin=99 << 10)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda place: capability)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda place: about)
    monkeypatch.setattr(torch.version, "hip", None)
    found = device.gpu_of(torch.device("cuda"))
    assert found.name == name
    if like is not None:
        assert found is GPUS[name]
        return
    assert (found.rates.units, found.rates.cache, found.limits.shared) == (units, 6 << 20, 99 << 10)
    model = A100 if capability[0] == 8 else B200
    assert found.rates.half == pytest.approx(model.rates.half * units / model.rates.units)
    assert found.architecture == capability[0] * 10 + capability[1]
    assert device.gpu_of(torch.device("cpu")) is H200


def test_other_devices_of_amd_are_like_the_one_that_is_known() -> None:
    found = kind_like("hip:gfx950", 256, 256 << 20, 160 << 10)
    assert (found.backend, found.architecture, found.warp, found.rates.units) == ("hip", "gfx950", 64, 256)
    assert classes(found)[1] == 64 * 256


SPEC = "var x[5] : cat(3)\ncircuit p = hmm(x, states = 600)\n"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["show", "p.circuit", "--cost", *arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_costs_are_those_of_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sympy")
    monkeypatch.chdir(tmp_path)
    Path("p.circuit").write_text(SPEC)
    program = program_of(dn.parse(SPEC).circuits["p"])
    targets = [word for name in GPUS for word in ("--target", name)]
    status, out, _ = shown(capsys, "--batch", "700", *targets)
    assert status == 0
    told = json.loads(shown(capsys, "--batch", "700", "--format", "json", *targets)[1])["p"]["predicted"]
    for gpu, each in zip(GPUS.values(), told, strict=True):
        made = plan(program, "bf16x3", 700, gpu=gpu).launches
        seconds = predicted(made, 700, gpu, "bf16x3")
        assert (each["target"], each["device"], each["launches"]) == (gpu.name, gpu.rates.device, len(made))
        assert each["seconds"] == pytest.approx(seconds)
        said = f"  {gpu.name}, bf16x3: {len(made)} launch"
        assert any(line.startswith(said) and f"{seconds * 1e6:,.1f} µs" in line for line in out.splitlines())
    assert len({each["seconds"] for each in told}) == len(GPUS)


def test_costs_of_networks_and_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sympy")
    monkeypatch.chdir(tmp_path)
    Path("p.circuit").write_text("var a : bool\ncircuit p { return bernoulli(a, [0.5]) }\n")
    Path("n.nnf").write_text("nnf 7 6 2\nL 1\nL 2\nA 2 0 1\nL -1\nL -2\nA 2 3 4\nO 1 2 2 5\n")
    with pytest.raises(SystemExit) as left:
        main(["show", "n.nnf", "--cost", "--target", "cuda:sm_80"])
    assert left.value.code in (0, None) and "1 launch, predicted at least" in capsys.readouterr().out
    for target, code in (("cpu", "wrong-option"), ("cuda:sm_91", "unknown-target")):
        status, _, err = shown(capsys, "--target", target)
        assert status == 2 and f"error[{code}]" in err and "hint" in err
    with pytest.raises(SystemExit):
        main(["show", "p.circuit", "--target", "cuda:sm_90"])
    assert "error[wrong-option]" in capsys.readouterr().err
