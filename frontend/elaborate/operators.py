"""Operators on circuits as they are written: their arguments, and the call of what the compiler has for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain, Variable
from ...ir.parameter import Value
from ..syntax import Call, Expression, List
from .calls import Arguments, arguments
from .context import Context
from .numbers import array, number
from .variables import value, variable, variables

Operands = Callable[[Sequence[Expression]], list[Circuit]]


def operator_circuit(call: Call, context: Context, name: str, operands: Operands) -> Circuit:
    """The circuit that an operator makes of operands, which the caller elaborates.

    Raises: DanausError `wrong-arguments`, `wrong-shape`; Refused where a need is not proved.
    """
    operator = call.name.text
    run = context.operators[operator]

    def given_circuits(expressions: Sequence[Expression]) -> list[Circuit]:
        return [operand.over(context.snapshot()) for operand in operands(expressions)]

    match operator:
        case "add" | "multiply" | "divide":
            most = None if operator == "multiply" else 2
            made = run(*given_circuits(arguments(call, 2, most).positional))
        case "scale" | "power":
            given = arguments(call, 2, 2).positional
            made = run(*given_circuits(given[:1]), number(given[1], {}))
        case "integrate":
            given = arguments(call, 1, 2).positional
            over = None if len(given) == 1 else _known(given[1], context)
            made = run(*given_circuits(given[:1]), over)
        case "differentiate":
            given = arguments(call, 2, 2).positional
            made = run(*given_circuits(given[:1]), variable(given[1], context, {}))
        case "restrict" | "condition":
            sorted_ = arguments(call, 1, 1, assigns=True)
            made = run(*given_circuits(sorted_.positional), _values(sorted_, context))
        case "evidence":
            sorted_ = arguments(call, 1, 1, assigns=True)
            made = run(*given_circuits(sorted_.positional), _weights(sorted_, context))
        case "rename":
            sorted_ = arguments(call, 1, 1, assigns=True)
            made = run(*given_circuits(sorted_.positional), _renamed(sorted_, context))
        case _:
            made = run(*given_circuits(arguments(call, 1, 1).positional))
    return made.named(name)


def _known(expression: Expression, context: Context) -> tuple[Variable, ...]:
    if not isinstance(expression, List):
        raise error("wrong-arguments", "the variables stand in a list", expression.span, hint="write [x, y]")
    return variables(expression, context, {})


def _once(found: Collection[Variable], target: Variable, place: Expression) -> None:
    if target in found:
        raise error("duplicate-name", f'"{target.name}" stands twice', place.span)


def _needs_assignments(given: Arguments, form: str) -> None:
    if not given.assignments:
        raise error("wrong-arguments", f"{given.call.name.text} needs variables", hint=f"write {form}")


def _values(given: Arguments, context: Context) -> dict[Variable, float]:
    _needs_assignments(given, f"{given.call.name.text}(p, x = 1)")
    out: dict[Variable, float] = {}
    for item in given.assignments:
        target = variable(item.target, context, {})
        _once(out, target, item.target)
        out[target] = value(target, item.value, {})
    return out


def _weights(given: Arguments, context: Context) -> dict[Variable, Value]:
    _needs_assignments(given, "evidence(p, x = [0.5, 1])")
    out: dict[Variable, Value] = {}
    for item in given.assignments:
        target = variable(item.target, context, {})
        _once(out, target, item.target)
        if not isinstance(target.domain, FiniteDomain):
            raise error(
                "wrong-domain", f'"{target.name}" is {target.domain}; evidence weighs finite domains', item.target.span
            )
        weights = array(item.value, {})
        if weights.shape != (target.domain.size,):
            raise error(
                "wrong-shape",
                f'"{target.name}" has {target.domain.size} values, but the weights have shape {list(weights.shape)}',
                item.value.span,
            )
        out[target] = weights
    return out


def _renamed(given: Arguments, context: Context) -> dict[Variable, Variable]:
    _needs_assignments(given, "rename(p, x = y)")
    out: dict[Variable, Variable] = {}
    for item in given.assignments:
        target = variable(item.target, context, {})
        _once(out, target, item.target)
        out[target] = variable(item.value, context, {})
    return out
