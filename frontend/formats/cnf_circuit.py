"""An SDD as libsdd writes it, with weights of literals or without, to a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...ir.block import Block, Sum, constant_block, input_block
from ...ir.domain import Variable
from ...ir.family import Table
from ...ir.linear import sparse
from ...ir.parameter import Floats, Parameter, Value, constant
from ...ir.span import Span
from .pack import Packed, pack
from .vtree_text import VtreeNodes

_TRUE, _FALSE = -1, -2


@dataclass(slots=True)
class _Nodes:
    """Scalar nodes above the inputs."""

    inputs: int
    sums: list[bool] = field(default_factory=list[bool])
    offsets: list[int] = field(default_factory=lambda: [0])
    members: list[int] = field(default_factory=list[int])

    def add(self, is_sum: bool, members: Sequence[int]) -> int:
        """A node; one of one child is that child."""
        if len(members) == 1:
            return members[0]
        self.sums.append(is_sum)
        self.members.extend(members)
        self.offsets.append(len(self.members))
        return self.inputs + len(self.sums) - 1


def circuit_of(
    sdd: str, vtree: VtreeNodes, weights: Floats | None, variables: Sequence[Variable], span: Span
) -> Packed:
    """The blocks of an SDD over x1 … xn. With weights [n, 2], all variables of the file are in every branch."""
    count = len(variables)
    tables: list[Block] = [input_block(Table(), each, [constant(np.eye(2))], span) for each in variables]
    values: dict[str, tuple[Parameter, Value]] = {}
    inputs = tables
    never: set[int] = set()
    if weights is not None and count:
        weights = np.concatenate([weights, np.ones((count - len(weights), 2))])
        never = set(np.flatnonzero(weights.reshape(-1) == 0).tolist())
        if not weights.any(axis=1).all():
            return Packed(constant_block(constant([[0.0]]), span))
        block, values = _weighed(tables, weights, span)
        inputs = [block]
    nodes = _Nodes(sum(block.width for block in inputs))
    root = _root(sdd, vtree, nodes, never, None if weights is None else _Gaps(vtree, nodes, count))
    if root == _FALSE:
        return Packed(constant_block(constant([[0.0]]), span))
    if root == _TRUE:
        root = nodes.add(False, [])
    sums, offsets, members = (np.array(each, dtype=np.int64) for each in (nodes.sums, nodes.offsets, nodes.members))
    made = pack(inputs, sums.astype(bool), offsets, members, None, root, span=span)
    return Packed(made.root, values)


def _weighed(tables: list[Block], weights: Floats, span: Span) -> tuple[Block, dict[str, tuple[Parameter, Value]]]:
    """Nodes 2i and 2i + 1 are the values of variable i by their weights, node 2n + i the sum of both."""
    flat = weights.reshape(-1)
    count = len(weights)
    used = np.flatnonzero(flat)
    each = Parameter("circuit.1", (len(used),), "positive" if np.all(flat >= 0) else "real", True, span)
    literals = Sum(tuple(tables), sparse(used, used, each, 2 * count, 2 * count), 2 * count, span)
    rows = np.concatenate([np.arange(2 * count), 2 * count + used // 2])
    columns = np.concatenate([np.arange(2 * count), used])
    both = sparse(rows, columns, constant(np.ones(len(rows))), 3 * count, 2 * count)
    return Sum((literals,), both, 3 * count, span), {each.name: (each, Value.of(flat[used]))}


class _Gaps:
    """What a branch that leaves variables out is multiplied by, for each stretch of the vtree."""

    def __init__(self, vtree: VtreeNodes, nodes: _Nodes, count: int) -> None:
        self.nodes, self.count = nodes, count
        self.above: dict[int, int] = {}
        self.beside: dict[int, int] = {}
        self.whole: dict[int, int] = {}
        self.inner = vtree.inner
        for node in vtree.order:
            if node in vtree.leaves:
                self.whole[node] = 2 * count + vtree.leaves[node] - 1
            else:
                left, right = vtree.inner[node]
                self.above[left] = self.above[right] = node
                self.beside[left], self.beside[right] = right, left
                self.whole[node] = nodes.add(False, [self.whole[left], self.whole[right]])
        self.rest = sorted(set(range(count)) - {variable - 1 for variable in vtree.leaves.values()})
        self.root = vtree.order[-1] if vtree.order else None
        self.made: dict[tuple[int, int], list[int]] = {}

    def filled(self, node: int, place: int | None, goal: int | None) -> list[int]:
        """The factors of a node at a place of the vtree, with what it leaves out of the variables below the goal."""
        if goal is None:
            return [] if node == _TRUE else [node]
        if place is None:
            return [self.whole[goal]]
        out = [node]
        while place != goal:
            out.append(self.whole[self.beside[place]])
            place = self.above[place]
        return out


def _root(sdd: str, vtree: VtreeNodes, nodes: _Nodes, never: set[int], gaps: _Gaps | None) -> int:
    """The node of the SDD's root, which is the last that libsdd writes; literals of weight zero are never true."""
    made: dict[str, tuple[int, int | None]] = {}
    last = "0"
    for line in sdd.split("\n"):
        words = line.split()
        if not words or words[0] not in ("F", "T", "L", "D"):
            continue
        last = words[1]
        match words[0]:
            case "F":
                made[last] = _FALSE, None
            case "T":
                made[last] = _TRUE, None
            case "L":
                literal = int(words[3])
                value = 2 * abs(literal) - 2 + (literal > 0)
                made[last] = _FALSE if value in never else value, int(words[2])
            case _:
                place = int(words[2])
                made[last] = _decision(words[4:], place, made, vtree, nodes, gaps), place
    node, where = made[last]
    if gaps is None or node == _FALSE:
        return node
    factors = [2 * gaps.count + variable for variable in gaps.rest]
    return nodes.add(False, [*gaps.filled(node, where, gaps.root), *factors])


def _decision(
    elements: list[str],
    place: int,
    made: dict[str, tuple[int, int | None]],
    vtree: VtreeNodes,
    nodes: _Nodes,
    gaps: _Gaps | None,
) -> int:
    """The sum of the products of primes and subs."""
    left, right = vtree.inner[place]
    products: list[int] = []
    for prime, sub in zip(elements[::2], elements[1::2], strict=True):
        (first, where), (second, there) = made[prime], made[sub]
        if _FALSE in (first, second):
            continue
        if gaps is None:
            factors = [node for node in (first, second) if node != _TRUE]
        else:
            factors = [*gaps.filled(first, where, left), *gaps.filled(second, there, right)]
        products.append(nodes.add(False, factors))
    return nodes.add(True, products) if products else _FALSE
