"""A run for GitHub Actions: workflow commands, which become annotations beside the lines of a pull request."""

from __future__ import annotations

from ..outcome import Outcome
from ..report import Finding, Report

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def github(outcome: Outcome) -> str:
    """A command per finding that the baseline does not know, a notice per entry that is mended, and the summary."""
    lines = [_command(report, found) for report, found in outcome.new()]
    lines += [f"::notice title=danaus baseline::{_data(line)}" for line in outcome.mended_lines]
    return "\n".join([*lines, outcome.summary]) + "\n"


def _command(report: Report, found: Finding) -> str:
    place = found.place
    where = {"file": report.file if place is None else place.file}
    if place is not None:
        where["line"] = str(place.line)
        if place.end_column:
            where |= {"endLine": str(place.end_line), "col": str(place.column), "endColumn": str(place.end_column)}
    where["title"] = f"danaus {found.code}"
    fields = ",".join(f"{name}={_property(value)}" for name, value in where.items())
    return f"::{_LEVELS[found.severity]} {fields}::{_data(message(found))}"


def message(found: Finding) -> str:
    """A finding's sentence, and a line for each of its notes and the hint."""
    lines = [found.message]
    for remark in found.remarks:
        place = remark.place
        lines.append(f"note: {f'{place.file}:{place.line}: ' if place else ''}{remark.message}")
    if found.hint:
        lines.append(f"hint: {found.hint}")
    return "\n".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
