"""Products, sums, picked nodes: all block forms, with repeated, ragged and empty rows, negative and zero weights."""

from __future__ import annotations

from fractions import Fraction

from exact import ONE, ZERO

from .case import DISTRIBUTION, STRUCTURED, F, coin, dot, each, every, registry, row, times

CASES, case = registry()


@case(
    """
    var x : bool
    var y : bool
    var z : bool
    circuit p {
      a = bernoulli(x, [0.1, 0.2, 0.3])
      b = bernoulli(y, [0.5])
      c = bernoulli(z, [0.6, 0.7, 0.8])
      return sum(a * b * c, [[0.5, 0.25, 0.25]])
    }
    """,
    DISTRIBUTION,
)
def product_of_three_with_one_broadcast(x: int, y: int, z: int) -> Fraction:
    terms = [coin(x, p) * coin(y, "0.5") * coin(z, q) for p, q in (("0.1", "0.6"), ("0.2", "0.7"), ("0.3", "0.8"))]
    return dot(row("0.5", "0.25", "0.25"), terms)


@case(
    """
    var x[4] : bool
    circuit p {
      a = bernoulli(x[0], [0.1, 0.2]) * (bernoulli(x[1], [0.3]) * (bernoulli(x[2], [0.4, 0.5])
            * bernoulli(x[3], [0.6])))
      return sum((a), [[1, -1]])
    }
    """,
    STRUCTURED,
)
def nested_products(x0: int, x1: int, x2: int, x3: int) -> Fraction:
    both = coin(x1, "0.3") * coin(x3, "0.6")
    return both * (coin(x0, "0.1") * coin(x2, "0.4") - coin(x0, "0.2") * coin(x2, "0.5"))


