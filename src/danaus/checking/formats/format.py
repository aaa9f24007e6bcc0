"""The forms of a report by name; only the one that is asked for is imported."""

from __future__ import annotations

from ..outcome import Outcome


def formatted(outcome: Outcome, form: str) -> str:
    """A run as text, in the form that `--format` names."""
    match form:
        case "json":
            from .array import array as write
        case "sarif":
            from .sarif import sarif as write
        case "junit":
            from .junit import junit as write
        case "github":
            from .github import github as write
        case _:
            from .text import text as write
    return write(outcome)
