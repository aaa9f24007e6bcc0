"""Decomposable: the factors of each product node have disjoint scopes.

What enters is a circuit; what leaves is a proof, or a product node with two factors that share variables.
"""

from __future__ import annotations

import numpy as np

from ...ir.block import Product
from ...ir.circuit import Circuit
from .factors import factors, node, node_at
from .result import Proved, Refuted, Result, remembered
from .witness import Node, SharedVariables


@remembered
def decomposable(circuit: Circuit) -> Result:
    """Whether the factors of each product node that reaches the root have pairwise disjoint scopes.

    Factors count by position; a constant has the empty scope, which is disjoint from all. Scopes are disjoint where
    their sizes add up to that of their union: linear in the edges, times variables / 64.
    """
    for block, nodes in circuit.scopes.overlapping.items():
        if isinstance(block, Product) and len(found := nodes[circuit.live[block][nodes]]):
            return Refuted(_witness(circuit, block, int(found[0])))
    return Proved()


def _witness(circuit: Circuit, block: Product, index: int) -> SharedVariables:
    _, positions = factors(block, np.array([index]))
    first: dict[object, tuple[int, Node]] = {}
    for number, position in enumerate(positions.tolist()):
        factor = node_at(circuit, block, position)
        for variable in factor.scope:
            if variable in first:
                earlier, other = first[variable]
                shared = tuple(each for each in factor.scope if each in set(other.scope))
                return SharedVariables(node(circuit, block, index), other, factor, (earlier, number), shared)
            first[variable] = number, factor
    raise AssertionError("scopes whose sizes exceed their union's share a variable")
