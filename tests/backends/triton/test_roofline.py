"""Predicted times: the work of launches against the formulas of their Program, and bounds that no device goes below."""

from __future__ import annotations

import pytest

import danaus as dn
from danaus.backends.triton.plan import plan
from danaus.backends.triton.roofline import predicted, rate, seconds_of, work_of
from danaus.backends.triton.targets import GPUS, gpu_named
from danaus.compiler.compile import program_of
from danaus.ir.program.program import Program

pytest.importorskip("sympy")

MODELS = {
    "dense": "circuit p = hmm(x, states = 640)",
    "Monarch": "circuit p = hmm(x, states = 4096, transition = monarch(64, 64))",
}


def program(name: str) -> Program:
    return program_of(dn.parse(f"var x[6] : cat(5)\n{MODELS[name]}\n").circuits["p"])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [16, 1024])
def test_launches_multiply_what_the_formulas_say(name: str, rows: int) -> None:
    from danaus.compiler.cost import costs

    found = costs(program(name))
    made = plan(program(name), "bf16x3", rows)
    matrices = [work_of(launch, rows) for launch in made.launches if launch.form.matrix is not None]
    assert sum(work.flops for work in matrices) == found.kinds["contract"].at(found.sizes, rows)[0]
    least = int(found.tables.subs(found.sizes))
    emission = 4 * 6 * (640 if name == "dense" else 4096)
    # each matrix is read in each of the 5 steps, the emission one row per row of data
    transition = least - emission - emission // 6
    assert sum(work.fixed for work in matrices) == 5 * transition + emission // 6


def test_the_work_of_one_matrix() -> None:
    made = plan(program("dense"), "bf16x3", 1024)
    (middle,) = {launch.kernel.digest: launch for launch in made.launches[1:-1]}.values()
    work = work_of(middle, 1024)
    assert (work.flops, work.fixed, work.tensor) == (2 * 640 * 640 * 1024, 4 * 640 * 640, True)
    # reads the sum below, a code and the row of the emission; writes as much as it reads below
    assert work.moved == 1024 * 4 * (640 + (640 + 1) + 640)
    tall = dict(middle.kernel.constants)["ROWS"]
    assert work.special == 1024 * (640 * -(-640 // tall) + 640)


@pytest.mark.parametrize("target", GPUS)
def test_no_launch_is_faster_than_the_device(target: str) -> None:
    gpu = gpu_named(target)
    for rows in (1, 16, 1024, 65536):
        made = plan(program("dense"), "bf16x3", rows)
        for launch in made.launches:
            work, seconds = work_of(launch, rows), seconds_of(launch, rows, gpu, "bf16x3")
            assert seconds >= max(work.bytes() / gpu.rates.bytes, gpu.rates.launch)
            assert seconds >= work.flops / rate(gpu.rates, "bf16x3", work.tensor)
        total = predicted(made, rows, gpu, "bf16x3")
        assert total == pytest.approx(sum(seconds_of(each, rows, gpu, "bf16x3") for each in made.launches))


def test_idle_multiprocessors_and_passes_cost() -> None:
    gpu = gpu_named("cuda:sm_90")
    assert rate(gpu.rates, "bf16", True) == 3 * rate(gpu.rates, "bf16x3", True) == 790e12
    assert rate(gpu.rates, "tf32", True) > rate(gpu.rates, "tf32x3", True) > rate(gpu.rates, "ieee", True)
    assert rate(gpu.rates, "bf16", False) == rate(gpu.rates, "ieee", True) == gpu.rates.single
    wide = program_of(dn.parse("var x[6] : cat(5)\ncircuit p = hmm(x, states = 1024)\n").circuits["p"])
    few, many = (plan(wide, "ieee", rows) for rows in (16, 16 * 64))
    least = min(seconds_of(launch, 16, gpu, "ieee") for launch in few.launches[1:-1])
    most = max(seconds_of(launch, 16 * 64, gpu, "ieee") for launch in many.launches[1:-1])
    assert most < 64 * least  # sixteen rows leave most of the device without work
