"""A circuit at a random point of a field: inputs as elements, as numbers, or as sums over indicators.

What enters is a circuit and what each of its inputs is worth; what leaves is the root. Distinct input nodes are
indeterminates, a product of inputs is the product of its factors', and what is 1 everywhere is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...ir.apply import apply
from ...ir.block import Block, Input, Product, Sum
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.dependence import in_order
from ...ir.domain import FiniteDomain, Variable
from ...ir.evaluate import forward_by, multiply
from ...ir.expression import Expression, input_value
from ...ir.family import Family, InputProduct, One, Table
from ...ir.numbers import Numbers
from ...ir.parameter import Constant, Parameter, constant
from ...ir.products import singles_of
from ...ir.semirings import Array
from ...ir.semirings.semiring import Semiring
from ...ir.semirings.symbols import Symbols
from ...ir.store import Store

Leaf = Callable[[Input], Array]


def at(circuit: Circuit, leaf: Leaf, numbers: Numbers, semiring: Semiring) -> Array:
    """The root's element, [*trailing], with inputs [width, 1, *trailing]; free variables do not count."""

    def element(block: Block, below: list[Array]) -> Array:
        match block:
            case Input():
                return leaf(block)
            case Product(_, form):
                return multiply(below, form, 1, semiring)
            case Sum(_, linear):
                return apply(linear, semiring.concatenate(below), semiring, numbers)

    (found,) = (value[0, 0] for block, value in forward_by(circuit, element) if block is circuit.root)
    return np.asarray(found)


@dataclass(slots=True)
class Point:
    """A random point: what is drawn for input nodes and for indicators, the same for every circuit that stands there.

    `names` says which variable is meant by another, as after renaming.
    """

    over: Symbols
    random: np.random.Generator
    names: Mapping[Variable, Variable] = field(default_factory=dict[Variable, Variable])
    drawn: dict[object, Array] = field(default_factory=dict[object, Array])

    def elements(self, store: Store) -> Leaf:
        """An element for every distinct input node; 1 for what is 1 everywhere."""

        def leaf(block: Input) -> Array:
            out = np.ones((1, 1), dtype=np.int64)
            for (family, parameters), width in zip(singles_of(block), widths_of(block), strict=True):
                own = self.single(family, block.variable, parameters, width, store)
                out = (out[:, None] * own[None] % self.over.prime).reshape(-1, 1)
            return out

        return leaf

    def single(
        self, family: Family, variable: Variable, parameters: tuple[Expression, ...], width: int, store: Store
    ) -> Array:
        """The elements of an input that is no product, [width, 1]."""
        if isinstance(family, One) or (isinstance(family, Table) and _is_one(parameters[0], store)):
            return np.ones((width, 1), dtype=np.int64)
        named = self.names.get(variable, variable)
        key = (family, named, width, tuple(_identity(store, each) for each in parameters))
        if key not in self.drawn:
            self.drawn[key] = self.random.integers(self.over.prime, size=(width, 1))
        return self.drawn[key]

    def indicators(self, numbers: Numbers) -> Leaf:
        """Inputs on finite domains as sums over values, each with an indicator; others as elements."""
        others = self.elements(numbers.store)

        def leaf(block: Input) -> Array:
            if not isinstance(block.variable.domain, FiniteDomain):
                return others(block)
            x = domain_values(block.variable)
            table = numbers.inputs(block.family, block.variable, block.parameters, x, self.over)
            return np.asarray(self.over.matmul(table, self.weights(block.variable)[:, None]))

        return leaf

    def weights(self, variable: Variable) -> Array:
        """The indicators of a variable's values."""
        named = self.names.get(variable, variable)
        key = ("indicators", named)
        if key not in self.drawn:
            self.drawn[key] = self.random.integers(self.over.prime, size=named.size)
        return self.drawn[key]

    def with_numbers(
        self,
        others: Leaf,
        numbers: Numbers,
        fixed: Mapping[Variable, float] | None = None,
        weights: Mapping[Variable, Expression | None] | None = None,
    ) -> Leaf:
        """`others`, but for inputs on variables that are fixed, or are summed out, under weights or not."""
        fixed, weights = fixed or {}, weights or {}

        def leaf(block: Input) -> Array:
            variable = block.variable
            if variable not in fixed and variable not in weights:
                return others(block)
            given = fixed.get(variable), weights.get(variable)
            return numbers.of(input_value(block.family, variable, block.parameters, block.width, *given), self.over)

        return leaf


def widths_of(block: Input) -> tuple[int, ...]:
    """The number of functions of each factor of an input."""
    return block.family.widths if isinstance(block.family, InputProduct) else (block.width,)


def _is_one(expression: Expression, store: Store) -> bool:
    match expression:
        case Constant(value):
            return bool((value.floats == 1).all()) and value.rationals is None
        case Parameter(learnable=False):
            return _is_one(constant(store[expression]), store)
        case _:
            return False


def _identity(store: Store, expression: Expression) -> object:
    """What two expressions share only where they have the same numbers; a parameter is the constant of its value."""
    match expression:
        case Constant():
            return expression
        case Parameter():
            return constant(store[expression])
        case _:
            values = tuple(constant(store[step]) for step in in_order([expression]) if isinstance(step, Parameter))
            return expression, values
