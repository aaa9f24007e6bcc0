"""Witnesses of overlap, checked by value before they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ....ir.block import Sum
from ....ir.circuit import Circuit
from ....ir.domain import Variable, first_value
from ....ir.linear import Sparse
from ....ir.parameter import Floats
from ....ir.support import Booleans
from ..factors import node
from ..witness import Assignment, CommonSupport, Node
from .domains import Domains
from .graph import Graph
from .values import generic, nonzero


@dataclass(frozen=True)
class Shown:
    """The children of one sum, as what a reader is shown of them."""

    circuit: Circuit
    graph: Graph
    domains: Domains
    place: tuple[Sum, int]
    children: tuple[int, ...]
    subset: frozenset[Variable] | None

    @cached_property
    def generic(self) -> Circuit:
        """The circuit with its learnable numbers drawn at random."""
        return generic(self.circuit)

    def nonzero(self, child: int, rows: Floats) -> tuple[Booleans, bool]:
        """Where a child, by its position, is certainly not zero; and whether it is zero elsewhere."""
        return nonzero(self.generic, self.graph.place(self.children[child]), rows)

    def witness(self, one: int, other: int, first: dict[int, int], second: dict[int, int]) -> CommonSupport | None:
        """The witness that two children are non-zero at assignments, in classes; None where it is not certain."""
        rows = np.stack([self._row(first), self._row(second)])
        certain = [self.nonzero(child, rows)[0][place] for place, child in enumerate((one, other))]
        return self.of(one, other, rows) if all(certain) else None

    def of(self, one: int, other: int, rows: Floats) -> CommonSupport:
        """The witness of two children at two assignments [2, variables]."""
        assignments = [self._assignment(row) for row in rows]
        shared = None
        if self.subset is not None:
            shared = tuple(variable for variable in self.circuit.variables if variable in self.subset)
        return CommonSupport(
            node(self.circuit, *self.place),
            self._node(one),
            self._node(other),
            (self._position(one), self._position(other)),
            assignments[0],
            shared,
            () if shared is None else assignments[1],
        )

    def _position(self, child: int) -> int:
        """The place of a child among all children of the sum, in the order of the circuit."""
        block, index = self.place
        if not isinstance(block.map, Sparse):
            return child
        offsets, columns = self.circuit.support.entries(block.map)
        own = columns[offsets[index] : offsets[index + 1]]
        return int(np.count_nonzero(own < own[child]))

    def _node(self, child: int) -> Node:
        return node(self.circuit, *self.graph.place(self.children[child]))

    def _assignment(self, row: Floats) -> Assignment:
        return tuple(zip(self.circuit.variables, row.tolist(), strict=True))

    def _row(self, classes: dict[int, int]) -> Floats:
        """An assignment of all variables [variables]; those that are not said have their first class."""
        domains = self.domains
        chosen = {
            variable: float(domains.representatives[place][classes.get(place, 0)])
            for place, variable in enumerate(domains.variables)
        }
        variables = self.circuit.variables
        return np.array([chosen.get(variable, float(first_value(variable.domain))) for variable in variables])
