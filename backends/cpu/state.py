"""What a buffer of a tile keeps beside its values, per lane: scale, range, and a bound on what underflow has taken.

The value of node k in a lane is x[k] · 2^exponent. Rows before the values: the exponent; the largest x; the least x;
the least x that is not zero, inf where all are; `lost`, a bound on what any x has lost to underflow so far; `error`, a
bound on the relative error that has been absorbed. All numbers are non-negative, so that a loss reaches the result
multiplied by no more than the weights. After each step

    lost ← (what came in, times the largest row sum) · scale + terms · tiny
    if lost ≤ ε · least:  error += lost / least,  lost ← 0

and nothing is lost at all where the least non-zero terms are far above underflow, so that exact zeros stay exact. A
lane is right where error + lost / value is small at the root; the others are computed again in float64 logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

from .builder import Function
from .vectors import ROW

EXPONENT, LARGEST, LEAST, NONZERO, LOST, ERROR = range(6)
STATE = 6
"""Rows before the values."""

HEAD = 8
"""Numbers beside each row of a table that is loaded: its exponent, largest, least, least non-zero, lost; three unused,
so that a row's stand in one line of cache."""

SURE = 2.0**26
"""How far above the smallest normal number the least terms must lie for nothing to be lost."""


def values(f: Function, slot: str) -> str:
    """Where a buffer's values begin."""
    return f.at(slot, STATE, ROW)


@dataclass(slots=True)
class State:
    """The state of one buffer for one vector of lanes, as registers."""

    exponent: str
    largest: str
    least: str
    nonzero: str
    lost: str
    error: str
    scale: str
    shift: str


def state(f: Function, slot: str, column: int) -> State:
    """Loads a state; `scale` is the power of two that brings the largest to [1, 2), `shift` its negative logarithm.

    Of signed values there is nothing but the exponent and the largest magnitude.
    """
    v = f.vectors
    known = range(2 if v.signed else STATE)
    none = ["zeroinitializer"] * (STATE - len(known))
    exponent, largest, least, nonzero, lost, error = [*(get(f, slot, row, column) for row in known), *none]
    bits = f.integer("lshr", f.bits(largest), f.whole(v.mantissa))
    inverse = f.integer("shl", f.integer("sub", f.whole(2 * v.bias), bits), f.whole(v.mantissa))
    shift = f.integer("sub", bits, f.whole(v.bias))
    return State(exponent, largest, least, nonzero, lost, error, f.from_bits(inverse), shift)


def put(f: Function, slot: str, row: int, column: int, value: str) -> None:
    """Stores one row of a state."""
    v = f.vectors
    f.store(value, f.at(slot, None, offset=row * ROW + column * v.bytes), v.ints if row == EXPONENT else v.floats)


def get(f: Function, slot: str, row: int, column: int) -> str:
    """Loads one row of a state."""
    v = f.vectors
    return f.load(f.at(slot, None, offset=row * ROW + column * v.bytes), v.ints if row == EXPONENT else v.floats)


@dataclass(slots=True)
class Range:
    """The range of the values that are being written, per vector of lanes; `nonzero` as bits − 1, so that 0 is last."""

    largest: str
    least: str
    nonzero: str

    @staticmethod
    def empty(f: Function) -> Range:
        return Range("zeroinitializer", f.number(float("inf")), f.whole(-1))

    def with_value(self, f: Function, value: str) -> Range:
        """The range with one more value; of signed ones the largest magnitude alone."""
        if f.vectors.signed:
            return Range(f.maximum(f.magnitude(value), self.largest), self.least, self.nonzero)
        bits = f.integer("add", f.bits(value), f.whole(-1))
        less = f.op(f"icmp ult {f.vectors.ints} {bits}, {self.nonzero}")
        return Range(
            f.maximum(value, self.largest),
            f.minimum(value, self.least),
            f.select(less, bits, self.nonzero, f.vectors.ints),
        )

    @property
    def parts(self) -> list[str]:
        return [self.largest, self.least, self.nonzero]

    @staticmethod
    def carried(f: Function) -> list[tuple[str, str]]:
        """Types and first values, for a loop that carries the range."""
        v = f.vectors
        first = Range.empty(f)
        return [(v.floats, first.largest), (v.floats, first.least), (v.ints, first.nonzero)]


def close(f: Function, slot: str, column: int, found: Range, exponent: str, lost: str, error: str) -> None:
    """Stores the state of a buffer that has been written, absorbing the loss where all values are far above it."""
    v = f.vectors
    if v.signed:
        put(f, slot, EXPONENT, column, exponent)
        put(f, slot, LARGEST, column, found.largest)
        return
    bits = f.integer("add", found.nonzero, f.whole(1))
    none = f.op(f"icmp eq {v.ints} {found.nonzero}, {f.whole(-1)}")
    nonzero = f.select(none, f.number(float("inf")), f.from_bits(bits))
    # a bound beyond all numbers stays there: infinity times zero must not come out as no bound at all
    lost = f.select(f.compare("uno", lost, lost), f.number(float("inf")), lost)
    positive = f.compare("ogt", found.least, "zeroinitializer")
    small = f.compare("ole", lost, f.multiply(found.least, f.number(v.epsilon)))
    far = f.op(f"and <{v.width} x i1> {positive}, {small}")
    ratio = f.select(far, f.op(f"fdiv {v.floats} {lost}, {found.least}"), "zeroinitializer")
    put(f, slot, EXPONENT, column, exponent)
    put(f, slot, LARGEST, column, found.largest)
    put(f, slot, LEAST, column, found.least)
    put(f, slot, NONZERO, column, nonzero)
    put(f, slot, LOST, column, f.select(far, "zeroinitializer", lost))
    put(f, slot, ERROR, column, f.add(error, ratio))


def unless(f: Function, sure: str, lost: str) -> str:
    """A loss, or none in the lanes where it is sure that there was none."""
    return f.select(sure, "zeroinitializer", lost)


def both(f: Function, a: str, b: str) -> str:
    """Where both masks hold."""
    return f.op(f"and <{f.vectors.width} x i1> {a}, {b}")


def is_zero(f: Function, a: str) -> str:
    """Where a number is zero."""
    return f.compare("oeq", a, "zeroinitializer")
