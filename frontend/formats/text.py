"""The text of a foreign file, unpacked where its name ends in `.gz`."""

from __future__ import annotations

from pathlib import Path

from ...ir.diagnostic import error
from ...ir.span import Source, Span
from .stream import read_whole

MOST_BYTES = 1 << 28


def foreign_source(path: Path) -> Source:
    """The text of a file, under the name that its path was given as.

    Raises: DanausError `unreadable-file`, `too-large`, or `not-utf8` with the place of the byte.
    """
    name = str(path)
    data = read_whole(path)
    if len(data) > MOST_BYTES:
        raise error("too-large", f'"{name}" has more than {MOST_BYTES >> 20} MB')
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as failure:
        text = data.decode("utf-8-sig", errors="replace")
        before = failure.object[: failure.start].decode("utf-8", errors="replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        span = Span(Source(name, text), line, column, line, column + 1)
        raise error("not-utf8", f"byte 0x{failure.object[failure.start]:02X} is not UTF-8", span) from None
