"""Where things come from: a place in a text, or a line of a user's Python.

Every block, parameter and diagnostic carries one. A span knows its source, so that a caret can be drawn without
reading a file again.
"""

from __future__ import annotations

import linecache
import sys
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A text and the name that it is shown under; two sources are equal only where they are one object."""

    name: str
    text: str

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its line break; empty where there is none."""
        lines = _split(self.text)
        return lines[number - 1] if 1 <= number <= len(lines) else ""


@lru_cache(maxsize=8)
def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source: lines and columns count from 1, and the end column is the one after the last character.

    `source` is a `Source`, or the path of a Python file.
    """

    source: Source | str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0

    @property
    def file(self) -> str:
        """The name of the source, as it is printed."""
        return self.source if isinstance(self.source, str) else self.source.name

    @property
    def text(self) -> str:
        """The first line that the span touches."""
        if isinstance(self.source, str):
            return linecache.getline(self.source, self.line).rstrip("\n")
        return self.source.line(self.line)

    def to(self, other: Span) -> Span:
        """The stretch from the start of this span to the end of the other, of the same source."""
        return Span(self.source, self.line, self.column, other.end_line, other.end_column)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.end_column else f"{self.file}:{self.line}"


# The package that this module stands in, whatever it is installed as, and what stands between two of its frames.
_PACKAGE = __name__.removesuffix(".ir.span")
_BETWEEN = ("contextlib", "functools")


@lru_cache(maxsize=4096)
def _is_users(module: str, file: str) -> bool:
    """Whether a frame is neither Danaus's own nor one that it goes through; an example in a docstring is the user's."""
    if module == _PACKAGE or module.startswith(_PACKAGE + "."):
        return file.startswith("<doctest")
    return module not in _BETWEEN


def caller() -> Span:
    """The line of the user's Python that is running: the innermost frame outside Danaus.

    Frames are told by the names of their modules: what dataclasses generate has no file, and a prompt, a notebook or
    `python -c` is `__main__`.
    """
    frame = sys._getframe(depth_of_caller())
    return Span(frame.f_code.co_filename, frame.f_lineno)


def depth_of_caller() -> int:
    """How many frames stand between the innermost one outside Danaus and the function that asks, itself included."""
    frame, depth = sys._getframe(1), 0
    while frame.f_back is not None and not _is_users(frame.f_globals.get("__name__", ""), frame.f_code.co_filename):
        frame, depth = frame.f_back, depth + 1
    return depth


@dataclass(frozen=True, slots=True)
class Note:
    """A further place or remark that explains a diagnostic."""

    message: str
    span: Span | None = field(default=None)
