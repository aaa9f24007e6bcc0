"""Classes of equal rows and stretches, against dictionaries."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from danaus.frontend.formats.unique import unique_rows, unique_stretches


@pytest.mark.parametrize("seed", range(20))
def test_rows_and_stretches(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 200))
    columns = tuple(random.integers(0, 4, size=count) for _ in range(random.integers(1, 4)))
    place, first = unique_rows(columns)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    seen: dict[tuple[int, ...], int] = {}
    assert place.tolist() == [seen.setdefault(row, len(seen)) for row in rows]
    assert [rows[i] for i in first] == list(seen)
    bounds = [0, *sorted({int(i) for i in random.integers(1, count + 1, size=count // 2)} - {count}), count]
    place, first = unique_stretches(columns, np.array(bounds))
    stretches = [tuple(rows[a:b]) for a, b in pairwise(bounds)]
    known: dict[tuple[tuple[int, ...], ...], int] = {}
    assert place.tolist() == [known.setdefault(stretch, len(known)) for stretch in stretches]
    assert [stretches[i] for i in first] == list(known)


def test_many_rows() -> None:
    numbers = np.arange(600_000)
    place, first = unique_rows((numbers,))
    assert np.array_equal(place, numbers)
    assert np.array_equal(first, numbers)
    place, first = unique_rows((numbers % 100_000,))
    assert np.array_equal(first, np.arange(100_000))
    assert np.array_equal(first[place] % 100_000, numbers % 100_000)
