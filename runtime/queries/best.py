"""The most probable values of what is missing (MAP): maxima up the Program, and down it the terms that reach them.

It is `ir/query/maximum.py` over the Program, for circuits whose numbers are not negative: an assignment that is found
is certain where the circuit is deterministic, where it reaches a bound, or where all others were tried.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ir.domain import first_value
from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.descent import Met, Reached, descend
from ...ir.program.filled import Filled
from ...ir.program.operation import Density, Load, Network
from ...ir.query.exactness import best_tried
from ...ir.query.maximum import TOLERANCE, MostProbable
from .questions import Bools, Questions

Decoded = tuple[Floats, Bools]
"""Assignments [batch, variables], and in which rows there is one, [batch]."""


def most_probable(
    questions: Questions,
    values: Floats,
    observed: Bools,
    proved: bool,
    decode: Callable[[Questions, Floats, Bools], Decoded] | None = None,
) -> MostProbable:
    """The most probable completion of each row; `proved` where single paths lead to every assignment.

    `decode` follows the largest path of each row, where a device does.
    """
    found, possible = (decode or _decoded)(questions, values, observed)
    logs = np.full(len(values), -np.inf)
    every = np.ones(values.shape, dtype=bool)
    logs[possible] = questions.log_likelihood(found[possible], every[possible])
    certain = ~possible | proved
    rows = np.flatnonzero(~certain)
    if len(rows):
        bound = questions.log(questions.rows(values[rows], observed[rows], peaks=True), questions.largest)
        certain[rows] = bound - logs[rows] <= TOLERANCE * np.maximum(1.0, np.abs(bound))
        rows = np.flatnonzero(~certain)
        free = np.isin(np.arange(len(questions.variables)), questions.free)
        tried, best, scores = best_tried(
            questions.variables, free, questions.nodes, questions.log_likelihood, values[rows], observed[rows]
        )
        rows = rows[tried]
        better = scores > logs[rows]
        found[rows[better]], logs[rows[better]] = best[better], scores[better]
        certain[rows] = True
    found[~possible] = np.nan
    return MostProbable(found, logs, certain)


def _decoded(questions: Questions, values: Floats, observed: Bools) -> Decoded:
    """The assignment that maximisation finds, [batch, variables], and in which rows there is one, [batch]."""
    first = np.array([float(first_value(variable.domain)) for variable in questions.variables])
    found = np.where(observed, values, first)
    possible = np.zeros(len(values), dtype=bool)
    rows = questions.rows(values, observed, peaks=True)
    for names, _, buffers in questions.filled(rows, "max", questions.largest):
        there = np.flatnonzero(~np.isneginf(buffers.root))
        possible[names[there]] = True
        for met in descend(buffers, there, questions.sites, largest):
            if met.column < len(questions.variables):
                own = names[there[met.reached.rows]]
                missing = np.flatnonzero(~observed[own, met.column])
                found[own[missing], met.column] = _modes(questions, buffers, met, met.reached.part(missing))
    return found, possible


def largest(terms: Floats, reached: Reached, number: Indices | int) -> Indices:
    """The first of the largest terms."""
    return np.asarray(terms.argmax(axis=1), dtype=np.int64)


def _modes(questions: Questions, found: Filled, met: Met, reached: Reached) -> Floats:
    """The value at which each reached node of an input is largest, the first of equals."""
    match met.step:
        case Density(source=source):
            return np.asarray(questions.modes(questions.densities[source])[reached.nodes])
        case Load(table=table):
            chosen = found.tabled.tables[table][:-1].argmax(axis=0)[reached.nodes]
        case Network(layout=layout, leaves=leaves):
            starts = found.tabled.program.layouts[layout].leaf_offsets[reached.nodes]
            size = found.tabled.program.columns[met.column]
            chosen = found.tabled.tables[leaves][starts[:, None] + np.arange(size)].argmax(axis=1)
    return np.asarray(first_value(questions.variables[met.column].domain) + chosen, dtype=np.float64)
