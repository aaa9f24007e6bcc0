"""A run for a person: diagnostics, tables of properties where the files are few, what the baseline says, a summary."""

from __future__ import annotations

from ..outcome import Outcome
from ..report import Report

MOST_TABLES = 10
"""Files whose properties are shown; of more, only what is wrong is."""

_MARKS = {"proved": "yes", "refuted": "no", "unknown": "?"}


def text(outcome: Outcome) -> str:
    """The whole report."""
    lines: list[str] = []
    tables = len(outcome.reports) <= MOST_TABLES
    for number, report in enumerate(outcome.reports):
        findings = enumerate(report.findings)
        lines += [found.text for position, found in findings if not outcome.known(number, position)]
        if tables and report.circuits:
            lines += [report.file, *_table(report), *_tested(report)]
    lines += outcome.mended_lines
    lines.append(outcome.summary)
    return "\n".join(lines) + "\n"


def _tested(report: Report) -> list[str]:
    """What proofs of equality rest on, and what came of the products that were verified."""
    lines = [f"  line {demand.line}: {said}" for demand in report.assertions for said in demand.tested]
    return lines + [f"  {demand.name}: {said}" for demand in report.verified for said in demand.tested]


def _table(report: Report) -> list[str]:
    width = max(7, *map(len, report.circuits))
    names = list(dict.fromkeys(name for results in report.circuits.values() for name in results))
    lines = [f"  {'circuit':<{width}}  {'  '.join(names)}"]
    for circuit, results in report.circuits.items():
        cells = "  ".join(f"{_MARKS[results[name]['status']]:<{len(name)}}" for name in names)
        lines.append(f"  {circuit:<{width}}  {cells}".rstrip())
    return lines
