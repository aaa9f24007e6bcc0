"""What one file comes to, as plain values: they go between processes and into the cache as JSON, and nothing else.

Nothing here imports numpy or the compiler, so that a run whose answers are all in the cache starts at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Plain = dict[str, Any]
Kind = Literal["assert", "required", "verified"]
Format = Literal["text", "json", "sarif", "junit", "github"]


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a file, from 1, with the end behind it; `end_column` is 0 where only a line is known."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str  # what stands there, or the line


@dataclass(frozen=True, slots=True)
class Remark:
    """A note of a finding, and its place if it has one."""

    message: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A diagnostic as plain values: what it is, where, why, and how it is printed."""

    code: str
    severity: str
    message: str
    place: Place | None
    hint: str
    remarks: tuple[Remark, ...]
    text: str  # as it is printed, with the line and a caret
    identity: str  # the same when lines move: see fingerprint.py


@dataclass(frozen=True, slots=True)
class Demand:
    """An assertion, a required property, or the law of a product: its status, and the finding where it fails."""

    kind: Kind
    name: str
    status: str
    line: int
    finding: int | None  # its position among the file's findings
    tested: Sequence[str] = ()  # what proofs by identity testing rest on


@dataclass(frozen=True, slots=True)
class Report:
    """What one file comes to: findings in the order of the text, properties by circuit, and what was demanded."""

    file: str
    findings: tuple[Finding, ...]
    circuits: Mapping[str, Mapping[str, Plain]]
    demands: tuple[Demand, ...]

    @property
    def assertions(self) -> list[Demand]:
        """The file's own assertions, in order."""
        return [demand for demand in self.demands if demand.kind == "assert"]

    @property
    def verified(self) -> list[Demand]:
        """The products that were verified."""
        return [demand for demand in self.demands if demand.kind == "verified"]

    def to_plain(self) -> Plain:
        """The report as JSON holds it."""
        return {
            "file": self.file,
            "findings": [_plain_finding(found) for found in self.findings],
            "circuits": self.circuits,
            "demands": [_plain_demand(found) for found in self.demands],
        }

    @staticmethod
    def of_plain(plain: Plain) -> Report:
        """The report that `to_plain` wrote."""
        return Report(
            plain["file"],
            tuple(_finding(found) for found in plain["findings"]),
            plain["circuits"],
            tuple(Demand(*found) for found in plain["demands"]),
        )


def is_demand(finding: Finding) -> bool:
    """Whether a finding is an assertion or a required property that fails; any other error makes a file unusable."""
    return finding.code.startswith(("assertion-", "required-"))


def status(findings: list[Finding]) -> int:
    """The exit status that findings ask for: 2 where input is unusable, 1 where a demand fails, 0 without errors."""
    errors = [found for found in findings if found.severity == "error"]
    if not errors:
        return 0
    return 1 if all(is_demand(found) for found in errors) else 2


def _plain_demand(found: Demand) -> list[object]:
    return [found.kind, found.name, found.status, found.line, found.finding, list(found.tested)]


def _plain_finding(found: Finding) -> Plain:
    return {
        "code": found.code,
        "severity": found.severity,
        "message": found.message,
        "place": _plain_place(found.place),
        "hint": found.hint,
        "remarks": [[remark.message, _plain_place(remark.place)] for remark in found.remarks],
        "text": found.text,
        "identity": found.identity,
    }


def _finding(plain: Plain) -> Finding:
    return Finding(
        plain["code"],
        plain["severity"],
        plain["message"],
        _place(plain["place"]),
        plain["hint"],
        tuple(Remark(message, _place(place)) for message, place in plain["remarks"]),
        plain["text"],
        plain["identity"],
    )


def _plain_place(place: Place | None) -> list[object] | None:
    if place is None:
        return None
    return [place.file, place.line, place.column, place.end_line, place.end_column, place.text]


def _place(plain: list[Any] | None) -> Place | None:
    return None if plain is None else Place(*plain)
