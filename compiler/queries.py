"""Queries by kind: the answer of each through the reference evaluator, as columns of a table.

What enters is a query and the rows of a data file; what leaves is what `danaus run` writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..frontend.spec import Query
from ..ir import query as ask
from ..ir.circuit import Circuit
from ..ir.data import Column, Data
from ..ir.data.value import names_of, reader
from ..ir.diagnostic import error, warn
from ..ir.domain import Cat, FiniteDomain, Variable
from ..ir.parameter import Floats, Value
from ..ir.query.likelihood import Booleans
from .information import KINDS, information
from .operators import restrict, smooth
from .properties import check, marginally_deterministic

# Queries that take rows of data; the others have one answer, or rows of their own.
WITH_DATA = ("likelihood", "marginal", "conditional", "map", "marginal_map", "flows", "decode", "posterior")
OPTIONAL_DATA = ("sample",)


@dataclass(frozen=True, slots=True)
class Answer:
    """The columns of an answer, or one number alone."""

    columns: tuple[Column, ...] = ()
    number: float | int | None = None


def given(query: Query, values: Sequence[tuple[str, str]]) -> Query:
    """The query under fixed values: every circuit that has the variable is restricted to it.

    Raises: DanausError `unknown-variable`, `wrong-value`.
    """
    if not values:
        return query
    circuits = list(query.circuits)
    for name, text in values:
        found = False
        for position, circuit in enumerate(circuits):
            for variable in circuit.variables:
                if variable.name == name:
                    circuits[position] = restrict(circuit, {variable: value_of(variable, text)})
                    found = True
        if not found:
            known = sorted({variable.name for circuit in query.circuits for variable in circuit.variables})
            raise error(
                "unknown-variable",
                f'no circuit of the query has a variable "{name}"',
                hint=f"they have {', '.join(known[:8])}",
            )
    return replace(query, circuits=tuple(circuits))


def value_of(variable: Variable, text: str) -> float:
    """A value from its text, read as a data file's fields are: a name of the domain, or a number."""
    found = reader(variable.domain)(text)
    if not np.isfinite(found):
        names = names_of(variable.domain)
        hint = f"its values are {', '.join(names[:8])}" if names else "give a number"
        raise error("wrong-value", f'"{variable}" has no value "{text}"', hint=hint)
    return found


def answer(query: Query, data: Data | None = None, seed: int = 0, count: int = 1) -> Answer:
    """The answer of a query whose needs are met, for the rows of `data` where it takes data.

    Raises: DanausError for evidence that a query cannot take.
    """
    circuit = query.circuits[0]
    match query.kind:
        case "likelihood" if data is not None:
            data.require_complete()
            return _logs(ask.log_likelihood(circuit, data.values))
        case "marginal" if data is not None:
            return _logs(ask.log_likelihood(circuit, data.values, data.observed))
        case "conditional" if data is not None:
            posteriors = ask.conditional(circuit, data.values, data.observed)
            return Answer(tuple(conditional_columns(circuit.variables, posteriors, data.observed)))
        case "map" if data is not None:
            return Answer(tuple(map_columns(circuit.variables, most_probable(circuit, data.values, data.observed))))
        case "marginal_map" if data is not None:
            chosen = query.variables[0]
            best = most_probable_marginal(circuit, chosen, data.values, data.observed)
            return Answer(tuple(map_columns(circuit.variables, best, chosen)))
        case "flows" | "decode" | "posterior" if data is not None:
            return _of_latents(query.kind, circuit, data)
        case "sample" if data is None:
            values = ask.sample(circuit, count, seed)
            return Answer(tuple(value_columns(circuit.variables, values)))
        case "sample":
            assert data is not None
            values = ask.sample_given(circuit, data.values, data.observed, seed)
            return Answer(tuple(value_columns(circuit.variables, values)))
        case "partition":
            return Answer(number=ask.partition(circuit))
        case "count":
            return Answer(number=model_count(circuit))
        case "moment":
            return Answer(number=ask.moment(circuit, query.variables[0][0], order_of(query)))
        case "hamming":
            return Answer(ones_columns(ask.hamming(circuit)))
        case kind if kind in KINDS:
            return Answer(number=information(query))
        case _:
            raise error("needs-data", f"the query {query.kind} needs rows of data", hint="give them with --data FILE")


