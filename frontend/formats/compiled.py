"""Scalar nodes of a network to a circuit: one block per stretch of nodes that one step of the elimination made.

The nodes of a stretch stand on few others, so a block's children are few; munin comes to some three thousand blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ...ir.block import Block, Indexed, Input, Product, Sum, constant_block, indexed, input_block, select
from ...ir.circuit import Circuit
from ...ir.domain import Variable
from ...ir.expression import Expression, Parameter, Value, constant
from ...ir.family import Table
from ...ir.linear import Indices, Sparse
from ...ir.span import Span
from ...ir.store import Store
from .trace import Scalars


def compiled(scalars: Scalars, variables: Sequence[Variable], span: Span) -> Circuit:
    """The circuit "circuit" of scalar nodes whose inputs are the indicators of the variables, one after the other.

    The weights of each block are a parameter, `circuit.1`, `circuit.2`, …; where all of them are 1, a constant.
    """
    if scalars.root < 0:
        return Circuit(constant_block(constant([[0.0]])), Store(), free=tuple(variables), span=span)
    return _Compiling(scalars, variables, span).run()


class _Compiling:
    """Blocks made so far, with the number of the first node of each."""

    def __init__(self, scalars: Scalars, variables: Sequence[Variable], span: Span) -> None:
        self.scalars, self.span = scalars, span
        self.variables = tuple(variables)
        sizes = [variable.size or 0 for variable in variables]
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.blocks: list[Block | None] = [None] * len(sizes)
        self.values: dict[Parameter, Value] = {}

    def run(self) -> Circuit:
        bounds = self.scalars.bounds()
        self.starts = np.concatenate([self.starts[:-1], self.scalars.inputs + bounds])
        for first, last in pairwise(bounds.tolist()):
            self.blocks.append(self.block(first, last))
        at = int(np.searchsorted(self.starts, self.scalars.root, side="right")) - 1
        root = self.child(at)
        if root.width > 1:
            root = select(root, [self.scalars.root - int(self.starts[at])], self.span)
        store = Store(self.values)
        used = {block.variable for block in Circuit(root, store).blocks if isinstance(block, Input)}
        free = tuple(variable for variable in self.variables if variable not in used)
        return Circuit(root, store, free=free, span=self.span)

    def child(self, at: int) -> Block:
        """A block by its number; that of a variable is made when it is first used."""
        found = self.blocks[at]
        if found is None:
            variable = self.variables[at]
            found = input_block(Table(), variable, [constant(np.eye(variable.size or 0))], self.span)
            self.blocks[at] = found
        return found

    def block(self, first: int, last: int) -> Block:
        """The block of nodes of one kind."""
        scalars = self.scalars
        offsets = scalars.offsets[first : last + 1]
        edges = slice(int(offsets[0]), int(offsets[-1]))
        members = scalars.members[edges]
        places = np.searchsorted(self.starts, members, side="right") - 1
        used = np.unique(places)
        children = tuple(self.child(int(at)) for at in used)
        widths = np.array([child.width for child in children], dtype=np.int64)
        shift = np.zeros(len(self.starts), dtype=np.int64)
        shift[used] = np.cumsum(widths) - widths - self.starts[used]
        members = members + shift[places]
        offsets = offsets - offsets[0]
        if not scalars.sums[first]:
            return Product(children, Indexed(_frozen(offsets), _frozen(members)), last - first, self.span)
        rows = np.repeat(np.arange(last - first), np.diff(offsets))
        weights = self.weights(scalars.weights[edges])
        order = np.arange(len(rows))
        linear = Sparse(
            _frozen(rows), _frozen(members), weights, last - first, int(widths.sum()), _frozen(order), _frozen(offsets)
        )
        return Sum(children, linear, last - first, self.span)

    def weights(self, numbers: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Expression:
        if np.all(numbers == 1):
            return constant(np.ones(len(numbers)))
        name = f"circuit.{len(self.values) + 1}"
        parameter = Parameter(name, (len(numbers),), "positive", True, self.span)
        self.values[parameter] = Value.of(numbers)
        return parameter


def _frozen(array: Indices) -> Indices:
    array.flags.writeable = False
    return array
