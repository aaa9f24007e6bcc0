"""The constant 1 on sets of variables, each made once: what smoothing multiplies by.

Where the circuit follows a vtree a set is the fewest subtrees that make it up, and each subtree is one shared product;
otherwise each set is one node.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...ir.block import Block, hadamard, indexed, input_block
from ...ir.domain import FiniteDomain, Variable
from ...ir.family import One, Table
from ...ir.linear import Indices
from ...ir.parameter import constant
from ...ir.scope import Bits
from ..properties.laminar import Tree, bits_of


@dataclass(slots=True)
class Ones:
    """Blocks that are 1 on the sets [sets, words], asked for by number."""

    variables: tuple[Variable, ...]
    sets: Bits
    tree: Tree | None
    _nodes: dict[int, Block] = field(default_factory=dict[int, Block])
    _whole: dict[int, Block] = field(default_factory=dict[int, Block])
    _packed: Block | None = None

    def factors(self, number: int) -> list[Block]:
        """The factors, of width 1, of one set."""
        members = np.flatnonzero(bits_of(self.sets[number], len(self.variables)))
        if self.tree is not None or len(members) == 1:
            return [self._node(part) for part in self._parts(number).tolist()]
        if number not in self._whole:
            self._whole[number] = hadamard([self._node(member) for member in members.tolist()])
        return [self._whole[number]]

    def packed(self, numbers: Indices) -> tuple[list[Block], Indices, Indices]:
        """Blocks, and the nodes of them laid end to end whose product is each of the sets: offsets and members."""
        if self.tree is None:
            return [self._every], np.arange(len(numbers) + 1), numbers
        parts = [self._parts(number) for number in numbers.tolist()]
        used, members = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *parts]), return_inverse=True)
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        return [self._node(part) for part in used.tolist()], offsets, members.astype(np.int64)

    def _parts(self, number: int) -> Indices:
        elements = bits_of(self.sets[number], len(self.variables))
        return np.flatnonzero(elements) if self.tree is None else self.tree.parts(elements)

    @property
    def _every(self) -> Block:
        """All sets, a node each."""
        if self._packed is None:
            members = [np.flatnonzero(bits_of(row, len(self.variables))) for row in self.sets]
            used, places = np.unique(np.concatenate(members), return_inverse=True)
            offsets = np.concatenate([[0], np.cumsum([len(each) for each in members])])
            self._packed = indexed([self._node(each) for each in used.tolist()], offsets, places)
        return self._packed

    def _node(self, wanted: int) -> Block:
        """1 on the variables below a node of the tree, without recursion."""
        stack = [wanted]
        while stack:
            node = stack.pop()
            if node in self._nodes:
                continue
            if node < len(self.variables):
                self._nodes[node] = one(self.variables[node])
                continue
            assert self.tree is not None
            below = self.tree.children[node]
            if missing := [child for child in below if child not in self._nodes]:
                stack += [node, *missing]
            else:
                self._nodes[node] = hadamard([self._nodes[child] for child in below])
        return self._nodes[wanted]


def one(variable: Variable) -> Block:
    """The constant 1 on a variable: a table of ones, or on infinite domains the family of its own."""
    if isinstance(variable.domain, FiniteDomain):
        return input_block(Table(), variable, [constant(np.ones((1, variable.domain.size)))])
    return input_block(One(), variable)
