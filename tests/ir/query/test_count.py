"""Counts against enumeration: how many assignments are not zero, and what they weigh."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from math import prod

import pytest

import danaus as dn
from decisions import decision_circuit
from exact import values
from oracle import Oracle


@pytest.mark.parametrize("seed", range(120))
def test_counts_are_those_of_enumeration(seed: int) -> None:
    p = decision_circuit(seed, 1 + seed % 5)
    oracle, source = Oracle(p), random.Random(seed)
    weights = {v: [Fraction(source.randint(-3, 5), 4) for _ in range(v.size or 0)] for v in p.variables[::2]}
    number, total = 0, Fraction(0)
    for row in itertools.product(*(values(v.domain) for v in p.variables)):
        assignment = dict(zip(p.variables, row, strict=True))
        if oracle.value(assignment) != 0:
            number += 1
            total += prod((weights[v][int(assignment[v])] for v in weights), start=Fraction(1))
    assert dn.count(p) == number
    assert type(dn.count(p)) is int
    assert dn.count(p, {v.name: given for v, given in weights.items()}) == total


def test_a_count_is_exact_where_floats_are_not_and_smooths_and_takes_free_variables() -> None:
    text = "\n".join(
        ["var x[200] : cat(3)", "circuit p {", *(f"  b{i} = table(x[{i}], [[1, 0, 1]])" for i in range(199))]
    )
    product = " * ".join(f"b{i}" for i in range(199))
    p = dn.parse(f"{text}\n  return sum(concat(b0 * [x[199] = 1], {product} * [x[199] = 0]), [[1, 1]])\n}}").circuit
    assert dn.count(p) == 2 * 3**198 + 2**199


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("sum(concat([x = 1], [x = 1]), [[1, 1]])", "not-deterministic"),
        ("[x = 1] * bernoulli(x, [0.5])", "not-decomposable"),
        ("gaussian(y, [0], [1]) * [x = 1]", "wrong-domain"),
    ],
)
def test_what_a_count_needs(body: str, code: str) -> None:
    p = dn.parse(f"var x : bool; var y : real; circuit p {{ return {body} }}").circuit
    with pytest.raises(dn.DanausError) as failure:
        dn.count(p)
    assert failure.value.diagnostics[0].code == code
