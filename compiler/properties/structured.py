"""Structured: smooth, decomposable, and the scopes of all products' factors are pairwise nested or disjoint.

What enters is a circuit; what leaves is a proof with the vtree that the scopes form, or a witness: of what is not
smooth or decomposable, or two scopes that overlap.
"""

from __future__ import annotations

import numpy as np

from ...ir.block import Product
from ...ir.circuit import Circuit
from ...ir.linear import Indices
from ...ir.scope import Bits
from .decomposable import decomposable
from .factors import factors, node, node_at
from .laminar import Overlap, bits_of, nest
from .result import Proved, Refuted, Result, remembered
from .smooth import smooth
from .witness import Node, OverlappingScopes


@remembered
def structured(circuit: Circuit) -> Result:
    """Whether the circuit is smooth, decomposable, and the scopes of its products' factors are those of one vtree.

    The scopes are sorted by size, and each is held against the smallest one so far around each of its variables; of n
    variables at most 2n scopes can be looked at before two overlap. Time: that of the scopes, and n² / 64 words.
    """
    for result in (smooth(circuit), decomposable(circuit)):
        if isinstance(result, Refuted):
            return result
    rows = factor_scopes(circuit)
    tree = nest(rows, len(circuit.scopes.variables))
    if isinstance(tree, Overlap):
        return Refuted(_witness(circuit, rows[tree.first], rows[tree.second]))
    return Proved(tree.vtree(circuit.scopes.variables, bits_of(_root(circuit), tree.elements)))


def factor_scopes(circuit: Circuit) -> Bits:
    """The distinct scopes of the factors of all product nodes that reach the root, and of the root: [scopes, words]."""
    found = np.zeros(len(circuit.scopes.table), dtype=bool)
    found[circuit.scopes.ids[circuit.root]] = True
    for block in circuit.blocks:
        if isinstance(block, Product) and (live := circuit.live[block]).any():
            groups = circuit.scopes.groups(block)
            if live.all():
                members = groups.members
            else:
                alive = np.zeros(len(groups.offsets) - 1, dtype=bool)
                alive[groups.index[live]] = True
                members = groups.members[np.repeat(alive, np.diff(groups.offsets))]
            found[members] = True
    return circuit.scopes.table[found]


def _root(circuit: Circuit) -> Bits:
    return circuit.scopes.row(circuit.root, 0)


def _witness(circuit: Circuit, first: Bits, second: Bits) -> OverlappingScopes:
    one, other = factor_of_scope(circuit, first), factor_of_scope(circuit, second)
    return OverlappingScopes((one[0], other[0]), (one[1], other[1]))


def factor_of_scope(circuit: Circuit, scope: Bits) -> tuple[Node, Node]:
    """A product node that reaches the root and has a factor of this scope, and that factor."""
    (wanted,) = np.flatnonzero((circuit.scopes.table == scope).all(axis=1))
    for block in circuit.blocks:
        if isinstance(block, Product) and (live := circuit.live[block]).any():
            groups = circuit.scopes.groups(block)
            owners = np.repeat(np.arange(len(groups.offsets) - 1), np.diff(groups.offsets))
            having = np.zeros(len(groups.offsets) - 1, dtype=bool)
            having[owners[groups.members == wanted]] = True
            places = np.flatnonzero(live & having[groups.index])
            if len(places):
                index = int(places[0])
                return node(circuit, block, index), _factor(circuit, block, index, scope)
    raise AssertionError("the scope stands under some product")


def _factor(circuit: Circuit, block: Product, index: int, scope: Bits) -> Node:
    wanted = circuit.scopes.names(scope)
    positions: Indices = factors(block, np.array([index]))[1]
    candidates = (node_at(circuit, block, position) for position in positions.tolist())
    return next(factor for factor in candidates if factor.scope == wanted)
