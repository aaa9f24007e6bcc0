"""The reverse of a Program: from the derivative of its root to those of its tables, derived operation by operation.

What enters is a Program whose buffers are filled once, over any semiring; what leaves is, for each table, the sum over
the batch of the root's derivatives with respect to its entries, and for each density its derivatives row by row.
Nothing is divided, so zeros are exact; in logarithms nothing underflows. All buffers of the batch are held at once,
values and derivatives: 16 bytes per node and row in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ..linear import Indices
from ..semirings import LOG, Array, Semiring
from .execute import leaf_value, step_value
from .operation import AllPairs, Contract, Density, Fill, Gather, Join, Load, Multiply, Network, Scale, Step, unrolled
from .program import LEAF, PRODUCT, Layout, Program


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Derivatives of Σ_b seed[b] · root[b]: of tables in their shapes, of densities [nodes, batch] by source."""

    tables: list[Array]
    densities: dict[int, Array]


@dataclass(slots=True)
class Tape:
    """A Program run forward with every buffer kept: values of buffers, and of the nodes of networks."""

    program: Program
    tables: Sequence[Array]
    codes: Indices
    semiring: Semiring
    steps: list[Step]
    buffers: dict[int, Array]
    nodes: list[Array]

    @property
    def root(self) -> Array:
        """The root's elements, [batch, *trailing]."""
        found: Array = self.buffers[self.program.root][0]
        return found


def recorded(
    program: Program,
    tables: Sequence[Array],
    codes: Indices,
    semiring: Semiring,
    densities: Mapping[int, Array] | None = None,
) -> Tape:
    """Runs a Program forward, as `execute`, and keeps what the reverse reads."""
    tape = Tape(program, tables, codes, semiring, list(unrolled(program.operations)), {}, [])
    for step in tape.steps:
        if isinstance(step, Network):
            tape.nodes = _nodes(
                program.layouts[step.layout],
                tables[step.leaves],
                tables[step.weights],
                codes,
                semiring,
                [row for source in step.sources for row in tape.buffers[source]],
            )
            tape.buffers[step.out] = tape.nodes[-1][None]
        else:
            tape.buffers[step.out] = step_value(step, program, tape.buffers, tables, codes, semiring, densities)
    return tape


def reverse(tape: Tape, seed: Array) -> Derivatives:
    """The derivatives of Σ_b seed[b] · root[b], for seeds [batch, *trailing]."""
    semiring, program = tape.semiring, tape.program
    adjoints: dict[int, Array] = {program.root: seed[None]}
    found = Derivatives([_zeros(semiring, shape) for shape in program.tables], {})

    def give(buffer: int, share: Array) -> None:
        adjoints[buffer] = semiring.add(adjoints[buffer], share) if buffer in adjoints else share

    def give_table(table: int, share: Array) -> None:
        found.tables[table] = semiring.add(found.tables[table], share)

    for step in reversed(tape.steps):
        adjoint = adjoints.pop(step.out, None)
        if adjoint is None:
            continue
        match step:
            case Load(_, table, column):
                give_table(table, _by_code(adjoint, tape.codes[column], program.tables[table][0], semiring))
            case Density(_, source, _, _):
                before = found.densities.get(source)
                found.densities[source] = adjoint if before is None else semiring.add(before, adjoint)
            case Fill(_, table):
                give_table(table, semiring.sum(adjoint, 1))
            case Multiply(_, factors) | AllPairs(_, factors):
                values = [tape.buffers[factor] for factor in factors]
                shares = (_multiply if isinstance(step, Multiply) else _pairs)(adjoint, values, semiring)
                for factor, share in zip(factors, shares, strict=True):
                    give(factor, share)
            case Join(_, parts):
                bounds = np.cumsum([len(tape.buffers[part]) for part in parts])[:-1]
                for part, share in zip(parts, np.split(adjoint, bounds), strict=True):
                    give(part, share)
            case Gather(_, source, index):
                give(source, _by_key(adjoint, program.indices[index], len(tape.buffers[source]), semiring))
            case Scale(_, source, table):
                give_table(table, semiring.sum(semiring.multiply(adjoint, tape.buffers[source]), 1))
                give(source, semiring.scale(np.expand_dims(tape.tables[table], 1), adjoint))
            case Contract(_, source, table):
                below, matrix = _contract(step, adjoint, tape)
                give_table(table, matrix)
                give(source, below)
            case Network(_, layout, leaves, weights, sources):
                shapes = program.tables[leaves], program.tables[weights]
                inner = {source: _zeros(semiring, (len(tape.buffers[source]), adjoint.shape[1])) for source in sources}
                rows = [row for own in inner.values() for row in own]
                first, second = _network(program.layouts[layout], adjoint[0], tape, tape.tables[weights], shapes, rows)
                give_table(leaves, first)
                give_table(weights, second)
                for source, share in inner.items():
                    give(source, share)
    return found


