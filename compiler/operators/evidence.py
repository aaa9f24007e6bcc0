"""Evidence: a circuit under virtual evidence, weights on the values of some variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...ir.block import Block, Input, constant_block, weighted
from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain, Variable
from ...ir.expression import input_value
from ...ir.family import One
from ...ir.linear import Dense
from ...ir.parameter import Value, constant
from ..rewrite import rewritten
from .operands import Name, items_of, needs_sums, variable_of


def evidence(p: Circuit, weights: Mapping[Name, Any]) -> Circuit:
    """Σ over the values v of x of w_v · p(·, x = v), for weights w [n] in domain order: of the other variables.

    Each input on x becomes its weighted sum, as an expression: nothing is computed. Needs p smooth and decomposable,
    or made by `import_marginaliser`. Linear in the blocks.

    Raises: Refused with a witness; DanausError `unknown-variable`, `wrong-domain`, `wrong-shape`, `wrong-number`.
    """
    needs_sums(p, "evidence")
    given: dict[Variable, Value] = {}
    for name, numbers in items_of("evidence", weights, "weights by variable"):
        variable = variable_of(p, name)
        given[variable] = _weights(variable, numbers)
    replaced: dict[Block, Block] = {}
    for block in p.blocks:
        if isinstance(block, Input) and block.variable in given:
            by = constant(given[block.variable])
            value = input_value(block.family, block.variable, block.parameters, block.width, None, by)
            replaced[block] = constant_block(value, block.span)
    root = rewritten(p.root, replaced)
    for variable in p.free:
        if variable in given:
            total = input_value(One(), variable, (), 1, None, constant(given[variable]))
            root = weighted([root], Dense(total), root.span)
    free = tuple(variable for variable in p.free if variable not in given)
    return replace(p, root=root, free=free, origin=Origin("evidence", (p,), {"weights": given}))


def _weights(variable: Variable, given: Any) -> Value:
    value = given if isinstance(given, Value) else Value.of(given)
    if not isinstance(variable.domain, FiniteDomain):
        raise error("wrong-domain", f'"{variable}" is {variable.domain}; evidence weighs finite domains')
    if value.shape != (variable.domain.size,):
        raise error(
            "wrong-shape",
            f'"{variable}" has {variable.domain.size} values, but the weights have shape {list(value.shape)}',
            hint="give one weight per value, in domain order",
        )
    if not np.isfinite(value.floats).all():
        raise error("wrong-number", f'a weight on "{variable}" is not finite')
    return value
