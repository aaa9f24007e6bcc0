"""All templates, small, with the numbers that the seed drew or the data gave."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from exact import ONE, ZERO, logarithm

from .case import DISTRIBUTION, F, Numbers, Row, coin, dot, each, every, normal, product, rare, registry, times
from .maps import monarch_of_two

CASES, case = registry()
ORDERS = ((1, 2, 0), (0, 1, 2))


def chain(
    initial: Sequence[Fraction], transition: Sequence[Sequence[Fraction]], emitted: Sequence[Sequence[Fraction]]
) -> Fraction:
    """Σ over all paths of states of their probability times what they emit; `emitted` is by step and state."""
    total = ZERO
    for path in itertools.product(range(len(initial)), repeat=len(emitted)):
        chance = initial[path[0]] * product([transition[a][b] for a, b in itertools.pairwise(path)])
        total += chance * product([emitted[step][state] for step, state in enumerate(path)])
    return total


@case("var x[3] : bool; circuit p = hmm(x, states=2)", DISTRIBUTION, drawn=True)
def hmm_of_booleans(numbers: Numbers, *xs: int) -> Fraction:
    emitted = [[coin(x, p) for p in numbers["p.emission"]] for x in xs]
    return chain(numbers["p.initial"][0], numbers["p.transition"], emitted)


@case(
    """
    var x[2] : cat(3)
    circuit p = hmm(x, states=4, transition=monarch(2, 2), emission=categorical)
    """,
    DISTRIBUTION,
    drawn=True,
)
def hmm_with_a_monarch_transition(numbers: Numbers, *xs: int) -> Fraction:
    left, right = numbers["p.transition"], numbers["p.transition#1"]
    columns = [monarch_of_two(left, right, 2, 2, [ONE * (i == j) for i in range(4)]) for j in range(4)]
    transition = [[columns[j][i] for j in range(4)] for i in range(4)]
    emitted = [[numbers["p.emission"][state][x] for state in range(4)] for x in xs]
    return chain(numbers["p.initial"][0], transition, emitted)


@case("var x[2] : real; circuit p = hmm(x, states=2)", DISTRIBUTION, points={"x": [F(-1), F(1, 3)]}, drawn=True)
def hmm_of_reals(numbers: Numbers, *xs: Any) -> Fraction:
    shapes = list(zip(numbers["p.emission"], numbers["p.emission#1"], strict=True))
    emitted = [[normal(x, m, s) for m, s in shapes] for x in xs]
    return chain(numbers["p.initial"][0], numbers["p.transition"], emitted)


@case("var n[2] : count; circuit p = hmm(n, states=2)", DISTRIBUTION, points={"n": [0, 1, 4]}, drawn=True)
def hmm_of_counts(numbers: Numbers, *ns: int) -> Fraction:
    emitted = [[rare(n, rate) for rate in numbers["p.emission"]] for n in ns]
    return chain(numbers["p.initial"][0], numbers["p.transition"], emitted)


@case(
    """
    var x[2] : int(0, 2)
    circuit p = hmm(x, states=2, emission=binomial, transition=diagonal)
    """,
    "smooth decomposable structured nonnegative",
    drawn=True,
)
def hmm_with_a_named_emission_and_a_diagonal(numbers: Numbers, *xs: int) -> Fraction:
    ways = (1, 2, 1)
    emitted = [[ways[x] * p**x * (1 - p) ** (2 - x) for p in numbers["p.emission"]] for x in xs]
    one, two = numbers["p.transition"]
    return chain(numbers["p.initial"][0], [[one, ZERO], [ZERO, two]], emitted)


@case(
    """
    var x : bool
    var y : bool
    circuit a { return bernoulli(x, [0.25]) * bernoulli(y, [0.5]) }
    circuit b { return [x = 1] * [y = 0] }
    circuit p = mixture([a, b, a], [0.5, 0.3, 0.2])
    """,
    DISTRIBUTION,
)
def mixture(x: int, y: int) -> Fraction:
    return F("0.7") * coin(x, "0.25") * coin(y, "0.5") + F("0.3") * (x == 1 and y == 0)


@case(
    """
    var x : bool
    circuit a { return bernoulli(x, [0.25]) }
    circuit b { return bernoulli(x, [0.5]) }
    circuit p = mixture([a, b], [2, -1])
    """,
    "smooth decomposable structured normalized nonnegative",
)
def mixture_of_weights_below_zero(x: int) -> Fraction:
    return 2 * coin(x, "0.25") - coin(x, "0.5")


DATA = "x,y,z\n" + "\n".join(
    f"{x},{y},{z}" for x, y, z in [(0, 0, 1), (0, 1, 1), (1, 2, 0), (1, 2, 0), (1, 0, 0), (0, 1, 0), (1, 2, 1)]
)
GAPS = DATA + "\n,2,0\n1,,1\n0,0,\n"
SIZES = {"x": 2, "y": 3, "z": 2}


def tree_of(data: str, alpha: Fraction) -> Callable[[Row], Fraction]:
    """The Chow–Liu tree of data, by the language's formula, the best of all trees over x, y and z."""
    lines = [line.split(",") for line in data.strip().splitlines()]
    names = lines[0]
    rows = [{name: int(cell) for name, cell in zip(names, line, strict=True) if cell} for line in lines[1:]]

    def pair(a: str, b: str) -> dict[tuple[int, int], Fraction]:
        both = [(r[a], r[b]) for r in rows if a in r and b in r]
        cells = SIZES[a] * SIZES[b]
        return {
            (u, v): (both.count((u, v)) + alpha / cells) / (len(both) + alpha)
            for u in range(SIZES[a])
            for v in range(SIZES[b])
        }

    def information(a: str, b: str) -> Fraction:
        joint = pair(a, b)
        left = [sum(joint[u, v] for v in range(SIZES[b])) for u in range(SIZES[a])]
        right = [sum(joint[u, v] for u in range(SIZES[a])) for v in range(SIZES[b])]
        return sum((p * logarithm(p / (left[u] * right[v])) for (u, v), p in joint.items() if p), ZERO)

    weights = {edge: information(*edge) for edge in itertools.combinations(names, 2)}
    left_out = min(weights, key=lambda edge: weights[edge])
    (centre,) = set(names) - set(left_out)  # a tree over three is a path, whose centre is the root
    ones = [r[centre] for r in rows if centre in r]
    n = SIZES[centre]

    def value(assignment: Row) -> Fraction:
        at = dict(zip(names, assignment, strict=True))
        out = (ones.count(at[centre]) + alpha / n) / (len(ones) + alpha)
        for end in left_out:
            joint = pair(centre, end)
            out *= joint[at[centre], at[end]] / sum(joint[at[centre], v] for v in range(SIZES[end]))
        return out

    return value


