"""What compiled kernels take of each GPU, as a table to read: `danaus compile --report`.

What enters are the plans of a Program and a GPU; what leaves are lines, one per kernel of the plan for a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.program.program import Program
from .ahead import Compiled, compiled
from .network import Numbers
from .plan import plan
from .policy import Precision
from .roofline import seconds_of
from .stored import FLOATS, about, kernels_for
from .targets import Gpu, gpu_named

_HEAD = ("kernel", "launches", "registers", "spilled", "shared", "tensor", "matrix units", "predicted")


def report(program: Program, precision: Precision, names: Sequence[str], rows: int, numbers: Numbers = FLOATS) -> str:
    """A table per GPU of what the kernels for a batch take of it, and of the time that they take at least.

    Of a network of scalar nodes all kernels, and no time: how many levels are launched is known with the device.

    Raises: DanausError as `devices_of`.
    """
    gpus = [gpu_named(name) for name in dict.fromkeys(names)]
    if program.layouts:
        return "\n".join(_network(program, precision, gpu, numbers) for gpu in gpus)
    made = plan(program, precision, rows)
    kernels = {launch.kernel.digest: launch.kernel for launch in made.launches}
    code = compiled(list(kernels.values()), gpus)
    parts: list[str] = []
    for gpu in gpus:
        table: list[tuple[str, ...]] = [_HEAD]
        total = 0.0
        for digest in kernels:
            own = [launch for launch in made.launches if launch.kernel.digest == digest]
            seconds = sum(seconds_of(launch, rows, gpu, precision) for launch in own)
            total += seconds
            table.append(_row(code[digest, gpu.name], len(own), seconds))
        parts.append(_title(gpu, precision, rows, len(made.launches), total) + "\n" + _laid_out(table))
    return "\n".join(parts)


def _network(program: Program, precision: Precision, gpu: Gpu, numbers: Numbers) -> str:
    kernels = kernels_for(program, precision, numbers, gpu)
    code = compiled(kernels, [gpu])
    rows = [_row(code[kernel.digest, gpu.name], None, None) for kernel in kernels]
    nodes = sum(layout.nodes for layout in program.layouts)
    what = f"{gpu.name}, float{8 * numbers.size}: a network of {nodes} scalar nodes"
    return f"{what}, in one launch or one for each level\n" + _laid_out([_HEAD, *rows])


def _row(made: Compiled, launches: int | None, seconds: float | None) -> tuple[str, ...]:
    taken = made.resources
    units = ", ".join(f"{count} {kind}" for kind, count in taken.matrix.items()) or "none"
    numbers = ("" if launches is None else launches, taken.registers, taken.spilled, taken.shared, taken.tensor)
    return (about(made.kernel), *map(str, numbers), units, "" if seconds is None else _time(seconds))


def _title(gpu: Gpu, precision: Precision, rows: int, launches: int, seconds: float) -> str:
    what = f"{gpu.name}, {precision}, {rows} rows: {launches} launch{'es' if launches > 1 else ''}"
    return f"{what}, predicted at least {_time(seconds)} on {gpu.rates.device}"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def _laid_out(table: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(line[i]) for line in table) for i in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return "".join(f"  {line}\n" for line in lines)
