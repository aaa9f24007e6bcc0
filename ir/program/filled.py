"""A Program run forward with its buffers kept, for walks back from the root: in scaled numbers, logarithms or maxima.

What enters are tables and rows of codes; what leaves are the values of all buffers. Scaled numbers are float64 with a
power of two per buffer and row, ten times as fast as logarithms; a bound on what underflow has taken says in which rows
they do not vouch for the root, and those are filled again in logarithms. Zeros are exact in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..linear import Indices
from ..parameter import Floats
from ..semirings.logarithmic import log_matmul
from ..semirings.semiring import reduceat
from .operation import AllPairs, Contract, Density, Fill, Gather, Join, Load, Multiply, Network, Repeat, Scale, reads
from .program import PRODUCT
from .ranks import Rank, Ranked
from .tabled import Tabled

Booleans = NDArray[np.bool_]
Numeric = Literal["scaled", "log", "max"]

_SMALL, _LARGE = 2.0**-300, 2.0**300
_LEAST = 2.0**-1000
_LOST = 2.0**-1074
_SURE = 1e-14
_FAR = -700.0  # the power of two by which a part of a join may be smaller than the largest, and still be told from 0
_CHUNK = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of data: codes [columns, batch], the number of values of a column where it is missing.

    `densities` are logarithms of inputs on infinite domains by source, [nodes, batch]; `weights` stand for codes in the
    columns that they are of: [batch, values], virtual evidence.
    """

    codes: Indices
    densities: Mapping[int, Floats] = field(default_factory=dict[int, Floats])
    weights: Mapping[int, Floats] = field(default_factory=dict[int, Floats])

    @property
    def count(self) -> int:
        return int(self.codes.shape[1])

    def part(self, rows: slice | Indices) -> Rows:
        return Rows(
            self.codes[:, rows],
            {source: logs[:, rows] for source, logs in self.densities.items()},
            {column: weights[rows] for column, weights in self.weights.items()},
        )


@dataclass(slots=True, eq=False)
class Buffer:
    """Values [nodes, batch], scaled: each times two to its row's exponent; what is not 0 lies from low to high.

    `lost` bounds what underflow has taken from any of a row's values.
    """

    values: Floats
    low: float = 1.0
    high: float = 1.0
    exponents: Floats | None = None
    lost: Floats | None = None


@dataclass(slots=True, eq=False)
class Filled:
    """The buffers of a Program at rows of data; of a network the nodes by place, in numbers or in logarithms."""

    tabled: Tabled
    rows: Rows
    numeric: Numeric
    buffers: dict[int, Buffer]
    nodes: Floats | None = None
    log_nodes: bool = False

    @property
    def log(self) -> bool:
        """Whether values are logarithms."""
        return self.numeric != "scaled"

    @property
    def root(self) -> Floats:
        """The logarithm of the root, [batch]."""
        found = self.buffers[self.tabled.program.root]
        if self.log or self.log_nodes:
            return np.asarray(found.values[0])
        with np.errstate(divide="ignore"):
            log: Floats = np.log(found.values[0])
        return log if found.exponents is None else log + found.exponents * np.log(2.0)

    @property
    def unsure(self) -> Booleans:
        """The rows in which underflow may have taken some of the root."""
        found = self.buffers[self.tabled.program.root]
        if found.lost is None:
            return np.zeros(self.rows.count, dtype=bool)
        return np.asarray(~(found.lost <= _SURE * found.values[0]))


