"""Rows completed one variable after the other, each from its distribution given all before it.

It is how circuits with negative numbers are sampled and maximised: their sums have no child to choose. It costs a walk
up and down the circuit for each variable.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..circuit import Circuit
from ..linear import Indices
from ..parameter import Floats
from .conditional import Answer, conditional
from .likelihood import Booleans

# Values for a variable, by its position, from its distribution in the rows of these numbers.
Choose = Callable[[int, Answer, Indices], Floats]


def complete(circuit: Circuit, values: Floats, observed: Booleans, choose: Choose) -> Floats:
    """Rows [batch, variables] with what they leave out filled in. Their evidence must be possible."""
    values, observed = np.array(values, dtype=np.float64), np.array(observed, dtype=bool)
    for position, variable in enumerate(circuit.variables):
        rows = np.flatnonzero(~observed[:, position])
        if len(rows):
            answer = conditional(circuit, values[rows], observed[rows], [variable])[variable]
            values[rows, position] = choose(position, answer, rows)
            observed[rows, position] = True
    return values
