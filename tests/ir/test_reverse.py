"""The derived reverse of Programs against exact differences of the root, over random circuits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from danaus.compiler.lowering.lower import lower
from danaus.compiler.lowering.tables import values
from danaus.ir.domain import first_value
from danaus.ir.linear import Indices
from danaus.ir.program.execute import execute
from danaus.ir.program.program import Program
from danaus.ir.program.reverse import recorded, reverse
from danaus.ir.semirings import EXACT, LINEAR, LOG
from small_circuits import evidence, random_circuit


def _codes(seed: int, rows: int, signed: bool = False) -> tuple[Program, tuple[object, ...], Indices, object]:
    circuit = random_circuit(seed, signed=signed)
    lowered = lower(circuit)
    x, observed = evidence(circuit, rows, seed, 0.3)
    sizes, places = lowered.program.columns, {each: i for i, each in enumerate(circuit.variables)}
    codes = np.zeros((len(sizes), rows), dtype=np.int64)
    for column, variable in enumerate(lowered.variables):
        if variable in places:
            i = places[variable]
            codes[column] = np.where(observed[:, i], x[:, i] - first_value(variable.domain), sizes[column])
    return lowered.program, lowered.tables, codes, circuit.store


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_derivatives_of_tables_are_exact(seed: int, signed: bool) -> None:
    """The root is a polynomial of each entry of degree d: d + 1 exact values of it give its exact derivative."""
    program, sources, codes, store = _codes(seed, 4, signed)
    tables = values(sources, store, EXACT)  # type: ignore[arg-type]
    tape = recorded(program, tables, codes, EXACT)
    assert (tape.root == execute(program, tables, codes, EXACT)).all()
    weights = np.array([Fraction(k) for k in (1, 3, 5, 7)], dtype=object)
    found = reverse(tape, weights)
    random = np.random.default_rng(seed)
    for number, table in enumerate(tables):
        for _ in range(2 if table.size else 0):
            place = np.unravel_index(int(random.integers(table.size)), table.shape)
            assert found.tables[number][place] == _derivative(program, tables, codes, number, place, weights)


def _derivative(program, tables, codes, number, place, weights):  # type: ignore[no-untyped-def]
    """By Newton's form through 9 points around the entry; degrees here are smaller."""
    points = [Fraction(k) for k in range(-4, 5)]
    heights = []
    for point in points:
        moved = [table.copy() for table in tables]
        moved[number][place] += point
        heights.append((execute(program, moved, codes, EXACT) * weights).sum())
    slope = Fraction(0)
    for i, p in enumerate(points):  # the derivative at 0 of Lagrange's polynomials
        for j, q in enumerate(points):
            if j == i:
                continue
            term = heights[i] / (p - q)
            for k, r in enumerate(points):
                if k not in (i, j):
                    term *= (0 - r) / (p - r)
            slope += term
    return slope


@pytest.mark.parametrize("seed", range(60))
def test_logarithms_give_the_same(seed: int) -> None:
    program, sources, codes, store = _codes(seed, 9)
    linear = values(sources, store)  # type: ignore[arg-type]
    want = reverse(recorded(program, linear, codes, LINEAR), np.ones(9)).tables
    with np.errstate(divide="ignore"):
        logs = [np.log(table) for table in linear]
    got = reverse(recorded(program, logs, codes, LOG), np.zeros(9)).tables
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(np.exp(a), b, rtol=1e-11, atol=1e-300)
