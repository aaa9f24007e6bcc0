"""What proves that an assignment found by maximisation is the best: a bound, an enumeration, or single paths.

A deterministic circuit has at most one non-zero term per sum, so that its maximum is that of its largest products. A
composed map may still reach one input by several paths, which maximisation would part: there it is multiplied out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..apply import apply
from ..block import Block, Input, Sum, weighted
from ..circuit import Circuit
from ..domain import FiniteDomain, Variable, first_value
from ..evaluate import Evidence, evaluate
from ..linear import Compose, Dense, Diagonal, Indices, Kronecker, LinearMap, Selection, monarch_parts
from ..numbers import Numbers
from ..parameter import Floats, constant
from ..semirings import LINEAR, LOG, SIGNED_LOG, Array, Max
from .likelihood import Booleans, signed_log_value

_CHUNK = 1 << 22
_LARGEST_MATRIX = 1 << 24

# Completions that are tried for one row, and those times the circuit's nodes: 16 ms per row, measured at 2^20.
_COMPLETIONS = 4096
_WORK = 1 << 20


class Magnitude(Max):
    """Maxima of products of numbers without their signs, as logarithms."""

    name = "magnitude"

    def from_field(self, values: Array) -> Array:
        return values[..., 0]


class Bound(Magnitude):
    """Sums of magnitudes, but over a missing variable's values their maximum: no assignment is worth more."""

    name = "bound"

    def add(self, a: Array, b: Array) -> Array:
        return LOG.add(a, b)

    def matmul(self, scalars: Array, elements: Array) -> Array:
        return LOG.matmul(scalars, elements)

    def segment_sum(self, elements: Array, offsets: Array) -> Array:
        return LOG.segment_sum(elements, offsets)


MAGNITUDE = Magnitude()
BOUND = Bound()


def upper_bound(circuit: Circuit, evidence: Evidence) -> Floats:
    """The logarithm of what no completion of a row is worth more than, [batch]."""
    return evaluate(circuit, BOUND, evidence)


# The logarithm of a circuit's value in rows where a mask says what is summed out, −inf where it is not positive.
Score = Callable[[Floats, Booleans], Floats]


def enumerated(
    circuit: Circuit, values: Floats, observed: Booleans, chosen: Booleans | None = None
) -> tuple[Indices, Floats, Floats]:
    """The best completion of each row of which all can be tried: as `best_tried`, by the circuit's own values."""

    def score(values: Floats, mask: Booleans) -> Floats:
        logs, signs = signed_log_value(circuit, values, mask)
        return np.where(signs > 0, logs, -np.inf)

    free = np.array([variable in circuit.free for variable in circuit.variables], dtype=bool)
    return best_tried(circuit.variables, free, circuit.nodes, score, values, observed, chosen)


def best_tried(
    variables: tuple[Variable, ...],
    free: Booleans,
    nodes: int,
    score: Score,
    values: Floats,
    observed: Booleans,
    chosen: Booleans | None = None,
) -> tuple[Indices, Floats, Floats]:
    """The best completion of each row of which all can be tried, by value, the first of equals in domain order.

    Of the missing variables only the `chosen` ones are completed, [variables]; the others are summed out. Returns the
    rows that were tried, their best completions [tried, variables], and the logarithms of their values.
    """
    domains = [variable.domain for variable in variables]
    most = _COMPLETIONS + 1
    sizes = np.array([min(d.size, most) if isinstance(d, FiniteDomain) else most for d in domains], dtype=np.int64)
    first = np.array([float(first_value(domain)) for domain in domains])
    mask = np.ones_like(observed) if chosen is None else observed | chosen
    radix = np.where(observed | free | ~mask, 1, sizes)
    counts = np.ones(len(values), dtype=np.int64)
    for column in radix.T:
        counts = np.minimum(counts * column, most)
    tried = np.flatnonzero((counts < most) & (counts * nodes <= _WORK))
    rows = np.where(observed, values, first)[tried]
    if not len(tried):
        return tried, rows, np.zeros(0)
    kinds = np.hstack([rows, radix[tried], mask[tried]])
    _, some, place = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
    best, scores = _try_all(score, rows[some], mask[tried[some]], radix[tried[some]], first)
    return tried, best[place.reshape(-1)], scores[place.reshape(-1)]