def filled(tabled: Tabled, rows: Rows, numeric: Numeric = "scaled", keep: bool = True) -> Filled:
    """The Program run on rows; without `keep` a buffer goes after its last use, which leaves the root."""
    out = Filled(tabled, rows, numeric, {})
    last = {} if keep else _last_uses(tabled)
    for position, step in enumerate(tabled.program.operations):
        match step:
            case Load(_, table, column):
                buffer = _loaded(out, table, column)
            case Density(_, source, _, _):
                buffer = _density(out, source)
            case Fill(_, table):
                values = tabled.numbers(table, out.log)[:, None]
                whole = np.repeat(values, rows.count, axis=1)
                buffer = Buffer(whole) if out.log else _settled(whole, *tabled.bounds(table), None, None)
            case Multiply(_, factors):
                buffer = out.buffers[factors[0]]
                for factor in factors[1:]:
                    buffer = _product(out, buffer, out.buffers[factor], pairs=False)
            case AllPairs(_, factors):
                buffer = out.buffers[factors[0]]
                for factor in factors[1:]:
                    buffer = _product(out, buffer, out.buffers[factor], pairs=True)
            case Join(_, parts):
                buffer = _joined(out, [out.buffers[part] for part in parts])
            case Gather(_, source, index):
                own = out.buffers[source]
                values = own.values[tabled.program.indices[index]]
                buffer = Buffer(values, own.low, own.high, own.exponents, own.lost)
            case Scale(_, source, table):
                low, high = tabled.bounds(table)
                factor_values = np.repeat(tabled.numbers(table, out.log)[:, None], rows.count, axis=1)
                buffer = _product(out, out.buffers[source], Buffer(factor_values, low, high), pairs=False)
            case Contract():
                buffer = _contracted(out, step)
            case Network():
                buffer = _network(out, step)
            case Repeat():
                raise AssertionError("the Program has no loops")
        out.buffers[step.out] = buffer
        for source in last.get(position, ()):
            del out.buffers[source]
    return out


def _last_uses(tabled: Tabled) -> dict[int, list[int]]:
    last: dict[int, int] = {}
    for position, step in enumerate(tabled.program.operations):
        assert not isinstance(step, Repeat)
        for source in reads(step):
            last[source] = position
    out: dict[int, list[int]] = {}
    for source, position in last.items():
        if source != tabled.program.root:
            out.setdefault(position, []).append(source)
    return out


def _loaded(out: Filled, table: int, column: int) -> Buffer:
    weights = out.rows.weights.get(column)
    turned = out.tabled.turned(table, out.log and weights is None)
    if weights is None:
        values = turned.take(out.rows.codes[column], axis=1)
        return Buffer(values) if out.log else _settled(values, *out.tabled.bounds(table), None, None)
    values = turned[:, :-1] @ weights.T
    return _exactly(out, values)


def _exactly(out: Filled, values: Floats) -> Buffer:
    """Numbers as they are: looked at, since no table bounds them."""
    if out.log:
        with np.errstate(divide="ignore"):
            return Buffer(np.log(values))
    return _scaled(Buffer(values))


def _density(out: Filled, source: int) -> Buffer:
    logs = out.rows.densities[source]
    if out.log:
        return Buffer(logs)
    top = logs.max(axis=0)
    power = np.where(np.isfinite(top), np.floor(top / np.log(2.0)), 0.0)
    with np.errstate(under="ignore"):
        values = np.exp(logs - power * np.log(2.0))
    gone = ((values < 2.0**-1022) & np.isfinite(logs)).any(axis=0)
    buffer = Buffer(values, exponents=power, lost=np.where(gone, 2.0**-1022, 0.0) if gone.any() else None)
    return _scaled(buffer)


def _scaled(buffer: Buffer) -> Buffer:
    """Each row by a power of two so that its largest value is about 1, and the bounds as they are."""
    values = buffer.values
    top = values.max(axis=0, initial=0.0)
    _, power = np.frexp(top)
    power = np.clip(power, -1020, 1020).astype(np.float64)
    factor = np.exp2(-power)
    values = values * factor
    lost = buffer.lost
    positive = values[values > 0]
    low = float(positive.min()) if positive.size else 1.0
    if lost is not None:
        with np.errstate(over="ignore"):  # infinite: nothing is known of the row
            lost = lost * factor
    if buffer.low * float(factor.min(initial=1.0)) < _LEAST:
        lost = (0.0 if lost is None else lost) + np.full(values.shape[1], _LOST)
    exponents = power if buffer.exponents is None else buffer.exponents + power
    return Buffer(values, low, 1.0, exponents, lost)


def _settled(values: Floats, low: float, high: float, exponents: Floats | None, lost: Floats | None) -> Buffer:
    """A buffer, scaled where its bounds have come near the ends of the range."""
    found = Buffer(values, low, high, exponents, lost)
    return found if low >= _SMALL and high <= _LARGE else _scaled(found)


