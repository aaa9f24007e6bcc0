"""The words of a file of numbers, found and read all at once, with the place of each for diagnostics.

What enters is a path; what leaves are the bytes, where each word starts and ends, and which words begin a line. Numbers
are read digit by digit for all words together, so that a file of millions of them takes tens of nanoseconds for each.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...ir.data.container import read_bytes, unreadable
from ...ir.diagnostic import DanausError, error
from ...ir.expression import Floats
from ...ir.linear import Indices
from ...ir.span import Source, Span

MOST_BYTES = 1 << 32
_PIECE = 1 << 24
# Longer numbers do not fit in 64 bits.
_DIGITS = 18
_MANY = 1000
# Words of more letters are read as floats one by one.
_SHORT = 32
_FLOATS = np.frombuffer(b"0123456789+-.eE\0", dtype=np.uint8)
_ODD = bytes(byte > 32 and byte not in b"0123456789" for byte in range(256))
_NUMBERS = bytes(byte if byte in b"-0123456789" else 32 for byte in range(256))

Bytes = NDArray[np.uint8]


def read_whole(path: Path) -> bytes:
    """The bytes of a file, unpacked where it ends in `.gz`.

    Raises: DanausError `unreadable-file`, or `too-large` beyond 4 GB, unpacked.
    """
    if path.suffix != ".gz":
        try:
            if path.stat().st_size > MOST_BYTES:
                raise _too_large(path)
        except OSError:
            pass  # which reading it says better
        return read_bytes(path, packed=False)
    pieces: list[bytes] = []
    total = 0
    try:
        with gzip.open(path, "rb") as file:
            while piece := file.read(_PIECE):
                pieces.append(piece)
                total += len(piece)
                if total > MOST_BYTES:
                    raise _too_large(path)
    except FileNotFoundError:
        return read_bytes(path, packed=True)  # whose diagnostic names a near file
    except (gzip.BadGzipFile, EOFError, zlib.error) as failure:
        raise error("unreadable-file", f"{path} is not a whole gzip file: {failure}") from None
    except OSError as failure:
        raise unreadable(path, failure) from None
    return b"".join(pieces)


def _too_large(path: Path) -> DanausError:
    return error("too-large", f"{path} holds more than {MOST_BYTES >> 30} GB")


@dataclass(frozen=True, slots=False, eq=False)
class Words:
    """The words of a text: word i is text[starts[i] … ends[i]]; line j has the words lines[j] … lines[j+1].

    Empty lines are left out; `numbers[j]` is the number of line j in the file, from 1.
    """

    name: str
    text: bytes
    starts: Indices
    ends: Indices
    lines: Indices
    numbers: Indices

    @staticmethod
    def of(name: str, text: bytes) -> Words:
        """The words of a text; they stand between white space."""
        raw = np.frombuffer(text, dtype=np.uint8)
        solid = np.zeros(len(raw) + 2, dtype=bool)
        solid[1:-1] = raw > 32
        edges = np.flatnonzero(solid[1:] != solid[:-1])
        starts, ends = edges[::2], edges[1::2]
        breaks = np.flatnonzero(raw == 10)
        # Of each line the first word, if it has one: the first that starts behind the break before it.
        first = np.searchsorted(starts, np.concatenate([[0], breaks + 1]))
        bounds = np.append(first, len(starts))
        filled = np.flatnonzero(np.diff(bounds))
        return Words(name, text, starts, ends, np.append(first[filled], len(starts)), filled + 1)

    def without(self, lines: NDArray[np.bool_]) -> Words:
        """The words of the other lines."""
        keep = np.repeat(~lines, self.counts)
        bounds = np.concatenate([[0], np.cumsum(self.counts[~lines])])
        return Words(self.name, self.text, self.starts[keep], self.ends[keep], bounds, self.numbers[~lines])

    @cached_property
    def raw(self) -> Bytes:
        """The bytes of the text."""
        return np.frombuffer(self.text, dtype=np.uint8)

    @property
    def letters(self) -> Bytes:
        """The first byte of each line's first word."""
        return self.raw[self.starts[self.lines[:-1]]]

    @property
    def counts(self) -> Indices:
        """The number of words of each line."""
        return np.diff(self.lines)

    def word(self, place: int) -> str:
        """One word as text."""
        return self.text[self.starts[place] : self.ends[place]].decode(errors="replace")

    def integers(self, places: Indices) -> Indices:
        """The words at some places, in order, as whole numbers; where they are many, the words between have one letter.

        Raises: DanausError `wrong-number` at the first that is none, or has more than 18 digits.
        """
        if len(places) > _MANY and (found := self._all_integers(places)) is not None:
            return found
        starts, ends = self.starts[places], self.ends[places]
        negative = self.raw[starts] == ord("-")
        starts = starts + negative
        lengths = ends - starts
        values = np.zeros(len(starts), dtype=np.int64)
        wrong = (lengths < 1) | (lengths > _DIGITS)
        longest = int(lengths[~wrong].max(initial=0))
        active: Indices | slice = slice(None)
        for digit in range(longest):
            if digit:
                active = np.flatnonzero((lengths > digit) & ~wrong)
            else:
                active = np.flatnonzero(~wrong) if wrong.any() else slice(None)
            digits = self.raw[starts[active] + digit] - np.uint8(48)  # what is less than "0" comes out large
            values[active] = values[active] * 10 + digits
            bad = digits > 9
            if bad.any():
                wrong[np.arange(len(wrong))[active][bad]] = True
        if wrong.any():
            place = int(places[np.flatnonzero(wrong)[0]])
            raise error("wrong-number", f'"{_short(self.word(place))}" is no whole number', self.span(place))
        return np.asarray(np.where(negative, -values, values))

    def floats(self, places: Indices) -> Floats:
        """The words at some places as numbers, infinities among them.

        Raises: DanausError `wrong-number` at the first that is none.
        """
        starts, lengths = self.starts[places], self.ends[places] - self.starts[places]
        short = lengths <= _SHORT
        # Each word in as many bytes, zeros behind it, which numpy reads as text; the few long ones one by one.
        width = int(lengths[short].max(initial=1))
        letters = self.raw[np.minimum(starts[:, None] + np.arange(width), len(self.raw) - 1)]
        letters[np.arange(width) >= np.where(short, lengths, 0)[:, None]] = 0
        letters[~short, 0] = ord("0")
        plain = np.isin(letters, _FLOATS).all(axis=1) & short
        found = np.zeros(len(places))
        try:
            found[plain] = np.ascontiguousarray(letters[plain]).view(f"S{width}").ravel().astype(np.float64)
            odd = np.flatnonzero(~plain)
        except ValueError:
            odd = np.arange(len(places))
        for at in odd.tolist():
            word = self.word(int(places[at]))
            try:
                found[at] = float(word.replace("_", "?"))  # Python's own digits in groups are no format's
            except ValueError:
                raise error("wrong-number", f'"{_short(word)}" is no number', self.span(int(places[at]))) from None
        return found

    def _all_integers(self, places: Indices) -> Indices | None:
        """The same by numpy's own reader of text, three times as fast; None where something else stands there."""
        first, last = int(self.starts[places[0]]), int(self.ends[places[-1]])
        starts, ends = self.starts[places], self.ends[places]
        negative = self.raw[starts] == ord("-")
        minus = starts[negative]
        between = np.ones(int(places[-1] - places[0]), dtype=bool)
        between[places[:-1] - places[0]] = False
        letters = self.starts[places[0] : places[-1]][between]
        stretch = self.text[first:last]
        odd = np.flatnonzero(np.frombuffer(stretch.translate(_ODD), dtype=bool)) + first
        if int((ends - starts).max()) > _DIGITS or bool((ends - starts <= negative).any()):
            return None
        if not np.array_equal(odd, np.sort(np.concatenate([minus, letters]))):
            return None
        found = np.fromstring(stretch.translate(_NUMBERS), dtype=np.int64, sep=" ")
        return found if len(found) == len(places) else None

    def span(self, place: int) -> Span:
        """Where a word stands."""
        start, end = int(self.starts[place]), int(self.ends[place])
        before = self.text.rfind(b"\n", 0, start) + 1
        line = self.text.count(b"\n", 0, start) + 1
        column = len(self.text[before:start].decode(errors="replace")) + 1
        width = len(self.text[start:end].decode(errors="replace"))
        return Span(Source(self.name, self.text.decode(errors="replace")), line, column, line, column + width)

    def line_span(self, line: int) -> Span:
        """Where a line stands, from its first word to its last."""
        first, last = int(self.lines[line]), int(self.lines[line + 1]) - 1
        return self.span(first).to(self.span(last))


def stretches(starts: Indices, lengths: Indices) -> Indices:
    """The numbers starts[i] … starts[i] + lengths[i], end to end."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - ends + lengths, lengths))


def _short(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:40]}…"
