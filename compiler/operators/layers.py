"""Monarch layers: Kronecker products of maps as permuted block-diagonal factors, tied or with numbers of their own.

(A₁ ⊗ … ⊗ A_M) x = Π (I ⊗ Aᵢ with the digits in turn): each factor acts on the last digit of the index, which then
becomes the first. Source: seeds of the Monarch HMM (arXiv 2506.12383), for factors of any number and size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...ir.block import Block, Input, Product, Sum, input_block, weighted
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.dependence import parameters_of
from ...ir.domain import FiniteDomain
from ...ir.expression import Broadcast, Expression, Reshape, broadcast, reshape
from ...ir.family import InputProduct, Table
from ...ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    compose,
    rotation,
    selection,
    sparse,
)
from ...ir.numbers import Numbers
from ...ir.parameter import Constraint, Parameter, Value
from ...ir.semirings import EXACT, LINEAR
from ..rewrite import with_children
from .operands import require_circuits
from .sides import written_out

Copies = dict[tuple[int, int], Expression]
"""Numbers that were copied so many times already, by the identity of what was copied, which each of them holds."""


def monarch_layers(circuit: Circuit) -> Circuit:
    """The same function with each Kronecker product of maps as permuted block-diagonal factors, their blocks tied.

    Of an HMM times an HMM the transitions become Monarch maps. A map of one output stays as it is, and so does one with
    a sparse factor. Nothing is computed.
    """
    require_circuits("monarch_layers", circuit)
    new: dict[Block, Block] = {}
    copies: Copies = {}
    for block in circuit.blocks:
        if isinstance(block, Sum) and (linear := layered(block.map, copies)) is not block.map:
            new[block] = weighted([new[child] for child in block.children], linear, block.span)
        else:
            new[block] = with_children(block, new)
    return replace(circuit, root=new[circuit.root], origin=None)


def layered(linear: LinearMap, copies: Copies | None = None) -> LinearMap:
    """A map with its Kronecker products as block-diagonal factors; itself where it has none to be turned.

    With `copies` of several maps, blocks of one matrix are one expression, so that a chain's steps share a table.
    """
    copies = {} if copies is None else copies
    parts = linear.maps if isinstance(linear, Compose) else (linear,)
    if not any(_turns(part) for part in parts):
        return linear
    out: list[LinearMap] = []
    for part in parts:
        out += _factors(part, copies) if _turns(part) else [part]
    return compose(_without_identities(out))


def _turns(linear: LinearMap) -> bool:
    return isinstance(linear, Kronecker) and linear.outputs > 1 and not _has_sparse(linear)


def _has_sparse(linear: LinearMap) -> bool:
    match linear:
        case Kronecker(parts) | Compose(parts):
            return any(map(_has_sparse, parts))
        case _:
            return isinstance(linear, Sparse)


def _factors(linear: LinearMap, copies: Copies) -> list[LinearMap]:
    """The factors of a Kronecker product, the last applied first."""
    assert isinstance(linear, Kronecker)
    size = linear.inputs
    applied: list[LinearMap] = []
    for factor in reversed(linear.factors):
        blocks = size // factor.inputs
        applied += [*_on_digit(factor, blocks, copies), rotation((blocks, factor.outputs))]
        size = blocks * factor.outputs
    return applied[::-1]


def factors_in_turn(linear: LinearMap) -> list[LinearMap]:
    """The parts of a map without Kronecker products, the last applied first."""
    match linear:
        case Compose(maps):
            return _without_identities([step for part in maps for step in factors_in_turn(part)])
        case Kronecker():
            return _without_identities(_factors(linear, {}))
        case _:
            return [linear]


def _on_digit(factor: LinearMap, blocks: int, copies: Copies) -> list[LinearMap]:
    """A map on the last digit of an index, of so many blocks, as maps of which the first is applied first."""
    match factor:
        case Dense(weights):
            return [BlockDiagonal(_copied(weights, (1, *weights.shape), blocks, copies))]
        case BlockDiagonal(weights):
            return [BlockDiagonal(_copied(weights, weights.shape, blocks, copies))]
        case Diagonal(weights):
            return [Diagonal(_copied(weights, weights.shape, blocks, copies))]
        case Selection(index, inputs):
            every = np.arange(blocks)[:, None] * inputs + index
            return [selection(every.ravel(), blocks * inputs)]
        case Compose(maps):
            return [step for part in reversed(maps) for step in _on_digit(part, blocks, copies)]
        case Kronecker(parts):
            # The identity on the blocks is one more factor, whose digit is turned with the others.
            same = selection(np.arange(blocks), blocks)
            return _factors(Kronecker((same, *parts)), copies)[::-1]
        case Sparse(rows, columns, weights, outputs, inputs):
            number = np.arange(blocks)[:, None]
            spread = broadcast(reshape(weights, (1, len(rows))), (blocks, len(rows)))
            row, column = (number * outputs + rows).ravel(), (number * inputs + columns).ravel()
            return [sparse(row, column, reshape(spread, (blocks * len(rows),)), blocks * outputs, blocks * inputs)]


def _copied(weights: Expression, shape: Sequence[int], blocks: int, copies: Copies) -> Expression:
    """So many copies of numbers, along the first axis of a shape that they have."""
    key = (id(weights), blocks)
    if key not in copies:
        spread = broadcast(reshape(weights, (1, *shape)), (blocks, *shape))
        copies[key] = reshape(spread, (blocks * shape[0], *shape[1:]))
    return copies[key]


def _without_identities(parts: Sequence[LinearMap]) -> list[LinearMap]:
    kept = [part for part in parts if not (isinstance(part, Selection) and part.is_identity)]
    return kept or [parts[0]]


class Untying:
    """New parameters for derived numbers, equal ones the same: what is tied over time stays so."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.numbers = Numbers(circuit.store)
        self.values: dict[Parameter, Value] = {}
        self.known: dict[object, Parameter] = {}

    def number(self, expression: Expression, constraint: Constraint | None = None) -> Expression:
        """A parameter of the value that an expression has now; itself where it is derived from nothing learnable."""
        if isinstance(expression, Parameter) or not any(each.learnable for each in parameters_of([expression])):
            return expression
        found = self.known.get(expression)
        if found is None:
            found = self.known[expression] = self.fresh(self.value(expression), constraint)
        return found

    def value(self, expression: Expression) -> Value:
        """What an expression is worth: rationals where its parameters have such."""
        given = (self.circuit.store[each] for each in parameters_of([expression]))
        over = LINEAR if all(each.rationals is None for each in given) else EXACT
        return Value.of(np.array(self.numbers.of(expression, over)))

    def fresh(self, value: Value, constraint: Constraint | None) -> Parameter:
        """A learnable parameter of a value."""
        name = f"{self.circuit.name}.untied#{len(self.values)}" if self.values else f"{self.circuit.name}.untied"
        made = Parameter(name, value.shape, constraint)
        self.values[made] = value
        return made

    def map(self, linear: LinearMap) -> LinearMap:
        """A map over numbers of its own, in the constraint that its numbers stand in."""
        match linear:
            case Dense(weights):
                return Dense(self.number(weights, self._rows(weights)))
            case BlockDiagonal(weights):
                return BlockDiagonal(self.number(weights, self._rows(weights)))
            case Diagonal(weights):
                return Diagonal(self.number(weights))
            case Sparse():
                return replace(linear, weights=self.number(linear.weights))
            case Compose(maps):
                return compose([self.map(part) for part in maps])
            case Kronecker(factors) if linear.outputs == 1 and not _has_sparse(linear):
                return Dense(self.number(written_out(linear), self._all_rows(factors)))
            case Kronecker(factors):
                return Kronecker(tuple(map(self.map, factors)))
            case Selection():
                return linear

    def _rows(self, expression: Expression) -> Constraint | None:
        """The simplex where all parameters of an expression that copies are on it."""
        while isinstance(expression, Broadcast | Reshape):
            if expression.shape[-1] != expression.operand.shape[-1]:
                return None
            expression = expression.operand
        return "simplex" if isinstance(expression, Parameter) and expression.constraint == "simplex" else None

    def _all_rows(self, factors: Sequence[LinearMap]) -> Constraint | None:
        """Products of distributions are distributions."""
        found = [self._rows(each.weights) if isinstance(each, Dense) else None for each in factors]
        return "simplex" if all(each == "simplex" for each in found) else None

    def table(self, block: Input) -> Block:
        """A product of inputs on a finite domain as a table of its own."""
        x = domain_values(block.variable)
        values = np.array(self.numbers.inputs(block.family, block.variable, block.parameters, x, LINEAR))
        return input_block(Table(), block.variable, [self.shared(block, Value.of(values), None)], block.span)

    def shared(self, block: Input, value: Value, constraint: Constraint | None) -> Parameter:
        """One parameter for all inputs of one family over the same parameters: emissions that are tied over time."""
        key = (block.family, block.variable.domain, tuple(map(id, block.parameters)), constraint)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.fresh(value, constraint)
        return found


def untie(circuit: Circuit) -> Circuit:
    """The same function with parameters of its own for every derived number: each block of a tied Monarch factor, and
    each node of a product of inputs on a finite domain, which becomes a table.

    What stands at several places, such as the steps of a chain, stays tied between them. Its values are those that the
    numbers have now, its parameters new ones: unnormalised, with `integrate` as its partition.
    """
    require_circuits("untie", circuit)
    untying = Untying(circuit)
    new: dict[Block, Block] = {}
    for block in circuit.blocks:
        match block:
            case Input(family=InputProduct()) if isinstance(block.variable.domain, FiniteDomain):
                new[block] = untying.table(block)
            case Sum():
                below = [new[child] for child in block.children]
                new[block] = weighted(below, untying.map(layered(block.map)), block.span)
            case Input() | Product():
                new[block] = with_children(block, new)
    store = circuit.store.updated(untying.values)
    made = replace(circuit, root=new[circuit.root], origin=None)
    return replace(made, store=store.restricted(made.parameters))
