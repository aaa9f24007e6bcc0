"""Inputs of all families, on all domains that they stand on."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

from exact import ONE, ZERO, sigmoid

from .case import DISTRIBUTION, STRUCTURED, F, Numbers, coin, dot, normal, product, rare, registry, row

CASES, case = registry()

HALF = F(1, 2)


@case("var x : bool; circuit p { return bernoulli(x, [0.3]) }", DISTRIBUTION)
def bernoulli(x: int) -> Fraction:
    return F("0.3") if x else F("0.7")


@case(
    """
    var x : bool
    circuit p { return sum(bernoulli(x, [0, 1, 1/3, 2 * .25]), [[1, 2, 3, 4]]) }
    """,
    f"{STRUCTURED} nonnegative",
)
def bernoulli_of_certain_and_computed_probabilities(x: int) -> Fraction:
    return 2 + 3 * F(1, 3) + 4 * HALF if x else 1 + 3 * F(2, 3) + 4 * HALF


@case(
    """
    var x : bool
    var y : cat(3)
    var z : int(-1, 1)
    circuit p {
      a = categorical(x, [[0.25, 0.75], [0.9, 0.1]])
      b = categorical(y, [[0.2, 0.3, 0.5], [0, 1, 0]])
      c = categorical(z, [[1e-3, 0.5, 0.499], [1, 0, 0]])
      return sum(a * b * c, [[0.6, 0.4]])
    }
    """,
    DISTRIBUTION,
)
def categorical_on_bool_cat_and_int(x: int, y: int, z: int) -> Fraction:
    first = row("0.25", "0.75")[x] * row("0.2", "0.3", "0.5")[y] * row("0.001", "0.5", "0.499")[z + 1]
    second = row("0.9", "0.1")[x] * row(0, 1, 0)[y] * row(1, 0, 0)[z + 1]
    return F("0.6") * first + F("0.4") * second


@case(
    """
    var x : int(-2, 0)
    var y : bool
    circuit p {
      a = table(x, [[1, -2, 0.5], [0, 0, 3]])
      b = table(y, [[-1, 1], [2, 0]])
      return sum(a * b, [[1, 0.5]])
    }
    """,
    STRUCTURED,
)
def tables_of_any_numbers(x: int, y: int) -> Fraction:
    return row(1, -2, "0.5")[x + 2] * row(-1, 1)[y] + HALF * row(0, 0, 3)[x + 2] * row(2, 0)[y]


@case(
    """
    var x : real
    circuit p { return sum(gaussian(x, [0, 1.5], [1, 0.5]), [[0.25, 0.75]]) }
    """,
    DISTRIBUTION,
    points={"x": [F(k, 4) for k in (-40, -9, -1, 0, 1, 6, 7, 40)]},
)
def mixture_of_gaussians(x: Any) -> Fraction:
    return normal(x, 0, 1) / 4 + 3 * normal(x, "1.5", "0.5") / 4


@case(
    """
    var n : count
    circuit p { return sum(poisson(n, [0.5, 7]), [[0.5, 0.5]]) }
    """,
    DISTRIBUTION,
    points={"n": [0, 1, 2, 7, 60]},
)
def mixture_of_poissons(n: int) -> Fraction:
    return (rare(n, HALF) + rare(n, 7)) / 2


@case(
    """
    var n : count
    circuit p {
      none = [n = 0]
      return sum(concat(none, poisson(n, [2.5])), [[0.2, 0.8]])
    }
    """,
    DISTRIBUTION,
    points={"n": [0, 1, 2, 3, 10]},
)
def poisson_with_more_zeros(n: int) -> Fraction:
    return (F("0.2") if n == 0 else ZERO) + F("0.8") * rare(n, F(5, 2))


@case(
    """
    var h : real
    var n : count
    var b : bool
    circuit p {
      return sum(gaussian(h, [170, 182.5], [6, 7]) * poisson(n, [1, 2]) * bernoulli(b, [0.5, 0.25]), [[0.5, 0.5]])
    }
    """,
    DISTRIBUTION,
    points={"h": [F(150), F(341, 2), F(185)], "n": [0, 1, 5]},
)
def real_count_and_bool_together(h: Any, n: int, b: int) -> Fraction:
    one = normal(h, 170, 6) * rare(n, 1) * coin(b, HALF)
    other = normal(h, "182.5", 7) * rare(n, 2) * coin(b, F(1, 4))
    return (one + other) / 2


@case(
    """
    var k : int(0, 3)
    circuit p { return sum(concat(binomial(k, 3, [0.5, 0.1]), binomial(k, [0, 1])), [[1, 1, 1, 1]]) }
    """,
    f"{STRUCTURED} nonnegative",
)
def binomial_with_n_and_without(k: int) -> Fraction:
    chances = [comb(3, k) * p**k * (1 - p) ** (3 - k) for p in (HALF, F(1, 10))]
    return sum(chances) + (1 if k == 0 else 0) + (1 if k == 3 else 0)


@case(
    """
    var v : cat(4)
    circuit p { return sum(discretized_logistic(v, [1.2, -3, 30], [0.5, 2, 0.75]), [[0.5, 0.25, 0.25]]) }
    """,
    DISTRIBUTION,
)
def discretized_logistic_on_cat(v: int) -> Fraction:
    def bin_of(m: Fraction, s: Fraction) -> Fraction:
        upper = ONE if v == 3 else sigmoid((v + HALF - m) / s)
        return upper - (ZERO if v == 0 else sigmoid((v - HALF - m) / s))

    return bin_of(F("1.2"), HALF) / 2 + bin_of(F(-3), F(2)) / 4 + bin_of(F(30), F("0.75")) / 4


@case(
    """
    var v : int(-1, 1)
    var w : int(5, 5)
    circuit p { return discretized_logistic(v, [0.25], [1]) * discretized_logistic(w, [0], [1]) }
    """,
    DISTRIBUTION,
)
def discretized_logistic_on_int(v: int, w: int) -> Fraction:
    below, above = sigmoid(F("-0.75")), sigmoid(F("0.25"))
    return {-1: below, 0: above - below, 1: 1 - above}[v]


@case(
    """
    var a : bool
    var b : cat("low", "mid", "high")
    var c : int(-3, -1)
    var n : count
    circuit p { return [a = 1] * [b = "mid"] * [c = -2] * [n = 4] }
    """,
    DISTRIBUTION,
    points={"n": [0, 4, 5]},
    selective=True,
)
def indicators(a: int, b: int, c: int, n: int) -> Fraction:
    return ONE if (a, b, c, n) == (1, 1, -2, 4) else ZERO


@case(
    """
    var size : cat("s", "m", "l")
    var "shoe-size" : cat("10", "9", "8")
    circuit p {
      s = categorical(size, [[0.5, 0.25, 0.25]]) * ["shoe-size" = "9"]
      m = [size = "m"] * table("shoe-size", [[1, 2, 3]])
      return sum(concat(s, m), [[1, 1]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def values_with_names(size: int, shoe: int) -> Fraction:
    return (row("0.5", "0.25", "0.25")[size] if shoe == 1 else ZERO) + (shoe + 1 if size == 1 else ZERO)


@case(
    """
    var b : bool
    var c : cat(3)
    var k : int(0, 2)
    var r : real
    var n : count
    var d : cat(2)
    circuit p {
      f = bernoulli(b, width=2) * categorical(c, width=2) * binomial(k, width=2) * gaussian(r, width=2)
      g = poisson(n, width=2) * table(d, width=2)
      return sum(f, [[1, 1]]) * sum(g, [[1, 1]])[0]
    }
    """,
    STRUCTURED,
    points={"r": [F(-1), F(1, 2)], "n": [0, 2]},
    drawn=True,
)
def fresh_parameters_of_all_families(numbers: Numbers, b: int, c: int, k: int, r: Any, n: int, d: int) -> Fraction:
    first = ZERO
    for i in range(2):
        q = numbers["p.f#2"][i]
        chance = comb(2, k) * q**k * (1 - q) ** (2 - k)
        mean, deviation = numbers["p.f#3"][i], numbers["p.f#4"][i]
        first += coin(b, numbers["p.f"][i]) * numbers["p.f#1"][i][c] * chance * normal(r, mean, deviation)
    return first * sum((rare(n, numbers["p.g"][i]) * numbers["p.g#1"][i][d] for i in range(2)), ZERO)


@case(
    """
    var x[3] : cat(2)
    param shape[2, 2] : simplex = [[0.25, 0.75], [0.5, 0.5]]
    const mix[1, 2] = [[0.5, 0.5]]
    param chance[2] = [0.125, 1]
    var y : bool
    circuit p {
      return sum(categorical(x[0], shape) * categorical(x[1], shape) * table(x[2], shape) * bernoulli(y, chance), mix)
    }
    """,
    DISTRIBUTION,
)
def params_and_consts_shared_by_inputs(x0: int, x1: int, x2: int, y: int) -> Fraction:
    shape = [row("0.25", "0.75"), row("0.5", "0.5")]
    parts = [product([shape[i][x] for x in (x0, x1, x2)]) for i in range(2)]
    return dot([HALF, HALF], [parts[0] * coin(y, F(1, 8)), parts[1] * coin(y, ONE)])
