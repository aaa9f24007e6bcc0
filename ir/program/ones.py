"""A Program over polynomials in t, with t for each boolean that is 1: the mass of each number of ones, as coefficients.

What enters are tables, none of them negative; what leaves are the logarithms of the root's coefficients. Coefficients
are float64 with a power of two per buffer; nothing is taken away, so that each is right to rounding. Where underflow
may have taken one, the whole is done again in logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..parameter import Floats
from ..semirings import LOG, Array, Polynomial
from .execute import step_value
from .filled import laid_in, laid_out
from .operation import AllPairs, Contract, Fill, Gather, Join, Load, Multiply, Network, Repeat, Scale, Step
from .program import PRODUCT
from .tabled import Tabled

_LEAST, _SMALL, _LARGE, _LOST = 2.0**-1000, 2.0**-250, 2.0**250, 2.0**-1074
_SURE = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class _Powers:
    """Coefficients [nodes, degree + 1], times two to the exponent; `low`, `high` and `lost` as those of a buffer."""

    values: Floats
    low: float
    high: float
    exponent: int = 0
    lost: float = 0.0


def ones(tabled: Tabled, variables: int) -> Floats:
    """The logarithms of the root's coefficients of 1, t, t², …, where the first columns are so many booleans."""
    first = tabled.program.operations[0]
    if isinstance(first, Network):
        found = _network(tabled, first, variables) if tabled.plain() else None
    else:
        found = _vectors(tabled, variables)
    if found is None or bool((found.lost > _SURE * found.values[0]).any()):
        return _in_logarithms(tabled, variables)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(found.values[0]) + found.exponent * np.log(2.0))


def _vectors(tabled: Tabled, variables: int) -> _Powers:
    buffers: dict[int, _Powers] = {}
    for step in tabled.program.operations:
        assert not isinstance(step, Repeat)
        buffers[step.out] = _step(tabled, step, buffers, variables)
    return buffers[tabled.program.root]


def _step(tabled: Tabled, step: Step, buffers: dict[int, _Powers], variables: int) -> _Powers:
    match step:
        case Load(_, table, column):
            degree = 2 if column < variables else 1
            return _settled(np.ascontiguousarray(tabled.tables[table][:degree].T), *tabled.bounds(table))
        case Fill(_, table):
            return _settled(tabled.tables[table][:, None], *tabled.bounds(table))
        case Multiply(_, factors):
            found = buffers[factors[0]]
            for factor in factors[1:]:
                found = _product(found, buffers[factor], pairs=False)
            return found
        case AllPairs(_, factors):
            found = buffers[factors[0]]
            for factor in factors[1:]:
                found = _product(found, buffers[factor], pairs=True)
            return found
        case Join(_, parts):
            return _joined([buffers[part] for part in parts])
        case Gather(_, source, index):
            own = buffers[source]
            return _Powers(own.values[tabled.program.indices[index]], own.low, own.high, own.exponent, own.lost)
        case Scale(_, source, table):
            return _product(buffers[source], _Powers(tabled.tables[table][:, None], *tabled.bounds(table)), pairs=False)
        case Contract(_, source, table):
            own = buffers[source]
            values = laid_out(step, np.matmul(tabled.tables[table], laid_in(step, own.values)))
            low, most = tabled.bounds(table)[0] * own.low, tabled.most(table)
            lost = own.lost * most + (_LOST * step.columns if low < _LEAST else 0.0)
            return _settled(values, low, own.high * most, own.exponent, lost)
        case _:
            raise AssertionError(f"{type(step).__name__} has no ones to count")


def _settled(values: Floats, low: float, high: float, exponent: int = 0, lost: float = 0.0) -> _Powers:
    """Coefficients, by a power of two where their bounds come near the ends of the range."""
    if low >= _SMALL and high <= _LARGE:
        return _Powers(values, low, high, exponent, lost)
    _, power = np.frexp(values.max(initial=0.0))
    factor = 2.0 ** -float(np.clip(power, -1000, 1000))
    scaled = values * factor
    lost = lost * factor + (_LOST if low * factor < _LEAST else 0.0)
    positive = scaled[scaled > 0]
    return _Powers(scaled, float(positive.min()) if positive.size else 1.0, 1.0, exponent + int(power), lost)


def _product(a: _Powers, b: _Powers, pairs: bool) -> _Powers:
    x, y = (a.values[:, None], b.values[None]) if pairs else (a.values, b.values)
    values = convolved(x, y)
    values = values.reshape(-1, values.shape[-1])
    terms = min(a.values.shape[1], b.values.shape[1])
    low, high = a.low * b.low, a.high * b.high * terms
    lost = terms * (a.lost * b.high + b.lost * a.high + (_LOST if low < _LEAST else 0.0))
    return _settled(values, low, high, a.exponent + b.exponent, lost)


