"""Nodes that name one another by numbers of the file's choice, each on its line behind those that it names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import error
from ...ir.linear import Indices
from .tokens import Words


def header(words: Words, kind: str) -> int:
    """The number in the first line, `kind number`.

    Raises: DanausError `wrong-format`, `wrong-header`.
    """
    if not len(words.counts):
        raise error("wrong-format", f"{words.name} holds no nodes", hint=f"a file starts with `{kind} NODES`")
    if words.word(0) != kind:
        message = f'"{words.word(0)[:40]}" starts no .{kind} file'
        raise error("wrong-format", message, words.span(0), hint=f"one starts with `{kind} NODES`")
    if words.counts[0] != 2 or (count := int(words.integers(np.array([1]))[0])) < 0:
        raise error("wrong-header", "the header is not whole", words.line_span(0), hint=f"{kind} NODES")
    return count


@dataclass(frozen=True, slots=True)
class Numbered:
    """The numbers of the nodes in order, and of each which node has it, counted from 0 in the order of the lines."""

    ids: Indices
    nodes: Indices

    @staticmethod
    def of(words: Words, places: Indices, ids: Indices) -> Numbered:
        """The nodes whose numbers stand at these places.

        Raises: DanausError `wrong-node` where two nodes have one number.
        """
        order = np.argsort(ids, kind="stable")
        ordered = ids[order]
        again = order[1:][ordered[1:] == ordered[:-1]]
        if len(again):
            place = int(places[again.min()])
            raise error("wrong-node", f"there is another node {words.word(place)}", words.span(place))
        return Numbered(ordered, order)

    def find(self, words: Words, places: Indices, named: Indices, owner: Indices) -> Indices:
        """The nodes that are named at these places, in the lines of their owners.

        Raises: DanausError `wrong-node` where there is none of this number, or it does not stand before its owner.
        """
        found, there = self.look(named)
        late = np.flatnonzero(~there | (found >= owner))
        if len(late):
            at = int(late[0])
            word = words.word(int(places[at]))
            message = f"node {word} does not stand before this line" if there[at] else f"there is no node {word}"
            raise error("wrong-node", message, words.span(int(places[at])), hint="children come first")
        return found

    def look(self, named: Indices) -> tuple[Indices, NDArray[np.bool_]]:
        """The node of each number, and whether there is one."""
        at = np.minimum(np.searchsorted(self.ids, named), max(len(self.ids) - 1, 0))
        if not len(self.ids):
            return np.zeros(len(named), dtype=np.int64), np.zeros(len(named), dtype=bool)
        return self.nodes[at], self.ids[at] == named
