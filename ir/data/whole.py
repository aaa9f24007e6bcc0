"""The fast way into text that holds nothing but whole numbers: bytes enter, a float64 array leaves.

Most large files of discrete data are such. What does not fit is left to `text`, which reads every field by itself; the
results are the same. Measured on 11293 rows of 910 zeros and ones (20 MB): 0.24 s here, 2.4 s there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .value import Floats

_MOST_DIGITS = 15  # more could exceed 2^53
_COMMA, _NEWLINE, _ZERO, _QUESTION = b",\n0?"


def whole_numbers(text: bytes, width: int, places: Sequence[int]) -> Floats | None:
    """The columns at `places` of lines of `width` fields of digits: [rows, places], NaN where a field is missing.

    A missing field is empty or `?`. Every line ends with a newline. None where there is anything else in the text.
    """
    if text.translate(None, b"0123456789?,\n"):
        return None
    characters = np.frombuffer(text, np.uint8)
    separators = np.flatnonzero((characters == _COMMA) | (characters == _NEWLINE))
    if separators.size % width:
        return None
    starts = np.concatenate([[0], separators[:-1] + 1]).reshape(-1, width)
    ends = separators.reshape(-1, width)
    if (characters[ends[:, -1]] != _NEWLINE).any() or (characters[ends[:, :-1]] != _COMMA).any():
        return None
    ends, lengths = ends[:, places], (ends - starts)[:, places]
    longest = int(lengths.max(initial=0))
    if longest > _MOST_DIGITS:
        return None
    last = characters[ends - 1]
    values = last.astype(np.float64) - _ZERO
    for position in range(2, longest + 1):
        longer = np.nonzero(lengths >= position)
        digits = characters[ends[longer] - position]
        if (digits == _QUESTION).any():
            return None
        values[longer] += (digits.astype(np.float64) - _ZERO) * 10.0 ** (position - 1)
    question = last == _QUESTION
    if (question & (lengths > 1)).any():
        return None
    values[(lengths == 0) | (question & (lengths == 1))] = np.nan
    return values
