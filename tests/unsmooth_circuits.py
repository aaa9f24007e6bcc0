"""Small random circuits that are not smooth as a rule: what properties refute, and what smoothing mends.

Every block kind and map, zero and negative weights, parameters and constants, packed blocks of different scopes, by a
seed. `decomposable` keeps the factors of products apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from danaus.ir.block import (
    Block,
    Input,
    Product,
    concat,
    constant_block,
    hadamard,
    in_order,
    indexed,
    input_block,
    pairs,
    select,
    weighted,
)
from danaus.ir.circuit import Circuit
from danaus.ir.density import domain_values
from danaus.ir.domain import Bool, Cat, FiniteDomain, Int, Variable
from danaus.ir.expression import Expression
from danaus.ir.family import Bernoulli, Categorical, Indicator, Table
from danaus.ir.linear import BlockDiagonal, Dense, Diagonal, Kronecker, LinearMap, compose, selection, sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store
from definitions import Definitions, Scope

VARIABLES = (Variable("a", Bool()), Variable("b", Cat(3)), Variable("c", Int(-1, 1)), Variable("d", Bool()))
MORE = (*VARIABLES, Variable("e", Bool()), Variable("f", Bool()))


@dataclass(slots=True)
class Builder:
    """Draws the blocks of one circuit."""

    generator: np.random.Generator
    values: dict[Parameter, Value]
    variables: tuple[Variable, ...]
    decomposable: bool
    positive: bool

    def number(self, high: int) -> int:
        return int(self.generator.integers(high))

    def numbers(self, shape: tuple[int, ...]) -> Expression:
        """Small integers, zero often, as constants or as a parameter, learnable or not."""
        low = 0 if self.positive else -1
        drawn = self.generator.choice([0, 0, 1, 1, 2, low, low], size=shape).astype(float)
        if self.number(4) < 3:
            return constant(drawn)
        made = Parameter(f"w{len(self.values)}", shape, "real", learnable=self.number(2) == 0)
        self.values[made] = Value.of(drawn)
        return made

    def input(self) -> Block:
        variable = self.variables[self.number(len(self.variables))]
        assert isinstance(variable.domain, FiniteDomain)
        width, size = 1 + self.number(3), variable.domain.size
        match self.number(4):
            case 0 if isinstance(variable.domain, Bool):
                return input_block(Bernoulli(), variable, [constant(self.generator.integers(5, size=width) / 4)])
            case 1:
                return input_block(Indicator(int(domain_values(variable)[self.number(size)])), variable)
            case 2:
                rows = self.generator.multinomial(8, np.ones(size) / size, size=width)
                return input_block(Categorical(), variable, [constant(rows / 8)])
            case _:
                return input_block(Table(), variable, [self.numbers((width, size))])

    def map(self, outputs: int, inputs: int, depth: int = 0) -> LinearMap:
        """A map of so many inputs, and of so many outputs where its structure allows."""
        divisors = [n for n in range(2, inputs) if inputs % n == 0]
        match self.number(8):
            case 0:
                return Diagonal(self.numbers((inputs,)))
            case 1:
                return selection(self.generator.integers(inputs, size=outputs), inputs)
            case 2:
                entries = [pair for pair in product(range(outputs), range(inputs)) if self.number(2)]
                table = self.generator.permutation(np.array(entries, dtype=np.int64).reshape(-1, 2))
                return sparse(table[:, 0], table[:, 1], self.numbers((len(table),)), outputs, inputs)
            case 3 if depth < 2:
                first = self.map(1 + self.number(4), inputs, depth + 1)
                return compose([self.map(outputs, first.outputs, depth + 1), first])
            case 4 if divisors:
                blocks = divisors[self.number(len(divisors))]
                return BlockDiagonal(self.numbers((blocks, 1 + self.number(2), inputs // blocks)))
            case 5 if divisors and depth < 2:
                left = divisors[self.number(len(divisors))]
                return Kronecker(
                    (self.map(1 + self.number(2), left, 2), self.map(1 + self.number(2), inputs // left, 2))
                )
            case _:
                return Dense(self.numbers((outputs, inputs)))

    def block(self, made: list[Block]) -> Block:
        """A block over some that were made before."""
        below = {block: {each.variable for each in in_order(block) if isinstance(each, Input)} for block in made}

        def chosen(count: int, apart: bool) -> list[Block]:
            found: list[Block] = []
            for _ in range(count):
                block = made[self.number(len(made))]
                if not apart or not any(below[block] & below[other] for other in found):
                    found.append(block)
            return found

        match self.number(7):
            case 0:
                blocks = chosen(3, self.decomposable)
                width = max(block.width for block in blocks)
                return hadamard([block for block in blocks if block.width in (1, width)])
            case 1:
                blocks = chosen(2, self.decomposable)
                return pairs(blocks if np.prod([block.width for block in blocks]) <= 8 else blocks[:1])
            case 2:
                blocks = chosen(4, False)
                owners = [block for block in blocks for _ in range(block.width)]
                rows = [self._row(owners, below) for _ in range(1 + self.number(4))]
                offsets = np.cumsum([0, *(len(row) for row in rows)])
                return indexed(blocks, offsets, np.array([place for row in rows for place in row], dtype=np.int64))
            case 3 if self.number(3) == 0:
                return constant_block(self.numbers((1 + self.number(2), 1)))
            case _:
                blocks = chosen(1 + self.number(3), False)
                return weighted(blocks, self.map(1 + self.number(4), sum(block.width for block in blocks)))

    def _row(self, owners: list[Block], below: dict[Block, set[Variable]]) -> list[int]:
        """Some nodes; of blocks without a common variable where the circuit is to be decomposable."""
        row: list[int] = []
        for place in self.generator.permutation(len(owners))[: self.number(4)].tolist():
            if not self.decomposable or not any(below[owners[place]] & below[owners[other]] for other in row):
                row.append(place)
        return row


def unsmooth_circuit(
    seed: int, decomposable: bool = True, positive: bool = False, variables: tuple[Variable, ...] = VARIABLES
) -> Circuit:
    """A circuit of three to fifteen blocks over some inputs."""
    builder = Builder(np.random.default_rng(seed), {}, variables, decomposable, positive)
    made: list[Block] = [builder.input() for _ in range(5)]
    for _ in range(3 + seed % 12):
        made.append(builder.block(made[-8:]))
    last = concat([block for block in made[-3:] if not isinstance(block, Input)] or made[-1:])
    if last.width == 1 or builder.number(4) == 0:
        return Circuit(select(last, [0]), Store(builder.values))
    return Circuit(weighted([last], Dense(builder.numbers((1, last.width)))), Store(builder.values))


def factor_scopes(found: Definitions) -> set[Scope]:
    """The scopes of the factors of all products that reach the root."""
    products = (node for node in found.nodes if isinstance(node[0], Product))
    return {found.scope(factor) for node in products for factor in found.below(node)}


def is_laminar(scopes: set[Scope]) -> bool:
    """Whether sets are pairwise nested or disjoint."""
    return all(not a & b or a <= b or b <= a for a, b in combinations(scopes, 2))
