"""A file to a source. Enters the path of a spec; leaves its text, or an error that says why it cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

from ..ir.diagnostic import error
from ..ir.span import Source, Span

MOST_BYTES = 64 * 1024 * 1024
"""Bytes of a spec; arrays of more numbers than that holds belong in a `.safetensors` file."""


def read_source(path: str | os.PathLike[str]) -> Source:
    """The text of a spec, under the name that its path was given as; a byte order mark at its start is left out.

    Raises `DanausError` where the file cannot be read, has more than 64 MB, or is not UTF-8.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise error("unreadable-file", f'there is no file "{name}"') from None
    except IsADirectoryError:
        raise error("unreadable-file", f'"{name}" is a folder, not a file') from None
    except (OSError, ValueError) as failure:  # ValueError: a NUL in the path
        reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise error("unreadable-file", f'"{name}" cannot be read: {reason.lower()}') from None
    if len(data) > MOST_BYTES:
        hint = 'keep large arrays in a file of their own: load "FILE.safetensors"'
        raise error("too-large", f'"{name}" has more than {MOST_BYTES // 1024**2} MB', hint=hint)
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as failure:
        wrong = failure.start + len(data) - len(failure.object)  # it counts from behind a byte order mark
        line_start = data.rfind(b"\n", 0, wrong) + 1
        line = data.count(b"\n", 0, wrong) + 1
        column = len(data[line_start:wrong].decode("utf-8-sig")) + 1
        source = Source(name, data.decode("utf-8-sig", errors="replace"))
        message = f"byte 0x{data[wrong]:02X} is not UTF-8"
        span = Span(source, line, column, line, column + 1)
        raise error("not-utf8", message, span, "save the file as UTF-8") from None
