"""Whether what is required are properties that there are: a misspelt one must not pass for one that holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..compiler.properties import PROPERTIES
from ..ir.diagnostic import DanausError, Diagnostic
from ..ir.diagnostic import nearest as nearest_name
from ..ir.span import Span
from .configuration import Configuration


def validate(required: Iterable[str], settings: Sequence[Configuration]) -> None:
    """Checks the properties of the command line and of the configurations.

    Raises: DanausError `unknown-property`.
    """
    mistakes = [found for name in required if (found := _mistake(name, None)) is not None]
    seen: set[int] = set()
    for configuration in settings:
        if id(configuration) in seen:
            continue
        seen.add(id(configuration))
        for requirement in configuration.requirements:
            for name in requirement.properties:
                if (found := _mistake(name, requirement.span)) is not None:
                    mistakes.append(found)
    if mistakes:
        raise DanausError(*mistakes)


def _mistake(name: str, span: Span | None) -> Diagnostic | None:
    key = "" if span is None else "tool.danaus: require: "
    if name not in PROPERTIES:
        hint = nearest_name(name, PROPERTIES) or f"properties are {', '.join(PROPERTIES)}"
        return Diagnostic("unknown-property", f'{key}there is no property "{name}"', span, hint)
    return None
