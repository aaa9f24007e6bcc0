"""Rename: a circuit of other variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...ir.block import Block, Input, input_block
from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.span import caller
from ..rewrite import rewritten
from .operands import Name, items_of, require_circuits, variable_of


def rename(p: Circuit, names: Mapping[Name, Name]) -> Circuit:
    """p with each variable x called y, all at once, so that two may change places. Needs nothing.

    A name alone makes a new variable of the same domain.

    Raises: DanausError `unknown-variable`, `wrong-domain` where the domains differ, `duplicate-variable` where two
    variables would become one.
    """
    require_circuits("rename", p)
    given: dict[Variable, Variable] = {}
    for old, new in items_of("rename", names, "new names by variable"):
        source = variable_of(p, old)
        if not isinstance(new, str | Variable):
            raise error(
                "wrong-arguments", f"{type(new).__name__} where a variable or its new name is expected", caller()
            )
        target = Variable(new, source.domain) if isinstance(new, str) else new
        if target.domain != source.domain:
            raise error(
                "wrong-domain",
                f'"{source}" is {source.domain}, but "{target}" is {target.domain}',
                hint="a variable is renamed to one of the same domain",
            )
        given[source] = target
    _require_apart(p, given)
    replaced: dict[Block, Block] = {
        block: input_block(block.family, given[block.variable], block.parameters, block.span)
        for block in p.blocks
        if isinstance(block, Input) and block.variable in given
    }
    free = tuple(given.get(variable, variable) for variable in p.free)
    return replace(p, root=rewritten(p.root, replaced), free=free, origin=Origin("rename", (p,), {"names": given}))


def _require_apart(p: Circuit, given: Mapping[Variable, Variable]) -> None:
    """Whether no two become one; variables that stand only under zero weights count too."""
    every = dict.fromkeys((*p.variables, *(block.variable for block in p.blocks if isinstance(block, Input))))
    taken: dict[str, Variable] = {}
    for variable in every:
        name = given.get(variable, variable).name
        if name in taken:
            raise error(
                "duplicate-variable",
                f'"{taken[name]}" and "{variable}" would both be called "{name}"',
                hint="no two variables become one",
            )
        taken[name] = variable
