"""Danaus's evaluator beside numbers found without it, in every semiring that applies, to 1e-12 of what was added up.

What enters is a circuit, rows of evidence, and for each row the exact value and the magnitude, the same sum without
signs, which rounding errors are relative to; where nothing is negative it is the value itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from danaus.compiler.symbolic import SYMBOLIC, indicators
from danaus.ir.block import Input, Sum
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import DiscretizedLogistic, Gaussian, Poisson, Table
from danaus.ir.linear import expressions
from danaus.ir.semirings import BOOLEAN, DUAL, EXACT, INTERVAL, LINEAR, LOG, MAX, SIGNED_LOG, Modular, Polynomial
from definitions import Definitions
from exact import ONE, ZERO, Assignment, Number, assignments, logarithm, values
from oracle import Oracle

TOLERANCE = Fraction(1, 10**12)
# Intervals grow with each operation, and those of families leave room for 16 roundings of logarithms up to hundreds.
NARROW = Fraction(1, 10**11)
PRIMES = (2_147_483_647, 1_000_003)
_NONE: Mapping[Variable, Any] = {}


def evidence(circuit: Circuit, rows: Sequence[Assignment], weights: Mapping[Variable, Any] = _NONE) -> Evidence:
    """Rows of known values; what a row leaves out is summed out."""
    variables = circuit.variables
    known = np.array([[v in row for v in variables] for row in rows], dtype=bool).reshape(len(rows), len(variables))
    raw = np.array([[float(row.get(v, 0)) for v in variables] for row in rows]).reshape(known.shape)
    return Evidence(variables, raw, known, weights)


def is_rational(circuit: Circuit) -> bool:
    """Whether all its families have rational values."""
    families = [block.family for block in circuit.blocks if isinstance(block, Input)]
    return not any(isinstance(family, Gaussian | Poisson | DiscretizedLogistic) for family in families)


def has_negative_numbers(circuit: Circuit) -> bool:
    """Whether a weight or an entry of a table is below zero, anywhere in the circuit."""
    oracle = Oracle(circuit)
    found = [
        expression
        for block in circuit.blocks
        for expression in (
            expressions(block.map)
            if isinstance(block, Sum)
            else block.parameters
            if isinstance(block, Input) and isinstance(block.family, Table)
            else ()
        )
    ]
    return any(oracle.entry(expression, index) < 0 for expression in found for index in np.ndindex(*expression.shape))


def close(got: float, wanted: Fraction, magnitude: Fraction) -> bool:
    """Whether a float is as good as the exact value."""
    return bool(np.isfinite(got)) and abs(Fraction(float(got)) - wanted) <= TOLERANCE * magnitude


def log_close(got: float, wanted: Fraction) -> bool:
    """Whether a float is the logarithm of a number that is not negative; −inf exactly where that is zero."""
    if wanted == 0 or got == -np.inf:
        return got == -np.inf and wanted == 0
    return abs(Fraction(float(got)) - logarithm(wanted)) <= TOLERANCE * max(1, abs(logarithm(wanted)))


def assert_agrees(
    circuit: Circuit,
    rows: Sequence[Assignment],
    wanted: Sequence[Fraction],
    magnitudes: Sequence[Fraction],
    slack: Fraction = ZERO,
) -> None:
    """Asserts that the circuit has these values at these rows in every semiring but max, which is no sum.

    Values that are integrals, found by summing over points, are off by `slack` themselves.
    """
    given, oracle = evidence(circuit, rows), Oracle(circuit)
    linear = evaluate(circuit, LINEAR, given)
    signed = evaluate(circuit, SIGNED_LOG, given)
    dual = evaluate(circuit, DUAL, given)
    interval = evaluate(circuit, INTERVAL, given)
    constant = evaluate(circuit, Polynomial(LINEAR), given)
    supports = evaluate(circuit, BOOLEAN, given)
    for place, (value, magnitude) in enumerate(zip(wanted, magnitudes, strict=True)):
        # Where the terms of a derived number cancel, rounding says whether it is zero.
        assert supports[place] == (magnitude != 0) or (magnitude and not oracle.supported(rows[place]))
        assert close(linear[place], value, magnitude)
        log, sign = signed[place]
        assert (log == -np.inf) == (sign == 0)
        assert close(sign * np.exp(log), value, magnitude)
        assert close(dual[place, 0], value, magnitude) and dual[place, 1] == 0
        low, high = Fraction(interval[place, 0]), Fraction(interval[place, 1])
        assert low - slack * magnitude <= value <= high + slack * magnitude
        assert high - low <= NARROW * magnitude + Fraction(1, 10**300)
        assert close(constant[place, 0], value, magnitude) and not constant[place, 1:].any()
    if not has_negative_numbers(circuit):
        logs = evaluate(circuit, LOG, given)
        assert all(log_close(log, value) for log, value in zip(logs, wanted, strict=True))
    if is_rational(circuit):
        assert evaluate(circuit, EXACT, given).tolist() == list(wanted)
        for prime in PRIMES:
            residues = [v.numerator * pow(v.denominator, -1, prime) % prime for v in wanted]
            assert evaluate(circuit, Modular(prime), given).tolist() == residues


def assert_largest(circuit: Circuit, rows: Sequence[Assignment], wanted: Sequence[Fraction]) -> None:
    """Asserts that these are the largest products of terms at these rows, in the semiring of maxima."""
    found = evaluate(circuit, MAX, evidence(circuit, rows))
    assert all(log_close(log, value) for log, value in zip(found, wanted, strict=True))


def assert_symbolic(circuit: Circuit, row: Assignment, wanted: Fraction, magnitude: Fraction) -> None:
    """Asserts that the circuit's value at a row, as a sympy expression, is this."""
    found = evaluate(circuit, SYMBOLIC, evidence(circuit, [row]))[0]
    _assert_number(circuit, found, wanted, magnitude)


