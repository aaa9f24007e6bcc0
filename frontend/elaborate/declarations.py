"""Declarations: `var`, `param`, `const` and `index`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...ir.diagnostic import error, nearest, placed
from ...ir.domain import Domain, Variable
from ...ir.parameter import CONSTRAINTS, Constraint, Parameter, Value
from ...ir.span import Span
from ..fresh import require_size
from ..syntax import (
    ArrayStatement,
    List,
    VarStatement,
)
from .context import Context, Index, VariableArray
from .numbers import array, integer, ragged, size
from .variables import domain

MAX_VARIABLES = 1_000_000


def declare_variable(statement: VarStatement, context: Context, known: Mapping[str, Variable]) -> None:
    """`var NAME : DOMAIN` and `var NAME[N] : DOMAIN`.

    Raises: DanausError `duplicate-name`, `two-domains`, `too-large`, and for the domain.
    """
    name = statement.name
    with placed(statement.domain.span):
        found = domain(statement.domain)
    if statement.size is None:
        context.declare(name, _column(name.text, found, context, known, name.span))
        return
    count = size(statement.size, {}, "the number of variables")
    if count + len(context.columns) > MAX_VARIABLES:
        raise error("too-large", f"{count} variables", statement.size.span, hint=f"a file has at most {MAX_VARIABLES}")
    elements = tuple(_column(f"{name.text}[{i}]", found, context, known, name.span) for i in range(count))
    context.declare(name, VariableArray(name.text, elements))


def _column(name: str, found: Domain, context: Context, known: Mapping[str, Variable], span: Span) -> Variable:
    made = known.get(name) or Variable(name, found)
    if made.domain != found:
        raise error(
            "two-domains",
            f'"{name}" is {found} here, but {made.domain} in the file that imports this one',
            span,
            hint="variables of one name are one variable, of one domain",
        )
    if name in context.columns and context.columns[name] is not made:
        raise error("duplicate-name", f'"{name}" is the name of another variable', span, hint="give it another name")
    context.columns[name] = made
    return made


def _shape(statement: ArrayStatement) -> tuple[int, ...]:
    shape = tuple(size(item, {}, "a size") for item in statement.shape)
    with placed(statement.name.span):
        require_size(shape, f'"{statement.name.text}"')
    return shape


def _constraint(statement: ArrayStatement) -> Constraint | None:
    name = statement.constraint
    if name is None:
        return None
    for constraint in CONSTRAINTS:
        if name.text == constraint:
            return constraint
    hint = nearest(name.text, CONSTRAINTS) or f"constraints are {', '.join(CONSTRAINTS)}"
    raise error("unknown-constraint", f'there is no constraint "{name.text}"', name.span, hint=hint)


def declare_array(statement: ArrayStatement, context: Context) -> None:
    """`param` and `const`.

    Raises: DanausError `duplicate-name`, `wrong-shape`, `too-large`, `unknown-constraint`.
    """
    name = statement.name
    shape = _shape(statement)
    learnable = statement.keyword == "param"
    made = Parameter(name.text, shape, _constraint(statement), learnable, name.span)
    given: Value | None = None
    place: Span | None = None
    if statement.value is not None:
        place = statement.value.span
        given = array(statement.value, {})
        if not given.shape and shape == (1,):
            given = Value.of(given.exact.reshape(1))
        if given.shape != shape:
            raise error(
                "wrong-shape",
                f'"{name.text}" has shape {list(shape)}, but its value has {list(given.shape)}',
                place,
                hint="one bracket per axis, rows of the last axis innermost",
            )
    context.declare(name, made)
    with placed(name.span):
        context.declarations.declare(made, given, place)


def declare_index(statement: ArrayStatement, context: Context) -> None:
    """`index`: it needs its value, from the text or a loaded file, at once.

    Raises: DanausError `duplicate-name`, `wrong-shape`, `no-value`, `not-an-integer`.
    """
    name = statement.name
    shape = _shape(statement)
    loaded = context.declarations.loaded.get(name.text)
    if loaded is not None:
        if np.any(loaded.floats != np.round(loaded.floats)):
            raise error(
                "not-an-integer", f'the loaded value of "{name.text}" holds numbers that are no integers', name.span
            )
        values = loaded.floats.astype(np.int64)
    elif statement.value is None:
        raise error(
            "no-value", f'index "{name.text}" has no value', name.span, hint="give it one with `=`, or `load` it"
        )
    else:
        values = _integers(statement, shape)
    if values.shape != shape:
        raise error(
            "wrong-shape", f'"{name.text}" has shape {list(shape)}, but its value has {list(values.shape)}', name.span
        )
    context.declare(name, Index(name.text, values))


def _integers(statement: ArrayStatement, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    value = statement.value
    assert value is not None
    if not isinstance(value, List):
        return np.array(integer(value, {}, "the index"), dtype=np.int64).reshape((1,) * len(shape))
    if len(shape) == 2 and all(isinstance(item, List) for item in value.items):
        rows = ragged(value, {})
        if len({len(row) for row in rows}) > 1:
            raise error("wrong-shape", "the rows differ in length", value.span, hint="pad them with -1 at the end")
        return np.array(rows, dtype=np.int64).reshape(len(rows), -1)
    found = array(value, {})
    if any(item.denominator != 1 for item in found.exact.ravel()):
        raise error("not-an-integer", "an index holds a number that is no integer", value.span)
    return found.floats.astype(np.int64)
