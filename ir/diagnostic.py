"""Diagnostics are values: what is wrong, where, and how to mend it. They are gathered, then raised once.

A user's mistake becomes a `Diagnostic`; a `DanausError` carries one or more of them. `str` of either prints the
place, the line itself with a caret under the mistake, notes and the hint.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from .span import Note, Span, depth_of_caller

Severity = Literal["error", "warning", "note"]

_WIDEST_LINE = 200


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: a stable code (such as `unknown-name`), a sentence, a place, a hint how to mend it, and notes."""

    code: str
    message: str
    span: Span | None = None
    hint: str = ""
    notes: tuple[Note, ...] = ()
    severity: Severity = "error"

    def at(self, span: Span | None) -> Diagnostic:
        """The same diagnostic, placed at a span if it has no place of its own."""
        if self.span is not None or span is None:
            return self
        return Diagnostic(self.code, self.message, span, self.hint, self.notes, self.severity)

    def __str__(self) -> str:
        return render(self)


class DanausError(Exception):
    """The error that Danaus raises for a user's mistake; `diagnostics` holds all that was found.

    >>> print(DanausError(Diagnostic("wrong-shape", "weights have shape [2], not [3]", hint="give 3 weights")))
    error[wrong-shape]: weights have shape [2], not [3]
      hint: give 3 weights
    """

    def __init__(self, *diagnostics: Diagnostic) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = diagnostics
        super().__init__(*diagnostics)

    def __str__(self) -> str:
        return "\n".join(render(diagnostic) for diagnostic in self.diagnostics)


class DanausWarning(UserWarning):
    """The warning that an answer holds a NaN, and where: impossible evidence, a negative value without a logarithm."""


def warn(message: str) -> None:
    """Warns at the user's line."""
    warnings.warn(message, DanausWarning, stacklevel=depth_of_caller() + 1)


class Refused(DanausError):
    """An operator or query whose needs are refuted or unknown; in an `assert`, the assertion fails instead."""


def error(code: str, message: str, span: Span | None = None, hint: str = "", notes: Iterable[Note] = ()) -> DanausError:
    """An error of one diagnostic, to be raised."""
    return DanausError(Diagnostic(code, message, span, hint, tuple(notes)))


@contextmanager
def placed(span: Span | None) -> Iterator[None]:
    """Gives the diagnostics of a `DanausError` from its body a place, where they have none of their own."""
    try:
        yield
    except DanausError as failure:
        raise type(failure)(*(diagnostic.at(span) for diagnostic in failure.diagnostics)) from failure


@dataclass(slots=True)
class Gatherer:
    """Collects diagnostics; `finish` raises once if any is an error."""

    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def add(self, diagnostic: Diagnostic) -> None:
        if diagnostic not in self.diagnostics:
            self.diagnostics.append(diagnostic)

    @contextmanager
    def catch(self, span: Span | None = None) -> Iterator[None]:
        """Turns a `DanausError` in its body into gathered diagnostics, placed at `span` where they have no place."""
        try:
            yield
        except DanausError as failure:
            for diagnostic in failure.diagnostics:
                self.add(diagnostic.at(span))

    @property
    def errors(self) -> list[Diagnostic]:
        return [diagnostic for diagnostic in self.diagnostics if diagnostic.severity == "error"]

    def finish(self) -> None:
        """Raises all errors, in the order of the text, if there are any."""
        if found := self.errors:
            raise DanausError(*sorted(found, key=_place))


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    return (diagnostic.span.line, diagnostic.span.column) if diagnostic.span else (0, 0)


def render(diagnostic: Diagnostic) -> str:
    """The diagnostic as text: place, sentence, the line with a caret, notes, hint."""
    place = f"{diagnostic.span}: " if diagnostic.span else ""
    lines = [f"{place}{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"]
    if diagnostic.span is not None:
        lines += _excerpt(diagnostic.span)
    for note in diagnostic.notes:
        lines.append(f"  note: {f'{note.span}: ' if note.span else ''}{note.message}")
        if note.span is not None:
            lines += _excerpt(note.span)
    if diagnostic.hint:
        lines.append(f"  hint: {diagnostic.hint}")
    return "\n".join(lines)


def _excerpt(span: Span) -> list[str]:
    """The line and, where the columns are known, a caret under the stretch; long lines are cut around it."""
    text = span.text.rstrip("\r")
    if not text.strip():
        return []
    if not span.end_column:
        return [f"    {text.strip()[:_WIDEST_LINE]}"]
    start = span.column - 1
    end = span.end_column - 1 if span.end_line in (0, span.line) else len(text)
    cut = max(0, start - _WIDEST_LINE // 2)
    shown = "".join(c if c.isprintable() else " " for c in text[cut : cut + _WIDEST_LINE])
    carets = "^" * max(1, min(end, cut + _WIDEST_LINE) - start)
    return [f"    {shown}", f"    {' ' * (start - cut)}{carets}"]


def nearest(name: str, candidates: Iterable[str]) -> str:
    """A hint that names the candidate closest to a misspelt name; empty where none is close.

    >>> nearest("sprinker", ["rain", "sprinkler"])
    'did you mean "sprinkler"?'
    """
    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f'did you mean "{found[0]}"?' if found else ""
