"""What compiled kernels take of each GPU, as tables to read: `danaus compile --report`.

What enters is a bundle without code and a GPU; what leaves are lines, one per kernel of what a query launches for a
batch, with the time that its launches take at least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...ir.program.program import Program
from ...runtime.bundle import Bundle
from .ahead import Compiled, compiled
from .answering import Answering, Walked, reverse_for
from .kernel import Kernel
from .plan import plan
from .policy import Precision, batch_class
from .roofline import seconds_of
from .roofline_reverse import back_seconds_of
from .roofline_walks import of_network, of_steps
from .steps import steps
from .stored import about, kernels_by, numbers_of, tiles_for, walked_of
from .targets import Gpu, gpu_named
from .tiled import NONE, Choices

_HEAD = ("kernel", "launches", "registers", "spilled", "shared", "tensor", "matrix units", "predicted")

Launched = list[tuple[Kernel, float]]
"""The kernel of each launch, and the seconds that it takes at least."""


def report(
    bundle: Bundle,
    precision: Precision,
    names: Sequence[str],
    rows: int,
    queries: Sequence[str] = (),
    tune: bool = False,
) -> str:
    """A table per GPU and query of what the kernels for a batch take of it, and of the time that they take at least.

    Of walks and of a network of scalar nodes all kernels, each with its time if it is what is launched for the batch.

    Raises: DanausError as `devices_of`.
    """
    gpus = [gpu_named(name) for name in dict.fromkeys(names)]
    return "\n".join(part for gpu in gpus for part in _parts(bundle, precision, gpu, rows, queries, tune))


def _parts(bundle: Bundle, precision: Precision, gpu: Gpu, rows: int, queries: Sequence[str], tune: bool) -> list[str]:
    tiles = tiles_for(bundle, precision, gpu, queries, tune)
    by = kernels_by(bundle, precision, gpu, queries, tiles)
    choices = tiles.get(batch_class(rows, gpu), NONE)
    walks = walked_of(bundle)
    parts: list[str] = []
    for what, kernels in by.items():
        launched = (
            None if bundle.program.layouts else _launched(bundle.program, walks, what, precision, gpu, rows, choices)
        )
        if launched is None:
            code = compiled(kernels, [gpu])
            walking = _walked(bundle, walks, kernels, rows, gpu)
            table = [_row(code[kernel.digest, gpu.name], *walking[kernel.digest]) for kernel in kernels]
            parts.append(_either(bundle, what, rows, gpu) + "\n" + _laid_out([_HEAD, *table]))
            continue
        own = {kernel.digest: kernel for kernel, _ in launched}
        code = compiled(list(own.values()), [gpu])
        table = []
        for digest in own:
            times = [seconds for kernel, seconds in launched if kernel.digest == digest]
            table.append(_row(code[digest, gpu.name], len(times), sum(times)))
        total = sum(seconds for _, seconds in launched)
        parts.append(_title(gpu, what, precision, rows, len(launched), total) + "\n" + _laid_out([_HEAD, *table]))
    return parts


def _launched(
    program: Program, walks: Walked | None, what: Answering, precision: Precision, gpu: Gpu, rows: int, choices: Choices
) -> Launched | None:
    """What likelihoods or derivatives of vectors launch for a batch; None of walks."""
    if what == "likelihood":
        made = plan(program, precision, rows, choices, gpu)
        return [(each.kernel, seconds_of(each, rows, gpu, precision)) for each in made.launches]
    if what != "flows" or walks is None:
        return None
    kept, way = reverse_for(walks, precision, rows, gpu, choices)
    up = [(each.kernel, seconds_of(each, rows, gpu, precision)) for each in kept.plan.launches]
    return up + back_seconds_of(way, rows, gpu, precision)


def _walked(
    bundle: Bundle, walks: Walked | None, kernels: Sequence[Kernel], rows: int, gpu: Gpu
) -> Mapping[str, tuple[int, float]]:
    """How often each kernel of walks or of a network is launched, and the seconds of that."""
    if bundle.program.layouts:
        return of_network(bundle.program.layouts[0], kernels, rows, len(bundle.variables) + 1, gpu)
    assert walks is not None and bundle.walks is not None
    found = steps(walks.program, bundle.walks.sites)
    assert found is not None  # else no kernel walks it
    return of_steps(found, kernels, rows, gpu)


def _either(bundle: Bundle, what: Answering, rows: int, gpu: Gpu) -> str:
    """What stands above kernels of which the batch says which are launched."""
    if not bundle.program.layouts:
        return f"{gpu.name}, float64, {rows} rows: {what}, in one launch up and one down, or one for each step"
    numbers = numbers_of(bundle)
    size = numbers.size if what in ("likelihood", "flows") else 8
    nodes = sum(layout.nodes for layout in bundle.program.layouts)
    said = "a network of" if what == "likelihood" else f"{what} of a network of"
    return f"{gpu.name}, float{8 * size}, {rows} rows: {said} {nodes} scalar nodes, in one launch or one for each level"


def _row(made: Compiled, launches: int, seconds: float) -> tuple[str, ...]:
    taken = made.resources
    units = ", ".join(f"{count} {kind}" for kind, count in taken.matrix.items()) or "none"
    numbers = (launches, taken.registers, taken.spilled, taken.shared, taken.tensor)
    return (about(made.kernel), *map(str, numbers), units, _time(seconds))


def _title(gpu: Gpu, what: Answering, precision: Precision, rows: int, launches: int, seconds: float) -> str:
    said = "" if what == "likelihood" else f"{what}, "
    what_runs = f"{gpu.name}, {precision}, {rows} rows: {said}{launches} launch{'es' if launches > 1 else ''}"
    return f"{what_runs}, predicted at least {_time(seconds)} on {gpu.rates.device}"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def _laid_out(table: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(line[i]) for line in table) for i in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return "".join(f"  {line}\n" for line in lines)
