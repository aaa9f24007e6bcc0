"""Logarithms of Poisson and binomial probabilities, to a few roundings of themselves however large the counts are.

The terms log n!, n log p, … cancel to nothing near the mode. Here they are gathered into deviances, which do not:
C. Loader, "Fast and accurate computation of binomial probabilities", 2000.
"""

from __future__ import annotations

import math

import numpy as np

from .parameter import Floats

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
# `_stirling` of 0 … 15, of which 0 is not asked for.
_STIRLING = np.array(
    [
        0.0,
        0.08106146679532726,
        0.0413406959554093,
        0.02767792568499834,
        0.020790672103765093,
        0.016644691189821193,
        0.013876128823070748,
        0.01189670994589177,
        0.010411265261972096,
        0.009255462182712733,
        0.00833056343336287,
        0.007573675487951841,
        0.00694284010720953,
        0.006408994188004207,
        0.0059513701127588475,
        0.005554733551962801,
    ]
)
# Within this distance the deviance is summed as a series, of 17 terms for 53 bits; beyond it, no digit cancels.
_NEAR, _TERMS = 1 / 3, 17


def log_poisson(x: Floats, rate: Floats) -> Floats:
    """log(λᵛ e^(−λ) / v!) for counts and positive rates, broadcast against each other."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = -_stirling(x) - _HALF_LOG_TWO_PI - 0.5 * np.log(x) - _deviance(x, rate)
    return np.where(x == 0, -rate, inner)


def log_binomial(n: int, x: Floats, p: Floats, r: Floats) -> Floats:
    """log(C(n, v) pᵛ (1 − r)ⁿ⁻ᵛ) for counts 0 … n, broadcast; r is p, or a bound of it, near it."""
    q = 1 - r
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = n - x
        spread = 0.5 * (np.log(n / x) - np.log(rest)) - _HALF_LOG_TWO_PI
        inner = _stirling(np.array(float(n))) - _stirling(x) - _stirling(rest) + spread
        inner = inner - _deviance(x, n * p) - _deviance(rest, n * q) + n * (p - r)
        ends = np.where(x == 0, n * np.log1p(-r), n * np.log(p))
    return np.where((x == 0) | (x == n), ends, inner)


def _stirling(n: Floats) -> Floats:
    """log n! − (n + ½) log n + n − ½ log 2π, by its series from 16 on."""
    with np.errstate(divide="ignore", invalid="ignore"):
        r = 1 / n**2
        series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / n
    return np.where(n < len(_STIRLING), _STIRLING[np.minimum(n, len(_STIRLING) - 1).astype(np.int64)], series)


def _deviance(x: Floats, mean: Floats) -> Floats:
    """x log(x / μ) + μ − x, which is 0 at x = μ, for positive x."""
    difference = x - mean
    v = difference / (x + mean)
    total = difference * v
    term = 2 * x * v
    for j in range(1, _TERMS + 1):
        term = term * v * v
        total = total + term / (2 * j + 1)
    ratio = x / mean
    logarithm = np.where(np.isfinite(ratio), np.log(ratio), np.log(x) - np.log(mean))
    return np.where(np.abs(v) < _NEAR, total, x * logarithm - difference)
