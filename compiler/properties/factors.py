"""Which nodes a block's nodes stand on, by their position among the children laid end to end.

Scopes say what a node is made of; this finds the nodes themselves, for witnesses and for operators that build anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.block import Block, Hadamard, Indexed, Pairs, Product, Sum
from ...ir.circuit import Circuit
from ...ir.linear import Indices
from .witness import Node


def starts_of(blocks: Sequence[Block]) -> Indices:
    """Where each block begins when they are laid end to end, and where the last one ends, [blocks + 1]."""
    return np.concatenate([[0], np.cumsum([block.width for block in blocks], dtype=np.int64)]).astype(np.int64)


def factors(block: Product, nodes: Indices) -> tuple[Indices, Indices]:
    """The factors of product nodes: offsets [nodes + 1] and positions, in the order of the factors."""
    starts = starts_of(block.children)
    match block.form:
        case Indexed(offsets, members):
            counts = offsets[nodes + 1] - offsets[nodes]
            bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            place = np.repeat(offsets[nodes] - bounds[:-1], counts) + np.arange(bounds[-1])
            return bounds, members[place]
        case Hadamard():
            columns = [
                start + (nodes if child.width > 1 else np.zeros_like(nodes))
                for child, start in zip(block.children, starts[:-1], strict=True)
            ]
        case Pairs():
            digits = np.unravel_index(nodes, [child.width for child in block.children])
            columns = [start + digit for start, digit in zip(starts[:-1], digits, strict=True)]
    table = np.stack(columns, axis=1) if columns else np.zeros((len(nodes), 0), dtype=np.int64)
    return np.arange(len(nodes) + 1) * table.shape[1], table.ravel().astype(np.int64)


def terms(circuit: Circuit, block: Sum, index: int) -> Indices:
    """The positions of the children that a sum node has a non-zero weight on, ascending."""
    marker = np.zeros((block.width, 1), dtype=bool)
    marker[index] = True
    return np.flatnonzero(circuit.support.mark(block.map, marker, transposed=True)[:, 0])


def node(circuit: Circuit, block: Block, index: int) -> Node:
    """A node of a block, with its scope."""
    return Node(block, index, circuit.scopes.node(block, index))


def node_at(circuit: Circuit, block: Product | Sum, position: int) -> Node:
    """The node that stands at a position among the block's children."""
    starts = starts_of(block.children)
    child = int(np.searchsorted(starts, position, side="right")) - 1
    return node(circuit, block.children[child], position - int(starts[child]))
