"""Bundles with kernels for GPUs: what is in them, what is refused, and engines that launch what they hold."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import danaus as dn
from danaus.backends.triton import answering, load, sparse_policy, stored
from danaus.backends.triton import driver as drivers
from danaus.backends.triton.driver import Driver
from danaus.backends.triton.kernel import Kernel
from danaus.backends.triton.module import function
from danaus.backends.triton.plan import plan
from danaus.backends.triton.roofline_reverse import back_seconds_of
from danaus.backends.triton.targets import gpu_named
from danaus.cli import main
from danaus.compiler.bundling import bundle_of, kernels_of
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.runtime.bundle import Bundle, files_of, save_bundle
from danaus.runtime.bundled import Bundled
from danaus.runtime.unbundle import read_bundle

pytest.importorskip("triton")

SPEC = "var x[5] : cat(3)\ncircuit p = hmm(x, states = 20)\n"
TARGETS = ["cuda:sm_90", "hip:gfx942"]
SUFFIXES = {"cuda": ("ptx", "cubin"), "hip": ("amdgcn", "hsaco")}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANAUS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return dn.parse(SPEC).circuits["p"]


@pytest.fixture(scope="module")
def bundle(cache: Path, circuit: Circuit) -> Bundle:
    return bundle_of(circuit, targets=TARGETS)


@pytest.fixture
def danaus(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    Path("p.circuit").write_text(SPEC)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def test_a_bundle_holds_source_and_machine_code_for_each_target(bundle: Bundle, tmp_path: Path) -> None:
    files = files_of(bundle)
    manifest = json.loads(files["manifest.json"])
    kernels = stored.kernels_of(stored.plans_of(bundle.program, "bf16x3"))
    assert [device["target"] for device in manifest["devices"]] == TARGETS
    for device in manifest["devices"]:
        folder = f"kernels/{device['target'].replace(':', '-')}/"
        suffixes = SUFFIXES[device["target"].partition(":")[0]]
        own = {name for name in files if name.startswith(folder)}
        named = {f"{folder}{kernel.name}-{i}.{s}" for i, kernel in enumerate(kernels) for s in ("py", *suffixes)}
        assert own == named
        assert [each["digest"] for each in device["kernels"]] == [kernel.digest for kernel in kernels]
        for each, kernel in zip(device["kernels"], kernels, strict=True):
            assert files[each["source"]].decode() == kernel.source
            assert files[each["binary"]].startswith(b"\x7fELF") and dict(each["constants"]) == dict(kernel.constants)
            assert each["resources"]["registers"] > 0 == each["resources"]["spilled"]
        plans = stored.plans_of(bundle.program, "bf16x3", gpu=gpu_named(device["target"]))
        assert device["launches"] == {str(each.most): len(each.launches) for each in plans}
        assert device["precision"] == "bf16x3" and re.fullmatch(r"3\.\d+\.\d+.*", device["triton"])


def test_no_path_of_the_machine_is_in_a_bundle(bundle: Bundle) -> None:
    for name, content in files_of(bundle).items():
        if name.startswith("kernels/cuda") or name.startswith("kernels/hip") or name == "manifest.json":
            assert not [each for each in folders() if len(each) > 1 and each.encode() in content], name


def test_kernels_of_queries_are_compiled_too(circuit: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Derivatives and the most probable values, for one class of batches: with what they take, and without a path."""
    monkeypatch.setattr(sparse_policy, "LANES", (32,))
    monkeypatch.setattr(answering, "classes", lambda gpu: (512,))
    bundle = bundle_of(circuit, targets=["cuda:sm_90"], queries=["flows", "map"])
    (code,) = bundle.devices
    names = [kernel.name for kernel in code.kernels]
    assert code.answers == ("likelihood", "flows", "map") and names[-2:] == ["fill_steps", "descend_steps"]
    assert {"sweep", "swept", "tally", "pull", "outer"} <= set(names)
    assert all(kernel.binary.startswith(b"\x7fELF") and not kernel.resources["spilled"] for kernel in code.kernels)
    for name, content in files_of(bundle).items():
        if name.startswith("kernels/cuda"):
            assert not [each for each in folders() if len(each) > 1 and each.encode() in content], name


