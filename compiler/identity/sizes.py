"""How large a circuit is as a polynomial: bounds of its degree and of the bits of its coefficients.

What enters is a circuit and the size of an input; what leaves counts for all numbers a common denominator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ...ir.block import Block, Indexed, Input, Product, Sum
from ...ir.circuit import Circuit
from ...ir.dependence import in_order
from ...ir.expression import (
    Divide,
    Exp,
    Expression,
    InputTable,
    InputValue,
    Join,
    Log,
    Plus,
    Raised,
    Share,
    Times,
    Total,
)
from ...ir.family import (
    Binomial,
    DiscretizedLogistic,
    Family,
    Gaussian,
    GaussianDerivative,
    InputLog,
    InputPower,
    InputProduct,
    Poisson,
)
from ...ir.linear import expressions
from ...ir.parameter import Constant, Parameter, Value
from ...ir.products import singles_of
from ...ir.store import Store
from .testing import Size

NOTHING = Size(0, 0)


def in_inputs(circuit: Circuit) -> Size:
    """The size of a circuit as a polynomial in its inputs."""
    return _size_of(circuit, lambda block: Size(len(singles_of(block)), 0))


def in_values(circuit: Circuit) -> Size:
    """Its size as a polynomial in the inputs and in the indicators of values, at whatever evidence."""
    return _size_of(circuit, partial(_tabled, circuit.store))


def in_numbers(circuit: Circuit) -> Size:
    """Its size as a polynomial in what is irrational, with indicators that do not count."""
    return _size_of(circuit, partial(_tabled, circuit.store, degree=0))


def _tabled(store: Store, block: Input, degree: int = 1) -> Size:
    """An input as a sum of indicators: degree 1, or as the product of its factors, and the bits of its values."""
    own = _size_of_input(store, block.family, block.parameters)
    count = (block.variable.size or 1).bit_length() + 64
    return Size(
        degree * len(singles_of(block)) + own.degree, own.bits + count, own.symbols * (block.variable.size or 1)
    )


def _size_of(circuit: Circuit, leaf: Callable[[Input], Size]) -> Size:
    known: dict[Block, Size] = {}
    numbers = _Sizes(circuit.store)
    symbols = 0
    for block in circuit.blocks:
        match block:
            case Input():
                found = leaf(block)
            case Product(children, Indexed(offsets, members)):
                laid = np.concatenate(
                    [np.full((c.width, 2), (float(known[c].degree), float(known[c].bits))) for c in children]
                    or [np.zeros((0, 2))]
                )
                running = np.concatenate([np.zeros((1, 2)), np.cumsum(laid[members], axis=0)])
                degree, bits = (running[offsets[1:]] - running[offsets[:-1]]).max(axis=0, initial=0).tolist()
                found = Size(int(degree), int(bits))
            case Product(children):
                found = sum((known[c] for c in children), NOTHING)
            case Sum(children, linear):
                own = sum((numbers.of(each) for each in expressions(linear)), Size(0, linear.inputs.bit_length()))
                symbols += own.symbols
                found = Size(
                    max((known[c].degree for c in children), default=0) + own.degree,
                    max((known[c].bits for c in children), default=0) + own.bits,
                )
        symbols += found.symbols if isinstance(block, Input) else 0
        known[block] = Size(found.degree, found.bits)
    return Size(known[circuit.root].degree, known[circuit.root].bits, symbols)


@dataclass(slots=True)
class _Sizes:
    """The sizes of expressions, numerators and a common denominator of all entries together."""

    store: Store
    known: dict[int, Size] = field(default_factory=dict[int, Size])

    def of(self, expression: Expression) -> Size:
        for step in in_order([expression], lambda step: id(step) in self.known):
            self.known[id(step)] = self._step(step)
        return self.known[id(expression)]

    def _step(self, step: Expression) -> Size:
        match step:
            case Parameter():
                return Size(0, _bits_of_value(self.store[step]))
            case Constant(value):
                return Size(0, _bits_of_value(value))
            case Plus(left, right) | Times(left, right):
                return self.known[id(left)] + self.known[id(right)] + Size(0, 1)
            case Divide(left, right) | Share(left, right):
                # Over one denominator: the product of all divisors.
                below, count = self.known[id(right)], math.prod(right.shape)
                whole = Size(below.degree * count, below.bits * count, below.symbols)
                return self.known[id(left)] + whole + Size(0, 1)
            case Total(operand, axis):
                return self.known[id(operand)] + Size(0, operand.shape[axis].bit_length())
            case Join(parts):
                return sum((self.known[id(part)] for part in parts), NOTHING)
            case Raised(operand, exponent) if exponent.denominator == 1:
                below, count = self.known[id(operand)], math.prod(step.shape) if exponent < 0 else 1
                times = abs(int(exponent)) * count
                return Size(below.degree * times, below.bits * times + 1, below.symbols)
            case Exp(operand) | Log(operand) | Raised(operand):
                below = self.known[id(operand)]
                return Size(1, below.bits, below.symbols + math.prod(step.shape))
            case InputTable(family, _, parameters):
                return _size_of_input(self.store, family, parameters)
            case InputValue(family, _, parameters, _, weights):
                own = NOTHING if weights is None else self.known[id(weights)]
                return _size_of_input(self.store, family, parameters) + own + Size(0, 64)
            case _:
                return self.known[id(step.operand)]


def _size_of_input(store: Store, family: Family, parameters: tuple[Expression, ...]) -> Size:
    sizes = _Sizes(store)
    whole = sum((sizes.of(each) for each in parameters), Size(0, 1))
    match family:
        case InputProduct():
            given = family.split(parameters)
            own = sum((_size_of_input(store, factor, each) for factor, each in given), NOTHING)
            return Size(own.degree, own.bits, own.symbols + math.prod(family.widths) * bool(own.symbols))
        case Binomial(n):
            return Size(whole.degree * n, (whole.bits + 1) * n, whole.symbols)
        case Gaussian() | GaussianDerivative() | Poisson() | DiscretizedLogistic() | InputPower() | InputLog():
            return Size(1, whole.bits, whole.symbols + max([math.prod(each.shape) for each in parameters], default=1))
        case _:
            return whole


def _bits_of_value(value: Value) -> int:
    """The bits of the largest numerator and of the common denominator."""
    if value.rationals is not None:
        exact = value.rationals.ravel().tolist()
        common = math.lcm(*{number.denominator for number in exact})
        return common.bit_length() + max((int(abs(number * common)).bit_length() for number in exact), default=1)
    mantissa, exponent = np.frexp(value.floats[value.floats != 0])
    if not len(mantissa):
        return 1
    return 53 + 2 * max(0, 53 - int(exponent.min())) + max(0, int(exponent.max()))
