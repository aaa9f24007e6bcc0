"""Determinism of one sum by trying all assignments: where terms of both signs cancel, and supports say too much."""

from __future__ import annotations

from math import prod

import numpy as np

from ....ir.density import domain_values
from ....ir.domain import FiniteDomain, Variable, first_value
from ....ir.parameter import Floats
from ..result import Refuted, Unknown
from .budget import Meter
from .shown import Shown

_ASSIGNMENTS = 1 << 14
_WORK = 1 << 26
_REASON = "the supports of two children meet, but where they were looked at, terms of both signs cancel"


def enumerated(shown: Shown, meter: Meter) -> Refuted | Unknown | None:
    """The verdict on one sum by all assignments of its scope; None where it is proved."""
    circuit = shown.circuit
    scope = set(circuit.scopes.node(*shown.place))
    domains = [variable.domain for variable in scope]
    sizes = [domain.size for domain in domains if isinstance(domain, FiniteDomain)]
    if len(sizes) < len(domains):
        return Unknown(f"{_REASON}, and there is no end of assignments", str(meter.budget))
    rows = prod(sizes)
    if rows > _ASSIGNMENTS or rows * circuit.nodes * len(shown.children) > _WORK or not meter.take(rows):
        return Unknown(f"{_REASON}, and {rows:,} assignments are too many to try", str(meter.budget))
    table = _table(circuit.variables, scope, rows)
    found, decided = zip(*(shown.nonzero(child, table) for child in range(len(shown.children))), strict=True)
    marks = np.stack(found)
    if shown.subset is None:
        group = np.arange(rows)
    else:
        kept = [place for place, variable in enumerate(circuit.variables) if variable in shown.subset]
        _, group = np.unique(table[:, kept], axis=0, return_inverse=True)
        group = group.reshape(-1)
    possible = np.zeros((len(marks), int(group.max()) + 1), dtype=bool)
    for child, row in zip(*np.nonzero(marks), strict=True):
        possible[child, group[row]] = True
    several = np.flatnonzero(possible.sum(axis=0) > 1)
    if len(several):
        one, other = np.flatnonzero(possible[:, several[0]])[:2].tolist()
        at = [int(np.flatnonzero(marks[child] & (group == several[0]))[0]) for child in (one, other)]
        return Refuted(shown.of(one, other, table[at]))
    return None if all(decided) else Unknown(f"{_REASON}, as far as rounding shows", str(meter.budget))


def _table(variables: tuple[Variable, ...], scope: set[Variable], rows: int) -> Floats:
    """All assignments of a scope, [rows, variables]; variables beside it have their first value."""
    table = np.tile([float(first_value(variable.domain)) for variable in variables], (rows, 1))
    numbers = np.arange(rows)
    for place, variable in enumerate(variables):
        if variable in scope:
            values = domain_values(variable)
            table[:, place] = values[numbers % len(values)]
            numbers //= len(values)
    return table
