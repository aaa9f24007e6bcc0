"""A circuit with locally normalised weights and inputs: the same function divided by its mass.

What enters is a smooth, decomposable circuit none of whose numbers is negative; what leaves is a root over expressions
of the same parameters, so that it stays normalised when they change. With s the masses below a map W, row r becomes
W[r, c]·s[c] / Σ W[r, c′]·s[c′], map by map (R. Peharz et al., "On theoretical properties of sum-product networks",
AISTATS 2015). A row without mass is 0, and so is its weight above. What has no variables is 1, and goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ...ir.block import (
    Block,
    Hadamard,
    Indexed,
    Input,
    Pairs,
    Product,
    Sum,
    hadamard,
    indexed,
    input_block,
    ones_block,
    pairs,
    select,
    weighted,
)
from ...ir.circuit import Circuit
from ...ir.domain import FiniteDomain
from ...ir.expression import Expression, divide, input_value, join, plus, raised, reshape, share, take, times, total
from ...ir.family import Categorical, Gaussian, Indicator, InputPower, InputProduct, One, Poisson, Table
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
    expressions,
    selection,
)
from ...ir.parameter import constant
from ...ir.products import require_integral, singles_of
from ..properties.signs import Signs
from ..rewrite import formed
from .layers import factors_in_turn
from .masses import Mass, map_mass, ones, product_mass, sums_to_one, table_of
from .scale import times as scaled

_PLAIN = Gaussian | Poisson | Indicator | One


def is_positive(circuit: Circuit) -> bool:
    """Whether no number of any weight or input is negative, reached or not."""
    signs = Signs(circuit.store)
    for block in circuit.blocks:
        match block:
            case Input(Table(), _, (values,)) if not signs.of(values).all():
                return False
            case Input(family, _, parameters) if not isinstance(family, Table) and not signs.of_inputs(
                family, parameters
            ):
                return False
            case Sum(_, linear) if not all(signs.of(weights).all() for weights in expressions(linear)):
                return False
            case _:
                pass
    return True


def locally_normalised(circuit: Circuit) -> Block:
    """The root of p/Z, for a circuit that `is_positive`, of a mass that is neither 0 nor infinite.

    Raises: DanausError `no-closed-integral`.
    """
    work = _Normalising(circuit)
    for block in circuit.blocks:
        match block:
            case Input():
                work.input(block)
            case Product(children, form, width):
                below = [work.mass[child] for child in children]
                work.mass[block] = product_mass(form, below, [child.width for child in children], width)
                work.new[block] = work.product(block)
            case Sum():
                work.sum(block)
    root = work.new[circuit.root]
    if root is None:
        root = ones_block(1, circuit.root.span)
    sizes = [variable.size for variable in circuit.free]
    return scaled(root, Fraction(1, int(np.prod([size or 1 for size in sizes], dtype=object)))) if sizes else root


class _Normalising:
    """Blocks made anew, None where they have no variables, with their masses."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.new: dict[Block, Block | None] = {}
        self.mass: dict[Block, Mass] = {}

    def input(self, block: Input) -> None:
        self.new[block], self.mass[block] = block, None
        finite = isinstance(block.variable.domain, FiniteDomain)
        match block.family:
            case Categorical() if sums_to_one(block.parameters[0], self.circuit.store):
                pass
            case One() | InputProduct() | Table() | Categorical() if finite:
                table = table_of(block.family, block.variable, block.parameters, block.width)
                sums = total(table, 1)
                rows = share(table, reshape(sums, (block.width, 1)))
                self.new[block] = input_block(Categorical(), block.variable, [rows], block.span)
                self.mass[block] = sums
            case InputProduct() | InputPower() as family if not finite and self.circuit.live[block].any():
                require_integral(family, block.variable)
                mass = reshape(input_value(family, block.variable, block.parameters, block.width), (block.width,))
                self.mass[block] = mass
                plain = all(isinstance(factor, _PLAIN) for factor, _ in singles_of(block))
                self.new[block] = (
                    _density(block, family)
                    if plain and isinstance(family, InputProduct)
                    else weighted([block], Diagonal(share(constant([1]), mass)), block.span)
                )
            case _:
                pass

    def product(self, block: Product) -> Block | None:
        """The product of the children that have variables."""
        kept = [child for child in (self.new[child] for child in block.children) if child is not None]
        if not kept:
            return None
        if len(kept) == len(block.children):
            return formed(block, kept)
        match block.form:
            case Hadamard():
                made = kept[0] if len(kept) == 1 else hadamard(kept, block.span)
                return made if made.width == block.width else select(made, [0] * block.width, block.span)
            case Pairs():
                made = kept[0] if len(kept) == 1 else pairs(kept, block.span)
                grid = np.arange(made.width).reshape([1 if self.new[c] is None else c.width for c in block.children])
                index = np.broadcast_to(grid, [child.width for child in block.children]).ravel()
                return made if made.width == block.width else select(made, index, block.span)
            case Indexed(offsets, members):
                there = np.concatenate([np.full(c.width, self.new[c] is not None) for c in block.children])
                places = np.cumsum(there) - 1
                stays = there[members]
                bounds = np.concatenate([[0], np.cumsum(stays)])[offsets]
                return indexed(kept, bounds, places[members[stays]], block.span)

    def sum(self, block: Sum) -> None:
        """The sum over the children, those without variables as ones; None where none has any."""
        below = [self.mass[child] for child in block.children]
        laid = None
        if any(mass is not None for mass in below):
            given = [ones(c.width) if m is None else m for c, m in zip(block.children, below, strict=True)]
            laid = join(given)
        made, self.mass[block] = self.map(block.map, laid)
        children = [self.new[child] for child in block.children]
        self.new[block] = None
        if any(child is not None for child in children):
            there = [ones_block(c.width) if n is None else n for c, n in zip(block.children, children, strict=True)]
            same = isinstance(made, Selection) and made.is_identity and len(there) == 1
            self.new[block] = there[0] if same else weighted(there, made, block.span)

    def map(self, linear: LinearMap, below: Mass) -> tuple[LinearMap, Mass]:
        """A map with rows that sum to 1, and the masses that it leaves."""
        match linear:
            case Compose() | Kronecker():
                made: list[LinearMap] = []
                for part in reversed(factors_in_turn(linear)):
                    step, below = self.map(part, below)
                    if not (isinstance(step, Selection) and step.is_identity):
                        made.insert(0, step)
                return compose(made or [selection(np.arange(linear.inputs), linear.inputs)]), below
            case Selection(index, _):
                return linear, None if below is None else take(below, 0, index)
            case Dense(weights) | BlockDiagonal(weights) if below is None and sums_to_one(weights, self.circuit.store):
                return linear, None
            case _:
                pass
        n, m = linear.inputs, linear.outputs
        s = ones(n) if below is None else below
        above = map_mass(linear, s)
        match linear:
            case Diagonal():
                return selection(np.arange(n), n), above
            case Dense(weights):
                return Dense(share(times(weights, reshape(s, (1, n))), reshape(above, (m, 1)))), above
            case BlockDiagonal(weights):
                b, rows, columns = weights.shape
                own = times(weights, reshape(s, (b, 1, columns)))
                return BlockDiagonal(share(own, reshape(above, (b, rows, 1)))), above
            case Sparse(rows_, columns_, weights):
                own = times(weights, take(s, 0, columns_))
                return replace(linear, weights=share(own, take(above, 0, rows_))), above


