"""GPUs: what the cost model predicts of an H200, and, where there is a GPU, what is measured on it.

    python benchmarks/gpu.py                       # predictions, and measurements where torch finds a GPU
    python benchmarks/gpu.py --write               # predictions to benchmarks/results/gpu-predicted.md
    python benchmarks/gpu.py --batch 512 --only "dense 64"
    TRITON_INTERPRET=1 python benchmarks/gpu.py --dry   # all that is measured, in small, without a GPU

Predicted are the plans that are launched: what each launch computes and moves over what the device can do
(backends/triton/roofline.py), beside the limit of the function itself: its operations over the rate of bf16, or the
numbers that it reads and codes over the bandwidth, whichever is longer. Nothing of it was measured.

Measured are (gpu_measured.py), within `--seconds` in all: copy bandwidth and the rate of bf16 products; parity with the
float64 evaluator; kernels forward, and forward and back; calls of a likelihood, of expected counts and of a step of
expectation maximisation; eager torch over logarithms; PyJuice where it is installed (`pip install pyjuice==2.6.3`) and
has the like; hidden Chow–Liu trees and Poon–Domingos circuits over images of 28 × 28; d-DNNFs.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from gpu_measured import Meter, chains, least_bytes, limits, pictures, sentences
from gpu_models import MODELS, Model, circuit_of, program_of, rows_of

import danaus as dn
from danaus.backends.triton.device import interpreted
from danaus.backends.triton.plan import plan
from danaus.backends.triton.policy import DEFAULT
from danaus.backends.triton.roofline import predicted, rate
from danaus.backends.triton.targets import H200, gpu_named
from danaus.compiler.cost import costs

RESULTS = Path(__file__).parent / "results" / "gpu-predicted.md"
MEASURED = Path(__file__).parent / "results" / "gpu-measured.md"
ORDER = sorted(MODELS, key=lambda model: (model.numbers > 1 << 26, model.steps, model.numbers))  # the largest last
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


def label(model: Model) -> str:
    """A model's name and sizes."""
    return f"{model.name} {model.states} T={model.steps} V={model.values}"


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


def parity() -> None:
    """Small models against the float64 evaluator; a wrong number ends the run."""
    for model in (Model(64, 32, 27), Model(33, 8, 5), Model(256, 32, 27, (16, 16)), Model(4096, 4, 27, (64, 64))):
        circuit = circuit_of(model)
        compiled = dn.compile(circuit, device="cuda")
        for batch in (1, 17, 1000):
            x = rows_of(model, batch).astype(float)
            got, want = compiled.log_likelihood(x).numpy(), dn.evaluate(circuit, x, semiring="log")
            worst = float(np.max(np.abs(got - want) / np.maximum(1, np.abs(want))))
            print(f"parity {label(model)} B={batch}: {worst:.1e}")
            if not worst < PARITY:
                sys.exit(f"{label(model)} is wrong")


IMAGES = (("HCLT", 64), ("HCLT", 256), ("HCLT", 512), ("HCLT", 1024), ("PD", 64), ("PD", 256))
SENTENCES = ((200, 10), (400, 40), (1000, 170))  # about 10⁴, 10⁵ and 10⁶ edges
BATCHES = (1, 32, 128, 4096)


def measure(meter: Meter, batch: int, only: str, dry: bool) -> Iterator[str]:
    """The measured tables; a dry run takes small models."""
    rates = limits(meter)
    name = torch.cuda.get_device_name(meter.device) if meter.device.type == "cuda" else "no GPU"
    yield f"{name}, {batch} rows: copy {rates[0] / 1e12:.2f} TB/s, bf16 {rates[1] / 1e12:.0f} TFLOP/s"
    if not dry:
        parity()
    models = (Model(5, 4, 3), Model(6, 3, 3, (2, 3))) if dry else tuple(each for each in ORDER if only in label(each))
    yield from ("", "## Hidden Markov models", *chains(models, batch, meter, rates))
    pixels = (batch, 2, 3) if dry else (batch, 28, 256)
    cases = (("HCLT", 2), ("PD", 2)) if dry else tuple(each for each in IMAGES if only in f"{each[0]} {each[1]}")
    yield from ("", "## Images", *pictures(cases, *pixels, meter))
    sizes, batches = (((6, 3),), (1, 2)) if dry else (SENTENCES if only in "d-DNNF" else (), BATCHES)
    yield from ("", "## d-DNNFs", *sentences(sizes, batches, meter))


def main() -> None:
    """Predicts, and measures where there is what to measure."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--batch", type=int, nargs="+", default=[512, 16384], help="measured is the first")
    reader.add_argument("--only", default="", help="models whose name holds this")
    reader.add_argument("--write", action="store_true", help="write the predictions, and what is measured, to results/")
    reader.add_argument("--seconds", type=float, default=480, help="after which no further model is begun")
    reader.add_argument("--dry", action="store_true", help="all that is measured, in small, through the interpreter")
    options = reader.parse_args()
    if options.dry:
        if not interpreted():
            sys.exit("a dry run takes TRITON_INTERPRET=1 in the environment")
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for line in measure(Meter(torch.device("cpu"), "ieee", options.seconds), 2, "", True):
                print(line, flush=True)
        return
    found = tables(options.batch, options.only)
    if options.write:
        RESULTS.write_text(found)
    else:
        print(found)
    if not torch.cuda.is_available():
        print("torch finds no GPU on this machine: nothing was measured.", file=sys.stderr)
        return
    lines: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        for line in measure(
            Meter(torch.device("cuda"), DEFAULT, options.seconds), options.batch[0], options.only, False
        ):
            lines.append(line)
            print(line, flush=True)
            if options.write:  # after each row: what was measured stays if the run is ended
                MEASURED.write_text("\n".join(["# Measured on a GPU", "", *lines]) + "\n")


if __name__ == "__main__":
    main()
