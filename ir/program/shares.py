"""How much of the root comes through each input: a walk down a filled Program that hands each node's share on.

What enters is a Program with its buffers kept; what leaves are, for each input, the shares of its nodes in each row:
value times derivative, over the root. All shares of the inputs on one variable add up to 1, which shows that nothing
was lost. A product hands its whole share to each factor, a map to each column in proportion to its term; nothing grows,
so that numbers suffice. In rows that are impossible all shares are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..linear import Indices
from ..parameter import Floats
from ..semirings.logarithmic import log_matmul
from .filled import Filled, laid_in, read_index, write_index
from .operation import AllPairs, Contract, Density, Fill, Gather, Join, Load, Multiply, Network, Repeat, Scale
from .program import PRODUCT
from .ranks import Ranked


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The shares of an input's nodes, [nodes, batch]; `step` is a Load or a Density, or a network's.

    Of a network these are all its leaves on one column, and `leaves` says which.
    """

    step: Load | Density | Network
    column: int
    shares: Floats
    leaves: Indices | None = None


def shares(filled: Filled) -> Iterator[Share]:
    """The shares of every input, the last operation's first."""
    program = filled.tabled.program
    above: dict[int, Floats] = {program.root: np.where(np.isneginf(filled.root), 0.0, 1.0)[None]}

    def give(buffer: int, share: Floats) -> None:
        above[buffer] = above[buffer] + share if buffer in above else share

    for step in reversed(program.operations):
        assert not isinstance(step, Repeat)
        share = above.pop(step.out, None)
        if share is None:
            continue
        match step:
            case Load() | Density():
                yield Share(step, step.column, share)
            case Multiply(_, factors):
                for factor in factors:
                    narrow = len(filled.buffers[factor].values) < len(share)
                    give(factor, share.sum(axis=0, keepdims=True) if narrow else share)
            case AllPairs(_, factors):
                sizes = [len(filled.buffers[factor].values) for factor in factors]
                cube = share.reshape(*sizes, -1)
                axes = range(len(sizes))
                for axis, factor in enumerate(factors):
                    give(factor, cube.sum(axis=tuple(other for other in axes if other != axis)))
            case Join(_, parts):
                bounds = np.cumsum([len(filled.buffers[part].values) for part in parts])[:-1]
                for part, own in zip(parts, np.split(share, bounds), strict=True):
                    give(part, own)
            case Gather(_, source, index):
                give(source, _scattered(share, program.indices[index], len(filled.buffers[source].values)))
            case Scale(_, source, _):
                give(source, share)
            case Contract(_, source):
                give(source, _contract(filled, step, share))
            case Network():
                for found in _network(filled, step, share[0]):
                    if program.columns[found.column]:
                        yield found
                    else:
                        _onwards(filled, step, found, give)
            case _:
                assert isinstance(step, Fill)


def _scattered(share: Floats, index: Indices, count: int) -> Floats:
    """Sums of the rows that share an index."""
    out = np.zeros((count, share.shape[1]))
    np.add.at(out, index, share)
    return out


def _contract(filled: Filled, step: Contract, share: Floats) -> Floats:
    """The shares of a map's columns: x · (matrixᵀ (share / y))."""
    source, made = filled.buffers[step.source], filled.buffers[step.out]
    matrix = filled.tabled.numbers(step.table, filled.log)
    x = laid_in(step, source.values)
    back = _as_blocks(step, share), _as_blocks(step, made.values)
    if filled.log:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(back[0] > 0, np.log(back[0]) - back[1], -np.inf)
        whole = np.broadcast_to(matrix, (step.blocks, *matrix.shape[1:]))
        below = np.exp(np.minimum(x + log_matmul(whole.swapaxes(1, 2), ratio), 1.0))
    else:
        ratio = np.zeros_like(back[0])
        np.divide(back[0], back[1], out=ratio, where=back[1] > 0)
        with np.errstate(over="ignore", invalid="ignore"):
            below = np.matmul(matrix.swapaxes(1, 2), ratio)
            below *= x
            shift = _shift(source.exponents, made.exponents)
            if shift is not None:
                below *= shift
    if step.read.node == 1 and step.read.block == step.columns:
        return below.reshape(len(source.values), -1)
    out = np.zeros_like(source.values)
    out[read_index(step).ravel()] = below.reshape(-1, below.shape[2])
    return out


