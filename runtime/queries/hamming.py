"""The mass of each number of ones, by polynomials over the Program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ir.parameter import Floats
from ...ir.program.ones import ones
from ...ir.query.hamming import require_booleans
from ...ir.semirings import LOG, Polynomial
from .questions import Questions


def hamming(questions: Questions, coefficients: Callable[[int], Floats] | None = None) -> Floats:
    """The logarithm of the total over all assignments with 0, 1, … V ones, [V + 1].

    `coefficients` gives those of the Program for so many booleans, where a device has them.

    Raises: DanausError `wrong-domain` for each variable that is no boolean.
    """
    require_booleans(questions.name, questions.variables)
    count = len(questions.variables)
    found = ones(questions.tabled, count) if coefficients is None else coefficients(count)
    over = Polynomial(LOG)
    for _ in questions.free:
        found = over.multiply(found, np.zeros(2))
    out = np.full(count + 1, -np.inf)
    out[: len(found)] = found
    return out
