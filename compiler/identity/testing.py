"""Identity testing: whether two sides agree at random points of fields modulo random primes, and how sure that is.

What enters is a question about one field, and a bound of what the sides are as polynomials; what leaves says whether
they agreed. Sources: J. Schwartz 1980, R. Zippel 1979; that a prime divides a coefficient, or makes two numbers under
an exponential one, is counted, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...ir.diagnostic import DanausError, error
from ...ir.domain import Variable
from ...ir.semirings.symbols import Symbols

WANTED = 1e-9

LOW, HIGH = 1 << 30, 1 << 31
# There are 50,697,537 primes between 2³⁰ and 2³¹.
PRIMES = 50_697_537
MOST_POINTS = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """The outcome: whether both sides agreed at all points, and the error probability if they did.

    `degree` bounds the polynomials', `bits` their coefficients'. `assignment` is where two functions differ, by value;
    `symbols` says whether anything irrational stood for itself, so that sides that differ may be equal all the same.
    """

    holds: bool
    degree: int
    bits: int
    points: int
    error_probability: float
    assignment: dict[Variable, float] | None = None
    symbols: bool = False

    def __str__(self) -> str:
        if self.holds:
            return f"holds at {self.points} points, degree {self.degree}, error below {self.error_probability:.1e}"
        return f"differs, degree {self.degree}"


@dataclass(frozen=True, slots=True)
class Size:
    """Bounds of a polynomial over a common denominator: its degree, the bits of its coefficients, and how many numbers
    under exponentials and the like it has."""

    degree: int
    bits: int
    symbols: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.degree + other.degree, self.bits + other.bits, self.symbols + other.symbols)

    def __or__(self, other: Size) -> Size:
        """A bound of both, and of their difference up to one bit."""
        return Size(max(self.degree, other.degree), max(self.bits, other.bits), self.symbols + other.symbols)

    @property
    def chance(self) -> float:
        """The probability that one point, modulo a random prime, hides a difference."""
        # A number that is not zero has at most bits / 30 prime divisors above 2³⁰.
        divided = self.bits / 30 / PRIMES
        return (self.degree + 1) / LOW + divided * (1 + self.symbols**2)


def tested(agree: Callable[[Symbols, np.random.Generator], bool], size: Size, seed: int) -> Identity:
    """As many points, each modulo a prime of its own, as bring the error probability below 1e-9.

    Raises: DanausError `untested` where 64 points do not.
    """
    each = size.chance
    if each >= 1 or (points := max(1, math.ceil(math.log(WANTED) / math.log(each)))) > MOST_POINTS:
        raise error(
            "untested",
            f"polynomials of degree {size.degree} with coefficients of {size.bits} bits are too large to test",
        )
    random = np.random.default_rng(seed)
    symbols = False
    for _ in range(points):
        while True:
            over = field_of(random)
            try:
                same = agree(over, random)
            except DanausError as failure:
                if failure.diagnostics[0].code != "bad-prime":
                    raise
                continue  # it divides a denominator: another
            break
        symbols = symbols or bool(over.known)
        if not same:
            return Identity(False, size.degree, size.bits, points, 0.0, None, symbols)
    return Identity(True, size.degree, size.bits, points, each**points, None, symbols)


def field_of(random: np.random.Generator) -> Symbols:
    """A field modulo a random prime."""
    while True:
        number = int(random.integers(LOW, HIGH)) | 1
        if is_prime(number):
            return Symbols(number, random)


def is_prime(number: int) -> bool:
    """Miller and Rabin, certain below 3.4e14 with these bases."""
    if any(number % small == 0 for small in (2, 3, 5, 7, 11, 13, 17)):
        return number in (2, 3, 5, 7, 11, 13, 17)
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17):
        x = pow(base, odd, number)
        if x in (1, number - 1):
            continue
        if not any((x := x * x % number) == number - 1 for _ in range(twos - 1)):
            return False
    return True
