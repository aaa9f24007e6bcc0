"""Files as bytes: by their suffix, unpacked where they end in `.gz`, and written so that no half file is ever seen."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import Literal

from ..diagnostic import DanausError, error, nearest

Format = Literal["text", "npy", "npz", "parquet"]

_FORMATS: dict[str, Format] = {
    ".csv": "text",
    ".data": "text",
    ".txt": "text",
    ".npy": "npy",
    ".npz": "npz",
    ".parquet": "parquet",
}


def format_of(path: Path) -> tuple[Format, bool]:
    """The format that a path's suffix names, and whether it is packed by gzip.

    Raises: DanausError `unknown-format`.
    """
    name = path.name.lower()
    packed = name.endswith(".gz")
    for suffix, form in _FORMATS.items():
        if name.removesuffix(".gz").endswith(suffix):
            return form, packed
    hint = f"the formats are {', '.join(_FORMATS)}, each also with .gz"
    raise error("unknown-format", f"{path} has no suffix of a data file", hint=hint)


def read_bytes(path: Path, packed: bool) -> bytes:
    """What a file holds, unpacked. Raises: DanausError `unreadable-file`."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if packed else content
    except FileNotFoundError:
        raise error("unreadable-file", f"there is no file {path}", hint=_neighbour(path)) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as failure:
        raise error("unreadable-file", f"{path} is not a whole gzip file: {failure}") from None
    except OSError as failure:
        raise unreadable(path, failure) from None


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file in one step: beside it first, then in its place; what is no plain file is written as it is.

    Raises: DanausError `unwritable-file`.
    """
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        try:
            with beside.open("xb") as file:
                file.write(content)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as failure:
        raise error("unwritable-file", f"{path} cannot be written: {failure.strerror or failure}") from None


def unreadable(path: Path | str, failure: BaseException) -> DanausError:
    """The error of a file that cannot be read, for the reason that a library gave."""
    reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
    return error("unreadable-file", f"{path} cannot be read: {reason or type(failure).__name__}".split("\n")[0])


def _neighbour(path: Path) -> str:
    """A hint with the name of the file nearest to one that is not there."""
    try:
        return nearest(path.name, (file.name for file in path.parent.iterdir()))
    except OSError:
        return ""
