"""Integrate: the sum or integral of a circuit over variables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...ir.block import Block, Input, constant_block
from ...ir.circuit import Circuit, Origin
from ...ir.dependence import is_learnable
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.expression import input_value
from ...ir.products import require_integral
from ..properties.normalized import diverges
from ..rewrite import rewritten
from .folded import folded
from .operands import Name, needs_sums, variables_of
from .scale import times


def integrate(p: Circuit, variables: Name | Iterable[Name] | None = None) -> Circuit:
    """Σ or ∫ of p over the named variables, or over all of them: a circuit of the other variables.

    Each input on those variables becomes the number that it sums to, as an expression: nothing is computed. What is
    fixed then, and is not learnable, is folded into the weights. Needs p smooth and decomposable, or made
    by `import_marginaliser`. Linear in the blocks.

    Raises: Refused with a witness; DanausError `unknown-variable`, `diverges` for the constant 1 on real or count,
    or `no-closed-integral` with the factors of a product of inputs that has none.
    """
    needs_sums(p, "integrate")
    over = set(p.variables if variables is None else variables_of(p, variables))
    if variables is None:  # those under zero weights too, so that none is left
        over |= {block.variable for block in p.blocks if isinstance(block, Input)}
    replaced: dict[Block, Block] = {}
    for block in p.blocks:
        if isinstance(block, Input) and block.variable in over:
            if diverges(block):
                raise _endless(block.variable)
            require_integral(block.family, block.variable)
            value = input_value(block.family, block.variable, block.parameters, block.width)
            replaced[block] = constant_block(value, block.span)
    root = folded(rewritten(p.root, replaced), p.support, lambda worth: not is_learnable(worth))
    for variable in p.free:
        if variable in over:
            if variable.size is None:
                raise _endless(variable)
            root = times(root, variable.size)
    free = tuple(variable for variable in p.free if variable not in over)
    named = tuple(variable for variable in p.variables if variable in over)
    origin = Origin("integrate", (p,), {} if variables is None else {"variables": named})
    return replace(p, root=root, free=free, origin=origin)


def _endless(variable: Variable) -> Exception:
    return error(
        "diverges",
        f'the constant 1 on "{variable}" ({variable.domain}) has no finite integral',
        hint="give that part of the circuit an input on the variable, such as a gaussian",
    )
