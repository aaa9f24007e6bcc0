"""Circuits by their definition, with nothing of the evaluator: node by node, matrices written out, sums by enumeration.

Slow and plain on purpose: it is what answers are compared with. Numbers are fractions wherever the family allows it.
"""

from __future__ import annotations

import functools
import itertools
import math
from fractions import Fraction
from math import prod

import numpy as np

from danaus.ir.block import Block, Hadamard, Indexed, Input, Pairs, Product, Sum
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Int, Variable
from danaus.ir.expression import Expression
from danaus.ir.family import Bernoulli, Binomial, Categorical, Gaussian, Indicator, InputProduct, One, Poisson, Table
from danaus.ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Kronecker, LinearMap, Selection, Sparse
from danaus.ir.parameter import Constant

Number = Fraction | float
Assignment = dict[Variable, float]


def numbers(circuit: Circuit, expression: Expression) -> np.ndarray:
    """The fractions of a constant or a parameter, as an object array."""
    value = expression.value if isinstance(expression, Constant) else circuit.store[expression]
    return np.array(value.exact, dtype=object)


@functools.cache
def rows(circuit: Circuit, linear: LinearMap) -> list[list[tuple[int, Fraction]]]:
    """The non-zero entries of each row of a linear map."""
    return [[(j, w) for j, w in enumerate(row) if w] for row in matrix(circuit, linear)]


def matrix(circuit: Circuit, linear: LinearMap) -> np.ndarray:
    """A linear map written out, [outputs, inputs] of fractions."""
    out = np.full((linear.outputs, linear.inputs), Fraction(0), dtype=object)
    match linear:
        case Dense(weights):
            return numbers(circuit, weights)
        case Diagonal(weights):
            for i, w in enumerate(numbers(circuit, weights)):
                out[i, i] = w
        case BlockDiagonal(weights):
            blocks = numbers(circuit, weights)
            _, m, n = blocks.shape
            for b, block in enumerate(blocks):
                out[b * m : (b + 1) * m, b * n : (b + 1) * n] = block
        case Selection(index, _):
            for i, j in enumerate(index):
                out[i, j] = Fraction(1)
        case Sparse(rows, columns, weights):
            for i, j, w in zip(rows, columns, numbers(circuit, weights), strict=True):
                out[i, j] = w
        case Kronecker(factors):
            out = np.array([[Fraction(1)]], dtype=object)
            for factor in factors:
                out = np.kron(out, matrix(circuit, factor))
        case Compose(maps):
            out = matrix(circuit, maps[0])
            for part in maps[1:]:
                out = out @ matrix(circuit, part)
    return out


@functools.cache
def input_value(circuit: Circuit, block: Input, node: int, x: float) -> Number:
    """f(x) of one input node, by the language's definition of its family."""
    parts = [numbers(circuit, part) for part in block.parameters]
    first = block.variable.domain.lo if isinstance(block.variable.domain, Int) else 0
    match block.family:
        case Bernoulli():
            return parts[0][node] if x == 1 else 1 - parts[0][node]
        case Categorical() | Table():
            return parts[0][node, int(x) - first]
        case Binomial(n):
            v, p = int(x), parts[0][node]
            return math.comb(n, v) * p**v * (1 - p) ** (n - v)
        case Indicator(value):
            return Fraction(int(x == value))
        case InputProduct(widths=widths):
            digits = np.unravel_index(node, widths)
            return prod(
                input_value(circuit, Input(family, block.variable, own, width), int(digit), x)
                for (family, own), width, digit in zip(
                    block.family.split(block.parameters), widths, digits, strict=True
                )
            )
        case One():
            return Fraction(1)
        case Gaussian():
            m, s = float(parts[0][node]), float(parts[1][node])
            return math.exp(-0.5 * ((x - m) / s) ** 2) / (s * math.sqrt(2 * math.pi))
        case Poisson():
            rate = float(parts[0][node])
            return math.exp(x * math.log(rate) - rate - math.lgamma(x + 1))
        case _:
            raise NotImplementedError(block.family)


def value(circuit: Circuit, x: Assignment, replaced: dict[tuple[Block, int], Number] | None = None) -> Number:
    """The circuit at a complete assignment; `replaced` puts numbers in the place of input nodes."""
    nodes: dict[Block, list[Number]] = {}
    replaced = replaced or {}
    for block in circuit.blocks:
        match block:
            case Input(variable=variable):
                nodes[block] = [
                    replaced.get((block, k), input_value(circuit, block, k, x.get(variable, 0.0)))
                    for k in range(block.width)
                ]
            case Product(children, Hadamard(), width):
                nodes[block] = [
                    prod(nodes[child][i if child.width > 1 else 0] for child in children) for i in range(width)
                ]
            case Product(children, Pairs()):
                nodes[block] = [prod(row) for row in itertools.product(*(nodes[child] for child in children))]
            case Product(children, Indexed(offsets, members), width):
                laid = [v for child in children for v in nodes[child]]
                named = [members[offsets[i] : offsets[i + 1]] for i in range(width)]
                nodes[block] = [prod((laid[j] for j in row), start=Fraction(1)) for row in named]
            case Sum(children, linear):
                laid = [v for child in children for v in nodes[child]]
                nodes[block] = [sum((w * laid[j] for j, w in row), Fraction(0)) for row in rows(circuit, linear)]
    return nodes[circuit.root][0]


def domain(variable: Variable) -> list[int]:
    """The values of a finite domain."""
    assert variable.size is not None
    first = variable.domain.lo if isinstance(variable.domain, Int) else 0
    return list(range(first, first + variable.size))


class Enumeration:
    """A circuit over finite domains as the table of its values at all assignments."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.variables = circuit.variables
        self.assignments = list(itertools.product(*(domain(variable) for variable in self.variables)))
        self.values = [value(circuit, dict(zip(self.variables, row, strict=True))) for row in self.assignments]

    def matching(self, row: np.ndarray, observed: np.ndarray) -> list[tuple[tuple[int, ...], Number]]:
        """The assignments that agree with a row where it is observed, with their values."""
        return [
            (assignment, worth)
            for assignment, worth in zip(self.assignments, self.values, strict=True)
            if all(a == v for a, v, known in zip(assignment, row, observed, strict=True) if known)
        ]

    def mass(self, row: np.ndarray, observed: np.ndarray) -> Number:
        """The sum of the circuit over what a row leaves out."""
        return sum((worth for _, worth in self.matching(row, observed)), Fraction(0))


@functools.cache
def enumeration(circuit: Circuit) -> Enumeration:
    """The table of a circuit, made once."""
    return Enumeration(circuit)


def log(x: Number) -> float:
    """The logarithm of a fraction, however small; −inf of zero."""
    if x == 0:
        return -math.inf
    x = Fraction(x)
    return math.log(x.numerator) - math.log(x.denominator)
