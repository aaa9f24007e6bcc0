"""Restrict: a circuit at fixed values of some variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...ir.block import Block, Input, constant_block
from ...ir.circuit import Circuit, Origin
from ...ir.domain import Variable
from ...ir.expression import input_value
from ..rewrite import rewritten
from .operands import Name, items_of, require_circuits, value_of, variable_of


def restrict(p: Circuit, values: Mapping[Name, float | str]) -> Circuit:
    """p(·, x = v, …): a circuit of the other variables. Needs nothing.

    Each input on x becomes the number that it is worth at v, as an expression: nothing is computed. Linear in the
    blocks.

    Raises: DanausError `unknown-variable`, `wrong-value`.
    """
    require_circuits("restrict", p)
    given: dict[Variable, float] = {}
    for name, at in items_of("restrict", values, "values by variable"):
        variable = variable_of(p, name)
        given[variable] = value_of(variable, at)
    replaced: dict[Block, Block] = {}
    for block in p.blocks:
        if isinstance(block, Input) and block.variable in given:
            fixed = given[block.variable]
            value = input_value(block.family, block.variable, block.parameters, block.width, fixed)
            replaced[block] = constant_block(value, block.span)
    free = tuple(variable for variable in p.free if variable not in given)
    return replace(p, root=rewritten(p.root, replaced), free=free, origin=Origin("restrict", (p,), {"values": given}))
