"""Feed-forward evaluation under weights on the values of variables: what every marginalisation program does.

An input is worth the sum of its values under the weights, and everything else is evaluated as it stands. What enters is
a circuit and, per variable, weights [rows, values]; what leaves is the root [rows]. An input without rational values,
or on an infinite domain, has a symbol for each node and value instead: a random element of the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ....ir.apply import apply
from ....ir.block import Block, Input, Product, Sum, children
from ....ir.circuit import Circuit
from ....ir.density import domain_values
from ....ir.diagnostic import DanausError, error
from ....ir.domain import FiniteDomain, Variable
from ....ir.evaluate import multiply
from ....ir.numbers import Numbers
from ....ir.semirings import Array, LargeModular, Modular, Semiring

Weights = Mapping[Variable, Array]


def size_of(variable: Variable) -> int:
    """The number of weights of a variable: its values, or one where there is no end of them."""
    return variable.size or 1


@dataclass
class Feed:
    """A circuit under one semiring; tables of its inputs are computed once."""

    circuit: Circuit
    semiring: Semiring
    symbolic: bool = False
    _numbers: Numbers = field(init=False)
    _tables: dict[Block, Array] = field(init=False, default_factory=dict[Block, Array])

    def __post_init__(self) -> None:
        self._numbers = Numbers(self.circuit.store)

    def value(self, weights: Weights, rows: int) -> Array:
        """The root under weights, elements of the semiring [rows, values] for each variable of the circuit.

        Raises: DanausError where a weight of a sum has no value in the semiring.
        """
        circuit, semiring = self.circuit, self.semiring
        uses: dict[Block, int] = {}
        for block in circuit.blocks:
            for child in children(block):
                uses[child] = uses.get(child, 0) + 1
        values: dict[Block, Array] = {}
        for block in circuit.blocks:
            match block:
                case Input():
                    values[block] = self._input(block, weights, rows)
                case Product(below, form):
                    values[block] = multiply([values[child] for child in below], form, rows, semiring)
                case Sum(below, linear):
                    laid = semiring.concatenate([values[child] for child in below])
                    values[block] = apply(linear, laid, semiring, self._numbers)
            for child in children(block):
                uses[child] -= 1
                if not uses[child]:
                    del values[child]
        out = values[circuit.root][0]
        for variable in circuit.free:
            out = semiring.multiply(out, semiring.sum(weights[variable], 1))
        return np.asarray(out)

    def _input(self, block: Input, weights: Weights, rows: int) -> Array:
        if block not in self._tables:
            self._tables[block] = self._table(block)
        given = weights.get(block.variable)
        if given is None:  # the variable stands under zero weights alone
            given = np.array(self.semiring.full((rows, size_of(block.variable)), one=False))
        return self.semiring.matmul(self._tables[block], np.moveaxis(given, 1, 0))

    def _table(self, block: Input) -> Array:
        variable, field = block.variable, self.semiring.field
        if isinstance(variable.domain, FiniteDomain):
            try:
                x = domain_values(variable)
                return self.semiring.from_field(
                    self._numbers.inputs(block.family, variable, block.parameters, x, field)
                )
            except DanausError:
                if not isinstance(self.semiring, Modular):
                    raise
        elif not isinstance(self.semiring, Modular):
            raise error("infinite-domain", f'the values of "{variable.name}" ({variable.domain}) are no finite table')
        assert isinstance(self.semiring, Modular)
        self.symbolic = True
        place = self.circuit.blocks.index(block)
        random = np.random.default_rng([self.semiring.prime % (1 << 32), place])
        return drawn(random, 1, self.semiring, block.width * size_of(variable)).reshape(block.width, -1)


def drawn(random: np.random.Generator, first: int, over: Modular, count: int) -> Array:
    """Random elements of a field from a first one on."""
    if not isinstance(over, LargeModular):
        return random.integers(first, over.prime, size=count)
    length = over.prime.bit_length() // 8 + 9
    numbers = [first + int.from_bytes(random.bytes(length)) % (over.prime - first) for _ in range(count)]
    return np.array(numbers, dtype=object)
