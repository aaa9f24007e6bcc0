"""The Program: what a query on a circuit computes, apart from the values of its parameters.

What enters is data, one row per sample and one column per variable; what leaves is the root buffer's single node per
row. Buffers and tables are numbers; their sizes stand here, and so do the indices and the networks of scalar nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..linear import Indices
from .operation import Density, Network, Operation, unrolled

Kinds = NDArray[np.int8]

LEAF, PRODUCT, SUM = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A circuit of scalar nodes in order of evaluation, its values in slots that are reused.

    Node i has the kind `kinds[i]`, writes `slots[i]` and reads `members[offsets[i] … offsets[i + 1]]`: slots, or, for a
    leaf, its number: leaf i reads `leaf_columns[i]` and has its values from `leaf_offsets[i]` on; −1 − r says that it
    is node r of the network's sources, on an infinite domain. `weights` names an entry of the table of weights for each
    member of a sum, −1 for the weight 1; members of other nodes have −1. The last node is the root.
    """

    kinds: Kinds
    slots: Indices
    offsets: Indices
    members: Indices
    weights: Indices
    leaf_columns: Indices
    leaf_offsets: Indices
    size: int

    @property
    def nodes(self) -> int:
        return len(self.kinds)

    @property
    def edges(self) -> int:
        return len(self.members)

    @property
    def soft(self) -> NDArray[np.bool_]:
        """The leaves that are nodes of the network's sources."""
        return self.leaf_offsets < 0


@dataclass(frozen=True, slots=True)
class Program:
    """Operations over buffers; `root` is the buffer that holds the answer.

    `buffers` are their numbers of nodes, `tables` the shapes of the tables, `columns` the number of values of each
    column of data (0 where its domain is infinite): code n of a column of n values says that it is missing.
    """

    operations: tuple[Operation, ...]
    root: int
    buffers: tuple[int, ...]
    tables: tuple[tuple[int, ...], ...]
    columns: tuple[int, ...]
    indices: tuple[Indices, ...] = ()
    layouts: tuple[Layout, ...] = field(default=())

    def network(self) -> Network:
        """The operation that runs the one network."""
        return next(step for step in unrolled(self.operations) if isinstance(step, Network))

    def densities(self, network: Network) -> list[Density]:
        """The operations that fill the sources of a network, in their order."""
        made = {step.out: step for step in unrolled(self.operations) if isinstance(step, Density)}
        return [made[source] for source in network.sources]
