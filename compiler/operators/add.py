"""Add: the sum of two circuits."""

from __future__ import annotations

from dataclasses import replace

from ...ir.block import Input, weighted
from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.linear import Dense
from ...ir.parameter import constant
from .operands import require_circuits


def add(p: Circuit, q: Circuit) -> Circuit:
    """p + q, a function of the variables of both: one sum over the two roots. Needs nothing.

    Smooth where both are and have one scope. A variable stays free where one of them has it so and neither mentions it.

    Raises: DanausError `two-domains`, or `two-values` where they hold different values of one parameter.
    """
    require_circuits("add", p, q)
    names: dict[str, Variable] = {}
    for circuit in (p, q):
        for variable in circuit.variables:
            if names.setdefault(variable.name, variable) != variable:
                raise error(
                    "two-domains",
                    f'"{variable}" is {names[variable.name].domain} in "{p.name}" and {variable.domain} in "{q.name}"',
                    hint="two variables need two names",
                )
    root = weighted([p.root, q.root], Dense(constant([[1, 1]])), p.root.span)
    mentioned = {
        block.variable
        for circuit in (p, q)
        for block in circuit.blocks
        if isinstance(block, Input) and circuit.live[block].any()
    }
    free = tuple(variable for variable in dict.fromkeys((*p.free, *q.free)) if variable not in mentioned)
    return replace(p, root=root, store=p.store.merged(q.store), free=free, origin=Origin("add", (p, q)))
