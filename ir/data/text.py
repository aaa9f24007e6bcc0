"""Text of comma-separated fields as rows of numbers.

Bytes and the wanted variables enter, `Data` leaves, or an error with the line and the column of each mistake. The text
is read in pieces: where one holds only whole numbers by `whole_numbers`, otherwise field by field.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..diagnostic import DanausError, Diagnostic, error
from ..domain import Variable
from ..span import Source, Span
from .layout import Places, Wanted, counted
from .table import Data, Mistakes, filled
from .value import Floats, explain, is_number, is_value, names_of, read_texts, unusable
from .whole import whole_numbers

# A piece and its arrays stay in the cache. Measured on 20 MB of digits: 0.55 s at 2^18 characters, 0.67 at 2^20, 1.3 at
# 2^24.
_PIECE = 1 << 18
_FIELDS = 1 << 18
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FIELD = re.compile(r' *"(?:[^"]|"")*"[^,]*|[^,]*')


@dataclass(frozen=True, slots=True)
class _Row:
    """The fields of a row and the lines it stands on: its first, and the one after its last."""

    line: int
    after: int
    fields: list[str]

    @property
    def blank(self) -> bool:
        return not self.fields or (len(self.fields) == 1 and not self.fields[0].strip())


def read_text(name: str, content: bytes, wanted: Wanted) -> Data:
    """The rows of a file of text. Raises: DanausError with up to 20 mistakes."""
    source = Source(name, _decode(name, content))
    first = next((row for row in _rows(source, source.text, 1) if not row.blank), None)
    if first is None:
        raise error("empty-file", f"{name} is empty", hint="give a row of variable names, or rows of values")
    width = len(first.fields)
    names = _header(first.fields, wanted)
    if names is None:
        places = wanted.by_order(width, name, _span(source, first.line))
        line = 1 if width == 1 else first.line  # in a single column a blank line is a missing value
    else:
        places = wanted.by_name(names, name, lambda field: _span(source, first.line, field))
        line = first.after
    body = _from_line(source.text, line)
    if width > 1:
        body = body.rstrip("\n \t")
    if body and not body.endswith("\n"):
        body += "\n"
    values, lines = _read_body(source, body, line, width, places, wanted.needed)
    return replace(filled(values, wanted.needed, name), columns=names, lines=lines)


def _decode(name: str, content: bytes) -> str:
    """The text, without a byte order mark, every line ended by a newline character."""
    content = content.removeprefix(codecs.BOM_UTF8)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        return content.decode()
    except UnicodeDecodeError as failure:
        before = content[: failure.start]
        line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        span = Span(Source(name, content.decode(errors="replace")), line, column, line, column + 1)
        message = f"byte {content[failure.start]:#04x} of {name} is not UTF-8"
        raise error("unreadable-file", message, span, hint="save the file as UTF-8") from None


def _header(fields: list[str], wanted: Wanted) -> tuple[str, ...] | None:
    """The names in the first row, or None where it holds only values.

    Numbers outside their domain are values too, wrong ones, unless all of the row are names of variables.
    """
    found = wanted.in_order(len(fields))
    valid = [found is not None and is_value(field, found[place].domain) for place, field in enumerate(fields)]
    if all(valid):
        return None
    known = wanted.names
    names = tuple(field if field in known else field.strip() for field in fields)
    if all(name in known for name in names) or not all(valid[i] or is_number(name) for i, name in enumerate(names)):
        return names
    return None


def _read_body(
    source: Source, body: str, line: int, width: int, places: Places, variables: tuple[Variable, ...]
) -> tuple[Floats, NDArray[np.int64]]:
    """The values [rows, variables] and the line of each row, of text that begins at a line of the source."""
    used = [place for place in places if place is not None]
    there = [i for i, place in enumerate(places) if place is not None]
    # Where a domain has names, digits may be one of them.
    digits = not any(names_of(variables[i].domain) for i in there)
    mistakes = Mistakes()
    pieces: list[Floats] = [np.empty((0, len(variables)))]
    lines: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    for piece in _pieces(body):
        values: Floats | None = None
        if digits and piece.isascii() and (found := whole_numbers(piece.encode(), width, used)) is not None:
            values = np.full((len(found), len(variables)), np.nan)
            values[:, there] = found
        if values is not None and not unusable(values, variables).any():
            pieces.append(values)
            lines.append(np.arange(line, line + len(values)))
        else:
            for values, at in _read_fields(source, piece, line, width, places, variables, mistakes):
                pieces.append(values)
                lines.append(at)
        line += piece.count("\n")
        if mistakes.full:
            break
    mistakes.finish()
    return np.concatenate(pieces), np.concatenate(lines)


def _pieces(body: str) -> Iterator[str]:
    """The text in pieces of whole lines; in one, where a quoted field might hold a newline."""
    size = len(body) if '"' in body else _PIECE
    start = 0
    while start < len(body):
        end = body.find("\n", min(start + size, len(body)) - 1) + 1
        yield body[start:end]
        start = end


def _read_fields(
    source: Source,
    piece: str,
    line: int,
    width: int,
    places: Places,
    variables: tuple[Variable, ...],
    mistakes: Mistakes,
) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """The values and lines of a piece, some rows at a time, field by field; what is wrong is added to the mistakes."""
    plain = piece.isascii() and "_" not in piece
    rows: list[_Row] = []
    for row in _rows(source, piece, line, mistakes):
        if len(row.fields) == width:
            rows.append(row)
        elif width == 1 and row.blank:
            rows.append(_Row(row.line, row.after, [""]))
        else:
            count = "is blank" if row.blank else f"has {counted(len(row.fields), 'field')}"
            span = _span(source, row.line, width if len(row.fields) > width else None)
            expected = counted(width, "field") if row.blank else width
            hint = "a missing value is an empty field or ?" if len(row.fields) < width else ""
            mistakes.add(Diagnostic("ragged-row", f"line {row.line} {count}, not {expected}", span, hint))
        if len(rows) * width >= _FIELDS:
            yield _convert(source, rows, places, variables, plain, mistakes)
            rows = []
        if mistakes.full:
            return
    yield _convert(source, rows, places, variables, plain, mistakes)


def _convert(
    source: Source, rows: list[_Row], places: Places, variables: tuple[Variable, ...], plain: bool, mistakes: Mistakes
) -> tuple[Floats, NDArray[np.int64]]:
    """Rows of equally many fields as values [rows, variables] and lines."""
    values = np.full((len(rows), len(variables)), np.nan)
    columns = list(zip(*(row.fields for row in rows), strict=True))
    for i, place in enumerate(places):
        if place is not None and columns:
            values[:, i] = read_texts(columns[place], variables[i].domain, plain)
    for index, i in np.argwhere(unusable(values, variables)).tolist():
        if mistakes.full:
            break
        row, place = rows[index], places[i]
        if place is not None:
            message, hint = explain(variables[i], row.fields[place])
            mistakes.add(Diagnostic("wrong-value", message, _span(source, row.line, place), hint))
    return values, np.array([row.line for row in rows], np.int64)


def _rows(source: Source, text: str, line: int, mistakes: Mistakes | None = None) -> Iterator[_Row]:
    """The rows of text that begins at a line of the source; one whose quotes do not match is a mistake.

    Raises: DanausError at such a row, where there is no list of mistakes.
    """
    reader = csv.reader((match.group() for match in _LINE.finditer(text)), strict=True, skipinitialspace=True)
    before = 0
    while True:
        try:
            fields = next(reader)
            yield _Row(line + before, line + reader.line_num, fields)
        except StopIteration:
            return
        except csv.Error as failure:
            wrong = Diagnostic(
                "wrong-row",
                f"line {line + before} cannot be read: {failure}",
                _span(source, line + before),
                'a field that begins with " ends with the next ", and "" stands for one inside',
            )
            if mistakes is None:
                raise DanausError(wrong) from None
            mistakes.add(wrong)
        before = reader.line_num


def _from_line(text: str, line: int) -> str:
    """The text from the beginning of a line, counted from 1."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1 or len(text)
    return text[start:]


def _span(source: Source, line: int, field: int | None = None) -> Span:
    """A field of a row that begins at a line; the line alone where the field is on another, or none is named."""
    text = source.line(line)
    start = 0
    for _ in range(field or 0):
        found = _FIELD.match(text, start)
        start = found.end() + 1 if found else len(text) + 1
    found = _FIELD.match(text, start) if field is not None and start <= len(text) else None
    if found is None:
        return Span(source, line)
    written = found.group()
    begin = start + len(written) - len(written.lstrip())
    return Span(source, line, begin + 1, line, max(begin + len(written.strip()), begin + 1) + 1)
