"""`danaus run` of a bundle: what the compiled circuit answers, as csv on the output or in a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bundles import composed_of, composition, read, ready
from ..compiler.information import KINDS
from ..compiler.latents import decode_columns, posterior_columns
from ..compiler.queries import Answer, conditional_columns, map_columns, ones_columns, value_columns, value_of
from ..ir.data import Column, read_data
from ..ir.data.value import explain, unusable
from ..ir.diagnostic import Diagnostic, error, nearest
from ..runtime.asked import Asked
from .options import say, working
from .run import assignments, write_answer

if TYPE_CHECKING:
    from ..ir.parameter import Floats
    from ..ir.query.likelihood import Booleans
    from ..runtime.bundle import Bundle, Several
    from ..runtime.bundled import Bundled

QUERIES = ("likelihood", "marginal", "partition", "conditional", "map", "sample", "hamming", "decode", "posterior")
WITHOUT_DATA = ("partition", "hamming", "moment", *KINDS)


def run(path: Path, query: str, **options: Any) -> int:
    """Answers a query of a bundle."""
    bundle = read(path)
    if query in composed_of(bundle):
        _require_used(composed_of(bundle)[query].kind, options)
        write_answer(Answer(number=composition(bundle, query).answer()), options["output"])
        return 0
    held, asked = _find(bundle, path, query)
    _require_used(asked.kind, options)
    model = ready(held, options["device"])
    with warnings.catch_warnings(record=True) as caught, working(f"answering {query}"):
        warnings.simplefilter("always")
        found = _answered(model, asked, options)
    for warning in caught:
        say(Diagnostic("warning", str(warning.message), severity="warning"))
    write_answer(found, options["output"])
    return 0


def _find(bundle: Bundle | Several, path: Path, query: str) -> tuple[Bundle, Asked]:
    """The circuit that a query is of: by the query's name, `circuit.kind`, or a bare kind where there is one circuit.

    Raises: DanausError `not-in-bundle`, `ambiguous`.
    """
    from ..runtime.bundle import circuits_of

    circuits = circuits_of(bundle)
    if query in bundle.asked:
        asked = bundle.asked[query]
        return circuits[asked.circuit], asked
    own = [name for name in circuits if name not in bundle.asked]  # not those that stand in a query alone
    known = [
        *bundle.asked,
        *composed_of(bundle),
        *(f"{name}.{kind}" for name in own for kind in _kinds(circuits[name])),
    ]
    name, _, kind = query.rpartition(".")
    if not name and kind in QUERIES and len(own) > 1:
        names = ", ".join(f"{name}.{kind}" for name in own if kind in _kinds(circuits[name])) or ", ".join(known)
        raise error("ambiguous", f"{path} holds {len(own)} circuits", hint=f"name one of them: {names}")
    if not name and len(own) == 1:
        known += _kinds(circuits[own[0]])
        name = own[0]
    if name not in circuits or kind not in _kinds(circuits[name]):
        hint = " ".join(filter(None, (nearest(query, known), f"it answers {', '.join(known)}")))
        raise error("not-in-bundle", f"{path} does not answer {query}", hint=hint)
    return circuits[name], Asked(kind, name)


def _kinds(bundle: Bundle) -> list[str]:
    """What a circuit answers that takes nothing beside it."""
    return [kind for kind in QUERIES if kind in bundle.queries]


def _require_used(kind: str, options: dict[str, Any]) -> None:
    """Raises DanausError `wrong-option` for what has no part here, and `needs-data`."""
    for name in ("smooth", "params", "variables", "vtree", "evidence", "memory"):
        if options[name]:
            raise error("wrong-option", f"--{name} has no part in the query {kind} of a bundle", hint="leave it out")
    if options["count"] is not None and (kind != "sample" or options["data"] is not None):
        hint = "one sample completes each row of the data" if kind == "sample" else "--count is for samples"
        raise error("wrong-option", f"--count has no part in the query {kind} of a bundle", hint=hint)
    if kind in WITHOUT_DATA or (kind == "sample" and options["data"] is None):
        for name in ("data", "given"):
            if options[name]:
                raise error("wrong-option", f"the query {kind} of a bundle takes no {name} here", hint="marginal does")
    elif options["data"] is None:
        raise error("needs-data", f"the query {kind} needs rows of data", hint="give them with --data FILE")


def _answered(model: Bundled, asked: Asked, options: dict[str, Any]) -> Answer:
    """The answer of a query, for the rows of the data where it takes such."""
    variables, kind = model.variables, asked.kind
    if kind == "moment":
        return Answer(number=model.moment(asked.variable, asked.order))
    if kind == "partition":
        return Answer(number=model.partition())
    if kind == "hamming":
        return Answer(ones_columns(model.hamming().numpy()))
    if kind == "sample" and options["data"] is None:
        drawn = model.sample(1 if options["count"] is None else options["count"], seed=options["seed"])
        return Answer(tuple(value_columns(variables, drawn.numpy())))
    values, observed = _rows(model, kind, options)
    match kind:
        case "conditional":
            named = {variable.name: variable for variable in variables}
            found = {named[name]: answer for name, answer in model.conditional(values, observed).items()}
            return Answer(tuple(conditional_columns(variables, found, observed)))
        case "map":
            return Answer(tuple(map_columns(variables, model.map(values, observed))))
        case "decode":
            return Answer(tuple(decode_columns(variables, model.decode(values, observed))))
        case "posterior":
            return Answer(tuple(posterior_columns(variables, model.posterior(values, observed).numpy())))
        case "sample":
            drawn = model.sample(values, observed, seed=options["seed"])
            return Answer(tuple(value_columns(variables, drawn.numpy())))
        case _:
            logs: Floats = model.log_likelihood(values, observed).numpy()
            return Answer((Column("log_probability", logs),))


def _rows(model: Bundled, kind: str, options: dict[str, Any]) -> tuple[Floats, Booleans]:
    """The rows of the data; a variable that `--given` fixes has its value in each, whatever its column says."""
    fixed = _fixed(model, options["given"])
    read = [i for i in range(len(model.variables)) if i not in fixed]
    data = read_data(options["data"], model.variables, [model.variables[i] for i in read])
    if kind == "likelihood":
        data.require_complete()
    values = np.zeros((len(data.values), len(model.variables)))
    observed = np.ones(values.shape, dtype=bool)
    values[:, read], observed[:, read] = data.values, data.observed
    for position, value in fixed.items():
        values[:, position] = value
    return values, observed


def _fixed(model: Bundled, text: str) -> dict[int, float]:
    """The values of `--given`, by position.

    Raises: DanausError `unknown-variable`, `wrong-value`.
    """
    places = {variable.name: position for position, variable in enumerate(model.variables)}
    fixed: dict[int, float] = {}
    for name, value in assignments(text):
        if name not in places:
            hint = nearest(name, places) or f"it has {', '.join(list(places)[:8])}"
            raise error("unknown-variable", f'the bundle has no variable "{name}"', hint=hint)
        variable = model.variables[places[name]]
        found = value_of(variable, value)
        if unusable(np.array([[found]]), [variable]).any():
            message, hint = explain(variable, found)
            raise error("wrong-value", f'--given "{text}": {message}', hint=hint)
        fixed[places[name]] = found
    return fixed