def convolved(a: Floats, b: Floats) -> Floats:
    """Products of polynomials, whose coefficients are the last axis; the others are broadcast."""
    if a.shape[-1] > b.shape[-1]:
        a, b = b, a
    shape = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    out = np.zeros((*shape, a.shape[-1] + b.shape[-1] - 1))
    for power in range(a.shape[-1]):
        out[..., power : power + b.shape[-1]] += a[..., power : power + 1] * b
    used = np.flatnonzero(out.reshape(-1, out.shape[-1]).any(axis=0))
    return out[..., : int(used[-1]) + 1] if len(used) else out[..., :1]


def _joined(parts: list[_Powers]) -> _Powers:
    top = max(part.exponent for part in parts)
    degree = max(part.values.shape[1] for part in parts)
    values: list[Floats] = []
    low, high, lost = 1.0, 0.0, 0.0
    for part in parts:
        factor = 2.0 ** max(part.exponent - top, -1070)
        values.append(np.pad(part.values * factor, ((0, 0), (0, degree - part.values.shape[1]))))
        low, high = min(low, part.low * factor), max(high, part.high * factor)
        lost = max(lost, part.lost * factor)
        lost += _LOST if part.low * factor < _LEAST else 0.0
        lost += part.high * factor if part.exponent - top < -1070 else 0.0
    return _settled(np.concatenate(values), low, high, top, lost)


def _network(tabled: Tabled, step: Network, variables: int) -> _Powers:
    """The nodes of a network rank by rank, all of whose numbers float64 holds."""
    net = tabled.ranked
    assert net is not None
    weights = np.append(tabled.tables[step.weights], 1.0)
    values = np.zeros((net.nodes, variables + 1))
    own = net.layout
    columns, starts = own.leaf_columns[net.leaf], own.leaf_offsets[net.leaf]
    values[: net.leaves, 0] = tabled.tables[step.leaves][starts]
    one = np.flatnonzero(columns < variables)
    if variables:
        values[one, 1] = tabled.tables[step.leaves][starts[one] + 1]
    for rank in net.ranks:
        lengths = np.diff(rank.offsets)
        members = net.members[rank.edges]
        if rank.kind == PRODUCT:
            found = np.zeros((len(lengths), variables + 1))
            found[:, 0] = 1.0
            for position in range(int(lengths.max(initial=0))):
                some = np.flatnonzero(lengths > position)
                product = convolved(found[some], values[members[rank.offsets[some] + position]])[:, : variables + 1]
                found[some] = 0.0
                found[some, : product.shape[1]] = product
            values[rank.nodes] = found
        else:
            some = np.flatnonzero(lengths)
            terms = values[members] * weights[net.weights[rank.edges]][:, None]
            if len(some):
                values[rank.first + some] = np.add.reduceat(terms, rank.offsets[some], axis=0)
    return _Powers(values[-1:], 1.0, 1.0)


def _in_logarithms(tabled: Tabled, variables: int) -> Floats:
    """The same over polynomials whose coefficients are logarithms."""
    program, over = tabled.program, Polynomial(LOG)
    codes = np.zeros((len(program.columns), 1), dtype=np.int64)
    logs = [tabled.numbers(table, True) for table in range(len(program.tables))]
    buffers: dict[int, Array] = {}
    for step in program.operations:
        assert not isinstance(step, Repeat)
        if isinstance(step, Load) and step.column < variables:
            buffers[step.out] = logs[step.table][:2].T[:, None]
        elif isinstance(step, Network):
            buffers[step.out] = _log_network(tabled, step, variables, over)
        else:
            buffers[step.out] = step_value(step, program, buffers, logs, codes, over)
    found: Floats = buffers[program.root][0, 0]
    return found


def _log_network(tabled: Tabled, step: Network, variables: int, over: Polynomial) -> Array:
    """The root of a network, [1, 1, degree + 1], rank by rank."""
    net = tabled.ranked
    assert net is not None
    leaves, weights = tabled.numbers(step.leaves, True), np.append(tabled.numbers(step.weights, True), 0.0)
    values = np.full((net.nodes, 1, variables + 1), -np.inf)
    columns, starts = net.layout.leaf_columns[net.leaf], net.layout.leaf_offsets[net.leaf]
    values[: net.leaves, 0, 0] = leaves[starts]
    one = np.flatnonzero(columns < variables)
    if variables:
        values[one, 0, 1] = leaves[starts[one] + 1]
    for rank in net.ranks:
        terms = values[net.members[rank.edges]]
        used = np.flatnonzero(~np.isneginf(terms).all(axis=(0, 1)))
        terms = terms[..., : int(used[-1]) + 1 if len(used) else 1]
        if rank.kind == PRODUCT:
            found = over.segment_product(terms, rank.offsets)[..., : variables + 1]
        else:
            found = over.segment_sum(over.scale(weights[net.weights[rank.edges]][:, None], terms), rank.offsets)
        values[rank.nodes, :, : found.shape[-1]] = found
    return values[-1:]
