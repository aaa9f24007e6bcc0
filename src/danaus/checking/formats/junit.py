"""A run as JUnit XML: a suite per file; a test for the file itself, for each assertion, and for each required property."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from ..outcome import Outcome
from ..report import Finding, Report, is_demand

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    line: int
    outcome: Literal["passed", "failure", "error", "skipped"]
    message: str = ""
    text: str = ""


def junit(outcome: Outcome) -> str:
    """The whole report. It holds no times, so that the same files give the same text."""
    suites = [(report, list(_cases(outcome, number, report))) for number, report in enumerate(outcome.reports)]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuites name="danaus check" {_counts([case for _, cases in suites for case in cases])}>')
    for report, cases in suites:
        lines.append(f"  <testsuite name={_attribute(report.file)} {_counts(cases)}>")
        for case in cases:
            lines += _lines(report, case)
        lines.append("  </testsuite>")
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _cases(outcome: Outcome, number: int, report: Report) -> Iterator[_Case]:
    numbered = list(enumerate(report.findings))
    unusable = [(at, found) for at, found in numbered if found.severity == "error" and not is_demand(found)]
    new = [found for at, found in unusable if not outcome.known(number, at)]
    if new:
        text = "\n".join(found.text for found in new)
        yield _Case("file", _line(new[0]), "error", new[0].message, text)
    elif unusable:
        yield _Case("file", 1, "skipped", "in the baseline")
    else:
        yield _Case("file", 1, "passed")
    for demand in report.demands:
        if demand.finding is None:
            yield _Case(demand.name, demand.line, "passed")
        elif outcome.known(number, demand.finding):
            yield _Case(demand.name, demand.line, "skipped", "in the baseline")
        else:
            found = report.findings[demand.finding]
            yield _Case(demand.name, demand.line, "failure", found.message, found.text)


def _line(found: Finding) -> int:
    return found.place.line if found.place is not None else 1


def _counts(cases: list[_Case]) -> str:
    counted = {kind: sum(case.outcome == kind for case in cases) for kind in ("failure", "error", "skipped")}
    return (
        f'tests="{len(cases)}" failures="{counted["failure"]}" errors="{counted["error"]}" '
        f'skipped="{counted["skipped"]}"'
    )


def _lines(report: Report, case: _Case) -> list[str]:
    file = _attribute(report.file)
    head = f'    <testcase classname={file} name={_attribute(case.name)} file={file} line="{case.line}"'
    match case.outcome:
        case "passed":
            return [f"{head}/>"]
        case "skipped":
            return [f"{head}>", f"      <skipped message={_attribute(case.message)}/>", "    </testcase>"]
        case kind:
            text = escape(_clean(case.text))
            return [
                f"{head}>",
                f"      <{kind} message={_attribute(case.message)}>{text}</{kind}>",
                "    </testcase>",
            ]


def _attribute(text: str) -> str:
    return quoteattr(_clean(text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