def _density(block: Input, family: InputProduct) -> Block:
    """A product of inputs on an infinite domain, one that has an integral, as a distribution."""
    points = [factor for factor in family.factors if isinstance(factor, Indicator)]
    if points:
        one = input_block(points[0], block.variable, (), block.span)
        return one if block.width == 1 else select(one, [0] * block.width, block.span)
    given = family.split(block.parameters)
    rates = [own[0] for factor, own in given if isinstance(factor, Poisson)]
    if rates:
        return input_block(Poisson(), block.variable, rates, block.span)
    mean, deviation = _gaussian([own for factor, own in given if isinstance(factor, Gaussian)])
    return input_block(Gaussian(), block.variable, [mean, deviation], block.span)


def _gaussian(given: Sequence[tuple[Expression, ...]]) -> tuple[Expression, Expression]:
    """Mean and deviation of products of gaussians, for all pairs of their nodes, [width]: with w = 1/s², the mean is
    Σ w m / Σ w and the deviation 1/√Σ w."""
    one = constant([1])
    weight: Expression | None = None
    mean: Expression | None = None
    for m, s in given:
        own = divide(one, times(s, s))
        first, size = times(own, m), (1, m.shape[0])
        if weight is None or mean is None:
            weight, mean = own, first
            continue
        rows = (weight.shape[0], 1)
        width = rows[0] * size[1]
        mean = reshape(plus(reshape(mean, rows), reshape(first, size)), (width,))
        weight = reshape(plus(reshape(weight, rows), reshape(own, size)), (width,))
    assert weight is not None and mean is not None
    return divide(mean, weight), raised(weight, Fraction(-1, 2))
