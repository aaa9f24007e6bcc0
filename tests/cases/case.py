"""A circuit as a spec text, and the function that it computes, written by hand from the text and the language alone.

The function takes the values of the circuit's variables, in order, and gives a fraction. Where a text leaves numbers to
be drawn, it takes their values by name first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

from exact import ONE, ZERO, exponential, square_root

Row = tuple[Any, ...]
Numbers = Mapping[str, Any]

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534")


@dataclass(frozen=True, eq=False)
class Case:
    """One circuit. `holds` names the properties that it has; `selective`: at most one child of a sum is not zero.

    `points` are values to try of count and real variables; `files`, and arrays by file and name, are written beside the
    text; `drawn` says that the function wants the parameters, `rounded` that they were computed in floats from data.
    """

    text: str
    function: Callable[..., Any]
    holds: frozenset[str]
    points: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    tensors: Mapping[str, Numbers] = field(default_factory=dict[str, Any])
    drawn: bool = False
    rounded: bool = False
    selective: bool = False
    circuit: str = "p"

    @property
    def name(self) -> str:
        """What the test is called."""
        return self.function.__name__


Register = Callable[[Callable[..., Any]], Callable[..., Any]]


def registry() -> tuple[list[Case], Callable[..., Register]]:
    """A list of cases, and the decorator that adds one: `@case(text, "smooth decomposable …")`."""
    cases: list[Case] = []

    def case(text: str, holds: str = "", **options: Any) -> Register:
        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            cases.append(Case(text, function, frozenset(holds.split()), **options))
            return function

        return add

    return cases, case


F = Fraction
STRUCTURED = "smooth decomposable structured"
DISTRIBUTION = f"{STRUCTURED} normalized nonnegative"


def coin(x: int, p: Fraction | str) -> Fraction:
    """The probability of x = 1 or 0 under P(1) = p."""
    return Fraction(p) if x == 1 else 1 - Fraction(p)


def row(*numbers: str | int | Fraction) -> list[Fraction]:
    """Numbers as they stand in a text."""
    return [Fraction(number) for number in numbers]


def dot(weights: Sequence[Any], numbers: Sequence[Any]) -> Fraction:
    """Σ w·x."""
    return sum((Fraction(w) * x for w, x in zip(weights, numbers, strict=True)), ZERO)


def times(matrix: Sequence[Sequence[Any]], vector: Sequence[Any]) -> list[Fraction]:
    """A matrix, rows of outputs, times a vector."""
    return [dot(weights, vector) for weights in matrix]


def each(*vectors: Sequence[Fraction]) -> list[Fraction]:
    """The elementwise product."""
    return [product(numbers) for numbers in zip(*vectors, strict=True)]


def every(*vectors: Sequence[Fraction]) -> list[Fraction]:
    """The products of all pairs, the first index slowest."""
    return [product(numbers) for numbers in itertools.product(*vectors)]


def product(numbers: Sequence[Fraction]) -> Fraction:
    """Π x."""
    out = ONE
    for number in numbers:
        out *= number
    return out


@cache
def normal(x: Any, m: Any, s: Any) -> Fraction:
    """The normal density, to 80 digits."""
    m, s = Fraction(m), Fraction(s)
    return exponential(-(((Fraction(x) - m) / s) ** 2) / 2) / (s * square_root(2 * PI))


@cache
def rare(x: int, rate: Any) -> Fraction:
    """The Poisson probability, to 80 digits."""
    out = exponential(-Fraction(rate))
    for k in range(1, int(x) + 1):
        out *= Fraction(rate) / k
    return out
