"""What expressions stand on: their operands, in order and without recursion, and the parameters among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

from .expression import Divide, Expression, InputTable, InputValue, Join, Plus, Share, Times
from .parameter import Constant, Parameter

_learnable: WeakKeyDictionary[Expression, bool] = WeakKeyDictionary()
_standing: WeakKeyDictionary[Expression, bool] = WeakKeyDictionary()


def operands(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that stand directly in this one."""
    match expression:
        case Parameter() | Constant():
            return ()
        case Plus(left, right) | Times(left, right) | Divide(left, right) | Share(left, right):
            return (left, right)
        case Join(parts):
            return parts
        case InputValue(parameters=parameters, weights=weights):
            return parameters if weights is None else (*parameters, weights)
        case InputTable(parameters=parameters):
            return parameters
        case _:
            return (expression.operand,)


def in_order(roots: Iterable[Expression], known: Callable[[Expression], bool] = lambda _: False) -> list[Expression]:
    """All expressions below the roots, operands first, each object once; without recursion.

    Those that are `known` are left out, with what stands below them alone.
    """
    ordered: list[Expression] = []
    seen: set[int] = set()
    stack: list[tuple[Expression, bool]] = [(root, False) for root in roots][::-1]
    while stack:
        expression, expanded = stack.pop()
        if expanded:
            ordered.append(expression)
        elif id(expression) not in seen:
            seen.add(id(expression))
            if not known(expression):
                stack.append((expression, True))
                stack.extend((operand, False) for operand in reversed(operands(expression)))
    return ordered


def parameters_of(roots: Iterable[Expression]) -> list[Parameter]:
    """The parameters that expressions stand on, each once, in order of first appearance."""
    return [expression for expression in in_order(roots) if isinstance(expression, Parameter)]


def has_parameters(expression: Expression) -> bool:
    """Whether the expression stands on any parameter."""
    for step in in_order([expression], _standing.__contains__):
        _standing[step] = isinstance(step, Parameter) or any(_standing[operand] for operand in operands(step))
    return _standing[expression]


def is_learnable(expression: Expression) -> bool:
    """Whether any number of the expression depends on a learnable parameter."""
    if isinstance(expression, Parameter):
        return expression.learnable
    for step in in_order([expression], _learnable.__contains__):
        match step:
            case Parameter(learnable=learnable):
                _learnable[step] = learnable
            case _:
                _learnable[step] = any(_learnable[operand] for operand in operands(step))
    return _learnable[expression]
