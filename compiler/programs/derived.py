"""Tables that are made of other tables, once for each state of the parameters: what folding leaves to compute.

What enters are the tables that a circuit's parameters give; what leaves are those that a folded Program reads. Each is
computed in float64 beside a power of two, so that a chain of any length holds; where float64 cannot hold one exactly
enough all the same, it says so, and the Program is run as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.operation import Contract
from ...ir.semirings import Array

Kind = Literal["product", "pairs", "join", "gather", "apply", "columns", "rows", "compose"]
Shape = tuple[int, ...]

FLOOR = 2.0**-1000
"""The least that a number other than zero may be beside the largest of its table while tables are made."""

REACH = 900
"""The powers of two that the largest number of a table that a Program reads may have."""


class OutOfRange(Exception):
    """float64 does not hold a table."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A table made of others, each named by number: those of the parameters first, then the derived ones.

    Of vectors: the product, elementwise or all pairs; join; gather by an index; apply a map's matrices. Of matrices
    [blocks, rows, columns]: their columns or rows times a vector, laid out as the map reads or writes; or the second
    after the first.
    """

    kind: Kind
    operands: tuple[int, ...]
    shape: Shape
    index: int = -1
    step: Contract | None = None


def made(derived: Derived, given: Sequence[Array], indices: Sequence[Indices]) -> Array:
    """A table from its operands, in floats or fractions."""
    step = derived.step
    match derived.kind:
        case "product":
            return given[0] * given[1]
        case "pairs":
            return np.multiply.outer(given[0], given[1]).ravel()
        case "join":
            return np.concatenate(given)
        case "gather":
            return np.asarray(given[0][indices[derived.index]])
        case "compose":
            return given[1] @ given[0]
    assert step is not None
    read = np.add.outer(np.arange(step.blocks) * step.read.block, np.arange(step.columns) * step.read.node)
    write = np.add.outer(np.arange(step.blocks) * step.write.block, np.arange(step.rows) * step.write.node)
    if derived.kind == "columns":
        return given[0] * given[1][read][:, None, :]
    if derived.kind == "rows":
        return given[0] * given[1][write][:, :, None]
    found = given[0] @ given[1][read][:, :, None]
    out = np.empty(step.blocks * step.rows, dtype=found.dtype)
    out[write.ravel()] = found.ravel()
    return out


@dataclass(frozen=True, slots=True)
class _Scaled:
    """numbers · 2**power; the largest is in [1/2, 1), `least` is the least that is not zero."""

    numbers: Floats
    power: int
    least: float


def _scaled(numbers: Floats, power: int = 0, signed: bool = False) -> _Scaled:
    if signed:  # what underflow takes of these, it takes of their magnitudes, which are asked about it
        largest = float(np.abs(numbers).max(initial=0.0))
        if not largest < np.inf:
            raise OutOfRange
        shift = int(np.frexp(largest)[1]) if largest else 0
        return _Scaled(np.ldexp(numbers, -shift), power + shift, 1.0)
    largest = float(numbers.max(initial=0.0))
    if not (largest < np.inf and numbers.min(initial=0.0) >= 0):
        raise OutOfRange
    shift = int(np.frexp(largest)[1]) if largest else 0
    low = float(numbers.min(initial=1.0))
    least = float(numbers[numbers > 0].min(initial=largest or 1.0)) if low <= 0 else low
    if largest and least / largest < FLOOR:
        raise OutOfRange
    return _Scaled(np.ldexp(numbers, -shift), power + shift, float(np.ldexp(least, -shift)) if largest else 1.0)


def derive(
    given: Sequence[Floats],
    recipe: Sequence[Derived],
    indices: Sequence[Indices],
    wanted: Sequence[int],
    narrowest: float,
    signed: bool = False,
) -> list[Floats]:
    """The wanted tables, by number: given ones as they are, others made. `signed` ones may have negative numbers; then
    those without signs say whether float64 holds them.

    Raises: OutOfRange where one does not fit float64, or where a matrix that was made has numbers other than zero below
    `narrowest` times its largest.
    """
    held: dict[int, _Scaled] = {}

    def scaled(number: int) -> _Scaled:
        if number not in held:
            held[number] = _scaled(given[number], 0, signed)
        return held[number]

    for place, derived in enumerate(recipe, len(given)):
        parts = [scaled(number) for number in derived.operands]
        power = sum(part.power for part in parts)
        numbers = [part.numbers for part in parts]
        if derived.kind == "join":
            power = max(part.power for part in parts)
            if any(np.ldexp(part.least, part.power - power) < FLOOR for part in parts):
                raise OutOfRange
            numbers = [np.ldexp(part.numbers, part.power - power) for part in parts]
        elif np.prod([part.least for part in parts]) < FLOOR:
            raise OutOfRange
        held[place] = _scaled(made(derived, numbers, indices), power, signed)
        if len(derived.shape) == 3 and held[place].least < narrowest:
            raise OutOfRange
    found: list[Floats] = []
    for number in wanted:
        if number < len(given):
            found.append(given[number])
        elif abs(held[number].power) > REACH or np.frexp(held[number].least)[1] + held[number].power < -REACH:
            raise OutOfRange
        else:
            found.append(np.ascontiguousarray(np.ldexp(held[number].numbers, held[number].power)))
    return found
