"""The words of a file of numbers, read all at once, with the place of each for diagnostics.

What enters is a path; what leaves are the numbers, which words begin a line, and what those begin with. The file is
read a piece at a time and not kept: a mistake reads it again, to show where it stands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import error
from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.span import Source, Span
from .digits import Booleans, Bytes, Piece
from .stream import cut, in_blocks, pieces, read_whole

__all__ = ["Booleans", "Bytes", "Words", "stretches"]

# Words of more letters are read as floats one by one.
_SHORT = 32
_FLOATS = np.frombuffer(b"0123456789+-.eE\0", dtype=np.uint8)
_NINE = np.uint8(ord("9"))
# As large as the C library's allocator lets its threshold grow to.
_KEPT = 31 << 20
_LARGEST = (1 << 31) - 1
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=False, eq=False)
class Words:
    """The words of a file by number: line j, of those that are not empty nor comments, has lines[j] … lines[j+1].

    `values` are whole numbers, in 32 bits where they fit; 0 for the words that are none, whose numbers are `odd` and
    which are the floats `floating`, or NaN, but for those that begin a line with a letter. `letters` has the first byte
    of each line, `alone` whether its first word has no more. `firsts` and `offsets` say with which word and at which
    byte each piece of the file begins.
    """

    path: Path
    values: Indices
    odd: Indices
    floating: Floats
    lines: Indices
    letters: Bytes
    alone: Booleans
    firsts: list[int]
    offsets: list[int]
    held: bytes | None

    @staticmethod
    def read(path: Path) -> Words:
        """The words of a file; they stand between white space.

        Raises: DanausError `unreadable-file`, or `too-large` beyond 4 GB, unpacked.
        """
        # An allocator that has given back a large array, never touched, keeps what smaller ones leave, and does not ask
        # the system for each array of each piece anew: half of the time that reading takes.
        np.empty(_KEPT, dtype=np.uint8)
        # What is no file, as a pipe, can be read once only.
        held = read_whole(path) if path.exists() and not path.is_file() else None
        made = _Made()
        for data in pieces(path) if held is None else cut(in_blocks(held)):
            made.add(data)
        return made.words(path, held)

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    @cached_property
    def counts(self) -> Indices:
        """The number of words of each line."""
        return np.diff(self.lines)

    def integers(self, places: Indices) -> Indices:
        """The words at some places, in order, as whole numbers.

        Raises: DanausError `wrong-number` at the first that is none, or has more than 18 digits.
        """
        if len(self.odd):
            asked = np.zeros(len(self.values), dtype=bool)
            asked[places] = True
            self._require_none(self.odd[asked[self.odd]])
        return self.values[places]

    def require_integers(self) -> None:
        """All words but letters that begin a line are whole numbers.

        Raises: DanausError `wrong-number` at the first that is none.
        """
        self._require_none(self.odd)

    def _require_none(self, odd: Indices) -> None:
        if len(odd):
            place = int(odd[0])
            raise error("wrong-number", f'"{_short(self.word(place))}" is no whole number', self.span(place))

    def floats(self, places: Indices) -> Floats:
        """The words at some places as numbers, infinities among them.

        Raises: DanausError `wrong-number` at the first that is none.
        """
        found = self.values[places].astype(np.float64)
        if len(self.odd):
            at = np.minimum(np.searchsorted(self.odd, places), len(self.odd) - 1)
            is_odd = self.odd[at] == places
            found[is_odd] = self.floating[at[is_odd]]
            # What is NaN is no number, or says so itself.
            for index in np.flatnonzero(np.isnan(found)).tolist():
                place = int(places[index])
                try:
                    found[index] = _float(self.word(place))
                except ValueError:
                    message = f'"{_short(self.word(place))}" is no number'
                    raise error("wrong-number", message, self.span(place)) from None
        return found

    @cached_property
    def _text(self) -> bytes:
        return read_whole(self.path) if self.held is None else self.held

    @cached_property
    def _source(self) -> Source:
        return Source(self.name, self._text.decode(errors="replace"))

    def _where(self, place: int) -> tuple[int, int]:
        """From which byte to which a word stands; of a file that has changed since, its end."""
        number = bisect_right(self.firsts, place) - 1
        bounds = [*self.offsets, len(self._text)]
        piece = Piece.of(self._text[bounds[number] : bounds[number + 1]])
        at = place - self.firsts[number]
        if at >= len(piece.starts):
            return len(self._text), len(self._text)
        return bounds[number] + int(piece.starts[at]), bounds[number] + int(piece.ends[at])

    def word(self, place: int) -> str:
        """One word as text."""
        start, end = self._where(place)
        return self._text[start:end].decode(errors="replace")

    def span(self, place: int) -> Span:
        """Where a word stands."""
        start, end = self._where(place)
        before = self._text.rfind(b"\n", 0, start) + 1
        line = self._text.count(b"\n", 0, start) + 1
        column = len(self._text[before:start].decode(errors="replace")) + 1
        width = len(self._text[start:end].decode(errors="replace"))
        return Span(self._source, line, column, line, column + width)

    def line_span(self, line: int) -> Span:
        """Where a line stands, from its first word to its last."""
        first, last = int(self.lines[line]), int(self.lines[line + 1]) - 1
        return self.span(first).to(self.span(last))


class _Made:
    """What has been read of a file."""

    def __init__(self) -> None:
        self.values: list[Indices] = []
        self.odd: list[Indices] = []
        self.floating: list[Floats] = []
        self.lines: list[Indices] = []
        self.letters: list[Bytes] = []
        self.alone: list[Booleans] = []
        self.firsts: list[int] = []
        self.offsets: list[int] = []
        self.words_so_far = self.bytes_so_far = 0

    def add(self, data: bytes) -> None:
        """One more piece."""
        piece = Piece.of(data)
        values, odd = piece.integers()
        least, most = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        self.values.append(values.astype(np.int32) if least >= -_LARGEST and most <= _LARGEST else values)
        firsts = piece.lines[:-1]
        letters = piece.raw[piece.starts[firsts]]
        if len(odd):
            # Letters that begin lines are no numbers and none are wanted.
            named = np.zeros(len(values), dtype=bool)
            named[firsts[letters > _NINE]] = True
            odd = odd[~named[odd]]
            if len(odd):
                self.odd.append(odd + self.words_so_far)
                self.floating.append(_floats(piece.raw, piece.starts[odd], piece.ends[odd]))
        self.letters.append(letters)
        self.alone.append(piece.ends[firsts] - piece.starts[firsts] == 1)
        lines = firsts + self.words_so_far
        self.lines.append(lines.astype(np.int32) if self.words_so_far + len(values) <= _LARGEST else lines)
        self.firsts.append(self.words_so_far)
        self.offsets.append(self.bytes_so_far)
        self.words_so_far += len(values)
        self.bytes_so_far += len(data)

    def words(self, path: Path, held: bytes | None) -> Words:
        """All pieces end to end."""
        end = np.array([self.words_so_far], dtype=np.int32 if self.words_so_far <= _LARGEST else np.int64)
        return Words(
            path,
            np.concatenate(self.values) if self.values else np.zeros(0, dtype=np.int32),
            _joined(self.odd, np.int64),
            _joined(self.floating, np.float64),
            np.concatenate([*self.lines, end]),
            _joined(self.letters, np.uint8),
            _joined(self.alone, np.bool_),
            self.firsts or [0],
            self.offsets or [0],
            held,
        )


def _joined(parts: list[NDArray[_T]], kind: type[_T]) -> NDArray[_T]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)


def _floats(raw: Bytes, starts: Indices, ends: Indices) -> Floats:
    """Words as floats, infinities among them; NaN where they are none."""
    lengths = ends - starts
    short = lengths <= _SHORT
    # Each word in as many bytes, zeros behind it, which numpy reads as text; the few long ones one by one.
    width = int(lengths[short].max(initial=1))
    letters = raw[np.minimum(starts[:, None] + np.arange(width), len(raw) - 1)]
    letters[np.arange(width) >= np.where(short, lengths, 0)[:, None]] = 0
    plain = np.isin(letters, _FLOATS).all(axis=1) & short
    found = np.full(len(starts), np.nan)
    try:
        found[plain] = np.ascontiguousarray(letters[plain]).view(f"S{width}").ravel().astype(np.float64)
        odd: Iterator[int] = iter(np.flatnonzero(~plain).tolist())
    except ValueError:
        odd = iter(range(len(starts)))
    for at in odd:
        try:
            found[at] = _float(raw[starts[at] : ends[at]].tobytes().decode(errors="replace"))
        except ValueError:
            found[at] = np.nan
    return found


def _float(word: str) -> float:
    return float(word.replace("_", "?"))  # Python's own digits in groups are no format's


def stretches(starts: Indices, lengths: Indices) -> Indices:
    """The numbers starts[i] … starts[i] + lengths[i], end to end; in 32 bits where the starts are, and these do."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    kind = starts.dtype if total <= _LARGEST else np.dtype(np.int64)
    found = np.repeat((starts - ends + lengths).astype(kind), lengths)
    found += np.arange(total, dtype=kind)
    return found


def _short(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:40]}…"
