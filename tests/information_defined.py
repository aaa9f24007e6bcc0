"""The queries of information theory by their definitions, on tables of all values: nothing of the code under test."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def normal(p: Floats) -> Floats:
    return p / math.fsum(p.ravel())


def total(values: Floats) -> float:
    return math.fsum(np.asarray(values).ravel())


def entropy(p: Floats) -> float:
    p = normal(p)
    return -total(p[p > 0] * np.log(p[p > 0]))


def cross_entropy(p: Floats, q: Floats) -> float:
    p, q = normal(p), normal(q)
    on = p > 0
    return math.inf if (q[on] == 0).any() else -total(p[on] * np.log(q[on]))


def kl(p: Floats, q: Floats) -> float:
    p, q = normal(p), normal(q)
    on = p > 0
    return math.inf if (q[on] == 0).any() else total(p[on] * np.log(p[on] / q[on]))


def renyi(p: Floats, alpha: float) -> float:
    p = normal(p)[p > 0]
    if alpha == 1:
        return entropy(p)
    # Σ p (p^(α − 1) − 1), which loses nothing near 1
    return math.log1p(total(p * np.expm1((alpha - 1) * np.log(p)))) / (1 - alpha)


def alpha_divergence(p: Floats, q: Floats, alpha: float) -> float:
    p, q = normal(p), normal(q)
    if alpha >= 1 and (q[p > 0] == 0).any():
        return math.inf
    if alpha == 1:
        return kl(p, q)
    on = (p > 0) & (q > 0)
    if not on.any():
        return math.inf
    rest = math.fsum([*p[on], -1.0]) if (q[p > 0] == 0).any() else 0.0
    return math.log1p(total(p[on] * np.expm1((alpha - 1) * np.log(p[on] / q[on]))) + rest) / (alpha - 1)


def itakura_saito(p: Floats, q: Floats) -> float:
    assert not ((p > 0) & (q == 0)).any()
    if ((p == 0) & (q > 0)).any():
        return math.inf
    on = q > 0
    return total(p[on] / q[on] - np.log(p[on] / q[on]) - 1)


def cauchy_schwarz(p: Floats, q: Floats) -> float:
    both = total(p * q)
    return math.inf if not both else -math.log(both / math.sqrt(total(p * p) * total(q * q)))


def squared_loss(p: Floats, q: Floats) -> float:
    return total((p - q) ** 2)


def expectation(p: Floats, f: Floats) -> float:
    return total(p * f) / total(p)


def mutual_information(p: Floats, x: list[int], y: list[int]) -> float:
    def onto(kept: list[int]) -> Floats:
        return np.sum(p, axis=tuple(axis for axis in range(p.ndim) if axis not in kept))

    return entropy(onto(x)) + entropy(onto(y)) - entropy(onto([*x, *y]))
