"""The distinct scopes of a circuit, numbered, and which of them may be a factor's where a vtree is to be kept.

What enters is a circuit; what leaves are numbers per node that stand for scopes, so that what is per node stays arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...ir.block import Block, Sum
from ...ir.circuit import Circuit
from ...ir.domain import Variable
from ...ir.linear import Indices
from ...ir.scope import Bits, distinct
from ...ir.support import Booleans
from ..properties.laminar import Overlap, Tree, bits_of, nest, sizes_of
from ..properties.smooth import unsmooth
from ..properties.structured import factor_scopes


@dataclass(frozen=True)
class ScopeIds:
    """A circuit's scopes by number."""

    circuit: Circuit

    @property
    def rows(self) -> Bits:
        """The distinct scopes, [scopes, words]."""
        return self.circuit.scopes.table

    @property
    def of(self) -> dict[Block, Indices]:
        """The number of each node's scope, [width]."""
        return self.circuit.scopes.ids

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that the bits stand for."""
        return self.circuit.scopes.variables

    @cached_property
    def unsmooth(self) -> dict[Block, Indices]:
        """The nodes that are not smooth, of each sum block that has such."""
        found = {block: unsmooth(self.circuit, block) for block in self.circuit.blocks if isinstance(block, Sum)}
        return {block: nodes for block, nodes in found.items() if len(nodes)}

    @cached_property
    def tree(self) -> Tree | None:
        """The tree of the factors' scopes and those of unsmooth sums' children that fit in; None if they overlap."""
        factors = self._numbers_of(factor_scopes(self.circuit))
        base = nest(self.rows[factors], len(self.variables))
        if isinstance(base, Overlap):
            return None
        wanted = np.setdiff1d(self._unsmooth_children, factors)
        fitting = [number for number in wanted.tolist() if base.accepts(self._bits(number))]
        both = np.union1d(factors, np.array(fitting, dtype=np.int64))
        tree = nest(self.rows[both], base.elements, ~np.isin(both, factors))
        assert isinstance(tree, Tree)
        return Tree(tree.elements, tree.parents, both[tree.sources])

    @cached_property
    def fits(self) -> Booleans:
        """Which scopes may be a factor's beside the missing variables, so that the vtree is kept."""
        if self.tree is None:
            return np.ones(len(self.rows), dtype=bool)
        found = np.asarray(sizes_of(self.rows) < 2)
        found[self.tree.sources] = True
        return found

    @property
    def _unsmooth_children(self) -> Indices:
        found = [np.zeros(0, dtype=np.int64)]
        for block, nodes in self.unsmooth.items():
            assert isinstance(block, Sum)
            groups = self.circuit.scopes.groups(block)
            chosen = np.zeros(len(groups.offsets) - 1, dtype=bool)
            chosen[groups.index[nodes]] = True
            found.append(groups.members[np.repeat(chosen, np.diff(groups.offsets))])
        return np.unique(np.concatenate(found))

    def _numbers_of(self, rows: Bits) -> Indices:
        """The numbers of scopes that some nodes have."""
        place = distinct(np.concatenate([self.rows, rows]))[1]
        back = np.zeros(len(self.rows), dtype=np.int64)
        back[place[: len(self.rows)]] = np.arange(len(self.rows))
        return np.asarray(back[place[len(self.rows) :]])

    def _bits(self, number: int) -> Booleans:
        return bits_of(self.rows[number], len(self.variables))
