"""How the factors of two products go together: groups that share variables, each around one largest factor.

What enters are the shared variables of each factor, as bits; what leaves says which factors are multiplied with which,
and which stand alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """Factors of both sides that share variables: at least one of each, and on one of the sides just one."""

    left: tuple[int, ...]
    right: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups, and the factors of each side that share no variable with the other."""

    groups: tuple[Group, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]

    def is_whole(self, left: int, right: int) -> bool:
        """Whether one group holds all of so many factors."""
        return len(self.groups) == 1 and (len(self.groups[0].left), len(self.groups[0].right)) == (left, right)


def grouping(left: Sequence[int], right: Sequence[int]) -> Grouping:
    """The groups of factors whose bits overlap. Where scopes are nested or disjoint, each is around one factor."""
    owner: dict[int, int] = {}
    for place, mask in enumerate(right):
        rest = mask
        while rest:
            bit = rest & -rest
            owner[bit] = place
            rest ^= bit
    lefts: dict[int, list[int]] = {}
    rights: dict[int, list[int]] = {}
    for place, mask in enumerate(left):
        rest, found = mask, list[int]()
        while rest:
            bit = rest & -rest
            if bit in owner:
                other = owner[bit]
                found.append(other)
                rest &= ~right[other]
            else:
                rest ^= bit
        if found:
            rights[place] = sorted(found)
            for other in found:
                lefts.setdefault(other, []).append(place)
    groups: list[Group] = []
    for place, others in rights.items():
        if len(others) > 1 or len(lefts[others[0]]) == 1:
            groups.append(Group((place,), tuple(others)))
    for other, places in lefts.items():
        if len(places) > 1:
            groups.append(Group(tuple(places), (other,)))
    alone = tuple(place for place in range(len(left)) if place not in rights)
    return Grouping(tuple(groups), alone, tuple(place for place in range(len(right)) if place not in lefts))
