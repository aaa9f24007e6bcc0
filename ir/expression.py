"""The closed symbolic expressions over parameters and constants.

What an operator derives from parameters (a normalised row, the value of an input at some evidence) is written as an
expression and computed only when a semiring asks for it; operators never round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar, cast
from weakref import WeakValueDictionary

import numpy as np

from .parameter import Constant, Parameter, Shape

if TYPE_CHECKING:
    from .domain import Variable
    from .family import Family


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Plus:
    """left + right, elementwise, with numpy's broadcasting."""

    left: Expression
    right: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Times:
    """left · right, elementwise, with numpy's broadcasting."""

    left: Expression
    right: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Divide:
    """left / right, elementwise, with numpy's broadcasting; division by zero is an error when it is computed."""

    left: Expression
    right: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Share:
    """left / right, and 0 where both are 0: the share that a part of nothing has of it."""

    left: Expression
    right: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Total:
    """The sum of an expression along one axis, which goes."""

    operand: Expression
    axis: int
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Reshape:
    """The entries in row-major order under another shape of the same size."""

    operand: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Broadcast:
    """An expression spread over a larger shape, by numpy's rules."""

    operand: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Take:
    """The slices that an index names, along one axis."""

    operand: Expression
    axis: int
    index: tuple[int, ...]
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Join:
    """Expressions laid end to end along their last axis."""

    parts: tuple[Expression, ...]
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Exp:
    """e to the power of each entry: irrational."""

    operand: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Log:
    """log |x| of each entry that is not 0, and 0 of those that are: irrational."""

    operand: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Raised:
    """Each entry that is not 0 to a power, and 0 of those that are; |x|ᵃ, irrational, where a is no integer.

    The power 0 is 1 on the support.
    """

    operand: Expression
    exponent: Fraction
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class InputValue:
    """What the nodes of an input are worth at fixed evidence, [width, 1]: at a value, summed, or under weights.

    `weights` is None where the input is read at `value`; with both None it is summed or integrated over its domain.
    """

    family: Family
    variable: Variable
    parameters: tuple[Expression, ...]
    value: float | None
    weights: Expression | None
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class InputTable:
    """What the nodes of an input on a finite domain are worth at all its values, [width, n]."""

    family: Family
    variable: Variable
    parameters: tuple[Expression, ...]
    shape: Shape


Expression = (
    Parameter
    | Constant
    | Plus
    | Times
    | Divide
    | Share
    | Total
    | Reshape
    | Broadcast
    | Take
    | Join
    | Exp
    | Log
    | Raised
    | InputValue
    | InputTable
)
_Derived = TypeVar("_Derived", bound="Expression")

_derived: WeakValueDictionary[object, Expression] = WeakValueDictionary()


def _once(made: _Derived, *key: object) -> _Derived:
    """The expression made first of equal parts: so that expressions are compared by identity, however deep."""
    return cast(_Derived, _derived.setdefault((type(made), *key), made))


def plus(left: Expression, right: Expression) -> Expression:
    """left + right, with numpy's broadcasting."""
    return _once(Plus(left, right, np.broadcast_shapes(left.shape, right.shape)), id(left), id(right))


def times(left: Expression, right: Expression) -> Expression:
    """left · right, with numpy's broadcasting."""
    return _once(Times(left, right, np.broadcast_shapes(left.shape, right.shape)), id(left), id(right))


def divide(left: Expression, right: Expression) -> Expression:
    """left / right, with numpy's broadcasting."""
    return _once(Divide(left, right, np.broadcast_shapes(left.shape, right.shape)), id(left), id(right))


def share(left: Expression, right: Expression) -> Expression:
    """left / right, with numpy's broadcasting; 0 where both are 0."""
    return _once(Share(left, right, np.broadcast_shapes(left.shape, right.shape)), id(left), id(right))


def total(operand: Expression, axis: int) -> Expression:
    """The sum along an axis."""
    axis %= len(operand.shape)
    return _once(Total(operand, axis, operand.shape[:axis] + operand.shape[axis + 1 :]), id(operand), axis)


def reshape(operand: Expression, shape: Sequence[int]) -> Expression:
    """The same entries under another shape."""
    wanted = tuple(shape)
    return operand if wanted == operand.shape else _once(Reshape(operand, wanted), id(operand), wanted)


def broadcast(operand: Expression, shape: Sequence[int]) -> Expression:
    """An expression spread over a larger shape."""
    wanted = tuple(shape)
    return operand if wanted == operand.shape else _once(Broadcast(operand, wanted), id(operand), wanted)


def take(operand: Expression, axis: int, index: Iterable[int]) -> Expression:
    """The slices that an index names, along an axis."""
    axis %= len(operand.shape)
    names = tuple(int(i) for i in index)
    shape = (*operand.shape[:axis], len(names), *operand.shape[axis + 1 :])
    return _once(Take(operand, axis, names, shape), id(operand), axis, names)


def join(parts: Sequence[Expression]) -> Expression:
    """Expressions of one shape but for the last axis, laid end to end along it; one is itself."""
    if len(parts) == 1:
        return parts[0]
    shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
    return _once(Join(tuple(parts), shape), *map(id, parts))


def exp(operand: Expression) -> Expression:
    """e to the power of each entry."""
    return _once(Exp(operand, operand.shape), id(operand))


def log(operand: Expression) -> Expression:
    """log |x| of each entry that is not 0, and 0 of those that are."""
    return _once(Log(operand, operand.shape), id(operand))


def input_value(
    family: Family,
    variable: Variable,
    parameters: tuple[Expression, ...],
    width: int,
    value: float | None = None,
    weights: Expression | None = None,
) -> Expression:
    """What the nodes of an input are worth at a value, or under weights, or summed out: [width, 1]."""
    made = InputValue(family, variable, parameters, value, weights, (width, 1))
    return _once(made, family, variable, *map(id, parameters), value, None if weights is None else id(weights))


def raised(operand: Expression, exponent: Fraction | int) -> Expression:
    """Each entry that is not 0 to a power, and 0 of those that are."""
    power = Fraction(exponent)
    return operand if power == 1 else _once(Raised(operand, power, operand.shape), id(operand), power)


def input_table(family: Family, variable: Variable, parameters: tuple[Expression, ...], width: int) -> Expression:
    """What the nodes of an input are worth at all values of a finite domain: [width, n]."""
    made = InputTable(family, variable, parameters, (width, variable.size or 0))
    return _once(made, family, variable, *map(id, parameters))
