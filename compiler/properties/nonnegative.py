"""Nonnegative: the circuit's value is at least 0 at every assignment.

What enters is a circuit; what leaves is a proof, an assignment where the value is certainly negative, or what was
tried. A number decides only where its sign is certain: in fractions, or by an interval on one side of 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...ir.block import Input, Product, Sum
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.diagnostic import DanausError
from ...ir.domain import FiniteDomain, Variable, first_value
from ...ir.evaluate import Evidence, evaluate
from ...ir.family import GaussianDerivative, InputLog, InputPower, InputProduct, Table
from ...ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Indices, Kronecker, LinearMap, Selection, Sparse
from ...ir.parameter import Floats
from ...ir.semirings import EXACT, INTERVAL, LINEAR, SIGNED_LOG
from .draw import draw
from .result import Proved, Refuted, Result, Unknown, remembered
from .signs import Signs
from .witness import NegativeAt

# So many assignments are enumerated, or drawn where there are more.
ASSIGNMENTS = 1 << 16
DRAWN = 1 << 12

# So many multiplications are spent: each a few seconds, at 2 ns in floats, 130 ns in intervals and in logarithms with
# signs, 3 µs in fractions.
_FLOAT_WORK = 1 << 30
_CERTAIN_WORK = 1 << 25
_EXACT_WORK = 1 << 20
_CANDIDATES = 8


@remembered
def nonnegative(circuit: Circuit) -> Result:
    """Whether the circuit is at least 0 at every assignment, for its current values.

    Proved where all weights and inputs that reach the root are not negative, a composed map judged by its parts or,
    where it is small, by its product. Otherwise, on finite domains with at most 65,536 assignments, all of them are
    tried; where there are more, 4,096 drawn ones, which can only refute.
    """
    if all_positive(circuit):
        return Proved()
    search = _Search(circuit)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows proves and refutes nothing
            return search.run()
    except DanausError as failure:
        return Unknown(f"it cannot be evaluated: {failure.diagnostics[0].message}")


def all_positive(circuit: Circuit) -> bool:
    """Whether no weight and no input that reaches the root is negative."""
    signs = Signs(circuit.store)
    for block in circuit.blocks:
        live = circuit.live[block]
        match block:
            case Input(Table(), _, (values,)) if live.any() and not signs.of(values)[live].all():
                return False
            case Input(InputProduct() | InputPower() | InputLog() | GaussianDerivative() as family, _, parameters) if (
                live.any() and not signs.of_inputs(family, parameters)
            ):
                return False
            case Sum(_, linear) if live.any() and not signs.settled(linear, live):
                return False
            case _:
                pass
    return True


@dataclass(frozen=True)
class _Search:
    """The search for an assignment where a circuit is negative."""

    circuit: Circuit

    def run(self) -> Result:
        count = self.assignments
        if count is not None and count <= ASSIGNMENTS and count * self.operations <= _FLOAT_WORK:
            return self._enumerated(count)
        rows = min(DRAWN, max(4, _CERTAIN_WORK // self.operations))
        drawn = draw(self.circuit, rows)
        logs = evaluate(self.circuit, SIGNED_LOG, self._evidence(drawn))
        below = np.flatnonzero(logs[:, 1] < 0)
        found = self._certain(drawn[below[np.argsort(-logs[below, 0], kind="stable")]])
        if found is not None:
            return Refuted(found)
        return Unknown(
            f"some weights or inputs are negative, and none of {rows:,} drawn assignments, of {_many(count)}, "
            "is certainly below 0",
            f"{rows:,} assignments",
        )

    @cached_property
    def mentioned(self) -> tuple[Variable, ...]:
        """The variables that the value depends on."""
        return tuple(variable for variable in self.circuit.variables if variable not in self.circuit.free)

    @cached_property
    def assignments(self) -> int | None:
        """The number of assignments; None where there is no end of them."""
        sizes = [variable.size for variable in self.mentioned]
        known = [size for size in sizes if size is not None]
        return math.prod(known) if len(known) == len(sizes) else None

    @cached_property
    def operations(self) -> int:
        """The multiplications of one evaluation."""
        return max(1, sum(_block_operations(block) for block in self.circuit.blocks))

    def _enumerated(self, count: int) -> Result:
        """All assignments: in floats to find those below 0, and then in intervals to prove that there are none."""
        rows = self._rows(np.arange(count))
        values = evaluate(self.circuit, LINEAR, self._evidence(rows))
        lowest = np.argsort(values, kind="stable")
        found = self._certain(rows[lowest[values[lowest] < 0]])
        if found is not None:
            return Refuted(found)
        if count * self.operations > _CERTAIN_WORK:
            return self._undecided(count, count, "are too many to bound")
        bounds = self._bounds(rows)
        below = np.flatnonzero(bounds[:, 1] < 0)
        if len(below):
            return Refuted(self._witness(rows[below[0]], float(bounds[below[0]].mean())))
        open_ = np.flatnonzero(~(bounds[:, 0] >= 0))
        if not len(open_):
            return Proved()
        if len(open_) * self.operations > _EXACT_WORK:
            return self._undecided(len(open_), count, "are too many to compute in fractions")
        try:
            exact = evaluate(self.circuit, EXACT, self._evidence(rows[open_]))
        except DanausError as failure:
            return self._undecided(len(open_), count, f"have no fractions: {failure.diagnostics[0].message}")
        negative = np.flatnonzero(exact < 0)
        if len(negative):
            return Refuted(self._witness(rows[open_[negative[0]]], float(exact[negative[0]])))
        return Proved()

    def _undecided(self, rows: int, count: int, why: str) -> Unknown:
        return Unknown(
            f"rounding hides the sign of the value at {rows:,} of {count:,} assignments, which {why}",
            f"{count:,} assignments",
        )

    def _certain(self, rows: Floats) -> NegativeAt | None:
        """The first of the rows where the value is certainly negative, if a few of them show it."""
        likely = rows[:_CANDIDATES]
        if not len(likely):
            return None
        bounds = self._bounds(likely)
        for row, (low, high) in zip(likely, bounds, strict=True):
            if high < 0:
                return self._witness(row, float((low + high) / 2))
        if len(likely) * self.operations <= _EXACT_WORK:
            try:
                exact = evaluate(self.circuit, EXACT, self._evidence(likely))
            except DanausError:
                return None
            for row, value in zip(likely, exact, strict=True):
                if value < 0:
                    return self._witness(row, float(value))
        return None

    def _bounds(self, rows: Floats) -> Floats:
        """Certain bounds of the values, [rows, 2]; none where they cannot be computed."""
        try:
            return evaluate(self.circuit, INTERVAL, self._evidence(rows))
        except DanausError:
            return np.tile([-np.inf, np.inf], (len(rows), 1))

    def _rows(self, numbers: Indices) -> Floats:
        """Assignments by number, the first variable slowest, [rows, variables]; free ones have their first value."""
        variables = self.circuit.variables
        rows = np.tile([float(first_value(variable.domain)) for variable in variables], (len(numbers), 1))
        for variable in reversed(self.mentioned):
            assert isinstance(variable.domain, FiniteDomain)
            rows[:, variables.index(variable)] = domain_values(variable)[numbers % variable.domain.size]
            numbers = numbers // variable.domain.size
        return rows

    def _evidence(self, rows: Floats) -> Evidence:
        return Evidence(self.circuit.variables, rows, np.ones(rows.shape, dtype=bool))

    def _witness(self, row: Floats, value: float) -> NegativeAt:
        return NegativeAt(tuple(zip(self.circuit.variables, row.tolist(), strict=True)), value)


def _many(count: int | None) -> str:
    if count is None:
        return "infinitely many"
    return f"{count:,}" if count < 10**9 else f"about 10^{int(math.log10(count))}"


def _block_operations(block: Input | Product | Sum) -> int:
    match block:
        case Sum(_, linear):
            return map_operations(linear)
        case _:
            return block.width


def map_operations(linear: LinearMap) -> int:
    """The multiplications of a map's application."""
    match linear:
        case Dense() | Diagonal() | BlockDiagonal() | Sparse():
            return math.prod(linear.weights.shape)
        case Selection():
            return linear.outputs
        case Compose(parts):
            return sum(map(map_operations, parts))
        case Kronecker(parts):
            total, width = 0, linear.inputs
            for part in reversed(parts):
                total += map_operations(part) * (width // max(part.inputs, 1))
                width = width // max(part.inputs, 1) * part.outputs
            return total
