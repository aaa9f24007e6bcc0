"""What every emitted kernel of the benchmark's models takes of every GPU: the machine code is made and read, not run.

    python benchmarks/gpu_ahead.py [--only NAME] [--precision bf16x3] [--write]

An hour and more on two cores; seconds where all is in the cache.

Each model is taken with eight steps and few values, which change no kernel; for batches of every class and in each
precision. A row is wrong, and the run ends with status 1, where a kernel spills, is over a limit of its GPU, or
multiplies without the instructions that the GPU has for it: wgmma on sm_90 and tcgen05 on sm_100 from 64 rows on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from pathlib import Path

from gpu_models import Model, program_of

from danaus.backends.triton.ahead import Compiled, compiled, triton_version
from danaus.backends.triton.expected import has_loop, kind_of
from danaus.backends.triton.launch import Launch
from danaus.backends.triton.policy import PRECISIONS, Precision
from danaus.backends.triton.resources import Resources
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


@dataclass(frozen=True, slots=True)
class Row:
    """A kernel for a GPU: what its code takes, and what is wrong with that; None where it is refused, and why."""

    model: str
    precision: Precision
    target: str
    taken: Resources | None
    said: str
    wrong: str

    @property
    def text(self) -> str:
        """As a row of a table."""
        begins = f"| {self.model} | {self.precision} | {self.target} | {self.said} |"
        if self.taken is None:
            return begins
        numbers = (self.taken.registers, self.taken.spilled, self.taken.shared, self.taken.tensor)
        return (
            f"{begins} {' | '.join(map(str, numbers))} | {counted(self.taken.matrix)} | {counted(self.taken.looped)} |"
        )


def counted(units: Mapping[str, int]) -> str:
    """How many instructions of each kind."""
    return ", ".join(f"{count} {kind}" for kind, count in units.items()) or "none"


def rows(only: Sequence[str], precisions: Sequence[Precision]) -> Iterator[Row]:
    """A row for each kernel and GPU."""
    for model in MODELS:
        name = f"{model.name} {model.states}"
        if only and not any(each in name for each in only):
            continue
        for precision in precisions:
            for target, gpu in GPUS.items():
                plans = plans_of(program_of(model), precision, gpu=gpu)
                own = {launch.kernel.digest: launch for plan in plans for launch in plan.launches}
                yield from _of(name, precision, own, target)


def _of(name: str, precision: Precision, own: Mapping[str, Launch], target: str) -> Iterator[Row]:
    try:
        made = compiled([launch.kernel for launch in own.values()], [GPUS[target]])
    except DanausError as failure:
        codes = {found.code for found in failure.diagnostics}
        said = "; ".join(dict.fromkeys(found.message for found in failure.diagnostics))
        yield Row(name, precision, target, None, said, "" if codes == {"unsupported-precision"} else said)
        return
    for each in made.values():
        judged = wrong(each, own[each.kernel.digest], precision)
        yield Row(name, precision, target, each.resources, about(each.kernel), judged)


def summary(found: Sequence[Row]) -> Iterator[str]:
    """The most that kernels of a model take, by precision and target."""
    yield "| model | precision | target | kernels | registers | spilled | shared | tensor | matrix units |"
    yield "|---|---|---|---:|---:|---:|---:|---:|---|"
    groups = groupby(found, lambda row: (row.model, row.precision, row.target))
    for (model, precision, target), group in groups:
        own = list(group)
        taken = [row.taken for row in own if row.taken is not None]
        if not taken:
            yield f"| {model} | {precision} | {target} | {own[0].said} |"
            continue
        most = (max(getattr(each, name) for each in taken) for name in ("registers", "spilled", "shared", "tensor"))
        kinds = sorted({kind for each in taken for kind in each.matrix})
        cells = (len(taken), *most, ", ".join(kinds) or "none")
        yield f"| {model} | {precision} | {target} | {' | '.join(map(str, cells))} |"


def main() -> None:
    """Compiles, prints and judges."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--only", action="append", default=[], help="models whose name holds this; repeatable")
    reader.add_argument("--write", action="store_true", help="write what they take at most to results/gpu-ahead.md")
    reader.add_argument("--precision", choices=PRECISIONS, action="append", help="all unless set; repeatable")
    options = reader.parse_args()
    print("| model | precision | target | kernel | registers | spilled | shared | tensor | matrix units | in loops |")
    print("|---|---|---|---|---:|---:|---:|---:|---|---|")
    found: list[Row] = []
    for row in rows(options.only, options.precision or PRECISIONS):
        found.append(row)
        print(row.text + (f" WRONG: {row.wrong}" if row.wrong else ""), flush=True)
    failing = sum(bool(row.wrong) for row in found)
    if options.write:
        lines = [
            "# Kernels compiled for GPUs that were not there",
            "",
            f"`python benchmarks/gpu_ahead.py --write`, Triton {triton_version()}: read from code that no GPU has run.",
            f"What kernels take at most; {failing} of them are wrong.",
            "",
            *summary(found),
        ]
        RESULTS.write_text("\n".join(lines) + "\n")
    if failing:
        sys.exit(f"{failing} kernels are wrong")


if __name__ == "__main__":
    main()
