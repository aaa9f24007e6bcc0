"""Equal rows found fast: by hashes, checked, so that an accident of hashing costs sharing and never truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Words = NDArray[np.uint64]


_MANY = 1 << 18
_DIFFERENT = 0.98
"""Sorting takes most of the time of large tables, and sharing one node in fifty gains little."""


def _mixed(words: Words) -> Words:
    """A bijection of 64-bit words that spreads every bit (the finaliser of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _places(hashes: Words) -> tuple[Indices, Indices]:
    """For each hash the place of its class, and the first member of each class; classes are in order of appearance.

    Of many, those of one hash in 64 are counted first: where nearly all are different, all are said to be, unsorted.
    """
    if len(hashes) > _MANY:
        some = hashes[hashes & np.uint64(63) == 0]
        if len(np.unique(some)) > _DIFFERENT * len(some):
            each = np.arange(len(hashes))
            return each, each
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse], first[order]


def unique_rows(columns: tuple[Indices, ...]) -> tuple[Indices, Indices]:
    """For each row the place of its class, and the first row of each class, in order of appearance."""
    hashes = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        hashes = _mixed(hashes * np.uint64(3) + column.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    place, first = _places(hashes)
    wrong = np.zeros(len(hashes), dtype=bool)
    for column in columns:
        wrong |= column[first][place] != column
    return _parted(place, first, wrong)


def unique_stretches(columns: tuple[Indices, ...], offsets: Indices) -> tuple[Indices, Indices]:
    """The same for stretches of rows, offsets[i] … offsets[i+1], none of them empty."""
    lengths = np.diff(offsets)
    within = np.arange(len(columns[0])) - np.repeat(offsets[:-1], lengths)
    each = _mixed(within.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    for column in columns:
        each = _mixed(each * np.uint64(3) + column.view(np.uint64))
    place, first = _places(_mixed(np.add.reduceat(each, offsets[:-1]) + lengths.view(np.uint64)))
    like = np.where(lengths[first[place]] == lengths, first[place], np.arange(len(place)))
    partner = np.repeat(offsets[:-1][like], lengths) + within
    differs = np.zeros(len(within), dtype=bool)
    for column in columns:
        differs |= column[partner] != column
    wrong = (np.add.reduceat(differs.astype(np.int64), offsets[:-1]) > 0) | (like != first[place])
    return _parted(place, first, wrong)


def _parted(place: Indices, first: Indices, wrong: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """Rows that only share a hash with the first of their class get classes of their own."""
    lone = np.flatnonzero(wrong)
    if len(lone):
        place = place.copy()
        place[lone] = len(first) + np.arange(len(lone))
        first = np.concatenate([first, lone])
    return place, first
