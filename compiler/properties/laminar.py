"""Whether sets are pairwise nested or disjoint, and the tree that they form if so.

What enters is sets as bits, [sets, words]; what leaves is their tree, or two of them that overlap. Such a family over n
elements has fewer than 2n sets of two or more, so that however many sets there are, at most 2n are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...ir.domain import Variable
from ...ir.linear import Indices
from ...ir.scope import Bits
from ...ir.support import Booleans
from .vtree import Vtree


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two sets, by their rows, that share elements and each have one of their own."""

    first: int
    second: int


@dataclass(frozen=True)
class Tree:
    """The tree of a family: nodes 0 … n-1 are its n elements, the others its sets of two or more; -1 is no parent.

    Sets stand after those that they lie in; `sources` are the rows that they were.
    """

    elements: int
    parents: Indices
    sources: Indices

    @cached_property
    def _walk(self) -> tuple[Indices, Indices, Indices]:
        """The elements from left to right, and the stretch lo … hi of them that each node has."""
        count = len(self.parents)
        lo, hi = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        order: list[int] = []
        children = self.children
        stack = [(int(node), False) for node in np.flatnonzero(self.parents < 0)[::-1]]
        while stack:
            node, expanded = stack.pop()
            if expanded:
                hi[node] = len(order)
                continue
            lo[node] = len(order)
            if node < self.elements:
                order.append(node)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children.get(node, [])))
        return np.array(order, dtype=np.int64), lo, hi

    @cached_property
    def children(self) -> dict[int, list[int]]:
        """The children of each set, in the order of their first elements."""
        first = np.arange(len(self.parents))
        first[self.elements :] = self.elements
        for node in [*range(self.elements), *self.bottom_up]:
            parent = self.parents[node]
            if parent >= 0:
                first[parent] = min(first[parent], first[node])
        found: dict[int, list[int]] = {}
        for node in np.argsort(first, kind="stable").tolist():
            if (parent := int(self.parents[node])) >= 0:
                found.setdefault(parent, []).append(node)
        return found

    @property
    def bottom_up(self) -> range:
        """The sets, smaller ones before those that they lie in."""
        return range(len(self.parents) - 1, self.elements - 1, -1)

    def counts(self, elements: Booleans) -> Indices:
        """How many of the given elements each node has."""
        order, lo, hi = self._walk
        running = np.concatenate([[0], np.cumsum(elements[order])])
        return np.asarray(running[hi] - running[lo])

    @cached_property
    def sizes(self) -> Indices:
        """The number of elements of each node."""
        return self.counts(np.ones(self.elements, dtype=bool))

    def parts(self, elements: Booleans) -> Indices:
        """The fewest nodes of the tree that make up a set of elements."""
        full = self.counts(elements) == self.sizes
        covered = np.append(full, False)[self.parents]
        return np.flatnonzero(full & ~covered)

    def accepts(self, elements: Booleans) -> bool:
        """Whether a set is nested in or disjoint from each node."""
        found = self.counts(elements)
        return bool(np.all((found == 0) | (found == self.sizes) | (found == np.count_nonzero(elements))))

    def vtree(self, variables: tuple[Variable, ...], present: Booleans) -> Vtree:
        """The tree over the elements that are present, which are those below the first set, or the one element."""
        nodes: list[Variable | tuple[int, ...]] = []
        place: dict[int, int] = {}
        for element in np.flatnonzero(present).tolist():
            place[element] = len(nodes)
            nodes.append(variables[element])
        for node in self.bottom_up:
            place[node] = len(nodes)
            nodes.append(tuple(place[child] for child in self.children[node]))
        return Vtree(tuple(nodes))


def bits_of(row: Bits, elements: int) -> Booleans:
    """A set as truth values, one per element."""
    return np.unpackbits(np.ascontiguousarray(row).view(np.uint8), bitorder="little", count=elements).astype(bool)


def sizes_of(rows: Bits) -> Indices:
    """The number of elements of each set."""
    return np.asarray(np.bitwise_count(rows).sum(axis=1, dtype=np.int64))


def nest(rows: Bits, elements: int, optional: Booleans | None = None) -> Tree | Overlap:
    """The tree of distinct sets over `elements` elements, or two that overlap; optional sets that do are left out.

    From the largest set to the smallest, each element points to the smallest set so far that has it. A set fits if
    all its elements point to one and the same; otherwise it overlaps one of those that they point to.
    """
    sizes = sizes_of(rows)
    smallest = np.full(elements, -1)
    parents: list[int] = []
    source: list[int] = []
    for place in np.argsort(-sizes, kind="stable").tolist():
        if sizes[place] < 2:
            break
        members = np.flatnonzero(bits_of(rows[place], elements))
        found = smallest[members]
        if (found != found[0]).any():
            if optional is not None and optional[place]:
                continue
            return _overlap(rows, elements, place, np.unique(found), source)
        parents.append(int(found[0]))
        smallest[members] = len(source)
        source.append(place)
    above = np.array(parents, dtype=np.int64)
    whole = np.concatenate([smallest, above])
    return Tree(elements, np.where(whole < 0, -1, whole + elements), np.array(source, dtype=np.int64))


def _overlap(rows: Bits, elements: int, place: int, pointed: Indices, source: list[int]) -> Overlap:
    members = bits_of(rows[place], elements)
    for candidate in pointed.tolist():
        if candidate >= 0 and np.any(members & ~bits_of(rows[source[candidate]], elements)):
            return Overlap(source[candidate], place)
    raise AssertionError("a set that points to different sets overlaps one of them")
