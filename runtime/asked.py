"""Queries by name, as a compiled spec and a bundle hold them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.query.formula import Formula, value

RUNS = ("likelihood", "marginal", "conditional", "map", "sample", "partition", "hamming", "decode", "posterior")
"""Kinds that take a circuit and nothing else: `circuit.kind` is the name of such a query."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of a spec: its kind, the name of its circuit, and of a moment the variable and its order."""

    kind: str
    circuit: str
    variable: str = ""
    order: int = 0


@dataclass(frozen=True, slots=True)
class Composed:
    """A query that is composed of totals: its kind, the names of the circuits that have them, and the formula of these.

    `infinite` says that the answer is +inf, whatever they are.
    """

    kind: str
    terms: tuple[str, ...]
    formula: Formula[int]
    infinite: bool = False

    def number(self, totals: Sequence[tuple[float, float]], name: str) -> float:
        """The answer, from the logarithm and the sign of each circuit's total.

        Raises: DanausError `too-large`.
        """
        return math.inf if self.infinite else value(self.formula, dict(enumerate(totals)), name)
