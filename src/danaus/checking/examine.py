"""One file, examined: enters its path, what is required of it and the options; leaves its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..commands.options import load_spec
from ..compiler.judge import judge
from ..compiler.needs import require
from ..compiler.properties import Result, check, explained
from ..compiler.verification import verify
from ..frontend.spec import Spec
from ..ir.diagnostic import DanausError, Diagnostic, render
from ..ir.span import Source, Span
from .fingerprint import identity, squeezed
from .report import Demand, Finding, Kind, Place, Plain, Remark, Report

Options = Mapping[str, str | int | float | None]
"""The options of the command line that a spec is read with, as JSON can hold them."""

_PATHS = ("params", "vtree", "evidence")
_LONGEST = 2000  # characters of a stretch of text that a report repeats


@dataclass(frozen=True, slots=True)
class _Demanded:
    kind: Kind
    name: str
    status: str
    line: int
    diagnostic: Diagnostic | None
    tested: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    """What is known of a file so far."""

    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    circuits: dict[str, dict[str, Result]] = field(default_factory=dict[str, dict[str, Result]])
    demanded: list[_Demanded] = field(default_factory=list[_Demanded])


def examine(file: str, required: Sequence[str], options: Options) -> Report:
    """Everything there is to say of one file; its mistakes are in the report, and none is raised."""
    found = _Found()
    given = {name: Path(str(value)) if name in _PATHS and value else value for name, value in options.items()}
    try:
        spec = load_spec(Path(file), given)
        found.diagnostics += spec.diagnostics
        _examine(spec, required, bool(options.get("verify")), found)
    except DanausError as failure:
        found.diagnostics += failure.diagnostics
    except MemoryError:
        found.diagnostics.append(Diagnostic("too-large", f"there is not enough memory to check {file}"))
    return _report(file, found)


def _examine(spec: Spec, required: Sequence[str], verified: bool, found: _Found) -> None:
    for name, circuit in spec.circuits.items():
        results = found.circuits[name] = check(circuit)
        for wanted in required:
            result = results[wanted] if wanted in results else check(circuit, wanted)[wanted]
            diagnostic = None
            if result.status != "proved":
                said = "is not" if result.status == "refuted" else "is not known to be"
                message = f'circuit "{name}" {said} {wanted}, as is required'
                notes = explained(wanted, result)
                diagnostic = Diagnostic(f"required-{result.status}", message, circuit.span, notes=notes)
            line = circuit.span.line if circuit.span is not None else 1
            found.demanded.append(_Demanded("required", f"{name} is {wanted}", result.status, line, diagnostic))
    for verdict in judge(spec):
        name = squeezed(_stretch(verdict.span))
        demanded = _Demanded("assert", name, verdict.status, verdict.span.line, verdict.diagnostic, verdict.tested)
        found.demanded.append(demanded)
    if verified:
        for law in verify(spec):
            line = law.span.line if law.span is not None else 1
            found.demanded.append(_Demanded("verified", law.name, law.status, line, law.diagnostic, (law.said,)))
    found.diagnostics += [demand.diagnostic for demand in found.demanded if demand.diagnostic is not None]
    for query in spec.queries.values():
        try:
            require(query)
        except DanausError as failure:
            found.diagnostics += failure.diagnostics


def _report(file: str, found: _Found) -> Report:
    diagnostics = sorted(found.diagnostics, key=lambda one: (one.span.line, one.span.column) if one.span else (0, 0))
    position = {id(diagnostic): number for number, diagnostic in enumerate(diagnostics)}
    subject = {id(demand.diagnostic): demand.name for demand in found.demanded}
    return Report(
        file,
        tuple(_finding(diagnostic, subject.get(id(diagnostic), "")) for diagnostic in diagnostics),
        {
            name: {wanted: _result(result) for wanted, result in results.items()}
            for name, results in found.circuits.items()
        },
        tuple(
            Demand(
                demand.kind,
                demand.name,
                demand.status,
                demand.line,
                None if demand.diagnostic is None else position[id(demand.diagnostic)],
                demand.tested,
            )
            for demand in found.demanded
        ),
    )


def _result(result: Result) -> Plain:
    return {
        "status": result.status,
        "witness": None if result.witness is None else result.witness.to_json(),
        "reason": result.reason,
    }


def _finding(diagnostic: Diagnostic, subject: str) -> Finding:
    place = _place(diagnostic.span)
    stretch = subject or (place.text if place is not None else diagnostic.message)
    return Finding(
        diagnostic.code,
        diagnostic.severity,
        diagnostic.message,
        place,
        diagnostic.hint,
        tuple(Remark(note.message, _place(note.span)) for note in diagnostic.notes),
        render(diagnostic),
        identity(diagnostic.code, stretch),
    )


def _place(span: Span | None) -> Place | None:
    if span is None:
        return None
    end_line = span.end_line or span.line
    return Place(span.file, span.line, span.column, end_line, span.end_column, _stretch(span))


def _stretch(span: Span) -> str:
    """The text of a span, or its line where only that is known."""
    if not span.end_column or isinstance(span.source, str):
        return span.text[:_LONGEST]
    last = max(span.end_line, span.line)
    if last == span.line:
        return span.text[span.column - 1 : span.end_column - 1][:_LONGEST]
    lines = _lines(span.source, span.line, last)
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)[:_LONGEST]


def _lines(source: Source, first: int, last: int) -> list[str]:
    return [source.line(number) for number in range(first, min(last, first + _LONGEST) + 1)]
