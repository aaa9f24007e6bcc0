"""The common form of Bayesian and Markov networks: variables with finite domains, and tables over some of them.

What a network means is the product of its factors. Readers of `.bif` and `.uai` make it; the elimination takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...ir.domain import FiniteDomain
from ...ir.parameter import Floats
from ...ir.store import LOADED_TOLERANCE


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A table of non-negative numbers, one axis per variable of its scope; variables are numbered by the network."""

    scope: tuple[int, ...]
    table: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Names and domains of variables, in file order, and the factors over them."""

    names: tuple[str, ...]
    domains: tuple[FiniteDomain, ...]
    factors: tuple[Factor, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each variable."""
        return tuple(domain.size for domain in self.domains)


def restricted(network: Network, evidence: Mapping[int, int]) -> Network:
    """The same network with some variables fixed: the tables lose the axes; variables keep their numbers."""
    factors: list[Factor] = []
    for factor in network.factors:
        index = tuple(evidence.get(variable, slice(None)) for variable in factor.scope)
        left = tuple(variable for variable in factor.scope if variable not in evidence)
        factors.append(Factor(left, np.asarray(factor.table[index], dtype=np.float64)))
    return replace(network, factors=tuple(factors))


def normalised(table: Floats) -> tuple[Floats, int | None]:
    """A table whose rows, along the last axis, sum to 1, in float64; and the first row that is not near it, if any."""
    sums = table.sum(axis=-1, keepdims=True)
    wrong = np.flatnonzero(np.abs(sums - 1) > LOADED_TOLERANCE)
    if len(wrong):
        return table, int(wrong[0])
    return np.where(np.abs(sums - 1) > _ROUNDING, table / sums, table), None


_ROUNDING = 1e-14
"""Sums nearer to 1 than this are 1: what is left are the roundings of adding up."""
