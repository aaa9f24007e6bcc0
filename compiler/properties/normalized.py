"""Normalized: smooth, decomposable, and of total mass 1.

What enters is a circuit; what leaves is a proof, or a witness: of what is not smooth or decomposable, or the mass.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...ir.block import Block, Input, constant_block
from ...ir.circuit import Circuit
from ...ir.domain import FiniteDomain
from ...ir.evaluate import Evidence, evaluate
from ...ir.expression import exp
from ...ir.family import InputProduct, One
from ...ir.parameter import constant
from ...ir.semirings import SIGNED_LOG
from ..rewrite import rewritten
from .decomposable import decomposable
from .result import Proved, Refuted, Result, remembered
from .smooth import smooth
from .witness import Mass

TOLERANCE = 1e-9

# The constant 1 has no finite integral on an infinite domain. It stands for e to this power, so that a mass in which
# it counts has a logarithm that no other mass comes near, and one in which its weight is 0 does not.
_ENDLESS = 1e12


@remembered
def normalized(circuit: Circuit) -> Result:
    """Whether the circuit is smooth, decomposable, and its total mass within 1e-9 of 1, for its current values.

    One evaluation with all variables summed out, in logarithms with signs: linear in the edges. A mass that diverges,
    by the constant 1 on real or count, refutes.
    """
    for result in (smooth(circuit), decomposable(circuit)):
        if isinstance(result, Refuted):
            return result
    mass = total_mass(circuit)
    return Proved() if abs(mass.value - 1) <= TOLERANCE else Refuted(mass)


def total_mass(circuit: Circuit) -> Mass:
    """The sum or integral over all variables of a smooth, decomposable circuit; infinite where it diverges."""
    endless = [variable for variable in circuit.free if not isinstance(variable.domain, FiniteDomain)]
    free = tuple(variable for variable in circuit.free if variable not in endless)
    replaced: dict[Block, Block] = {
        block: constant_block(exp(constant([[_ENDLESS]])))
        for block in circuit.blocks
        if isinstance(block, Input) and diverges(block)
    }
    finite = replace(circuit, root=rewritten(circuit.root, replaced), free=free)
    log, sign = evaluate(finite, SIGNED_LOG, Evidence.nothing(finite.variables))[0].tolist()
    if sign and (endless or log > _ENDLESS / 2):
        log = math.inf
    return Mass(float(sign * np.exp(min(log, 709.0))) if log < 709.0 else sign * math.inf, log)


def diverges(block: Input) -> bool:
    """Whether an input's integral over its domain is infinite."""
    if isinstance(block.variable.domain, FiniteDomain):
        return False
    factors = block.family.factors if isinstance(block.family, InputProduct) else (block.family,)
    return all(isinstance(factor, One) for factor in factors)
