"""A circuit node by node: the graph of single nodes that determinism is about, in flat arrays.

What enters is a circuit, or its first blocks; what leaves is which nodes each node stands on, as numbers. Nodes that
only pass on another (slices, concatenations, sums and products of one node each) are that other node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from ....ir.block import Block, Indexed, Input, Product, Sum
from ....ir.circuit import Circuit
from ....ir.laid import Laid
from ....ir.linear import BlockDiagonal, Dense, Diagonal, Indices, LinearMap, Selection, Sparse
from ....ir.support import Booleans
from ..factors import factors

INPUT, PRODUCT, SUM = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """The nodes start … stop of a graph, which are those of one block, and what they stand on: edges from … to."""

    block: Block
    start: int
    stop: int
    first_edge: int
    last_edge: int


@dataclass(frozen=True)
class Graph:
    """Nodes 0 … n-1, children first; node i stands on members[offsets[i] … offsets[i+1]], in the order of the circuit.

    `kinds` tells inputs, products and sums apart, `live` which nodes reach the root; `ids` has the node that each node
    of a block is.
    """

    circuit: Circuit
    stretches: tuple[Stretch, ...]
    offsets: Indices
    members: Indices
    kinds: Indices
    live: Booleans
    ids: dict[Block, Indices]

    @property
    def size(self) -> int:
        return len(self.kinds)

    @cached_property
    def counts(self) -> Indices:
        """The number of nodes that each node stands on."""
        return np.diff(self.offsets)

    def below(self, node: int) -> list[int]:
        """The nodes that a node stands on."""
        return self._lists[self.offsets[node] : self.offsets[node + 1]]

    @cached_property
    def _lists(self) -> list[int]:
        found: list[int] = self.members.tolist()
        return found

    @cached_property
    def _starts(self) -> Indices:
        return np.array([stretch.start for stretch in self.stretches], dtype=np.int64)

    def place(self, node: int) -> tuple[Block, int]:
        """The block of a node, and its index there."""
        stretch = self.stretches[int(np.searchsorted(self._starts, node, side="right")) - 1]
        return stretch.block, node - stretch.start

    @cached_property
    def branching(self) -> Indices:
        """The sums that reach the root and have two children or more, ascending."""
        return np.flatnonzero(self.live & (self.kinds == SUM) & (self.counts > 1))


def graph_of(circuit: Circuit, blocks: Sequence[Block]) -> Graph:
    """The graph of some blocks of a circuit that stand children first, with all blocks below them."""
    ids: dict[Block, Indices] = {}
    stretches: list[Stretch] = []
    counts: list[Indices] = []
    members: list[Indices] = []
    kinds: list[int] = []
    alive: list[Booleans] = []
    size = edges = 0
    for block in blocks:
        live = circuit.live[block]
        if not np.count_nonzero(live):
            ids[block] = np.zeros(block.width, dtype=np.int64)
            continue
        if isinstance(block, Input):
            each, named, kind = np.zeros(block.width, dtype=np.int64), np.zeros(0, dtype=np.int64), INPUT
        else:
            laid = Laid([ids[child] for child in block.children])
            if isinstance(block, Sum) and isinstance(block.map, Selection):
                ids[block] = laid.take(block.map.index)
                continue
            bounds, places = below(circuit, block)
            named = laid.take(places)
            each, kind = bounds[1:] - bounds[:-1], PRODUCT if isinstance(block, Product) else SUM
            if len(named) == block.width and np.count_nonzero(each != 1) == 0:
                ids[block] = named
                continue
        ids[block] = np.arange(size, size + block.width)
        stretches.append(Stretch(block, size, size + block.width, edges, edges + len(named)))
        counts.append(each)
        members.append(named)
        kinds.append(kind)
        alive.append(live)
        size, edges = size + block.width, edges + len(named)
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *counts]))])
    widths = [stretch.stop - stretch.start for stretch in stretches]
    return Graph(
        circuit,
        tuple(stretches),
        offsets.astype(np.int64),
        np.concatenate([np.zeros(0, dtype=np.int64), *members]),
        np.repeat(np.array(kinds, dtype=np.int64), widths),
        np.concatenate([np.zeros(0, dtype=bool), *alive]),
        ids,
    )


def below(circuit: Circuit, block: Product | Sum) -> tuple[Indices, Indices]:
    """What each node of a block stands on: offsets [width + 1] and positions among the children laid end to end."""
    if isinstance(block, Product):
        if isinstance(block.form, Indexed):
            return block.form.offsets, block.form.members
        return factors(block, np.arange(block.width))
    linear = block.map
    if isinstance(linear, Sparse):
        return circuit.support.entries(linear)
    return circuit.support.terms(linear, np.arange(linear.inputs), linear.inputs)


def edges_of(block: Block) -> int:
    """How many nodes the nodes of a block stand on together, at most."""
    match block:
        case Input():
            return 0
        case Product(form=Indexed(members=members)):
            return len(members)
        case Product():
            return block.width * len(block.children)
        case Sum():
            return _entries(block.map)


def _entries(linear: LinearMap) -> int:
    match linear:
        case Dense(weights) | Diagonal(weights) | BlockDiagonal(weights) | Sparse(weights=weights):
            return prod(weights.shape)
        case Selection():
            return linear.outputs
        case _:
            return linear.outputs * linear.inputs
