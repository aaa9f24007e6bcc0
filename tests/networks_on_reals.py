"""Random networks of scalar nodes over real, count and finite variables, and rows of data for them."""

from __future__ import annotations

import functools

import numpy as np

from danaus.compiler.lowering.network import is_scalar
from danaus.ir.block import Block, concat, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Count, Domain, Real, Variable
from danaus.ir.expression import Expression
from danaus.ir.family import Gaussian, Indicator, Poisson
from danaus.ir.linear import sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store
from small_circuits import Maker

ENDLESS: list[Domain] = [Real(), Count()]


class RealMaker(Maker):
    """Draws circuits whose inputs on real and count variables are gaussians, poissons and indicators."""

    def held(self, array: np.ndarray) -> Expression:
        """A constant, or a parameter that may be learnt."""
        if self.random.random() < 0.3:
            return constant(array)
        parameter = Parameter(f"w{len(self.values)}", array.shape, None, True)
        self.values[parameter] = Value.of(array)
        return parameter

    def input(self, variable: Variable, width: int) -> Block:
        match variable.domain:
            case Real():
                means = self.held(np.round(self.random.normal(0, 2, width), 3))
                return input_block(Gaussian(), variable, [means, self.held(self.random.uniform(0.05, 3, width))])
            case Count() if self.random.random() < 0.2:
                nodes = [input_block(Indicator(int(self.random.integers(6))), variable) for _ in range(width)]
                return nodes[0] if width == 1 else concat(nodes)
            case Count():
                return input_block(Poisson(), variable, [self.held(self.random.uniform(0.1, 9, width))])
            case _:
                return super().input(variable, width)


@functools.cache
def real_network(seed: int, zeros: bool = True, count: int | None = None) -> Circuit:
    """A network over one to five variables, the first real, the second a count, the others of any domain."""
    maker = RealMaker(seed, zeros=zeros)
    count = count or int(maker.random.integers(1, 6))
    rest: list[Domain] = [Bool(), Cat(3), *ENDLESS]
    domains = [*ENDLESS, *(rest[int(maker.random.integers(len(rest)))] for _ in range(3))][:count]
    variables = [Variable(f"x{i}", domain) for i, domain in enumerate(domains)]
    root = maker.over(variables, 1)
    if not any(map(is_scalar, Circuit(root, Store(maker.values)).blocks)):
        names = range(3)
        more = maker.over(variables, 3)
        root = weighted([more], sparse([0] * 3, names, maker.numbers((3,)), 1, 3))
    return Circuit(root, Store(maker.values), f"reals {seed}")


def rows_of(circuit: Circuit, rows: int, seed: int, missing: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Rows of values, some far away, and a mask of what is observed; one row observes nothing, one all."""
    random = np.random.default_rng(seed)
    columns = []
    for variable in circuit.variables:
        match variable.domain:
            case Real():
                far = random.choice([1.0, 1.0, 30.0, 1000.0], rows)
                columns.append(random.normal(0, 2, rows) * far)
            case Count():
                columns.append(random.choice([random.integers(0, 8, rows), random.integers(0, 300, rows)]))
            case _:
                columns.append(random.integers(0, variable.size, rows))
    values = np.stack(columns, axis=1).astype(np.float64)
    observed = random.random(values.shape) >= missing
    observed[:1], observed[1:2] = False, True
    return values, observed
