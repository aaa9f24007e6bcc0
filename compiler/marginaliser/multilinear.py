"""Whether what a tape computes is a multilinear polynomial in the weights, of degree 1 in those of each variable.

Two identities decide it, each at random points modulo one random prime: weights times a factor per variable give the
value times all factors; and on a random line the value is the polynomial of degree n through n + 1 of its points
(a rational function that is a polynomial of degree n on a generic line is one). The prime is so large that the chance
of being deceived, counted from the degree and the numbers of the tape's operations, is below 10⁻¹². Sources:
J. Schwartz 1980, R. Zippel 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from ...ir.diagnostic import error
from ...ir.domain import Variable
from ..properties.marginalisation.primes import large_prime
from .fields import Modulus, Vanishing, bounds
from .trace import Tape

# 2⁻⁴⁰ is 9 · 10⁻¹³.
_MARGIN = 40
_LARGEST = 2048
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Tested:
    """That the identities hold: the size of the prime, and the bound of the probability that they do not."""

    bits: int
    error_probability: float


def require_multilinear(tape: Tape, entries: Sequence[int], variables: Sequence[Variable], seed: int = 0) -> Tested:
    """Tests the last of the entries, which are ascending with all that they stand on.

    Raises: DanausError `zero-divisor` for a divisor that is zero everywhere, `not-multilinear`, `untested` where the
    operations allow a degree that no prime of 2,048 bits tells apart.
    """
    count = len(variables)
    most = bounds(tape, entries)
    # Both identities, with their denominators cleared, in the weights, factors, directions and places on the line.
    degree = (count + 2) * (2 * most.degree + count + 2)
    bits = 2 * (count + 2) * (most.bits + most.degree + count + 2) + 64
    size = max(64, (degree + bits * _LARGEST).bit_length() + _MARGIN)
    if size > _LARGEST:
        raise error(
            "untested",
            f"the function's operations allow a degree of about 2^{most.degree.bit_length() - 1}: too large to test",
            hint="multiply or divide fewer times in a row what has been multiplied before",
        )
    random = Random(seed)
    for attempt in range(_TRIES):
        over = Modulus.of(tape, entries, large_prime(size, random))
        if over is None:
            continue
        try:
            _require(over, variables, random)
        except Vanishing as failure:
            if attempt < _TRIES - 1:
                continue
            raise error(
                "zero-divisor",
                "the function divides by a number that is zero whatever the weights",
                tape.spans.get(failure.entry),
            ) from None
        # The primes of `size` bits are more than 2^(size − 1) / size.
        return Tested(size, (degree + bits * size / (size - 1)) / 2.0 ** (size - 1))
    raise error("untested", "every prime that was drawn divides a number of the function")


def _require(over: Modulus, variables: Sequence[Variable], random: Random) -> None:
    prime, count = over.prime, len(variables)

    def drawn() -> list[int]:
        return [random.randrange(1, prime) for _ in range(2 * count)]

    weights, factors = drawn(), [random.randrange(2, prime) for _ in range(count)]
    plain = over.value(weights)
    whole = 1
    for factor in factors:
        whole = whole * factor % prime
    scaled = [weight * factors[place // 2] % prime for place, weight in enumerate(weights)]
    if over.value(scaled) != plain * whole % prime:
        raise _not_homogeneous(over, variables, weights, factors, plain)
    start, direction = drawn(), drawn()
    places = _distinct(count + 2, prime, random)
    line = [over.value([(a + place * v) % prime for a, v in zip(start, direction, strict=True)]) for place in places]
    if _through(places[:-1], line[:-1], places[-1], prime) != line[-1]:
        raise error(
            "not-multilinear",
            f"what the function computes is no polynomial of degree {count} in the weights",
            hint="its divisions must cancel: a marginal is a sum over assignments of products of one weight of each "
            "variable",
        )


def _distinct(count: int, prime: int, random: Random) -> list[int]:
    found: dict[int, None] = {}
    while len(found) < count:
        found[random.randrange(1, prime)] = None
    return list(found)


def _through(places: Sequence[int], values: Sequence[int], at: int, prime: int) -> int:
    """The polynomial through points, elsewhere: Σ yᵢ Π (x − xⱼ) / (xᵢ − xⱼ)."""
    out = 0
    for i, (place, value) in enumerate(zip(places, values, strict=True)):
        above, below = value, 1
        for j, other in enumerate(places):
            if j != i:
                above, below = above * (at - other) % prime, below * (place - other) % prime
        out += above * pow(below, -1, prime)
    return out % prime


def _not_homogeneous(
    over: Modulus, variables: Sequence[Variable], weights: Sequence[int], factors: Sequence[int], plain: int
) -> Exception:
    """Names the variables whose weights, scaled alone, do not scale the value."""
    wrong: list[str] = []
    for place, (variable, factor) in enumerate(zip(variables, factors, strict=True)):
        scaled = list(weights)
        scaled[2 * place : 2 * place + 2] = (each * factor % over.prime for each in scaled[2 * place : 2 * place + 2])
        if over.value(scaled) != plain * factor % over.prime:
            wrong.append(f'"{variable}"')
    named = ", ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")
    return error(
        "not-multilinear",
        f"what the function computes is not of degree 1 in the weights of {named or 'some variables'}",
        hint="every term of a marginal has one weight of each variable; a variable that is summed out has w0 + w1",
    )
