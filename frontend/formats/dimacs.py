"""The DIMACS CNF format, plain and weighted, to clauses and weights of literals.

    c a comment            p cnf VARIABLES CLAUSES
    clauses: literals that end with 0, over lines as they like; a line `%` ends the file
    weights: `c p weight LITERAL W 0` (model counting competition), `w LITERAL W` (Cachet), W a decimal or a fraction

Where a literal has a weight and its negation none, the negation weighs 1 − W; `w LITERAL -1` (Cachet) weighs both 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ...ir.diagnostic import DanausError, Diagnostic, error
from ...ir.parameter import Floats
from ...ir.span import Source, Span

MOST_VARIABLES = 1_000_000

_WEIGHT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?(/[0-9]+)?")
_LITERAL = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, slots=True, eq=False)
class Cnf:
    """Clauses over variables 1 … n; `weights` are those of [¬v, v], or None where the file has none."""

    variables: int
    clauses: tuple[tuple[int, ...], ...]
    weights: Floats | None
    warnings: tuple[Diagnostic, ...] = ()


def parse_cnf(source: Source) -> Cnf:
    """The formula of a text.

    Raises: DanausError with the place of the first mistake.
    """
    return _Reader(source).read()


class _Reader:
    """What was read so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.line = 0
        self.header: tuple[int, int, Span] | None = None
        self.clauses: list[tuple[int, ...]] = []
        self.open: list[int] = []
        self.weights: dict[int, Fraction] = {}
        self.later: list[tuple[int, Fraction, Span]] = []
        self.warnings: list[Diagnostic] = []

    def read(self) -> Cnf:
        for number, text in enumerate(self.source.text.split("\n"), 1):
            self.line = number
            words = text.split()
            if not words:
                continue
            match words[0]:
                case "%":
                    break
                case "c":
                    self.comment(words, text)
                case "p":
                    self.problem(words, text)
                case "w":
                    if len(words) not in (3, 4) or (len(words) == 4 and words[3] != "0"):
                        raise self.wrong(text, 0, "a weight is `w LITERAL W`")
                    self.weight(words[1], words[2], text, 1, cachet=True)
                case word if word[0] == "c" and self.header is None:
                    continue  # "cThe …", before the problem line
                case _:
                    self.literals(words, text)
        return self.finished()

    def place(self, text: str, word: int) -> Span:
        """Where a word of the present line stands."""
        found = [match.span() for match in re.finditer(r"\S+", text)]
        start, end = found[word] if word < len(found) else (len(text), len(text) + 1)
        return Span(self.source, self.line, start + 1, self.line, end + 1)

    def wrong(self, text: str, word: int, message: str, hint: str = "") -> DanausError:
        return error("syntax", message, self.place(text, word), hint)

    def problem(self, words: list[str], text: str) -> None:
        if self.header is not None:
            raise self.wrong(text, 0, "a second problem line")
        if len(words) != 4 or words[1] != "cnf":
            raise self.wrong(text, min(1, len(words) - 1), "the problem line is `p cnf VARIABLES CLAUSES`")
        for at in (2, 3):
            if not re.fullmatch("[0-9]{1,9}", words[at]):
                raise self.wrong(text, at, f'"{words[at][:40]}" is no number of things')
        if int(words[2]) > MOST_VARIABLES:
            raise self.wrong(text, 2, f"{words[2]} variables", f"there may be {MOST_VARIABLES}")
        self.header = (int(words[2]), int(words[3]), self.place(text, 3))

    def comment(self, words: list[str], text: str) -> None:
        if words[1:3] == ["p", "weight"]:
            if len(words) not in (5, 6) or (len(words) == 6 and words[5] != "0"):
                raise self.wrong(text, 2, "a weight is `c p weight LITERAL W 0`", "W is one real number")
            self.weight(words[3], words[4], text, 3, cachet=False)
        elif words[1:3] == ["p", "show"]:
            message = "the projection is passed over: the circuit is of all variables"
            self.warnings.append(Diagnostic("projected", message, self.place(text, 1), severity="warning"))

    def weight(self, literal: str, weight: str, text: str, at: int, cachet: bool) -> None:
        if not _LITERAL.fullmatch(literal) or int(literal) == 0:
            raise self.wrong(text, at, f'"{literal[:40]}" is no literal')
        if not _WEIGHT.fullmatch(weight):
            raise self.wrong(text, at + 1, f'"{weight[:40]}" is no real number', "W is a decimal or a fraction")
        top, _, bottom = weight.partition("/")
        if bottom and not int(bottom[:40]):
            raise self.wrong(text, at + 1, "a weight is divided by zero")
        number = Fraction(top) / int(bottom or 1)
        if abs(number) > 10**300:
            raise self.wrong(text, at + 1, "a weight is larger than float64 holds")
        both = cachet and number == -1
        for one, value in ((int(literal), Fraction(1) if both else number), *([(-int(literal), Fraction(1))] * both)):
            self.later.append((one, value, self.place(text, at)))

    def literals(self, words: list[str], text: str) -> None:
        if self.header is None:
            hint = "a DIMACS file begins with comments and `p cnf VARIABLES CLAUSES`"
            raise self.wrong(text, 0, "a clause stands before the problem line", hint)
        most = self.header[0]
        for at, word in enumerate(words):
            if not _LITERAL.fullmatch(word):
                raise self.wrong(text, at, f'"{word[:40]}" is no literal')
            literal = int(word)
            if abs(literal) > most:
                raise self.wrong(text, at, f"there is no variable {abs(literal)}", f"the problem line says {most}")
            if literal:
                self.open.append(literal)
            else:
                self.clauses.append(tuple(dict.fromkeys(self.open)))
                self.open = []

    def finished(self) -> Cnf:
        if self.header is None:
            raise error("syntax", "the file has no problem line", Span(self.source, 1), "p cnf VARIABLES CLAUSES")
        count, announced, place = self.header
        if self.open:
            raise error("syntax", "the last clause does not end with 0", Span(self.source, self.line))
        if announced != len(self.clauses):
            message = f"{announced} clauses are announced, {len(self.clauses)} follow"
            self.warnings.append(Diagnostic("wrong-count", message, place, severity="warning"))
        return Cnf(count, tuple(self.clauses), self.weighed(count), tuple(self.warnings))

    def weighed(self, count: int) -> Floats | None:
        """The weights [variables, 2] of ¬v and v."""
        if not self.later:
            return None
        known: dict[int, Fraction] = {}
        for literal, weight, place in self.later:
            if abs(literal) > count:
                raise error("syntax", f"there is no variable {abs(literal)}", place, f"the problem line says {count}")
            if known.setdefault(literal, weight) != weight:
                raise error("duplicate-entry", f"the literal {literal} is given two weights", place)
        table = np.ones((count, 2))
        for literal, weight in known.items():
            table[abs(literal) - 1, int(literal > 0)] = float(weight)
            if -literal not in known:
                table[abs(literal) - 1, int(literal < 0)] = float(1 - weight)
        return table
