"""A circuit made smooth along a vtree that its products fit, though the scopes of their factors overlap.

What enters are scalar nodes and the tree (partitions.py); what leaves is a root whose nodes are each over all variables
of a node of the tree, so that factors' scopes are nested or disjoint. A node is made at each place of the tree where it
is asked for: a sum over its children there, a product with its factors below the children that hold them, and with the
constant 1 where it has none. It is for circuits with constant weights, as those of logic have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...frontend.formats.pack import pack
from ...ir.block import Block, Input, Product, Sum
from ...ir.linear import Dense, Selection, Sparse
from ...ir.parameter import Constant
from ..properties.factors import factors
from .ones import one
from .partitions import Part, Partition, Subtrees, tree_of
from .scopeids import ScopeIds

MOST_EDGES = 1 << 20
_NOTHING: Part = frozenset()


@dataclass(slots=True)
class Scalars:
    """Nodes one by one, children first: of each its scope, and its children with their weights; inputs have none."""

    scopes: list[Part]
    sums: list[bool | None]
    below: list[list[tuple[int, float]]]

    def partition(self, node: int) -> Partition:
        """The parts that a product makes of its scope."""
        return frozenset(self.scopes[child] for child, _ in self.below[node] if self.scopes[child])


def fitted(ids: ScopeIds) -> Block | None:
    """The root of the same function, smooth and structured; None where no tree fits, or a weight is no constant."""
    circuit = ids.circuit
    if sum(block.width for block in circuit.blocks) > MOST_EDGES:
        return None
    nodes = _scalars(ids)
    if nodes is None or not nodes.scopes[-1]:
        return None
    live = np.concatenate([circuit.live[block] for block in circuit.blocks]).tolist()
    products = [node for node, is_sum in enumerate(nodes.sums) if is_sum is False and live[node]]
    tree = tree_of(nodes.scopes[-1], {nodes.partition(node) for node in products})
    return None if tree is None else _Fitting(ids, nodes, tree).root()


def _scalars(ids: ScopeIds) -> Scalars | None:
    """The nodes of a circuit; None where a sum's map is of another kind or has numbers that are no constants.

    A sum of nothing, a product with such a factor, and what is made of these alone are 0, and left out of sums.
    """
    circuit = ids.circuit
    sets: dict[int, Part] = {}
    starts: dict[Block, int] = {}
    out = Scalars([], [], [])
    zero: list[bool] = []
    for block in circuit.blocks:
        starts[block] = len(out.scopes)
        numbers = ids.of[block].tolist()
        for number in set(numbers) - set(sets):
            names = np.unpackbits(ids.rows[number].view(np.uint8), bitorder="little")
            sets[number] = frozenset(np.flatnonzero(names).tolist())
        out.scopes += [sets[number] for number in numbers]
        if isinstance(block, Input):
            out.sums += [None] * block.width
            out.below += [[] for _ in range(block.width)]
            zero += [False] * block.width
            continue
        place = np.concatenate([[0], *(starts[child] + np.arange(child.width) for child in block.children)])[1:]
        found = _terms(block) if isinstance(block, Sum) else _factors(block)
        if found is None:
            return None
        offsets, members, weights = found
        children, bounds = place[members].astype(np.int64).tolist(), offsets.tolist()
        for node in range(block.width):
            here = slice(bounds[node], bounds[node + 1])
            pairs = list(zip(children[here], weights[here].tolist(), strict=True))
            if isinstance(block, Sum):
                pairs = [(child, weight) for child, weight in pairs if weight and not zero[child]]
            out.sums.append(isinstance(block, Sum))
            out.below.append(pairs)
            zero.append(not pairs if isinstance(block, Sum) else any(zero[child] for child, _ in pairs))
    return None if zero[-1] else out


Edges = tuple[np.ndarray, np.ndarray, np.ndarray]


def _factors(block: Product) -> Edges:
    offsets, members = factors(block, np.arange(block.width))
    return offsets, members, np.ones(len(members))


def _terms(block: Sum) -> Edges | None:
    """The entries of a sum's map, row by row."""
    match block.map:
        case Selection(index, _):
            return np.arange(len(index) + 1), np.asarray(index), np.ones(len(index))
        case Sparse(_, columns, Constant(value), order=order, offsets=offsets) if value.rationals is None:
            return offsets, columns[order], value.floats[order]
        case Dense(Constant(value)) if value.rationals is None:
            rows, columns = value.floats.shape
            return np.arange(rows + 1) * columns, np.tile(np.arange(columns), rows), value.floats.ravel()
        case _:
            return None


