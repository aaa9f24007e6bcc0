"""Laws that leave the polynomials, checked in float64 against their definition, at assignments.

What enters is a circuit, its operands, and what the value should be from theirs; what leaves says at how many
assignments it was. All are tried where they are few; otherwise they are drawn, half of them from the first operand
where it can be sampled, so that its support is among them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir import query as ask
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.diagnostic import DanausError, error
from ...ir.domain import FiniteDomain, Variable
from ...ir.evaluate import Evidence, Moment, evaluate
from ...ir.parameter import Floats, Value
from ...ir.semirings import SIGNED_LOG, Array
from ..properties.draw import draw

ENUMERATED = 256
DRAWN = 64
TOLERANCE = 1e-6
# What rounding leaves of numbers that cancel, beside the largest value that was seen.
CANCELLED = 1e-9

Columns = Mapping[Variable, Floats]
Logs = NDArray[np.float64]
Definition = Callable[[Columns], Logs]
"""From values by variable, [rows] each, to logarithms and signs, [rows, 2]."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a law held at all assignments that were tried, in float64; where not, what was wrong."""

    holds: bool
    rows: int
    wrong: str = ""

    def __str__(self) -> str:
        assignments = "1 assignment" if self.rows == 1 else f"{self.rows} assignments"
        return f"holds at {assignments}, in float64" if self.holds else self.wrong


def pointwise(circuit: Circuit, operands: Sequence[Circuit], wanted: Definition, seed: int = 0) -> Checked:
    """Whether a circuit has the wanted values, within 1e-6 of each.

    Raises: DanausError `untested` where nothing can be evaluated.
    """
    columns = _columns(operands, seed)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found, should = _values(circuit, columns), wanted(columns)
        known = np.asarray(~np.isnan(should).any(axis=1) & ~np.isnan(found).any(axis=1), dtype=bool)
        if not known.any():
            raise error("untested", f'"{circuit.name}" has no value at any of {len(known)} assignments')
        size = np.maximum(found[:, 0], should[:, 0])
        shift = np.where(np.isneginf(size), 0.0, size)
        apart = np.abs(_against(found, shift) - _against(should, shift))
        largest = np.max(size[known], initial=-np.inf)
        allowed = TOLERANCE + CANCELLED * np.exp(np.minimum(largest - shift, 700.0))
    wrong = np.flatnonzero(known & (apart > allowed))
    if not len(wrong):
        return Checked(True, int(known.sum()))
    row = int(wrong[0])
    at = ", ".join(f"{variable} = {column[row]:g}" for variable, column in list(columns.items())[:8])
    return Checked(False, int(known.sum()), f"at {at} it is {_text(found[row])}, not {_text(should[row])}")


def definition(operator: str, operands: Sequence[Circuit], arguments: Mapping[str, Any]) -> Definition:
    """What an operator's value is from its operands'."""
    first = operands[0]

    def values(columns: Columns) -> Logs:
        return _values(first, columns)

    match operator:
        case "log":
            return lambda columns: _real(np.where(values(columns)[:, 1] == 0, 0.0, values(columns)[:, 0]))
        case "reciprocal":
            return lambda columns: _raised(values(columns), -1.0)
        case "power":
            return lambda columns: _raised(values(columns), float(arguments["exponent"]))
        case "divide":
            return lambda columns: _times(values(columns), _raised(_values(operands[1], columns), -1.0))
        case "add":
            return lambda columns: SIGNED_LOG.add(values(columns), _values(operands[1], columns))
        case "scale":
            number = SIGNED_LOG.lift(Value.of([arguments["number"]]))
            return lambda columns: SIGNED_LOG.multiply(values(columns), number)
        case "normalize" | "initialise":
            return lambda columns: _times(values(columns), -_mass(first, {}) * [1, -1])
        case "condition":
            fixed = {v: np.array([float(at)]) for v, at in arguments["values"].items()}
            return lambda columns: _times(_values(first, _spread(columns, fixed)), -_mass(first, fixed) * [1, -1])
        case "restrict":
            given = {v: np.array([float(at)]) for v, at in arguments["values"].items()}
            return lambda columns: _values(first, _spread(columns, given))
        case "integrate":
            over = arguments.get("variables")
            summed = set(first.variables if over is None else over)
            return lambda columns: _values(first, {v: c for v, c in columns.items() if v not in summed})
        case "evidence":
            weights = {v: SIGNED_LOG.lift(w) for v, w in arguments["weights"].items()}
            return lambda columns: _values(first, columns, weights)
        case _:  # the same function
            return values


def _values(circuit: Circuit, columns: Columns, weights: Mapping[Variable, Array | Moment] | None = None) -> Logs:
    """Logarithms and signs, [rows, 2]; variables without a column are summed out."""
    rows = max(map(len, columns.values()), default=1)
    known = [variable in columns for variable in circuit.variables]
    nothing = np.zeros(rows)
    laid = [columns.get(variable, nothing) for variable in circuit.variables]
    values = np.stack(laid, axis=1) if laid else np.zeros((rows, 0))
    observed = np.broadcast_to(np.array(known, dtype=bool), values.shape)
    return np.asarray(evaluate(circuit, SIGNED_LOG, Evidence(circuit.variables, values, observed, weights or {})))


def _mass(circuit: Circuit, fixed: Columns) -> Logs:
    return _values(circuit, fixed)[:1]


def _spread(columns: Columns, fixed: Columns) -> Columns:
    rows = max(map(len, columns.values()), default=1)
    return {**columns, **{variable: np.broadcast_to(at, rows) for variable, at in fixed.items()}}


def _times(a: Logs, b: Logs) -> Logs:
    return SIGNED_LOG.multiply(a, b)


def _raised(a: Logs, exponent: float) -> Logs:
    """A number to a power, 0 where it is 0; the sign is that of a positive one, or of an inverse."""
    nothing = a[:, 1] == 0
    sign = a[:, 1] if exponent == -1 else np.abs(a[:, 1])
    return np.stack([np.where(nothing, -np.inf, exponent * np.where(nothing, 0.0, a[:, 0])), sign], axis=1)


def _real(values: Floats) -> Logs:
    return np.stack([np.log(np.abs(values)), np.sign(values)], axis=1)


def _against(a: Logs, shift: Floats) -> Floats:
    return np.asarray(a[:, 1] * np.exp(a[:, 0] - shift))


def _text(a: Floats) -> str:
    log, sign = a.tolist()
    return f"{sign * math.exp(log):.9g}" if log < 700 else f"{'-' if sign < 0 else ''}e^{log:.9g}"


def _columns(operands: Sequence[Circuit], seed: int) -> dict[Variable, Floats]:
    variables = sorted({v for circuit in operands for v in circuit.variables}, key=lambda v: v.order)
    sizes = [variable.size for variable in variables]
    if all(size is not None for size in sizes) and math.prod(size or 1 for size in sizes) <= ENUMERATED:
        finite = [domain_values(variable) for variable in variables if isinstance(variable.domain, FiniteDomain)]
        rows = np.array(list(itertools.product(*finite)), dtype=np.float64).reshape(-1, len(variables))
        return dict(zip(variables, rows.T, strict=True))
    columns: dict[Variable, Floats] = {}
    for circuit in reversed(operands):
        drawn = draw(circuit, DRAWN)
        with suppress(DanausError):  # what has no samples is drawn from its inputs alone
            drawn[: DRAWN // 2] = ask.sample(circuit, DRAWN // 2, seed)
        columns |= zip(circuit.variables, drawn.T, strict=True)
    return columns
