"""The words and signs of a `.bif` text, comments left out; places are looked for only when a mistake asks for one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...ir.diagnostic import DanausError, error
from ...ir.span import Note, Source, Span

PUNCTUATION = frozenset("{}()[],;|")

_LEXEME = re.compile(r'//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|"[^"\n]*"|[{}()\[\],;|]|[^\s{}()\[\],;|"]+|"')


class Lexemes:
    """The words of a text and how many of them are taken."""

    def __init__(self, source: Source) -> None:
        self.source = source
        found: list[str] = _LEXEME.findall(source.text)
        self.words = [word for word in found if not word.startswith(("//", "/*"))] if "/" in source.text else found
        self.at = 0

    def place(self, word: int) -> Span:
        """Where a word stands; behind the last one, the end of the text."""
        text = self.source.text
        start = end = len(text.rstrip())
        number = 0
        for found in _LEXEME.finditer(text):
            if not found.group().startswith(("//", "/*")):
                if number == word:
                    start, end = found.span()
                    break
                number += 1
        line = text.count("\n", 0, start) + 1
        column = start - (text.rfind("\n", 0, start) + 1) + 1
        return Span(self.source, line, column, line, column + max(1, end - start))

    def wrong(self, message: str, hint: str = "", code: str = "syntax", notes: Iterable[Note] = ()) -> DanausError:
        """An error at the word that was taken last."""
        return error(code, message, self.place(self.at - 1), hint, notes)

    def peek(self) -> str | None:
        """The next word, left where it is; None at the end."""
        return self.words[self.at] if self.at < len(self.words) else None

    def take(self, what: str) -> str:
        """The next word."""
        if self.at >= len(self.words):
            raise error("syntax", f"the file ends where {what} should stand", self.place(self.at))
        self.at += 1
        return self.words[self.at - 1]

    def expect(self, word: str) -> None:
        """The next word is this one."""
        found = self.take(f"`{word}`")
        if found != word:
            raise self.wrong(f'"{found[:40]}" stands where `{word}` should')

    def name(self, what: str) -> str:
        """The next word as a name, without its quotes."""
        word = self.take(what)
        if word in PUNCTUATION or word == '"' or word == '""':
            raise self.wrong(f"`{word}` stands where {what} should")
        return word[1:-1] if word[0] == '"' else word

    def integer(self, what: str) -> int:
        """The next word as a number of things."""
        word = self.take(what)
        if not (word.isascii() and word.isdigit() and len(word) < 10):
            raise self.wrong(f'"{word[:40]}" is no integer, where {what} should stand')
        return int(word)
