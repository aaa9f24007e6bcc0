"""The text of a foreign file, unpacked where its name ends in `.gz`."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from ...ir.diagnostic import error
from ...ir.span import Source, Span

MOST_BYTES = 1 << 30


def foreign_source(path: Path) -> Source:
    """The text of a file, under the name that its path was given as.

    Raises: DanausError `unreadable-file`, `too-large`, or `not-utf8` with the place of the byte.
    """
    name = str(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise error("unreadable-file", f'there is no file "{name}"') from None
    except IsADirectoryError:
        raise error("unreadable-file", f'"{name}" is a folder, not a file') from None
    except (OSError, EOFError, ValueError, zlib.error) as failure:
        reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise error("unreadable-file", f'"{name}" cannot be read: {reason.lower()}') from None
    if len(data) > MOST_BYTES:
        raise error("too-large", f'"{name}" has more than {MOST_BYTES >> 30} GB')
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as failure:
        text = data.decode("utf-8-sig", errors="replace")
        before = failure.object[: failure.start].decode("utf-8", errors="replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        span = Span(Source(name, text), line, column, line, column + 1)
        raise error("not-utf8", f"byte 0x{failure.object[failure.start]:02X} is not UTF-8", span) from None
