"""The tables of a Program as compiled code reads them: scaled by powers of two, packed for register blocks.

What enters are float64 numbers; what leaves is an arena in the type of the code, with, before each table, its exponent
and what the bound on underflow needs to know of it (state.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...ir.expression import Floats
from .maps import row_blocks
from .plan import Entry, Plan, padded
from .vectors import ROW, Vectors

if TYPE_CHECKING:
    from .adjoint_plan import AdjointPlan

Bytes = NDArray[np.uint8]

_TOGETHER = 1 << 20  # numbers that are packed at once


def aligned(size: int) -> Bytes:
    """Zeroed bytes on a boundary of a row."""
    raw = np.zeros(size + ROW, dtype=np.uint8)
    first = -raw.ctypes.data % ROW
    return raw[first : first + size]


def fill(plan: Plan | AdjointPlan, tables: Sequence[Floats], vectors: Vectors, arena: Bytes) -> None:
    """Writes every table to its place, those of one use and shape together."""
    fill_some(plan.entries, tables, vectors, arena)


def fill_some(
    entries: Sequence[Entry], tables: Sequence[Floats] | Mapping[int, Floats], vectors: Vectors, arena: Bytes
) -> None:
    """Writes tables, by number, to the places of some entries."""
    alike: dict[tuple[str, tuple[int, ...]], list[Entry]] = {}
    for entry in entries:
        alike.setdefault((entry.kind, tables[entry.table].shape), []).append(entry)
    for (kind, _), same in alike.items():
        step = max(1, _TOGETHER // max(1, tables[same[0].table].size))
        for start in range(0, len(same), step):
            part = same[start : start + step]
            _put(kind, part, np.stack([tables[entry.table] for entry in part]), vectors, arena)


def _put(kind: str, entries: Sequence[Entry], stacked: Floats, vectors: Vectors, arena: Bytes) -> None:
    """Writes tables of one use, [tables, …], to their places."""
    match kind:
        case "load":
            parts = _loaded(stacked, vectors)
        case "fill":
            parts = _loaded(stacked[:, None], vectors)
        case "scale":
            parts = _mapped(stacked[:, None, :, None], vectors, packed=False)
        case "transposed":
            parts = _transposed(stacked, vectors)
        case _:
            parts = _mapped(stacked, vectors, packed=True)
    head, body = (np.ascontiguousarray(part).reshape(len(entries), -1).view(np.uint8) for part in parts)
    after = padded(head.shape[1])
    for entry, first, rest in zip(entries, head, body, strict=True):
        arena[entry.offset : entry.offset + len(first)] = first
        arena[entry.offset + after : entry.offset + after + len(rest)] = rest


def kind_of(vectors: Vectors) -> tuple[type[Any], type[Any]]:
    """The numpy types of numbers and of exponents."""
    return (np.float32, np.int32) if vectors.size == 4 else (np.float64, np.int64)


def _loaded(tables: Floats, vectors: Vectors) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows [tables, count, nodes] scaled to a largest number in [1, 2), and their statistics [tables, 5, count]."""
    numbers, integers = kind_of(vectors)
    count, rows, nodes = tables.shape
    scaled, exponent, statistics = scaled_rows(tables.reshape(-1, nodes), vectors)
    head = np.concatenate([exponent.astype(integers).view(numbers)[None], statistics])
    return head.reshape(5, count, rows).transpose(1, 0, 2), scaled


def scaled_rows(table: Floats, vectors: Vectors) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[Any]]:
    """Rows [count, nodes] scaled by powers of two, their exponents, and largest, least, least non-zero and lost."""
    numbers, _ = kind_of(vectors)
    top = table.max(axis=1)
    exponent = np.where(top > 0, np.frexp(np.where(top > 0, top, 1))[1] - 1, 0)
    with np.errstate(under="ignore"):
        exact = np.ldexp(table, -exponent[:, None])
        scaled = exact.astype(numbers)
    lost = ((exact > 0) & (scaled < vectors.tiny)).any(axis=1) * 2 * vectors.tiny
    lost = np.where(((table > 0) & (exact < np.finfo(np.float64).tiny)).any(axis=1), 2 * vectors.tiny, lost)
    nonzero = np.where(scaled > 0, scaled, np.inf).min(axis=1)
    statistics = np.stack([scaled.max(axis=1), scaled.min(axis=1), nonzero, lost]).astype(numbers)
    return scaled, exponent.astype(np.int64), statistics


def _mapped(tables: Floats, vectors: Vectors, packed: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Maps [tables, blocks, rows, columns], each scaled so that no row sums to more than 1, with its exponent and its
    least non-zero number before it, [tables, a row]."""
    numbers, integers = kind_of(vectors)
    count, blocks, rows, _ = tables.shape
    axes = (1, 2, 3)
    # rows are summed below their largest number: their sums may be beyond all numbers
    largest = np.frexp(tables.max(axis=axes, initial=0.0))[1]
    top = np.ldexp(tables, -largest[:, None, None, None]).sum(axis=3).max(axis=(1, 2), initial=0.0)
    exponent = largest + np.frexp(top)[1]
    exact = np.ldexp(tables, -exponent[:, None, None, None])
    with np.errstate(under="ignore"):
        scaled = exact.astype(numbers)
    dropped = ((exact > 0) & (scaled < vectors.tiny)).any(axis=axes) | ((tables > 0) & (exact == 0)).any(axis=axes)
    least = np.where(scaled > 0, scaled, np.inf).min(axis=axes, initial=np.inf)
    head = np.zeros((count, ROW // vectors.size), dtype=numbers)
    head[:, 0] = exponent.astype(integers).view(numbers)
    head[:, 1] = np.where(dropped, 0.0, least)
    return head, _packed(scaled, vectors) if packed else scaled.reshape(count, -1)


def _transposed(tables: Floats, vectors: Vectors) -> tuple[NDArray[Any], NDArray[Any]]:
    """The transposes of maps, scaled as the maps are."""
    head, scaled = _mapped(tables, vectors, packed=False)
    return head, _packed(scaled.reshape(tables.shape).swapaxes(2, 3), vectors)


def _packed(scaled: NDArray[Any], vectors: Vectors) -> NDArray[Any]:
    """Maps [tables, blocks, rows, columns] in the order in which register blocks read them."""
    count, blocks, rows, _ = scaled.shape
    parts: list[NDArray[Any]] = []
    row = 0
    for size, number in row_blocks(rows, vectors):
        part = scaled[:, :, row : row + size * number].reshape(count, blocks, number, size, -1)
        parts.append(part.transpose(0, 1, 2, 4, 3).reshape(count, blocks, -1))
        row += size * number
    return np.concatenate(parts, axis=2)
