"""Loops of all kinds, names bound again, shared parameters, and how a text may be spelled."""

from __future__ import annotations

from fractions import Fraction

from exact import ONE, ZERO

from .case import DISTRIBUTION, STRUCTURED, F, coin, dot, each, product, registry, row, times

CASES, case = registry()


@case(
    """
    var x[4] : bool
    circuit p {
      a = bernoulli(x[0], [0.1, 0.9])
      for i in 1..4 {
        a = sum(a, [[0.5, 0.5], [0.25, 0.75]]) * bernoulli(x[i], [i/8, 1 - i/8])
      }
      return sum(a, [[0.5, 0.5]])
    }
    """,
    DISTRIBUTION,
)
def loop_up(x0: int, x1: int, x2: int, x3: int) -> Fraction:
    a = [coin(x0, "0.1"), coin(x0, "0.9")]
    for i, x in enumerate((x1, x2, x3), start=1):
        a = each(times([[F(1, 2), F(1, 2)], [F(1, 4), F(3, 4)]], a), [coin(x, F(i, 8)), coin(x, 1 - F(i, 8))])
    return sum(a) / 2


@case(
    """
    var x[4] : cat(2)
    param t[2, 2] : simplex = [[0.75, 0.25], [0.5, 0.5]]
    const e[2, 2] : simplex = [[0.125, 0.875], [1, 0]]
    circuit p {
      a = categorical(x[3], e)
      for i in reversed(0..3) { a = categorical(x[i], e) * sum(a, t) }
      return sum(a, [[0.5, 0.5]])
    }
    """,
    DISTRIBUTION,
)
def loop_down_with_shared_params(x0: int, x1: int, x2: int, x3: int) -> Fraction:
    total = ZERO
    states = [(a, b, c, d) for a in range(2) for b in range(2) for c in range(2) for d in range(2)]
    t, e = [row("0.75", "0.25"), row("0.5", "0.5")], [row("0.125", "0.875"), row(1, 0)]
    for z in states:
        emitted = product([e[state][x] for state, x in zip(z, (x0, x1, x2, x3), strict=True)])
        total += F(1, 2) * t[z[0]][z[1]] * t[z[1]][z[2]] * t[z[2]][z[3]] * emitted
    return total


@case(
    """
    var x[6] : bool
    circuit p {
      all = sum(product(concat(), [[]]), [[1]])
      for i in 0..2 {
        line = [x[3*i] = 1]
        for j in 1..3 { line = line * bernoulli(x[3*i + j], [(i + j) / 8]) }
        all = all * sum(concat(line), [[i + 1]])
      }
      return all
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def nested_loops(x0: int, x1: int, x2: int, x3: int, x4: int, x5: int) -> Fraction:
    first = x0 * coin(x1, F(1, 8)) * coin(x2, F(2, 8))
    return first * 2 * x3 * coin(x4, F(2, 8)) * coin(x5, F(3, 8))


@case(
    """
    var x : bool
    var y : bool
    circuit p {
      a = bernoulli(x, [0.5, 0.25])
      for i in 3..3 { a = a * a }
      b = a
      a = bernoulli(y, [0.1, 0.2])
      return sum(b * a, [[1, 1]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def empty_loop_and_names_bound_again(x: int, y: int) -> Fraction:
    return coin(x, "0.5") * coin(y, "0.1") + coin(x, "0.25") * coin(y, "0.2")


@case(
    """
    var lamp[3] : bool
    circuit p {
      none = [lamp[0] = 0]
      some = [lamp[0] = 1]
      for i in 1..3 {
        some = sum(concat(some * [lamp[i] = 0], none * [lamp[i] = 1]), [[1, 1]])
        none = none * [lamp[i] = 0]
      }
      return some
    }
    """,
    f"{STRUCTURED} nonnegative",
    selective=True,
)
def exactly_one(x0: int, x1: int, x2: int) -> Fraction:
    return ONE if x0 + x1 + x2 == 1 else ZERO


@case(
    '# a comment\r\nvar "X-1" : bool ; var "the end" : bool # more\r\n\r\n'
    'circuit "my circuit" { a = bernoulli("X-1", [+.5, 1e-1]);; b = bernoulli("the end", [\r\n 1/4,\r\n -(-1)/4 ]) \r\n'
    "return sum(a * b, [[2*(1 + 1), 4/2 - 1]]) }\r\n",
    f"{STRUCTURED} nonnegative",
    circuit="my circuit",
)
def quotes_semicolons_and_carriage_returns(x: int, y: int) -> Fraction:
    return 4 * coin(x, "0.5") * coin(y, "0.25") + coin(x, "0.1") * coin(y, "0.25")


@case(
    """
    var b[2] : bool
    var c : cat(3)
    circuit p {
      b0 = bernoulli(b[0], [0.5])
      w = product(concat(b0, bernoulli(b[1], [0.25]), [c = 2], table(c, [[1, 2, 3]])), [[0, 1, 2], [3, 1, 0]])
      for i in 0..2 { w = sum(w, [[1, 1/(i + 1)], [0, 1]]) }
      return w[0]
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def weights_from_loop_variables(b0: int, b1: int, c: int) -> Fraction:
    both = coin(b0, "0.5") * coin(b1, "0.25")
    w = [both * (c == 2), both * (c + 1)]
    for i in range(2):
        w = [dot([1, F(1, i + 1)], w), w[1]]
    return w[0]


@case(
    """
    var x : bool
    var y : bool
    var z : bool
    circuit p {
      shared = bernoulli(x, [0.5, 0.25])
      left = shared * bernoulli(y, [0.125])
      right = shared * bernoulli(y, [0.75, 1])
      return sum(concat(left * bernoulli(z, [0.5]), right * [z = 0]), [[0.25, 0.25, 0.25, 0.25]])
    }
    """,
    DISTRIBUTION,
)
def shared_blocks(x: int, y: int, z: int) -> Fraction:
    shared = [coin(x, "0.5"), coin(x, "0.25")]
    left = [s * coin(y, "0.125") * coin(z, "0.5") for s in shared]
    right = [s * coin(y, p) * (1 - z) for s, p in zip(shared, ("0.75", 1), strict=True)]
    return sum(left + right) / 4
