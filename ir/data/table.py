"""What leaves this room: rows of values with what was observed of them, or the list of a file's mistakes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..diagnostic import DanausError, Diagnostic, nearest
from ..domain import Variable, first_value
from ..span import Note
from .value import Floats, Mask

_MOST_MISTAKES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows of a data file: `values` float64 [rows, variables] and `observed` bool [rows, variables].

    Finite domains and counts hold their values (codes of `cat`, the raw numbers of `int(lo, hi)`). Where a value is not
    observed, `values` holds the first value of the domain, so that it may stand as an index.
    """

    variables: tuple[Variable, ...]
    values: Floats
    observed: Mask
    name: str = ""
    columns: tuple[str, ...] | None = None  # the names that the file gives, if it gives any
    lines: NDArray[np.int64] | None = None  # where each row begins in a file of text, counted from 1

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.values)

    @property
    def absent(self) -> tuple[Variable, ...]:
        """The variables that the file has no column for."""
        if self.columns is None:
            return ()
        return tuple(variable for variable in self.variables if variable.name not in self.columns)

    def place(self, row: int) -> str:
        """A row in words: its line in a file of text, otherwise its index."""
        return f"line {self.lines[row]}" if self.lines is not None else f"row {row} (from 0)"

    def require_complete(self, query: str = "likelihood") -> None:
        """Raises DanausError `missing-value` where a value is missing, and points to `marginal`."""
        mistakes = Mistakes()
        hint = f"{query} needs every value; marginal sums out what is missing"
        for variable in self.absent:
            close = nearest(variable.name, self.columns or ())
            mistakes.add(Diagnostic("missing-value", f"{self.name}: no column {variable}", hint=close or hint))
        for row, column in np.argwhere(~self.observed).tolist():
            if mistakes.full:
                break
            if (variable := self.variables[column]) not in self.absent:
                message = f"{self.name}: {self.place(row)}, {variable} is missing"
                mistakes.add(Diagnostic("missing-value", message, hint=hint))
        mistakes.finish()


def filled(values: Floats, variables: tuple[Variable, ...], name: str = "") -> Data:
    """The data of [rows, variables] numbers, NaN where they are missing; `values` is overwritten there."""
    observed = ~np.isnan(values)
    if not observed.all():
        firsts = np.array([first_value(variable.domain) for variable in variables], np.float64)
        np.copyto(values, firsts, where=~observed)
    return Data(variables, values, observed, name)


@dataclass(slots=True)
class Mistakes:
    """The first mistakes of a file; `finish` raises them at once, and says so if there are more than it shows."""

    found: list[Diagnostic] = field(default_factory=list[Diagnostic])
    full: bool = False  # more came than there is room for: looking on is of no use

    def add(self, diagnostic: Diagnostic) -> None:
        """Keeps a mistake while there is room."""
        if len(self.found) < _MOST_MISTAKES:
            self.found.append(diagnostic)
        else:
            self.full = True

    def finish(self) -> None:
        """Raises DanausError with the mistakes, in the order of the text, if there are any."""
        self.found.sort(key=lambda found: (found.span.line, found.span.column) if found.span else (0, 0))
        if self.full:
            last = self.found[-1]
            note = Note("there are more mistakes, which are not shown")
            self.found[-1] = Diagnostic(last.code, last.message, last.span, last.hint, (*last.notes, note))
        if self.found:
            raise DanausError(*self.found)
