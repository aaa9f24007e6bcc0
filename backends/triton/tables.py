"""The numbers of tables as kernels read them: matrices scaled and filled up with zeros, all others as logarithms.

What enters are tables in float64, not negative, on any device; what leaves are two tensors there, of weights
(precision.py says what they are in memory) and of tables in float32. A matrix stands beside three numbers: the
logarithm of its scale, a power of two that brings its largest entry within reach; its floor: how far below the largest
value of a row of data another may lie before what it adds can be lost; and the largest sum of a row. Nothing is read
back from the device on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
import torch

from ...ir.parameter import Floats
from . import policy
from .plan import Laid, Plan
from .policy import Precision
from .precision import padded
from .value import Matrix

PLAIN = 2.0**20
"""A matrix whose largest entry is within this factor of 1 is not scaled: its numbers stay as they are."""

TINY = 2.0**-126

SPLIT = 16 * log(2.0)
"""How much higher the floor is where factors are taken apart for three passes: what a factor near `TINY` leaves of
itself is below it, and loses the digits that the passes are for. Of a factor 2^16 larger it holds them all."""


def packed(plan: Plan, given: Sequence[torch.Tensor], precision: Precision) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights and the tables of a plan."""
    device = given[0].device if given else torch.device("cpu")
    kind = torch.bfloat16 if precision.startswith("bf16") else torch.float32
    weights = torch.zeros(max(plan.weights, 1), dtype=kind, device=device)
    tables = torch.zeros(max(plan.tables, 1), dtype=torch.float32, device=device)
    for laid in plan.laid:
        table = given[laid.table]
        if laid.matrix is None:
            logs = table.log().float()
            _put(tables, laid.offset, torch.cat([logs.reshape(-1), logs.amax(-1).reshape(-1)]))
        else:
            _matrix(laid, laid.matrix, table, precision, weights, tables)
    return weights, tables


def _matrix(
    laid: Laid, matrix: Matrix, table: torch.Tensor, precision: Precision, weights: torch.Tensor, tables: torch.Tensor
) -> None:
    largest, vector = table.max(), matrix.rows <= policy.VECTOR
    plain = (largest == 0) | ((largest >= 1 / PLAIN) & (largest <= PLAIN))
    power = torch.where(plain, 0, torch.frexp(largest).exponent).long()
    entries = (table * _two_to(-power // 2) * _two_to(-power - -power // 2)).float()
    if not vector or precision == "tf32":
        entries = rounded(entries, precision)
    entries = torch.where(entries < TINY, 0.0, entries)
    live = entries > 0
    gone = (live != (table > 0)).any()
    least = torch.where(live, entries, 1.0).min().double().clamp(max=1.0)
    floor = torch.where(gone, 1.0, log(TINY) - least.log())
    if precision.endswith("x3") and not vector:
        floor = floor + SPLIT
    rows, columns = padded(matrix)
    place = torch.zeros((len(table), rows, columns), dtype=torch.float32, device=table.device)
    place[:, : matrix.rows, : matrix.columns] = entries
    _put(tables, laid.scale, torch.stack([power * log(2.0), floor, place.sum(2).max().double()]))
    numbers = place.reshape(-1)
    if vector or not precision.startswith("bf16"):
        _put(tables if vector else weights, laid.offset, numbers)
        return
    high = numbers.to(torch.bfloat16)
    _put(weights, laid.offset, high)
    if precision == "bf16x3":
        _put(weights, laid.offset + len(numbers), numbers - high.float())


def _put(into: torch.Tensor, offset: int, numbers: torch.Tensor) -> None:
    into[offset : offset + len(numbers)] = numbers


def _two_to(power: torch.Tensor) -> torch.Tensor:
    """The power of two in float64, exactly, of a whole number from −1022 to 1023."""
    return ((power + 1023) << 52).view(torch.float64)


def rounded(entries: torch.Tensor, precision: Precision) -> torch.Tensor:
    """Weights as the tensor cores take them: for tf32 rounded to its 10 bits, for bf16 to its 7, to nearest."""
    if precision == "bf16":
        return entries.to(torch.bfloat16).float()
    if precision != "tf32":
        return entries
    return ((entries.contiguous().view(torch.int32) + 0x1000) & -0x2000).view(torch.float32)


def is_held(table: Floats) -> bool:
    """Whether all numbers are such that logarithms hold them: none negative, infinite, or below float64's range."""
    if not table.size:
        return True
    least, largest = float(table.min()), float(table.max())
    if not (least >= 0 and largest < np.inf):
        return False
    small = table[table < np.finfo(np.float64).tiny] if least < np.finfo(np.float64).tiny else table[:0]
    return not (small > 0).any()
