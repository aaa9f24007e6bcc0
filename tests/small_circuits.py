"""Small random circuits, smooth and decomposable, of all block forms and maps; a seed gives the same one again."""

from __future__ import annotations

import functools

import numpy as np

from danaus.ir.block import Block, concat, hadamard, indexed, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Domain, Int, Variable
from danaus.ir.expression import Expression
from danaus.ir.family import Bernoulli, Binomial, Categorical, Indicator, One, Table
from danaus.ir.linear import (
    BlockDiagonal,
    Dense,
    Diagonal,
    Kronecker,
    LinearMap,
    Selection,
    compose,
    monarch,
    selection,
    sparse,
)
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store

_SIXTEENTHS = 16


class Maker:
    """Draws circuits; `signed` lets weights and tables be negative, `zeros` lets them be zero."""

    def __init__(self, seed: int, signed: bool = False, zeros: bool = True) -> None:
        self.random = np.random.default_rng(seed)
        self.signed, self.zeros = signed, zeros
        self.values: dict[Parameter, Value] = {}

    def pick(self, *choices: object) -> object:
        return choices[int(self.random.integers(len(choices)))]

    def numbers(self, shape: tuple[int, ...], signed: bool | None = None) -> Expression:
        """Sixteenths, as a constant or a parameter."""
        low = -_SIXTEENTHS if (self.signed if signed is None else signed) else 0 if self.zeros else 1
        entries = self.random.integers(low, _SIXTEENTHS + 1, size=shape)
        if self.zeros:
            entries = np.where(self.random.random(shape) < 0.2, 0, entries)
        return self.named(entries / _SIXTEENTHS)

    def named(self, array: np.ndarray) -> Expression:
        if self.random.random() < 0.5:
            return constant(array)
        parameter = Parameter(f"w{len(self.values)}", array.shape, None, bool(self.random.random() < 0.5))
        self.values[parameter] = Value.of(array)
        return parameter

    def simplex(self, width: int, size: int) -> Expression:
        """Rows that sum to one exactly, in 256ths."""
        cuts = np.sort(self.random.integers(0, 257, size=(width, size - 1)), axis=1)
        bounds = np.concatenate([np.zeros((width, 1)), cuts, np.full((width, 1), 256)], axis=1)
        return constant(np.diff(bounds, axis=1) / 256)

    def input(self, variable: Variable, width: int) -> Block:
        domain = variable.domain
        kind = self.random.integers(6)
        if kind == 0:
            values = range(domain.lo if isinstance(domain, Int) else 0, 10**6)[: variable.size]
            nodes = [input_block(Indicator(int(self.random.choice(list(values)))), variable) for _ in range(width)]
            return nodes[0] if width == 1 else concat(nodes)
        if kind == 1 and width == 1:
            return input_block(One(), variable)
        if kind <= 3 and variable.size is not None:
            return input_block(Table(), variable, [self.numbers((width, variable.size))])
        if isinstance(domain, Bool):
            return input_block(Bernoulli(), variable, [self.numbers((width,), signed=False)])
        if isinstance(domain, Int) and domain.lo == 0 and self.random.random() < 0.7:
            return input_block(Binomial(domain.hi), variable, [self.numbers((width,), signed=False)])
        return input_block(Categorical(), variable, [self.simplex(width, variable.size or 0)])

    def map(self, m: int, n: int) -> LinearMap:
        """Any map that takes n inputs to m outputs."""
        kind = int(self.random.integers(8))
        if kind == 0 and m == n:
            return Diagonal(self.numbers((n,)))
        if kind == 1 and m % 2 == n % 2 == 0:
            return BlockDiagonal(self.numbers((2, m // 2, n // 2)))
        if kind == 2:
            kept = np.argwhere(self.random.random((m, n)) < 0.6)
            self.random.shuffle(kept)
            if len(kept):
                return sparse(kept[:, 0], kept[:, 1], self.numbers((len(kept),)), m, n)
        if kind == 3 and m % 2 == n % 2 == 0:
            return Kronecker((self.map(2, 2), self.map(m // 2, n // 2)))
        if kind == 4:
            middle = int(self.random.integers(1, 5))
            return compose([self.map(m, middle), self.map(middle, n)])
        if kind == 5 and m == n == 4:
            return monarch([self.numbers((2, 2, 2)), self.numbers((2, 2, 2))])
        if kind == 6:
            return compose([Dense(self.numbers((m, n))), selection(self.random.permutation(n), n)])
        if kind == 7:
            return Selection(self.random.integers(0, n, size=m), n)
        return Dense(self.numbers((m, n)))

    def over(self, variables: list[Variable], width: int) -> Block:
        """A block of nodes over all of the variables."""
        if len(variables) == 1:
            block = self.input(variables[0], int(self.pick(1, width, 3)))  # type: ignore[call-overload]
        else:
            order = [variables[i] for i in self.random.permutation(len(variables))]
            cuts = sorted({1, int(self.random.integers(1, len(order)))})
            parts = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True) if a < b]
            block = self.product(parts)
        for _ in range(int(self.random.integers(2))):
            block = weighted([block], self.map(int(self.random.integers(1, 5)), block.width))
        if self.random.random() < 0.3:
            other = self.over(variables, 2)
            return weighted([block, other], self.map(width, block.width + other.width))
        return block if block.width == width else weighted([block], self.map(width, block.width))

    def product(self, parts: list[list[Variable]]) -> Block:
        match int(self.random.integers(5)):
            case 0:
                width = int(self.random.integers(1, 5))
                return hadamard([self.over(part, int(self.pick(1, width))) for part in parts])  # type: ignore[call-overload]
            case 1:
                return pairs([self.over(part, int(self.random.integers(1, 3))) for part in parts])
            case 2:
                return self.ragged([self.over(part, int(self.random.integers(1, 4))) for part in parts])
            case 3 if len(parts) == 2:
                return self.packed(parts)
            case _:
                return hadamard([self.over(part, 2) for part in parts])

    def ragged(self, blocks: list[Block]) -> Block:
        """Products of one node of each block, some also of a block without variables."""
        starts = np.cumsum([0, *(block.width for block in blocks)])
        four = weighted([indexed([], [0, 0], [])], Dense(constant([[4.0]])))
        rows = []
        for _ in range(int(self.random.integers(1, 5))):
            row = [int(start + self.random.integers(block.width)) for start, block in zip(starts, blocks, strict=False)]
            row += [int(starts[-1])] * int(self.random.integers(3))
            rows.append(self.random.permutation(row).tolist())
        bounds = np.cumsum([0, *(len(row) for row in rows)])
        return indexed([*blocks, four], bounds, [j for row in rows for j in row])

    def packed(self, parts: list[list[Variable]]) -> Block:
        """A block whose nodes have different scopes, a sum of each half, and products across the halves."""
        laid = concat([self.over(part, 2) for part in parts])
        kept = [(i, j) for i in range(4) for j in range(4) if i // 2 == j // 2]
        if self.random.random() < 0.5:
            linear: LinearMap = BlockDiagonal(self.numbers((2, 2, 2)))
        else:
            rows, columns = zip(*kept, strict=True)
            linear = sparse(rows, columns, self.numbers((len(kept),)), 4, 4)
        sums = weighted([laid], linear)
        pairs_of = self.random.integers([0, 2], [2, 4], size=(3, 2))
        return indexed([sums], [0, 2, 4, 6], pairs_of.ravel())


@functools.cache
def random_circuit(seed: int, signed: bool = False, count: int | None = None, booleans: bool = False) -> Circuit:
    """A circuit over one to five variables of finite domains; now and then one of them is free."""
    maker = Maker(seed, signed)
    count = count or int(maker.random.integers(1, 6))
    domains: list[Domain] = [Bool(), Cat(3), Int(0, 2), Int(-1, 1), Cat(2, ("low", "high"))]
    variables = [
        Variable(f"x{i}", Bool() if booleans else domains[int(maker.random.integers(len(domains)))])
        for i in range(count)
    ]
    root = maker.over(variables, 1)
    free = (Variable("free", Bool()),) if seed % 7 == 0 else ()
    return Circuit(root, Store(maker.values), f"random {seed}", free)


@functools.cache
def deterministic_circuit(seed: int) -> Circuit:
    """A circuit whose sums each decide one variable, so that at most one child is not zero, through any map."""
    maker = Maker(seed)
    count = int(maker.random.integers(1, 5))
    domains: list[Domain] = [Bool(), Cat(4), Int(0, 2), Int(-1, 2)]
    variables = [Variable(f"x{i}", domains[int(maker.random.integers(4))]) for i in range(count)]
    block: Block | None = None
    for variable in variables:
        size = variable.size or 0
        first = variable.domain.lo if isinstance(variable.domain, Int) else 0
        decided: Block = concat([input_block(Indicator(first + code), variable) for code in range(size)])
        if block is not None:
            below = weighted([block], selection(maker.random.integers(0, block.width, size), block.width))
            decided = hadamard([decided, below])
        last = variable is variables[-1]
        block = weighted([decided], maker.map(1 if last else int(maker.random.integers(1, 5)), size))
    assert block is not None
    return Circuit(block, Store(maker.values), f"deterministic {seed}")


def evidence(circuit: Circuit, rows: int, seed: int, missing: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Random rows of values, and a random mask of what is observed; one row observes nothing, one all."""
    random = np.random.default_rng(seed)
    columns = []
    for variable in circuit.variables:
        first = variable.domain.lo if isinstance(variable.domain, Int) else 0
        columns.append(first + random.integers(0, variable.size, size=rows))
    values = np.stack(columns, axis=1).astype(np.float64) if columns else np.zeros((rows, 0))
    observed = random.random(values.shape) >= missing
    observed[:1], observed[1:2] = False, True
    return values, observed