@case(
    """
    var x : cat(2)
    var y : cat(3)
    var z : bool
    circuit p {
      a = table(x, [[1, 2], [3, 4]])
      b = table(y, [[1, 0, -1], [2, 1, 5], [0, 0, 7]])
      c = bernoulli(z, [0.25, 0.5])
      return sum(kron(a, b, c), [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def kron_of_three(x: int, y: int, z: int) -> Fraction:
    a, b = [row(1, 2)[x], row(3, 4)[x]], [row(1, 0, -1)[y], row(2, 1, 5)[y], row(0, 0, 7)[y]]
    c = [coin(z, "0.25"), coin(z, "0.5")]
    return dot(range(1, 13), every(a, b, c))


@case(
    """
    var x : bool
    var y : cat(3)
    circuit p {
      a = concat(bernoulli(x, [0.25, 0.5]), table(y, [[1, 2, 3], [4, 5, 6]]))
      return sum(product(a, [[0, 2], [3], [], [1, 0, 0], [2, 3, 1]]), [[1, 10, 100, 1000, -1]])
    }
    """,
    "nonnegative",
)
def product_of_ragged_rows(x: int, y: int) -> Fraction:
    first, second = coin(x, "0.25"), coin(x, "0.5")
    third, fourth = F(y + 1), F(y + 4)
    return first * third + 10 * fourth + 100 + 1000 * second * first * first - third * fourth * second


@case(
    """
    var x : bool
    var y : bool
    index rows[3, 2] = [[0, 2], [3, -1], [1, 3]]
    circuit p {
      a = concat(bernoulli(x, [0.25, 0.5]), bernoulli(y, [0.75, 0.125]))
      return sum(product(a, rows), [[1, 0, 2]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def product_by_a_padded_index(x: int, y: int) -> Fraction:
    return coin(x, "0.25") * coin(y, "0.75") + 2 * coin(x, "0.5") * coin(y, "0.125")


@case(
    """
    var x : bool
    circuit p {
      a = bernoulli(x, [0.25])
      return a * a * bernoulli(x, [0.5])
    }
    """,
    "smooth nonnegative",
)
def product_that_is_not_decomposable(x: int) -> Fraction:
    return coin(x, "0.25") ** 2 * coin(x, "0.5")


@case(
    """
    var x : bool
    var y : cat(2)
    circuit p {
      a = concat(bernoulli(x, [0.1, 0.2]), [x = 1], table(x, [[3, 4]]))
      b = concat(table(y, [[1, 2], [3, 5]]), [y = 0])
      index_free = gather(a, [3, 0, 3])
      middle = a[1..3]
      return sum(index_free * b, [[1, 1, 1]]) * sum(concat(a[2], (middle)[0], gather(b, [1])), [[0, 0, 1]])[0]
    }
    """,
    "smooth nonnegative",
)
def slices_gather_and_concat(x: int, y: int) -> Fraction:
    a = [coin(x, "0.1"), coin(x, "0.2"), F(x), row(3, 4)[x]]
    b = [row(1, 2)[y], row(3, 5)[y], F(1 - y)]
    return dot([1, 1, 1], each([a[3], a[0], a[3]], b)) * b[1]


@case(
    """
    var x : cat(3)
    index chosen[4] = [2, 0, 0, 1]
    circuit p {
      a = gather(categorical(x, [[0.5, 0.25, 0.25], [0, 0, 1], [0.1, 0.2, 0.7]]), chosen)
      return sum(a, [[0.25, 0.25, 0.25, 0.25]])
    }
    """,
    DISTRIBUTION,
)
def gather_by_an_index_with_repeats(x: int) -> Fraction:
    a = [row("0.5", "0.25", "0.25")[x], row(0, 0, 1)[x], row("0.1", "0.2", "0.7")[x]]
    return (a[2] + 2 * a[0] + a[1]) / 4


@case(
    """
    var x : bool
    var y : bool
    circuit p {
      a = bernoulli(x, [0.2, 0.6, 0.9]) * bernoulli(y, [0.5, 0.25, 0.125])
      b = sum(a, [[1, -1, 0], [0.5, 2, -0.25]])
      return sum(b, [[-2, 1/3]])
    }
    """,
    STRUCTURED,
)
def sums_of_negative_and_zero_weights(x: int, y: int) -> Fraction:
    pairs = (("0.2", "0.5"), ("0.6", "0.25"), ("0.9", "0.125"))
    a = [coin(x, p) * coin(y, q) for p, q in pairs]
    return dot([F(-2), F(1, 3)], times([[1, -1, 0], [F(1, 2), 2, F(-1, 4)]], a))


@case(
    """
    var x : bool
    var y : bool
    circuit p {
      a = concat(bernoulli(x, [0.5]), bernoulli(y, [0.25]))
      return sum(a, [[1, 3]])
    }
    """,
    "decomposable nonnegative",
)
def sum_that_is_not_smooth(x: int, y: int) -> Fraction:
    return coin(x, "0.5") + 3 * coin(y, "0.25")


@case(
    """
    var x : bool
    var y : bool
    circuit p {
      a = concat(bernoulli(x, [0.5]), bernoulli(y, [0.25]))
      return sum(a, [[2, 0]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def zero_weight_drops_a_variable(x: int) -> Fraction:
    return 2 * coin(x, "0.5")


@case(
    """
    var x : bool
    circuit p {
      a = bernoulli(x, [0.5, 0.25])
      none = sum(a, [[0, 0]])
      return sum(concat(none, sum(product(a, [[]]), [[2.5]])), [[1, 2]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def numbers_alone() -> Fraction:
    return F(5)


@case(
    """
    var x : bool
    circuit p { return sum(bernoulli(x, [0.5, 0.5]), [[1, -1]]) }
    """,
    f"{STRUCTURED} nonnegative",
)
def terms_that_cancel_at_every_value(x: int) -> Fraction:
    return ZERO


@case(
    """
    var x : bool
    var y : cat(2)
    circuit inner { return sum(bernoulli(x, [0.25, 0.75]), [[0.5, 0.5]]) }
    circuit other { return table(y, [[1, 3]]) }
    circuit p { return sum(concat(inner * other, inner * [y = 1]), [[1, 2]]) }
    """,
    f"{STRUCTURED} nonnegative",
)
def circuits_inside_circuits(x: int, y: int) -> Fraction:
    return F(1, 2) * row(1, 3)[y] + 2 * F(1, 2) * y


@case(
    """
    var x : bool
    var y : bool
    param w[2, 4] = [[1, 2, 3, 4], [0, 0, 0, 1]]
    const v[1, 2] = [[1e1, -5E-1]]
    circuit p {
      return sum(sum(concat(bernoulli(x, [0.5]) * bernoulli(y, [0.5]), [x = 0] * [y = 1],
                            kron(bernoulli(x, [0.25, 0.75]), [y = 1])), w), v)
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def sums_by_name(x: int, y: int) -> Fraction:
    a = [F(1, 4), ONE * (x == 0 and y == 1), coin(x, "0.25") * y, coin(x, "0.75") * y]
    return 10 * dot([1, 2, 3, 4], a) - a[3] / 2


@case(
    """
    var x[3] : bool
    circuit p {
      a = bernoulli(x[0], [0.5]) * bernoulli(x[1], [0.25]) * [x[2] = 1]
      b = bernoulli(x[0], [0.1]) * (bernoulli(x[1], [0.2]) * bernoulli(x[2], [0.3]))
      c = (bernoulli(x[0], [0.4]) * bernoulli(x[1], [0.6])) * bernoulli(x[2], [0.7])
      return sum(concat(a, b, c), [[0.5, 0.25, 0.25]])
    }
    """,
    "smooth decomposable normalized nonnegative",
)
def two_groupings_of_three_variables(x0: int, x1: int, x2: int) -> Fraction:
    a = coin(x0, "0.5") * coin(x1, "0.25") * x2
    b = coin(x0, "0.1") * coin(x1, "0.2") * coin(x2, "0.3")
    c = coin(x0, "0.4") * coin(x1, "0.6") * coin(x2, "0.7")
    return a / 2 + b / 4 + c / 4


@case(
    """
    var x : bool
    var y : bool
    circuit p {
      both = [x = 1] * [y = 1]
      neither = [x = 0] * [y = 0]
      return sum(concat(both, neither, [x = 1] * [y = 0]), [[0.5, 0.3, 0.2]])
    }
    """,
    DISTRIBUTION,
    selective=True,
)
def decisions(x: int, y: int) -> Fraction:
    return {(1, 1): F(1, 2), (0, 0): F(3, 10), (1, 0): F(1, 5), (0, 1): ZERO}[x, y]
