"""The tables of a Program as compiled code reads them: scaled by powers of two, packed for register blocks.

What enters are float64 numbers; what leaves is an arena in the type of the code, with, before each table, its exponent
and what the bound on underflow needs to know of it (state.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...ir.parameter import Floats
from .maps import row_blocks
from .plan import Entry, Plan, padded, size_of
from .state import HEAD
from .vectors import ROW, Vectors

if TYPE_CHECKING:
    from .adjoint_plan import AdjointPlan

Bytes = NDArray[np.uint8]
Tables = Sequence[Floats] | Mapping[int, Floats]

_TOGETHER = 1 << 15
"""Numbers that are packed at once: as many as stay in a second-level cache."""

_PLAIN = 2.0**500
"""Up to here, and down to its inverse, powers of two scale numbers and sums of them without a thought."""


def aligned(size: int) -> Bytes:
    """Zeroed bytes on a boundary of a row."""
    raw = np.zeros(size + ROW, dtype=np.uint8)
    first = -raw.ctypes.data % ROW
    return raw[first : first + size]


def fill(plan: Plan | AdjointPlan, tables: Sequence[Floats], vectors: Vectors, arena: Bytes) -> None:
    """Writes every table to its place."""
    fill_some(plan.entries, tables, vectors, arena)


def fill_some(entries: Sequence[Entry], tables: Tables, vectors: Vectors, arena: Bytes) -> None:
    """Writes tables, by number, to places; small ones of one use and shape that lie side by side together."""
    together: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: entry.offset):
        shape = tables[entry.table].shape
        if together:
            first, last = together[0], together[-1]
            alike = first.kind == entry.kind and tables[first.table].shape == shape
            beside = entry.offset - last.offset == size_of(entry.kind, shape, vectors)
            if not alike or not beside or (len(together) + 1) * prod(shape) > _TOGETHER:
                _put(together, tables, vectors, arena)
                together = []
        together.append(entry)
    if together:
        _put(together, tables, vectors, arena)


def _put(entries: Sequence[Entry], tables: Tables, vectors: Vectors, arena: Bytes) -> None:
    """Writes tables of one use and shape to their places, which lie side by side."""
    kind, count = entries[0].kind, len(entries)
    first = tables[entries[0].table]
    stacked = first[None] if count == 1 else np.stack([tables[entry.table] for entry in entries])
    match kind:
        case "load":
            head, body = _loaded(stacked, vectors)
        case "fill":
            head, body = _loaded(stacked[:, None], vectors)
        case "scale":
            head, body = _mapped(stacked[:, None, :, None], vectors)
        case _:
            head, body = _mapped(stacked, vectors)
    numbers, _ = kind_of(vectors)
    size, offset = size_of(kind, first.shape, vectors) // vectors.size, entries[0].offset
    place = arena[offset : offset + count * size * vectors.size].view(numbers).reshape(count, size)
    flat = head.reshape(count, -1)
    place[:, : flat.shape[1]] = flat
    after = padded(flat.shape[1] * vectors.size) // vectors.size
    rest = place[:, after : after + first.size]
    match kind:
        case "contract":
            _pack(body, rest, vectors)
        case "transposed":
            _pack(body.swapaxes(2, 3), rest, vectors)
        case _:
            rest.reshape(body.shape)[...] = body


def _pack(maps: NDArray[Any], place: NDArray[Any], vectors: Vectors) -> None:
    """Writes maps [tables, blocks, rows, columns] in the order in which register blocks read them."""
    count, blocks, rows, columns = maps.shape
    place = place.reshape(count, blocks, rows * columns)
    row = 0
    for size, number in row_blocks(rows, vectors):
        part = place[:, :, row * columns : (row + size * number) * columns]
        from_rows = maps[:, :, row : row + size * number].reshape(count, blocks, number, size, columns)
        part.reshape(count, blocks, number, columns, size)[...] = from_rows.swapaxes(3, 4)
        row += size * number


def kind_of(vectors: Vectors) -> tuple[type[Any], type[Any]]:
    """The numpy types of numbers and of exponents."""
    return (np.float32, np.int32) if vectors.size == 4 else (np.float64, np.int64)


def _loaded(tables: Floats, vectors: Vectors) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows [tables, count, nodes] scaled to a largest number in [1, 2), and their statistics [tables, count, HEAD]."""
    numbers, integers = kind_of(vectors)
    count, rows, nodes = tables.shape
    scaled, exponent, statistics = scaled_rows(tables.reshape(-1, nodes), vectors)
    head = np.zeros((count * rows, HEAD), dtype=numbers)
    head[:, 0] = exponent.astype(integers).view(numbers)
    head[:, 1:5] = statistics.T
    return head.reshape(count, rows, HEAD), scaled.reshape(count, rows, nodes)


