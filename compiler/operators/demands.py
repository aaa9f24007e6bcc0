"""What smoothing must extend: pairs of a node and the larger scope at which an unsmooth sum needs it.

What enters is a circuit's numbered scopes; what leaves is, for each block, the pairs that it must offer. Walked from
the root down, since a sum whose own scope does not fit the vtree passes what is asked of it on to its children.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ir.block import Block, Product, Sum
from ...ir.linear import Indices, Sparse
from ...ir.semirings import BOOLEAN
from ...ir.support import Booleans
from ..properties.factors import starts_of
from .scopeids import ScopeIds

NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Nodes, and the number of the scope that each is wanted at; distinct, in order of node and scope."""

    nodes: Indices
    scopes: Indices

    def __len__(self) -> int:
        return len(self.nodes)

    def where(self, kept: Booleans) -> Wanted:
        """Those of them that a mask keeps."""
        return Wanted(self.nodes[kept], self.scopes[kept])


@dataclass(frozen=True, slots=True)
class Demand:
    """What a block must offer beside its own nodes.

    `beside` are multiplied by what is missing as they are; `within` are made anew, a product with more factors, a sum
    over children that are extended.
    """

    beside: Wanted
    within: Wanted


def demands(ids: ScopeIds) -> dict[Block, Demand]:
    """The pairs that each block must offer, for those that must offer any."""
    asked: dict[Block, list[Wanted]] = {}
    found: dict[Block, Demand] = {}
    for block in reversed(ids.circuit.blocks):
        pairs = _distinct(asked.pop(block, []), len(ids.rows))
        if len(pairs):
            fitting = ids.fits[ids.of[block][pairs.nodes]]
            if not isinstance(block, Product | Sum):
                fitting = np.ones(len(pairs), dtype=bool)
            found[block] = Demand(pairs.where(fitting), pairs.where(~fitting))
            if isinstance(block, Sum):
                _ask(ids, block, found[block].within, asked)
        if block in ids.unsmooth:
            assert isinstance(block, Sum)
            nodes = ids.unsmooth[block]
            _ask(ids, block, Wanted(nodes, ids.of[block][nodes]), asked)
    return found


def _distinct(asked: list[Wanted], count: int) -> Wanted:
    if not asked:
        return Wanted(NONE, NONE)
    keys = np.unique(np.concatenate([pairs.nodes * count + pairs.scopes for pairs in asked]))
    return Wanted(keys // count, keys % count)


def _ask(ids: ScopeIds, block: Sum, rows: Wanted, asked: dict[Block, list[Wanted]]) -> None:
    """Asks a sum's children for what its nodes need of them at the given scopes."""
    read = reads(ids, block, rows)
    starts = starts_of(block.children)
    bounds = np.searchsorted(read.nodes, starts)
    wanted = read.scopes >= 0
    for child, start, low, high in zip(block.children, starts[:-1], bounds[:-1], bounds[1:], strict=True):
        if wanted[low:high].any():
            kept = Wanted(read.nodes[low:high] - start, read.scopes[low:high]).where(wanted[low:high])
            asked.setdefault(child, []).append(kept)


def reads(ids: ScopeIds, block: Sum, rows: Wanted) -> Wanted:
    """What a sum's nodes at the given scopes read: positions among the children laid end to end, and the scope that
    each is wanted at, -1 where that is its own."""
    if not len(rows):
        return Wanted(NONE, NONE)
    count = len(ids.rows)
    own = np.concatenate([ids.of[child] for child in block.children])
    match block.map:
        case Sparse(_, columns, weights) as linear:
            entries, row = entries_of(linear, rows.nodes)
            kept = np.asarray(ids.circuit.support.of(weights, BOOLEAN))[entries]
            keys = np.unique(columns[entries][kept] * count + rows.scopes[row][kept])
            positions, scopes = keys // count, keys % count
        case linear:
            kinds, place = np.unique(rows.scopes, return_inverse=True)
            markers = np.zeros((linear.outputs, len(kinds)), dtype=bool)
            markers[rows.nodes, place] = True
            positions, kind = np.nonzero(ids.circuit.support.mark(linear, markers, transposed=True))
            scopes = kinds[kind]
    return Wanted(positions, np.where(own[positions] == scopes, -1, scopes))


def entries_of(linear: Sparse, rows: Indices) -> tuple[Indices, Indices]:
    """The entries of rows of a sparse map, and the place of the row that each is of."""
    counts = linear.offsets[rows + 1] - linear.offsets[rows]
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    place = np.repeat(linear.offsets[rows] - bounds[:-1], counts) + np.arange(bounds[-1])
    return linear.order[place], np.repeat(np.arange(len(rows)), counts)
