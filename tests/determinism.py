"""Determinism by its definition: every sum node at every assignment, its children counted.

What enters is a circuit of finite domains; what leaves are overlaps. Learnable numbers are drawn as fractions from
a wide range, so that what vanishes does so for all of them.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction

import numpy as np

from danaus.ir.block import Sum
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Variable
from danaus.ir.parameter import Value
from danaus.ir.store import Store
from definitions import Definitions, Node
from exact import values


def drawn(circuit: Circuit, seed: int = 0) -> Circuit:
    """The circuit with its learnable numbers drawn at random, between 0 and 1."""
    generator = random.Random(seed)
    store = dict(circuit.store.values_)
    for parameter in store:
        if parameter.learnable:
            numbers = np.empty(parameter.shape, dtype=object)
            flat = numbers.reshape(-1)
            for place in range(flat.size):
                flat[place] = Fraction(generator.randrange(1, 10**9), 10**9 + 7)
            store[parameter] = Value.of(numbers)
    return replace(circuit, store=Store(store))


def overlaps(circuit: Circuit, subset: Collection[Variable] | None = None) -> set[Node]:
    """The sum nodes of which two children are non-zero at one assignment, by position.

    With a subset: at one assignment of it, each with some completion, among the sums whose scope meets it.
    """
    found: set[Node] = set()
    nodes = Definitions(circuit)
    sums = [node for node in nodes.nodes if isinstance(node[0], Sum) and len(nodes.below(node)) > 1]
    if subset is not None:
        sums = [node for node in sums if nodes.scope(node) & set(subset)]
    oracle = Definitions(drawn(circuit)).oracle
    possible: dict[tuple[Node, int, tuple[object, ...]], bool] = {}
    kept = [v for v in nodes.variables if subset is None or v in subset]
    for row in itertools.product(*(values(variable.domain) for variable in nodes.variables)):
        assignment = dict(zip(nodes.variables, row, strict=True))
        numbers = oracle.nodes(oracle.at(assignment))
        key = tuple(assignment[variable] for variable in kept)
        for node in sums:
            for place, (block, index) in enumerate(nodes.below(node)):
                if numbers[block][index]:
                    possible[node, place, key] = True
    counted: dict[tuple[Node, tuple[object, ...]], int] = {}
    for node, _, key in possible:
        counted[node, key] = counted.get((node, key), 0) + 1
        if counted[node, key] > 1:
            found.add(node)
    return found
