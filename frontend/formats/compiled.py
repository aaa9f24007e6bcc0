"""Scalar nodes over the indicators of variables to the circuit that they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.block import constant_block, input_block
from ...ir.circuit import Circuit
from ...ir.domain import Variable
from ...ir.expression import constant
from ...ir.family import Table
from ...ir.span import Span
from ...ir.store import Store
from .pack import pack
from .trace import Scalars


def compiled(scalars: Scalars, variables: Sequence[Variable], free: Sequence[Variable], span: Span) -> Circuit:
    """The circuit "circuit" of nodes whose inputs are the values of the variables, one variable after the other.

    What it does not mention of `free` is free. The weights of sums are learnable, `circuit.1`, `circuit.2`, …
    """
    if scalars.root < 0:
        return Circuit(constant_block(constant([[0.0]]), span), Store(), free=tuple(free), span=span)
    inputs = [input_block(Table(), each, [constant(np.eye(each.size or 1))], span) for each in variables]
    made = pack(inputs, scalars.sums, scalars.offsets, scalars.members, scalars.weights, scalars.root, span=span)
    circuit = Circuit(made.root, Store(dict(made.values.values())), span=span)
    used = set(circuit.variables)
    left = tuple(variable for variable in free if variable not in used)
    return Circuit(made.root, circuit.store, free=left, span=span)