def assert_network_polynomial(circuit: Circuit, rows: Sequence[Assignment], wanted: Sequence[Fraction]) -> None:
    """Asserts that the network polynomial has these values at the indicators of complete assignments."""
    symbols = indicators(circuit.variables)
    polynomial = sympy.expand(evaluate(circuit, SYMBOLIC, evidence(circuit, [{}], symbols))[0])
    for row, value in zip(rows, wanted, strict=True):
        indicated = {
            symbol: int(x == row[variable])
            for variable, names in symbols.items()
            for symbol, x in zip(np.asarray(names), values(variable.domain), strict=True)
        }
        _assert_number(circuit, polynomial.subs(indicated), value, max(ONE, abs(value)))


def _assert_number(circuit: Circuit, found: Any, wanted: Fraction, magnitude: Fraction) -> None:
    if is_rational(circuit):
        assert found == sympy.Rational(wanted.numerator, wanted.denominator)
    else:
        assert abs(Fraction(str(sympy.N(found, 50))) - wanted) <= Fraction(1, 10**30) * magnitude


def assert_derivatives(definitions: Definitions, row: Assignment) -> None:
    """Asserts that dual numbers give the derivative in each indicator of each finite variable that a row leaves out."""
    circuit, oracle = definitions.circuit, definitions.oracle
    for variable in circuit.variables:
        if variable in row or variable.size is None:
            continue
        for place, x in enumerate(values(variable.domain)):
            weights = np.zeros((variable.size, 2))
            weights[:, 0], weights[place, 1] = 1, 1
            total, slope = evaluate(circuit, DUAL, evidence(circuit, [row], {variable: weights}))[0]
            known = {**row, variable: x}
            scale = sum((oracle.magnitude(a) * w for a, _, w in definitions.completions(row)), ZERO)
            assert close(total, definitions.total(row), scale)
            assert close(slope, definitions.total(known), scale)


def masses_of_ones(circuit: Circuit, worth: Mapping[tuple[Number, ...], Fraction]) -> list[Fraction]:
    """The total over all assignments of bool variables with 0, 1, … ones."""
    found = [ZERO] * (len(circuit.variables) + 1)
    for row in assignments(circuit.variables):
        found[int(sum(row.values()))] += worth[tuple(row.values())]
    return found


def assert_masses_of_ones(circuit: Circuit, wanted: Sequence[Fraction], scales: Sequence[Fraction]) -> None:
    """Asserts that these are the coefficients of the polynomial that has t for each one."""
    for base in (LINEAR, EXACT):
        one, zero = base.unit(True), base.unit(False)
        powers = np.array([[one, zero], [zero, one]], dtype=object if base is EXACT else float)
        weights = dict.fromkeys(circuit.variables, powers)
        found = evaluate(circuit, Polynomial(base), evidence(circuit, [{}], weights))[0]
        padded = [*found, *[zero] * (len(wanted) - len(found))]
        if base is EXACT:
            assert padded == list(wanted)
        else:
            assert all(close(got, value, scale) for got, value, scale in zip(padded, wanted, scales, strict=True))
