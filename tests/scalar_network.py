"""A small network of scalar nodes."""

from __future__ import annotations

import numpy as np

from danaus.compiler.pipeline import program_of
from danaus.ir.block import indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Variable
from danaus.ir.family import Table
from danaus.ir.linear import sparse
from danaus.ir.parameter import constant
from danaus.ir.store import Store


def network() -> Circuit:
    """Scalar nodes: two products of leaves of four booleans, and their sum."""
    numbers = constant(np.array([[0.2, 0.8], [0.7, 0.3]]))
    leaves = [input_block(Table(), Variable(f"x{i}", Bool()), (numbers,)) for i in range(4)]
    products = indexed(leaves, np.array([0, 4, 8]), np.array([0, 2, 5, 7, 1, 3, 4, 6]))
    circuit = Circuit(weighted([products], sparse([0, 0], [0, 1], constant(np.array([0.4, 0.6])), 1, 2)), Store({}))
    assert program_of(circuit).layouts
    return circuit
