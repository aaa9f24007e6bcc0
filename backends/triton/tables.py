"""The numbers of tables as kernels read them: matrices scaled and filled up with zeros, all others as logarithms.

What enters are tables in float64, not negative; what leaves are two arrays, of weights (precision.py says what they are
in memory; bf16 as its bits) and of tables in float32. A matrix stands beside three
numbers: the logarithm of its scale, a power of two that brings its largest entry within reach; its floor: how far below
the largest value of a row of data another may lie before what it adds can be lost; and the largest sum of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import frexp, log

import numpy as np
from numpy.typing import NDArray

from ...ir.parameter import Floats
from . import policy
from .plan import Laid, Plan
from .policy import Precision
from .precision import padded
from .value import Matrix

Numbers = NDArray[np.float32]
Bits = NDArray[np.uint16]

PLAIN = 2.0**20
"""A matrix whose largest entry is within this factor of 1 is not scaled: its numbers stay as they are."""

TINY = 2.0**-126

SPLIT = 16 * log(2.0)
"""How much higher the floor is where factors are taken apart for three passes: what a factor near `TINY` leaves of
itself is below it, and loses the digits that the passes are for. Of a factor 2^16 larger it holds them all."""


def packed(plan: Plan, given: Sequence[Floats], precision: Precision) -> tuple[Numbers | Bits, Numbers]:
    """The weights and the tables of a plan."""
    size = max(plan.weights, 1)
    weights: Numbers | Bits = np.zeros(size, dtype=np.float32)
    if precision.startswith("bf16"):
        weights = np.zeros(size, dtype=np.uint16)
    tables = np.zeros(max(plan.tables, 1), dtype=np.float32)
    for laid in plan.laid:
        table = given[laid.table]
        if laid.matrix is None:
            with np.errstate(divide="ignore"):
                logs = np.log(table).astype(np.float32)
            largest = logs.max(axis=-1, initial=-np.inf)
            tables[laid.offset : laid.offset + table.size + largest.size] = np.append(logs, largest)
        else:
            _matrix(laid, laid.matrix, table, precision, weights, tables)
    return weights, tables


def _matrix(
    laid: Laid, matrix: Matrix, table: Floats, precision: Precision, weights: Numbers | Bits, tables: Numbers
) -> None:
    largest = float(table.max(initial=0.0))
    power = 0 if largest == 0 or 1 / PLAIN <= largest <= PLAIN else frexp(largest)[1]
    vector = matrix.rows <= policy.VECTOR
    with np.errstate(under="ignore"):
        entries = np.ldexp(table, -power).astype(np.float32)
    if not vector or precision == "tf32":
        entries = rounded(entries, precision)
    entries[entries < TINY] = 0
    live = entries > 0
    gone = bool((live != (table > 0)).any())
    floor = 1.0 if gone else log(TINY) - min(0.0, log(float(entries.min(where=live, initial=1.0))))
    if precision.endswith("x3") and not vector:
        floor += SPLIT
    rows, columns = padded(matrix)
    place = np.zeros((len(table), rows, columns), dtype=np.float32)
    place[:, : matrix.rows, : matrix.columns] = entries
    tables[laid.scale : laid.scale + 3] = power * log(2.0), floor, place.sum(axis=2).max(initial=0.0)
    into = tables if vector else weights
    for part in _parts(place.ravel(), "ieee" if vector else precision):
        into[laid.offset : laid.offset + part.size] = part
        laid = replace(laid, offset=laid.offset + part.size)


def _parts(entries: Numbers, precision: Precision) -> list[Numbers | Bits]:
    """Numbers as they lie in memory: for bf16x3 the bf16 of each, then of what that leaves."""
    if precision == "bf16":
        return [bits(entries)]
    if precision == "bf16x3":
        high = bits(entries)
        return [high, bits(entries - floats(high))]
    return [entries]


def bits(numbers: Numbers) -> Bits:
    """The bf16 nearest to each number, as its bits; halves go to even."""
    whole = np.ascontiguousarray(numbers).view(np.uint32)
    return ((whole + 0x7FFF + ((whole >> 16) & 1)) >> 16).astype(np.uint16)


def floats(numbers: Bits) -> Numbers:
    """The numbers of bf16's bits."""
    return (numbers.astype(np.uint32) << 16).view(np.float32)


def rounded(entries: Numbers, precision: Precision) -> Numbers:
    """Weights as the tensor cores take them: for tf32 rounded to its 10 bits, for bf16 to its 7, to nearest."""
    if precision == "bf16":
        return floats(bits(entries))
    if precision != "tf32":
        return entries
    return ((np.ascontiguousarray(entries).view(np.int32) + 0x1000) & -0x2000).view(np.float32)


def is_held(table: Floats) -> bool:
    """Whether all numbers are such that logarithms hold them: none negative, infinite, or below float64's range."""
    if not table.size:
        return True
    least, largest = float(table.min()), float(table.max())
    if not (least >= 0 and largest < np.inf):
        return False
    small = table[table < np.finfo(np.float64).tiny] if least < np.finfo(np.float64).tiny else table[:0]
    return not (small > 0).any()