def test_the_report_has_a_table_for_each_query(danaus: Callable[..., Any]) -> None:
    asked = ["--target", "cuda:sm_90", "--batch", "100", "--queries", "flows"]
    status, out, _ = danaus("compile", "p.circuit", "--report", *asked)
    assert status == 0
    circuit = dn.parse(SPEC).circuits["p"]
    walks = stored.walked_of(bundle_of(circuit, targets=[]))
    assert walks is not None
    made, way = answering.reverse_for(walks, "bf16x3", 100, gpu_named("cuda:sm_90"))
    count = len(made.plan.launches) + way.launches
    assert f"cuda:sm_90, bf16x3, 100 rows: flows, {count} launches, predicted at least" in out
    gpu = gpu_named("cuda:sm_90")
    timed = back_seconds_of(way, 100, gpu, "bf16x3")
    assert all(seconds >= gpu.rates.launch + gpu.rates.stage for _, seconds in timed)
    named = Counter(stored.about(kernel) for kernel in {kernel.digest: kernel for kernel, _ in timed}.values())
    for name, kernels in named.items():
        lines = [line for line in out.splitlines() if line.startswith(f"  {name} ")]
        assert len(lines) == kernels and all(len(line.split()) >= 10 for line in lines)
    turns = [act.swept[0] for act in way.acts if act.swept]
    (each,) = [seconds for kernel, seconds in timed if kernel == turns[0].kernel]
    assert each >= 2 * turns[0].form.count * gpu.rates.stage  # turns wait for one another


def folders() -> set[str]:
    """What the code was made in."""
    found = {tempfile.gettempdir(), str(Path.home()), os.getcwd(), sys.prefix, os.environ["DANAUS_CACHE"]}
    return found | {str(Path(__file__).parents[3]), "site-packages"}


def test_what_was_written_is_read(bundle: Bundle, tmp_path: Path) -> None:
    for path in (tmp_path / "p.zip", tmp_path / "p.danaus"):
        save_bundle(bundle, path)
        found = read_bundle(path)
        assert isinstance(found, Bundle) and found.devices == bundle.devices
        assert files_of(found) == files_of(bundle)
    changed = tmp_path / "p.danaus" / "kernels" / "cuda-sm_90"
    (file,) = changed.glob("*-0.cubin")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(dn.DanausError, match="damaged-bundle"):
        read_bundle(tmp_path / "p.danaus")


@dataclass
class Interpreted:
    """A driver whose code is run by Triton's interpreter: what it is given by a bundle must be the kernel's own."""

    bundle: Bundle
    gpu: Any
    launched: int = 0

    def load(self, binary: bytes, form: Any, arguments: Any) -> Any:
        (code,) = (each for each in self.bundle.devices if each.target == self.gpu.name)
        (kernel,) = (each for each in code.kernels if each.binary == binary)
        assert form == kernel.form
        kernels = stored.kernels_of(stored.plans_of(self.bundle.program, "ieee"))
        (found,) = (each for each in kernels if each.digest == kernel.digest)
        assert found.arguments == arguments
        return found


