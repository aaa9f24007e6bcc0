"""GPUs: what the cost model predicts of an H200, and, where there is a GPU, what is measured on it.

    python benchmarks/gpu.py                       # predictions, and measurements where torch finds a GPU
    python benchmarks/gpu.py --write               # predictions to benchmarks/results/gpu-predicted.md
    python benchmarks/gpu.py --measured --write    # measurements alone, 8 minutes, to results/gpu-measured.md
    python benchmarks/gpu.py --batch 512 --only "dense 64"
    TRITON_INTERPRET=1 python benchmarks/gpu.py --dry   # all that is measured, in small, without a GPU

Predicted are the plans that are launched: what each launch computes and moves over what the device can do
(backends/triton/roofline.py), beside the limit of the function itself: its operations over the rate of bf16, or the
numbers that it reads and codes over the bandwidth, whichever is longer. Nothing of it was measured.

Measured are (gpu_measured.py), within `--seconds` in all: copy bandwidth and the rates of products in bf16 and tf32;
parity with the float64 evaluator; kernels forward, and forward and back; calls of a likelihood, of expected counts and
of a step of expectation maximisation; eager torch over logarithms; PyJuice where it is installed; hidden Chow–Liu trees
and Poon–Domingos circuits over images of 28 × 28; d-DNNFs. The most telling rows come first, in a process that is
started anew where it hangs or fails (gpu_supervised.py), and `--write` keeps each cell when it is there.

PyJuice is `pip install pyjuice==2.6.3 nvidia-cutlass`: the latter holds headers for its CUDA extensions, which nvcc and
ninja compile at their first use, and without which it is slower. For a machine with torch but without internet take the
wheels of both along, and of what they import those that are not there: numba, llvmlite, networkx, packaging, matplotlib
and tqdm. They are installed with `--no-deps`, without `typing`: PyJuice asks for it, and from a folder on PYTHONPATH it
stands before Python's own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import torch
from gpu_jobs import cases_of, jobs_of, label
from gpu_models import MODELS, program_of
from gpu_supervised import Options, results
from gpu_tables import Cell, least_bytes, value
from gpu_tables import tables as measured_tables

from danaus.backends.triton.device import interpreted
from danaus.backends.triton.plan import plan
from danaus.backends.triton.policy import DEFAULT
from danaus.backends.triton.roofline import predicted, rate
from danaus.backends.triton.targets import H200, gpu_named
from danaus.compiler.cost import costs

RESULTS = Path(__file__).parent / "results" / "gpu-predicted.md"
MEASURED = Path(__file__).parent / "results" / "gpu-measured.md"
PARITY = 2e-4  # of max(1, |ll|): three passes of bf16 keep 16 bits, over up to 256 steps


def rows_predicted(batch: int, only: str) -> Iterator[str]:
    """A row of the table for each model."""
    gpu = gpu_named("cuda:sm_90")
    for model in MODELS:
        if only not in label(model):
            continue
        program = program_of(model)
        found = costs(program)
        flops = found.at(batch)[0]
        moved = least_bytes(model, batch)
        computing, moving = flops / gpu.rates.half, moved / gpu.rates.bytes
        made = plan(program, DEFAULT, batch)
        seconds = predicted(made.launches, batch, gpu, DEFAULT)
        limit = "bytes" if moving > computing else "bf16"
        passes = max(flops / rate(gpu.rates, DEFAULT), moving)
        yield (
            f"| {model.name} | {model.states} | {model.steps} | {model.values} | {len(made.launches)} "
            f"| {flops / 1e9:.1f} | {moved / 1e6:.1f} | {max(computing, moving) * 1e3:.3f} {limit} "
            f"| {seconds * 1e3:.3f} | {passes / seconds:.0%} |"
        )


def tables(batches: list[int], only: str) -> str:
    """The predicted tables, with what they are."""
    about = (
        "`python benchmarks/gpu.py --write`: every figure is out of the cost model; no GPU has run any of it. `limit` "
        "is the least time of the function itself: its operations in one pass of "
        f"bf16 ({H200.half / 1e12:.0f} TFLOP/s), or the numbers that it reads and codes once ({H200.bytes / 1e12:.1f} "
        f"TB/s), whichever is longer. `predicted` is the sum over the plan's launches for {DEFAULT}, each at its own "
        "limit of products (three passes), exponentials, bytes, what the second-level cache gives, and a stage, after "
        f"the {H200.launch * 1e6:.0f} µs between two launches (estimates), with idle multiprocessors where a launch "
        "has fewer programs than there are; of a path in one launch the stages one after another, "
        f"{H200.stage * 1e6:.0f} µs each (an estimate). `share` is the limit with its passes over it: what is lost to "
        "launches, stages that wait, idle multiprocessors, exponentials and traffic between launches. GF and MB are of "
        "the function. One pass of bf16 would take a third of the time where products are the limit."
    )
    lines = ["# PREDICTED, not measured: forward passes on an H200", "", textwrap.fill(about, 120)]
    for batch in batches:
        lines += [
            "",
            f"## {batch} rows",
            "| model | K | T | V | launches | GF | MB | limit ms | predicted ms | share |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            *rows_predicted(batch, only),
        ]
    return "\n".join(lines) + "\n"


def measure(options: Options, budget: float, write: bool, lanes: int = 0) -> bool:
    """Measures all, and prints it; says whether all that was compared with the evaluator is right."""
    cases = cases_of(options.rows, options.only, options.dry)
    found: dict[tuple[str, int], dict[str, Cell]] = {}
    name = torch.cuda.get_device_name() if options.device == "cuda" else "no GPU"

    def page() -> str:
        return "\n".join(
            ["# Measured on a GPU" if not options.dry else "# Run dry", "", *measured_tables(found, cases, name)]
        )

    for job, cells, seconds in results(options, jobs_of(cases), budget, lanes):
        found.setdefault((job.table, job.case), {}).update(cells)
        shown = ", ".join(f"{name} {cell.words if cell.value is None else cell.value}" for name, cell in cells.items())
        print(f"{job.table} {job.case} {job.kind} ({seconds:.1f} s): {shown}", file=sys.stderr, flush=True)
        if write:  # each cell when it is there: what was measured stays if the run is ended
            MEASURED.write_text(page() + "\n")
    print(page(), flush=True)
    return all(value(found.get(("parity", case), {}), "ours") < PARITY for case, _ in enumerate(cases.parity))


def main() -> None:
    """Predicts, and measures where there is what to measure."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--batch", type=int, nargs="+", default=[512, 16384], help="measured is the first")
    reader.add_argument("--only", default="", help="models whose name holds this")
    reader.add_argument("--write", action="store_true", help="write the predictions, and what is measured, to results/")
    reader.add_argument("--seconds", type=float, default=450, help="after which nothing more is measured")
    reader.add_argument("--dry", action="store_true", help="all that is measured, in small, through the interpreter")
    reader.add_argument(
        "--lanes", type=int, default=4, help="processes that compile kernels, and as many that make PyJuice's circuits"
    )
    reader.add_argument("--measured", action="store_true", help="predict nothing: all the time of a GPU is measured in")
    options = reader.parse_args()
    if options.dry:
        if not interpreted():
            sys.exit("a dry run takes TRITON_INTERPRET=1 in the environment")
        measure(Options("cpu", "ieee", 2, "", True), options.seconds, False)
        return
    found = "" if options.measured else tables(options.batch, options.only)
    if options.write and found:
        RESULTS.write_text(found)
    else:
        print(found, end="\n" if found else "")
    if not torch.cuda.is_available():
        print("torch finds no GPU on this machine: nothing was measured.", file=sys.stderr)
        return
    with tempfile.NamedTemporaryFile() as turn:
        asked = Options("cuda", DEFAULT, options.batch[0], options.only, False, turn.name)
        if not measure(asked, options.seconds, options.write, options.lanes):
            sys.exit("a model is wrong, or was not compared with the evaluator")


if __name__ == "__main__":
    main()
