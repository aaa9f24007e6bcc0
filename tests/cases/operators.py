"""Circuits made of circuits by operators, and circuits of other files."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from exact import ONE

from .case import DISTRIBUTION, STRUCTURED, F, Numbers, coin, normal, rare, registry, row

CASES, case = registry()

RAIN = """
    var rain : bool
    var sprinkler : bool
    var wet : cat("dry", "damp", "soaked")
    circuit lawn {
      r = bernoulli(rain, [0.2, 0.9])
      s = bernoulli(sprinkler, [0.4, 0.01])
      w = categorical(wet, [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
      return sum(r * s * w, [[0.3, 0.7]])
    }
"""


def lawn(rain: int, sprinkler: int, wet: int) -> Fraction:
    """The circuit of RAIN."""
    first = coin(rain, "0.2") * coin(sprinkler, "0.4") * row("0.8", "0.1", "0.1")[wet]
    second = coin(rain, "0.9") * coin(sprinkler, "0.01") * row("0.1", "0.2", "0.7")[wet]
    return F("0.3") * first + F("0.7") * second


@case(RAIN + "circuit p = integrate(lawn)", DISTRIBUTION)
def integrate_over_all() -> Fraction:
    return ONE


@case(RAIN + "circuit p = integrate(lawn, [wet, rain])", DISTRIBUTION)
def integrate_over_some(sprinkler: int) -> Fraction:
    return sum(lawn(rain, sprinkler, wet) for rain in range(2) for wet in range(3))


@case(RAIN + 'circuit p = restrict(lawn, wet = "soaked", rain = 0)', f"{STRUCTURED} nonnegative")
def restrict(sprinkler: int) -> Fraction:
    return lawn(0, sprinkler, 2)


@case(RAIN + "circuit p = evidence(lawn, wet = [1, -0.5, 1/3], rain = [0, 2])", STRUCTURED + " nonnegative")
def evidence(sprinkler: int) -> Fraction:
    return 2 * sum(w * lawn(1, sprinkler, wet) for wet, w in enumerate((ONE, F(-1, 2), F(1, 3))))


@case(
    RAIN
    + """
    circuit other { return bernoulli(rain, [0.5]) * [sprinkler = 1] * table(wet, [[1, 0, 2]]) }
    circuit p = add(lawn, scale(other, -1/4))
    """,
    STRUCTURED,
)
def add_and_scale(rain: int, sprinkler: int, wet: int) -> Fraction:
    return lawn(rain, sprinkler, wet) - F(1, 8) * sprinkler * (1, 0, 2)[wet]


@case(
    """
    var x : bool
    var y : bool
    var z : bool
    circuit q { return sum(bernoulli(x, [0.25, 0.5]) * bernoulli(y, [0.125, 1]), [[0.5, 0.5]]) }
    circuit swapped = rename(q, x = y, y = x)
    circuit moved = rename(q, x = z)
    circuit p { return swapped * [z = 1] }
    """,
    DISTRIBUTION,
)
def rename_swaps(x: int, y: int, z: int) -> Fraction:
    return z * (coin(y, "0.25") * coin(x, "0.125") + coin(y, "0.5") * coin(x, 1)) / 2


@case(
    """
    var x : cat(3)
    var y : bool
    var z : bool
    circuit q {
      a = concat(table(x, [[1, 2, 3]]), bernoulli(y, [0.25]), bernoulli(z, [0.5]) * [y = 1])
      return sum(a, [[1, 2, -1]])
    }
    circuit p = smooth(q)
    """,
    STRUCTURED + " nonnegative",
)
def smooth(x: int, y: int, z: int) -> Fraction:
    return x + 1 + 2 * coin(y, "0.25") - F(1, 2) * y


@case(
    """
    var x : real
    var n : count
    circuit q { return gaussian(x, [1.5], [2]) * poisson(n, [3]) }
    circuit p = add(integrate(q, [n]), restrict(q, n = 1))
    """,
    f"{STRUCTURED} nonnegative",
    points={"x": [F(-3), F(0), F(3, 2)]},
)
def integrals_and_restrictions_of_infinite_domains(x: Any) -> Fraction:
    return normal(x, "1.5", 2) * (1 + rare(1, 3))


@case(
    """
    var x[3] : cat(2)
    circuit h = hmm(x, states=2)
    circuit p = integrate(restrict(h, x[1] = 1), [x[0]])
    """,
    f"{STRUCTURED} nonnegative",
    drawn=True,
)
def operators_on_a_template(numbers: Numbers, x2: int) -> Fraction:
    initial, step, emission = numbers["h.initial"][0], numbers["h.transition"], numbers["h.emission"]
    return sum(
        initial[a] * sum(emission[a]) * step[a][b] * emission[b][1] * step[b][c] * emission[c][x2]
        for a in range(2)
        for b in range(2)
        for c in range(2)
    )


@case(
    """
    import "first.circuit" as one
    import "second.circuit" as two
    var z : bool
    circuit p { return one * two.q * bernoulli(z, [0.5]) }
    """,
    "smooth decomposable structured nonnegative",
    files={
        "first.circuit": "var x : bool; param t[1] = [0.25]; circuit only { return bernoulli(x, t) }",
        "second.circuit": "var y : cat(2); circuit q { return table(y, [[3, 1]]) }; circuit r { return [y = 0] }",
    },
)
def circuits_of_other_files(x: int, y: int, z: int) -> Fraction:
    return coin(x, "0.25") * row(3, 1)[y] / 2
