"""Random circuits that are deterministic by construction: each sum decides on the value of a variable."""

from __future__ import annotations

import random

import numpy as np

from danaus.ir.block import Block, concat, hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Domain, Variable
from danaus.ir.family import Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.store import Store

_DOMAINS: tuple[Domain, ...] = (Bool(), Cat(3))


def decision_circuit(seed: int, size: int) -> Circuit:
    """A smooth, decomposable, deterministic, nonnegative circuit of `size` variables, some values of which are zero."""
    source = random.Random(seed)
    variables = [Variable(f"v{i}", source.choice(_DOMAINS)) for i in range(size)]
    return Circuit(_decided(source, variables), Store({}))


def _decided(source: random.Random, variables: list[Variable]) -> Block:
    variable, *rest = source.sample(variables, len(variables))
    if not rest:
        return _table(source, variable, None)
    if source.random() < 0.3:
        at = source.randint(1, len(rest))
        parts = [part for part in ([variable, *rest[:at]], rest[at:]) if part]
        if len(parts) == 2:
            return hadamard([_decided(source, part) for part in parts])
    values = list(range(variable.size or 0))
    source.shuffle(values)
    at = source.randint(1, len(values) - 1)
    children = [
        hadamard([_table(source, variable, some), _decided(source, rest)]) for some in (values[:at], values[at:])
    ]
    weights = [source.choice([0.0, 0.25, 0.5, 1.0, 2.0]) for _ in children]
    return weighted([concat(children)], Dense(constant([weights])))


def _table(source: random.Random, variable: Variable, kept: list[int] | None) -> Block:
    numbers = np.array([source.choice([0, 1, 2, 3, 5]) / 4 for _ in range(variable.size or 0)])
    if kept is not None:
        numbers[[value for value in range(len(numbers)) if value not in kept]] = 0
        numbers[kept[0]] = 0.75
    return input_block(Table(), variable, [constant(numbers[None])])
