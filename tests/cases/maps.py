"""Sums by all linear maps: with values by name, and fresh."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from .case import DISTRIBUTION, STRUCTURED, F, Numbers, coin, dot, each, every, registry, times

CASES, case = registry()

QUARTERS = [F(k, 4) for k in (1, 2, 3, 4)]
EIGHTHS = [F(k, 8) for k in range(1, 9)]


def four(x: int) -> list[Fraction]:
    """bernoulli(x, [0.25, 0.5, 0.75, 1])."""
    return [coin(x, p) for p in QUARTERS]


def eight(x: int) -> list[Fraction]:
    """bernoulli(x, [1/8, …, 1])."""
    return [coin(x, p) for p in EIGHTHS]


@case(
    """
    var x : bool
    param w[3, 4] = [[1, 2, 3, 4], [0, -1, 0, 1], [0.5, 0.5, 0, 0]]
    circuit p { return sum(sum(bernoulli(x, [0.25, 0.5, 0.75, 1]), w, map=dense), [[1, 1, 1]]) }
    """,
    f"{STRUCTURED} nonnegative",
)
def dense(x: int) -> Fraction:
    return sum(times([[1, 2, 3, 4], [0, -1, 0, 1], [F(1, 2), F(1, 2), 0, 0]], four(x)))


@case(
    """
    var x : bool
    const d[4] : positive = [1, 2, 3, 1/3]
    circuit p { return sum(sum(bernoulli(x, [0.25, 0.5, 0.75, 1]), d, map=diagonal), [[1, 1, -1, 0]]) }
    """,
    STRUCTURED,
)
def diagonal(x: int) -> Fraction:
    a = four(x)
    return a[0] + 2 * a[1] - 3 * a[2]


@case(
    """
    var x : bool
    const b[2, 3, 2] = [[[1, 2], [0, 3], [1, 1]], [[4, 0], [0, 0], [5, -6]]]
    circuit p {
      return sum(sum(bernoulli(x, [0.25, 0.5, 0.75, 1]), b, map=block_diagonal(2)), [[1, 2, 3, 4, 5, 6]])
    }
    """,
    "decomposable nonnegative",
)
def block_diagonal(x: int) -> Fraction:
    a = four(x)
    out = times([[1, 2], [0, 3], [1, 1]], a[:2]) + times([[4, 0], [0, 0], [5, -6]], a[2:])
    return dot(range(1, 7), out)


def monarch_of_two(left: Sequence, right: Sequence, b1: int, b2: int, a: Sequence[Fraction]) -> list[Fraction]:
    """Node (i, j) is Σ L[j, i, i′] · R[i′, j, j′] · a(i′, j′), index i · b2 + j."""
    return [
        sum(Fraction(left[j][i][k]) * Fraction(right[k][j][m]) * a[k * b2 + m] for k in range(b1) for m in range(b2))
        for i in range(b1)
        for j in range(b2)
    ]


@case(
    """
    var x : bool
    const l[2, 2, 2] = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    param r[2, 2, 2] = [[[1, 0.5], [0.25, 0]], [[2, 3], [-1, 1]]]
    circuit p { return sum(sum(bernoulli(x, [0.25, 0.5, 0.75, 1]), l, r, map=monarch(2, 2)), [[1, 10, 100, 1000]]) }
    """,
    STRUCTURED,
)
def monarch(x: int) -> Fraction:
    left = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    right = [[[1, F(1, 2)], [F(1, 4), 0]], [[2, 3], [-1, 1]]]
    return dot([1, 10, 100, 1000], monarch_of_two(left, right, 2, 2, four(x)))


@case(
    """
    var x : bool
    var y : cat(3)
    const l[3, 2, 2] = [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 1], [0, 2]]]
    const r[2, 3, 3] = [[[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0, 0], [0, 1, 0], [2, 0, 1]]]
    circuit p {
      a = kron(bernoulli(x, [0.25, 0.5]), table(y, [[1, 2, 3], [4, 5, 6], [7, 8, 10]]))
      return sum(sum(a, l, r, width=6, map=monarch(2, 3)), [[1, 2, 3, 4, 5, 6]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def monarch_of_unequal_sizes(x: int, y: int) -> Fraction:
    left = [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 1], [0, 2]]]
    right = [[[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0, 0], [0, 1, 0], [2, 0, 1]]]
    a = every([coin(x, "0.25"), coin(x, "0.5")], [[F(1), F(4), F(7)], [F(2), F(5), F(8)], [F(3), F(6), F(10)]][y])
    return dot(range(1, 7), monarch_of_two(left, right, 2, 3, a))


@case(
    """
    var x : bool
    circuit p {
      a = bernoulli(x, [1/8, 2/8, 3/8, 4/8, 5/8, 6/8, 7/8, 1])
      return sum(sum(a, width=8, map=monarch(2, 2, 2)), [[1, 2, 3, 4, 5, 6, 7, 8]])
    }
    """,
    f"{STRUCTURED} nonnegative",
    drawn=True,
)
def monarch_of_three(numbers: Numbers, x: int) -> Fraction:
    first, second, third = numbers["p.return"], numbers["p.return#1"], numbers["p.return#2"]
    a = eight(x)

    def bits(k: int) -> tuple[int, int, int]:
        return k // 4, k // 2 % 2, k % 2

    # The last part is applied first, on the last digit; its blocks are numbered by the old digits before it.
    one = {}
    for i, j, k in map(bits, range(8)):
        one[i, j, k] = sum(third[2 * i + j][k][old] * a[4 * i + 2 * j + old] for old in range(2))
    # The second on the middle digit; its blocks by the new last digit, then the old first one.
    two = {}
    for i, j, k in map(bits, range(8)):
        two[i, j, k] = sum(second[2 * k + i][j][old] * one[i, old, k] for old in range(2))
    # The first on the first digit; its blocks by the new digits 2 and 3.
    out = [sum(first[2 * j + k][i][old] * two[old, j, k] for old in range(2)) for i, j, k in map(bits, range(8))]
    return dot(range(1, 9), out)


@case(
    """
    var x : bool
    var y : bool
    const a[2, 2] = [[1, 2], [3, 4]]
    const b[1, 2] = [[5, -6]]
    const c[3, 1] = [[1], [0], [2]]
    circuit p {
      k = kron(bernoulli(x, [0.25, 0.5]), bernoulli(y, [0.75, 1]))
      return sum(sum(k, a, b, c, map=kron), [[1, 2, 3, 4, 5, 6]])
    }
    """,
    "decomposable",
)
def kron_of_three_matrices(x: int, y: int) -> Fraction:
    u = times([[1, 2], [3, 4]], [coin(x, "0.25"), coin(x, "0.5")])
    v = times([[5, -6]], [coin(y, "0.75"), coin(y, 1)])
    return dot(range(1, 7), every(u, v, [F(1), F(0), F(2)]))


@case(
    """
    var x : bool
    index to[4] = [2, 0, 2, 1]
    const s[4] = [1, -2, 3, 0]
    circuit p {
      a = bernoulli(x, [0.25, 0.5, 0.75, 1])
      b = sum(a, s, width=4, map=sparse(to, [0, 1, 3, 2]))
      c = sum(a, s, map=sparse([1, 0, 0, 0], [0, 1, 2, 3]))
      return sum(concat(b, c), [[1, 10, 100, 1000, 1, 1]])
    }
    """,
    "decomposable nonnegative",
)
def sparse(x: int) -> Fraction:
    a = four(x)
    b = [-2 * a[1], F(0), a[0] + 3 * a[3], F(0)]
    c = [-2 * a[1] + 3 * a[2], a[0]]
    return dot([1, 10, 100, 1000, 1, 1], b + c)


@case(
    """
    var x : bool
    index turn[4] = [2, 0, 3, 1]
    circuit p {
      a = sum(bernoulli(x, [0.25, 0.5, 0.75, 1]), map=permute(turn))
      return sum(sum(a, width=4, map=permute([1, 2, 3, 0])), [[1, 2, 3, 4]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def permute(x: int) -> Fraction:
    a = four(x)
    turned = [a[2], a[0], a[3], a[1]]
    return dot([1, 2, 3, 4], [turned[1], turned[2], turned[3], turned[0]])


@case(
    """
    var x : bool
    const d[4] = [1, 2, 3, 4]
    const b[2, 2, 2] = [[[1, 1], [0, 1]], [[2, 0], [0, -2]]]
    const m[1, 4] = [[1, 1, 1, 1]]
    circuit p {
      return sum(bernoulli(x, [0.25, 0.5, 0.75, 1]), m, d, b,
                 map=compose(dense, diagonal, permute([3, 2, 1, 0]), block_diagonal(2)))
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def compose_of_four(x: int) -> Fraction:
    a = four(x)
    blocks = [a[0] + a[1], a[1], 2 * a[2], -2 * a[3]]
    return dot([1, 2, 3, 4], blocks[::-1])


@case(
    """
    var x : bool
    const d[4] = [1, 2, 3, 4]
    const u[2, 2] = [[1, 2], [0, 1]]
    const v[2, 2] = [[1, 0], [1, 1]]
    const e[4] = [4, 3, 2, 1]
    circuit p {
      return sum(sum(bernoulli(x, [0.25, 0.5, 0.75, 1]), d, u, v, e, map=compose(diagonal, kron, diagonal)),
                 [[1, 1, 1, 1]])
    }
    """,
    f"{STRUCTURED} nonnegative",
)
def kron_of_what_a_compose_leaves(x: int) -> Fraction:
    a = each(row_of(4, 3, 2, 1), four(x))
    u, v = [[1, 2], [0, 1]], [[1, 0], [1, 1]]
    kron = [[F(u[i][k] * v[j][m]) for k in range(2) for m in range(2)] for i in range(2) for j in range(2)]
    return dot([1, 2, 3, 4], times(kron, a))


def row_of(*numbers: int) -> list[Fraction]:
    """Whole numbers."""
    return [F(number) for number in numbers]


@case(
    """
    var x : bool
    var y : bool
    const one[1, 2] = [[1, -1]]
    const two[2, 4] = [[1, 2, 0, 1], [1, 2, 1, 0]]
    circuit p {
      a = bernoulli(x, [0.25, 0.5])
      b = bernoulli(y, [0.75, 1])
      return sum(concat(a * b, a), one, two, map=compose(dense, dense))
    }
    """,
    "decomposable smooth structured",
)
def compose_whose_terms_cancel(x: int) -> Fraction:
    return coin(x, "0.5") - coin(x, "0.25")


@case(
    """
    var x : bool
    circuit p {
      a = bernoulli(x, [0.25, 0.5, 0.75, 1])
      b = sum(a, width=4, map=diagonal)
      c = sum(b, width=2, map=block_diagonal(2))
      d = sum(concat(c, c), width=4, map=compose(block_diagonal(2), permute([0, 2, 1, 3]), diagonal))
      e = sum(d, width=3, map=sparse([0, 2, 2], [1, 0, 3]))
      return sum(e, width=1)
    }
    """,
    "decomposable nonnegative",
    drawn=True,
)
def fresh_maps(numbers: Numbers, x: int) -> Fraction:
    b = each(numbers["p.b"], four(x))
    c = [dot(numbers["p.c"][k][0], b[2 * k : 2 * k + 2]) for k in range(2)]
    scaled = each(numbers["p.d#1"], c + c)
    turned = [scaled[0], scaled[2], scaled[1], scaled[3]]
    d = [dot(numbers["p.d"][k][i], turned[2 * k : 2 * k + 2]) for k in range(2) for i in range(2)]
    s = numbers["p.e"]
    e = [s[0] * d[1], F(0), s[1] * d[0] + s[2] * d[3]]
    return dot(numbers["p.return"][0], e)


@case(
    """
    var x[2] : cat(2)
    param t[2, 2] = [[0.5, 0.5], [0.25, 0.75]]
    circuit p {
      e = categorical(x[0], [[0.5, 0.5], [0.125, 0.875]])
      f = categorical(x[1], [[0.25, 0.75], [1, 0]])
      return sum(sum(e, t) * sum(f, t), [[0.5, 0.5]])
    }
    """,
    DISTRIBUTION,
)
def one_matrix_twice(x0: int, x1: int) -> Fraction:
    t = [[F(1, 2), F(1, 2)], [F(1, 4), F(3, 4)]]
    e, f = [F(1, 2), [F(1, 8), F(7, 8)][x0]], [[F(1, 4), F(3, 4)][x1], F(1 - x1)]
    return sum(each(times(t, e), times(t, f))) / 2