@dataclass(slots=True)
class _Fitting:
    """The nodes made so far, by what they are of and where in the tree."""

    ids: ScopeIds
    nodes: Scalars
    tree: Subtrees
    inputs: list[Block] = field(default_factory=list[Block])
    sums: list[bool] = field(default_factory=list[bool])
    below: list[list[tuple[int, float]]] = field(default_factory=list[list[tuple[int, float]]])
    _made: dict[tuple[object, int], int] = field(default_factory=dict[tuple[object, int], int])
    _leaves: dict[int, int] = field(default_factory=dict[int, int])
    _total: int = 0

    def root(self) -> Block | None:
        """The last node at the root of the tree."""
        last = len(self.nodes.scopes) - 1
        self._take_inputs()
        stack: list[tuple[object, int]] = [(last, 0)]
        while stack:
            key = stack[-1]
            if key in self._made:
                stack.pop()
            elif missing := [each for each in self._wanted(*key) if each not in self._made]:
                stack += missing
            else:
                self._made[key] = self._make(*key)
                if len(self.below) > 4 * MOST_EDGES:
                    return None
        offsets = np.concatenate([[0], np.cumsum([len(pairs) for pairs in self.below])]).astype(np.int64)
        members = np.array([child for pairs in self.below for child, _ in pairs], dtype=np.int64)
        weights = np.array([weight for pairs in self.below for _, weight in pairs])
        root = self._made[last, 0]
        return pack(self.inputs, np.array(self.sums, dtype=bool), offsets, members, weights, root, learnable=False).root

    def _take_inputs(self) -> None:
        """The inputs of the circuit, and the constant 1 on each variable; their nodes come before all others."""
        node = 0
        for block in self.ids.circuit.blocks:
            if isinstance(block, Input):
                self.inputs.append(block)
                for index in range(block.width):
                    self._leaves[node + index] = self._total + index
                self._total += block.width
            node += block.width
        for place, element in ((p, e) for p, (e, *rest) in enumerate(self.tree.elements) if not rest):
            self.inputs.append(one(self.ids.variables[element]))
            self._made[_NOTHING, place] = self._total
            self._total += 1

    def _wanted(self, what: object, place: int) -> list[tuple[object, int]]:
        """What must be made first: pairs of what stands below and its place in the tree."""
        if what == _NOTHING:
            return [(_NOTHING, child) for child in self.tree.children[place]]
        scope, members = self._parts(what)
        if place < 0:
            return [(member, place) for member in members]
        if not scope:
            return [(what, -1), (_NOTHING, place)]
        lowest = self.tree.lowest(place, scope)
        if lowest != place:
            return [(what, lowest), *((_NOTHING, sibling) for sibling in self._siblings(place, lowest))]
        if isinstance(what, int) and self.nodes.sums[what] is not False:
            return [(child, place) for child, _ in self.nodes.below[what]]
        return self._placed(members, place)

    def _parts(self, what: object) -> tuple[Part, tuple[int, ...]]:
        """The scope of a node, or of some factors of a product, and its factors."""
        if isinstance(what, int):
            return self.nodes.scopes[what], tuple(child for child, _ in self.nodes.below[what])
        assert isinstance(what, tuple)
        return frozenset().union(*(self.nodes.scopes[child] for child in what)), what

    def _siblings(self, place: int, lowest: int) -> list[int]:
        """The nodes of the tree beside the path between two of its nodes."""
        found: list[int] = []
        while lowest != place:
            parent = self.tree.parents[lowest]
            found += [child for child in self.tree.children[parent] if child != lowest]
            lowest = parent
        return found

    def _placed(self, members: tuple[int, ...], place: int) -> list[tuple[object, int]]:
        """The factors of a product at a node of the tree, each below the child that holds it, or 1 there."""
        groups: dict[int, list[int]] = {child: [] for child in self.tree.children[place]}
        found: list[tuple[object, int]] = []
        for member in members:
            scope = self.nodes.scopes[member]
            below = next((child for child in groups if scope and scope <= self.tree.elements[child]), None)
            if below is not None:
                groups[below].append(member)
            elif scope:  # the one factor with variables: the others are numbers
                return [(each, place) for each in members if self.nodes.scopes[each]] + self._numbers(members)
        for child, group in groups.items():
            found.append((_NOTHING if not group else group[0] if len(group) == 1 else tuple(group), child))
        return found + self._numbers(members)

    def _numbers(self, members: tuple[int, ...]) -> list[tuple[object, int]]:
        """The factors without variables, at the place −1."""
        return [(member, -1) for member in members if not self.nodes.scopes[member]]

    def _make(self, what: object, place: int) -> int:
        """A node from those below it, which have been made."""
        if isinstance(what, int) and self.nodes.sums[what] is None and place >= 0 and not self.tree.children[place]:
            return self._leaves[what]
        below = [self._made[key] for key in self._wanted(what, place)]
        is_sum = isinstance(what, int) and self.nodes.sums[what] is True
        weights = [1.0] * len(below)
        if is_sum and isinstance(what, int):
            scope = self.nodes.scopes[what]
            is_sum = place < 0 or (bool(scope) and self.tree.lowest(place, scope) == place)
            weights = [weight for _, weight in self.nodes.below[what]] if is_sum else weights
        self.sums.append(is_sum)
        self.below.append(list(zip(below, weights, strict=True)))
        return self._total + len(self.sums) - 1
