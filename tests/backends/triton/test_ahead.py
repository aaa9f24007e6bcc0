"""Kernels compiled for GPUs that are not here: what the machine code is made of, and what is refused."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from danaus.backends.triton import ahead, worker
from danaus.backends.triton.kernel import Argument, Kernel
from danaus.backends.triton.resources import Resources, instructions, require_within
from danaus.backends.triton.targets import GPUS, gpu_named
from danaus.ir.diagnostic import DanausError

pytest.importorskip("triton")

SOURCE = """import triton
import triton.language as tl


@triton.jit
def product(x, w, y, batch, K: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr, STEP: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    nodes = tl.arange(0, WIDTH)
    out = tl.zeros((ROWS, WIDTH), tl.float32)
    for k in tl.range(0, K, STEP):
        inner = k + tl.arange(0, STEP)
        a = tl.load(x + rows[:, None] * K + inner[None, :], mask=rows[:, None] < batch, other=0.0)
        b = tl.load(w + inner[:, None] * WIDTH + nodes[None, :])
        out = tl.dot(a, b, out, input_precision="tf32")
    tl.store(y + rows[:, None] * WIDTH + nodes[None, :], out, mask=rows[:, None] < batch)
"""
KINDS = {"cuda:sm_80": "mma.sync", "cuda:sm_90": "wgmma", "cuda:sm_100": "tcgen05", "hip:gfx942": "mfma"}


def product(rows: int, width: int = 64, step: int = 32, source: str = SOURCE, **rest: int) -> Kernel:
    pointers = tuple(Argument(name, "*fp32") for name in "xwy")
    constants = (("K", 1024), ("ROWS", rows), ("WIDTH", width), ("STEP", step))
    return Kernel("product", source, (*pointers, Argument("batch", "i32", False)), constants, **rest)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANAUS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def both(cache: Path) -> dict[tuple[str, str], ahead.Compiled]:
    return ahead.compiled([product(64), product(16)], list(GPUS.values()))


def refused(*wanted: Kernel, target: str = "cuda:sm_90") -> list[tuple[str, str]]:
    with pytest.raises(DanausError) as failure:
        ahead.compiled(wanted, [gpu_named(target)])
    assert all(each.hint for each in failure.value.diagnostics)
    return [(each.code, each.message) for each in failure.value.diagnostics]


@pytest.mark.parametrize("target", GPUS)
def test_matrix_units_multiply_in_the_loop(both: dict[tuple[str, str], ahead.Compiled], target: str) -> None:
    for rows in (64, 16):
        made = both[product(rows).digest, target]
        kind = KINDS[target] if rows == 64 or target.startswith("hip") else "mma.sync"
        assert set(made.resources.matrix) == {kind} and made.resources.looped[kind] > 0
        assert made.resources.spilled == 0 < made.resources.registers <= made.gpu.limits.registers
        assert 0 < made.resources.shared <= made.gpu.limits.shared
        assert (made.resources.tensor > 0) == (kind == "tcgen05")
        assert made.form["name"] == "product" and made.resources.threads == 4 * made.gpu.warp
        assert made.binary.startswith(b"\x7fELF") and "product" in made.text


@pytest.mark.parametrize("target", GPUS)
def test_no_path_of_the_machine_is_in_what_is_made(both: dict[tuple[str, str], ahead.Compiled], target: str) -> None:
    made = both[product(64).digest, target]
    whole = b"\0".join([made.text.encode(), made.binary, repr(made.form).encode()])
    folders = {tempfile.gettempdir(), str(Path.home()), os.getcwd(), sys.prefix, os.environ["DANAUS_CACHE"]}
    folders |= {str(Path(__file__).parents[3]), "site-packages", "kernel_"}
    assert not [folder for folder in folders if len(folder) > 1 and folder.encode() in whole]


def test_code_is_made_once_and_is_the_same_when_made_again(
    both: dict[tuple[str, str], ahead.Compiled], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (product(64).digest, "cuda:sm_90")
    with monkeypatch.context() as patch:
        patch.setattr(ahead, "_answers", lambda tasks, jobs: [] if not tasks else pytest.fail("compiled again"))
        again = ahead.compiled([product(64)], [gpu_named("cuda:sm_90")])
    assert again[key] == both[key]
    for file in cache.rglob("*.bin"):  # what is damaged is made again
        file.write_bytes(file.read_bytes()[:-1])
    assert ahead.compiled([product(64)], [gpu_named("cuda:sm_90")])[key] == both[key]


def test_what_a_kernel_compiles_to_hangs_on_its_constants_and_warps(
    both: dict[tuple[str, str], ahead.Compiled],
) -> None:
    first = product(64)
    others = [product(16), product(64, warps=8), product(64, stages=3), replace(first, cooperative=True)]
    assert len({each.digest for each in (first, *others)}) == 5
    assert both[first.digest, "cuda:sm_80"].text != both[others[0].digest, "cuda:sm_80"].text


def test_a_kernel_over_a_limit_is_refused() -> None:
    large = product(128, 128, 128, stages=3)
    ((code, message),) = refused(large, target="hip:gfx942")
    assert code == "kernel-too-large"
    assert "product takes" in message and message.endswith("bytes of shared memory, and hip:gfx942 has 65536")
    with pytest.raises(DanausError):  # also where the code is in the cache
        ahead.compiled([large], [gpu_named("hip:gfx942")])


def test_each_limit_is_looked_at() -> None:
    gpu = gpu_named("cuda:sm_100")
    within = Resources(255, 0, 232448, 512, 1024)
    require_within("k", gpu, within)
    over = [replace(within, registers=256), replace(within, shared=232449), replace(within, tensor=513)]
    for each in (*over, replace(within, threads=1025)):
        with pytest.raises(DanausError) as failure:
            require_within("k", gpu, each)
        assert [found.code for found in failure.value.diagnostics] == ["kernel-too-large"]


def test_what_triton_refuses_is_said_by_kernel_and_target() -> None:
    wrong = SOURCE.replace("tl.zeros((ROWS, WIDTH), tl.float32)", "tl.zeros((ROWS, 48), tl.float32)")
    ((code, message),) = refused(product(64, source=wrong))
    assert code == "kernel-refused" and "product for cuda:sm_90" in message and "power of 2" in message


def test_a_compiler_that_ends_its_process_is_survived() -> None:
    deadly = replace(product(64, source="import os; os._exit(3)\n" + SOURCE), stages=7)
    ((code, message),) = refused(deadly, replace(product(32), stages=1))
    assert code == "kernel-refused" and "its process ended, with status 3" in message


def test_three_passes_of_tf32_are_not_for_every_gpu() -> None:
    kernel = product(64, source=SOURCE.replace('"tf32"', '"tf32x3"'))
    ((code, message),) = refused(kernel, target="hip:gfx942")
    assert code == "unsupported-precision" and "hip:gfx942" in message


def test_targets_are_known_by_name() -> None:
    for name, hint in (("cuda:sm_91", "cuda:sm_90"), ("hip:gfx1100", "hip:gfx942"), ("cuda", "GPUs are cuda:sm_80")):
        with pytest.raises(DanausError) as failure:
            gpu_named(name)
        (found,) = failure.value.diagnostics
        assert found.code == "unknown-target" and hint in found.hint


def test_without_triton_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "find_spec", lambda name: None)
    assert refused(product(64)) == [("missing-package", "triton is not installed")]


def test_loops_are_told_from_straight_code() -> None:
    text = """
        mma.sync.aligned.m16n8k8.row.col.f32 a;
    $L__BB0_1:
        wgmma.mma_async.sync.aligned.m64n64k8.f32 b; // wgmma.mma_async.not_this
        @%p1 bra $L__BB0_1;
        @%p2 bra $L__BB0_2;
        tcgen05.mma.cta_group::1.kind::tf32 c;
    $L__BB0_2:
        tcgen05.mma.cta_group::1.kind::tf32 c;
        @%p2 bra.uni $L__BB0_2;
    """
    assert instructions(text) == ({"mma.sync": 1, "tcgen05": 2, "wgmma": 1}, {"tcgen05": 1, "wgmma": 1})
    amd = "v_mfma_f32_32x32x4_xf32 a\n.LBB0_2: ; %loop\n v_mfma_f32_16x16 b\n s_cbranch_scc1 .LBB0_2\n"
    assert instructions(amd) == ({"mfma": 2}, {"mfma": 1})


@pytest.mark.parametrize(
    ("backend", "spills", "tried"),
    [
        ("cuda", {(): 24, ("maxnreg", 255): 0}, [(), ("maxnreg", 255)]),
        (
            "cuda",
            {(): 24, ("maxnreg", 255): 48, ("num_warps", 8): 0},
            [(), ("maxnreg", 255), ("num_warps", 8)],
        ),
        ("cuda", {(): 0}, [()]),
        (
            "hip",
            {(): 280, ("num_warps", 8): 96, ("num_warps", 2): 0},
            [(), ("num_warps", 8), ("num_warps", 2)],
        ),
        ("hip", {(): 280, ("num_warps", 8): 0}, [(), ("num_warps", 8)]),
    ],
)
def test_what_spills_is_made_in_other_ways(
    backend: str, spills: dict[tuple[object, ...], int], tried: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    warp, seen = {"cuda": 32, "hip": 64}[backend], []

    def made(options: dict[str, int]) -> tuple[object, ...]:
        more = tuple(part for name, value in options.items() if name != "before" for part in (name, value))
        seen.append(more)
        return more

    def answer(task: object, more: tuple[object, ...]) -> dict[str, dict[str, int]]:
        return {"resources": {"spilled": spills[more], "threads": 4 * warp}}

    monkeypatch.setattr(worker, "_answer", answer)
    task = {"backend": backend, "warp": warp, "options": {"before": 1}}
    best, found = worker._once(task, made)
    assert seen == tried
    assert found["resources"]["spilled"] == min(spills.values()) == spills[best]
