"""Constant expressions, lists of numbers, and indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import error
from ...ir.parameter import Value
from ...ir.span import Span
from ..syntax import Bracket, Call, Chain, Expression, List, Name, Number, Parenthesis, Range, Unary

Loops = Mapping[str, int]

_LONGEST = 20_000


def number(expression: Expression, loops: Loops) -> Fraction:
    """The rational that a constant expression over numbers and loop variables comes to.

    Raises: DanausError `not-a-number`, `zero-division`, `too-large`.
    """
    match expression:
        case Number(value):
            return value
        case Parenthesis(inner):
            return number(inner, loops)
        case Unary(sign, operand) if sign in "+-":
            value = number(operand, loops)
            return -value if sign == "-" else value
        case Chain(first, rest, span) if rest[0][0] in "+-*/":
            value = number(first, loops)
            for operator, operand in rest:
                value = _applied(value, operator, number(operand, loops), operand.span)
            if value.numerator.bit_length() + value.denominator.bit_length() > _LONGEST:
                raise error("too-large", "the number has too many digits", span)
            return value
        case Name(text, span, quoted) if not quoted:
            if text in loops:
                return Fraction(loops[text])
            raise error("not-a-number", f'"{text}" is not a number', span, hint="numbers and loop variables stand here")
        case _:
            raise error("not-a-number", f"{describe(expression)} is not a number", expression.span)


def real(expression: Expression, loops: Loops) -> float:
    """A constant expression as the nearest float64.

    Raises: DanausError `too-large` where there is none.
    """
    try:
        return float(number(expression, loops))
    except OverflowError:
        raise error("too-large", "the number does not fit in float64", expression.span) from None


def _applied(value: Fraction, operator: str, other: Fraction, span: Span) -> Fraction:
    match operator:
        case "+":
            return value + other
        case "-":
            return value - other
        case "*":
            return value * other
        case _:
            if other == 0:
                raise error("zero-division", "division by zero", span)
            return value / other


def integer(expression: Expression, loops: Loops, what: str = "this") -> int:
    """A constant expression that must come out as an exact integer.

    Raises: DanausError `not-an-integer`.
    """
    value = number(expression, loops)
    if value.denominator != 1:
        raise error("not-an-integer", f"{what} is {shown(value)}, not an integer", expression.span)
    return value.numerator


def size(expression: Expression, loops: Loops, what: str) -> int:
    """A whole number of at least 1."""
    value = integer(expression, loops, what)
    if value < 1:
        raise error("wrong-size", f"{what} is {value}", expression.span, hint="it is at least 1")
    return value


def shown(value: Fraction) -> str:
    """A rational as a short decimal."""
    try:
        return str(value.numerator) if value.denominator == 1 and abs(value) < 10**18 else f"{float(value):.6g}"
    except OverflowError:
        return "a number of many digits"


def array(expression: Expression, loops: Loops) -> Value:
    """A list, or lists of lists, of numbers, or one number.

    Raises: DanausError `wrong-shape` for ragged rows, and what `number` raises.
    """
    if not isinstance(expression, List):
        return Value.of(np.array(number(expression, loops), dtype=object))
    flat: list[Fraction] = []
    shape = _gather(expression, loops, flat)
    values = np.empty(len(flat), dtype=object)
    values[:] = flat
    return Value.of(values.reshape(shape))


def _gather(expression: List, loops: Loops, flat: list[Fraction]) -> tuple[int, ...]:
    """Appends the numbers of nested lists in order; gives their shape. The grammar bounds the nesting."""
    inner: tuple[int, ...] | None = None
    for item in expression.items:
        if isinstance(item, List):
            found = _gather(item, loops, flat)
        else:
            flat.append(item.value if isinstance(item, Number) else number(item, loops))
            found = ()
        if inner is None:
            inner = found
        elif found != inner:
            raise error(
                "wrong-shape",
                f"this row has {_sizes(found)}, the first one {_sizes(inner)}",
                item.span,
                hint="the rows of a list are equally long",
            )
    return (len(expression.items), *(inner or ()))


def _sizes(shape: Sequence[int]) -> str:
    if not shape:
        return "no items of its own"
    return f"{shape[0]} item{'s' if shape[0] != 1 else ''}" if len(shape) == 1 else f"shape {list(shape)}"


def indices(expression: Expression, loops: Loops) -> NDArray[np.int64]:
    """A flat list of integers; a range in it stands for its numbers.

    Raises: DanausError `wrong-shape`, `not-an-integer`.
    """
    rows = ragged(expression, loops, flat=True)
    return np.array(rows[0], dtype=np.int64)


def ragged(expression: Expression, loops: Loops, flat: bool = False) -> list[list[int]]:
    """A list of lists of integers, of any lengths; of a flat list, one row."""
    if not isinstance(expression, List):
        raise error("not-a-list", f"{describe(expression)} is not a list of integers", expression.span)
    if flat:
        return [_row(expression, loops)]
    out: list[list[int]] = []
    for item in expression.items:
        if not isinstance(item, List):
            raise error("wrong-shape", "each node needs a list of indices", item.span, hint="write [[0, 1], [2, 3]]")
        out.append(_row(item, loops))
    return out


def _row(items: List, loops: Loops) -> list[int]:
    out: list[int] = []
    for item in items.items:
        value = integer(item, loops, "an index")
        if not -(1 << 62) < value < 1 << 62:
            raise error("wrong-index", f"index {value} is out of range", item.span)
        out.append(value)
    return out


def describe(expression: Expression) -> str:
    """What stands there, for a message."""
    match expression:
        case Name(text, _, quoted):
            return f"the text {text!r}" if quoted else f'"{text}"'
        case Number(value):
            return f"the number {shown(value)}"
        case List():
            return "a list"
        case Bracket():
            return "an indicator"
        case Range():
            return "a range"
        case Call(name):
            return f"{name.text}(…)"
        case Unary("not") | Chain(_, (("and" | "or", _), *_)):
            return "a condition"
        case _:
            return "this"