THREE = "var x : bool; var y : cat(3); var z : bool\n"


@case(
    THREE + 'circuit p = chow_liu("data.csv")',
    DISTRIBUTION,
    files={"data.csv": DATA},
    rounded=True,
    selective=True,
)
def chow_liu(*xs: int) -> Fraction:
    return tree_of(DATA, ONE)(xs)


@case(
    THREE + 'circuit p = chow_liu("gaps.csv", smoothing=1/10)',
    DISTRIBUTION,
    files={"gaps.csv": GAPS},
    rounded=True,
    selective=True,
)
def chow_liu_with_missing_values(*xs: int) -> Fraction:
    return tree_of(GAPS, F(1, 10))(xs)


@case(
    """
    var x : bool
    circuit a { return bernoulli(x, [0.25]) }
    circuit b { return [x = 1] }
    circuit q = mixture([a, b], [0.5, 0.5])
    load "weights.safetensors"
    circuit p = mixture([q, a], [0, 1])
    """,
    DISTRIBUTION,
    drawn=True,
    tensors={"weights.safetensors": {"q.weights": [[0.125, 0.875]], "p.weights": [[0.75, 0.25]]}},
)
def mixtures_with_loaded_weights(numbers: Numbers, x: int) -> Fraction:
    assert numbers == {"q.weights": [[F(1, 8), F(7, 8)]], "p.weights": [[F(3, 4), F(1, 4)]]}
    q = F(1, 8) * coin(x, "0.25") + F(7, 8) * x
    return F(3, 4) * q + F(1, 4) * coin(x, "0.25")


