"""`danaus check`: every assert, every circuit's properties, and what else the files get wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ..compiler.judge import Verdict, judge
from ..compiler.needs import require
from ..compiler.properties import PROPERTIES, Result, check, explained
from ..frontend.spec import Spec
from ..ir.data.container import write_bytes
from ..ir.diagnostic import DanausError, Diagnostic, error, nearest, render
from .options import load_spec, working


@dataclass(slots=True)
class Report:
    """What one file comes to."""

    file: str
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    circuits: dict[str, dict[str, Result]] = field(default_factory=dict[str, dict[str, Result]])
    verdicts: list[Verdict] = field(default_factory=list[Verdict])

    @property
    def status(self) -> int:
        """The exit status that the file asks for."""
        failing = [found for found in self.diagnostics if found.severity == "error"]
        if any(not _is_property(found) for found in failing):
            return 2
        return 1 if failing else 0


def _is_property(diagnostic: Diagnostic) -> bool:
    return diagnostic.code.startswith(("assertion-", "required-"))


def run(files: tuple[Path, ...], **options: Any) -> int:
    """Checks files and reports; gives the largest of their exit statuses."""
    if options["form"] not in ("text", "json"):
        raise error("not-yet", f"--format {options['form']} is not available yet", hint="text and json are")
    required = _required(options["require"])
    reports: list[Report] = []
    for number, file in enumerate(files, start=1):
        with working(f"checking {file} ({number} of {len(files)})"):
            reports.append(report(file, required, options))
    text = as_json(reports) if options["form"] == "json" else as_text(reports)
    if options["output"] is not None:
        write_bytes(options["output"], text.encode())
    else:
        click.echo(text, nl=False)
    return max(found.status for found in reports)


def _required(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PROPERTIES:
            hint = nearest(name, PROPERTIES) or f"properties are {', '.join(PROPERTIES)}"
            raise error("unknown-property", f'there is no property "{name}"', hint=hint)
        check_available(name)
    return names


def check_available(name: str) -> None:
    """Raises DanausError `not-yet` for a property that a later version brings."""
    if not PROPERTIES[name]:
        raise error("not-yet", f"the property {name} is not available yet")


def report(file: Path, required: list[str], options: dict[str, Any]) -> Report:
    """Everything there is to say of one file."""
    out = Report(str(file))
    try:
        spec = load_spec(file, options)
    except DanausError as failure:
        out.diagnostics += failure.diagnostics
        return out
    out.diagnostics += spec.diagnostics
    _examine(spec, required, out)
    out.diagnostics.sort(key=lambda found: (found.span.line, found.span.column) if found.span else (0, 0))
    return out


def _examine(spec: Spec, required: list[str], out: Report) -> None:
    for name, circuit in spec.circuits.items():
        out.circuits[name] = check(circuit)
        for wanted in required:
            result = out.circuits[name][wanted]
            if result.status != "proved":
                said = "is not" if result.status == "refuted" else "is not known to be"
                message = f'circuit "{name}" {said} {wanted}, as is required'
                notes = explained(wanted, result)
                out.diagnostics.append(Diagnostic(f"required-{result.status}", message, circuit.span, notes=notes))
    out.verdicts = judge(spec)
    out.diagnostics += [found for found in (verdict.diagnostic for verdict in out.verdicts) if found is not None]
    for query in spec.queries.values():
        try:
            require(query)
        except DanausError as failure:
            out.diagnostics += failure.diagnostics


def as_text(reports: list[Report]) -> str:
    """The reports for a person: diagnostics, then a table of properties per file, then a line that sums up."""
    lines: list[str] = []
    for found in reports:
        lines += [render(diagnostic) for diagnostic in found.diagnostics]
        if found.circuits:
            lines += [f"{found.file}", *_table(found)]
    lines.append(_summary(reports))
    return "\n".join(lines) + "\n"


def _table(found: Report) -> list[str]:
    width = max(map(len, found.circuits))
    names = [name for name in PROPERTIES if PROPERTIES[name]]
    marks = {"proved": "yes", "refuted": "no", "unknown": "?"}
    lines = [f"  {'circuit':<{max(width, 7)}}  {'  '.join(names)}"]
    for circuit, results in found.circuits.items():
        cells = "  ".join(f"{marks[results[name].status]:<{len(name)}}" for name in names)
        lines.append(f"  {circuit:<{max(width, 7)}}  {cells}".rstrip())
    return lines


def _summary(reports: list[Report]) -> str:
    verdicts = [verdict for found in reports for verdict in found.verdicts]
    held = sum(verdict.status == "proved" for verdict in verdicts)
    errors = sum(d.severity == "error" for found in reports for d in found.diagnostics)
    circuits = sum(len(found.circuits) for found in reports)
    return (
        f"{_count(len(reports), 'file')}, {_count(circuits, 'circuit')}, "
        f"{held} of {_count(len(verdicts), 'assert')} proved, {_count(errors, 'error')}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def as_json(reports: list[Report]) -> str:
    """The reports for a program."""
    return json.dumps([_json(found) for found in reports], indent=2, ensure_ascii=False) + "\n"


def _json(found: Report) -> dict[str, Any]:
    return {
        "file": found.file,
        "diagnostics": [
            {
                "code": diagnostic.code,
                "severity": diagnostic.severity,
                "message": diagnostic.message,
                "line": diagnostic.span.line if diagnostic.span else None,
                "column": diagnostic.span.column if diagnostic.span else None,
            }
            for diagnostic in found.diagnostics
        ],
        "circuits": {
            name: {
                wanted: {
                    "status": result.status,
                    "witness": None if result.witness is None else result.witness.to_json(),
                    "reason": result.reason,
                }
                for wanted, result in results.items()
            }
            for name, results in found.circuits.items()
        },
        "asserts": [{"line": verdict.span.line, "status": verdict.status} for verdict in found.verdicts],
    }
