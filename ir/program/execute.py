"""What a Program means: a plain executor over any semiring, against which passes and backends are checked.

What enters is a Program, its tables as elements of the semiring and the codes of the data; what leaves is the root's
elements, [batch, *trailing].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ..linear import Indices
from ..semirings import Array, Semiring
from .operation import AllPairs, Contract, Density, Fill, Gather, Join, Load, Multiply, Network, Scale, Step, unrolled
from .program import LEAF, PRODUCT, Layout, Program


def execute(
    program: Program,
    tables: Sequence[Array],
    codes: Indices,
    semiring: Semiring,
    densities: Mapping[int, Array] | None = None,
) -> Array:
    """The root's elements for codes [columns, batch]; a code equal to the column's size says that it is missing.

    `tables` are the Program's, of scalars or elements; `densities` the values of inputs on infinite domains, by source,
    [nodes, batch].
    """
    buffers: dict[int, Array] = {}
    for step in unrolled(program.operations):
        buffers[step.out] = step_value(step, program, buffers, tables, codes, semiring, densities)
    found: Array = buffers[program.root][0]
    return found


def step_value(
    step: Step,
    program: Program,
    buffers: Mapping[int, Array],
    tables: Sequence[Array],
    codes: Indices,
    semiring: Semiring,
    densities: Mapping[int, Array] | None = None,
) -> Array:
    """What one operation fills its buffer with, [nodes, batch, *trailing]."""
    match step:
        case Load(_, table, column):
            return semiring.embed(np.moveaxis(tables[table][codes[column]], 1, 0))
        case Density(_, source, _, _):
            return (densities or {})[source]
        case Fill(_, table):
            return semiring.embed(np.repeat(np.expand_dims(tables[table], 1), codes.shape[1], axis=1))
        case Multiply(_, factors):
            value = buffers[factors[0]]
            for factor in factors[1:]:
                value = semiring.multiply(value, buffers[factor])
            return value
        case AllPairs(_, factors):
            value = buffers[factors[0]]
            for factor in factors[1:]:
                pairs = semiring.multiply(value[:, None], buffers[factor][None])
                value = pairs.reshape(len(value) * len(buffers[factor]), *value.shape[1:])
            return value
        case Join(_, parts):
            return semiring.concatenate([buffers[part] for part in parts])
        case Gather(_, source, index):
            gathered: Array = buffers[source][program.indices[index]]
            return gathered
        case Scale(_, source, table):
            return semiring.scale(np.expand_dims(tables[table], 1), buffers[source])
        case Contract():
            return _contract(step, buffers[step.source], tables, semiring)
        case Network(_, layout, leaves, weights, sources):
            soft = [row for source in sources for row in buffers[source]]
            return _network(program.layouts[layout], tables[leaves], tables[weights], codes, semiring, soft)


def _contract(operation: Contract, source: Array, tables: Sequence[Array], semiring: Semiring) -> Array:
    blocks, rows, columns = operation.blocks, operation.rows, operation.columns
    matrix = tables[operation.table]
    read = np.add.outer(np.arange(blocks) * operation.read.block, np.arange(columns) * operation.read.node)
    write = np.add.outer(np.arange(blocks) * operation.write.block, np.arange(rows) * operation.write.node)
    x = source[read]
    whole = np.broadcast_to(matrix, (blocks, *matrix.shape[1:]))
    y = semiring.matmul(whole, x)
    out = np.empty((blocks * rows, *y.shape[2:]), dtype=y.dtype)
    out[write.ravel()] = y.reshape(prod(y.shape[:2]), *y.shape[2:])
    return out


def leaf_value(
    layout: Layout, leaf: int, leaves: Array, codes: Indices, semiring: Semiring, soft: Sequence[Array]
) -> Array:
    """The elements of a leaf, [batch, *trailing]; `soft` are the nodes of the network's sources."""
    offset = int(layout.leaf_offsets[leaf])
    if offset < 0:
        return soft[-1 - offset]
    found: Array = semiring.embed(leaves[offset + codes[layout.leaf_columns[leaf]]])
    return found


def _network(
    layout: Layout, leaves: Array, weights: Array, codes: Indices, semiring: Semiring, soft: Sequence[Array]
) -> Array:
    """Node by node."""
    slots: dict[int, Array] = {}
    rows = codes.shape[1]
    last = np.array(semiring.full((rows,), one=True))
    for node in range(layout.nodes):
        stretch = slice(layout.offsets[node], layout.offsets[node + 1])
        members, names = layout.members[stretch].tolist(), layout.weights[stretch].tolist()
        if layout.kinds[node] == LEAF:
            last = leaf_value(layout, members[0], leaves, codes, semiring, soft)
        elif layout.kinds[node] == PRODUCT:
            last = np.array(semiring.full((rows,), one=True))
            for member in members:
                last = semiring.multiply(last, slots[member])
        else:
            terms = [
                slots[member] if name < 0 else semiring.scale(weights[name : name + 1], slots[member])
                for member, name in zip(members, names, strict=True)
            ]
            last = semiring.sum(np.stack(terms), 0) if terms else np.array(semiring.full((rows,), one=False))
        slots[int(layout.slots[node])] = last
    return last[None]
