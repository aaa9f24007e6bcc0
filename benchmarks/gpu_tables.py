"""What was measured on a GPU as tables: cells by job enter, text leaves, whatever of it is there yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from gpu_jobs import Cases
from gpu_meter import Cell
from gpu_models import Model, program_of

from danaus.compiler.cost import costs

Found = Mapping[tuple[str, int], Mapping[str, Cell]]
"""Cells by table and case, by the name of what was measured."""

CHAINS = ("launches", "forward", "both", "share", "call", "counts", "step", "eager", "eager tf32", "eager both")
PEER = ("PyJuice", "PyJuice both", "PyJuice step")
RATIOS = ("× PyJuice", "× PyJuice both", "× PyJuice step", "× eager", "× eager both")
PICTURES = ("launches", "forward", "both", "call", "counts", "step")
COUNTS = ("launches", "edges")


def tables(found: Found, cases: Cases, name: str) -> list[str]:
    """All tables, with what stands above them."""
    limits = found.get(("limits", 0), {})
    said = [f"copy {value(limits, 'copy') / 1e12:.2f} TB/s"] if value(limits, "copy") else []
    said += [f"{kind} {value(limits, kind) / 1e12:.0f} TFLOP/s" for kind in ("bf16", "tf32") if value(limits, kind)]
    lines = [f"{name}, {cases.rows} rows: {', '.join(said) or 'no limits measured'}", ""]
    lines += ["Milliseconds; × says how many times as long the other takes.", "", "## Parity"]
    lines += ["| model | K | T | V | of | largest error |", "|---|---:|---:|---:|---|---:|"]
    for table, models in (("parity", cases.parity), ("peers", cases.peers)):
        for case, model in enumerate(models):
            for kind, cell in found.get((table, case), {}).items():
                error = cell.words if cell.value is None else f"{cell.value:.1e}"
                lines.append(f"{_of(model)} | {kind} | {error} |")
    lines += ["", "## Hidden Markov models", *_head(("model", "K", "T", "V"), (*CHAINS, *PEER, *RATIOS))]
    for case, model in enumerate(cases.chains):
        cells = found.get(("chains", case), {})
        share = {"share": _share(model, cases.rows, cells, limits)}
        lines.append(_row(_of(model), {**cells, **share}, (*CHAINS, *PEER), RATIOS))
    lines += ["", "## Images", *_head(("circuit", "K"), (*PICTURES, *PEER, *RATIOS[:3]))]
    for case, (kind, states) in enumerate(cases.pictures):
        cells = found.get(("pictures", case), {})
        lines.append(_row(f"| {kind} | {states}", cells, (*PICTURES, *PEER), RATIOS[:3]))
    lines += ["", "## d-DNNFs", "Ours are calls, from rows here to answers here, and PyJuice's kernels alone.", ""]
    lines += _head(("variables", "width", "B"), ("edges", "ours", "back", *PEER[:2]))
    for case, (variables, width, batch) in enumerate(cases.diagrams):
        cells = found.get(("diagrams", case), {})
        lines.append(_row(f"| {variables} | {width} | {batch}", cells, ("edges", "ours", "back", *PEER[:2]), ()))
    return lines


def _of(model: Model) -> str:
    return f"| {model.name} | {model.states} | {model.steps} | {model.values}"


def _head(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    return [f"| {' | '.join((*names, *columns))} |", "|---|" + "---:|" * (len(names) + len(columns) - 1)]


def _row(name: str, cells: Mapping[str, Cell], columns: Sequence[str], ratios: Sequence[str]) -> str:
    shown = [text(column, cells.get(column)) for column in columns]
    return f"{name} | {' | '.join([*shown, *(_ratio(cells, ratio) for ratio in ratios)])} |"


def text(column: str, cell: Cell | None) -> str:
    """Milliseconds, a count or a share, and words."""
    if cell is None:
        return ""
    if cell.value is None:
        return cell.words
    if column in COUNTS:
        return f"{cell.value:.0f}"
    number = f"{cell.value:.0%}" if column == "share" else f"{cell.value * 1e3:.3f}"
    return f"{number} ({cell.words})" if cell.words else number


def value(cells: Mapping[str, Cell], name: str) -> float:
    """A number, 0 where there is none."""
    cell = cells.get(name)
    return cell.value if cell is not None and cell.value is not None else 0.0


def _ratio(cells: Mapping[str, Cell], ratio: str) -> str:
    """How many times as long another takes as ours does."""
    other = ratio.removeprefix("× ")
    ours = {"both": "both", "step": "step"}.get(other.partition(" ")[2], "forward")
    mine, theirs = value(cells, ours), value(cells, other)
    return f"{theirs / mine:.1f}" if mine and theirs else ""


def _share(model: Model, rows: int, cells: Mapping[str, Cell], limits: Mapping[str, Cell]) -> Cell:
    """The limit of the function, measured, over the time of its kernels."""
    seconds, copy, rate = value(cells, "forward"), value(limits, "copy"), value(limits, "bf16")
    if not (seconds and copy and rate):
        return Cell(None)
    return Cell(max(_operations(model, rows) / rate, least_bytes(model, rows) / copy) / seconds)


@cache
def _operations(model: Model, rows: int) -> float:
    return float(costs(program_of(model)).at(rows)[0])


def least_bytes(model: Model, batch: int) -> int:
    """What passes memory at least: weights once, the rows of the emission that the batch may read, codes."""
    emission = min(model.values + 1, batch * model.steps) * model.states
    return 4 * (model.numbers - model.states * model.values + emission + batch * model.steps)
