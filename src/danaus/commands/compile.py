"""`danaus compile`: a stage of the line as text. Programs, kernels and bundles are a later version's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..compiler.driver import syntax
from ..compiler.judge import judge
from ..compiler.needs import require
from ..frontend.print_syntax import print_syntax
from ..ir.diagnostic import DanausError, Diagnostic, error
from ..ir.printer import print_circuit
from .options import read_spec, say


def run(file: Path, **options: Any) -> int:
    """Prints the stage that `--emit` names."""
    match options["emit"]:
        case "syntax":
            click.echo(print_syntax(syntax(file)), nl=False)
            return 0
        case "circuit":
            spec = read_spec(file, options)
            found: list[Diagnostic] = []
            for query in spec.queries.values():
                try:
                    require(query)
                except DanausError as failure:
                    found += failure.diagnostics
            verdicts = [verdict.diagnostic for verdict in judge(spec)]
            failing = [diagnostic for diagnostic in verdicts if diagnostic is not None]
            for diagnostic in (*found, *failing):
                say(diagnostic)
            if not found:
                click.echo(
                    "\n".join(print_circuit(circuit).rstrip() + "\n" for circuit in spec.circuits.values()), nl=False
                )
            return 2 if found else 1 if failing else 0
        case None:
            raise error(
                "not-yet", "bundles are not compiled yet", hint="--emit syntax or --emit circuit prints a stage"
            )
        case stage:
            raise error("not-yet", f"--emit {stage} is not available yet", hint="syntax and circuit are")
