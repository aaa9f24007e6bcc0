"""Domains, variables where they are expected, and their values."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.diagnostic import error, nearest, placed
from ...ir.domain import Bool, Cat, Count, Domain, Int, Real, Variable
from ...ir.family import require_value
from ...ir.span import Span
from ..syntax import Assignment, Call, Expression, List, Name, Parenthesis, Range, Subscript
from .context import KINDS, Context, VariableArray
from .numbers import Loops, describe, integer, real, size

DOMAINS = ("bool", "cat", "int", "count", "real")
MAX_VALUES = 1 << 24


def domain(expression: Expression) -> Domain:
    """`bool`, `cat(n)`, `cat("low", …)`, `int(lo, hi)`, `count` or `real`.

    Raises: DanausError `unknown-domain`, `wrong-arguments`, `wrong-domain`.
    """
    match expression:
        case Name("bool"):
            return Bool()
        case Name("count"):
            return Count()
        case Name("real"):
            return Real()
        case Call(Name("cat"), arguments, span):
            return _categories(arguments, span)
        case Call(Name("int"), (lo, hi)) if not isinstance(lo, Assignment) and not isinstance(hi, Assignment):
            low, high = integer(lo, {}, "the lower bound"), integer(hi, {}, "the upper bound")
            _require_values(high - low + 1, expression.span)
            if max(abs(low), abs(high)) >= 1 << 53:
                raise error("too-large", "the bounds do not fit in 53 bits", expression.span)
            return Int(low, high)
        case Name("cat" | "int" as name, span) | Call(Name("cat" | "int" as name), _, span):
            form = 'cat(3) or cat("low", "high")' if name == "cat" else "int(0, 9)"
            raise error("wrong-arguments", f"the domain {name} needs its values", span, hint=f"write {form}")
        case Call(Name(name), _, span) if name in DOMAINS:
            raise error("wrong-arguments", f"the domain {name} takes no arguments", span)
        case Name(name, span) | Call(Name(name), _, span):
            hint = nearest(name, DOMAINS) or f"domains are {', '.join(DOMAINS)}"
            raise error("unknown-domain", f'there is no domain "{name}"', span, hint=hint)
        case _:
            raise error("unknown-domain", f"{describe(expression)} is not a domain", expression.span)


def _categories(arguments: Sequence[Expression | Assignment], span: Span) -> Cat:
    names: list[str] = []
    for argument in arguments:
        match argument:
            case Name(text, _, True):
                names.append(text)
            case Name(text, place):
                raise error("wrong-arguments", f'"{text}" is not a number', place, hint=f'write "{text}" in quotes')
            case Assignment(span=place):
                raise error("wrong-arguments", "cat takes a number of values, or their names", place)
            case _ if len(arguments) == 1:
                count = size(argument, {}, "the number of values")
                _require_values(count, argument.span)
                return Cat(count)
            case _:
                raise error("wrong-arguments", f"{describe(argument)} is no name of a value", argument.span)
    if not names:
        raise error("wrong-arguments", "cat has no values", span, hint='write cat(3) or cat("low", "high")')
    return Cat(len(names), tuple(names))


def _require_values(count: int, span: Span) -> None:
    if count > MAX_VALUES:
        raise error("too-large", f"a domain of {count} values", span, hint=f"a domain has at most {MAX_VALUES}")


def is_variable(expression: Expression, context: Context) -> bool:
    """Whether an expression names a variable, or an element of an array of them."""
    base = expression.base if isinstance(expression, Subscript) else expression
    found = context.entities.get(base.text) if isinstance(base, Name) else None
    return isinstance(found, Variable | VariableArray)


def variable(expression: Expression, context: Context, loops: Loops) -> Variable:
    """The one variable that an expression names.

    Raises: DanausError `not-a-variable`, `wrong-index`, and what `variables` raises.
    """
    found = variables(expression, context, loops)
    if len(found) != 1 or (isinstance(expression, Name) and isinstance(context.lookup(expression), VariableArray)):
        raise error(
            "not-a-variable",
            f"{describe(expression)} stands for {len(found)} variables, and one is needed",
            expression.span,
            hint=f"name one of them, such as {found[0].name}" if found else "",
        )
    return found[0]


def variables(expression: Expression, context: Context, loops: Loops) -> tuple[Variable, ...]:
    """The variables that an expression names: one, an array's, a slice of it, or those of a list."""
    match expression:
        case Parenthesis(inner):
            return variables(inner, context, loops)
        case List(items):
            return tuple(found for item in items for found in variables(item, context, loops))
        case Name(text, span):
            if text in context.columns and not isinstance(context.entities.get(text), VariableArray):
                return (context.columns[text],)
            found = context.lookup(expression)
            if isinstance(found, Variable):
                return (found,)
            if isinstance(found, VariableArray):
                return found.elements
            raise error("not-a-variable", f'"{text}" is {KINDS[type(found)]}, not a variable', span)
        case Subscript(Name() as base, index, span):
            found = context.lookup(base)
            if not isinstance(found, VariableArray):
                raise error("not-a-variable", f'"{base.text}" is not an array of variables', base.span)
            start, stop = bounds(index, loops, len(found.elements), span)
            return found.elements[start:stop]
        case _:
            raise error("not-a-variable", f"{describe(expression)} is not a variable", expression.span)


def bounds(index: Expression, loops: Loops, length: int, span: Span) -> tuple[int, int]:
    """The half-open range that `[i]` or `[i..j]` names among `length` items.

    Raises: DanausError `wrong-index` for empty slices, negative and too large indices.
    """
    if isinstance(index, Range):
        start, stop = integer(index.lo, loops, "the start"), integer(index.hi, loops, "the end")
        if not 0 <= start < stop <= length:
            reason = "is empty" if start >= stop else f"is out of range 0..{length}"
            raise error(
                "wrong-index", f"the slice {start}..{stop} {reason}", index.span, hint="the end is not included"
            )
        return start, stop
    at = integer(index, loops, "the index")
    if not 0 <= at < length:
        raise error("wrong-index", f"index {at} is out of range", index.span, hint=f"indices go from 0 to {length - 1}")
    return at, at + 1


def value(target: Variable, expression: Expression, loops: Loops) -> float:
    """A value of a variable: a number, or the name of one in quotes.

    Raises: DanausError `wrong-value`, `unknown-value`.
    """
    names = target.domain.names if isinstance(target.domain, Cat) else ()
    match expression:
        case Name(text, span, True):
            if text not in names:
                hint = nearest(text, names) or (
                    f"its values are {', '.join(names[:8])}" if names else "it has no names"
                )
                raise error("unknown-value", f'"{target.name}" has no value named "{text}"', span, hint=hint)
            return float(names.index(text))
        case Name(text, span) if text not in loops and text in names:
            raise error("not-a-number", f'"{text}" is not a number', span, hint=f'write "{text}" in quotes')
        case _:
            found = real(expression, loops)
            with placed(expression.span):
                require_value(target, found)
            return found
