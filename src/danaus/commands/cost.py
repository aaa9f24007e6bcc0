"""`danaus show --cost`: what the Programs of a file's circuits cost, as formulas and for a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from ..compiler.pipeline import program_of
from ..ir.circuit import Circuit
from ..ir.diagnostic import error

if TYPE_CHECKING:
    from ..compiler.cost import Costs

_COLUMNS = ("flops", "special", "bytes", "operations")


def show(circuits: Mapping[str, Circuit], rows: int, form: str) -> None:
    """Prints the costs of circuits for a batch, as text or as json."""
    made = _cost()
    found = {name: made.costs(program_of(circuit)) for name, circuit in circuits.items()}
    if form == "json":
        click.echo(json.dumps({name: _plain(each, rows) for name, each in found.items()}, indent=2))
    else:
        click.echo("\n".join(_text(name, each, rows) for name, each in found.items()), nl=False)


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
