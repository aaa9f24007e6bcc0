"""Native code that packs tables against numpy's (arena.py), and what it leaves to that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from danaus.backends.cpu import arena, packed
from danaus.backends.cpu.machine import host
from danaus.backends.cpu.plan import Entry

SHAPES = {
    "load": [(17, 24), (6, 3), (9, 8), (2, 1)],
    "contract": [(1, 32, 16), (2, 5, 16), (3, 1, 8), (1, 7, 3), (2, 13, 24)],
}


def _packing(kind: str, shape: tuple[int, ...], size: int, by_node: bool) -> tuple[packed.Packing, Any]:
    vectors = host().vectors(size)
    kinds = ["contract", "transposed"] if kind == "contract" else [kind]
    entries, place = [], 0
    for each in kinds:
        entries.append(Entry(each, 0, place))
        place += -(-arena.size_of(each, shape, vectors) // 128) * 128
    plan: Any = SimpleNamespace(entries=entries, arena=place + 128)
    found = packed.Packing(plan, [shape], frozenset([0] if by_node else []), vectors, host())
    found.code_for(8)
    return found, vectors


def _source(table: np.ndarray, by_node: bool, outer: int) -> np.ndarray:
    own = table[:-1].T if by_node else table
    return np.ascontiguousarray(own, dtype=np.float32 if outer == 4 else np.float64)


@pytest.mark.parametrize("outer", [4, 8])
@pytest.mark.parametrize(("kind", "shape"), [(kind, shape) for kind, shapes in SHAPES.items() for shape in shapes])
def test_packed_numbers_are_those_of_numpy(kind: str, shape: tuple[int, ...], outer: int) -> None:
    random, by_node = np.random.default_rng(len(shape)), kind == "load"
    table = random.random(shape).astype(np.float32).astype(float) + 2.0**-20
    if by_node:
        table[-1] = table[:-1].sum(axis=0)
    packing, vectors = _packing(kind, shape, 4, by_node)

    def never(_: object) -> list[np.ndarray]:
        raise AssertionError("a plain table was left to numpy")

    found = packing.fill([_source(table, by_node, outer)], never)
    assert found is not None and not found.exact and not found.zero
    want = arena.aligned(packing.plan.arena)
    arena.fill_some(packing.plan.entries, [table], vectors, want)
    np.testing.assert_allclose(found.place.view(np.float32), want.view(np.float32), rtol=1e-6, atol=0)


@pytest.mark.parametrize("outer", [4, 8])
@pytest.mark.parametrize(("kind", "shape"), [("load", (17, 24)), ("load", (6, 3)), ("contract", (1, 32, 16))])
@pytest.mark.parametrize("strange", [1e-36, 1e35, np.nan, np.inf, -0.5, 0.0])
def test_numbers_out_of_reach_are_left_to_numpy(kind: str, shape: tuple[int, ...], outer: int, strange: float) -> None:
    by_node = kind == "load"
    for at in (0, int(np.prod(shape)) // 2 - 1, int(np.prod(shape[:-1]) - by_node) * shape[-1] - 1):
        table = np.full(shape, 0.25)
        table.ravel()[at] = strange
        if by_node:
            table[-1] = table[:-1].sum(axis=0)
        packing, _ = _packing(kind, shape, 4, by_node)
        asked: list[object] = []

        def exactly(numbers: Any, asked: list[object] = asked, table: np.ndarray = table) -> list[np.ndarray]:
            asked.append(tuple(numbers))
            return [table]

        found = packing.fill([_source(table, by_node, outer)], exactly)
        assert asked == ([] if strange == 0 else [(0,)])
        assert (found is None) == (strange < 0 or not np.isfinite(strange))
        if found is not None:
            assert (found.zero, found.exact) == ({0} if strange == 0 else set(), set() if strange == 0 else {0})