def scaled_rows(table: Floats, vectors: Vectors) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[Any]]:
    """Rows [count, nodes] scaled by powers of two, their exponents, and largest, least, least non-zero and lost.

    Of signed numbers all but the signs is that of their magnitudes.
    """
    if vectors.signed:
        scaled, exponent, statistics = scaled_rows(np.abs(table), replace(vectors, signed=False))
        return np.copysign(scaled, table), exponent, statistics
    numbers, _ = kind_of(vectors)
    top, bottom = table.max(axis=1), table.min(axis=1)
    exponent = np.where(top > 0, np.frexp(np.where(top > 0, top, 1))[1] - 1, 0)
    if _plain(bottom, top):
        factor = np.ldexp(1.0, -exponent)
        least = (bottom * factor).astype(numbers)
        if (least >= vectors.tiny).all():  # nothing underflows, and the order of numbers stays what it was
            largest = (top * factor).astype(numbers)
            statistics = np.stack([largest, least, least, np.zeros_like(least)])
            return table * factor[:, None], exponent.astype(np.int64), statistics
    with np.errstate(under="ignore"):
        exact = np.ldexp(table, -exponent[:, None])
        scaled = exact.astype(numbers)
    lost = ((exact > 0) & (scaled < vectors.tiny)).any(axis=1) * 2 * vectors.tiny
    lost = np.where(((table > 0) & (exact < np.finfo(np.float64).tiny)).any(axis=1), 2 * vectors.tiny, lost)
    nonzero = np.where(scaled > 0, scaled, np.inf).min(axis=1)
    statistics = np.stack([scaled.max(axis=1), scaled.min(axis=1), nonzero, lost]).astype(numbers)
    return scaled, exponent.astype(np.int64), statistics


def _plain(bottom: Floats, top: Floats) -> bool:
    """Whether all numbers between these are positive and within easy reach of a power of two."""
    return bool(len(top) > 0 and bottom.min() >= 1 / _PLAIN and top.max() <= _PLAIN)


def _mapped(tables: Floats, vectors: Vectors) -> tuple[NDArray[Any], NDArray[Any]]:
    """Maps [tables, blocks, rows, columns], each scaled so that no row sums to more than 1, with its exponent and its
    least non-zero number before it, [tables, a row]. Of signed numbers all but the signs is that of their magnitudes.
    """
    if vectors.signed:
        head, scaled = _mapped(np.abs(tables), replace(vectors, signed=False))
        return head, np.copysign(scaled, tables)
    numbers, integers = kind_of(vectors)
    count = len(tables)
    axes = (1, 2, 3)
    head = np.zeros((count, ROW // vectors.size), dtype=numbers)
    bottom = tables.min(axis=axes, initial=np.inf)
    with np.errstate(over="ignore"):
        top = tables.sum(axis=3).max(axis=(1, 2), initial=0.0)
    if _plain(bottom, top):
        exponent = np.frexp(top)[1]
        factor = np.ldexp(1.0, -exponent)
        least = (bottom * factor).astype(numbers)
        if (least >= vectors.tiny).all():
            head[:, 0] = exponent.astype(integers).view(numbers)
            head[:, 1] = least
            return head, tables * factor[:, None, None, None]
    # rows are summed below their largest number: their sums may be beyond all numbers
    largest = np.frexp(tables.max(axis=axes, initial=0.0))[1]
    top = np.ldexp(tables, -largest[:, None, None, None]).sum(axis=3).max(axis=(1, 2), initial=0.0)
    exponent = largest + np.frexp(top)[1]
    exact = np.ldexp(tables, -exponent[:, None, None, None])
    with np.errstate(under="ignore"):
        scaled = exact.astype(numbers)
    dropped = ((exact > 0) & (scaled < vectors.tiny)).any(axis=axes) | ((tables > 0) & (exact == 0)).any(axis=axes)
    least = np.where(scaled > 0, scaled, np.inf).min(axis=axes, initial=np.inf)
    head[:, 0] = exponent.astype(integers).view(numbers)
    head[:, 1] = np.where(dropped, 0.0, least)
    return head, scaled
