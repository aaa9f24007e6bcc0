"""Packing against the plain meaning of the arrays: node after node, in fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from danaus.frontend.formats.pack import pack
from danaus.ir.block import input_block
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import Bernoulli, Indicator
from danaus.ir.parameter import constant
from danaus.ir.semirings import EXACT
from danaus.ir.store import Store

VARIABLES = [Variable(f"x{i}", Bool()) for i in range(3)]
INPUTS = [
    input_block(Bernoulli(), VARIABLES[0], [constant([0.25, 0.5, 0.75])]),
    input_block(Indicator(1), VARIABLES[1]),
    input_block(Indicator(0), VARIABLES[1]),
    input_block(Bernoulli(), VARIABLES[2], [constant([0.125])]),
]
LEAVES = 6


def meaning(row: tuple[int, ...], sums: list[bool], below: list[list[tuple[int, Fraction]]], root: int) -> Fraction:
    x0, x1, x2 = row
    values = [p if x0 else 1 - p for p in (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))]
    values += [Fraction(x1), Fraction(1 - x1), Fraction(1, 8) if x2 else Fraction(7, 8)]
    for is_sum, members in zip(sums, below, strict=True):
        value = Fraction(0 if is_sum else 1)
        for member, weight in members:
            value = value + weight * values[member] if is_sum else value * values[member]
        values.append(value)
    return values[root]


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("seed", range(150))
def test_it_computes_what_the_nodes_say(seed: int, weighted: bool) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 14))
    sums = random.random(count) < 0.5
    lengths = random.integers(0, 5, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    recent = bool(random.random() < 0.5)
    members = np.array(
        [
            random.integers(max(0, LEAVES + k - 3) if recent else 0, LEAVES + k)
            for k in range(count)
            for _ in range(lengths[k])
        ],
        dtype=np.int64,
    )
    weights = random.integers(-2, 5, len(members)) / 4 if weighted else None
    root = int(random.integers(0, LEAVES + count)) if random.random() < 0.2 else LEAVES + count - 1
    made = pack(INPUTS, sums, offsets, members, weights, root)
    store = Store(dict(made.values.values()))
    circuit = Circuit(made.root, store)
    numbers = [Fraction(w) for w in weights.tolist()] if weights is not None else [Fraction(1)] * len(members)
    below = [
        list(zip(members[a:b].tolist(), numbers[a:b], strict=True))
        for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]
    for row in np.ndindex(2, 2, 2):
        evidence = Evidence(tuple(VARIABLES), np.array([row], dtype=float), np.ones((1, 3), dtype=bool))
        assert evaluate(circuit, EXACT, evidence)[0] == meaning(row, sums.tolist(), below, root)
    assert list(made.values) == [f"circuit.{i + 1}" for i in range(len(made.values))]
    assert all(block.width for block in circuit.blocks)


def test_there_are_two_blocks_per_level_and_only_what_the_root_stands_on() -> None:
    # Levels: products of leaves, a sum of them, and a product that nothing stands on.
    sums = np.array([False, False, True, False])
    offsets, members = np.array([0, 2, 4, 6, 7]), np.array([0, 3, 1, 4, 6, 7, 8])
    made = pack(INPUTS, sums, offsets, members, np.array([1, 1, 1, 1, 0.5, 2.0, 1]), LEAVES + 2)
    circuit = Circuit(made.root, Store(dict(made.values.values())))
    assert [block.width for block in circuit.blocks] == [3, 1, 1, 2, 1]
    (parameter,) = circuit.parameters
    assert (parameter.name, parameter.constraint, parameter.learnable) == ("circuit.1", "positive", True)


def test_constants_where_nothing_is_learnt_and_real_numbers_where_some_are_negative() -> None:
    sums, offsets, members = np.array([True]), np.array([0, 2]), np.array([0, 1])
    assert not pack(INPUTS, sums, offsets, members, np.array([0.5, 2.0]), LEAVES, learnable=False).values
    made = pack(INPUTS, sums, offsets, members, np.array([0.5, -2.0]), LEAVES, name="p", first=4).values
    assert [(name, parameter.constraint) for name, (parameter, _) in made.items()] == [("p.4", "real")]
