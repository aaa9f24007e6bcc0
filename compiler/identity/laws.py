"""The law of every operator, tested: what it made is what it says, in its operands.

What enters is a circuit, the operator's name, its operands and its other arguments; what leaves says whether the law
holds. Polynomial laws are identities of computation at random points modulo random primes; those that divide by a mass
say that two functions are proportional, and the mass is 1 in floats; those that leave the polynomials are checked in
float64 against their definition (pointwise.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ...ir.block import Input
from ...ir.circuit import Circuit
from ...ir.domain import FiniteDomain, Variable
from ...ir.expression import Expression
from ...ir.family import Gaussian, GaussianDerivative
from ...ir.numbers import Numbers
from ...ir.parameter import Value, constant
from ...ir.products import singles_of
from ...ir.semirings import Array
from ...ir.semirings.symbols import Symbols
from ..properties import check
from ..properties.normalized import TOLERANCE, total_mass
from .duals import Duals
from .points import Leaf, Point, at, widths_of
from .pointwise import Checked, definition, pointwise
from .products import verify_product
from .sizes import NOTHING, in_values
from .testing import Identity, Size, tested

Outcome = Identity | Checked
Arguments = Mapping[str, object]

POLYNOMIAL = frozenset(
    [
        "add",
        "condition",
        "differentiate",
        "evidence",
        "integrate",
        "monarch_layers",
        "multiply",
        "normalize",
        "rename",
        "restrict",
        "scale",
        "smooth",
    ]
)
# Those that may hold although elements and symbols, which know nothing of what they stand for, differ.
ROUNDED = frozenset(["condition", "integrate", "normalize", "smooth"])
LAWS = POLYNOMIAL | {"divide", "initialise", "log", "power", "reciprocal", "untie"}


def verify_law(
    circuit: Circuit, operator: str, operands: Sequence[Circuit], arguments: Arguments | None = None, seed: int = 0
) -> Outcome:
    """Whether a circuit is what an operator makes of its operands, for their current values.

    `arguments` are those of the circuit's `Origin`. The outcome `holds` or not, and its text says how it was tested.

    Raises: DanausError `untested` where the polynomials are too large, or no assignment can be evaluated.
    """
    given = dict(arguments or {})
    if operator == "multiply":
        return verify_product(circuit, *operands, seed=seed)
    # A power by determinism is none of these: what its products leave out is 0 as a function only.
    if operator == "power" and (times := _natural(given["exponent"])) and _is_structured(operands[0]):
        return verify_product(circuit, *[*operands] * times, seed=seed)
    if operator not in POLYNOMIAL:
        return pointwise(circuit, operands, definition(operator, operands, given), seed)
    case = _Case(circuit, operator, tuple(operands), given)
    outcome = tested(case.agree, case.size, seed)
    if not outcome.holds and (outcome.symbols or _is_infinite(operands)) and operator in ROUNDED:
        return pointwise(circuit, operands, definition(operator, operands, given), seed)
    if outcome.holds and operator in ("condition", "normalize"):
        mass = case.mass()
        return outcome if mass is None else Checked(False, 1, mass)
    return outcome


def _natural(exponent: object) -> int:
    """A natural exponent; 0 for others."""
    found = isinstance(exponent, int | float | Fraction) and exponent >= 1 and exponent == int(exponent)
    return int(exponent) if found and isinstance(exponent, int | float | Fraction) else 0


def _is_structured(circuit: Circuit) -> bool:
    return check(circuit, "structured")["structured"].status == "proved"


def _is_infinite(circuits: Sequence[Circuit]) -> bool:
    return any(not isinstance(variable.domain, FiniteDomain) for circuit in circuits for variable in circuit.variables)


@dataclass(frozen=True, slots=True)
class _Case:
    """A circuit and what it should be."""

    circuit: Circuit
    operator: str
    operands: tuple[Circuit, ...]
    arguments: Mapping[str, Any]

    @property
    def size(self) -> Size:
        """A bound of both sides, each of which stands twice in a proportion."""
        sides = sum((in_values(each) for each in (self.circuit, *self.operands)), Size(1, 64))
        return sides + Size(sides.degree, sides.bits) if self.operator in ("condition", "normalize") else sides

    @property
    def first(self) -> Circuit:
        return self.operands[0]

    def agree(self, over: Symbols, random: np.random.Generator) -> bool:
        point = Point(over, random)
        match self.operator:
            case "condition" | "normalize":
                other = Point(over, random)
                left = self._made(point, True) * self._given(other, True) % over.prime
                right = self._made(other, True) * self._given(point, True) % over.prime
                return left == right
            case "differentiate":
                return self._made(point) == self._slope(point)
            case "rename":
                names: Mapping[Variable, Variable] = next(iter(self.arguments.values()))
                back = {new: old for old, new in names.items()}
                renamed = Point(over, random, back, point.drawn)
                return self._made(renamed) == self._given(point)
            case _:
                return self._made(point) == self._given(point)

    def _made(self, point: Point, indicators: bool = False) -> int:
        numbers = Numbers(self.circuit.store)
        return int(at(self.circuit, _leaf(point, numbers, indicators), numbers, point.over))

    def _given(self, point: Point, indicators: bool = False) -> int:
        """What the circuit should be worth, up to its mass where the operator divides by that."""
        over = point.over
        total = 0
        for circuit in self.operands:
            numbers = Numbers(circuit.store)
            leaf = _leaf(point, numbers, indicators)
            free = 1
            match self.operator:
                case "restrict" | "condition":
                    leaf = point.with_numbers(leaf, numbers, fixed=self.arguments["values"])
                case "integrate":
                    named = self.arguments.get("variables")
                    inputs = {block.variable for block in circuit.blocks if isinstance(block, Input)}
                    summed = {*inputs, *circuit.free} if named is None else set(named)
                    leaf = point.with_numbers(leaf, numbers, weights=dict.fromkeys(summed))
                    for variable in circuit.free:
                        free *= (variable.size or 1) if variable in summed else 1
                case "evidence":
                    given: Mapping[Variable, Value] = self.arguments["weights"]
                    weights: dict[Variable, Expression | None] = {v: constant(w) for v, w in given.items()}
                    leaf = point.with_numbers(leaf, numbers, weights=weights)
                    for variable in circuit.free:
                        if variable in given:
                            free = free * int(over.sum(over.lift(given[variable]), 0)) % over.prime
                case _:
                    pass
            total = (total + int(at(circuit, leaf, numbers, over)) * free) % over.prime
        if self.operator == "scale":
            number = over.lift(Value.of([self.arguments["number"]]))
            total = total * int(number[0]) % over.prime
        return total

    def _slope(self, point: Point) -> int:
        """The derivative of the operand, by dual numbers: inputs on the variable with their derivatives."""
        by: Variable = self.arguments["variable"]
        numbers, duals = Numbers(self.first.store), Duals(point.over)
        plain = point.elements(self.first.store)

        def leaf(block: Input) -> Array:
            if block.variable != by:
                return duals.embed(plain(block))
            out = duals.full((1, 1), one=True)
            for (family, parameters), width in zip(singles_of(block), widths_of(block), strict=True):
                value = point.single(family, by, parameters, width, self.first.store)
                slope = np.zeros_like(value)
                if isinstance(family, Gaussian | GaussianDerivative):
                    order = family.order if isinstance(family, GaussianDerivative) else 0
                    above = GaussianDerivative(order + 1)
                    slope = point.single(above, by, parameters, width, self.first.store)
                both = np.stack([value, slope], axis=-1)
                out = duals.multiply(out[:, None], both[None]).reshape(-1, 1, 2)
            return np.asarray(out)

        return int(at(self.first, leaf, numbers, duals)[1])

    def mass(self) -> str | None:
        """What is wrong with the mass, which should be 1: exactly, or, where inputs round, within 1e-9."""
        found = total_mass(self.circuit)
        return None if abs(found.value - 1) <= TOLERANCE or self._is_one() else f"its mass is {found.value!r}, not 1"

    def _is_one(self) -> bool:
        """Whether the mass is 1 as an identity, where cancellation hides it from floats."""

        def agree(over: Symbols, random: np.random.Generator) -> bool:
            numbers = Numbers(self.circuit.store)
            point = Point(over, random)
            every = {block.variable for block in self.circuit.blocks if isinstance(block, Input)}
            leaf = point.with_numbers(point.elements(self.circuit.store), numbers, weights=dict.fromkeys(every))
            sizes = [variable.size or 1 for variable in self.circuit.free]
            free = int(np.prod(np.array(sizes, dtype=object))) if sizes else 1
            return int(at(self.circuit, leaf, numbers, over)) * free % over.prime == 1

        return tested(agree, sum((in_values(each) for each in (self.circuit,)), NOTHING), 0).holds


def _leaf(point: Point, numbers: Numbers, indicators: bool) -> Leaf:
    return point.indicators(numbers) if indicators else point.elements(numbers.store)
