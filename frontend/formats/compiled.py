"""Scalar nodes over the values of variables to the blocks that they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.block import constant_block, input_block
from ...ir.domain import Variable
from ...ir.family import Table
from ...ir.parameter import constant
from ...ir.span import Span
from .pack import Packed, pack
from .trace import Scalars


def compiled(scalars: Scalars, variables: Sequence[Variable], span: Span) -> Packed:
    """The blocks of nodes whose inputs are the values of the variables, one variable after the other.

    The weights of sums are learnable, `circuit.1`, `circuit.2`, …
    """
    if scalars.root < 0:
        return Packed(constant_block(constant([[0.0]]), span))
    inputs = [input_block(Table(), each, [constant(np.eye(each.size or 1))], span) for each in variables]
    return pack(inputs, scalars.sums, scalars.offsets, scalars.members, scalars.weights, scalars.root, span=span)
