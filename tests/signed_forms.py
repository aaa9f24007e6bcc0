"""Circuits of vectors of nodes of all forms, for parameters of both signs."""

from __future__ import annotations

from typing import Any

import danaus as dn
from danaus.ir.block import input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Cat, Variable
from danaus.ir.family import Table
from danaus.ir.linear import Dense, Kronecker
from danaus.ir.parameter import Parameter
from danaus.ir.store import Store

x16 = dn.Cat("x", 4, shape=16)


def kronecker() -> Circuit:
    """Pairs of two inputs through (A ⊗ B) and a matrix."""
    inputs = [input_block(Table(), Variable(name, Cat(4)), [Parameter(name, (6, 4), None, True)]) for name in "uv"]
    factors = Dense(Parameter("A", (3, 6), None, True)), Dense(Parameter("B", (4, 6), None, True))
    root = weighted([weighted([pairs(inputs)], Kronecker(factors))], Dense(Parameter("C", (1, 12), None, True)))
    return Circuit(root, Store({}), "kronecker")


FORMS: dict[str, Any] = {
    "dense chain": lambda: dn.hmm(dn.Cat("x", 5, shape=9), states=7),
    "monarch chain": lambda: dn.hmm(dn.Cat("x", 5, shape=9), states=16, transition=dn.monarch(4, 4)),
    "kronecker": kronecker,
    "cp tree": lambda: dn.quad_tree(x16, (4, 4), states=8),
    "tucker tree": lambda: dn.quad_tree(x16, (4, 4), states=3, layer="tucker"),
    "cp graph": lambda: dn.quad_graph(x16, (4, 4), states=5),
    "folded chain": lambda: dn.integrate(dn.hmm(dn.Cat("x", 5, shape=9), states=6), ["x[1]", "x[2]", "x[6]"]),
    "square": lambda: dn.multiply(*[dn.hmm(dn.Cat("x", 3, shape=5), states=4)] * 2),
    "power": lambda: dn.power(dn.quad_tree(dn.Cat("x", 3, shape=4), (2, 2), states=3), 3),
}
