"""Smoothing along a vtree that products fit though their factors' scopes overlap, as those of trimmed SDDs do."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.operators.partitions import tree_of
from danaus.compiler.operators.smooth import smooth
from danaus.compiler.properties import check
from danaus.ir.block import Block, concat, hadamard, indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Variable
from danaus.ir.family import Indicator, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.store import Store
from exact import values
from oracle import Oracle

VARIABLES = [Variable(f"v{i}", Cat(3) if i == 2 else Bool()) for i in range(6)]


def along(source: random.Random, variables: list[Variable]) -> Block:
    """A node below a place of the vtree that halves the variables: trimmed, so over only some of them."""
    if len(variables) == 1:
        (variable,) = variables
        if source.random() < 0.5:
            return input_block(Indicator(source.randrange(variable.size or 0)), variable)
        return input_block(Table(), variable, [constant([[source.randint(-2, 3) for _ in range(variable.size or 0)]])])
    half = len(variables) // 2
    if source.random() < 0.35:
        return along(source, source.choice([variables[:half], variables[half:]]))
    terms: list[Block] = []
    for _ in range(source.randint(1, 3)):
        factors = [along(source, variables[:half]), along(source, variables[half:])]
        if source.random() < 0.2:
            factors.append(indexed([], [0, 0], []))
        terms.append(hadamard(factors) if source.random() < 0.9 else source.choice(factors))
    if source.random() < 0.1:
        terms.append(indexed([], [0, 0], []))
    return weighted([concat(terms)], Dense(constant([[source.choice([1, 1, 1, 0, -1, 0.5]) for _ in terms]])))


@pytest.mark.parametrize("seed", range(150))
def test_the_same_function_smooth_and_structured(seed: int) -> None:
    source = random.Random(seed)
    p = Circuit(along(source, VARIABLES[: source.randint(2, 6)]), Store({}))
    made = smooth(p)
    status = check(made, "smooth", "structured")
    assert status["smooth"].status == "proved"
    if check(p, "smooth")["smooth"].status != "proved":
        assert status["structured"].status == "proved"
    assert made.variables == p.variables
    before, after = Oracle(p), Oracle(made)
    for row in itertools.product(*(values(v.domain) for v in p.variables)):
        assignment = dict(zip(p.variables, row, strict=True))
        assert after.value(assignment) == before.value(assignment)


def test_what_stands_under_zero_weights_asks_nothing_of_the_vtree() -> None:
    p = dn.parse("""
        var v[6] : bool
        circuit p {
          f = sum([v[0] = 1] * [v[1] = 1], [[1]])
          g = sum([v[1] = 0] * [v[2] = 1], [[1]])
          dead = [v[0] = 0] * [v[5] = 1]
          return sum(concat(f * [v[2] = 1], g * [v[4] = 1], dead), [[1, 1, 0]])
        }
    """).circuit
    made = smooth(p)
    assert check(made, "smooth")["smooth"].status == "proved"
    assert made.variables == p.variables
    rows = list(itertools.product((0, 1), repeat=4))
    assert dn.evaluate(made, rows).tolist() == dn.evaluate(p, rows).tolist()


def test_what_fits_no_vtree_is_smoothed_all_the_same() -> None:
    a, b, c = ([input_block(Indicator(value), v) for value in (0, 1)] for v in VARIABLES[:3])
    terms = [hadamard([a[0], b[0]]), hadamard([b[1], c[0]]), hadamard([a[1], c[1]])]
    crossing = [hadamard([hadamard([a[0], b[0]]), c[0]]), hadamard([a[1], hadamard([b[1], c[1]])])]
    p = Circuit(weighted([concat([*terms, *crossing])], Dense(constant(np.ones((1, 5))))), Store({}))
    made = smooth(p)
    assert check(made, "smooth")["smooth"].status == "proved"
    assert check(made, "structured")["structured"].status == "refuted"


def test_the_tree_of_overlapping_partitions() -> None:
    one, two, three, four = ({i} for i in range(1, 5))
    partitions = [
        frozenset(map(frozenset, pair)) for pair in ((two, three), (one, two), ({1, 2}, {3, 4}), (three, four))
    ]
    tree = tree_of(frozenset({1, 2, 3, 4}), partitions)
    assert tree is not None and frozenset({1, 2}) in tree.elements and frozenset({3, 4}) in tree.elements
    assert (
        tree_of(
            frozenset({1, 2, 3}),
            [frozenset([frozenset({1, 2}), frozenset({3})]), frozenset([frozenset({2, 3}), frozenset({1})])],
        )
        is None
    )


@pytest.mark.parametrize("name", ["big-swap", "opt-swap", "random", "sudoku_4"])
def test_trimmed_sdds(shared: Path, name: str) -> None:
    (path,) = (shared / "sdd").rglob(f"{name}.sdd*")
    p = dn.load(path).circuit
    made = dn.smooth(p)
    for wanted, result in dn.check(made, "smooth", "decomposable", "structured", "deterministic").items():
        assert result.status == "proved", wanted
    assert dn.evaluate(dn.integrate(made), semiring="exact") == dn.count(p)
