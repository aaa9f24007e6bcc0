"""Blocks built anew so that each sum reads its children at its own scope.

What enters is what smoothing must extend (demands.py) and the ones that it multiplies by (ones.py); what leaves is the
new root. Walked from the inputs up; whatever is not touched is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...ir.block import MAX_NUMBERS, Block, Indexed, Pairs, Product, Sum, hadamard, indexed, pairs, weighted
from ...ir.diagnostic import error
from ...ir.expression import take
from ...ir.linear import Indices, Kronecker, LinearMap, Selection, Sparse, compose, selection, sparse
from ...ir.semirings import BOOLEAN
from ...ir.span import Span
from ...ir.support import Booleans
from ..properties.factors import factors, starts_of
from ..rewrite import with_children
from .demands import Demand, Wanted, entries_of, reads
from .ones import Ones
from .scopeids import ScopeIds


@dataclass(frozen=True, slots=True)
class Version:
    """A block's nodes at larger scopes: the pair keys[k], node · scopes + scope, is node places[k] of the blocks laid
    end to end. It is `whole` where one block holds every node, in order, at one scope."""

    blocks: tuple[Block, ...]
    keys: Indices
    places: Indices
    whole: bool = False

    def beside(self, other: Version) -> Version:
        """Both, as one."""
        start = sum(block.width for block in self.blocks)
        keys, places = np.concatenate([self.keys, other.keys]), np.concatenate([self.places, other.places + start])
        order = np.argsort(keys)
        return Version((*self.blocks, *other.blocks), keys[order], places[order])


@dataclass(slots=True)
class Extension:
    """The blocks so far: each one's own nodes, and its nodes at larger scopes."""

    ids: ScopeIds
    demanded: Mapping[Block, Demand]
    own: dict[Block, Block] = field(default_factory=dict[Block, Block])
    versions: dict[Block, Version] = field(default_factory=dict[Block, Version])
    _ones: Ones = field(init=False)
    _missing: Indices = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.ids.rows)
        found = [np.zeros(0, dtype=np.int64)]
        for block, demand in self.demanded.items():
            for wanted in (demand.beside, *(() if isinstance(block, Sum) else (demand.within,))):
                found.append(np.unique(self.ids.of[block][wanted.nodes] * count + wanted.scopes))
        self._missing = np.unique(np.concatenate(found))
        sets = self.ids.rows[self._missing % count] & ~self.ids.rows[self._missing // count]
        self._ones = Ones(self.ids.variables, sets, self.ids.tree)

    def root(self) -> Block:
        """The circuit's root, smooth."""
        for block in self.ids.circuit.blocks:
            self.own[block] = self._own(block)
            if block in self.demanded:
                self.versions[block] = self._version(block, self.demanded[block])
        return self.own[self.ids.circuit.root]

    def _own(self, block: Block) -> Block:
        if not isinstance(block, Sum) or block not in self.ids.unsmooth:
            return with_children(block, self.own)
        scopes = np.where(self.ids.circuit.live[block], self.ids.of[block], -1)
        return self._sum(block, Wanted(np.arange(block.width), scopes))

    def _version(self, block: Block, demand: Demand) -> Version:
        found = [self._beside(block, demand.beside)] if len(demand.beside) else []
        if len(demand.within):
            found.append(self._within(block, demand.within))
        return found[0] if len(found) == 1 else found[0].beside(found[1])

    def _beside(self, block: Block, wanted: Wanted) -> Version:
        """Nodes times what they miss."""
        missing = self._missing_of(block, wanted)
        if self._is_uniform(block, wanted):
            return self._whole(hadamard([self.own[block], *self._ones.factors(int(missing[0]))], block.span), wanted)
        return self._product([self.own[block]], np.arange(len(wanted) + 1), wanted, wanted.nodes, missing, block.span)

    def _within(self, block: Block, wanted: Wanted) -> Version:
        """Products with what they miss as further factors; sums over children that are extended."""
        if isinstance(block, Sum):
            made = self._sum(block, wanted)
            whole = np.array_equal(wanted.nodes, np.arange(block.width)) and bool(np.ptp(wanted.scopes) == 0)
            return Version((made,), self._keys(wanted), np.arange(len(wanted)), whole)
        assert isinstance(block, Product)
        missing = self._missing_of(block, wanted)
        children = [self.own[child] for child in block.children]
        if not isinstance(block.form, Indexed) and self._is_uniform(block, wanted):
            joined = pairs if isinstance(block.form, Pairs) else hadamard
            return self._whole(joined([*children, *self._ones.factors(int(missing[0]))], block.span), wanted)
        offsets, members = factors(block, wanted.nodes)
        return self._product(children, offsets, wanted, members, missing, block.span)

    def _missing_of(self, block: Block, wanted: Wanted) -> Indices:
        keys = self.ids.of[block][wanted.nodes] * len(self.ids.rows) + wanted.scopes
        return np.searchsorted(self._missing, keys)

    def _is_uniform(self, block: Block, wanted: Wanted) -> bool:
        """Whether all nodes have one scope and are wanted at one, so that the block can be extended as it is."""
        own = self.ids.of[block]
        return bool((own == own[0]).all() and (wanted.scopes == wanted.scopes[0]).all())

    def _keys(self, wanted: Wanted) -> Indices:
        return wanted.nodes * len(self.ids.rows) + wanted.scopes

    def _whole(self, made: Block, wanted: Wanted) -> Version:
        every = np.arange(made.width)
        return Version((made,), every * len(self.ids.rows) + wanted.scopes[0], every, whole=True)

    def _product(
        self,
        blocks: Sequence[Block],
        offsets: Indices,
        wanted: Wanted,
        members: Indices,
        missing: Indices,
        span: Span | None,
    ) -> Version:
        """A product node per wanted pair: its members among the blocks, and those that are 1 on what is missing."""
        used, place = np.unique(missing, return_inverse=True)
        ones, bounds, nodes = self._ones.packed(used)
        start = sum(block.width for block in blocks)
        first, second = np.diff(offsets), np.diff(bounds)[place]
        ends = np.concatenate([[0], np.cumsum(first + second)])
        if ends[-1] > MAX_NUMBERS:
            raise error("too-large", f"smooth makes products of {ends[-1]:,} factors", span)
        out = np.empty(ends[-1], dtype=np.int64)
        out[_spread(ends[:-1], first)] = members
        out[_spread(ends[:-1] + first, second)] = nodes[_spread(bounds[place], second)] + start
        return Version((indexed([*blocks, *ones], ends, out, span),), self._keys(wanted), np.arange(len(wanted)))

    def _sum(self, block: Sum, rows: Wanted) -> Block:
        """Nodes of a sum block, each over children at the given scope; those at -1 as they are."""
        read = reads(self.ids, block, rows.where(rows.scopes >= 0))
        if not (read.nodes[1:] == read.nodes[:-1]).any():
            wanted = np.full(block.map.inputs, -1)
            wanted[read.nodes] = read.scopes
            own = np.zeros(block.map.inputs, dtype=bool)
            own[read.nodes[read.scopes < 0]] = True
            return weighted(self._children(block, wanted, own), _chosen(block.map, rows.nodes), block.span)
        if isinstance(block.map, Sparse):
            return self._sparse_sum(block, block.map, rows)
        kinds, place = np.unique(np.where(rows.scopes < 0, rows.scopes.max(), rows.scopes), return_inverse=True)
        stacked: list[Block] = []
        laid = np.concatenate([self.ids.of[child] for child in block.children])
        for kind in kinds.tolist():
            wanted = np.full(block.map.inputs, -1)
            wanted[read.nodes[read.scopes == kind]] = kind
            stacked += self._children(block, wanted, laid == kind)
        linear = Kronecker((selection(np.arange(len(kinds)), len(kinds)), block.map))
        outputs = block.map.outputs
        return weighted(stacked, compose([selection(place * outputs + rows.nodes, linear.outputs), linear]), block.span)

    def _children(self, block: Sum, wanted: Indices, own: Booleans) -> list[Block]:
        """Blocks in place of a sum's children, of the same widths, with nodes at the scopes that are wanted.

        `own` are the nodes that are read as they are; a node that is neither is not read, and may be anything.
        """
        found: list[Block] = []
        starts = starts_of(block.children)
        for child, start in zip(block.children, starts[:-1].tolist(), strict=True):
            scopes, as_is = wanted[start : start + child.width], own[start : start + child.width]
            if not (scopes >= 0).any():
                found.append(self.own[child])
            elif self.versions[child].whole and not as_is.any():
                found.append(self.versions[child].blocks[0])
            else:
                blocks, places = self._located([child], np.arange(child.width), scopes)
                found.append(weighted(blocks, selection(places, sum(each.width for each in blocks)), child.span))
        return found

    def _sparse_sum(self, block: Sum, linear: Sparse, rows: Wanted) -> Block:
        """A sparse map whose entries read each child at the scope of their own row."""
        whole = np.array_equal(rows.nodes, np.arange(linear.outputs))
        entries, row = (np.arange(len(linear.rows)), linear.rows) if whole else entries_of(linear, rows.nodes)
        columns, scopes = linear.columns[entries], rows.scopes[row]
        laid = np.concatenate([self.ids.of[child] for child in block.children])
        kept = np.asarray(self.ids.circuit.support.of(linear.weights, BOOLEAN))[entries]
        wanted = np.where(kept & (laid[columns] != scopes), scopes, -1)
        blocks, places = self._located(block.children, columns, wanted)
        weights = linear.weights if whole else take(linear.weights, 0, entries.tolist())
        total = sum(each.width for each in blocks)
        return weighted(blocks, sparse(row, places, weights, len(rows), total), block.span)

    def _located(self, children: Sequence[Block], positions: Indices, scopes: Indices) -> tuple[list[Block], Indices]:
        """Blocks, and where in them, laid end to end, the children's nodes are at the given scopes, or at their own."""
        starts = starts_of(children)
        place = np.empty(len(positions), dtype=np.int64)
        child_of = np.searchsorted(starts, positions, side="right") - 1
        order = np.argsort(child_of, kind="stable")
        bounds = np.searchsorted(child_of[order], np.arange(len(children) + 1))
        found: list[Block] = []
        end = 0
        for number, child in enumerate(children):
            part = order[bounds[number] : bounds[number + 1]]
            extended = scopes[part] >= 0
            as_is, larger = part[~extended], part[extended]
            if len(as_is):
                place[as_is] = positions[as_is] - starts[number] + end
                found.append(self.own[child])
                end += child.width
            if len(larger):
                version = self.versions[child]
                keys = (positions[larger] - starts[number]) * len(self.ids.rows) + scopes[larger]
                place[larger] = version.places[np.searchsorted(version.keys, keys)] + end
                found += version.blocks
                end += sum(block.width for block in version.blocks)
        return found, place


def _chosen(linear: LinearMap, rows: Indices) -> LinearMap:
    """The rows of a map that are named; the map itself where they are all, in order."""
    if np.array_equal(rows, np.arange(linear.outputs)):
        return linear
    if isinstance(linear, Selection):
        return selection(linear.index[rows], linear.inputs)
    return compose([selection(rows, linear.outputs), linear])


def _spread(starts: Indices, counts: Indices) -> Indices:
    """The stretches of given lengths from given starts, one after the other."""
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return np.repeat(starts - ends[:-1], counts) + np.arange(ends[-1])
