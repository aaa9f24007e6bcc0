"""What circuits mean, by enumeration: the judge of evaluators, passes and queries, with none of their code in it.

What enters is a circuit, read as the dataclasses that it is; what leaves are fractions. Each linear map is written out
as the matrix that the language defines, each node is computed for one assignment at a time, each sum over a variable is
a sum over its values. A real variable is summed over points so close that the trapezoid rule errs by less than 1e-17.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from danaus.ir.block import Block, Hadamard, Indexed, Input, Pairs, Product
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Count, Real, Variable
from danaus.ir.expression import (
    Broadcast,
    Divide,
    Exp,
    Expression,
    InputValue,
    Join,
    Log,
    Plus,
    Reshape,
    Share,
    Take,
    Times,
    Total,
)
from danaus.ir.family import Family, Indicator
from danaus.ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Kronecker, LinearMap, Selection, Sparse
from danaus.ir.parameter import Constant, Parameter, Shape
from exact import ONE, ZERO, Assignment, Number, density, exponential, logarithm, values

Index = tuple[int, ...]
Add = Callable[[Any, Any], Any]
Sign = Literal["value", "magnitude", "support"]


def written_out(linear: LinearMap, entry: Callable[[Expression, Index], Any], zero: Any, one: Any, add: Add) -> Any:
    """A linear map as a matrix, rows of outputs, over whatever has a zero, a one, `add` and `*`."""
    out = [[zero] * linear.inputs for _ in range(linear.outputs)]
    match linear:
        case Dense(weights):
            return [[entry(weights, (i, j)) for j in range(linear.inputs)] for i in range(linear.outputs)]
        case Diagonal(weights):
            for i in range(linear.outputs):
                out[i][i] = entry(weights, (i,))
        case BlockDiagonal(weights):
            blocks, rows, columns = weights.shape
            for b, i, j in itertools.product(range(blocks), range(rows), range(columns)):
                out[b * rows + i][b * columns + j] = entry(weights, (b, i, j))
        case Selection(index):
            for i, j in enumerate(index.tolist()):
                out[i][j] = one
        case Sparse(rows, columns, weights):
            for place, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
                out[i][j] = entry(weights, (place,))
        case Kronecker(factors):
            out = [[one]]
            for factor in factors:
                right = written_out(factor, entry, zero, one, add)
                out = [[a * b for a in left for b in other] for left in out for other in right]
        case Compose(maps):
            out = written_out(maps[0], entry, zero, one, add)
            for part in maps[1:]:
                right = written_out(part, entry, zero, one, add)
                out = [[_dot(row, column, zero, add) for column in zip(*right, strict=True)] for row in out]
    return out


def _dot(row: Sequence[Any], column: Sequence[Any], zero: Any, add: Add) -> Any:
    total = zero
    for a, b in zip(row, column, strict=True):
        total = add(total, a * b)
    return total


def entry_of_operand(expression: Expression, index: Index) -> list[tuple[Expression, Index]]:
    """Which entries of its operands an entry of an expression is made of."""
    match expression:
        case Plus(left, right) | Times(left, right) | Divide(left, right) | Share(left, right):
            return [(left, _broadcast(index, left.shape)), (right, _broadcast(index, right.shape))]
        case Total(operand, axis):
            return [(operand, (*index[:axis], k, *index[axis:])) for k in range(operand.shape[axis])]
        case Reshape(operand, shape):
            place = 0
            for digit, size in zip(index, shape, strict=True):
                place = place * size + digit
            digits: list[int] = []
            for size in reversed(operand.shape):
                place, digit = divmod(place, size)
                digits.insert(0, digit)
            return [(operand, tuple(digits))]
        case Broadcast(operand):
            return [(operand, _broadcast(index, operand.shape))]
        case Take(operand, axis, chosen):
            return [(operand, (*index[:axis], chosen[index[axis]], *index[axis + 1 :]))]
        case Join(parts):
            place = index[-1]
            for part in parts:
                if place < part.shape[-1]:
                    return [(part, (*index[:-1], place))]
                place -= part.shape[-1]
            return []
        case Exp(operand) | Log(operand):
            return [(operand, index)]
        case _:
            return []


def _broadcast(index: Index, shape: Shape) -> Index:
    own = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else digit for digit, size in zip(own, shape, strict=True))


class Oracle:
    """A circuit by its definition, over the values that its store holds."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self._matrices: dict[tuple[LinearMap, Add, Sign], list[list[Fraction]]] = {}
        self._entries: dict[tuple[int, Index], Fraction] = {}
        self._densities: dict[tuple[Input, int, Number], Fraction] = {}
        self._held: list[Expression] = []

    def entry(self, expression: Expression, index: Index) -> Fraction:
        """One number of an expression."""
        key = (id(expression), index)
        if key not in self._entries:
            self._held.append(expression)
            self._entries[key] = self._entry(expression, index)
        return self._entries[key]

    def _entry(self, expression: Expression, index: Index) -> Fraction:
        parts = [self.entry(*part) for part in entry_of_operand(expression, index)]
        match expression:
            case Parameter():
                return Fraction(self.circuit.store[expression].exact[index])
            case Constant(value):
                return Fraction(value.exact[index])
            case InputValue():
                return sum(self._terms(expression, index[0]), ZERO)
            case Plus() | Total():
                return sum(parts, ZERO)
            case Times():
                return parts[0] * parts[1]
            case Share() if not parts[0] and not parts[1]:
                return ZERO
            case Divide() | Share():
                return parts[0] / parts[1]
            case Exp():
                return exponential(parts[0])
            case Log():
                return logarithm(parts[0])
            case _:
                return parts[0]

    def entry_magnitude(self, expression: Expression, index: Index) -> Fraction:
        """What rounding in one number of an expression is relative to."""
        operands = entry_of_operand(expression, index)
        exact = [self.entry(*part) for part in operands]
        parts = [self.entry_magnitude(*part) for part in operands]
        match expression:
            case Parameter() | Constant():
                return abs(self.entry(expression, index))
            case InputValue():
                return sum(map(abs, self._terms(expression, index[0])), ZERO)
            case Plus() | Total():
                return sum(parts, ZERO)
            case Times():
                return parts[0] * parts[1]
            case Share() if not parts[0] and not parts[1]:
                return ZERO
            case Divide() | Share():
                return parts[0] * parts[1] / exact[1] ** 2
            case Exp():
                return exponential(exact[0]) * (1 + parts[0])
            case Log():
                return abs(logarithm(exact[0])) + parts[0] / exact[0]
            case _:
                return parts[0]

    def _terms(self, expression: InputValue, node: int) -> list[Fraction]:
        """What is added up for an input at fixed evidence."""
        family, variable, parameters = expression.family, expression.variable, expression.parameters
        if expression.value is not None:
            return [self._density(family, variable, parameters, node, Fraction(expression.value))]
        points = self.points(variable, family, parameters)
        weights = [spacing for _, spacing in points]
        if expression.weights is not None:
            weights = [self.entry(expression.weights, (place,)) for place in range(len(points))]
        return [
            weight * self._density(family, variable, parameters, node, x)
            for weight, (x, _) in zip(weights, points, strict=True)
        ]

    def _density(
        self, family: Family, variable: Variable, parameters: tuple[Expression, ...], node: int, x: Number
    ) -> Fraction:
        rows = [
            [self.entry(part, (node, k)) for k in range(part.shape[1])]
            if len(part.shape) == 2
            else self.entry(part, (node,))
            for part in parameters
        ]
        return density(family, variable.domain, rows, x)

    def density(self, block: Input, node: int, x: Number) -> Fraction:
        """f(x) of one input node."""
        key = (block, node, x)
        if key not in self._densities:
            found = self._density(block.family, block.variable, block.parameters, node, x)
            self._densities[key] = found
        return self._densities[key]

    def matrix(self, linear: LinearMap, add: Add, kind: Sign) -> list[list[Fraction]]:
        """A map written out; a composed one multiplied with the given addition."""
        key = (linear, add, kind)
        if key not in self._matrices:

            def entry(expression: Expression, index: Index) -> Fraction:
                if kind == "magnitude":
                    return self.entry_magnitude(expression, index)
                found = self.entry(expression, index)
                return abs(found) if kind == "support" else found

            self._matrices[key] = written_out(linear, entry, ZERO, ONE, add)
        return self._matrices[key]

    def nodes(
        self, inputs: Callable[[Input, int], Fraction], add: Add = operator.add, kind: Sign = "value"
    ) -> dict[Block, list[Fraction]]:
        """Every node's number, from the numbers of the input nodes."""
        found: dict[Block, list[Fraction]] = {}

        def of(block: Block) -> list[Fraction]:
            if block not in found:
                if isinstance(block, Input):
                    raw = [inputs(block, node) for node in range(block.width)]
                    found[block] = raw if kind == "value" else [abs(number) for number in raw]
                elif isinstance(block, Product):
                    found[block] = [
                        math.prod((of(child)[node] for child, node in factors), start=ONE)
                        for factors in factors_of(block)
                    ]
                else:
                    laid = [number for child in block.children for number in of(child)]
                    found[block] = [_dot(row, laid, ZERO, add) for row in self.matrix(block.map, add, kind)]
            return found[block]

        of(self.circuit.root)
        return found

    def at(self, assignment: Assignment) -> Callable[[Input, int], Fraction]:
        """The numbers of inputs at a complete assignment."""

        def at(block: Input, node: int) -> Fraction:
            x = assignment.get(block.variable)
            if x is None:  # it is under zero weights alone
                x = 0 if isinstance(block.variable.domain, Count | Real) else values(block.variable.domain)[0]
            return self.density(block, node, x)

        return at

    def value(self, assignment: Assignment) -> Fraction:
        """The circuit at a complete assignment. A variable under zero weights alone may have any value."""
        return self.nodes(self.at(assignment))[self.circuit.root][0]

    def magnitude(self, assignment: Assignment) -> Fraction:
        """The same with every weight and input without its sign: what rounding errors are relative to."""
        return self.nodes(self.at(assignment), kind="magnitude")[self.circuit.root][0]

    def supported(self, assignment: Assignment) -> bool:
        """Whether it is not zero where nothing cancels but within the numbers themselves."""
        return self.nodes(self.at(assignment), kind="support")[self.circuit.root][0] != 0

    def largest(self, assignment: Assignment) -> Fraction:
        """The same with every sum replaced by its largest term, and inputs without a value by their largest."""

        def at(block: Input, node: int) -> Fraction:
            x = assignment.get(block.variable)
            if x is None:
                return max(self.density(block, node, value) for value in values(block.variable.domain))
            return self.density(block, node, x)

        return self.nodes(at, max)[self.circuit.root][0]

    def points(
        self, variable: Variable, family: Family | None = None, parameters: tuple[Expression, ...] = ()
    ) -> list[tuple[Number, Fraction]]:
        """The values of a variable that a sum over it takes, each with its weight: 1, on real the distance of points.

        On count and real they reach so far that what is left of the circuit's inputs is below 1e-18.
        """
        if not isinstance(variable.domain, Count | Real):
            return [(value, ONE) for value in values(variable.domain)]
        inputs = self._inputs if family is None else [Input(family, variable, parameters, parameters[0].shape[0])]
        own = [block for block in inputs if block.variable == variable]
        if isinstance(variable.domain, Count):
            highest = 1
            for block in own:
                if isinstance(block.family, Indicator):
                    highest = max(highest, block.family.value)
                for node in range(block.width if block.parameters else 0):
                    rate = self.entry(block.parameters[0], (node,))
                    highest = max(highest, math.ceil(rate + 12 * math.sqrt(rate) + 20))
            return [(value, ONE) for value in range(highest + 1)]
        shapes = [
            tuple(self.entry(part, (k,)) for part in block.parameters) for block in own for k in range(block.width)
        ]
        step = min(s for _, s in shapes) / 2
        low, high = min(m - 9 * s for m, s in shapes), max(m + 9 * s for m, s in shapes)
        return [(low + k * step, step) for k in range(math.ceil((high - low) / step) + 1)]

    @cached_property
    def _inputs(self) -> list[Input]:
        found: dict[Block, None] = {}
        stack: list[Block] = [self.circuit.root]
        while stack:
            block = stack.pop()
            if block not in found:
                found[block] = None
                stack.extend(() if isinstance(block, Input) else block.children)
        return [block for block in found if isinstance(block, Input)]


def factors_of(block: Product) -> list[list[tuple[Block, int]]]:
    """The factors of each node of a product, by position: the child and the node in it."""
    children = block.children
    match block.form:
        case Hadamard():
            return [[(child, i if child.width > 1 else 0) for child in children] for i in range(block.width)]
        case Pairs():
            digits = itertools.product(*(range(child.width) for child in children))
            return [list(zip(children, row, strict=True)) for row in digits]
        case Indexed(offsets, members):
            laid = laid_end_to_end(children)
            bounds = itertools.pairwise(offsets.tolist())
            return [[laid[place] for place in members.tolist()[start:stop]] for start, stop in bounds]


def laid_end_to_end(blocks: Sequence[Block]) -> list[tuple[Block, int]]:
    """The nodes of blocks, one block after the other."""
    return [(block, node) for block in blocks for node in range(block.width)]
