"""Batches as tiles of codes, run on threads, each with buffers of its own; and what an engine answers.

Codes enter as [columns, batch] and lie as [tiles, columns, lanes]; the last tile is filled up with its last row, so
that the same code runs every batch.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from . import arena
from .machine import Library, Target
from .vectors import ROW, Vectors

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Codes = NDArray[np.int32]
Make = Callable[[str, Target], Library]
"""What gives a module's code: the compiler with its cache, or a bundle."""

POINTER, INTEGER = ctypes.c_void_p, ctypes.c_int64

_local = threading.local()


@dataclass(frozen=True, slots=True)
class Answer:
    """The natural logarithm of the root per row, and the rows in which it is not certain."""

    log: Floats
    unsure: Bools


def buffers(size: int) -> Bytes:
    """A thread's own buffers of a tile, kept for its next call."""
    held: Bytes | None = getattr(_local, "buffers", None)
    if held is None or len(held) < size:
        held = _local.buffers = arena.aligned(size)
    return held


def copied(array: NDArray[Any]) -> Bytes:
    """An array's bytes on a boundary of a row."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    out = arena.aligned(max(len(flat), ROW))[: len(flat)]
    out[:] = flat
    return out


def tiled(codes: Indices | Codes, vectors: Vectors) -> tuple[Bytes, int]:
    """Codes [columns, batch] as tiles [tiles, columns, lanes] of 32-bit words, the last filled up with its last row."""
    columns, rows = codes.shape
    tiles = -(-rows // vectors.lanes)
    laid = arena.aligned(max(tiles * columns * vectors.lanes * 4, ROW))
    words = laid[: tiles * columns * vectors.lanes * 4].view(np.int32).reshape(tiles, columns, vectors.lanes)
    full, rest = divmod(rows, vectors.lanes)
    words[:full] = codes[:, : rows - rest].reshape(columns, full, vectors.lanes).transpose(1, 0, 2)
    if rest:
        words[full, :, :rest], words[full, :, rest:] = codes[:, rows - rest :], codes[:, -1:]
    return laid, tiles


def padded_to(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Columns [.., batch] up to so many rows, the last repeated."""
    missing = rows - array.shape[1]
    return array if not missing else np.concatenate([array, np.repeat(array[:, -1:], missing, axis=1)], axis=1)


def spread(call: Callable[[int, int], None], tiles: int, threads: int) -> None:
    """Runs tiles on threads, each a range of them; a thread that finds no other work runs them all."""
    parts = min(threads, tiles)
    if parts <= 1:
        if tiles:
            call(0, tiles)
        return
    bounds = [tiles * part // parts for part in range(parts + 1)]
    waiting = [_pool(parts).submit(call, first, last) for first, last in pairwise(bounds[1:])]
    call(bounds[0], bounds[1])
    for part in waiting:
        part.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="danaus")
