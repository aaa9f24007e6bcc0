"""A circuit as one network of scalar nodes, in depth-first order, with slots that are reused.

What enters is a circuit of any blocks; what leaves is a layout (ir/program) and the sources of its two tables. Maps
that only pass a node on leave no node: a value lives in its slot until its last use. Depth first, a circuit of 197,000
nodes keeps 19,000 slots, so that its values stay in cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir.block import Block, Hadamard, Indexed, Input, Pairs, Product, Sum
from ...ir.circuit import Circuit
from ...ir.domain import FiniteDomain, Variable
from ...ir.expression import Expression
from ...ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
)
from ...ir.parameter import Constant
from ...ir.program.program import LEAF, PRODUCT, SUM, Layout
from .tables import Laid, Leaf, Weights


def is_scalar(block: Block) -> bool:
    """Whether a block has no form but that of scalar nodes."""
    match block:
        case Product(form=Indexed(_, members)):
            return len(members) > 0
        case Sum(map=linear):
            return _is_sparse(linear)
        case _:
            return False


def _is_sparse(linear: LinearMap) -> bool:
    match linear:
        case Sparse():
            return True
        case Kronecker(factors):
            return any(_is_sparse(factor) for factor in factors)
        case Compose(maps):
            return any(_is_sparse(part) for part in maps)
        case _:
            return False


@dataclass(frozen=True, slots=True, eq=False)
class Laying:
    """A circuit's scalar nodes laid out, with the sources of their leaves and weights.

    `densities` are inputs on infinite domains, of whose nodes some are leaves. Of each node `places` says where it
    stands among the circuit's, −1 for those inside of a map, and `numbers` which choice it is there.
    """

    layout: Layout
    leaves: Laid
    weights: Laid
    densities: tuple[Input, ...]
    places: Indices
    numbers: Indices


def layout_of(circuit: Circuit, columns: Mapping[Variable, int]) -> Laying:
    """The circuit's scalar nodes laid out."""
    nodes = _Nodes(columns)
    places: list[tuple[Indices, int]] = []
    place = 0
    for block in circuit.blocks:
        nodes.block(block)
        places.append((nodes.of[block], place))
        place += block.width
    kinds, offsets, members, weights = nodes.joined()
    root = int(nodes.of[circuit.root][0])
    leaf_columns = np.array(nodes.leaf_columns, dtype=np.int64)
    leaf_offsets = np.array(nodes.leaf_offsets, dtype=np.int64)
    layout, chosen = _ordered(root, kinds, offsets, members, weights, leaf_columns, leaf_offsets)
    layout, densities = _met(layout, nodes.densities)
    place_of = np.full(len(kinds), -1, dtype=np.int64)
    for own, first in reversed(places):  # a node that is passed on is that of the block that made it
        place_of[own] = first + np.arange(len(own))
    number_of = np.zeros(len(kinds), dtype=np.int64)
    for start, end, number in nodes.choices:
        number_of[start:end] = number
    leaves, numbers = Laid(tuple(nodes.leaves)), Laid(tuple(nodes.numbers))
    return Laying(layout, leaves, numbers, densities, place_of[chosen], number_of[chosen])


def _met(layout: Layout, densities: list[Input]) -> tuple[Layout, tuple[Input, ...]]:
    """Only the leaves below the root, and those inputs on infinite domains of which some node is one, rows anew."""
    if not densities:
        return layout, ()
    reads = np.repeat(layout.kinds == LEAF, np.diff(layout.offsets))
    leaves, numbers = np.unique(layout.members[reads], return_inverse=True)
    members = layout.members.copy()
    members[reads] = numbers
    offsets = layout.leaf_offsets[leaves]
    soft = offsets < 0
    widths = np.array([block.width for block in densities], dtype=np.int64)
    met = np.zeros(len(densities), dtype=bool)
    met[np.repeat(np.arange(len(densities)), widths)[-1 - offsets[soft]]] = True
    rows = np.cumsum(np.repeat(met, widths)) - 1
    offsets[soft] = -1 - rows[-1 - offsets[soft]]
    found = tuple(block for block, own in zip(densities, met.tolist(), strict=True) if own)
    return replace(layout, members=members, leaf_columns=layout.leaf_columns[leaves], leaf_offsets=offsets), found


