"""Random primes, and the error of testing an identity modulo them.

A polynomial of degree D that is not zero vanishes at a random point modulo P with a probability of at most D / P
(Schwartz and Zippel), and all of it vanishes modulo P where P divides its coefficients: of numbers of B bits, at most
B / 30 primes above 2³⁰ do.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm, log2
from random import Random

import numpy as np

from ....ir.block import Block, Hadamard, Indexed, Input, Product, Sum
from ....ir.circuit import Circuit
from ....ir.dependence import in_order as steps_of
from ....ir.laid import Laid
from ....ir.linear import Sparse
from ....ir.parameter import Constant, Floats, Parameter, Value

LOW, HIGH = 1 << 30, 1 << 31
# The primes between 2³⁰ and 2³¹ are 50,697,537 in number.
_PRIMES = 50_697_537
_BASES = (2, 3, 5, 7)
_LARGEST = 1e250
_ROUNDS = 40
_SMALL = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)


def prime(random: np.random.Generator) -> int:
    """A prime between 2³⁰ and 2³¹, each as likely as any other."""
    while True:
        number = int(random.integers(LOW, HIGH)) | 1
        if _is_prime(number):
            return number


def _is_prime(number: int) -> bool:
    """Whether an odd number below 3,215,031,751 is prime (Miller and Rabin, with the bases that suffice there)."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _BASES:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def large_prime(bits: int, random: Random) -> int:
    """A prime of so many bits, each as likely as any other; that it is none has a chance below 10⁻²⁴."""
    while True:
        number = random.getrandbits(bits) | 1 | 1 << (bits - 1)
        if _is_large_prime(number, random):
            return number


def _is_large_prime(number: int, random: Random) -> bool:
    """Miller and Rabin, with random bases."""
    if any(number % small == 0 for small in _SMALL):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(_ROUNDS):
        x = pow(random.randrange(2, number - 1), odd, number)
        if x in (1, number - 1):
            continue
        if not any((x := x * x % number) == number - 1 for _ in range(twos - 1)):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Height:
    """Bounds of a circuit's polynomial: its degree, and the bits of its coefficients."""

    degree: float
    bits: float

    @property
    def error(self) -> float:
        """The probability that one test, of twice the degree, does not see that the polynomial is not zero."""
        return min(1.0, (2 * self.degree + 1) / LOW + (self.bits / 30 + 1) / _PRIMES)

    @property
    def large(self) -> tuple[int, float] | None:
        """The bits of a prime so large that one test suffices, and its error; None where none would be large enough."""
        if max(self.degree, self.bits) >= _LARGEST:
            return None
        size = 64 + int(log2(self.degree + self.bits + 2))
        # There are more than 2^(size − 1) / size such primes, of which a number of B bits has B / (size − 1) divisors.
        return size, 2.0 ** (1 - size) * (2 * self.degree + 1 + 2 * self.bits)


def height(circuit: Circuit) -> Height:
    """The degree of the circuit's polynomial in the weights of values, and the size of its coefficients, from above."""
    number = _bits(circuit)
    # Of each node the degree and the bits, [2, width].
    found: dict[Block, Floats] = {}
    for block in circuit.blocks:
        if isinstance(block, Input):
            found[block] = np.repeat([[1.0], [number]], block.width, axis=1)
            continue
        below = [found[child] for child in block.children]
        if isinstance(block, Product):
            found[block] = np.minimum(_multiplied(block, below), _LARGEST)
        else:
            added = np.array([[0.0], [number + log2(block.map.inputs + 1)]])
            found[block] = np.minimum(_largest(circuit, block, below) + added, _LARGEST)
    degree, bits = found[circuit.root][:, 0].tolist()
    return Height(degree + len(circuit.free), bits + len(circuit.free))


def _multiplied(block: Product, below: list[Floats]) -> Floats:
    """The sums over the factors of each node."""
    if isinstance(block.form, Indexed):
        offsets, members = block.form.offsets, block.form.members
        laid = np.stack([Laid([part[row] for part in below]).take(members) for row in (0, 1)])
        running = np.concatenate([np.zeros((2, 1)), np.cumsum(laid, axis=1)], axis=1)
        return np.asarray(running[:, offsets[1:]] - running[:, offsets[:-1]])
    if isinstance(block.form, Hadamard):
        return np.asarray(sum((np.broadcast_to(part, (2, block.width)) for part in below), np.zeros((2, block.width))))
    most = sum((part.max(axis=1, keepdims=True) for part in below), np.zeros((2, 1)))
    return np.repeat(most, block.width, axis=1)


def _largest(circuit: Circuit, block: Sum, below: list[Floats]) -> Floats:
    """The largest of the children of each node; of all children where the map is not sparse."""
    if isinstance(block.map, Sparse):
        offsets, columns = circuit.support.entries(block.map)
        filled = np.flatnonzero(offsets[1:] > offsets[:-1])
        out = np.zeros((2, block.width))
        for row in (0, 1):
            laid = Laid([part[row] for part in below]).take(columns)
            if len(filled):
                out[row, filled] = np.maximum.reduceat(laid, offsets[filled])
        return out
    most = np.max([part.max(axis=1) for part in below], axis=0)[:, None] if below else np.zeros((2, 1))
    return np.repeat(most, block.width, axis=1)


def _bits(circuit: Circuit) -> float:
    """The bits of the circuit's numbers, as integers over one common denominator."""
    common, largest, smallest = 1, 1.0, 1.0
    for step in steps_of(circuit.expressions):
        match step:
            case Parameter():
                value = circuit.store[step]
            case Constant(value):
                pass
            case _:
                common = 2 * common  # a derived number is of a few others
                continue
        common = lcm(common, _denominator(value))
        sizes = np.abs(value.floats[value.floats != 0])
        if sizes.size:
            largest, smallest = max(largest, float(sizes.max())), min(smallest, float(sizes.min()))
    return float(common.bit_length()) + log2(largest) - log2(smallest) + 53


def _denominator(value: Value) -> int:
    """The common denominator of numbers, but for powers of two, which no prime here divides."""
    if value.rationals is None:
        return 1
    found = {Fraction(number).denominator for number in value.rationals.ravel().tolist()}
    return lcm(*found) if found else 1
