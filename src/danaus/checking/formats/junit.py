"""A run as JUnit XML: a suite per file; a test for the file, for each assertion, and for each required property."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from ..cases import Case, cases
from ..outcome import Outcome
from ..report import Report

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(outcome: Outcome) -> str:
    """The whole report. It holds no times, so that the same files give the same text."""
    suites = [(report, list(cases(outcome, number, report))) for number, report in enumerate(outcome.reports)]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuites name="danaus check" {_counts([case for _, tests in suites for case in tests])}>')
    for report, tests in suites:
        lines.append(f"  <testsuite name={_attribute(report.file)} {_counts(tests)}>")
        for case in tests:
            lines += _lines(report, case)
        lines.append("  </testsuite>")
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _counts(tests: list[Case]) -> str:
    counted = {kind: sum(case.outcome == kind for case in tests) for kind in ("failure", "error", "skipped")}
    return (
        f'tests="{len(tests)}" failures="{counted["failure"]}" errors="{counted["error"]}" '
        f'skipped="{counted["skipped"]}"'
    )


def _lines(report: Report, case: Case) -> list[str]:
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
