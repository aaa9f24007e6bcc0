"""A run for a program: one JSON array, an object per file."""

from __future__ import annotations

import json

from ..outcome import Outcome
from ..report import Plain, Report


def array(outcome: Outcome) -> str:
    """The whole report; beside a baseline, each diagnostic says whether it is `new` or `known`."""
    plain = [_file(outcome, number, report) for number, report in enumerate(outcome.reports)]
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def _file(outcome: Outcome, number: int, report: Report) -> Plain:
    diagnostics: list[Plain] = []
    for position, found in enumerate(report.findings):
        plain: Plain = {
            "code": found.code,
            "severity": found.severity,
            "message": found.message,
            "line": found.place.line if found.place else None,
            "column": found.place.column if found.place else None,
        }
        if outcome.compared is not None:
            plain["baseline"] = "known" if outcome.known(number, position) else "new"
        diagnostics.append(plain)
    return {
        "file": report.file,
        "diagnostics": diagnostics,
        "circuits": report.circuits,
        "asserts": [{"line": demand.line, "status": demand.status} for demand in report.assertions],
    }
