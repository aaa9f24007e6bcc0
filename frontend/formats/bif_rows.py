"""The body of a `probability` of a `.bif` file: rows of numbers, each with the states of the parents, to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ...ir.diagnostic import error, nearest
from ...ir.parameter import Floats
from ...ir.store import LOADED_TOLERANCE
from .lexemes import Lexemes

MOST_ENTRIES = 1 << 24


class Rows:
    """The table [parents …, child] of a probability; `states` are those of the child, then of the parents."""

    def __init__(self, words: Lexemes, states: Sequence[Mapping[str, int]], what: str, place: int) -> None:
        self.words, self.what, self.place = words, what, place
        self.child, self.parents = states[0], states[1:]
        self.shape = [len(names) for names in self.parents] + [len(self.child)]
        if prod(self.shape) > MOST_ENTRIES:
            message = f"{what} has {prod(self.shape)} entries"
            raise error("too-large", message, words.place(place), f"a table has at most {MOST_ENTRIES}")
        self.rows = np.zeros((prod(self.shape[:-1]), self.shape[-1]))
        self.filled = np.zeros(len(self.rows), dtype=bool)
        self.default: list[float] | None = None

    def read(self) -> Floats:
        words = self.words
        words.expect("{")
        while (word := words.take("`}`")) != "}":
            if word == "(":
                self.row()
            elif word == "table":
                self.table()
            elif word == "default":
                self.default = self.numbers(self.shape[-1], rows=True)
            elif word == "property":
                while words.take("`;`") != ";":
                    pass
            else:
                hint = "a row is `(states of the parents) numbers;`, without parents `table numbers;`"
                raise words.wrong(f'"{word[:40]}" begins no row', hint)
        if not self.filled.all():
            if self.default is None:
                states = self.named(int(np.flatnonzero(~self.filled)[0]))
                message = f"{self.what} has no row {states}" if self.parents else f"{self.what} has no numbers"
                raise error("missing-row", message, words.place(self.place))
            self.rows[~self.filled] = self.default
        return self.rows.reshape(self.shape)

    def named(self, row: int) -> str:
        """The states of the parents of a row."""
        index = np.unravel_index(row, self.shape[:-1])
        return f"({', '.join(list(names)[int(i)] for names, i in zip(self.parents, index, strict=True))})"

    def row(self) -> None:
        """`(states) numbers;`, behind the parenthesis."""
        words = self.words
        row = 0
        for number, names in enumerate(self.parents):
            if number:
                words.expect(",")
            state = words.name("a state")
            if state not in names:
                hint = nearest(state, names) or f"its states are {', '.join(names)}"
                raise words.wrong(f'parent {number + 1} has no state "{state[:60]}"', hint, "unknown-name")
            row = row * len(names) + names[state]
        words.expect(")")
        if self.filled[row]:
            raise words.wrong(f"the row {self.named(row)} stands twice", code="duplicate-entry")
        self.rows[row] = self.numbers(self.shape[-1], rows=True)
        self.filled[row] = True

    def table(self) -> None:
        """`table numbers;`, behind the word: the child's values slowest."""
        words = self.words
        if self.filled.any():
            raise words.wrong("a table stands beside rows", code="duplicate-entry")
        at = words.at
        found = np.array(self.numbers(self.rows.size, rows=not self.parents)).reshape(self.rows.shape[::-1]).T
        wrong = np.flatnonzero(np.abs(found.sum(axis=1) - 1) > LOADED_TOLERANCE)
        if len(wrong):
            row = int(wrong[0])
            message = f"the row {self.named(row)} of the table sums to {found[row].sum():.9g}, not 1"
            raise error("wrong-value", message, words.place(at))
        self.rows[:], self.filled[:] = found, True

    def numbers(self, count: int, rows: bool) -> list[float]:
        """So many probabilities up to `;`; a row of them sums to 1 within 1e-5."""
        words = self.words
        start = words.at
        found: list[float] = []
        while (word := words.take("`;`")) != ";":
            if word == ",":
                continue
            try:
                found.append(float(word))
            except ValueError:
                raise words.wrong(f'"{word[:40]}" is no number') from None
            if not 0 <= found[-1] <= 1 + LOADED_TOLERANCE:
                raise words.wrong(f"{word[:40]} is no probability", code="wrong-value")
        if len(found) != count:
            message = f"{len(found)} numbers stand where {count} should"
            raise error("wrong-shape", message, words.place(start), "one per state")
        if rows and abs(sum(found) - 1) > LOADED_TOLERANCE:
            message = f"the row sums to {sum(found):.9g}, not 1"
            raise error("wrong-value", message, words.place(start), "probabilities of a row sum to 1")
        return found
