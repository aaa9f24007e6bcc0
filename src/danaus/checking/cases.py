"""A file's report as tests: one for the file itself, one for each assertion, and one for each required property."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .outcome import Outcome
from .report import Finding, Report, is_demand


@dataclass(frozen=True, slots=True)
class Case:
    """A test: its name, its line, and what came of it; `skipped` is a failure that the baseline knows."""

    name: str
    line: int
    outcome: Literal["passed", "failure", "error", "skipped"]
    message: str = ""
    text: str = ""


def cases(outcome: Outcome, number: int, report: Report) -> Iterator[Case]:
    """The tests of a run's report of this number, the file first."""
    numbered = list(enumerate(report.findings))
    unusable = [(at, found) for at, found in numbered if found.severity == "error" and not is_demand(found)]
    new = [found for at, found in unusable if not outcome.known(number, at)]
    if new:
        text = "\n".join(found.text for found in new)
        yield Case("file", _line(new[0]), "error", new[0].message, text)
    elif unusable:
        yield Case("file", 1, "skipped", "in the baseline")
    else:
        yield Case("file", 1, "passed")
    for demand in report.demands:
        if demand.finding is None or report.findings[demand.finding].severity != "error":
            yield Case(demand.name, demand.line, "passed")
        elif outcome.known(number, demand.finding):
            yield Case(demand.name, demand.line, "skipped", "in the baseline")
        else:
            found = report.findings[demand.finding]
            yield Case(demand.name, demand.line, "failure", found.message, found.text)


def _line(found: Finding) -> int:
    return found.place.line if found.place is not None else 1
