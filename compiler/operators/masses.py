"""Masses as expressions: what the nodes of blocks sum to, from what their children do. Nothing is computed.

What enters are expressions of the children's masses, [width]; what leaves are those of a product or of a map. None
stands for masses that are all 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...ir.block import Block, Form, Hadamard, Indexed, Input, Pairs, Product, Sum
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.domain import Variable
from ...ir.expression import (
    Broadcast,
    Expression,
    Reshape,
    broadcast,
    input_table,
    input_value,
    join,
    plus,
    reshape,
    take,
    times,
    total,
)
from ...ir.family import Bernoulli, Categorical, Family, Indicator, InputProduct, One, Table
from ...ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    rotation,
)
from ...ir.parameter import Constant, Parameter, constant
from ...ir.store import Store

Mass = Expression | None

# What rounding leaves of a row that sums to 1, for each of its numbers.
_ROUNDING = 2.0**-50


def ones(width: int) -> Expression:
    """Masses of 1."""
    return constant(np.ones(width))


def product_mass(form: Form, below: Sequence[Mass], widths: Sequence[int], width: int) -> Mass:
    """The masses of a product's nodes."""
    if all(mass is None for mass in below):
        return None
    given = [ones(w) if mass is None else mass for mass, w in zip(below, widths, strict=True)]
    match form:
        case Hadamard():
            whole = _all(times, [mass for mass, own in zip(given, below, strict=True) if own is not None])
            return broadcast(whole, (width,))
        case Pairs():
            spread = [
                reshape(mass, (*(1,) * place, w, *(1,) * (len(widths) - 1 - place)))
                for place, (mass, w) in enumerate(zip(given, widths, strict=True))
            ]
            return reshape(broadcast(_all(times, spread), tuple(widths)), (width,))
        case Indexed(offsets, members):
            laid = take(reshape(join(given), (1, sum(widths))), 1, members)
            return reshape(_segments(times, 1, laid, offsets), (width,))


def map_mass(linear: LinearMap, below: Expression) -> Expression:
    """A map times masses [inputs]: [outputs]."""
    return reshape(mapped(linear, reshape(below, (1, linear.inputs))), (linear.outputs,))


def mapped(linear: LinearMap, x: Expression) -> Expression:
    """A map times each row of an expression [rows, inputs]: [rows, outputs]."""
    rows = x.shape[0]
    match linear:
        case Dense(weights):
            return total(times(reshape(weights, (1, *weights.shape)), reshape(x, (rows, 1, linear.inputs))), 2)
        case Diagonal(weights):
            return times(reshape(weights, (1, linear.inputs)), x)
        case BlockDiagonal(weights):
            b, m, n = weights.shape
            spread = times(reshape(weights, (1, b, m, n)), reshape(x, (rows, b, 1, n)))
            return reshape(total(spread, 3), (rows, b * m))
        case Selection(index, _):
            return x if linear.is_identity else take(x, 1, index)
        case Sparse(_, columns, weights, _, _, order, offsets):
            given = times(reshape(weights, (1, len(columns))), take(x, 1, columns))
            return _segments(plus, 0, take(given, 1, order), offsets)
        case Compose(maps):
            for part in reversed(maps):
                x = mapped(part, x)
            return x
        case Kronecker(factors):
            size = linear.inputs
            for factor in reversed(factors):
                blocks = size // factor.inputs
                own = mapped(factor, reshape(x, (rows * blocks, factor.inputs)))
                size = blocks * factor.outputs
                x = take(reshape(own, (rows, size)), 1, rotation((blocks, factor.outputs)).index)
            return x


def _all(operation: Callable[[Expression, Expression], Expression], given: Sequence[Expression]) -> Expression:
    """One expression of several, in pairs."""
    left = list(given)
    while len(left) > 1:
        left = [operation(*left[i : i + 2]) if i + 1 < len(left) else left[i] for i in range(0, len(left), 2)]
    return left[0]


def _segments(
    operation: Callable[[Expression, Expression], Expression], unit: int, x: Expression, offsets: Indices
) -> Expression:
    """Sums or products of the stretches offsets[i] … offsets[i + 1] of each row: neighbours in pairs, until one is
    left of each stretch."""
    starts, lengths = offsets[:-1], np.diff(offsets)
    units = constant(np.full((x.shape[0], 1), unit))
    while True:
        size = x.shape[1]
        padded = join([x, units])
        if not len(lengths) or lengths.max() <= 1:
            return take(padded, 1, np.where(lengths > 0, starts, size))
        halves = (lengths + 1) // 2
        bounds = np.concatenate([[0], np.cumsum(halves)])
        segment = np.repeat(np.arange(len(halves)), halves)
        position = 2 * (np.arange(bounds[-1]) - bounds[segment])
        left = starts[segment] + position
        right = np.where(position + 1 < lengths[segment], left + 1, size)
        x = operation(take(padded, 1, left), take(padded, 1, right))
        starts, lengths = bounds[:-1], halves


def table_of(family: Family, variable: Variable, parameters: tuple[Expression, ...], width: int) -> Expression:
    """An input's values on a finite domain: an expression [width, n]."""
    x = domain_values(variable)
    match family:
        case Categorical() | Table():
            return parameters[0]
        case One():
            return constant(np.ones((1, len(x))))
        case Indicator(value):
            return constant(np.asarray(x == value, dtype=np.float64)[None])
        case Bernoulli():
            p = reshape(parameters[0], (width, 1))
            return join([plus(constant([[1]]), times(constant([[-1]]), p)), p])
        case InputProduct(_, widths):
            whole: Expression = constant(np.ones((1, len(x))))
            for (factor, own), w in zip(family.split(parameters), widths, strict=True):
                table = reshape(table_of(factor, variable, own, w), (1, w, len(x)))
                rows = whole.shape[0]
                whole = reshape(times(reshape(whole, (rows, 1, len(x))), table), (rows * w, len(x)))
            return whole
        case _:
            return input_table(family, variable, parameters, width)


def sums_to_one(expression: Expression, store: Store) -> bool:
    """Whether rows are given as distributions, and are to within rounding: a simplex, or constants."""
    while isinstance(expression, Broadcast | Reshape):
        if expression.shape[-1:] != expression.operand.shape[-1:]:
            return False
        expression = expression.operand
    match expression:
        case Parameter(constraint="simplex"):
            value = store[expression]
        case Constant(value):
            pass
        case _:
            return False
    if not value.shape or (value.floats < 0).any():
        return False
    return bool((np.abs(value.floats.sum(axis=-1) - 1) <= _ROUNDING * value.shape[-1]).all())


def total_of(circuit: Circuit) -> Expression:
    """The mass of a smooth, decomposable circuit without its free variables: [1, 1]."""
    known: dict[Block, Expression] = {}
    for block in circuit.blocks:
        match block:
            case Input(width=width) if not circuit.live[block].any():  # it may have no integral
                known[block] = ones(width)
            case Input(family, variable, parameters, width):
                known[block] = reshape(input_value(family, variable, parameters, width), (width,))
            case Product(children, form, width):
                below = [known[child] for child in children]
                mass = product_mass(form, below, [child.width for child in children], width)
                known[block] = ones(width) if mass is None else mass
            case Sum(children, linear):
                known[block] = map_mass(linear, join([known[child] for child in children]))
    return reshape(known[circuit.root], (1, 1))
