"""Known failures, so that a repository can adopt checks gradually: those in the file are passed over, new ones fail.

The file is JSON, a line per failure and sorted, so that it reads well in a review: the path from the file's own folder,
the code, the message, and a fingerprint that stays when lines move.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ir.diagnostic import error
from .fingerprint import fingerprints
from .report import Finding, Report

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A failure that is known."""

    fingerprint: str
    file: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A run beside a baseline: which findings it knows, and which of its entries hold no more, of the files checked."""

    known: frozenset[tuple[int, int]]  # (position of the report, position of the finding)
    mended: tuple[Entry, ...]


def read_baseline(path: Path) -> list[Entry]:
    """The entries of a file.

    Raises: DanausError `unreadable-file`, `wrong-baseline`.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        hint = f"record what fails now: danaus check … --write-baseline {path}"
        raise error("unreadable-file", f"{path} cannot be read: {failure.strerror or failure}", hint=hint) from None
    except (ValueError, RecursionError) as failure:
        raise error("wrong-baseline", f"{path} is no baseline: {failure}") from None
    try:
        if found["version"] != _VERSION:
            raise error("wrong-baseline", f"{path} is of version {found['version']}, not {_VERSION}")
        entries = [Entry(one["fingerprint"], one["file"], one["code"], one["message"]) for one in found["failures"]]
        if not all(isinstance(text, str) for one in entries for text in (one.fingerprint, one.file, one.code)):
            raise TypeError("a field is no text")
    except (KeyError, TypeError) as failure:
        raise error("wrong-baseline", f"{path} is no baseline: {failure}") from None
    return entries


def baseline_text(path: Path, reports: Sequence[Report]) -> str:
    """The failures of a run as the text of a baseline at a path."""
    entries = [
        Entry(mark, where, found.code, found.message)
        for report in reports
        for where in [relative(report.file, path)]
        for mark, found in zip(_marks(where, report.findings), report.findings, strict=True)
        if found.severity == "error"
    ]
    entries.sort(key=lambda entry: (entry.file, entry.code, entry.message, entry.fingerprint))
    lines = [
        json.dumps({"file": one.file, "code": one.code, "message": one.message, "fingerprint": one.fingerprint})
        for one in entries
    ]
    body = "".join(f"    {line}{',' if number < len(lines) else ''}\n" for number, line in enumerate(lines, start=1))
    return f'{{\n  "version": {_VERSION},\n  "failures": [\n{body}  ]\n}}\n'


def compare(path: Path, entries: Sequence[Entry], reports: Sequence[Report]) -> Compared:
    """Which failures of a run a baseline knows; it says nothing of files that were not checked."""
    recorded = {entry.fingerprint for entry in entries}
    known: set[tuple[int, int]] = set()
    met: set[str] = set()
    files: set[str] = set()
    for number, report in enumerate(reports):
        where = relative(report.file, path)
        files.add(where)
        for position, (mark, found) in enumerate(zip(_marks(where, report.findings), report.findings, strict=True)):
            if found.severity == "error" and mark in recorded:
                known.add((number, position))
                met.add(mark)
    mended = [entry for entry in entries if entry.fingerprint not in met and _is_gone(entry, path, files)]
    return Compared(frozenset(known), tuple(mended))


def _is_gone(entry: Entry, path: Path, files: set[str]) -> bool:
    return entry.file in files or not os.path.exists(os.path.join(path.parent, entry.file))


def _marks(where: str, findings: Sequence[Finding]) -> list[str]:
    return fingerprints(where, [found.identity for found in findings])


def relative(file: str, path: Path) -> str:
    """A file's path from a baseline's folder, with forward slashes."""
    try:
        return Path(os.path.relpath(file, path.parent)).as_posix()
    except ValueError:  # another drive, or a NUL
        return file
