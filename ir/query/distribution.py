"""The families on infinite domains as distributions: moments, cumulative functions and quantiles, in float64.

A Poisson distribution is summed over a window of its values, outside of which less than e⁻⁵⁰ of it lies.
"""

from __future__ import annotations

import math

import numpy as np

from ..density import raw_moment
from ..diagnostic import DanausError, error
from ..domain import Variable
from ..family import Family, Gaussian, GaussianDerivative, Indicator, Poisson, name_of
from ..linear import Indices
from ..parameter import Floats

# Chernoff: P(|X − λ| > 10 √λ + 40) < 2 exp(−x² / (2 (λ + x/3))) < e⁻⁵⁰ for every rate λ, below what float64 resolves.
_DEVIATIONS, _MARGIN = 10.0, 40.0
_LARGEST_WINDOW = 1 << 26

_erfc = np.frompyfunc(math.erfc, 1, 1)


def mean_and_variance(family: Family, variable: Variable, parameters: list[Floats]) -> tuple[Floats, Floats]:
    """The mean and the variance of each function of a family, [width] each.

    Raises: DanausError `diverges` for the constant 1.
    """
    mean = np.asarray(raw_moment(family, variable, list(parameters), 1), dtype=np.float64)
    match family:
        case Gaussian():
            return mean, parameters[1] ** 2
        case Poisson():
            return mean, parameters[0]
        case GaussianDerivative():
            raise _without(family)
        case _:
            return mean, np.zeros_like(mean)


def cumulative(family: Family, parameters: list[Floats], t: Floats) -> Floats:
    """∫ f up to and including t, [width, len(t)], for a gaussian, a poisson or an indicator."""
    match family:
        case Gaussian():
            m, s = (part[:, None] for part in parameters)
            return 0.5 * np.asarray(_erfc((m - t) / (s * math.sqrt(2))), dtype=np.float64)
        case Poisson():
            first, table = poisson_table(parameters[0])
            place = np.clip(np.floor(t) - first[:, None], -1, table.shape[1] - 1).astype(np.int64)
            found = np.take_along_axis(table, np.maximum(place, 0), axis=1)
            return np.where(place < 0, 0.0, found)
        case GaussianDerivative():
            raise _without(family)
        case Indicator(value):
            return (t >= value).astype(np.float64)[None]
        case _:
            raise AssertionError(f"{family} has no integral")


def _without(family: Family) -> DanausError:
    return error(
        "no-distribution",
        f"{name_of(family)} integrates to 0: it is no part of a mixture of distributions",
        hint="ask for densities, or for moments",
    )


def poisson_table(rates: Floats) -> tuple[Floats, Floats]:
    """The first value of each rate's window, [width], and the cumulative probabilities from there, [width, window].

    log P(v) = log P(v − 1) + log λ − log v, from the first value on; the last entry is 1.

    Raises: DanausError `too-large` where the windows of so large rates do not fit in memory.
    """
    reach = _DEVIATIONS * np.sqrt(rates) + _MARGIN
    first = np.maximum(0.0, np.floor(rates - reach))
    window = int(np.max(np.ceil(rates + reach) - first, initial=0)) + 1
    if window * len(rates) > _LARGEST_WINDOW:
        raise error("too-large", f"a poisson of rate {rates.max():g} has too many values to sum over")
    values = first[:, None] + np.arange(window)
    start = [v * math.log(rate) - rate - math.lgamma(v + 1) for v, rate in zip(first, rates, strict=True)]
    with np.errstate(divide="ignore"):
        steps = np.log(rates)[:, None] - np.log(values)
    steps[:, 0] = start
    total = np.cumsum(np.exp(np.cumsum(steps, axis=1)), axis=1)
    return first, total / total[:, -1:]


def first_above(table: Floats, rows: Indices, thresholds: Floats) -> Indices:
    """The first column of table[rows[i]], ascending, whose entry exceeds thresholds[i]; the last where none does."""
    low = np.zeros(len(rows), dtype=np.int64)
    high = np.full(len(rows), table.shape[1] - 1)
    for _ in range(table.shape[1].bit_length()):
        middle = (low + high) // 2
        above = table[rows, middle] > thresholds
        high = np.where(above, middle, high)
        low = np.where(above, low, np.minimum(middle + 1, high))
    return high