def _of_latents(kind: str, circuit: Circuit, data: Data) -> Answer:
    """What only a compiled circuit answers, for which torch is imported."""
    from . import latents

    rows, variables = (data.values, data.observed), circuit.variables
    match kind:
        case "flows":
            return Answer(tuple(latents.flows_columns(latents.flows(circuit, *rows))))
        case "decode":
            return Answer(tuple(latents.decode_columns(variables, latents.decode(circuit, *rows))))
        case _:
            return Answer(tuple(latents.posterior_columns(variables, latents.posterior(circuit, *rows))))


def most_probable(circuit: Circuit, values: Floats, observed: Booleans) -> ask.MostProbable:
    """The most probable completion of each row, exact with proof where the circuit is deterministic."""
    proved = check(circuit, "deterministic")["deterministic"].status == "proved"
    return ask.most_probable(circuit, values, observed, proved)


def most_probable_marginal(
    circuit: Circuit, chosen: Sequence[Variable], values: Floats, observed: Booleans
) -> ask.MostProbable:
    """The most probable values of some variables, exact with proof where the circuit is marginally deterministic."""
    proved = marginally_deterministic(circuit, chosen).status == "proved"
    return ask.most_probable_marginal(circuit, chosen, values, observed, proved)


def model_count(circuit: Circuit, weights: Mapping[Variable, Value] | None = None) -> Any:
    """The number of assignments on which a decomposable, deterministic circuit is not zero, or their total weight."""
    return ask.count(smooth(circuit), weights)


def order_of(query: Query) -> int:
    """The order of a moment.

    Raises: DanausError `wrong-number`.
    """
    order = query.numbers[0]
    if order != int(order) or order < 0:
        raise error("wrong-number", f"the moment {order:g} is no natural number", query.span)
    return int(order)


def _logs(values: Floats) -> Answer:
    return Answer((Column("log_probability", values),))


def ones_columns(logs: Floats) -> tuple[Column, ...]:
    """The masses of the numbers of ones as columns."""
    return (Column("ones", np.arange(len(logs))), Column("log_mass", logs))


def value_columns(variables: Sequence[Variable], values: Floats) -> list[Column]:
    """Rows of values as columns."""
    return [Column(variable.name, values[:, position], variable.domain) for position, variable in enumerate(variables)]


def conditional_columns(
    variables: Sequence[Variable], found: Mapping[Variable, ask.Answer], observed: Booleans
) -> list[Column]:
    """Distributions of missing variables as columns: of each value its probability, else mean and deviation."""
    columns: list[Column] = []
    for position, variable in enumerate(variables):
        if variable not in found:
            continue
        missing = ~observed[:, position]
        posterior = found[variable]
        if isinstance(posterior, np.ndarray):
            assert isinstance(variable.domain, FiniteDomain)
            columns += [
                Column(f"{variable.name}={name}", posterior[:, code], present=missing)
                for code, name in enumerate(value_names(variable))
            ]
        else:
            columns.append(Column(f"{variable.name}.mean", posterior.mean, present=missing))
            columns.append(Column(f"{variable.name}.sd", np.sqrt(posterior.variance), present=missing))
    if not columns:
        warn("no value is missing in the data: there is nothing to say of the rest of a row")
    return columns


def value_names(variable: Variable) -> list[str]:
    """The values of a finite domain as text: names where it has them."""
    domain = variable.domain
    assert isinstance(domain, FiniteDomain)
    if isinstance(domain, Cat) and domain.names:
        return list(domain.names)
    low = getattr(domain, "lo", 0)
    return [str(low + code) for code in range(domain.size)]


def map_columns(
    variables: Sequence[Variable], best: ask.MostProbable, chosen: Sequence[Variable] | None = None
) -> list[Column]:
    """The most probable values of variables, or of the chosen ones, as columns, with their probability and proof."""
    values = zip(value_columns(variables, best.values), variables, strict=True)
    return [
        *(column for column, variable in values if chosen is None or variable in chosen),
        Column("log_probability", best.log_probability),
        Column("exact", best.certain),
    ]