def _shift(source: Floats | None, made: Floats | None) -> Floats | None:
    """What a row's scaling multiplies its terms by."""
    if made is None or made is source:
        return None
    return np.exp2(np.clip((0.0 if source is None else source) - made, -1000, 1000))


def _as_blocks(step: Contract, values: Floats) -> Floats:
    """What a map writes, [blocks, rows, batch]."""
    if step.write.node == 1 and step.write.block == step.rows:
        return values.reshape(step.blocks, step.rows, -1)
    if step.write.block == 1 and step.write.node == step.blocks:
        return values.reshape(step.rows, step.blocks, -1).swapaxes(0, 1)
    return np.asarray(values[write_index(step)])


def _network(filled: Filled, step: Network, root: Floats) -> Iterator[Share]:
    """The shares of a network's leaves, column by column."""
    net, values = filled.tabled.ranked, filled.nodes
    assert net is not None and values is not None
    log = filled.log_nodes
    weights = np.append(filled.tabled.numbers(step.weights, log), 0.0 if log else 1.0)
    edges = np.zeros((len(net.members), values.shape[1]))
    order, starts = net.above
    found = np.zeros((net.leaves, values.shape[1]))
    for rank in reversed(net.ranks):
        share = _gathered(edges, order, starts, rank.nodes)
        if rank.nodes.stop == net.nodes:
            share[-1] = root
        lengths = np.diff(rank.offsets)
        spread = np.repeat(share, lengths, axis=0)
        if rank.kind != PRODUCT:
            spread *= _ratios(net, rank.edges, values, np.repeat(values[rank.nodes], lengths, axis=0), weights, log)
        edges[rank.edges] = spread
    found = _gathered(edges, order, starts, slice(0, net.leaves)) if net.ranks else root[None]
    columns = net.layout.leaf_columns[net.leaf]
    for column in np.unique(columns):
        mine = np.flatnonzero(columns == column)
        yield Share(step, int(column), found[mine], net.leaf[mine])


def _onwards(filled: Filled, step: Network, found: Share, give: Callable[[int, Floats], None]) -> None:
    """The shares of leaves that are nodes of a network's sources."""
    assert found.leaves is not None
    rows = -1 - filled.tabled.program.layouts[step.layout].leaf_offsets[found.leaves]
    start = 0
    for source in step.sources:
        size = len(filled.buffers[source].values)
        mine = np.flatnonzero((rows >= start) & (rows < start + size))
        if len(mine):
            own = np.zeros((size, found.shares.shape[1]))
            own[rows[mine] - start] = found.shares[mine]
            give(source, own)
        start += size


def _ratios(net: Ranked, edges: slice, values: Floats, sums: Floats, weights: Floats, log: bool) -> Floats:
    """Each term of sums over the sum, [edges, batch]; 0 where that is 0."""
    terms = values[net.members[edges]]
    own = weights[net.weights[edges]][:, None]
    if log:
        terms += own
        none = np.isneginf(sums)
        return np.where(none, 0.0, np.exp(terms - np.where(none, 0.0, sums)))
    terms *= own
    out = np.zeros_like(terms)
    np.divide(terms, sums, out=out, where=sums > 0)
    return out


def _gathered(edges: Floats, order: Indices, starts: Indices, nodes: slice) -> Floats:
    """For each node the sum of what the edges that read it hand on, [nodes, batch]."""
    bounds = starts[nodes.start : nodes.stop + 1]
    mine = edges[order[bounds[0] : bounds[-1]]]
    out = np.zeros((nodes.stop - nodes.start, edges.shape[1]))
    some = np.flatnonzero(np.diff(bounds))
    if len(some):
        out[some] = np.add.reduceat(mine, (bounds - bounds[0])[:-1][some], axis=0)
    return out