@dataclass(slots=True)
class _Nodes:
    """Scalar nodes while they are collected, stretch by stretch; `of` gives a block's nodes, [width]."""

    columns: Mapping[Variable, int]
    of: dict[Block, Indices] = field(default_factory=dict[Block, Indices])
    count: int = 0
    kinds: list[NDArray[np.int8]] = field(default_factory=list[NDArray[np.int8]])
    lengths: list[Indices] = field(default_factory=list[Indices])
    members: list[Indices] = field(default_factory=list[Indices])
    weights: list[Indices] = field(default_factory=list[Indices])
    leaves: list[Leaf] = field(default_factory=list[Leaf])
    leaf_columns: list[int] = field(default_factory=list[int])
    leaf_offsets: list[int] = field(default_factory=list[int])
    leaf_size: int = 0
    densities: list[Input] = field(default_factory=list[Input])
    rows: int = 0
    numbers: list[Weights] = field(default_factory=list[Weights])
    number_of: dict[int, int] = field(default_factory=dict[int, int])
    size: int = 0
    choices: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])

    def block(self, block: Block) -> None:
        """Collects the nodes of a block whose children are there."""
        match block:
            case Input():
                self.of[block] = self._input(block)
            case Product(form=form, width=width):
                below = [self.of[child] for child in block.children]
                self.of[block] = self._product(form, below, width)
            case Sum(map=linear):
                below = [self.of[child] for child in block.children]
                self.of[block] = self.map(linear, np.concatenate(below))

    def _input(self, block: Input) -> Indices:
        domain = block.variable.domain
        first = len(self.leaf_columns)
        self.leaf_columns += [self.columns[block.variable]] * block.width
        if isinstance(domain, FiniteDomain):
            self.leaves.append(Leaf(block.family, block.variable, block.parameters, block.width))
            values = domain.size + 1
            self.leaf_offsets += range(self.leaf_size, self.leaf_size + block.width * values, values)
            self.leaf_size += block.width * values
        else:
            self.densities.append(block)
            self.leaf_offsets += range(-1 - self.rows, -1 - self.rows - block.width, -1)
            self.rows += block.width
        own = np.arange(first, first + block.width)
        return self._add(LEAF, np.arange(block.width + 1), own, np.full(block.width, -1))

    def _product(self, form: Hadamard | Pairs | Indexed, below: list[Indices], width: int) -> Indices:
        match form:
            case Hadamard():
                columns = np.stack([np.broadcast_to(child, width) for child in below], axis=1)
            case Pairs():
                grids = np.meshgrid(*below, indexing="ij")
                columns = np.stack([grid.ravel() for grid in grids], axis=1)
            case Indexed(offsets, members):
                all_nodes = np.concatenate(below) if below else np.empty(0, np.int64)
                return self._add(PRODUCT, offsets, all_nodes[members], np.full(len(members), -1))
        offsets = np.arange(width + 1) * columns.shape[1]
        return self._add(PRODUCT, offsets, columns.ravel(), np.full(columns.size, -1))

    def map(self, linear: LinearMap, x: Indices, number: int = 0) -> Indices:
        """The nodes of a map of nodes; the choices of its last part have the given number, those before it the next."""
        match linear:
            case Selection(index, _):
                return x[index]
            case Compose(maps):
                for part, first in reversed(list(zip(maps, _numbered(maps, number), strict=True))):
                    x = self.map(part, x, first)
                return x
            case Kronecker(factors):
                return self._kronecker(factors, x, number)
            case _:
                start = self.count
                found = self._leaf(linear, x)
                self.choices.append((start, self.count, number))
                return found

    def _leaf(self, linear: Dense | BlockDiagonal | Diagonal | Sparse, x: Indices) -> Indices:
        match linear:
            case Dense(weights):
                rows, columns = weights.shape
                return self._sums(np.arange(rows + 1) * columns, np.tile(x, rows), weights)
            case BlockDiagonal(weights):
                blocks, rows, columns = weights.shape
                inputs = np.repeat(x.reshape(blocks, 1, columns), rows, axis=1)
                return self._sums(np.arange(blocks * rows + 1) * columns, inputs.ravel(), weights)
            case Diagonal(weights):
                return self._sums(np.arange(len(x) + 1), x, weights)
            case Sparse(_, columns, weights, _, _, order, offsets):
                return self._sums(offsets, x[columns[order]], weights, order)

    def _kronecker(self, factors: tuple[LinearMap, ...], x: Indices, number: int) -> Indices:
        """One factor at a time, the last first, on its own digit of the mixed-radix index."""
        sizes = [factor.inputs for factor in factors]
        numbers = _numbered(factors, number)
        for position in reversed(range(len(factors))):
            factor = factors[position]
            before, after = prod(sizes[:position]), prod(sizes[position + 1 :])
            digits = x.reshape(before, sizes[position], after)
            first = numbers[position]
            parts = [[self.map(factor, digits[i, :, j], first) for j in range(after)] for i in range(before)]
            sizes[position] = factor.outputs
            x = np.array(parts).reshape(before, after, factor.outputs).transpose(0, 2, 1).ravel()
        return x

    def _sums(self, offsets: Indices, members: Indices, weights: Expression, order: Indices | None = None) -> Indices:
        count = prod(weights.shape)
        entries = np.arange(count) if order is None else order
        if isinstance(weights, Constant):
            values = weights.value.floats.ravel()[entries]
            if not (values == 1).all() or (order is None and (values == 0).any()):
                names = np.where(values == 1, -1, self._number(weights) + entries)
            else:
                names = np.full(count, -1)
            kept = values != 0
            if not kept.all():
                lengths = np.add.reduceat(np.append(kept, 0), offsets[:-1]) if len(kept) else np.zeros(len(offsets) - 1)
                lengths = np.where(np.diff(offsets) > 0, lengths, 0)
                offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
                members, names = members[kept], names[kept]
            return self._add(SUM, offsets, members, names)
        return self._add(SUM, offsets, members, self._number(weights) + entries)

    def _number(self, weights: Expression) -> int:
        """Where the entries of an expression begin among the numbers."""
        found = self.number_of.get(id(weights))
        if found is None:
            found = self.number_of[id(weights)] = self.size
            self.numbers.append(Weights(weights, weights.shape))
            self.size += prod(weights.shape)
        return found

    def _add(self, kind: int, offsets: Indices, members: Indices, weights: Indices) -> Indices:
        """New nodes; those that only pass one on, with weight 1, are that one."""
        lengths = np.diff(offsets)
        width = len(lengths)
        names = np.arange(self.count, self.count + width)
        if kind != LEAF:
            single = lengths == 1
            first = offsets[:-1][single]
            passing = np.zeros(width, dtype=bool)
            passing[single] = weights[first] < 0
            if passing.any():
                names[passing] = members[offsets[:-1][passing]]
                kept = np.flatnonzero(~passing)
                names[kept] = np.arange(self.count, self.count + len(kept))
                edges = np.repeat(~passing, lengths)
                members, weights, lengths = members[edges], weights[edges], lengths[kept]
                width = len(kept)
        self.kinds.append(np.full(width, kind, dtype=np.int8))
        self.lengths.append(lengths)
        self.members.append(members.astype(np.int64))
        self.weights.append(weights.astype(np.int64))
        self.count += width
        return names

    def joined(self) -> tuple[NDArray[np.int8], Indices, Indices, Indices]:
        """Kinds, offsets, members and weights of all nodes."""
        lengths = np.concatenate(self.lengths)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return np.concatenate(self.kinds), offsets, np.concatenate(self.members), np.concatenate(self.weights)


