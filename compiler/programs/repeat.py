"""Loop recognition: stretches of operations that repeat, with columns and tables a step further on, become loops.

What enters is a Program after its buffers are reused; what leaves computes the same with a body and a count, so that
the chain of ten thousand steps is as long as that of ten.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...ir.program.operation import Contract, Density, Fill, Load, Operation, Repeat, Scale, Step, unrolled
from ...ir.program.program import Program
from ...ir.program.widths import widths

LONGEST = 64
"""The longest body that is looked for."""

Ints = NDArray[np.int64]


def repeat(program: Program) -> Program:
    """The same Program with its repeated stretches as loops."""
    operations = tuple(unrolled(program.operations))
    if len(operations) < 4:
        return program
    known: dict[object, int] = {}
    alike = zip(operations, widths(program), strict=True)
    shapes = [known.setdefault((_without_place(step, program), found), len(known)) for step, found in alike]
    kinds = np.array(shapes)
    columns = np.array([_column(step) for step in operations])
    tables = np.array([_table(step) for step in operations])
    periods = range(1, min(LONGEST, len(kinds) // 2) + 1)
    turns_of = np.stack([1 + _runs(kinds, columns, tables, period) // period for period in periods])
    covered = np.where(turns_of > 2, turns_of * np.array(periods)[:, None], 0)
    chosen = covered.argmax(axis=0)  # the shortest body of those that cover most
    out: list[Operation] = []
    position = 0
    while position < len(operations):
        best, turns = int(chosen[position]) + 1, int(turns_of[chosen[position], position])
        if turns < 3:
            out.append(operations[position])
            position += 1
            continue
        body = operations[position : position + best]
        following = operations[position + best : position + 2 * best]
        steps = tuple(_column(b) - _column(a) for a, b in zip(body, following, strict=True))
        jumps = tuple(_table(b) - _table(a) for a, b in zip(body, following, strict=True))
        out.append(Repeat(turns, body, steps, jumps))
        position += turns * best
    return replace(program, operations=tuple(out))


def _runs(kinds: Ints, columns: Ints, tables: Ints, period: int) -> Ints:
    """From each position, how many operations in a row look like those a period before, with one step throughout."""
    count, size = len(kinds), len(kinds) - period
    same = kinds[:-period] == kinds[period:]
    column, table = columns[period:] - columns[:-period], tables[period:] - tables[:-period]
    steady = np.ones(size, dtype=bool)
    steady[:-period] = (column[:-period] == column[period:]) & (table[:-period] == table[period:]) & same[period:]
    # a run ends at the first operation that differs, or a period after the first that changes its step
    ends = np.minimum(_following(~same, size), _following(~steady, count) + period)
    runs = np.zeros(count, dtype=np.int64)
    runs[:size] = ends - np.arange(size)
    return runs


def _following(found: NDArray[np.bool_], none: int) -> Ints:
    """From each position on, where the first one stands."""
    places = np.where(found, np.arange(len(found)), none)
    return np.minimum.accumulate(places[::-1])[::-1]


def _column(operation: Step) -> int:
    return operation.column if isinstance(operation, Load | Density) else 0


def _table(operation: Step) -> int:
    match operation:
        case Load(table=table) | Fill(table=table) | Scale(table=table) | Contract(table=table):
            return table
        case Density(source=source):
            return source
        case _:
            return 0


def _without_place(operation: Step, program: Program) -> object:
    """What an operation is, apart from its column and table, and the sizes that those must share."""
    match operation:
        case Load(out, table, column):
            return (Load, out, program.tables[table][0], program.columns[column])
        case Density(out, _, _, nodes):
            return (Density, out, nodes)
        case Fill(out, _):
            return (Fill, out)
        case Scale(out, source, _):
            return (Scale, out, source)
        case Contract(out, source, _, blocks, rows, columns, read, write):
            sizes = (blocks, rows, columns, read.block, read.node, write.block, write.node)
            return (Contract, out, source, sizes)
        case _:
            return operation
