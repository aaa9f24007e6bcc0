"""Moments over the Program: those of each value, or of each input node, by its share of the total."""

from __future__ import annotations

import numpy as np

from ...ir.density import domain_values, raw_moment
from ...ir.domain import FiniteDomain, Variable
from ...ir.query.moment import require_order, require_total
from ..columns import free_logs
from .conditional import posterior
from .questions import Questions


def moment(questions: Questions, variable: Variable, order: int) -> float:
    """E[xᵏ] under p/Z, in float64.

    Raises: DanausError `wrong-value`, `too-large`, `zero-mass`, `diverges`.
    """
    require_order(order)
    nothing = np.zeros((1, len(questions.variables)))
    rows = questions.rows(nothing, nothing.astype(bool))
    total = questions.log(rows) + free_logs(questions.columns, questions.free, nothing.astype(bool))
    require_total(questions.name, float(total[0]))
    position = questions.variables.index(variable)
    shares = posterior(questions, rows, [position])[0][position][:, 0]
    if isinstance(variable.domain, FiniteDomain):
        return float(shares @ domain_values(variable) ** order)
    found = 0.0
    first = 0
    for block in questions.densities:
        if block.variable == variable:
            parameters = questions.numbers.floats(block.parameters)
            mass, powers = (raw_moment(block.family, variable, list(parameters), k) for k in (0, order))
            own = shares[first : first + block.width]
            used = own > 0
            found += float((own[used] / np.asarray(mass, dtype=np.float64)[used]) @ np.asarray(powers)[used])
            first += block.width
    return found
