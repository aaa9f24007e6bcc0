"""What every emitted kernel of the benchmark's models takes of every GPU: the machine code is made and read, not run.

    python benchmarks/gpu_ahead.py [--only NAME] [--precision bf16x3] [--write]

Half an hour on two cores; seconds where all is in the cache.

Each model is taken with eight steps and few values, which change no kernel; for batches of every class and in each
precision. A row is wrong, and the run ends with status 1, where a kernel spills, is over a limit of its GPU, or
multiplies without the instructions that the GPU has for it: wgmma on sm_90 and tcgen05 on sm_100 from 64 rows on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

from gpu_models import Model, program_of

from danaus.backends.triton.ahead import Compiled, compiled, triton_version
from danaus.backends.triton.expected import has_loop, kind_of
from danaus.backends.triton.launch import Launch
from danaus.backends.triton.policy import PRECISIONS, Precision
from danaus.backends.triton.stored import about, plans_of
from danaus.backends.triton.targets import GPUS
from danaus.ir.diagnostic import DanausError

RESULTS = Path(__file__).parent / "results" / "gpu-ahead.md"
MODELS = (
    *(Model(states, 8, 5) for states in (20, 64, 128, 256, 512, 2048)),
    *(Model(first * second, 8, 5, (first, second)) for first, second in ((16, 16), (64, 64), (128, 128), (256, 256))),
    *(Model(prod(parts), 8, 5, parts) for parts in ((4, 64), (8, 32), (2, 128), (12, 20), (4, 8, 8), (4, 4, 4, 4))),
    Model(512 * 1024, 8, 5, (512, 1024)),
)


def wrong(made: Compiled, launch: Launch, precision: Precision) -> str:
    """What is wrong with a kernel's code, or nothing."""
    if made.resources.spilled:
        return f"spills {made.resources.spilled} bytes"
    kind = kind_of(launch, made.gpu, precision)
    if kind and kind not in made.resources.matrix:
        return f"has no {kind}"
    if kind and has_loop(launch) and kind not in made.resources.looped:
        return f"has no {kind} in its loop"
    return ""


def rows(only: str, precisions: Sequence[Precision]) -> Iterator[tuple[str, str]]:
    """A row for each kernel and GPU, and what is wrong with it."""
    for model in MODELS:
        name = f"{model.name} {model.states}"
        if only not in name:
            continue
        for precision in precisions:
            for target, gpu in GPUS.items():
                plans = plans_of(program_of(model), precision, gpu=gpu)
                own = {launch.kernel.digest: launch for plan in plans for launch in plan.launches}
                yield from _of(name, precision, own, target)


def _of(name: str, precision: Precision, own: Mapping[str, Launch], target: str) -> Iterator[tuple[str, str]]:
    try:
        made = compiled([launch.kernel for launch in own.values()], [GPUS[target]])
    except DanausError as failure:
        codes = {found.code for found in failure.diagnostics}
        said = "; ".join(dict.fromkeys(found.message for found in failure.diagnostics))
        expected = codes == {"unsupported-precision"}
        yield f"| {name} | {precision} | {target} | {said} |", "" if expected else said
        return
    for each in made.values():
        taken = each.resources
        units = ", ".join(f"{count} {kind}" for kind, count in taken.matrix.items()) or "none"
        looped = ", ".join(f"{count} {kind}" for kind, count in taken.looped.items()) or "none"
        found = (about(each.kernel), taken.registers, taken.spilled, taken.shared, taken.tensor, units, looped)
        yield (
            f"| {name} | {precision} | {target} | {' | '.join(map(str, found))} |",
            wrong(each, own[each.kernel.digest], precision),
        )


def main() -> None:
    """Compiles, prints and judges."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--only", default="", help="models whose name holds this")
    reader.add_argument("--write", action="store_true", help="write the table to results/gpu-ahead.md")
    reader.add_argument("--precision", choices=PRECISIONS, action="append", help="all unless set; repeatable")
    options = reader.parse_args()
    lines = [
        "# Kernels compiled for GPUs that were not there",
        "",
        f"`python benchmarks/gpu_ahead.py --write`, Triton {triton_version()}: read from code that no GPU has run.",
        "",
        "| model | precision | target | kernel | registers | spilled | shared | tensor | matrix units | in loops |",
        "|---|---|---|---|---:|---:|---:|---:|---|---|",
    ]
    print("\n".join(lines))
    failing = 0
    for line, said in rows(options.only, options.precision or PRECISIONS):
        lines.append(line)
        print(line + (f" WRONG: {said}" if said else ""), flush=True)
        failing += bool(said)
    if options.write:
        RESULTS.write_text("\n".join(lines) + "\n")
    if failing:
        sys.exit(f"{failing} kernels are wrong")


if __name__ == "__main__":
    main()