def _zeros(semiring: Semiring, shape: tuple[int, ...]) -> Array:
    return np.array(semiring.full(shape, one=False))


def _by_key(elements: Array, keys: Indices, count: int, semiring: Semiring) -> Array:
    """Sums of the elements of the first axis that share a key, [count, …]."""
    order = np.argsort(keys, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=count))])
    return semiring.segment_sum(elements[order], bounds)


def _by_code(adjoint: Array, codes: Indices, count: int, semiring: Semiring) -> Array:
    return _by_key(np.moveaxis(adjoint, 0, 1), codes, count, semiring)


def _multiply(adjoint: Array, values: list[Array], semiring: Semiring) -> list[Array]:
    """For each factor the derivative times the other factors; summed over the nodes where it is a single one."""
    shares = [semiring.multiply(adjoint, other) for other in _others(values, semiring)]
    return [
        semiring.sum(share, 0)[None] if len(value) < len(share) else share
        for value, share in zip(values, shares, strict=True)
    ]


def _others(values: Sequence[Array], semiring: Semiring) -> list[Array]:
    """For each of some factors the product of the others, from the products of those before and of those after it."""
    one = np.array(semiring.full(values[0].shape[: values[0].ndim - semiring.trailing], one=True))
    before, after = [one], [one]
    for value in values[:-1]:
        before.append(semiring.multiply(before[-1], value))
    for value in values[:0:-1]:
        after.append(semiring.multiply(value, after[-1]))
    return [semiring.multiply(left, right) for left, right in zip(before, reversed(after), strict=True)]


def _pairs(adjoint: Array, values: list[Array], semiring: Semiring) -> list[Array]:
    """The derivatives of the factors of all pairs: one factor is peeled off at a time, the last first."""
    grids = [values[0]]
    for value in values[1:]:
        grid = semiring.multiply(grids[-1][:, None], value[None])
        grids.append(grid.reshape(prod(grid.shape[:2]), *grid.shape[2:]))
    shares: list[Array] = []
    for position in range(len(values) - 1, 0, -1):
        rest, value = grids[position - 1], values[position]
        cube = adjoint.reshape(len(rest), len(value), *adjoint.shape[1:])
        shares.append(semiring.sum(semiring.multiply(cube, rest[:, None]), 0))
        adjoint = semiring.sum(semiring.multiply(cube, value[None]), 1)
    return [adjoint, *reversed(shares)]


def _contract(step: Contract, adjoint: Array, tape: Tape) -> tuple[Array, Array]:
    """The transposed matrices times the derivative, and the sums over the batch of its products with the source."""
    semiring = tape.semiring
    matrix, source = tape.tables[step.table], tape.buffers[step.source]
    read = np.add.outer(np.arange(step.blocks) * step.read.block, np.arange(step.columns) * step.read.node)
    write = np.add.outer(np.arange(step.blocks) * step.write.block, np.arange(step.rows) * step.write.node)
    y, x = adjoint[write], source[read]
    whole = np.broadcast_to(matrix, (step.blocks, *matrix.shape[1:]))
    down = semiring.matmul(np.swapaxes(whole, 1, 2), y)
    below = _zeros(semiring, (len(source), source.shape[1]))
    below[read.ravel()] = down.reshape(prod(down.shape[:2]), *down.shape[2:])
    shape = matrix.shape[1:]
    if semiring is LOG:  # each row's magnitude goes from one factor to the other, so that neither underflows
        top = x.max(axis=1, keepdims=True)
        top = np.where(np.isneginf(top), 0.0, top)
        x, y = x - top, y + top
    if len(matrix) == 1 and step.blocks > 1:  # one matrix for all blocks: they are further rows of the batch
        y = np.moveaxis(y, 1, 0).reshape(1, step.rows, -1, *y.shape[3:])
        x = np.moveaxis(x, 1, 0).reshape(1, step.columns, -1, *x.shape[3:])
    return below, semiring.matmul(y, np.swapaxes(x, 1, 2)).reshape(len(matrix), *shape)


