"""A run for a program: one JSON array, an object per file."""

from __future__ import annotations

import json

from ..outcome import Outcome
from ..report import Demand, Plain, Report


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
    plain_report: Plain = {
        "file": report.file,
        "diagnostics": diagnostics,
        "circuits": report.circuits,
        "asserts": [_assert(demand) for demand in report.assertions],
    }
    if report.verified:
        plain_report["verified"] = [
            {"name": demand.name, "line": demand.line, "status": demand.status, "tested": list(demand.tested)}
            for demand in report.verified
        ]
    return plain_report


def _assert(demand: Demand) -> Plain:
    """An assertion; beside proofs by identity testing, what they rest on."""
    plain: Plain = {"line": demand.line, "status": demand.status}
    return {**plain, "tested": list(demand.tested)} if demand.tested else plain
