"""A Program of vectors as records that kernels walk, up and down, with the values of all its buffers kept.

What enters is a Program whose buffers are filled once; what leaves are 32-bit words: a record for each step, and for
elementwise steps their terms. A term is a buffer or a table, and node k of the step reads its node (k // divisor) %
size, through an index where there is one. A join is a step for each of its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir.program.descent import Sites
from ...ir.program.operation import AllPairs, Contract, Fill, Gather, Join, Load, Multiply, Scale
from ...ir.program.program import Program
from .sparse_policy import LANES

LOADS, TERMS, MATRICES = 0, 1, 2
"""Kinds of steps."""

FIELDS = 16
TERM = 5
MOST = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Records [steps, 16] and terms [terms, 5].

    A record is kind, first row of what it writes, nodes, place and number of its choices (ir/program/descent), then of
    a load its table, column and number of values; of terms the first and how many; of matrices the table, blocks, rows,
    columns, strides of what is read and written, the source's first row, and how far one block's matrix is from the
    next. A term is 0 for a buffer or 1 for a table, where it begins, divisor, size, and where its index begins or −1.
    `rows` is the number of nodes of all buffers, `root` the root's; `tables` says where each table begins.
    """

    records: NDArray[np.int32]
    terms: NDArray[np.int32]
    indices: NDArray[np.int32]
    tables: tuple[int, ...]
    rows: int
    root: int


def steps(program: Program, sites: Sites) -> Steps | None:
    """The records of a Program; None where it has inputs on infinite domains, or is too large for 32-bit words."""
    starts = np.concatenate([[0], np.cumsum(program.buffers)]).tolist()
    tables = np.concatenate([[0], np.cumsum([prod(shape) for shape in program.tables])]).astype(np.int64).tolist()
    indexed = np.concatenate([[0], np.cumsum([len(index) for index in program.indices])]).astype(np.int64).tolist()
    if max(LANES[-1] * starts[-1], tables[-1], indexed[-1]) >= MOST:  # a tile has a value for each node and lane
        return None
    records: list[list[int]] = []
    terms: list[list[int]] = []

    def elementwise(out: int, nodes: int, own: list[list[int]]) -> list[int]:
        terms.extend(own)
        return [TERMS, out, nodes, place, number, len(terms) - len(own), len(own)]

    for position, step in enumerate(program.operations):
        place, number = int(sites.places[position]), int(sites.numbers[position])
        match step:
            case Load(out, table, column):
                own = [starts[out], program.buffers[out], place, number]
                records.append([LOADS, *own, tables[table], column, program.columns[column]])
            case Fill(out, table):
                nodes = program.buffers[out]
                records.append(elementwise(starts[out], nodes, [[1, tables[table], 1, nodes, -1]]))
            case Multiply(out, factors):
                own_terms = [[0, starts[factor], 1, program.buffers[factor], -1] for factor in factors]
                records.append(elementwise(starts[out], program.buffers[out], own_terms))
            case AllPairs(out, factors):
                divisor, own_terms = program.buffers[out], []
                for factor in factors:
                    divisor //= program.buffers[factor]
                    own_terms.append([0, starts[factor], divisor, program.buffers[factor], -1])
                records.append(elementwise(starts[out], program.buffers[out], own_terms))
            case Join(out, parts):
                start = starts[out]
                for part in parts:
                    nodes = program.buffers[part]
                    found = elementwise(start, nodes, [[0, starts[part], 1, nodes, -1]])
                    found[3] = place if place < 0 else place + start - starts[out]
                    records.append(found)
                    start += nodes
            case Gather(out, source, index):
                nodes = program.buffers[out]
                records.append(elementwise(starts[out], nodes, [[0, starts[source], 1, nodes, indexed[index]]]))
            case Scale(out, source, table):
                nodes = program.buffers[out]
                both = [[0, starts[source], 1, nodes, -1], [1, tables[table], 1, nodes, -1]]
                records.append(elementwise(starts[out], nodes, both))
            case Contract(out, source, table, blocks, rows, columns, read, write):
                own = [MATRICES, starts[out], program.buffers[out], place, number, tables[table], blocks, rows, columns]
                strides = [read.block, read.node, write.block, write.node, starts[source]]
                apart = rows * columns if program.tables[table][0] > 1 else 0
                records.append([*own, *strides, apart])
            case _:
                return None
    words = np.zeros((len(records), FIELDS), dtype=np.int32)
    for row, record in enumerate(records):
        words[row, : len(record)] = record
    named = np.array(terms, dtype=np.int32).reshape(-1, TERM)
    together = np.concatenate([*program.indices, np.zeros(1, dtype=np.int64)]).astype(np.int32)
    return Steps(words, named, together, tuple(tables), starts[-1], starts[program.root])


def tables_of(program: Program, found: Steps, logs: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Logarithms of tables end to end, as the records name them."""
    out = np.zeros(max(1, found.tables[-1]))
    for start, table in zip(found.tables, logs, strict=False):
        out[start : start + table.size] = np.asarray(table).reshape(-1)
    return out
