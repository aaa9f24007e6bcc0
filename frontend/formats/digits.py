"""The words of a piece of text, and the whole numbers among them, all at once.

What enters are bytes; what leaves is where each word stands and which of them are numbers. Eight digits are read as one
word of 64 bits, so that a number costs some fifteen instructions, whatever its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices

Bytes = NDArray[np.uint8]
Booleans = NDArray[np.bool_]

# Longer numbers do not fit in 64 bits.
_DIGITS = 18
_EIGHT = 8
_MINUS, _BREAK, _SPACE, _COMMENT = (np.uint8(ord(letter)) for letter in "-\n c")
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_HIGH = np.uint64(0x8080808080808080)
# Of digits d₁d₂…d₈ in eight bytes the pairs, the fours and the whole, each step in half as many places.
_STEPS = [
    (np.uint64(10), np.uint64(8), np.uint64(0x00FF00FF00FF00FF)),
    (np.uint64(100), np.uint64(16), np.uint64(0x0000FFFF0000FFFF)),
    (np.uint64(10000), np.uint64(32), np.uint64(0x00000000FFFFFFFF)),
]
# How far eight bytes are shifted to leave those of the last so many.
_SHIFTS = np.array([63, *(64 - 8 * length for length in range(1, _EIGHT + 1))], dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Piece:
    """Words starts[i] … ends[i] of a piece; line j, of those that have words, has the words lines[j] … lines[j+1].

    Lines whose first word is `c` are left out.
    """

    raw: Bytes
    starts: Indices
    ends: Indices
    lines: Indices

    @staticmethod
    def of(data: bytes) -> Piece:
        """The words of a piece; they stand between white space."""
        raw = np.frombuffer(data, dtype=np.uint8)
        gaps = np.flatnonzero(raw <= _SPACE)
        if not len(data) or data[-1] > _SPACE:
            gaps = np.append(gaps, len(raw))
            broken = np.append(raw[gaps[:-1]] == _BREAK, True)
        else:
            broken = raw[gaps] == _BREAK
        starts = np.empty_like(gaps)
        starts[0] = 0
        np.add(gaps[:-1], 1, out=starts[1:])
        bounds = np.flatnonzero(broken) + 1
        filled = gaps > starts
        if not filled.all():
            bounds = np.concatenate([[0], np.cumsum(filled)])[bounds]
            starts, gaps = starts[filled], gaps[filled]
        lines = np.concatenate([[0], bounds, [len(starts)]])
        lines = lines[np.concatenate([[True], lines[1:] != lines[:-1]])]
        return Piece(raw, starts, gaps, lines)._without_comments()

    def _without_comments(self) -> Piece:
        firsts = self.starts[self.lines[:-1]]
        comment = (self.raw[firsts] == _COMMENT) & (self.ends[self.lines[:-1]] - firsts == 1)
        if not comment.any():
            return self
        counts = np.diff(self.lines)
        keep = np.repeat(~comment, counts)
        lines = np.concatenate([[0], np.cumsum(counts[~comment])])
        return Piece(self.raw, self.starts[keep], self.ends[keep], lines)

    def integers(self) -> tuple[Indices, Indices]:
        """All words as whole numbers, 0 where they are none; and which are none, or have more than 18 digits."""
        negative = self.raw[self.starts] == _MINUS
        starts = self.starts + negative
        lengths = self.ends - starts
        digits = _windows(self.raw, self.ends)
        digits ^= _ZEROS
        shifts = _SHIFTS.take(lengths, mode="clip")
        digits >>= shifts
        digits <<= shifts
        wrong = ((digits + _ABOVE_NINE) | digits) & _HIGH != 0
        for factor, shift, mask in _STEPS:
            digits = (digits * factor + (digits >> shift)) & mask
        values = digits.view(np.int64)
        wrong |= lengths < 1
        long = np.flatnonzero(lengths > _EIGHT)
        if len(long):
            values[long], wrong[long] = _long(self.raw, starts[long], lengths[long])
        odd = np.flatnonzero(wrong)
        values[odd] = 0
        return np.negative(values, out=values, where=negative), odd


def _windows(raw: Bytes, ends: Indices) -> NDArray[np.uint64]:
    """The eight bytes before each of some places."""
    whole = np.zeros(2 + (len(raw) >> 3) + 1, dtype="<u8")
    whole.view(np.uint8)[_EIGHT : _EIGHT + len(raw)] = raw
    windows = np.ndarray((len(raw) + 1,), dtype="<u8", buffer=whole.data, strides=(1,))
    return np.asarray(windows[ends], dtype=np.uint64)


def _long(raw: Bytes, starts: Indices, lengths: Indices) -> tuple[Indices, Booleans]:
    """Numbers of more than eight digits, digit by digit; and which are none."""
    values = np.zeros(len(starts), dtype=np.int64)
    wrong = lengths > _DIGITS
    for digit in range(min(int(lengths.max()), _DIGITS)):
        active = np.flatnonzero((lengths > digit) & ~wrong)
        found = raw[starts[active] + digit] - np.uint8(48)  # what is less than "0" comes out large
        wrong[active[found > 9]] = True
        values[active] = values[active] * 10 + found
    return values, wrong
