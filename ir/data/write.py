"""Answers as files: columns of numbers or text enter, a file of any of the data formats leaves, or csv on a stream."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ..diagnostic import error
from ..domain import Domain, Real
from .container import format_of, write_bytes
from .parquet import parquet_bytes
from .value import Floats, Mask, names_of

_ROWS = 1 << 14
_SPECIAL = frozenset(',"\n\r')


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column of answers: its name, its values [rows], and whose values they are.

    Of a finite domain or a count the values are whole numbers, and shown as such or by their names. Where `present` is
    False there is no value: an empty field of text, NaN or a null elsewhere; so it is where a domain's value is NaN.
    """

    name: str
    values: NDArray[Any]
    domain: Domain | None = None
    present: Mask | None = None

    @property
    def mask(self) -> Mask:
        """Where there is a value: [rows]."""
        there = np.ones(len(self.values), np.bool_) if self.present is None else self.present
        if self.domain is not None and self.values.dtype.kind == "f":
            there = there & ~np.isnan(self.values)
        return there


def write_columns(target: str | Path | TextIO, columns: Sequence[Column]) -> None:
    """Writes columns of equal length to a stream, as csv, or to a file, in the format that its suffix names.

    Text has a header; floats are written so that they read back as they were, −inf as `-inf`; named values by their
    names. `.npy` holds one array [rows, columns] of numbers, `.npz` an array per column (named values as codes),
    `.parquet` a table (by their names). A file is replaced in one step.

    Raises: DanausError `unknown-format`, `unwritable-file`, or `wrong-dtype` for text in a `.npy`.
    """
    if not isinstance(target, (str, Path)):
        _write_text(target, columns)
        return
    path = Path(target)
    if path.exists() and not path.is_file() and not path.is_dir():
        form, packed = "text", False  # a device or a pipe, such as /dev/stdout, has no suffix to go by
    else:
        form, packed = format_of(path)
    match form:
        case "npy":
            content = _npy(path, columns)
        case "npz":
            content = _npz(columns)
        case "parquet":
            content = _parquet(path, columns)
        case _:
            text = io.StringIO()
            _write_text(text, columns)
            content = text.getvalue().encode()
    write_bytes(path, gzip.compress(content, mtime=0) if packed else content)


def _write_text(stream: TextIO, columns: Sequence[Column]) -> None:
    if not columns:
        return
    stream.write(",".join(_quoted(column.name) for column in columns) + "\n")
    rows = len(columns[0].values)
    for start in range(0, rows, _ROWS):
        fields = [_fields(column, slice(start, start + _ROWS)) for column in columns]
        stream.write("\n".join(map(",".join, zip(*fields, strict=True))) + "\n")


def _fields(column: Column, rows: slice) -> list[str]:
    """Some rows of a column as fields of csv."""
    values, mask = column.values[rows], column.mask[rows]
    names = [_quoted(name) for name in names_of(column.domain)] if column.domain is not None else []
    if column.domain is not None and not isinstance(column.domain, Real):
        codes = np.where(mask, values, 0).astype(np.int64).tolist()
        texts: list[str] = [names[code] for code in codes] if names else list(map(str, codes))
    elif values.dtype.kind == "b":
        texts = ["true" if value else "false" for value in values]
    elif values.dtype == np.float64 or values.dtype.kind in "iu":
        texts = list(map(repr, values.tolist()))
    else:
        texts = [_quoted(str(value)) for value in values]  # of a narrow float, the shortest text that gives it again
    return texts if mask.all() else [text if there else "" for text, there in zip(texts, mask, strict=True)]


def _quoted(text: str) -> str:
    """A field of csv, in quotes where it needs them."""
    if _SPECIAL.isdisjoint(text) and text == text.strip():
        return text
    return '"' + text.replace('"', '""') + '"'


def _numbers(column: Column) -> NDArray[Any]:
    """A column as an array of numbers: floats with NaN where a value is missing, or whole numbers where none is."""
    mask = column.mask
    if not mask.all():
        numbers: Floats = np.where(mask, column.values, np.nan).astype(np.float64)
        return numbers
    whole = column.domain is not None and not isinstance(column.domain, Real)
    return column.values.astype(np.int64) if whole else column.values


def _npy(path: Path, columns: Sequence[Column]) -> bytes:
    for column in columns:
        if column.values.dtype.kind not in "biuf":
            hint = "write a .csv, .npz or .parquet"
            raise error("wrong-dtype", f"{path} holds numbers, and {column.name} is text", hint=hint)
    file = io.BytesIO()
    rows = (
        np.stack([_numbers(column).astype(np.float64) for column in columns], axis=1) if columns else np.empty((0, 0))
    )
    np.save(file, rows, allow_pickle=False)
    return file.getvalue()


def _npz(columns: Sequence[Column]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for column in columns:
            array = io.BytesIO()
            values = column.values.astype(str) if column.values.dtype.kind == "O" else _numbers(column)
            np.save(array, values, allow_pickle=False)
            # A fixed date, so that equal answers give equal files.
            member = zipfile.ZipInfo(f"{column.name}.npy", (1980, 1, 1, 0, 0, 0))
            archive.writestr(member, array.getvalue(), zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _parquet(path: Path, columns: Sequence[Column]) -> bytes:
    masked: dict[str, tuple[NDArray[Any], Mask]] = {}
    for column in columns:
        mask, values, domain = column.mask, column.values, column.domain
        if domain is not None and not isinstance(domain, Real):
            values = np.where(mask, values, 0).astype(np.int64)
            if names := names_of(domain):
                values = np.array(names, object)[values]
        masked[column.name] = values, mask
    return parquet_bytes(str(path), masked)
