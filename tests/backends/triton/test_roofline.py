"""Predicted times: the work of launches against the formulas of their Program, and bounds that no device goes below."""

from __future__ import annotations

import pytest

import danaus as dn
from danaus.backends.triton.chain import ChainForm
from danaus.backends.triton.launch import Launch
from danaus.backends.triton.plan import plan
from danaus.backends.triton.policy import batch_class
from danaus.backends.triton.roofline import predicted, rate, seconds_of, work_of
from danaus.backends.triton.targets import GPUS, gpu_named
from danaus.compiler.pipeline import program_of
from danaus.ir.program.program import Program

pytest.importorskip("sympy")

MODELS = {
    "on chip": "circuit p = hmm(x, states = 64)",
    "streamed": "circuit p = hmm(x, states = 200)",
    "split": "circuit p = hmm(x, states = 1024)",
    "Monarch": "circuit p = hmm(x, states = 64, transition = monarch(8, 8))",
}


def program(name: str) -> Program:
    return program_of(dn.parse(f"var x[6] : cat(5)\n{MODELS[name]}\n").circuits["p"])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [16, 1024])
def test_launches_multiply_what_the_formulas_say(name: str, rows: int) -> None:
    from danaus.compiler.cost import costs

    found = costs(program(name))
    made = plan(program(name), "bf16x3", batch_class(rows))
    work = [work_of(launch, rows, "bf16x3") for launch in made.launches]
    elementwise = sum(each.plain for each, launch in zip(work, made.launches, strict=True) if not multiplies(launch))
    flops = sum(each.tensor + each.plain for each in work) - elementwise
    assert flops == found.kinds["contract"].at(found.sizes, rows)[0]


def multiplies(launch: Launch) -> bool:
    return isinstance(launch.form, ChainForm) or launch.form.matrix is not None


def test_a_path_on_chip_moves_its_numbers_once() -> None:
    (launch,) = plan(program("on chip"), "bf16x3", 512).launches
    assert isinstance(launch.form, ChainForm) and not launch.form.scratch
    work = work_of(launch, 16, "bf16x3")
    # a row of the emission and a code in each of the 6 steps, and one number out; the first matrix, those of the turns,
    # which are one, and the last
    assert work.moved == 16 * 4 * (6 * (64 + 1) + 1)
    matrices = [stage.matrix for stage in launch.form.stages]
    assert work.fixed == 4 * sum(matrix.rows * matrix.columns for matrix in matrices if matrix is not None)
    assert (work.tensor, work.plain) == (16 * 5 * 2 * 64 * 64, 16 * 2 * 64)
    gpu = gpu_named("cuda:sm_90")
    assert seconds_of(launch, 16, gpu, "bf16x3") == pytest.approx(gpu.rates.launch + 6 * gpu.rates.stage)  # they wait
    full = work_of(launch, 16 * 132 * 4, "bf16x3")
    assert full.fixed == work.fixed and full.tensor == 132 * 4 * work.tensor


def test_a_path_by_scratch_streams_its_weights() -> None:
    (launch,) = plan(program("streamed"), "bf16x3", 512).launches
    assert isinstance(launch.form, ChainForm) and launch.form.scratch
    gpu = gpu_named("cuda:sm_90")
    streamed = gpu.rates.launch + 5 * 4 * 200 * 200 / gpu.rates.stream + gpu.rates.stage
    assert seconds_of(launch, 16, gpu, "bf16x3") == pytest.approx(streamed)
    many = seconds_of(launch, launch.batch * 132 * 8, gpu, "bf16x3")  # programs of one processor share what it streams
    assert many == pytest.approx(gpu.rates.launch + 8 * (5 * 4 * 200 * 200 + 4 * 200) / gpu.rates.stream)


def test_the_work_of_one_matrix() -> None:
    made = plan(program("split"), "bf16x3", 1 << 20)
    middle = made.launches[2]
    assert not isinstance(middle.form, ChainForm)
    work = work_of(middle, 16, "bf16x3")
    assert (work.tensor, work.plain, work.fixed) == (2 * 1024 * 1024 * 16, 0, 4 * 1024 * 1024)
    # reads the sum below, a code and the row of the emission; writes as much as it reads below
    assert work.moved == 16 * 4 * (1024 + (1024 + 1) + 1024)
    assert work.special == 16 * (1024 * (1024 // int(dict(middle.kernel.constants)["ROWS"])) + 1024)


@pytest.mark.parametrize("target", GPUS)
@pytest.mark.parametrize("name", MODELS)
def test_no_launch_is_faster_than_the_device(name: str, target: str) -> None:
    gpu = gpu_named(target)
    for rows in (1, 16, 1024, 65536):
        made = plan(program(name), "bf16x3", batch_class(rows))
        for launch in made.launches:
            work, seconds = work_of(launch, rows, "bf16x3"), seconds_of(launch, rows, gpu, "bf16x3")
            through = work.fixed + max(0.0, work.moved - gpu.rates.cache)  # what the cache holds need not come anew
            assert seconds >= max(through / gpu.rates.bytes, gpu.rates.launch + gpu.rates.stage)
            assert seconds >= work.moved / (gpu.rates.stream * gpu.rates.units)
            assert seconds >= work.tensor / rate(gpu.rates, "bf16x3") + work.plain / gpu.rates.single
        total = predicted(made.launches, rows, gpu, "bf16x3")
        assert total == pytest.approx(sum(seconds_of(each, rows, gpu, "bf16x3") for each in made.launches))


def test_idle_multiprocessors_and_passes_cost() -> None:
    gpu = gpu_named("cuda:sm_90")
    assert rate(gpu.rates, "bf16") == 3 * rate(gpu.rates, "bf16x3") == 790e12
    assert rate(gpu.rates, "tf32") > rate(gpu.rates, "tf32x3") > rate(gpu.rates, "ieee") == gpu.rates.single
    made = plan(program("split"), "ieee", 512)
    few, many = (seconds_of(made.launches[1], rows, gpu, "ieee") for rows in (16, 16 * 32))
    assert few < many < 32 * few  # sixteen rows leave most of the device without work


@pytest.mark.parametrize("sizes", ["8, 8", "4, 4, 4", "64"])
def test_factors_on_chip_take_no_exponentials(sizes: str) -> None:
    """A step takes those of its states once and as many logarithms, however many factors follow; the root reads one
    row."""
    map_ = f", transition = monarch({sizes})" if "," in sizes else ""
    source = dn.parse(f"var x[6] : cat(5)\ncircuit p = hmm(x, states = 64{map_})\n")
    (launch,) = plan(program_of(source.circuits["p"]), "bf16x3", 512).launches
    assert isinstance(launch.form, ChainForm) and not launch.form.scratch
    assert work_of(launch, 16, "bf16x3").special == 16 * (5 * 2 * 64 + 64 + 1)
