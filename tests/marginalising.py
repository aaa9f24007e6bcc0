"""Marginalisation programs by their definitions: inputs summed under weights, and the circuit fed forward.

What enters is a circuit of finite domains; what leaves is for which programs that is the true sum. Everything is in
fractions; virtual evidence is tried at random weights, whose sums agree by chance only if the polynomials do.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from fractions import Fraction

from danaus.ir.block import Input
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Variable
from exact import values
from oracle import Oracle

Weights = Mapping[Variable, list[Fraction]]


class Sums:
    """Feed-forward sums of one circuit, and the true ones."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit, self.oracle = circuit, Oracle(circuit)
        rows = itertools.product(*(values(variable.domain) for variable in circuit.variables))
        self.table = [(row, self.oracle.value(dict(zip(circuit.variables, row, strict=True)))) for row in rows]

    def fed(self, weights: Weights) -> Fraction:
        """The root where each input is summed under the weights."""

        def summed(block: Input, node: int) -> Fraction:
            own = weights.get(block.variable)
            if own is None:
                return Fraction(0)
            points = zip(own, values(block.variable.domain), strict=True)
            return sum((w * self.oracle.density(block, node, x) for w, x in points), Fraction(0))

        found = self.oracle.nodes(summed)[self.circuit.root][0]
        for variable in self.circuit.free:
            found *= sum(weights[variable])
        return found

    def true(self, weights: Weights) -> Fraction:
        """The sum over all assignments."""
        total = Fraction(0)
        for row, value in self.table:
            for variable, x in zip(self.circuit.variables, row, strict=True):
                value = value * weights[variable][values(variable.domain).index(x)]
            total += value
        return total

    def exact(self, program: str) -> bool:
        """Whether a program is exact."""
        return all(self.fed(weights) == self.true(weights) for weights in self.inputs(program))

    def inputs(self, program: str) -> Iterator[Weights]:
        """The weights that a program may have, or enough of them."""
        variables = self.circuit.variables
        sizes = {variable: len(values(variable.domain)) for variable in variables}
        ones = {variable: [Fraction(1)] * sizes[variable] for variable in variables}
        match program:
            case "total":
                yield ones
            case "subset":
                rows = [
                    [ones[v], *([Fraction(int(i == k)) for i in range(sizes[v])] for k in range(sizes[v]))]
                    for v in variables
                ]
                for row in itertools.product(*rows):
                    yield dict(zip(variables, row, strict=True))
            case "hamming":
                assert all(isinstance(variable.domain, Bool) for variable in variables)
                for point in range(len(variables) + 12):
                    yield {variable: [Fraction(1), Fraction(point)] for variable in variables}
            case _:
                generator = random.Random(0)
                for _ in range(3):
                    yield {v: [Fraction(generator.randrange(1, 10**6), 10**6 + 3) for _ in ones[v]] for v in variables}