def _producers(layout: Layout) -> Indices:
    """For each member the node that it names (for leaves, the leaf): slots are reused, nodes are not."""
    holder = np.zeros(layout.size, dtype=np.int64)
    members = layout.members.copy()
    offsets, slots = layout.offsets, layout.slots
    for node in range(layout.nodes):
        if layout.kinds[node] != LEAF:
            stretch = slice(offsets[node], offsets[node + 1])
            members[stretch] = holder[members[stretch]]
        holder[slots[node]] = node
    return members


def _nodes(
    layout: Layout, leaves: Array, weights: Array, codes: Indices, semiring: Semiring, soft: Sequence[Array]
) -> list[Array]:
    """The values of all nodes, [batch, *trailing] each."""
    values: list[Array] = []
    names = _producers(layout)
    for node in range(layout.nodes):
        stretch = slice(layout.offsets[node], layout.offsets[node + 1])
        members = names[stretch]
        if layout.kinds[node] == LEAF:
            values.append(leaf_value(layout, int(members[0]), leaves, codes, semiring, soft))
        elif not len(members):
            values.append(np.array(semiring.full((codes.shape[1],), one=bool(layout.kinds[node] == PRODUCT))))
        elif layout.kinds[node] == PRODUCT:
            value = values[members[0]]
            for member in members[1:]:
                value = semiring.multiply(value, values[member])
            values.append(value)
        else:
            terms = [
                values[member] if weight < 0 else semiring.scale(weights[weight : weight + 1], values[member])
                for member, weight in zip(members, layout.weights[stretch], strict=True)
            ]
            values.append(semiring.sum(np.stack(terms), 0))
    return values


def _network(
    layout: Layout, seed: Array, tape: Tape, weights: Array, shapes: tuple[tuple[int, ...], ...], rows: list[Array]
) -> tuple[Array, Array]:
    """The derivatives of the leaves' table and of the weights', node by node from the root down; those of the sources'
    nodes go into `rows`."""
    semiring, names = tape.semiring, _producers(layout)
    adjoints: list[Array | None] = [None] * layout.nodes
    adjoints[-1] = seed
    first, second = _zeros(semiring, shapes[0]), _zeros(semiring, shapes[1])

    def give(node: int, share: Array) -> None:
        held = adjoints[node]
        adjoints[node] = share if held is None else semiring.add(held, share)

    for node in range(layout.nodes - 1, -1, -1):
        adjoint, adjoints[node] = adjoints[node], None
        stretch = slice(layout.offsets[node], layout.offsets[node + 1])
        members = names[stretch]
        if adjoint is None or not len(members):
            continue
        if layout.kinds[node] == LEAF:
            leaf = int(members[0])
            column, start = int(layout.leaf_columns[leaf]), int(layout.leaf_offsets[leaf])
            if start < 0:
                rows[-1 - start][...] = semiring.add(rows[-1 - start], adjoint)
                continue
            count = tape.program.columns[column] + 1
            share = _by_key(adjoint, tape.codes[column], count, semiring)
            first[start : start + count] = semiring.add(first[start : start + count], share)
        elif layout.kinds[node] == PRODUCT:
            others = _others([tape.nodes[member] for member in members], semiring)
            for member, other in zip(members, others, strict=True):
                give(int(member), semiring.multiply(adjoint, other))
        else:
            for member, weight in zip(members.tolist(), layout.weights[stretch].tolist(), strict=True):
                if weight < 0:
                    give(member, adjoint)
                    continue
                give(member, semiring.scale(weights[weight : weight + 1], adjoint))
                gained = semiring.sum(semiring.multiply(adjoint, tape.nodes[member]), 0)
                second[weight] = semiring.add(second[weight], gained)
    return first, second
