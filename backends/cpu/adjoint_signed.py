"""Derivatives of circuits with numbers of both signs: the adjoint in float64, of the rows whose value is certain.

What enters is what enters adjoint_vector.py; which roots to divide by says the engine of both signs (signed.py). Where
a value is negative, derivatives are those of the logarithm of its size. All is in float64: where values cancel, so do
derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...runtime.engines import Engine
from .adjoint_results import Derived
from .adjoint_vector import AdjointVector
from .batch import Codes
from .packed import Exactly


@dataclass(slots=True)
class AdjointSigned:
    """`forward` answers over both signs in float64, `adjoint` is a signed one."""

    forward: Engine
    adjoint: AdjointVector

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Tables with their sums."""
        self.forward.refill(tables)
        return self.adjoint.load(tables, exactly)

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """As `AdjointVector.run`; densities may come with signs."""
        answer = self.forward.run(codes, densities, threads)
        found = self.adjoint.run(codes, densities, np.where(answer.unsure, 0.0, weights), threads, whole)
        # the adjoint leaves out rows with derivatives beyond all numbers
        return replace(found, log=answer.log, unsure=answer.unsure | found.unsure)
