"""`danaus show --cost`: what the Programs of a file's circuits cost, as formulas and for a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from ..backends.triton.targets import gpu_named, is_gpu
from ..compiler.bundling import foretold_of
from ..compiler.pipeline import program_of
from ..ir.circuit import Circuit
from ..ir.diagnostic import error

if TYPE_CHECKING:
    from ..compiler.cost import Costs

_COLUMNS = ("flops", "special", "bytes", "operations")


def show(circuits: Mapping[str, Circuit], rows: int, form: str, targets: tuple[str, ...] = ()) -> None:
    """Prints the costs of circuits for a batch, as text or as json; and the predicted time of their likelihoods on GPUs
    by name."""
    made = _cost()
    _require_gpus(targets)
    found = {name: made.costs(program_of(circuit)) for name, circuit in circuits.items()}
    if form == "json":
        plain = {name: _plain(each, rows) | _plain_times(circuits[name], targets, rows) for name, each in found.items()}
        click.echo(json.dumps(plain, indent=2))
    else:
        texts = (_text(name, each, rows) + _times(circuits[name], targets, rows) for name, each in found.items())
        click.echo("\n".join(texts), nl=False)


def _require_gpus(targets: tuple[str, ...]) -> None:
    """Raises DanausError `wrong-option` where one is not a GPU, `unknown-target`."""
    for target in targets:
        if not is_gpu(target):
            hint = "name one such as cuda:sm_90"
            raise error("wrong-option", f"--cost predicts no times of {target}, but of GPUs", hint=hint)
        gpu_named(target)


def _plain_times(circuit: Circuit, targets: tuple[str, ...], rows: int) -> dict[str, Any]:
    return {"predicted": [asdict(each) for each in foretold_of(circuit, targets, rows)]} if targets else {}


def _times(circuit: Circuit, targets: tuple[str, ...], rows: int) -> str:
    if not targets:
        return ""
    return "".join(
        f"  {each.target}, {each.numbers}: {each.launches} launch{'es' if each.launches > 1 else ''}, "
        f"predicted at least {each.seconds * 1e6:,.1f} µs on {each.device}\n"
        for each in foretold_of(circuit, targets, rows)
    )


def _cost() -> ModuleType:
    """The module of costs, which takes sympy.

    Raises: DanausError `missing-package`.
    """
    try:
        from ..compiler import cost
    except ImportError as failure:
        hint = 'pip install "danaus[symbolic]"'
        raise error("missing-package", f"{failure.name} is not installed", hint=hint) from failure
    return cost


def _rows(costs: Costs, written: Callable[[Any], str]) -> list[tuple[str, ...]]:
    kinds = [*sorted(costs.kinds.items()), ("all", costs.total)]
    return [(name, *(written(getattr(cost, column).expand()) for column in _COLUMNS)) for name, cost in kinds]


def _written(formula: Any) -> str:
    """A formula with the signs of mathematics: 2·B·K²·T."""
    text = str(formula).replace("**", "^").replace("*", "·")
    for digit, raised in zip("23456789", "²³⁴⁵⁶⁷⁸⁹", strict=True):
        text = text.replace(f"^{digit}", raised)
    return text


def _plain(costs: Costs, rows: int) -> dict[str, Any]:
    kinds = {name: dict(zip(_COLUMNS, formulas, strict=True)) for name, *formulas in _rows(costs, str)}
    return {
        "sizes": {str(letter): size for letter, size in costs.sizes.items()},
        "kinds": {name: kind for name, kind in kinds.items() if name != "all"},
        "all": kinds["all"],
        "tables": str(costs.tables.expand()),
        "at": {"B": rows, **dict(zip(_COLUMNS, costs.at(rows), strict=True))},
    }


def _text(name: str, costs: Costs, rows: int) -> str:
    sizes = "".join(f", {letter} = {size}" for letter, size in costs.sizes.items())
    table = [("", "flops", "exp, log", "bytes", "operations"), *_rows(costs, _written)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    flops, special, through, operations = costs.at(rows)
    tables = int(costs.tables.subs(costs.sizes))
    return (
        f"circuit {name}: a batch of B rows{sizes}; float32\n"
        + "\n".join(f"  {line}" for line in lines)
        + f"\n  tables: {_written(costs.tables.expand())} = {tables:,} bytes"
        + f"\n  B = {rows}: {flops:,} flops, {special:,} exp and log, {through:,} bytes, {operations:,} operations\n"
    )
