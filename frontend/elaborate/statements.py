"""A file's statements, in order: each declares, or says what is wrong, and the next goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...ir.circuit import Circuit, built_from
from ...ir.diagnostic import Diagnostic, Gatherer, error, nearest, placed
from ...ir.domain import Domain, Variable
from ...ir.expression import CONSTRAINTS, Constraint, Parameter, Value
from ...ir.span import Span
from ...ir.store import initial_value, settle
from ..fresh import require_size
from ..spec import Assertion, Operator, Query, Spec, over
from ..syntax import (
    ArrayStatement,
    AssertStatement,
    BrokenStatement,
    CircuitStatement,
    Expression,
    File,
    ImportStatement,
    Item,
    List,
    LoadStatement,
    Name,
    QueryStatement,
    Statement,
    VarStatement,
)
from ..tensors import read_tensors
from .bodies import run
from .body import Body
from .circuits import circuit
from .context import Broken, Context, Imported, Index, Poisoned, VariableArray
from .demands import predicate, query
from .numbers import array, integer, ragged, size
from .variables import domain

MAX_VARIABLES = 1_000_000
Import = Callable[[Path, ImportStatement, Mapping[str, Variable]], Spec]


def elaborate(
    file: File,
    folder: Path,
    operators: Mapping[str, Operator],
    gatherer: Gatherer,
    load_import: Import,
    seed: int = 0,
    params: Path | None = None,
    known: Mapping[str, Variable] | None = None,
) -> Spec:
    """The spec that a syntax tree declares; all mistakes are raised at once.

    `operators` are those that there are, `load_import` reads an imported file, `params` is a last `load`, and
    `known` are the variables of an importing file, which are the same where the name is.

    Raises: DanausError with every mistake of the file, in the order of the text.
    """
    context = Context(file.source, folder, operators, gatherer, seed)
    demanded = _Demands()
    places = _loads(file, context, params)
    for statement in file.statements:
        with gatherer.catch(statement.span):
            try:
                _statement(statement, context, demanded, load_import, known or {})
            except Poisoned:
                _poison(statement, context)
    return _finished(file, context, demanded, places)


@dataclass(slots=True)
class _Demands:
    """What the file asserts and asks, so far."""

    assertions: list[Assertion] = field(default_factory=list[Assertion])
    queries: dict[str, Query] = field(default_factory=dict[str, Query])


def _poison(statement: Statement, context: Context) -> None:
    """Marks the name of a statement with a mistake, so that its uses are not reported too."""
    name = getattr(statement, "name", None)
    if isinstance(name, Name):
        context.entities.setdefault(name.text, Broken())
        context.places.setdefault(name.text, name.span)
    elif isinstance(name, str):
        context.entities.setdefault(name, Broken())
        context.places.setdefault(name, statement.span)


def _statement(
    statement: Statement,
    context: Context,
    demanded: _Demands,
    load_import: Import,
    known: Mapping[str, Variable],
) -> None:
    try:
        match statement:
            case VarStatement():
                _variable(statement, context, known)
            case ArrayStatement(keyword="index"):
                _index(statement, context)
            case ArrayStatement():
                _array(statement, context)
            case CircuitStatement(name, body, span):
                context.declare(name, _circuit(name, body, span, context))
            case AssertStatement(expression, span):
                demanded.assertions.append(Assertion(predicate(expression, context), span))
            case QueryStatement(name, expression):
                found = query(name.text, expression, context)
                context.declare(name, found)
                demanded.queries[name.text] = found
            case ImportStatement():
                _import(statement, context, load_import)
            case LoadStatement():
                pass
            case BrokenStatement():
                raise Poisoned
    except RecursionError:
        _poison(statement, context)
        raise error("too-deep", "this is nested too deep", statement.span, hint="give inner parts names") from None
    except BaseException:
        _poison(statement, context)
        raise


def _variable(statement: VarStatement, context: Context, known: Mapping[str, Variable]) -> None:
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


def _array(statement: ArrayStatement, context: Context) -> None:
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


def _index(statement: ArrayStatement, context: Context) -> None:
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


def _circuit(name: Name, body: Expression | tuple[Item, ...], span: Span, context: Context) -> Circuit:
    if not isinstance(body, tuple):
        return replace(circuit(body, context, name.text), name=name.text, span=name.span)
    state = Body(context, name.text)
    root = run(state, body, span)
    return Circuit(root, context.snapshot(), name.text, tuple(state.free), built_from(state.circuits), name.span)


def _import(statement: ImportStatement, context: Context, load_import: Import) -> None:
    path = context.folder / statement.path.text
    with placed(statement.path.span):
        spec = load_import(path, statement, context.columns)
    for variable in spec.variables:
        mine = context.columns.get(variable.name)
        if mine is not None and mine != variable:
            raise error("two-domains", f'"{variable.name}" is {mine.domain} here, but {variable.domain} in the import')
        if mine is None:
            if variable.name in context.entities:
                raise error("duplicate-name", f'the import declares a variable "{variable.name}", which is taken')
            context.columns[variable.name] = variable
    _declare_arrays(spec.variables, context, statement.span)
    context.store = context.store.merged(spec.store)
    context.declare(statement.name, Imported(statement.name.text, spec))


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


def _loads(file: File, context: Context, params: Path | None) -> dict[str, Span | None]:
    """Reads every `load` first: it gives values to what is named before or after it, and the last one wins."""
    places: dict[str, Span | None] = {}
    sources: list[tuple[Path, Span | None]] = [
        (context.folder / statement.path.text, statement.path.span)
        for statement in file.statements
        if isinstance(statement, LoadStatement)
    ]
    if params is not None:
        sources.append((params, None))
    for path, span in sources:
        with context.gatherer.catch(span):
            for name, value in read_tensors(path).items():
                context.declarations.loaded[name] = value
                places[name] = span
    return places


def _is_part(name: str, circuits: Collection[str]) -> bool:
    """Whether a circuit is a part of another, which has its name up to a dot: it is not shown beside it.

    `"q.p"` is what an operator makes `q` of, where a file is written that holds `q` alone.
    """
    return any(name[:at] in circuits for at, mark in enumerate(name) if mark == ".")


def _finished(file: File, context: Context, demanded: _Demands, places: Mapping[str, Span | None]) -> Spec:
    gatherer, declarations = context.gatherer, context.declarations
    notes: list[Diagnostic] = []
    for name, span in places.items():
        parameter = declarations.parameters.get(name)
        if parameter is not None:
            mistakes = len(gatherer.errors)
            with gatherer.catch(span):
                declarations.values[parameter], note = settle(parameter, declarations.loaded[name])
                notes += [note] if note else []
            if len(gatherer.errors) > mistakes:
                declarations.values[parameter] = initial_value(parameter)  # so that it is reported once
        elif not isinstance(context.entities.get(name), Index | Broken) and not gatherer.errors:
            hint = nearest(name, declarations.parameters) or "a file may hold only what the spec names"
            gatherer.add(
                Diagnostic("unknown-name", f'the loaded file has a "{name}", which is not declared', span, hint)
            )
    own = declarations.settle(gatherer, context.seed)
    gatherer.finish()
    store = context.store.merged(own)
    names = {name for name, found in context.entities.items() if isinstance(found, Circuit)}
    circuits = {
        name: found.over(store)
        for name, found in context.entities.items()
        if isinstance(found, Circuit) and not _is_part(name, names)
    }
    return Spec(
        file.source.name,
        context.folder,
        tuple(context.columns.values()),
        circuits,
        dict(declarations.parameters),
        store,
        [replace(found, predicate=over(found.predicate, store)) for found in demanded.assertions],
        {
            name: replace(found, circuits=tuple(circuit.over(store) for circuit in found.circuits))
            for name, found in demanded.queries.items()
        },
        [*gatherer.diagnostics, *notes],
    )
