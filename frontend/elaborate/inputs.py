"""Inputs: families with their parameters, and indicators."""

from __future__ import annotations

from ...ir.block import Block, input_block
from ...ir.diagnostic import error, placed
from ...ir.expression import Expression
from ...ir.family import Binomial, Family, Indicator, parts
from ...ir.parameter import Constraint, Parameter, constant
from ...ir.store import violation
from .. import syntax
from ..families import family_named, fresh_input
from ..syntax import Bracket, Call, List, Name
from .body import Body
from .calls import arguments
from .context import KINDS, Context
from .numbers import array, describe, integer, size
from .variables import value, variable


def indicator_block(body: Body, expression: Bracket) -> Block:
    """`[x = v]`: 1 where the variable has the value.

    Raises: DanausError `wrong-indicator`, and for the variable or its value.
    """
    if len(expression.items) != 1 or not isinstance(expression.items[0], syntax.Assignment):
        raise error(
            "wrong-indicator", "an indicator names one variable and one value", hint="multiply them: [x = 1] * [y = 0]"
        )
    item = expression.items[0]
    target = variable(item.target, body.context, body.loops)
    found = value(target, item.value, body.loops)
    return input_block(Indicator(int(found)), target, (), expression.span)


def family_block(body: Body, call: Call, name: str) -> Block:
    """`family(x, …)`: with numbers, with params or consts by name, or with a width.

    Raises: DanausError for the variable, the numbers or their shapes.
    """
    given = arguments(call, 1, None, options=("width",))
    target = variable(given.positional[0], body.context, body.loops)
    rest = given.positional[1:]
    if name == "binomial" and rest and not isinstance(rest[0], List) and not _is_parameter(body.context, rest[0]):
        n = integer(rest[0], body.loops, "n")
        family: Family = Binomial(n)
        rest = rest[1:]
    else:
        family = family_named(name, target)
    if "width" in given.options:
        if rest:
            raise error("wrong-arguments", "a width and values of parameters together", hint="give one of them")
        width = size(given.options["width"], body.loops, "the width")
        made = fresh_input(name, target, width, body.make(call.span), call.span)
        return input_block(family, target, made.parameters, call.span)
    wanted = parts(family, target.domain)
    if len(rest) != len(wanted):
        names = ", ".join(f"[{part.name}]" for part in wanted)
        raise error(
            "wrong-arguments",
            f"{name} takes {len(wanted)} array{'s' if len(wanted) != 1 else ''} of parameters, not {len(rest)}",
            hint=f"write {name}({target.name}, {names}), or {name}({target.name}, width=K)",
        )
    values = [_parameters(body, item, part.constraint, part.name) for item, part in zip(rest, wanted, strict=True)]
    return input_block(family, target, values, call.span)


def _is_parameter(context: Context, expression: syntax.Expression) -> bool:
    return isinstance(expression, Name) and isinstance(context.entities.get(expression.text), Parameter)


def _parameters(body: Body, expression: syntax.Expression, constraint: Constraint, what: str) -> Expression:
    """Numbers written out, checked against what they must satisfy, or a param or const by name."""
    if isinstance(expression, Name):
        return parameter(body.context, expression, constraint)
    if not isinstance(expression, List):
        raise error(
            "wrong-shape",
            f"{describe(expression)} is no list of {what}",
            expression.span,
            hint="write them in brackets",
        )
    numbers = array(expression, body.loops)
    if reason := violation(numbers, constraint):
        raise error("wrong-value", f"in the {what}, {reason}", expression.span)
    return constant(numbers)


def parameter(context: Context, name: Name, constraint: Constraint = "real") -> Parameter:
    """The param or const of a name, narrowed to what its use asks.

    Raises: DanausError `not-a-parameter`, `wrong-constraint`.
    """
    found = context.lookup(name)
    if not isinstance(found, Parameter):
        raise error("not-a-parameter", f'"{name.text}" is {KINDS[type(found)]}, not a param or const', name.span)
    with placed(name.span):
        found.require(constraint)
    return found
