"""GPUs: what the cost model predicts of an H200, and, where there is a GPU, what is measured on it.

    python benchmarks/gpu.py                       # predictions, and measurements where torch finds a GPU
    python benchmarks/gpu.py --write               # predictions to benchmarks/results/gpu-predicted.md
    python benchmarks/gpu.py --batch 512 --only "dense 64"

Predicted are the plans that are launched: what each launch computes and moves over what the device can do
(backends/triton/roofline.py), beside the limit of the function itself: its operations over the rate of bf16, or the
numbers that it reads and codes over the bandwidth, whichever is longer. Nothing of it was measured.

Measured are, with events on the device and in turns: copy bandwidth and the rate of bf16 products; parity with the
float64 evaluator; `call`, what a user types, and `launches`, the kernels alone; eager torch over logarithms; PyJuice on
the dense models, where it is installed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_models import MODELS, Model, circuit_of, eager, program_of, pyjuice, rows_of

import danaus as dn
from danaus.backends.triton.plan import plan
from danaus.backends.triton.policy import DEFAULT
from danaus.backends.triton.roofline import predicted, rate
from danaus.backends.triton.targets import H200, gpu_named
from danaus.compiler.cost import costs

RESULTS = Path(__file__).parent / "results" / "gpu-predicted.md"
MOST = 4 << 30  # numbers of a model that is made on a device: parameters are float64 on the host
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


def least_bytes(model: Model, batch: int) -> int:
    """What passes memory at least: weights once, the rows of the emission that the batch may read, codes."""
    emission = min(model.values + 1, batch * model.steps) * model.states
    return 4 * (model.numbers - model.states * model.values + emission + batch * model.steps)


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
        "limit of products (three passes), exponentials, bytes, and the "
        f"{H200.launch * 1e6:.0f} µs between two launches (an estimate), with idle multiprocessors where a launch has "
        "fewer programs than there are; of a path in one launch the stages one after another, "
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


def timed(run: Callable[[], object]) -> float:
    """Median seconds of a call on the device, by its events."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    found: list[float] = []
    for _ in range(20):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end) / 1e3)
    return statistics.median(found)


def limits(device: torch.device) -> tuple[float, float]:
    """Bytes per second of a copy, and operations per second of a product in bf16."""
    source = torch.empty(1 << 28, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    copy = 2 * source.nbytes / timed(partial(target.copy_, source))
    square = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    return copy, 2 * 8192**3 / timed(lambda: square @ square)


def parity(device: torch.device) -> None:
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


def measure(device: torch.device, batch: int, only: str) -> None:
    """The measured table."""
    bandwidth, product = limits(device)
    print(f"{torch.cuda.get_device_name(device)}: copy {bandwidth / 1e12:.2f} TB/s, bf16 {product / 1e12:.0f} TFLOP/s")
    parity(device)
    print(
        "| model | K | T | V | call ms | launches ms | eager ms | eager / ours | PyJuice ms | PyJuice / ours | limit |"
    )
    print("|---|" + "---:|" * 10)
    for model in MODELS:
        if only not in label(model):
            continue
        if model.numbers > MOST:
            print(f"| {model.name} | {model.states} | {model.steps} | {model.values} | too many numbers |")
            continue
        print(measured(model, device, batch, bandwidth, product), flush=True)


def measured(model: Model, device: torch.device, batch: int, bandwidth: float, product: float) -> str:
    """One model's row."""
    codes = rows_of(model, batch)
    given = torch.from_numpy(codes).to(device)
    compiled = dn.compile(circuit_of(model), device="cuda")
    x = codes.astype(float)
    call = timed(lambda: compiled.log_likelihood(x))
    ours = timed(launches(compiled, codes, device))
    plain = eager(model, device)
    torch_time = timed(lambda: plain(given))
    juice = pyjuice(model, device)
    juice_time = None if juice is None else timed(lambda: juice(given))
    found = costs(program_of(model))
    least = max(found.at(batch)[0] / product, least_bytes(model, batch) / bandwidth)
    peer = "| | |" if juice_time is None else f"| {juice_time * 1e3:.2f} | {juice_time / ours:.1f} |"
    return (
        f"| {model.name} | {model.states} | {model.steps} | {model.values} | {call * 1e3:.2f} | {ours * 1e3:.2f} "
        f"| {torch_time * 1e3:.2f} | {torch_time / ours:.1f} {peer} {least / ours:.0%} |"
    )


def launches(compiled: Any, codes: np.ndarray, device: torch.device) -> Callable[[], object]:
    """The kernels of a model alone, on memory that is there."""
    (placed,) = compiled._compiled.engine(compiled.circuit).fast.placed.values()
    rows, columns = codes.shape
    stride = -(-rows // placed.plan.batch) * placed.plan.batch
    values = torch.empty((placed.plan.rows, stride), dtype=torch.float32, device=device)
    given = torch.zeros((columns, stride), dtype=torch.int32, device=device)
    given[:, :rows] = torch.from_numpy(codes.T.copy())
    flags = torch.zeros(stride, dtype=torch.int32, device=device)
    return lambda: placed.launch(values, given, flags, stride)


def main() -> None:
    """Predicts, and measures where there is what to measure."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--batch", type=int, nargs="+", default=[512, 16384], help="measured is the first")
    reader.add_argument("--only", default="", help="models whose name holds this")
    reader.add_argument("--write", action="store_true", help="write the predictions to results/gpu-predicted.md")
    options = reader.parse_args()
    found = tables(options.batch, options.only)
    if options.write:
        RESULTS.write_text(found)
    else:
        print(found)
    if not torch.cuda.is_available():
        print("torch finds no GPU on this machine: nothing was measured.", file=sys.stderr)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        measure(torch.device("cuda"), options.batch[0], options.only)


if __name__ == "__main__":
    main()
