"""Random circuits over one vtree, each made together with the table of its values: a circuit and what it must mean.

Two circuits over one vtree are compatible. With `decided` their sums decide on the value of a variable, so that they
are deterministic. Nothing is normalised; some weights and values are zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from danaus.ir.block import Block, concat, hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Domain, Int, Variable
from danaus.ir.expression import Expression
from danaus.ir.family import Bernoulli, Categorical, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store

Floats = NDArray[np.float64]
Vtree = Variable | tuple["Vtree", "Vtree"]
Made = tuple[Block, Floats]


def variables_made(seed: int, count: int, binary: bool = False) -> list[Variable]:
    """Variables of finite domains."""
    random = np.random.default_rng(seed)
    domains: list[Domain] = [Bool()] if binary else [Bool(), Cat(3), Int(-1, 1)]
    return [Variable(f"x{i}", domains[int(random.integers(len(domains)))]) for i in range(count)]


def vtree_made(seed: int, variables: list[Variable]) -> Vtree:
    """A random vtree, whose leaves from left to right are the variables in order."""
    random = np.random.default_rng(seed)

    def over(some: list[Variable]) -> Vtree:
        if len(some) == 1:
            return some[0]
        at = int(random.integers(1, len(some)))
        return over(some[:at]), over(some[at:])

    return over(variables)


@dataclass(eq=False)
class Over:
    """Draws circuits over a vtree; `positive` leaves no value zero, `signed` lets numbers be negative."""

    vtree: Vtree
    seed: int
    decided: bool = True
    positive: bool = False
    signed: bool = False

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.values: dict[Parameter, Value] = {}

    def circuit(self, name: str = "p") -> tuple[Circuit, Floats]:
        """A circuit, and its values: an axis per variable."""
        block, table = self._node(self.vtree)
        return Circuit(block, Store(self.values), name), table

    def _numbers(self, shape: tuple[int, ...]) -> Floats:
        found = self.random.integers(1, 9, size=shape) / 4.0
        if not self.positive:
            found = np.where(self.random.random(shape) < 0.15, 0.0, found)
        if self.signed:
            found = np.where(self.random.random(shape) < 0.3, -found, found)
        return found

    def _given(self, numbers: Floats) -> Expression:
        """A constant, or a parameter, which may be learnable."""
        kind = int(self.random.integers(3))
        if not kind:
            return constant(numbers)
        parameter = Parameter(f"w{len(self.values)}", numbers.shape, None, kind == 2)
        self.values[parameter] = Value.of(numbers)
        return parameter

    def _node(self, vtree: Vtree) -> Made:
        if isinstance(vtree, Variable):
            return self._input(vtree)
        count = int(self.random.integers(1, 4))
        parts = self._parts(vtree, count)
        weights = self._numbers((1, len(parts)))
        weights[0, 0] = weights[0, 0] or 0.5  # a sum of nothing has no scope
        block = weighted([concat([block for block, _ in parts])], Dense(self._given(weights)))
        return block, sum((w * table for w, (_, table) in zip(weights[0], parts, strict=True)), np.zeros(1))

    def _parts(self, vtree: Vtree, count: int) -> list[Made]:
        """Circuits that are not positive at once, where the sums decide."""
        if isinstance(vtree, Variable):
            return self._tables(vtree, count)
        left, right = vtree
        first = bool(self.random.integers(2))
        parts = self._parts(left if first else right, count)
        others = [self._node(right if first else left) for _ in parts]
        shared = others[:1] * len(others)
        if self.random.random() < 0.3:
            others = shared
        pairs = [(a, b) if first else (b, a) for a, b in zip(parts, others, strict=True)]
        return [(hadamard([a, b]), np.multiply.outer(x, y)) for (a, x), (b, y) in pairs]

    def _tables(self, variable: Variable, count: int) -> list[Made]:
        size = variable.size or 0
        if not self.decided:
            return [self._input(variable) for _ in range(count)]
        owner = self.random.permutation(np.arange(size) % min(count, size))
        made: list[Made] = []
        for part in range(min(count, size)):
            numbers = np.where(owner == part, self._numbers((size,)), 0.0)
            made.append((input_block(Table(), variable, [constant(numbers[None])]), numbers))
        return made

    def _input(self, variable: Variable) -> Made:
        size = variable.size or 0
        kind = int(self.random.integers(3))
        if kind == 0 and isinstance(variable.domain, Bool):
            p = float(self.random.integers(1, 8)) / 8
            return input_block(Bernoulli(), variable, [constant(np.array([p]))]), np.array([1 - p, p])
        if kind == 1:
            numbers = self.random.dirichlet(np.ones(size))
            return input_block(Categorical(), variable, [constant(numbers[None])]), numbers
        numbers = self._numbers((size,))
        return input_block(Table(), variable, [self._given(numbers[None])]), numbers


def pair(seed: int, count: int, binary: bool = False, **kinds: bool) -> tuple[list[tuple[Circuit, Floats]], Vtree]:
    """Two circuits over one vtree, with their tables."""
    vtree = vtree_made(seed, variables_made(seed, count, binary))
    return [Over(vtree, 2 * seed + i, **kinds).circuit(name) for i, name in enumerate("pq")], vtree
