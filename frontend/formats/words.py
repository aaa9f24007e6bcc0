"""Files that are words between white space: taken one after the other, with the place of the word that is wrong.

A place is only looked for when a mistake asks for it, so that a million numbers cost no objects.
"""

from __future__ import annotations

import re

import numpy as np

from ...ir.diagnostic import DanausError, error
from ...ir.parameter import Floats
from ...ir.span import Source, Span

_WORD = re.compile(r"\S+")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


class Words:
    """The words of a text and how many of them are taken."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words = source.text.split()
        self.at = 0

    def place(self, word: int) -> Span:
        """Where a word stands; behind the last one, the end of the text."""
        text = self.source.text
        start, end = len(text), len(text)
        for number, found in enumerate(_WORD.finditer(text)):
            if number == word:
                start, end = found.span()
                break
        else:
            start = end = len(text.rstrip())
        line = text.count("\n", 0, start) + 1
        column = start - (text.rfind("\n", 0, start) + 1) + 1
        return Span(self.source, line, column, line, column + max(1, end - start))

    def wrong(self, message: str, back: int = 1, hint: str = "") -> DanausError:
        """An error at the word that was taken last."""
        return error("syntax", message, self.place(self.at - back), hint)

    def take(self, what: str) -> str:
        """The next word."""
        if self.at >= len(self.words):
            raise error("syntax", f"the file ends where {what} should stand", self.place(self.at))
        self.at += 1
        return self.words[self.at - 1]

    def integer(self, what: str, least: int, most: int | None) -> int:
        """The next word as an integer in a range."""
        word = self.take(what)
        if not _INTEGER.fullmatch(word):
            raise self.wrong(f'"{word[:40]}" is no integer, where {what} should stand')
        value = int(word)
        if value < least or (most is not None and value > most):
            bounds = f"at least {least}" if most is None else f"from {least} to {most}"
            raise self.wrong(f"{what} is {value}", hint=f"it is {bounds}")
        return value

    def count(self, what: str, most: int | None) -> int:
        """The next word as a number of things; what the text has no words left for is refused by who takes them."""
        return self.integer(what, 0, most)

    def integers(self, count: int, what: str, least: int, most: int | None = None) -> list[int]:
        """The next words as integers in a range."""
        return [self.integer(what, least, most) for _ in range(count)]

    def numbers(self, count: int) -> Floats:
        """The next words as finite numbers that are not negative."""
        words = self.words[self.at : self.at + count]
        try:
            found = np.array(words, dtype=np.float64)
        except ValueError:
            found = np.full(len(words), np.nan)
        if len(words) == count and np.all(np.isfinite(found) & (found >= 0)):
            self.at += count
            return found + 0.0
        for word in words:
            self.at += 1
            number = _number(word)
            if number is None:
                raise self.wrong(f'"{word[:40]}" is no number')
            if not 0 <= number < float("inf"):
                raise self.wrong(f"the entry {word[:40]} is not a finite number of at least 0")
        raise error("syntax", "the file ends where an entry of a table should stand", self.place(self.at))

    def finish(self, what: str) -> None:
        """Nothing may be left."""
        if self.at < len(self.words):
            self.at += 1
            raise self.wrong(f'"{self.words[self.at - 1][:40]}" stands behind {what}')


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
