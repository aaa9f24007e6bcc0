"""The most probable values of what is missing (MAP), found by maximisation and, where it can be, proved exact.

Upwards each sum is replaced by the largest of its terms, downwards each chooses it. That is exact where the circuit is
deterministic; elsewhere it gives an assignment, whose value is then computed, and which is certain where no other can
be worth more (exactness.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..block import Input
from ..circuit import Circuit
from ..density import domain_values
from ..domain import FiniteDomain, first_value
from ..evaluate import Evidence, rows_at_once, values_of
from ..linear import Indices
from ..numbers import Numbers
from ..parameter import Floats
from ..products import mode
from ..program.descent import Reached
from ..semirings import SIGNED_LOG
from .conditional import Answer
from .descend import Descent
from .exactness import MAGNITUDE, enumerated, one_path, upper_bound
from .likelihood import Booleans, evidence_of, signed_log_value
from .mixture import Mixture
from .stepwise import Choose, complete

# Two values are the same where their logarithms agree to this, relative or absolute: rounding over long circuits.
TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class MostProbable:
    """The most probable completions of rows.

    `values` of all variables, [batch, variables], NaN where the evidence is impossible; `log_probability` of them, in
    the circuit as it is, not normalised, [batch]; `certain`, the rows where surely none is more probable, [batch].
    """

    values: Floats
    log_probability: Floats
    certain: Booleans

    @property
    def exact(self) -> bool:
        """Whether all rows are certain."""
        return bool(self.certain.all())


def most_probable(circuit: Circuit, values: Floats, observed: Booleans, deterministic: bool = False) -> MostProbable:
    """The most probable completion of each row; of equal choices the first.

    The circuit is smooth, decomposable and nonnegative, and deterministic where the caller says so. A row is certain
    where (a) the circuit is deterministic; (b) its assignment reaches a bound: the circuit's value with each missing
    input at its largest, but sums kept, as it does where each sum has one child; (c) all its completions were tried,
    at most 4096 where that is cheap, which also finds the best; or its evidence is impossible.

    Real and count variables take the mode of the input that is chosen, free ones their first value. A circuit with
    negative numbers is maximised by magnitudes and, where that ends in zero, variable by variable.

    >>> from danaus import parse
    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [0.75]) }").circuits["p"]
    >>> best = most_probable(p, np.zeros((1, 1)), np.array([[False]]))
    >>> best.values.tolist(), np.exp(best.log_probability).tolist(), best.exact
    ([[1.0]], [0.75], True)
    """
    evidence = evidence_of(circuit, values, observed)
    maximised, proved = one_path(circuit) if deterministic else (circuit, False)
    found, possible = _decoded(maximised, evidence)
    logs = np.full(evidence.rows, -np.inf)
    logs[possible] = _log_values(circuit, found[possible])
    lost = np.flatnonzero(possible & np.isneginf(logs))
    if len(lost):  # terms of both signs cancel there, if not the evidence itself is worth nothing
        known, mask = evidence.values[lost], evidence.observed[lost]
        mass = signed_log_value(circuit, known, mask)[1] > 0
        possible[lost[~mass]] = False
        found[lost[mass]] = complete(circuit, known[mass], mask[mass], _likeliest(circuit))
        logs[lost[mass]] = _log_values(circuit, found[lost[mass]])
    certain = ~possible | proved
    _prove(circuit, evidence, found, logs, certain)
    found[~possible] = np.nan
    return MostProbable(found, logs, certain)


def _prove(circuit: Circuit, evidence: Evidence, found: Floats, logs: Floats, certain: Booleans) -> None:
    """Marks the rows whose assignment reaches the bound or is the best of all, which takes its place."""
    rows = np.flatnonzero(~certain)
    if not len(rows):
        return
    bound = upper_bound(circuit, evidence_of(circuit, evidence.values[rows], evidence.observed[rows]))
    certain[rows] = bound - logs[rows] <= TOLERANCE * np.maximum(1.0, np.abs(bound))
    rows = np.flatnonzero(~certain)
    tried, best, scores = enumerated(circuit, evidence.values[rows], evidence.observed[rows])
    rows = rows[tried]
    better = scores > logs[rows]
    found[rows[better]], logs[rows[better]] = best[better], scores[better]
    certain[rows] = True


def _log_values(circuit: Circuit, values: Floats) -> Floats:
    """The logarithm of a nonnegative circuit, [batch]: −inf where rounding leaves less than nothing."""
    logs, signs = signed_log_value(circuit, values)
    return np.where(signs > 0, logs, -np.inf)


def _decoded(circuit: Circuit, evidence: Evidence) -> tuple[Floats, Booleans]:
    """The assignment that maximisation finds, [batch, variables], and in which rows there is one, [batch]."""
    numbers = Numbers(circuit.store)
    first = np.array([float(first_value(variable.domain)) for variable in evidence.variables])
    found = np.where(evidence.observed, evidence.values, first)
    possible = np.zeros(evidence.rows, dtype=bool)
    step = rows_at_once(circuit, keep=True)
    for start in range(0, evidence.rows, step):
        part = evidence.part(slice(start, start + step))
        values = values_of(circuit, MAGNITUDE, part, numbers)
        columns = np.flatnonzero(~np.isneginf(values[circuit.root][0]))
        possible[start + columns] = True
        for block, reached in Descent(MAGNITUDE, numbers, largest).inputs(circuit, values, columns):
            position = part.positions[block.variable]
            missing = ~part.observed[columns[reached.rows], position]
            best = modes(block, numbers)[reached.nodes[missing]]
            found[start + columns[reached.rows[missing]], position] = best
    return found, possible


def largest(terms: Floats, reached: Reached, number: int) -> Indices:
    """The first of the largest terms."""
    return np.asarray(terms.argmax(axis=1), dtype=np.int64)


def modes(block: Input, numbers: Numbers) -> Floats:
    """The value at which each node of an input has the largest magnitude, the first of equals: [width]."""
    if not isinstance(block.variable.domain, FiniteDomain):
        return np.broadcast_to(mode(block.family, numbers.floats(block.parameters)), block.width)
    x = domain_values(block.variable)
    table = numbers.inputs(block.family, block.variable, block.parameters, x, SIGNED_LOG)
    return np.asarray(x[table[..., 0].argmax(axis=1)])


def _likeliest(circuit: Circuit) -> Choose:
    def choose(position: int, answer: Answer, rows: Indices) -> Floats:
        """The most probable value of one variable by its distribution in each row."""
        if isinstance(answer, Mixture):
            return answer.peak()
        first = first_value(circuit.variables[position].domain)
        return np.asarray(first + answer.argmax(axis=1), dtype=np.float64)

    return choose
