"""A vtree that a circuit's products fit, where the scopes of their factors overlap.

A trimmed SDD has products over parts of what its vtree splits: factors {1, 2} and {2, 3} both stand in ((1 2) (3 4)).
What enters are the partitions that the products make; what leaves is a tree in which each is split at one node, found
from the top by what must stay together (A. Aho, Y. Sagiv, T. Szymanski, J. Ullman, "Inferring a tree from lowest common
ancestors", 1981).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

Part = frozenset[int]
Partition = frozenset[Part]


@dataclass(frozen=True, slots=True)
class Subtrees:
    """A tree over elements: of each node its elements and its children, a node of one element has none; 0 is the root.

    `parents` is −1 for the root, and stands before its children.
    """

    elements: tuple[Part, ...]
    children: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]

    def lowest(self, start: int, scope: Part) -> int:
        """The lowest node below one that holds a scope."""
        node = start
        while True:
            below = next((child for child in self.children[node] if scope <= self.elements[child]), None)
            if below is None:
                return node
            node = below


def tree_of(elements: Part, partitions: Collection[Partition]) -> Subtrees | None:
    """A tree over the elements in which the parts of each partition stand below different children of one node, or of
    several, one part after another; None where there is none."""
    sets: list[Part] = [elements]
    below: list[list[int]] = [[]]
    parents = [-1]
    work: list[tuple[int, list[Partition]]] = [(0, [each for each in partitions if len(each) > 1])]
    while work:
        node, inside = work.pop()
        if len(sets[node]) == 1:
            continue
        groups = _together(sets[node], [part for partition in inside for part in partition])
        if len(groups) == 1:
            return None
        for group in groups:
            sets.append(group)
            below.append([])
            parents.append(node)
            below[node].append(len(sets) - 1)
        owner = {element: child for child in below[node] for element in sets[child]}
        split: dict[int, set[Partition]] = {child: set() for child in below[node]}
        for partition in inside:
            places: dict[int, list[Part]] = {}
            for part in partition:
                places.setdefault(owner[next(iter(part))], []).append(part)
            for child, parts in places.items():
                if len(parts) > 1:
                    split[child].add(frozenset(parts))
        work += [(child, list(found)) for child, found in split.items()]
    return Subtrees(tuple(sets), tuple(map(tuple, below)), tuple(parents))


def _together(elements: Part, parts: Sequence[Part]) -> list[Part]:
    """The finest grouping of elements in which each part lies in one group."""
    group = {element: {element} for element in elements}
    # The largest part first: most of the others lie in a group by then, which is seen at once.
    for part in sorted(set(parts), key=len, reverse=True):
        largest = group[next(iter(part))]
        while not part <= largest:
            other = group[next(iter(part - largest))]
            if len(other) > len(largest):
                largest, other = other, largest
            largest |= other
            group.update(dict.fromkeys(other, largest))
    found = {id(each): each for each in (group[element] for element in sorted(elements))}
    return [frozenset(each) for each in found.values()]
