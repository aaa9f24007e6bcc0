"""A mixture of input nodes on one variable, with its own weights in each row: what `conditional` answers on real and
count.

Weights may be negative where the circuit has negative numbers; they sum to 1 all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..density import float_values
from ..domain import Count, Variable
from ..family import Family
from ..parameter import Floats
from .distribution import cumulative, mean_and_variance

_WIDE = 40.0
_ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Component:
    """Functions of one family: how many, and their parameters in float64."""

    family: Family
    width: int
    parameters: tuple[Floats, ...]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The distribution of a variable in each row: components with weights [components, batch].

    In rows where the variable is known it is the known value; where the evidence is impossible all is NaN.
    """

    variable: Variable
    components: tuple[Component, ...]
    weights: Floats
    values: Floats
    known: NDArray[np.bool_]

    @cached_property
    def mean(self) -> Floats:
        """The mean, [batch]."""
        return np.where(self.known, self.values, self._moments[0] @ self.weights)

    @cached_property
    def variance(self) -> Floats:
        """The variance, [batch]: that of the components, and that of their means around the mean."""
        means, variances = self._moments
        spread = variances[:, None] + (means[:, None] - means @ self.weights) ** 2
        none = np.where(np.isnan(self.values), np.nan, 0.0)
        return np.where(self.known, none, (self.weights * spread).sum(axis=0))

    @property
    def sd(self) -> Floats:
        """The standard deviation, [batch]."""
        return np.sqrt(self.variance)

    def cdf(self, t: ArrayLike) -> Floats:
        """The probability of values up to and including t, a number or one per row: [batch]."""
        points = np.atleast_1d(np.asarray(t, dtype=np.float64))
        below = np.concatenate([cumulative(part.family, list(part.parameters), points) for part in self.components])
        total = (self.weights * below).sum(axis=0)
        mixed = np.where(self.weights.min(axis=0) >= 0, np.clip(total, 0.0, 1.0), total)
        step = np.where(np.isnan(self.values), np.nan, points >= self.values)
        return np.where(self.known, step, mixed)

    def density(self, t: ArrayLike) -> Floats:
        """The density, on count the probability, of t, a number or one per row: [batch]; infinite at a known real."""
        points = np.atleast_1d(np.asarray(t, dtype=np.float64))
        peak = 1.0 if self._whole else np.inf
        step = np.where(np.isnan(self.values), np.nan, np.where(points == self.values, peak, 0.0))
        return np.where(self.known, step, (self.weights * self._densities(points)).sum(axis=0))

    def _densities(self, points: Floats) -> Floats:
        """The components at points, [components, points]; 0 on count where there is no value."""
        there = (points >= 0) & (points == np.floor(points)) if self._whole else np.ones(len(points), dtype=bool)
        x = np.where(there, points, 0.0)
        parts = [float_values(part.family, self.variable, list(part.parameters), x) for part in self.components]
        return np.where(there, np.concatenate(parts), 0.0)

    def quantile(self, level: Floats) -> Floats:
        """The smallest value whose cdf reaches a level in (0, 1), one per row: [batch]; by bisection."""
        means, variances = self._moments
        reach = _WIDE * (1.0 + np.sqrt(variances))
        whole = self._whole
        low = np.full(len(level), -1.0 if whole else float(np.min(means - reach)))
        high = np.full(len(level), float(np.ceil(np.max(means + reach))))
        for _ in range(_ROUNDS):
            middle = np.floor((low + high) / 2) if whole else (low + high) / 2
            if np.all((middle <= low) | (middle >= high)):
                break
            reached = self.cdf(middle) >= level
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        return np.where(self.known, self.values, high)

    def peak(self) -> Floats:
        """Of the components' modes the one where the density is largest, [batch]; the smallest of equals."""
        means, _ = self._moments
        modes = np.unique(np.floor(means) if self._whole else means)
        densities = self._densities(modes).T @ np.where(self.known, 0.0, self.weights)
        return np.where(self.known, self.values, modes[densities.argmax(axis=0)])

    @property
    def _whole(self) -> bool:
        return isinstance(self.variable.domain, Count)

    @cached_property
    def _moments(self) -> tuple[Floats, Floats]:
        """The components' means and variances, [components] each."""
        found = [mean_and_variance(part.family, self.variable, list(part.parameters)) for part in self.components]
        return np.concatenate([mean for mean, _ in found]), np.concatenate([variance for _, variance in found])
