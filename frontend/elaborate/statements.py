"""A file's statements, in order: each declares, or says what is wrong, and the next goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...ir.circuit import Circuit, built_from
from ...ir.diagnostic import Diagnostic, Gatherer, error, nearest
from ...ir.domain import Variable
from ...ir.span import Span
from ...ir.store import initial_value, settle
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
    LoadStatement,
    Name,
    QueryStatement,
    Statement,
    VarStatement,
)
from .bodies import run
from .body import Body
from .circuits import circuit
from .context import Broken, Context, Index, Poisoned
from .declarations import declare_array, declare_index, declare_variable
from .demands import predicate, query
from .imports import Import, import_file


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
                declare_variable(statement, context, known)
            case ArrayStatement(keyword="index"):
                declare_index(statement, context)
            case ArrayStatement():
                declare_array(statement, context)
            case CircuitStatement(name, body, span):
                context.declare(name, _circuit(name, body, span, context))
            case AssertStatement(expression, span):
                demanded.assertions.append(Assertion(predicate(expression, context), span))
            case QueryStatement(name, expression):
                found = query(name.text, expression, context)
                context.declare(name, found)
                demanded.queries[name.text] = found
            case ImportStatement():
                import_file(statement, context, load_import)
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


def _circuit(name: Name, body: Expression | tuple[Item, ...], span: Span, context: Context) -> Circuit:
    if not isinstance(body, tuple):
        return replace(circuit(body, context, name.text), name=name.text, span=name.span)
    state = Body(context, name.text)
    root = run(state, body, span)
    return Circuit(root, context.snapshot(), name.text, tuple(state.free), built_from(state.circuits), name.span)


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
            from ..tensors import read_tensors  # with readers of data; few specs load anything

            for name, value in read_tensors(path).items():
                context.declarations.loaded[name] = value
                places[name] = span
    return places


def _is_part(name: str, circuits: Mapping[str, Circuit]) -> bool:
    """Whether a circuit is a part of another, which has its name up to a dot: it is not shown beside it.

    `"q.p"` is what an operator makes `q` of, where a file is written that holds `q` alone. A name with a dot that `q`
    is not made of is a circuit as any other.
    """
    owners = [circuits[name[:at]] for at, mark in enumerate(name) if mark == "." and name[:at] in circuits]
    seen = set(owners)
    while owners:
        origin = owners.pop().origin
        made_of = set(origin.circuits if origin is not None else ()) - seen
        if any(given.root is circuits[name].root for given in made_of):
            return True
        seen |= made_of
        owners += made_of
    return False


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
        elif name in context.imported:
            note = settle(context.imported[name], declarations.loaded[name])[1]
            notes += [note] if note else []
        elif not isinstance(context.entities.get(name), Index | Broken) and not gatherer.errors:
            hint = nearest(name, (*declarations.parameters, *context.imported))
            hint = hint or "a file may hold only what the spec names"
            gatherer.add(
                Diagnostic("unknown-name", f'the loaded file has a "{name}", which is not declared', span, hint)
            )
    own = declarations.settle(gatherer, context.seed)
    gatherer.finish()
    store = context.store.merged(own)
    known: dict[int, Circuit] = {}

    def settled(circuit: Circuit) -> Circuit:
        """A circuit with its values, one object for each, so that what is found out of one is known of all its uses."""
        if id(circuit) not in known:
            known[id(circuit)] = circuit.over(store)
        return known[id(circuit)]

    named = {name: found for name, found in context.entities.items() if isinstance(found, Circuit)}
    circuits = {name: settled(found) for name, found in named.items() if not _is_part(name, named)}
    return Spec(
        file.source.name,
        context.folder,
        tuple(context.columns.values()),
        circuits,
        {**declarations.parameters, **context.imported},
        store,
        [replace(found, predicate=over(found.predicate, settled)) for found in demanded.assertions],
        {
            name: replace(found, circuits=tuple(settled(circuit) for circuit in found.circuits))
            for name, found in demanded.queries.items()
        },
        [*gatherer.diagnostics, *notes],
    )
