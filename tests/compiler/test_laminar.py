"""Families of sets: the tree that they form is found where they are nested or disjoint, and two that overlap if not."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from danaus.compiler.properties.laminar import Overlap, Tree, bits_of, nest

Family = list[frozenset[int]]
ELEMENTS = 70  # two words
families = st.lists(st.frozensets(st.integers(60, ELEMENTS - 1)), min_size=1, max_size=5, unique=True)


def rows_of(family: Family) -> np.ndarray:
    rows = np.zeros((len(family), 2), dtype=np.uint64)
    for row, members in zip(rows, family, strict=True):
        for member in members:
            row[member // 64] |= np.uint64(1 << (member % 64))
    return rows


def overlapping(one: frozenset[int], other: frozenset[int]) -> bool:
    return bool(one & other and one - other and other - one)


@given(families)
def test_a_tree_or_two_sets_that_overlap(family: Family) -> None:
    found = nest(rows_of(family), ELEMENTS)
    if isinstance(found, Overlap):
        assert overlapping(family[found.first], family[found.second])
    else:
        assert not any(overlapping(one, other) for one, other in combinations(family, 2))
        assert_tree(found, family)


@given(families, families)
def test_optional_sets_are_kept_where_they_fit(family: Family, more: Family) -> None:
    if any(overlapping(one, other) for one, other in combinations(family, 2)):
        return
    more = [each for each in more if each not in family and not any(overlapping(each, other) for other in family)]
    both = family + more
    found = nest(rows_of(both), ELEMENTS, np.arange(len(both)) >= len(family))
    assert isinstance(found, Tree)
    kept = [both[place] for place in found.sources.tolist()]
    assert {each for each in family if len(each) > 1} <= set(kept)
    assert not any(overlapping(one, other) for one, other in combinations(kept, 2))


def assert_tree(tree: Tree, family: Family) -> None:
    sets = {ELEMENTS + place: family[source] for place, source in enumerate(tree.sources.tolist())}
    sets |= {element: frozenset([element]) for element in range(ELEMENTS)}
    assert sum(len(each) > 1 for each in family) == len(tree.sources)
    for node, members in sets.items():
        above = [other for other, larger in sets.items() if members < larger]
        parent = min(above, key=lambda other: len(sets[other]), default=-1)
        assert tree.parents[node] == parent
        assert tree.sizes[node] == len(members)
    for members in family:
        chosen = np.isin(np.arange(ELEMENTS), list(members))
        parts = tree.parts(chosen).tolist()
        assert frozenset().union(*(sets[part] for part in parts)) == members
        assert len(parts) <= 1
        assert tree.accepts(chosen)
    half = np.arange(ELEMENTS) % 2 == 0
    parts = tree.parts(half).tolist()
    assert sum(len(sets[part]) for part in parts) == half.sum()
    assert frozenset().union(*(sets[part] for part in parts)) == frozenset(np.flatnonzero(half).tolist())


def test_bits_of_a_row() -> None:
    assert np.flatnonzero(bits_of(rows_of([frozenset([0, 63, 64, 69])])[0], ELEMENTS)).tolist() == [0, 63, 64, 69]


def test_twenty_thousand_sets_that_overlap_are_refuted_before_most_are_seen() -> None:
    generator = np.random.default_rng(0)
    rows = np.unique(generator.integers(1 << 63, size=(20_000, 100), dtype=np.uint64), axis=0)
    assert isinstance(nest(rows, 6_400), Overlap)