def _product(out: Filled, a: Buffer, b: Buffer, pairs: bool) -> Buffer:
    x, y = (a.values[:, None], b.values[None]) if pairs else (a.values, b.values)
    values = x + y if out.log else x * y
    if pairs:
        values = values.reshape(-1, values.shape[-1])
    if out.log:
        return Buffer(values)
    low, high = a.low * b.low, a.high * b.high
    lost = None
    if a.lost is not None or b.lost is not None or low < _LEAST:
        lost = np.full(values.shape[1], _LOST if low < _LEAST else 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            lost += 0.0 if a.lost is None else a.lost * b.high
            lost += 0.0 if b.lost is None else b.lost * a.high
    return _settled(values, low, high, _plus(a.exponents, b.exponents), lost)


def _plus(a: Floats | None, b: Floats | None) -> Floats | None:
    if a is None:
        return b
    return a if b is None else a + b


def _joined(out: Filled, parts: list[Buffer]) -> Buffer:
    if out.log or all(part.exponents is None for part in parts):
        values = np.concatenate([part.values for part in parts])
        exponents = None
        losses = [part.lost for part in parts if part.lost is not None]
        low, high = min(part.low for part in parts), max(part.high for part in parts)
        return Buffer(values, low, high, exponents, np.max(losses, axis=0) if losses else None)
    parts = [_scaled(part) for part in parts]
    powers = [np.zeros(out.rows.count) if part.exponents is None else part.exponents for part in parts]
    held = np.array([np.where(p.values.any(axis=0), own, -np.inf) for p, own in zip(parts, powers, strict=True)])
    top = held.max(axis=0)
    top = np.where(np.isneginf(top), 0.0, top)
    together: list[Floats] = []
    low, lost = 1.0, np.zeros(out.rows.count)
    for part, exponents in zip(parts, held, strict=True):
        shift = np.where(np.isneginf(exponents), 0.0, exponents - top)
        factor = np.where(shift < _FAR, 0.0, np.exp2(np.maximum(shift, _FAR)))
        together.append(part.values * factor)
        lost = np.maximum(lost, np.where(shift < _FAR, 2.0**_FAR, 0.0 if part.lost is None else part.lost * factor))
        low = min(low, part.low * 2.0 ** max(_FAR, float(shift.min(initial=0.0))))
    lost += _LOST if low < _LEAST else 0.0
    return _settled(np.concatenate(together), low, 1.0, top, lost if lost.any() else None)


def _contracted(out: Filled, step: Contract) -> Buffer:
    source = out.buffers[step.source]
    matrix = out.tabled.numbers(step.table, out.log)
    cube = laid_in(step, source.values)
    if out.numeric == "scaled":
        y = np.matmul(matrix, cube)
    elif out.numeric == "log":
        y = log_matmul(np.broadcast_to(matrix, (step.blocks, *matrix.shape[1:])), cube)
    else:
        y = largest_terms(matrix, cube)
    values = laid_out(step, y)
    if out.log:
        return Buffer(values)
    low, _ = out.tabled.bounds(step.table)
    most = out.tabled.most(step.table)
    with np.errstate(over="ignore", invalid="ignore"):
        lost = None if source.lost is None else source.lost * most
    if low * source.low < _LEAST:
        lost = (0.0 if lost is None else lost) + np.full(values.shape[1], _LOST * step.columns)
    return _settled(values, low * source.low, most * source.high, source.exponents, lost)


def laid_in(step: Contract, source: Floats) -> Floats:
    """What a map reads, [blocks, columns, batch]."""
    if step.read.node == 1 and step.read.block == step.columns:
        return source.reshape(step.blocks, step.columns, -1)
    return np.asarray(source[read_index(step)])


def read_index(step: Contract) -> Indices:
    """The node that each block's columns stand at, [blocks, columns]."""
    return np.add.outer(np.arange(step.blocks) * step.read.block, np.arange(step.columns) * step.read.node)


def laid_out(step: Contract, y: Floats) -> Floats:
    """A buffer from [blocks, rows, batch]."""
    if step.write.node == 1 and step.write.block == step.rows:
        return y.reshape(step.blocks * step.rows, -1)
    if step.write.block == 1 and step.write.node == step.blocks:
        return np.ascontiguousarray(y.swapaxes(0, 1)).reshape(step.blocks * step.rows, -1)
    out = np.empty((step.blocks * step.rows, y.shape[2]))
    out[write_index(step).ravel()] = y.reshape(step.blocks * step.rows, -1)
    return out


def write_index(step: Contract) -> Indices:
    """The node that each block's rows stand at, [blocks, rows]."""
    return np.add.outer(np.arange(step.blocks) * step.write.block, np.arange(step.rows) * step.write.node)


def largest_terms(matrix: Floats, x: Floats) -> Floats:
    """The maxima over c of matrix[…, r, c] + x[…, c, b], [blocks, rows, batch], in pieces that stay in the cache."""
    blocks, columns, batch = x.shape
    rows = matrix.shape[1]
    out = np.empty((blocks, rows, batch))
    step = max(1, _CHUNK // max(1, columns * batch))
    for block in range(blocks):
        own = matrix[block if len(matrix) > 1 else 0]
        if not columns:
            out[block] = -np.inf
            continue
        for first in range(0, rows, step):
            terms = own[first : first + step, :, None] + x[block]
            np.max(terms, axis=1, out=out[block, first : first + step])
    return out


def _network(out: Filled, step: Network) -> Buffer:
    net = out.tabled.ranked
    assert net is not None
    log = out.log_nodes = out.log or not out.tabled.plain()
    weights = np.append(out.tabled.numbers(step.weights, log), 0.0 if log else 1.0)  # −1 names the last
    values = np.empty((net.nodes, out.rows.count))
    values[: net.leaves] = _leaves(out, step, net, log)
    for rank in net.ranks:
        values[rank.nodes] = _rank(rank, net, values, weights, out.numeric, log)
    out.nodes = values
    return Buffer(values[-1:])


def _leaves(out: Filled, step: Network, net: Ranked, log: bool) -> Floats:
    own = net.layout
    columns, starts = own.leaf_columns[net.leaf], own.leaf_offsets[net.leaf]
    table = out.tabled.numbers(step.leaves, log)
    soft = np.flatnonzero(starts < 0)
    found: Floats
    if len(soft):  # always in logarithms
        sources = [out.rows.densities[each.source] for each in out.tabled.program.densities(step)]
        table, places = np.append(table, 0.0), np.where(starts < 0, len(table), starts)
        found = table[places[:, None] + np.where(starts[:, None] < 0, 0, out.rows.codes[columns])]
        found[soft] = np.concatenate(sources)[-1 - starts[soft]]
    else:
        found = table[starts[:, None] + out.rows.codes[columns]]
    for column, weights in out.rows.weights.items():
        mine = np.flatnonzero(columns == column)
        values = out.tabled.tables[step.leaves][starts[mine][:, None] + np.arange(weights.shape[1])] @ weights.T
        with np.errstate(divide="ignore"):
            found[mine] = np.log(values) if log else values
    return found


def _rank(rank: Rank, net: Ranked, values: Floats, weights: Floats, numeric: Numeric, log: bool) -> Floats:
    """The values of one rank from those below it, [nodes, batch]."""
    terms = values[net.members[rank.edges]]
    if rank.kind == PRODUCT:
        return reduceat(np.add if log else np.multiply, terms, rank.offsets, 0.0 if log else 1.0)
    own = weights[net.weights[rank.edges]][:, None]
    if not log:
        return reduceat(np.add, terms * own, rank.offsets, 0.0)
    terms += own
    top = reduceat(np.maximum, terms, rank.offsets, -np.inf)
    if numeric == "max":
        return top
    shift = np.where(np.isneginf(top), 0.0, top)
    terms -= np.repeat(shift, np.diff(rank.offsets), axis=0)
    np.exp(terms, out=terms)
    with np.errstate(divide="ignore"):
        found: Floats = np.log(reduceat(np.add, terms, rank.offsets, 0.0)) + shift
    return found
