"""Samples of a circuit whose numbers are not negative, or of the rest of rows: from the root of the Program down.

The random numbers are those of `ir/query/sample.py`, counted by row, place in the circuit and choice there: the same
seed gives the same rows, however many are drawn at once.
"""

from __future__ import annotations

import numpy as np

from ...ir.domain import first_value
from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.descent import Met, Reached, descend
from ...ir.program.filled import Filled
from ...ir.program.operation import Density, Load, Network
from ...ir.query.sample import (
    Source,
    drawn,
    inverse_cdf,
    require_mass,
    require_possible,
    require_room,
    uniformly,
)
from .questions import Bools, Questions

_AT_ONCE = 1 << 16
_PARTS = ("nodes", "rows", "ids")


def sample(questions: Questions, count: int, seed: int) -> Floats:
    """Draws all variables, [count, variables].

    Raises: DanausError `impossible-evidence` where the total is not positive, `diverges`, `too-large`.
    """
    variables = questions.variables
    require_room(len(variables), count)
    nothing = np.zeros((1, len(variables)))
    rows = questions.rows(nothing, nothing.astype(bool))
    [(_, _, found)] = [each for each in questions.filled(rows) if len(each[0])]
    require_mass(questions.name, not np.isneginf(found.root[0]))
    out = np.zeros((count, len(variables)))
    for start in range(0, count, _AT_ONCE):
        names = np.arange(start, min(start + _AT_ONCE, count))
        places = np.zeros_like(names)
        _draw(questions, found, names, places, out, np.zeros((len(names), len(variables)), dtype=bool), seed)
    return out


def sample_given(questions: Questions, values: Floats, observed: Bools, seed: int) -> Floats:
    """Draws what each row leaves out, given what it observes, [batch, variables].

    Raises: DanausError `impossible-evidence`, naming the first row whose evidence is.
    """
    out = np.array(values, dtype=np.float64)
    rows = questions.rows(values, observed)
    possible = np.ones(rows.count, dtype=bool)
    for names, places, found in questions.filled(rows):
        possible[names] = ~np.isneginf(found.root[places])
        if len(names) and possible.all():
            _draw(questions, found, names, places, out, observed[names], seed)
    require_possible(questions.name, possible)
    return out


def _draw(
    questions: Questions, found: Filled, names: Indices, places: Indices, out: Floats, observed: Bools, seed: int
) -> None:
    """Writes the samples of rows `names`, which stand at `places` of the buffers."""
    source = Source(seed, names)

    def rule(terms: Floats, reached: Reached, number: Indices | int) -> Indices:
        log = found.log or found.log_nodes
        masses = np.exp(terms - terms.max(axis=1, keepdims=True)) if log else terms
        return inverse_cdf(masses, source.uniform(reached, number))

    finite: list[tuple[Met, Reached]] = []
    for met in descend(found, places, questions.sites, rule):
        if met.column >= len(questions.variables):
            continue
        some = np.flatnonzero(~observed[met.reached.rows, met.column])
        reached = met.reached.part(some)
        if not len(some):
            continue
        if isinstance(met.step, Density):
            values = drawn(questions.densities[met.step.source], reached, questions.numbers, source)
            out[names[reached.rows], met.column] = values
        else:
            finite.append((met, reached))
    if finite:  # one call of the generator for all
        together = Reached(*(np.concatenate([getattr(each, part) for _, each in finite]) for part in _PARTS))
        levels = np.split(source.uniform(together, 0), np.cumsum([len(each.rows) for _, each in finite])[:-1])
        for (met, reached), level in zip(finite, levels, strict=True):
            first = first_value(questions.variables[met.column].domain)
            out[names[reached.rows], met.column] = first + inverse_cdf(_masses(found, met, reached), level)
    for number, position in enumerate(questions.free):
        rows = np.flatnonzero(~observed[:, position])
        missing = Reached(np.zeros_like(rows), rows, np.full_like(rows, questions.nodes + number))
        out[names[rows], position] = uniformly(questions.variables[position], missing, source)


def _masses(found: Filled, met: Met, reached: Reached) -> Floats:
    """The mass of each value in the input nodes that are reached, [reached, values]."""
    match met.step:
        case Load(table=table):
            return found.tabled.turned(table, False)[reached.nodes, :-1]
        case Network(layout=layout, leaves=leaves):
            starts = found.tabled.program.layouts[layout].leaf_offsets[reached.nodes]
            size = found.tabled.program.columns[met.column]
            return np.asarray(found.tabled.tables[leaves][starts[:, None] + np.arange(size)])
        case _:
            raise AssertionError("an input on an infinite domain has no table")