@case(THREE + 'circuit p = hclt("data.csv", states=2)', DISTRIBUTION, files={"data.csv": DATA}, drawn=True)
def hclt(numbers: Numbers, *xs: int) -> Fraction:
    x, y, z = xs
    (centre,) = [name for name in "xyz" if f"p.{name}.transition" not in numbers]
    assert all(f"p.{name}.transition" in numbers for name in "xyz" if name != centre)
    emitted = {
        "x": [coin(x, p) for p in numbers["p.x.emission"]],
        "y": [probabilities[y] for probabilities in numbers["p.y.emission"]],
        "z": [coin(z, p) for p in numbers["p.z.emission"]],
    }
    ends = [times(numbers[f"p.{name}.transition"], emitted[name]) for name in "xyz" if name != centre]
    return dot(numbers["p.initial"][0], each(emitted[centre], *ends))


@case(
    "var x[4] : bool; circuit p = quad_tree(x, shape=[2, 2], states=2)",
    DISTRIBUTION,
    drawn=True,
)
def quad_tree(numbers: Numbers, *xs: int) -> Fraction:
    pixels = [[coin(x, p) for p in numbers[f"p.x[{i}]"]] for i, x in enumerate(xs)]
    cell = ["p.0..1,0..1", "p.0..1,1..2", "p.1..2,0..1", "p.1..2,1..2"]
    sums = [times(numbers[name], pixel) for name, pixel in zip(cell, pixels, strict=True)]
    upper, lower = each(sums[0], sums[1]), each(sums[2], sums[3])
    halves = each(times(numbers["p.0..1,0..2"], upper), times(numbers["p.1..2,0..2"], lower))
    return dot(numbers["p.root"][0], halves)


@case(
    "var x[4] : cat(2); circuit p = quad_tree(x, shape=[2, 2], states=2, layer=tucker)",
    DISTRIBUTION,
    drawn=True,
)
def quad_tree_with_tucker_layers(numbers: Numbers, *xs: int) -> Fraction:
    pixels = [[r[x] for r in numbers[f"p.x[{i}]"]] for i, x in enumerate(xs)]
    upper = times(numbers["p.0..1,0..2"], every(pixels[0], pixels[1]))
    lower = times(numbers["p.1..2,0..2"], every(pixels[2], pixels[3]))
    return dot(numbers["p.root"][0], every(upper, lower))


@case(
    "var x[4] : bool; circuit p = quad_graph(x, shape=[2, 2], states=2, layer=tucker)",
    "smooth decomposable normalized nonnegative",
    drawn=True,
)
def quad_graph(numbers: Numbers, *xs: int) -> Fraction:
    a, b, c, d = ([coin(x, p) for p in numbers[f"p.x[{i}]"]] for i, x in enumerate(xs))
    upper, lower = times(numbers["p.0..1,0..2"], every(a, b)), times(numbers["p.1..2,0..2"], every(c, d))
    left, right = times(numbers["p.0..2,0..1"], every(a, c)), times(numbers["p.0..2,1..2"], every(b, d))
    return dot(numbers["p.root"][0], every(upper, lower) + every(left, right))


