"""Smooth: the children of each sum node have the same scope.

What enters is a circuit; what leaves is a proof, or a sum node with two children of different scopes.
"""

from __future__ import annotations

import numpy as np

from ...ir.block import Sum
from ...ir.circuit import Circuit
from ...ir.linear import Indices
from .factors import node, node_at, terms
from .result import Proved, Refuted, Result, remembered
from .witness import DifferentScopes


@remembered
def smooth(circuit: Circuit) -> Result:
    """Whether the children of each sum node that reaches the root have one scope.

    A sum's children are the nodes of non-zero weight in its whole map; learnable numbers count as non-zero. Linear in
    the edges, with scopes as bits: times variables / 64.
    """
    for block in circuit.scopes.unsmooth:
        if isinstance(block, Sum) and len(found := unsmooth(circuit, block)):
            return Refuted(_witness(circuit, block, int(found[0])))
    return Proved()


def unsmooth(circuit: Circuit, block: Sum) -> Indices:
    """The nodes of a sum block that reach the root and have children of different scopes, ascending."""
    found = circuit.scopes.unsmooth.get(block)
    return np.zeros(0, dtype=np.int64) if found is None else found[circuit.live[block][found]]


def _witness(circuit: Circuit, block: Sum, index: int) -> DifferentScopes:
    children = [node_at(circuit, block, position) for position in terms(circuit, block, index).tolist()]
    first = children[0]
    second = next(child for child in children if child.scope != first.scope)
    return DifferentScopes(node(circuit, block, index), first, second)
