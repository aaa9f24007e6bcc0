"""Vtrees: `vtree N`, then leaves `L id variable` and inner nodes `I id left right`, children first.

What enters is a path; what leaves says of each node which leaves stand below it, so that a file's nodes can be held
against it. The syntax is that of libsdd (A. Choi and A. Darwiche).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import DanausError, Diagnostic, error
from ...ir.linear import Indices
from .decisions import Decisions
from .lines import require_letters, require_literals
from .numbered import Numbered, header
from .tokens import Words

_LINES = "a line is `L id variable` or `I id left right`"


@dataclass(frozen=True, slots=True)
class Vtree:
    """Nodes by number: node `ids[i]` has the leaves first[i] … last[i] − 1, from left to right.

    variable[i] is that of a leaf, 0 of an inner node; middle[i] is where the right child's leaves start.
    """

    numbered: Numbered
    first: Indices
    middle: Indices
    last: Indices
    variable: Indices

    @property
    def variables(self) -> int:
        """The largest variable."""
        return int(self.variable.max())


def read_vtree(path: Path) -> Vtree:
    """The vtree of a file.

    Raises: DanausError with the place of what the file gets wrong.
    """
    words = Words.read(path)
    header(words, "vtree")
    firsts, counts, letters = words.lines[1:-1].astype(np.int64), words.counts[1:], words.letters[1:]
    require_letters(words, np.arange(1, len(words.letters)), b"LI", _LINES)
    leaf = letters == ord("L")
    wrong = np.flatnonzero(counts != np.where(leaf, 3, 4))
    if len(wrong):
        raise error("wrong-node", "this line is no node", words.line_span(int(wrong[0]) + 1), hint=_LINES)
    if not len(firsts):
        raise error("wrong-format", f"{words.name} holds no nodes", words.line_span(0))
    words.require_integers()
    values = words.values.astype(np.int64)
    numbered = Numbered.of(words, firsts + 1, values[firsts + 1])
    leaf_places = firsts[leaf] + 2
    variables = values[leaf_places]
    require_literals(words, leaf_places, variables, None)
    _require_new(words, leaf_places, variables, "variable {} has another leaf")
    negative = np.flatnonzero(variables < 0)
    if len(negative):
        raise error("wrong-literal", "a leaf has a variable", words.span(int(leaf_places[negative[0]])), hint=_LINES)
    inner = np.flatnonzero(~leaf)
    child_places = (firsts[inner, None] + np.array([2, 3])).ravel()
    below = numbered.find(words, child_places, values[child_places], np.repeat(inner, 2))
    _require_new(words, child_places, below, "this node has another parent")
    if len(below) != len(firsts) - 1:
        alone = np.ones(len(firsts), dtype=bool)
        alone[below] = False
        line = int(np.flatnonzero(alone)[0])
        raise error("wrong-node", "this node has no parent, and is not the last", words.line_span(line + 1))
    return _laid(numbered, leaf, inner, below.reshape(-1, 2), variables)


def _require_new(words: Words, places: Indices, found: Indices, message: str) -> None:
    """Raises DanausError `wrong-node` where something stands a second time."""
    _, first = np.unique(found, return_index=True)
    if len(first) < len(found):
        again = np.ones(len(found), dtype=bool)
        again[first] = False
        at = int(np.flatnonzero(again)[0])
        raise error("wrong-node", message.format(found[at]), words.span(int(places[at])))


def _laid(numbered: Numbered, leaf: NDArray[np.bool_], inner: Indices, below: Indices, variables: Indices) -> Vtree:
    sizes = leaf.astype(np.int64).tolist()
    pairs = below.tolist()
    for node, (left, right) in zip(inner.tolist(), pairs, strict=True):
        sizes[node] = sizes[left] + sizes[right]
    first = [0] * len(sizes)
    middle = np.zeros(len(sizes), dtype=np.int64)
    for node, (left, right) in zip(inner[::-1].tolist(), reversed(pairs), strict=True):
        first[left] = first[node]
        first[right] = middle[node] = first[node] + sizes[left]
    starts = np.array(first, dtype=np.int64)
    variable = np.zeros(len(sizes), dtype=np.int64)
    variable[leaf] = variables
    return Vtree(numbered, starts, middle, starts + np.array(sizes), variable)


def found_vtree(nodes: Decisions, path: Path, given: Path | None) -> tuple[Vtree | None, list[Diagnostic]]:
    """The vtree of a file's nodes: the one that the caller names, or the one of the same stem in the same folder.

    One that lies there but has other variables is left out, with a warning.
    Raises: DanausError `wrong-vtree` where the one that the caller names does not fit, and what `read_vtree` raises.
    """
    if given is not None:
        vtree = read_vtree(given)
        for diagnostic in _misfit(nodes, vtree):
            raise DanausError(diagnostic)
        return vtree, []
    stem = path.with_suffix("") if path.suffix == ".gz" else path
    for suffix in (".vtree", ".vtree.gz"):
        beside = stem.with_suffix(suffix)
        if beside.is_file():
            vtree = read_vtree(beside)
            notes = [replace(wrong, severity="warning") for wrong in _misfit(nodes, vtree)]
            return (None if notes else vtree), notes
    return None, []


_HINT = "`vtree=…` names the vtree that the file was made with"


def _misfit(nodes: Decisions, vtree: Vtree) -> list[Diagnostic]:
    """The first node that does not stand where the vtree has its variables, if there is one."""
    words = nodes.words
    lines = np.flatnonzero((nodes.letters == ord("D")) | (nodes.literals != 0))
    places = words.lines[1:-1][lines] + 2
    found, there = vtree.numbered.look(nodes.stands[lines])
    absent = np.flatnonzero(~there)
    if len(absent):
        place = int(places[absent[0]])
        return [_wrong(words, place, f"the vtree has no node {words.word(place)}")]
    other = np.flatnonzero(vtree.variable[found] != np.abs(nodes.literals[lines]))  # of decisions: that it is no leaf
    if len(other):
        at = int(other[0])
        leaf = int(vtree.variable[found[at]])
        has = f"a leaf, of variable {leaf}" if leaf else "no leaf"
        return [_wrong(words, int(places[at]), f"node {words.word(int(places[at]))} of the vtree is {has}")]
    where = np.full(len(nodes.letters), -1)
    where[lines] = found
    parent = where[nodes.owner]
    for side, (low, high, word) in enumerate(
        ((vtree.first, vtree.middle, "left"), (vtree.middle, vtree.last, "right"))
    ):
        child = where[nodes.below[:, side]]
        below = (vtree.first[child] >= low[parent]) & (vtree.last[child] <= high[parent])
        outside = np.flatnonzero((child >= 0) & ~below)
        if len(outside):
            place = int(nodes.places[outside[0]]) + side
            return [_wrong(words, place, f"node {words.word(place)} is not of the {word} branch of the vtree here")]
    return []


def _wrong(words: Words, place: int, message: str) -> Diagnostic:
    return Diagnostic("wrong-vtree", message, words.span(place), _HINT)
