"""Omni-compatible: smooth, decomposable, and each factor of a product has at most one variable.

What enters is a circuit; what leaves is a proof, or a witness: of what is not smooth or decomposable, or a factor of
more variables. Such a circuit is compatible with every smooth and decomposable one.
"""

from __future__ import annotations

import numpy as np

from ...ir.block import Product
from ...ir.circuit import Circuit
from .decomposable import decomposable
from .factors import factors, node, node_at
from .result import Proved, Refuted, Result, remembered
from .smooth import smooth
from .witness import WideFactor


@remembered
def omni_compatible(circuit: Circuit) -> Result:
    """Whether the circuit is smooth, decomposable, and no factor of a product that reaches the root has two variables.

    Linear in the edges.
    """
    for result in (smooth(circuit), decomposable(circuit)):
        if isinstance(result, Refuted):
            return result
    for block in circuit.blocks:
        if isinstance(block, Product) and (live := circuit.live[block]).any():
            groups = circuit.scopes.groups(block)
            wide = circuit.scopes.sizes[groups.members] > 1
            running = np.concatenate([[0], np.cumsum(wide)])
            several = running[groups.offsets[1:]] > running[groups.offsets[:-1]]
            found = np.flatnonzero(live & several[groups.index])
            if len(found):
                return Refuted(_witness(circuit, block, int(found[0])))
    return Proved()


def _witness(circuit: Circuit, block: Product, index: int) -> WideFactor:
    _, positions = factors(block, np.array([index]))
    found = (node_at(circuit, block, position) for position in positions.tolist())
    place, factor = next((place, factor) for place, factor in enumerate(found) if len(factor.scope) > 1)
    return WideFactor(node(circuit, block, index), factor, place)
