"""What a run comes to: reports in order, what the baseline knows of them, the line that sums up, the exit status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .baseline import Compared, Entry
from .report import Finding, Report, status


@dataclass(frozen=True, slots=True)
class Outcome:
    """The reports of a run, and what a baseline says of them, if there is one."""

    reports: Sequence[Report]
    compared: Compared | None = None

    def known(self, number: int, position: int) -> bool:
        """Whether a finding of a report is in the baseline."""
        return self.compared is not None and (number, position) in self.compared.known

    def new(self) -> Iterator[tuple[Report, Finding]]:
        """The findings that the baseline does not know, with their reports."""
        for number, report in enumerate(self.reports):
            for position, found in enumerate(report.findings):
                if not self.known(number, position):
                    yield report, found

    @property
    def mended(self) -> Sequence[Entry]:
        """The entries of the baseline that hold no more."""
        return () if self.compared is None else self.compared.mended

    @property
    def mended_lines(self) -> list[str]:
        """The same, as a person reads it."""
        end = "holds no more; --write-baseline drops it"
        return [f"mended: {entry.file}: {entry.message} [{entry.code}] {end}" for entry in self.mended]

    @property
    def status(self) -> int:
        """The exit status: the largest of the files', without what the baseline knows."""
        return status([found for _, found in self.new()])

    @property
    def summary(self) -> str:
        """One line that sums up."""
        demands = [demand for report in self.reports for demand in report.assertions]
        held = sum(demand.status == "proved" for demand in demands)
        errors = sum(found.severity == "error" for _, found in self.new())
        circuits = sum(len(report.circuits) for report in self.reports)
        line = (
            f"{_count(len(self.reports), 'file')}, {_count(circuits, 'circuit')}, "
            f"{held} of {_count(len(demands), 'assert')} proved, {_count(errors, 'error')}"
        )
        if self.compared is not None:
            line += f", {len(self.compared.known)} in the baseline"
        return line


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
