"""The law of multiplication: a product is the product of its factors, as an identity of computation."""

from __future__ import annotations

import numpy as np

from ...ir.circuit import Circuit
from ...ir.numbers import Numbers
from ...ir.semirings.symbols import Symbols
from ..operators.operands import require_circuits
from .points import Point, at
from .sizes import NOTHING, in_inputs
from .testing import Identity, Size, tested


def verify_product(product: Circuit, *factors: Circuit, seed: int = 0) -> Identity:
    """Whether a circuit computes the product of others, as an identity of computation.

    Raises: DanausError `untested` where 64 points do not reach 1e-9.
    """
    require_circuits("verify_product", product, *factors)
    size = in_inputs(product) | sum((in_inputs(factor) for factor in factors), NOTHING)

    def agree(over: Symbols, random: np.random.Generator) -> bool:
        point = Point(over, random)
        found = at(product, point.elements(product.store), Numbers(product.store), over)
        wanted = np.array(1)
        for factor in factors:
            wanted = wanted * at(factor, point.elements(factor.store), Numbers(factor.store), over) % over.prime
        return bool(found == wanted)

    return tested(agree, size + Size(0, 1), seed)
