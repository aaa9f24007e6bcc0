"""How the scopes of two compatible circuits stand to each other, over the variables that they share.

It is what a proof of compatibility carries: for each scope of one circuit the smallest of the other that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...ir.domain import Variable
from ...ir.linear import Indices
from ...ir.scope import Bits
from .witness import show_scope

_SHOWN = 20


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """The distinct scopes of the factors of two circuits, over their shared variables: bits [scopes, words] each.

    `first_in_second` has, for each scope of the first, the place of the smallest scope of the second that holds it, -1
    where none does; `second_in_first` the converse. Scopes that are equal hold each other. Only scopes of one shared
    variable or more stand here, the smaller ones first.
    """

    shared: tuple[Variable, ...]
    first: Bits
    second: Bits
    first_in_second: Indices
    second_in_first: Indices

    def pairs(self) -> Iterator[tuple[tuple[Variable, ...], tuple[Variable, ...] | None]]:
        """The scopes of the first circuit, each with the smallest one of the second that holds it."""
        for scope, place in zip(self.first, self.first_in_second.tolist(), strict=True):
            yield self._names(scope), None if place < 0 else self._names(self.second[place])

    def _names(self, scope: Bits) -> tuple[Variable, ...]:
        bits = np.unpackbits(np.ascontiguousarray(scope).view(np.uint8), bitorder="little")
        return tuple(self.shared[place] for place in np.flatnonzero(bits))

    def __str__(self) -> str:
        """One line for each scope of the first circuit: {x} in {x, y}; and that there are more."""
        lines: list[str] = []
        for scope, holder in self.pairs():
            if len(lines) == _SHOWN:
                return "\n".join([*lines, f"… {len(self.first) - _SHOWN} more"])
            lines.append(f"{show_scope(scope)} in {'none' if holder is None else show_scope(holder)}")
        return "\n".join(lines)
