"""Small random circuits of every block kind and map, and what their nodes are made of, written out node by node.

`expanded` is the definition that the properties are held against: dense matrices, sets and loops, and none of the
analyses of the IR.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
from danaus.ir.block import (
    Block,
    Hadamard,
    Indexed,
    Input,
    Pairs,
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
from danaus.ir.expression import Expression, Parameter, Value, constant
from danaus.ir.family import Bernoulli, Categorical, Indicator, Table
from danaus.ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    compose,
    selection,
    sparse,
)
from danaus.ir.numbers import Numbers
from danaus.ir.semirings import LINEAR
from danaus.ir.store import Store

VARIABLES = (Variable("a", Bool()), Variable("b", Cat(3)), Variable("c", Int(-1, 1)), Variable("d", Bool()))


@dataclass(slots=True)
class Builder:
    """Draws blocks; `decomposable` keeps the factors of products apart, `positive` draws no negative numbers."""

    generator: np.random.Generator
    values: dict[Parameter, Value]
    decomposable: bool = True
    positive: bool = False
    variables: tuple[Variable, ...] = VARIABLES

    def number(self, high: int) -> int:
        return int(self.generator.integers(high))

    def numbers(self, shape: tuple[int, ...]) -> Expression:
        """Small integers, zero often, as constants or as a parameter, learnable or not."""
        low = 0 if self.positive else -1
        drawn = self.generator.choice([0, 0, 1, 1, 2, *([low] * 2)], size=shape).astype(float)
        kind = self.number(4)
        if kind < 3:
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
                rows = self.generator.dirichlet(np.ones(size), size=width)
                return input_block(Categorical(), variable, [constant(rows)])
            case _:
                return input_block(Table(), variable, [self.numbers((width, size))])

    def map(self, outputs: int, inputs: int, depth: int = 0) -> LinearMap:
        """A map with so many inputs, and as many outputs as its structure allows."""
        divisors = [n for n in range(2, inputs) if inputs % n == 0]
        kind = self.number(8)
        if kind == 0:
            return Diagonal(self.numbers((inputs,)))
        if kind == 1:
            return selection(self.generator.integers(inputs, size=outputs), inputs)
        if kind == 2:
            entries = [pair for pair in product(range(outputs), range(inputs)) if self.number(2)]
            rows, columns = [pair[0] for pair in entries], [pair[1] for pair in entries]
            order = self.generator.permutation(len(entries))
            return sparse(np.array(rows)[order], np.array(columns)[order], self.numbers((len(entries),)), outputs, inputs)
        if kind == 3 and depth < 2:
            first = self.map(1 + self.number(4), inputs, depth + 1)
            return compose([self.map(outputs, first.outputs, depth + 1), first])
        if kind == 4 and divisors:
            blocks = divisors[self.number(len(divisors))]
            return BlockDiagonal(self.numbers((blocks, 1 + self.number(2), inputs // blocks)))
        if kind == 5 and divisors and depth < 2:
            left = divisors[self.number(len(divisors))]
            return Kronecker((self.map(1 + self.number(2), left, 2), self.map(1 + self.number(2), inputs // left, 2)))
        return Dense(self.numbers((outputs, inputs)))

    def block(self, made: list[Block], mentioned: dict[Block, set[Variable]]) -> Block:
        """A block over some that were made before; `mentioned` are the variables below each."""

        def some(count: int, apart: bool) -> list[Block]:
            found: list[Block] = []
            for _ in range(count):
                block = made[self.number(len(made))]
                if not apart or not any(mentioned[block] & mentioned[other] for other in found):
                    found.append(block)
            return found

        kind = self.number(7)
        if kind == 0:
            chosen = some(3, self.decomposable)
            width = max(block.width for block in chosen)
            return hadamard([block for block in chosen if block.width in (1, width)])
        if kind == 1:
            chosen = some(2, self.decomposable)
            return pairs(chosen if np.prod([block.width for block in chosen]) <= 8 else chosen[:1])
        if kind == 2:
            chosen = some(4, False)
            owner = [block for block in chosen for _ in range(block.width)]
            rows: list[list[int]] = []
            for _ in range(1 + self.number(4)):
                row: list[int] = []
                for member in self.generator.permutation(len(owner))[: self.number(4)].tolist():
                    if not self.decomposable or not any(mentioned[owner[member]] & mentioned[owner[i]] for i in row):
                        row.append(member)
                rows.append(row)
            offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
            return indexed(chosen, offsets, np.array([member for row in rows for member in row], dtype=np.int64))
        if kind == 3 and self.number(3) == 0:
            return constant_block(self.numbers((1 + self.number(2), 1)))
        chosen = some(1 + self.number(3), False)
        total = sum(block.width for block in chosen)
        return weighted(chosen, self.map(1 + self.number(4), total))


def random_circuit(seed: int, size: int = 10, decomposable: bool = True, positive: bool = False) -> Circuit:
    """A circuit of about so many blocks; not smooth as a rule."""
    builder = Builder(np.random.default_rng(seed), {}, decomposable, positive)
    made: list[Block] = [builder.input() for _ in range(5)]
    mentioned: dict[Block, set[Variable]] = {}
    for _ in range(size):
        for block in made:
            below = (each.variable for each in in_order(block) if isinstance(each, Input))
            mentioned.setdefault(block, set(below))
        made.append(builder.block(made[-8:], mentioned))
    last = concat([block for block in made[-3:] if not isinstance(block, Input)] or made[-1:])
    root = select(last, [0]) if last.width == 1 or builder.number(4) == 0 else None
    if root is None:
        root = weighted([last], Dense(builder.numbers((1, last.width))))
    return Circuit(root, Store(builder.values))


@dataclass(frozen=True)
class Expanded:
    """Every node by itself: what it is made of, its scope, and whether it reaches the root."""

    made_of: dict[tuple[Block, int], list[tuple[Block, int]]]
    scope: dict[tuple[Block, int], frozenset[Variable]]
    live: set[tuple[Block, int]]

    def is_smooth(self) -> bool:
        return all(
            len({self.scope[child] for child in self.made_of[node]}) <= 1
            for node in self.live
            if not isinstance(node[0], Input | Product)
        )

    def is_decomposable(self) -> bool:
        return all(
            sum(len(self.scope[child]) for child in self.made_of[node])
            == len(frozenset().union(*(self.scope[child] for child in self.made_of[node])))
            for node in self.live
            if isinstance(node[0], Product)
        )

    def factor_scopes(self) -> set[frozenset[Variable]]:
        return {
            self.scope[child] for node in self.live if isinstance(node[0], Product) for child in self.made_of[node]
        }

    def is_laminar(self) -> bool:
        found = self.factor_scopes()
        return all(a <= b or b <= a or not a & b for a in found for b in found)


def expanded(circuit: Circuit) -> Expanded:
    """The circuit node by node, with learnable numbers as random integers, so that only what must vanish does."""
    generator = np.random.default_rng(7)
    values = {
        parameter: Value.of(generator.integers(1, 10**4, size=parameter.shape).astype(float))
        if parameter.learnable
        else circuit.store[parameter]
        for parameter in circuit.parameters
    }
    numbers = Numbers(Store(values))
    made_of: dict[tuple[Block, int], list[tuple[Block, int]]] = {}
    scope: dict[tuple[Block, int], frozenset[Variable]] = {}
    for block in circuit.blocks:
        if isinstance(block, Input):
            for i in range(block.width):
                made_of[block, i], scope[block, i] = [], frozenset([block.variable])
            continue
        laid = [(child, i) for child in block.children for i in range(child.width)]
        for i in range(block.width):
            made_of[block, i] = [laid[j] for j in _positions(block, i, numbers)]
            scope[block, i] = frozenset().union(*(scope[child] for child in made_of[block, i]))
    live: set[tuple[Block, int]] = set()
    stack = [(circuit.root, 0)]
    while stack:
        node = stack.pop()
        if node not in live:
            live.add(node)
            stack += made_of[node]
    return Expanded(made_of, scope, live)


def _positions(block: Block, i: int, numbers: Numbers) -> list[int]:
    assert not isinstance(block, Input)
    if not isinstance(block, Product):
        return np.flatnonzero(matrix(block.map, numbers)[i]).tolist()
    starts = np.concatenate([[0], np.cumsum([child.width for child in block.children])])
    match block.form:
        case Indexed(offsets, members):
            return members[offsets[i] : offsets[i + 1]].tolist()
        case Hadamard():
            return [int(s) + (i if child.width > 1 else 0) for s, child in zip(starts, block.children, strict=False)]
        case Pairs():
            index = list(product(*(range(child.width) for child in block.children)))[i]
            return [int(s) + j for s, j in zip(starts, index, strict=False)]


def matrix(linear: LinearMap, numbers: Numbers) -> Any:
    """A map as a dense matrix."""
    match linear:
        case Dense(weights):
            return numbers.of(weights, LINEAR)
        case Diagonal(weights):
            return np.diag(numbers.of(weights, LINEAR))
        case BlockDiagonal(weights):
            out = np.zeros((linear.outputs, linear.inputs))
            _, m, n = weights.shape
            for b, part in enumerate(numbers.of(weights, LINEAR)):
                out[b * m : (b + 1) * m, b * n : (b + 1) * n] = part
            return out
        case Selection(index, inputs):
            return np.eye(inputs)[index]
        case Sparse(rows, columns, weights, outputs, inputs):
            out = np.zeros((outputs, inputs))
            out[rows, columns] = numbers.of(weights, LINEAR)
            return out
        case Kronecker(parts):
            return reduce(np.kron, [matrix(part, numbers) for part in parts])
        case Compose(parts):
            return reduce(np.matmul, [matrix(part, numbers) for part in parts])


def assignments(variables: tuple[Variable, ...]) -> Any:
    """All assignments of variables with finite domains, [rows, variables]."""
    rows = list(product(*(domain_values(variable) for variable in variables)))
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(variables))


def value(circuit: Circuit, assignment: dict[Variable, float]) -> float:
    """The circuit's value, from dense matrices; variables that it does not mention are ignored."""
    numbers = Numbers(circuit.store)
    found: dict[Block, Any] = {}
    for block in circuit.blocks:
        if isinstance(block, Input):
            x = np.array([assignment.get(block.variable, domain_values(block.variable)[0])])
            found[block] = numbers.inputs(block.family, block.variable, block.parameters, x, LINEAR)[:, 0]
            continue
        laid = np.concatenate([np.zeros(0), *(found[child] for child in block.children)])
        if isinstance(block, Product):
            rows = [_positions(block, i, numbers) for i in range(block.width)]
            found[block] = np.array([np.prod(laid[row]) if row else 1.0 for row in rows])
        else:
            found[block] = matrix(block.map, numbers) @ laid
    return float(found[circuit.root][0])


