"""Information of densities: gaussians have closed forms, which are held against formulas and against quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import danaus as dn

Floats = NDArray[np.float64]
SPEC = dn.parse("""
var b : bool
var x : real
var n : count
circuit p {
  return sum(concat([b = 0] * gaussian(x, [-1], [0.5]), [b = 1] * gaussian(x, [2], [1.5])), [[0.6, 1.4]])
}
circuit q { return bernoulli(b, [0.5]) * gaussian(x, [0.5], [2]) }
circuit narrow { return bernoulli(b, [0.5]) * gaussian(x, [0.5], [0.1]) }
circuit m { return sum(gaussian(x, [0, 1], [1, 2]), [[0.5, 0.5]]) }
circuit c { return poisson(n, [2]) }
circuit d { return poisson(n, [3]) }
circuit spike { return sum(concat([n = 0], [n = 3]), [[1, 3]]) }
""")
X = np.linspace(-60, 60, 480_001)


def density(mean: float, deviation: float) -> Floats:
    return np.exp(-0.5 * ((X - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))


P = np.stack([0.3 * density(-1, 0.5), 0.7 * density(2, 1.5)])
Q = np.stack([0.5 * density(0.5, 2)] * 2)


def total(values: Floats) -> float:
    return float(values.sum() * (X[1] - X[0]))


def surprise(p: Floats, q: Floats) -> float:
    return -total(p * np.log(np.maximum(q, 1e-300)))


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda p, q: dn.entropy(p), surprise(P, P)),
        (lambda p, q: dn.cross_entropy(p, q), surprise(P, Q)),
        (lambda p, q: dn.kl(p, q), surprise(P, Q) - surprise(P, P)),
        (lambda p, q: dn.renyi(p, 2), -math.log(total(P * P))),
        (lambda p, q: dn.renyi(p, 0.5), 2 * math.log(total(np.sqrt(P)))),
        (lambda p, q: dn.alpha_divergence(p, q, 0.5), -2 * math.log(total(np.sqrt(P * Q)))),
        (lambda p, q: dn.alpha_divergence(p, q, 2), math.log(total(P**2 / Q))),
        (lambda p, q: dn.squared_loss(dn.scale(p, 0.5), q), total((P - Q) ** 2)),
        (lambda p, q: dn.cauchy_schwarz(p, q), 0.5 * math.log(total(P * P) * total(Q * Q)) - math.log(total(P * Q))),
        (lambda p, q: dn.expectation(p, q), total(P * Q)),
    ],
)
def test_mixtures_that_a_variable_decides(ask: Callable[..., float], wanted: float) -> None:
    assert ask(SPEC.circuits["p"], SPEC.circuits["q"]) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_a_gaussian() -> None:
    x = dn.Real("x")
    p, q = (dn.Circuit(dn.gaussian(x, [mean], [scale]), name="g") for mean, scale in ((1.0, 2.0), (-1.0, 3.0)))
    assert dn.entropy(p) == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 4), rel=1e-14)
    assert dn.kl(p, q) == pytest.approx(math.log(3 / 2) + (4 + 4) / 18 - 0.5, rel=1e-13)
    assert dn.renyi(p, 1.0001) == pytest.approx(
        0.5 * math.log(8 * math.pi) + 0.5 * math.log(1.0001) / 0.0001, rel=1e-13
    )


def test_what_has_no_closed_integral_names_its_factors() -> None:
    c, d = SPEC.circuits["c"], SPEC.circuits["d"]
    for ask, factors in (
        (lambda: dn.entropy(c), "poisson × log poisson"),
        (lambda: dn.kl(c, d), "poisson"),
        (lambda: dn.squared_loss(c, d), "poisson^2"),
    ):
        with pytest.raises(dn.DanausError, match="no-closed-integral") as refused:
            ask()
        assert factors in str(refused.value)


def test_an_integral_that_is_infinite_is_refused() -> None:
    with pytest.raises(dn.DanausError, match="diverges"):
        dn.alpha_divergence(SPEC.circuits["p"], SPEC.circuits["narrow"], 2)


def test_a_mixture_that_nothing_decides_has_no_entropy_but_a_square() -> None:
    m = SPEC.circuits["m"]
    with pytest.raises(dn.DanausError, match="not-deterministic"):
        dn.entropy(m)
    whole = 0.5 * density(0, 1) + 0.5 * density(1, 2)
    assert dn.renyi(m, 2) == pytest.approx(-math.log(total(whole**2)), rel=1e-9)


def test_points_among_counts() -> None:
    spike, c = SPEC.circuits["spike"], SPEC.circuits["c"]
    assert dn.entropy(spike) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75), rel=1e-13)
    masses = [math.exp(-2) * 2**n / math.factorial(n) for n in (0, 3)]
    assert dn.cross_entropy(spike, c) == pytest.approx(
        -0.25 * math.log(masses[0]) - 0.75 * math.log(masses[1]), rel=1e-13
    )
    assert dn.cross_entropy(c, spike) == math.inf
    assert dn.expectation(c, spike) == pytest.approx(masses[0] + 3 * masses[1], rel=1e-13)