def test_an_engine_of_a_bundle_launches_its_kernels(circuit: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    # the interpreter's own products are float32: its bfloat16 is not to be relied on
    bundle = bundle_of(circuit, targets=["cuda:sm_90"], precision="ieee")
    driver = Interpreted(bundle, gpu_named("cuda:sm_90"))

    class Entry:
        def __init__(self, kernel: Any, stream: Any) -> None:
            self.kernel = kernel

        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
            def launch(*given: Any, **_: Any) -> None:
                driver.launched += 1
                function(self.kernel)[grid](*given, **dict(self.kernel.constants))

            return launch

    monkeypatch.setattr(load, "Entry", Entry)
    model = Bundled(bundle, load.engine_of(bundle, "cuda", driver), lambda: "bundle")  # type: ignore[arg-type]
    x = np.random.default_rng(0).integers(0, 3, (5, 5)).astype(float)
    x[0, 2] = x[3, 4] = np.nan
    got = model.marginal(x).numpy()
    np.testing.assert_allclose(got, dn.evaluate(circuit, x, observed=~np.isnan(x), semiring="log"), rtol=2e-6)
    assert driver.launched == len(plan(bundle.program, "ieee", 5).launches)


EITHER = "nnf 7 6 2\nL 1\nL -2\nA 2 0 1\nL -1\nL 2\nA 2 3 4\nO 1 2 2 5\n"


def test_a_network_of_scalar_nodes_runs_from_its_bundle(
    danaus: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_policy, "LANES", (4, 32))
    Path("n.nnf").write_text(EITHER)
    circuit = dn.load("n.nnf").circuit
    assert program_of(circuit).layouts
    bundle = bundle_of(circuit, targets=["cuda:sm_90"])
    (code,) = bundle.devices
    assert [kernel.name for kernel in code.kernels] == ["network", "level"] * 2 and code.precision == "float32"
    assert not any(kernel.resources["spilled"] for kernel in code.kernels)
    launched: list[str] = []

    class Entry:
        def __init__(self, kernel: Kernel, stream: Any) -> None:
            self.kernel = kernel

        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
            def launch(*given: Any) -> None:
                launched.append(self.kernel.name)
                function(self.kernel)[grid](*given, **dict(self.kernel.constants))

            return launch

    @dataclass
    class Held:
        gpu: Any

        def load(self, binary: bytes, form: Any, arguments: Any) -> Kernel:
            (found,) = (each for each in code.kernels if each.binary == binary)
            assert tuple((each.name, each.type, each.aligned) for each in arguments) == found.arguments
            given = (found.name, found.source, arguments, found.constants, found.warps, found.stages)
            return Kernel(*given, found.cooperative)

    monkeypatch.setattr(load, "Entry", Entry)
    driver: Any = Held(gpu_named("cuda:sm_90"))
    model = Bundled(bundle, load.engine_of(bundle, "cuda", driver), lambda: "bundle")
    x = np.array([[0, 0], [1, 0], [np.nan, 1], [np.nan] * 2])
    np.testing.assert_allclose(model.marginal(x).exp().numpy(), [0, 1, 1, 2], rtol=1e-6)
    assert launched == ["network"]
    status, out, _ = danaus("compile", "n.nnf", "--report", "--target", "cuda:sm_90", "--dtype", "float64")
    assert (
        status == 0 and "float64, 1024 rows: a network of" in out and "network[WIDTH=" in out and "level[WIDTH=" in out
    )
    status, out, _ = danaus("compile", "n.nnf", "--emit", "kernels", "--target", "cuda:sm_90")
    assert status == 0 and out.count("@triton.jit") == 4


@dataclass
class Library:
    """A driver's library that writes down what is launched."""

    launches: list[tuple[Any, ...]]

    def __getattr__(self, name: str) -> Any:
        return lambda *given: 0

    def cuDeviceGetAttribute(self, found: Any, *_: Any) -> int:
        found._obj.value = 232448
        return 0

    def cuLaunchKernelEx(self, config: Any, function: Any, parameters: Any, extra: Any) -> int:
        pointers = [drivers.c.c_uint64.from_address(parameters[i]).value for i in range(7)]
        numbers = [drivers.c.c_int32.from_address(parameters[i]).value for i in (7, 8)]
        self.launches.append((tuple(config._obj.grid), pointers, *numbers))
        return 0


def test_launches_take_memory_and_places_in_the_kernels_order(bundle: Bundle) -> None:
    library = Library([])
    engine = load.engine_of(bundle, "cuda", Driver(gpu_named("cuda:sm_90"), library, 0))
    engine.refill(bundle.tables)
    engine.run(np.zeros((5, 40), dtype=np.int64), {})
    expected = plan(bundle.program, "bf16x3", 40)
    placed = engine.placed[expected.most]
    stride = -(-40 // expected.batch) * expected.batch
    assert [(grid, first, width) for grid, _, first, width in library.launches] == [
        ((launch.grid(stride), 1, 1), launch.first, stride) for launch in expected.launches
    ]
    for _, pointers, _, _ in library.launches:
        tensors = (placed.tables, placed.weights, placed.indices, placed.places)
        assert [pointers[i] for i in (1, 2, 4, 5)] == [each.data_ptr() for each in tensors]
        assert len(set(pointers)) == 7 and all(pointers)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(dn.DanausError) as failure:
        call()
    (found,) = failure.value.diagnostics
    assert found.hint
    return found.code


def test_what_a_device_cannot_run_is_said(bundle: Bundle, circuit: Circuit, tmp_path: Path) -> None:
    driver = Driver(gpu_named("cuda:sm_90"), Library([]), 0)
    assert code_of(lambda: load.engine_of(bundle_of(circuit), "cuda", driver)) == "not-in-bundle"
    other = Driver(gpu_named("cuda:sm_80"), Library([]), 0)
    assert code_of(lambda: load.engine_of(bundle, "cuda", other)) == "not-in-bundle"
    older = replace(bundle, devices=tuple(replace(each, kernels=each.kernels[1:]) for each in bundle.devices))
    engine = load.engine_of(older, "cuda", driver)
    engine.refill(bundle.tables)
    assert code_of(lambda: engine.run(np.zeros((5, 4), dtype=np.int64), {})) == "bundle-version"
    strange = replace(bundle, devices=tuple(replace(each, precision="fp8") for each in bundle.devices))
    assert code_of(lambda: load.engine_of(strange, "cuda", driver)) == "damaged-bundle"
    save_bundle(bundle, tmp_path / "p.zip")
    assert code_of(lambda: dn.load_bundle(tmp_path / "p.zip", device="cuda")) == "no-device"
    assert code_of(lambda: dn.load_bundle(tmp_path / "p.zip", device="gpu")) == "unknown-device"


def test_the_command_makes_a_bundle_without_a_gpu(danaus: Callable[..., Any], bundle: Bundle) -> None:
    targets = [part for name in TARGETS for part in ("--target", name)]
    assert danaus("compile", "p.circuit", "-o", "p.zip", *targets) == (0, "", "")
    held = read_bundle(Path("p.zip"))
    assert isinstance(held, Bundle) and held.devices == bundle.devices and held.codes == ()
    status, out, _ = danaus("run", "p.zip", "partition")  # on the CPU, for which it is compiled again
    assert status == 0 and float(out) == pytest.approx(0, abs=1e-5)
    status, _, err = danaus("run", "p.zip", "partition", "--device", "cuda")
    assert status == 2 and "error[no-device]" in err


def test_the_command_prints_kernels_and_what_they_take(danaus: Callable[..., Any]) -> None:
    status, out, _ = danaus("compile", "p.circuit", "--emit", "kernels", "--target", "cuda:sm_90")
    assert status == 0 and out.startswith("# circuit p\n# chain[") and "@triton.jit" in out
    for kernel in stored.kernels_of(stored.plans_of(program_of(dn.parse(SPEC).circuits["p"]), "bf16x3")):
        assert kernel.source.rstrip() in out
    status, out, _ = danaus("compile", "p.circuit", "--report", "--batch", "700", "--target", "cuda:sm_90")
    launches = len(plan(program_of(dn.parse(SPEC).circuits["p"]), "bf16x3", 700).launches)
    assert status == 0 and f"cuda:sm_90, bf16x3, 700 rows: {launches} launch" in out and "predicted at least" in out
    assert "registers" in out and "on H200" in out and re.search(r"\d+ (wgmma|mma\.sync)", out)
    status, out, _ = danaus(
        "compile", "p.circuit", "--emit", "kernels", "--target", "cuda:sm_90", "--queries", "sample"
    )
    assert status == 0 and out.count("def fill_steps(") == 3 and out.count("def descend_steps(") == 6
    Path("asks.circuit").write_text(SPEC + "query best = map(p)\nquery mass = partition(p)\n")
    status, asked, _ = danaus("compile", "asks.circuit", "--emit", "kernels", "--target", "cuda:sm_90")
    assert status == 0 and asked.count("def descend_steps(") == 3  # the file asks for the most probable values
    status, out, _ = danaus(
        "compile", "p.circuit", "--emit", "kernels", "--target", "cuda:sm_90", "--precision", "ieee"
    )
    assert status == 0 and kernels_of(dn.parse(SPEC).circuits["p"], target="cuda:sm_90", precision="ieee") in out
    for wrong, code in (
        (["-o", "q.zip", "--queries", "sampel", "--target", "cuda:sm_90"], "unknown-query"),
        (["-o", "q.zip", "--queries", "sample"], "wrong-option"),
        (["--report"], "wrong-option"),
        (["-o", "q.zip", "--batch", "3"], "wrong-option"),
        (["-o", "q.zip", "--precision", "ieee"], "wrong-option"),
        (["-o", "q.zip", "--precision", "fp8", "--target", "cuda:sm_90"], "unknown-precision"),
        (["-o", "q.zip", "--target", "cuda:sm_91"], "unknown-target"),
        (["--emit", "kernels", "--target", "cuda:sm_91"], "unknown-target"),
        (["-o", "q.zip", "--target", "cuda:sm_90", "--dtype", "float64"], "unknown-type"),
    ):
        status, _, err = danaus("compile", "p.circuit", *wrong)
        assert status == 2 and f"error[{code}]" in err and "hint" in err
        assert not Path("q.zip").exists()
