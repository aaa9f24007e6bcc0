"""What all templates begin with: variables that may stand in one, and inputs with fresh parameters on them."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.block import Input
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.expression import Expression
from ...ir.parameter import Constraint, Shape
from ...ir.span import Span
from ..families import default_family, fresh_input
from ..fresh import Declarations
from ..maps import Make


def require_variables(variables: Sequence[Variable], template: str) -> None:
    """Raises DanausError `wrong-arguments` without variables, `duplicate-name` where one stands twice."""
    if not variables:
        raise error("wrong-arguments", f"{template} needs at least one variable")
    seen: set[Variable] = set()
    for variable in variables:
        if variable in seen:
            raise error("duplicate-name", f'"{variable.name}" stands twice', hint=f"{template} takes each once")
        seen.add(variable)


def require_size(value: int, what: str) -> None:
    """Raises DanausError `wrong-size` for a size below 1."""
    if value < 1:
        raise error("wrong-size", f"{what} is {value}", hint="it is at least 1")


def maker(declarations: Declarations, name: str, span: Span | None) -> Make:
    """What makes the fresh parameters of one name: `name`, `name#1`, …"""

    def make(shape: Shape, constraint: Constraint) -> Expression:
        return declarations.fresh(name, shape, constraint, span)

    return make


def emission(variable: Variable, states: int, declarations: Declarations, name: str, span: Span | None) -> Input:
    """`states` input nodes of the family that is the default on the variable's domain."""
    make = maker(declarations, name, span)
    return fresh_input(default_family(variable.domain), variable, states, make, span)
