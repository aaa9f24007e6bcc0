"""The most probable values of some variables while the others are summed out (marginal MAP).

Upwards the sums whose scope meets the chosen variables are replaced by the largest of their terms, the others stay
sums; downwards each of the former chooses it. That is exact where the circuit is marginally deterministic for the
chosen variables; elsewhere it gives an assignment, whose marginal is then computed, and which is certain where no other
can be worth more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from ..apply import apply
from ..block import Block, Input, Product, Sum
from ..circuit import Circuit
from ..diagnostic import error
from ..domain import Variable, first_value
from ..evaluate import Evidence, forward_by, free_elements, input_elements, multiply, rows_at_once
from ..numbers import Numbers
from ..parameter import Floats
from ..semirings import LOG, Array, Log
from .descend import Descent
from .exactness import BOUND, MAGNITUDE, enumerated, one_path
from .likelihood import Booleans, evidence_of, log_likelihood, logarithmic
from .maximum import TOLERANCE, MostProbable, largest, modes

Sums = dict[Block, Booleans]


def most_probable_marginal(
    circuit: Circuit,
    chosen: Collection[Variable],
    values: Floats,
    observed: Booleans,
    deterministic: bool = False,
) -> MostProbable:
    """The most probable values of the chosen variables in each row, with the other missing ones summed out.

    `values` of the answer are NaN where a variable is neither chosen nor observed, and where the evidence is
    impossible; `log_probability` is the marginal of what is chosen and observed, not normalised. The circuit is smooth,
    decomposable and nonnegative, and marginally deterministic for the chosen variables where the caller says so. A row
    is certain where that is so, where its assignment reaches the bound that a relaxed maximum gives, or where all
    completions were tried (at most 4096).

    >>> from danaus import parse
    >>> p = parse('''
    ...     var x : bool
    ...     var y : bool
    ...     circuit p { return sum(bernoulli(x, [0.9, 0.2]) * bernoulli(y, [0.5, 1]), [[0.4, 0.6]]) }
    ... ''').circuits["p"]
    >>> best = most_probable_marginal(p, p.variables[:1], np.zeros((1, 2)), np.zeros((1, 2), dtype=bool))
    >>> best.values.tolist(), np.exp(best.log_probability).round(3).tolist(), best.exact
    ([[0.0, nan]], [0.52], True)

    Raises: DanausError `negative` where a weight or an input is negative: terms that cancel have no largest.
    """
    if logarithmic(circuit, Numbers(circuit.store)) is not LOG:
        raise error(
            "negative",
            f'"{circuit.name}" has negative numbers: its terms cancel, and have no largest',
            hint="marginal_map is of circuits whose weights and inputs are nonnegative",
        )
    evidence = evidence_of(circuit, values, observed)
    picked = np.array([variable in chosen for variable in circuit.variables], dtype=bool)
    known = evidence.observed | picked
    maximised, proved = one_path(circuit) if deterministic else (circuit, False)
    found, possible = _decoded(maximised, evidence, picked)
    logs = np.full(evidence.rows, -np.inf)
    logs[possible] = log_likelihood(circuit, found[possible], known[possible])
    certain = ~possible | proved
    rows = np.flatnonzero(~certain)
    bound = _bound(circuit, evidence_of(circuit, evidence.values[rows], evidence.observed[rows]), picked)
    certain[rows] = bound - logs[rows] <= TOLERANCE * np.maximum(1.0, np.abs(bound))
    rows = np.flatnonzero(~certain)
    tried, best, scores = enumerated(circuit, evidence.values[rows], evidence.observed[rows], picked)
    rows = rows[tried]
    better = scores > logs[rows]
    found[rows[better]], logs[rows[better]] = best[better], scores[better]
    certain[rows] = True
    found[~possible | np.isneginf(logs)] = np.nan
    return MostProbable(np.where(known, found, np.nan), logs, certain)


def _decoded(circuit: Circuit, evidence: Evidence, picked: Booleans) -> tuple[Floats, Booleans]:
    """The assignment that maximisation finds, [batch, variables], and in which rows there is one, [batch]."""
    numbers = Numbers(circuit.store)
    maximal = _maximal(circuit, picked)
    first = np.array([float(first_value(variable.domain)) for variable in evidence.variables])
    found = np.where(evidence.observed, evidence.values, first)
    possible = np.zeros(evidence.rows, dtype=bool)
    step = rows_at_once(circuit, keep=True)
    for start in range(0, evidence.rows, step):
        part = evidence.part(slice(start, start + step))
        values = dict(forward_by(circuit, _element(part, picked, maximal, MAGNITUDE, numbers), keep=True))
        columns = np.flatnonzero(~np.isneginf(values[circuit.root][0]))
        possible[start + columns] = True
        for block, reached in Descent(MAGNITUDE, numbers, largest).inputs(circuit, values, columns):
            position = part.positions[block.variable]
            if picked[position]:
                missing = ~part.observed[columns[reached.rows], position]
                found[start + columns[reached.rows[missing]], position] = modes(block, numbers)[reached.nodes[missing]]
    return found, possible


def _bound(circuit: Circuit, evidence: Evidence, picked: Booleans) -> Floats:
    """The logarithm of what no choice is worth more than, [batch]: inputs at their largest, but all sums kept."""
    numbers = Numbers(circuit.store)
    none: Sums = {block: np.zeros(block.width, dtype=bool) for block in circuit.blocks}
    parts: list[Floats] = [np.zeros(0)]
    step = rows_at_once(circuit)
    for start in range(0, evidence.rows, step):
        part = evidence.part(slice(start, start + step))
        for block, value in forward_by(circuit, _element(part, picked, none, BOUND, numbers)):
            if block is circuit.root:
                parts.append(value[0] + _free(circuit, part, picked, numbers))
    return np.concatenate(parts)


def _free(circuit: Circuit, part: Evidence, picked: Booleans, numbers: Numbers) -> Floats:
    """What free variables multiply by: 1 where they are chosen or known, their number of values otherwise."""
    unpicked = tuple(variable for variable in circuit.free if not picked[part.positions[variable]])
    return np.asarray(free_elements(Circuit(circuit.root, circuit.store, free=unpicked), LOG, part, numbers))


def _maximal(circuit: Circuit, picked: Booleans) -> Sums:
    """Which nodes have a chosen variable in their scope, per block [width]."""
    scopes = circuit.scopes
    chosen = {variable for variable, there in zip(circuit.variables, picked, strict=True) if there}
    bits = np.zeros(64 * max(1, -(-len(scopes.variables) // 64)), dtype=np.uint8)
    for position, variable in enumerate(scopes.variables):
        bits[position] = variable in chosen
    row = np.packbits(bits, bitorder="little").view(np.uint64)
    meets = np.any(scopes.table & row, axis=1)
    return {block: meets[scopes.ids[block]] for block in circuit.blocks}


def _element(
    evidence: Evidence, picked: Booleans, maximal: Sums, maximum: Log, numbers: Numbers
) -> Callable[[Block, list[Array]], Array]:
    """The rule of the elements: `maximum` on chosen variables and in maximal sums, logarithms of sums elsewhere."""

    def element(block: Block, below: list[Array]) -> Array:
        match block:
            case Input(family, variable, parameters):
                position = evidence.positions.get(variable)  # none of what stands under zero weights alone
                semiring = maximum if position is not None and picked[position] else LOG
                return input_elements(family, variable, parameters, semiring, evidence, numbers)
            case Product(_, form):
                return multiply(below, form, evidence.rows, LOG)
            case Sum(_, linear):
                laid = LOG.concatenate(below)
                some = maximal[block]
                if not some.any():
                    return apply(linear, laid, LOG, numbers)
                largest_terms = apply(linear, laid, maximum, numbers)
                if some.all():
                    return largest_terms
                return np.where(some[:, None], largest_terms, apply(linear, laid, LOG, numbers))

    return element