class Sums:
    """The dense sums of a region by name: of one name they are numbered, in the order in which they are asked for."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.taken: dict[str, int] = {}

    def of(self, region: str, nodes: Sequence[Fraction]) -> list[Fraction]:
        number = self.taken.get(region, 0)
        self.taken[region] = number + 1
        return times(self.numbers[f"p.{region}" + (f"#{number}" if number else "")], nodes)


@case(
    "var x[4] : bool; circuit p = quad_graph(x, shape=[2, 2], states=2)",
    "smooth decomposable normalized nonnegative",
    drawn=True,
)
def quad_graph_of_elementwise_products(numbers: Numbers, *xs: int) -> Fraction:
    a, b, c, d = ([coin(x, p) for p in numbers[f"p.x[{i}]"]] for i, x in enumerate(xs))
    sums = Sums(numbers)
    pixels = {"0..1,0..1": a, "0..1,1..2": b, "1..2,0..1": c, "1..2,1..2": d}

    def half(first: str, second: str) -> list[Fraction]:
        return each(sums.of(first, pixels[first]), sums.of(second, pixels[second]))

    # From the small regions to the large: by their size, then their top, bottom, left and right.
    upper = half("0..1,0..1", "0..1,1..2")
    left = half("0..1,0..1", "1..2,0..1")
    right = half("0..1,1..2", "1..2,1..2")
    lower = half("1..2,0..1", "1..2,1..2")
    rows = each(sums.of("0..1,0..2", upper), sums.of("1..2,0..2", lower))
    columns = each(sums.of("0..2,0..1", left), sums.of("0..2,1..2", right))
    return dot(numbers["p.root"][0], rows + columns)


@case(
    "var x[4] : bool; circuit p = poon_domingos(x, shape=[1, 4], delta=1, states=2)",
    "smooth decomposable normalized nonnegative",
    drawn=True,
)
def poon_domingos(numbers: Numbers, *xs: int) -> Fraction:
    nodes = {(i, i + 1): [coin(x, p) for p in numbers[f"p.x[{i}]"]] for i, x in enumerate(xs)}
    sums = Sums(numbers)
    for width in (2, 3, 4):
        for start in range(5 - width):
            end = start + width
            parts = [
                each(sums.of(f"0..1,{start}..{cut}", nodes[start, cut]), sums.of(f"0..1,{cut}..{end}", nodes[cut, end]))
                for cut in range(start + 1, end)
            ]
            if width == 4:
                return dot(numbers["p.root"][0], [node for part in parts for node in part])
            if len(parts) == 1:
                nodes[start, end] = parts[0]
            else:
                mix = numbers[f"p.0..1,{start}..{end}.mix"]
                nodes[start, end] = [dot(mix[k][0], [part[k] for part in parts]) for k in range(2)]
    raise AssertionError("the whole comes last")


@case(
    "var x[6] : bool; circuit p = poon_domingos(x, shape=[2, 3], delta=2, states=2)",
    "smooth decomposable structured normalized nonnegative",
    drawn=True,
)
def poon_domingos_with_leaves_of_several_pixels(numbers: Numbers, *xs: int) -> Fraction:
    pixels = [[coin(x, p) for p in numbers[f"p.x[{i}]"]] for i, x in enumerate(xs)]
    left, right = each(*(pixels[i] for i in (0, 1, 3, 4))), each(pixels[2], pixels[5])
    whole = each(times(numbers["p.0..2,0..2"], left), times(numbers["p.0..2,2..3"], right))
    return dot(numbers["p.root"][0], whole)


@case(
    "var x[3] : bool; circuit p = rat(x, depth=2, repetitions=2, states=2)",
    "smooth decomposable normalized nonnegative",
    drawn=True,
)
def rat(numbers: Numbers, *xs: int) -> Fraction:
    """The orders are those that the seed 0 draws for the name p: the first two of each are the larger half."""
    parts: list[Fraction] = []
    for repetition, (a, b, c) in enumerate(ORDERS):
        suffix = f"#{repetition}" if repetition else ""
        leaf = {i: [coin(xs[i], p) for p in numbers[f"p.x[{i}]{suffix}"]] for i in range(3)}
        half = each(times(numbers[f"p.{repetition}:00"], leaf[a]), times(numbers[f"p.{repetition}:01"], leaf[b]))
        parts += each(times(numbers[f"p.{repetition}:0"], half), times(numbers[f"p.{repetition}:1"], leaf[c]))
    return dot(numbers["p.root"][0], parts)
