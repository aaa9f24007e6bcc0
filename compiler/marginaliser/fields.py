"""A tape's values in fractions and modulo large primes, and how large a prime must be for a test to be certain.

What enters is a tape; what leaves are the values of its entries, or bounds of the rational function that an entry is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from .trace import Step, Tape


class Vanishing(Exception):
    """A divisor is zero; `entry` is the division."""

    def __init__(self, entry: int) -> None:
        self.entry = entry
        super().__init__(entry)


def exactly(tape: Tape, entries: Iterable[int], weights: Sequence[Fraction]) -> dict[int, Fraction]:
    """The values of entries, given in ascending order with all that they stand on.

    Raises: Vanishing.
    """
    out: dict[int, Fraction] = {}
    kinds, left, right = tape.kinds, tape.left, tape.right
    for entry in entries:
        match kinds[entry]:
            case Step.WEIGHT:
                out[entry] = weights[left[entry]]
            case Step.CONSTANT:
                out[entry] = tape.constants[left[entry]]
            case Step.ADD:
                out[entry] = out[left[entry]] + out[right[entry]]
            case Step.SUBTRACT:
                out[entry] = out[left[entry]] - out[right[entry]]
            case Step.MULTIPLY:
                out[entry] = out[left[entry]] * out[right[entry]]
            case Step.DIVIDE:
                if not out[right[entry]]:
                    raise Vanishing(entry)
                out[entry] = out[left[entry]] / out[right[entry]]
    return out


@dataclass(frozen=True, slots=True)
class Modulus:
    """A tape modulo a prime: the constants there, and the entries that count."""

    tape: Tape
    prime: int
    entries: Sequence[int]
    constants: Sequence[int]

    @staticmethod
    def of(tape: Tape, entries: Sequence[int], prime: int) -> Modulus | None:
        """None where the prime divides a denominator."""
        if any(value.denominator % prime == 0 for value in tape.constants):
            return None
        return Modulus(tape, prime, entries, [residue(value, prime) for value in tape.constants])

    def value(self, weights: Sequence[int]) -> int:
        """The last entry under weights.

        Raises: Vanishing.
        """
        tape, prime, constants = self.tape, self.prime, self.constants
        kinds, left, right = tape.kinds, tape.left, tape.right
        out = [0] * (self.entries[-1] + 1)
        for entry in self.entries:
            kind, a, b = kinds[entry], left[entry], right[entry]
            if kind is Step.MULTIPLY:
                out[entry] = out[a] * out[b] % prime
            elif kind is Step.SUBTRACT:
                out[entry] = (out[a] - out[b]) % prime
            elif kind is Step.ADD:
                out[entry] = (out[a] + out[b]) % prime
            elif kind is Step.DIVIDE:
                if not out[b]:
                    raise Vanishing(entry)
                out[entry] = out[a] * pow(out[b], -1, prime) % prime
            else:
                out[entry] = weights[a] if kind is Step.WEIGHT else constants[a]
        return out[self.entries[-1]]


def residue(value: Fraction, prime: int) -> int:
    """A fraction modulo a prime that does not divide its denominator."""
    return value.numerator * pow(value.denominator, -1, prime) % prime


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a quotient of polynomials with whole coefficients: degrees, and bits of the sums of their magnitudes."""

    degree: int
    bits: int


def bounds(tape: Tape, entries: Sequence[int]) -> Bounds:
    """Bounds of numerator and denominator of all entries, as the operations would make them without reducing."""
    found: dict[int, tuple[int, int, int, int]] = {}  # degree and bits of the numerator, of the denominator
    most = Bounds(0, 0)
    for entry in entries:
        kind = tape.kinds[entry]
        if kind is Step.WEIGHT:
            own = (1, 0, 0, 0)
        elif kind is Step.CONSTANT:
            value = tape.constants[tape.left[entry]]
            own = (0, abs(value.numerator).bit_length(), 0, (value.denominator - 1).bit_length())
        else:
            (d, b, e, c), (f, g, h, i) = found[tape.left[entry]], found[tape.right[entry]]
            if kind is Step.MULTIPLY:
                own = (d + f, b + g, e + h, c + i)
            elif kind is Step.DIVIDE:
                own = (d + h, b + i, e + f, c + g)
            else:
                own = (max(d + h, f + e), max(b + i, g + c) + 1, e + h, c + i)
        found[entry] = own
        most = Bounds(max(most.degree, own[0], own[2]), max(most.bits, own[1], own[3]))
    return most