def _try_all(score: Score, rows: Floats, mask: Booleans, radix: Indices, first: Floats) -> tuple[Floats, Floats]:
    """The best of all completions of each row, where a variable takes `radix` values from `first` on, and its score.

    What the mask leaves out is summed out.
    """
    best, scores = rows.copy(), np.full(len(rows), -np.inf)
    counts = radix.prod(axis=1)
    step = max(1, _CHUNK // (int(counts.max()) * max(1, radix.shape[1])))
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        offsets = np.concatenate([[0], np.cumsum(counts[some])])
        owner = np.repeat(np.arange(len(offsets) - 1), counts[some])
        sizes = radix[some][owner]
        digits = _digits(np.arange(len(owner)) - offsets[owner], sizes)
        completions = np.where(sizes > 1, first + digits, rows[some][owner])
        logs = score(completions, mask[some][owner])
        scores[some] = np.maximum.reduceat(logs, offsets[:-1])
        hits = np.flatnonzero(logs == scores[some][owner])
        _, where = np.unique(owner[hits], return_index=True)
        best[some] = completions[hits[where]]
    return best, scores


def _digits(numbers: Indices, radix: Indices) -> Indices:
    """The digits of each number in its own mixed radix [numbers, digits], the last fastest."""
    digits = np.empty_like(radix)
    for position in reversed(range(radix.shape[1])):
        numbers, digits[:, position] = np.divmod(numbers, radix[:, position])
    return digits


def one_path(circuit: Circuit) -> tuple[Circuit, bool]:
    """The circuit with composed maps that have several paths between two nodes multiplied out, and whether all are.

    They are left where the matrix is too large, or an entry of it too small for float64.
    """
    numbers = Numbers(circuit.store)
    made: dict[Block, Block] = {}
    complete = True
    for block in circuit.blocks:
        made[block] = block
        if isinstance(block, Input):
            continue
        children = tuple(made[child] for child in block.children)
        linear: LinearMap | None = None
        if isinstance(block, Sum) and not _is_single(circuit, block.map):
            linear = _multiplied(block.map, numbers)
            complete = complete and linear is not None
        if linear is not None:
            made[block] = weighted(children, linear, block.span)
        elif children != block.children:
            made[block] = replace(block, children=children)
    return replace(circuit, root=made[circuit.root]), complete


def _is_single(circuit: Circuit, linear: LinearMap) -> bool:
    """Whether a map surely has at most one path from each output to each input; only composed maps may have more."""
    if isinstance(linear, Kronecker):
        return all(_is_single(circuit, factor) for factor in linear.factors)
    if not isinstance(linear, Compose):
        return True
    spreading = [part for part in linear.maps if not _keeps_apart(part)]
    if len(spreading) <= 1 or monarch_parts(linear):
        return all(_is_single(circuit, part) for part in spreading)
    step = max(1, _CHUNK // max(linear.inputs, linear.outputs))
    if linear.inputs * linear.outputs > _LARGEST_MATRIX:
        return False
    for start in range(0, linear.inputs, step):
        columns = np.eye(linear.inputs, min(step, linear.inputs - start), -start)
        if apply(linear, columns, LINEAR, circuit.support).max(initial=0.0) > 1:
            return False
    return True


def _keeps_apart(linear: LinearMap) -> bool:
    """Whether each input goes to at most one output, which has no other."""
    if isinstance(linear, Selection):
        return len(np.unique(linear.index)) == len(linear.index)
    return isinstance(linear, Diagonal)


def _multiplied(linear: LinearMap, numbers: Numbers) -> Dense | None:
    """A map as one matrix in float64."""
    if linear.inputs * linear.outputs > _LARGEST_MATRIX:
        return None
    unit = SIGNED_LOG.full((linear.inputs, linear.inputs), one=False).copy()
    unit[np.arange(linear.inputs), np.arange(linear.inputs)] = SIGNED_LOG.unit(one=True)
    product = apply(linear, unit, SIGNED_LOG, numbers)
    matrix = product[..., 1] * np.exp(product[..., 0])
    return None if np.any((matrix == 0) != (product[..., 1] == 0)) else Dense(constant(matrix))
