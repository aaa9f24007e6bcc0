"""The tables of a Program as compiled code reads them: scaled by powers of two, packed for register blocks.

What enters are float64 numbers; what leaves is an arena in the type of the code, with, before each table, its exponent
and what the bound on underflow needs to know of it (state.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.expression import Floats
from .kernels import row_blocks
from .plan import Plan, padded
from .vectors import ROW, Vectors

Bytes = NDArray[np.uint8]


def aligned(size: int) -> Bytes:
    """Zeroed bytes on a boundary of a row."""
    raw = np.zeros(size + ROW, dtype=np.uint8)
    first = -raw.ctypes.data % ROW
    return raw[first : first + size]


def fill(plan: Plan, tables: Sequence[Floats], vectors: Vectors, arena: Bytes) -> None:
    """Writes every table to its place."""
    for entry in plan.entries:
        table = tables[entry.table]
        match entry.kind:
            case "load":
                parts = _loaded(table, vectors)
            case "fill":
                parts = _loaded(table[None], vectors)
            case "scale":
                parts = _mapped(table[None, :, None], vectors, packed=False)
            case _:
                parts = _mapped(table, vectors, packed=True)
        offset = entry.offset
        for part in parts:
            flat = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
            arena[offset : offset + len(flat)] = flat
            offset += padded(len(flat))


def kind_of(vectors: Vectors) -> tuple[type[Any], type[Any]]:
    """The numpy types of numbers and of exponents."""
    return (np.float32, np.int32) if vectors.size == 4 else (np.float64, np.int64)


def _loaded(table: Floats, vectors: Vectors) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows scaled to a largest number in [1, 2), and their statistics."""
    numbers, integers = kind_of(vectors)
    scaled, exponent, statistics = scaled_rows(table, vectors)
    head = np.concatenate([exponent.astype(integers).view(numbers)[None], statistics])
    return head, scaled


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


def _mapped(table: Floats, vectors: Vectors, packed: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """A map scaled so that no row sums to more than 1, its exponent and its least non-zero number."""
    numbers, integers = kind_of(vectors)
    largest = int(np.frexp(table.max(initial=0.0))[1])  # rows are summed below it: their sums may not be numbers
    top = np.ldexp(table, -largest).sum(axis=2).max(initial=0.0)
    exponent = largest + int(np.frexp(top)[1])
    exact = np.ldexp(table, -exponent)
    with np.errstate(under="ignore"):
        scaled = exact.astype(numbers)
    dropped = bool(((exact > 0) & (scaled < vectors.tiny)).any()) or bool(((table > 0) & (exact == 0)).any())
    least = 0.0 if dropped else float(np.where(scaled > 0, scaled, np.inf).min(initial=np.inf))
    head = np.zeros(ROW // vectors.size, dtype=numbers)
    head[0] = np.array([exponent], dtype=integers).view(numbers)[0]
    head[1] = least
    if not packed:
        return head, scaled.reshape(-1)
    blocks: list[NDArray[Any]] = []
    row = 0
    for size, count in row_blocks(table.shape[1], vectors):
        part = scaled[:, row : row + size * count].reshape(len(table), count, size, table.shape[2])
        blocks.append(part.transpose(0, 1, 3, 2).reshape(len(table), -1))
        row += size * count
    return head, np.concatenate(blocks, axis=1)