def _numbered(maps: tuple[LinearMap, ...], first: int) -> list[int]:
    """The number of the first choice of each part of a composed map."""
    numbers = [first]
    for part in maps:
        numbers.append(numbers[-1] + _choices(part))
    return numbers[:-1]


def _choices(linear: LinearMap) -> int:
    """How many choices an output of a map makes, one after the other."""
    match linear:
        case Compose(parts) | Kronecker(parts):
            return sum(map(_choices, parts))
        case _:
            return 1


def _ordered(
    root: int,
    kinds: NDArray[np.int8],
    offsets: Indices,
    members: Indices,
    weights: Indices,
    leaf_columns: Indices,
    leaf_offsets: Indices,
) -> tuple[Layout, Indices]:
    """The nodes below the root depth first, with a slot for each, the one freed last, so that it is still in cache; and
    their numbers before."""
    bounds, names, kind = offsets.tolist(), members.tolist(), kinds.tolist()
    order: list[int] = []
    state = bytearray(len(kind))
    uses = [0] * len(kind)
    stack = [root]
    while stack:
        node = stack[-1]
        if state[node] == 0:
            state[node] = 1
            if kind[node] != LEAF:
                for child in names[bounds[node] : bounds[node + 1]]:
                    uses[child] += 1
                    if not state[child]:
                        stack.append(child)
        else:
            stack.pop()
            if state[node] == 1:
                state[node] = 2
                order.append(node)
    slot_of = [0] * len(kind)
    free: list[int] = []
    size = 0
    for node in order:
        if kind[node] != LEAF:
            for child in names[bounds[node] : bounds[node + 1]]:
                uses[child] -= 1
                if not uses[child]:
                    free.append(slot_of[child])
        if free:
            slot_of[node] = free.pop()
        else:
            slot_of[node] = size
            size += 1
    chosen = np.array(order, dtype=np.int64)
    slots = np.array(slot_of, dtype=np.int64)
    lengths = np.diff(offsets)[chosen]
    bounds_after = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    edges = np.repeat(offsets[chosen] - bounds_after[:-1], lengths) + np.arange(bounds_after[-1])
    is_leaf = np.repeat(kinds[chosen] == LEAF, lengths)
    read = members[edges]
    read = np.where(is_leaf, read, slots[np.where(is_leaf, 0, read)])
    layout = Layout(
        kinds[chosen], slots[chosen], bounds_after, read, weights[edges], leaf_columns, leaf_offsets, max(size, 1)
    )
    return layout, chosen
