"""A run as SARIF 2.1.0 (OASIS): what code-scanning services read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from ..fingerprint import fingerprints
from ..outcome import Outcome
from ..report import Finding, Place, Plain, Report
from .rules import rule

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(outcome: Outcome) -> str:
    """The whole report as one SARIF log with one run."""
    codes = sorted({found.code for report in outcome.reports for found in report.findings} | _mended(outcome))
    rules = {code: number for number, code in enumerate(codes)}
    results: list[Plain] = []
    for number, report in enumerate(outcome.reports):
        marks = fingerprints(_path(report.file), [found.identity for found in report.findings])
        for position, (mark, found) in enumerate(zip(marks, report.findings, strict=True)):
            results.append(_result(outcome, report, found, mark, rules, outcome.known(number, position)))
    results += [
        {
            "ruleId": entry.code,
            "ruleIndex": rules[entry.code],
            "level": "none",
            "message": {"text": entry.message},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": quote(entry.file)}}}],
            "baselineState": "absent",
        }
        for entry in outcome.mended
    ]
    run: Plain = {
        "tool": {
            "driver": {
                "name": "danaus",
                "version": version("danaus"),
                "rules": [rule(code) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "exitCode": outcome.status}],
        "artifacts": [{"location": _location(report.file)} for report in outcome.reports],
        "results": results,
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _mended(outcome: Outcome) -> set[str]:
    return {entry.code for entry in outcome.mended}


def _result(outcome: Outcome, report: Report, found: Finding, mark: str, rules: dict[str, int], known: bool) -> Plain:
    sentences = [found.message, *(remark.message for remark in found.remarks if remark.place is None)]
    if found.hint:
        sentences.append(f"hint: {found.hint}")
    plain: Plain = {
        "ruleId": found.code,
        "ruleIndex": rules[found.code],
        "level": found.severity,
        "message": {"text": "\n".join(sentences)},
        "locations": [{"physicalLocation": _physical(report.file, found.place)}],
        "partialFingerprints": {"danaus/v1": mark},
    }
    if related := _related(found):
        plain["relatedLocations"] = related
    if outcome.compared is not None and found.severity == "error":
        plain["baselineState"] = "unchanged" if known else "new"
    if known:
        plain["suppressions"] = [{"kind": "external", "justification": "in the baseline"}]
    return plain


def _related(found: Finding) -> Sequence[Plain]:
    return [
        {
            "id": number,
            "physicalLocation": _physical(remark.place.file, remark.place),
            "message": {"text": remark.message},
        }
        for number, remark in enumerate(found.remarks)
        if remark.place is not None
    ]


def _physical(file: str, place: Place | None) -> Plain:
    if place is None:
        return {"artifactLocation": _location(file)}
    region: Plain = {"startLine": place.line}
    if place.end_column:
        region |= {"startColumn": place.column, "endLine": place.end_line, "endColumn": place.end_column}
        region["snippet"] = {"text": place.text}
    return {"artifactLocation": _location(place.file), "region": region}


def _location(file: str) -> Plain:
    """A file's address: from the working folder where it is in it, absolute elsewhere."""
    path = _path(file)
    if path.startswith("/"):
        return {"uri": f"file://{quote(os.fsencode(path))}"}
    return {"uri": quote(os.fsencode(path)), "uriBaseId": "%SRCROOT%"}


def _path(file: str) -> str:
    """A file's path from the working folder, with forward slashes; absolute where it is elsewhere."""
    whole = os.path.abspath(file)
    relative = os.path.relpath(whole)
    return Path(whole).as_posix() if relative.startswith("..") else Path(relative).as_posix()
