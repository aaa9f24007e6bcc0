"""`danaus show`: a summary and a picture of a file's circuits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..ir.circuit import Circuit
from ..ir.data.container import write_bytes
from ..ir.diagnostic import error, nearest
from ..ir.show import dot, picture, summary, svg
from .cost import show as costs
from .options import read_spec


def run(file: Path, **options: Any) -> int:
    """Shows the circuits of a file on the terminal, or draws one to a file."""
    spec = read_spec(file, options)
    chosen = dict(spec.circuits)
    name = options["circuit"]
    if name is not None:
        if name not in chosen:
            hint = nearest(name, chosen) or f"it holds {', '.join(chosen) or 'none'}"
            raise error("unknown-name", f'{file} holds no circuit "{name}"', hint=hint)
        chosen = {name: chosen[name]}
    if options["cost"]:
        if options["output"] is not None:
            raise error("wrong-option", "--cost draws no picture", hint="leave out -o")
        costs(chosen, options["batch"] or 128, options["form"] or "text", tuple(dict.fromkeys(options["target"])))
        return 0
    for each in ("batch", "form", "target"):
        if options[each] not in (None, ()):
            option = "--format" if each == "form" else "--batch"
            raise error("wrong-option", f"{option} has no part without --cost", hint="add --cost, or leave it out")
    if options["output"] is not None:
        circuit = chosen[name] if name is not None else spec.circuit
        write_bytes(options["output"], _drawing(circuit, options["output"]).encode())
        return 0
    parts = [f"{summary(circuit)}\n\n{picture(circuit)}" for circuit in chosen.values()]
    click.echo("\n\n".join(part.rstrip() for part in parts) if parts else f"{file} holds no circuit")
    return 0


def _drawing(circuit: Circuit, path: Path) -> str:
    match path.suffix:
        case ".svg":
            return svg(circuit)
        case ".dot":
            return dot(circuit)
        case ".html":
            raise error("not-yet", "pictures as .html are not available yet", hint="write .svg or .dot")
        case suffix:
            raise error("unknown-format", f'there is no picture of suffix "{suffix}"', hint="write .svg or .dot")
