"""`import`: the circuits of another file, and its variables, which are the importer's where the names are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ...ir.diagnostic import error, nearest, placed
from ...ir.domain import Variable
from ...ir.span import Span
from ...ir.store import Store, settle
from ..formats.options import ForeignOptions
from ..spec import Spec
from ..syntax import Expression, ImportStatement, List, Name
from .context import Context, Imported, VariableArray
from .numbers import describe, integer
from .variables import variables

Import = Callable[[Path, ForeignOptions, Mapping[str, Variable], bool], Spec]
"""Reads a file with options and the importer's variables; the last says that its parameters are to be new ones."""
_OPTIONS = ("variables", "vtree", "evidence", "over")


def import_file(statement: ImportStatement, context: Context, load_import: Import) -> None:
    """Declares the variables and the circuits of another file.

    Raises: DanausError `two-domains`, `duplicate-name`, `unknown-option`, and what the file gets wrong.
    """
    options = _options(statement, context)
    path = context.folder / statement.path.text
    with placed(statement.path.span):
        spec = load_import(path, options, context.columns, False)
    if _differs(_store(statement, spec, context), context.store):
        with placed(statement.path.span):
            spec = load_import(path, options, context.columns, True)
    for variable in spec.variables:
        mine = context.columns.get(variable.name)
        if mine is not None and mine != variable:
            raise error("two-domains", f'"{variable.name}" is {mine.domain} here, but {variable.domain} in the import')
        if mine is None:
            if variable.name in context.entities:
                raise error("duplicate-name", f'the import declares a variable "{variable.name}", which is taken')
            context.columns[variable.name] = variable
    _declare_arrays(spec.variables, context, statement.span)
    context.store = context.store.updated(_store(statement, spec, context))
    found = {f"{statement.name.text}.{name}": parameter for name, parameter in spec.parameters.items()}
    context.imported.update(found)
    context.declare(statement.name, Imported(statement.name.text, spec))


def _store(statement: ImportStatement, spec: Spec, context: Context) -> Store:
    """The values of an import, with those that the importer loads for it."""
    loaded = context.declarations.loaded
    named = {f"{statement.name.text}.{name}": parameter for name, parameter in spec.parameters.items()}
    return spec.store.updated({one: settle(one, loaded[name])[0] for name, one in named.items() if name in loaded})


def _differs(one: Store, other: Store) -> bool:
    """Whether a parameter that both have is of two values, because files load different ones for a file they share."""
    return any(parameter in other and not other[parameter].same(value) for parameter, value in one.items())


def _declare_arrays(found: tuple[Variable, ...], context: Context, span: Span) -> None:
    """Declares imported variables: single ones by name, elements of an array under the array's."""
    arrays: dict[str, list[Variable]] = {}
    for variable in found:
        stem, bracket, rest = variable.name.partition("[")
        if bracket and rest == f"{len(arrays.get(stem, []))}]":
            arrays.setdefault(stem, []).append(variable)
        elif variable.name not in context.entities:
            context.declare(Name(variable.name, span), variable)
    for stem, elements in arrays.items():
        if stem not in context.entities:
            context.declare(Name(stem, span), VariableArray(stem, tuple(elements)))


def _options(statement: ImportStatement, context: Context) -> ForeignOptions:
    """What stands in the parentheses of an import, for files of other tools."""
    given: dict[str, Expression] = {}
    for option in statement.options:
        name = option.target.text if isinstance(option.target, Name) else ""
        span = option.target.span
        if name not in _OPTIONS:
            hint = nearest(name, _OPTIONS) or f"options of an import are {', '.join(_OPTIONS)}"
            raise error("unknown-option", f'an import has no option "{name}"', span, hint=hint)
        if name in given:
            raise error("duplicate-name", f'the option "{name}" stands twice', span)
        given[name] = option.value
    if given and statement.path.text.endswith(".circuit"):
        raise error(
            "wrong-arguments",
            "a .circuit file is imported without options",
            statement.options[0].span,
            hint="variables=, vtree=, evidence= and over= are for files of other tools",
        )
    return ForeignOptions(
        integer(given["variables"], {}, "the number of variables") if "variables" in given else None,
        _path(given["vtree"], context) if "vtree" in given else None,
        _path(given["evidence"], context) if "evidence" in given else None,
        _over(given["over"], context) if "over" in given else None,
    )


def _path(value: Expression, context: Context) -> Path:
    if not isinstance(value, Name) or not value.quoted:
        raise error("wrong-arguments", f"{describe(value)} is not a file", value.span, hint="write its name in quotes")
    return context.folder / value.text


def _over(value: Expression, context: Context) -> tuple[Variable, ...]:
    if not isinstance(value, List):
        raise error("wrong-arguments", "the variables stand in a list", value.span, hint="write over=[x, y[0..3]]")
    return tuple(variables(value, context, {}))
