"""Random deterministic circuits, and their functions by enumeration in fractions; a seed gives the same one again."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from danaus.compiler.properties import check
from danaus.ir.block import Block, concat, hadamard, indexed, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Domain, Int, Variable
from danaus.ir.family import Bernoulli, Binomial, Indicator, Table
from danaus.ir.linear import Kronecker, selection
from danaus.ir.parameter import constant
from danaus.ir.store import Store
from naive import value
from small_circuits import Maker

DOMAINS: list[Domain] = [Bool(), Cat(3), Cat(4), Int(0, 2), Int(-1, 2)]


class Deciding(Maker):
    """Draws blocks whose sums take nodes that are never non-zero together, through any map and form of product."""

    def decided(self, variable: Variable, width: int) -> Block:
        """Nodes on one variable with disjoint supports."""
        first = variable.domain.lo if isinstance(variable.domain, Int) else 0
        groups = self.random.integers(width, size=variable.size)
        if width == variable.size and self.random.random() < 0.4:
            return concat([input_block(Indicator(first + code), variable) for code in range(width)])
        rows = np.where(groups == np.arange(width)[:, None], self.random.integers(1, 9, (width, len(groups))), 0) / 4
        return input_block(Table(), variable, [constant(rows)])  # learnable zeros would count as other than zero

    def free(self, variable: Variable, width: int) -> Block:
        """Any input on one variable."""
        domain = variable.domain
        if isinstance(domain, Bool) and self.random.random() < 0.5:
            return input_block(Bernoulli(), variable, [self.numbers((width,), signed=False)])
        if isinstance(domain, Int) and domain.lo == 0 and self.random.random() < 0.7:
            return input_block(Binomial(domain.hi), variable, [self.numbers((width,), signed=False)])
        return input_block(Table(), variable, [self.numbers((width, variable.size or 0))])

    def block(self, variables: list[Variable], width: int) -> Block:
        """A block over all of the variables, each of whose sums decides one of them."""
        if len(variables) == 1 and self.random.random() < 0.4:
            return self.free(variables[0], width)
        order = [variables[i] for i in self.random.permutation(len(variables))]
        if len(order) > 2 and self.random.random() < 0.3:
            return hadamard([self.block(order[:1], width), self.block(order[1:], width)])
        k = int(self.random.integers(1, 5))
        decided = self.decided(order[0], k)
        if len(order) == 1:
            return weighted([decided], self.map(width, k))
        match int(self.random.integers(4)):
            case 0:
                below = self.block(order[1:], 2)
                linear = Kronecker((self.map(width, k), selection([0, 1], 2)))
                both = weighted([pairs([decided, below])], linear)
                return weighted(
                    [both], selection(2 * np.arange(width) + self.random.integers(2, size=width), 2 * width)
                )
            case 1:
                below = self.block(order[1:], 2)
                rows = [[i, k + int(self.random.integers(2))] for i in self.random.permutation(k)]
                made = indexed([decided, below], 2 * np.arange(k + 1), [j for row in rows for j in row])
            case 2:
                made = hadamard([decided, self.block(order[1:], 1)])
            case _:
                made = hadamard([decided, self.block(order[1:], k)])
        return weighted([made], self.map(width, k))


@functools.cache
def deciding_circuit(seed: int, signed: bool = False, count: int | None = None) -> Circuit:
    """A smooth, decomposable, deterministic circuit over one to four variables of finite domains."""
    maker = Deciding(seed, signed)
    count = count or int(maker.random.integers(1, 5))
    variables = [Variable(f"x{i}", DOMAINS[int(maker.random.integers(len(DOMAINS)))]) for i in range(count)]
    root = maker.block(variables, 1)
    free = (Variable("free", Bool()),) if seed % 7 == 0 else ()
    return Circuit(root, Store(maker.values), f"deciding {seed}", free)


def table(circuit: Circuit) -> tuple[np.ndarray, list[Fraction]]:
    """All assignments of a circuit's variables, [rows, variables], and its value at each by its definition."""
    axes = []
    for variable in circuit.variables:
        first = variable.domain.lo if isinstance(variable.domain, Int) else 0
        axes.append([first + code for code in range(variable.size or 0)])
    rows = list(itertools.product(*axes))
    values = [Fraction(value(circuit, dict(zip(circuit.variables, row, strict=True)))) for row in rows]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(axes)), values


def telling(make: Callable[[int], Circuit], count: int, start: int = 0) -> list[tuple[Callable[[int], Circuit], int]]:
    """A maker with seeds of smooth circuits of several variables that are not zero everywhere."""
    found: list[tuple[Callable[[int], Circuit], int]] = []
    for seed in itertools.count(start):
        if len(found) == count:
            return found
        circuit = make(seed)
        if len(circuit.variables) < 2 or check(circuit, "smooth")["smooth"].status != "proved":
            continue  # a row of zeros has no scope
        if any(table(circuit)[1]):
            found.append((make, seed))
    raise AssertionError
