"""The walk from the root of a filled Program to its inputs that chooses one term of each sum it meets, for all rows.

What enters are filled buffers and a rule that picks one of several terms: the largest gives the best assignment, one at
random a sample. What leaves are, for each input, its nodes that were reached, and in which rows. It is the walk of
ir/query/descend.py, over a Program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..linear import Indices
from ..parameter import Floats
from .filled import Filled
from .operation import AllPairs, Contract, Density, Fill, Gather, Join, Load, Multiply, Network, Repeat, Scale
from .program import PRODUCT
from .ranks import Ranked

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Where choices are made: for each operation the place of its first node in the circuit, −1 for those inside of a
    map, and which of that map's choices it makes; of a network the same for each node.

    Random numbers are counted by them, so that the samples of a Program are those of its circuit.
    """

    places: Indices
    numbers: Indices
    node_places: Indices
    node_numbers: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """Node nodes[i] was reached in row rows[i]; random choices there count as those of place ids[i]."""

    nodes: Indices
    rows: Indices
    ids: Indices

    def part(self, where: slice | Indices) -> Reached:
        return Reached(self.nodes[where], self.rows[where], self.ids[where])


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """An input on a column whose nodes were reached; of a network the nodes are leaves."""

    step: Load | Density | Network
    column: int
    reached: Reached


# Picks a column for each of the reached nodes from their terms, [reached, terms], numbers or logarithms as the buffers
# are; the numbers are those of the choice among the ones that a node makes.
Rule = Callable[[Floats, Reached, Indices | int], Indices]


def descend(filled: Filled, columns: Indices, sites: Sites, rule: Rule) -> Iterator[Met]:
    """The inputs that are reached; row i reads column columns[i] of the buffers, where the root is not zero."""
    program = filled.tabled.program
    count = len(columns)
    whole = count == filled.rows.count and bool((columns == np.arange(count)).all())
    first = Reached(np.zeros(count, np.int64), np.arange(count), np.zeros(count, np.int64))
    above: dict[int, list[Reached]] = {program.root: [first]}

    def give(buffer: int, reached: Reached) -> None:
        above.setdefault(buffer, []).append(reached)

    for position in range(len(program.operations) - 1, -1, -1):
        step = program.operations[position]
        assert not isinstance(step, Repeat)
        found = above.pop(step.out, None)
        if found is None:
            continue
        reached = merged(found, count)
        if not len(reached.nodes):
            continue
        place = int(sites.places[position])
        if place >= 0:
            reached = Reached(reached.nodes, reached.rows, place + reached.nodes)
        match step:
            case Load() | Density():
                yield Met(step, step.column, reached)
            case Multiply(_, factors):
                wide = len(filled.buffers[step.out].values)
                for factor in factors:
                    narrow = len(filled.buffers[factor].values) < wide
                    give(factor, _narrow(reached, count) if narrow else reached)
            case AllPairs(_, factors):
                sizes = [len(filled.buffers[factor].values) for factor in factors]
                for factor, nodes in zip(factors, np.unravel_index(reached.nodes, sizes), strict=True):
                    give(factor, merged([Reached(nodes, reached.rows, reached.ids)], count, unique=False))
            case Join(_, parts):
                start = 0
                for part in parts:
                    size = len(filled.buffers[part].values)
                    mine = np.flatnonzero((reached.nodes >= start) & (reached.nodes < start + size))
                    if len(mine):
                        own = reached.part(mine)
                        give(part, Reached(own.nodes - start, own.rows, own.ids))
                    start += size
            case Gather(_, source, index):
                give(source, Reached(program.indices[index][reached.nodes], reached.rows, reached.ids))
            case Scale(_, source, _):
                give(source, reached)
            case Contract(_, source):
                nodes = _contract(filled, step, reached, columns, whole, rule, int(sites.numbers[position]))
                give(source, Reached(nodes, reached.rows, reached.ids))
            case Network():
                for met in _network(filled, step, reached, columns, sites, rule):
                    if filled.tabled.program.columns[met.column]:
                        yield met
                    else:
                        _onwards(filled, step, met.reached, give)
            case _:
                assert isinstance(step, Fill)


def merged(parts: Sequence[Reached], count: int, unique: bool = True) -> Reached:
    """What is reached in several ways, each node and row once."""
    if len(parts) == 1 and unique:
        return parts[0]
    nodes = np.concatenate([part.nodes for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    if len(nodes) <= count and (len(rows) < 2 or bool((np.diff(rows) > 0).all())):
        return Reached(nodes, rows, ids)
    _, some = np.unique(nodes * count + rows, return_index=True)
    return Reached(nodes[some], rows[some], ids[some])


def _narrow(reached: Reached, count: int) -> Reached:
    """The one node of a factor that stands beside many."""
    rows, some = np.unique(reached.rows, return_index=True)
    return Reached(np.zeros_like(rows), rows, reached.ids[some])


def _contract(
    filled: Filled, step: Contract, reached: Reached, columns: Indices, whole: bool, rule: Rule, number: int
) -> Indices:
    """The node of a map's source that each reached node chooses."""
    source = filled.buffers[step.source].values
    matrix = filled.tabled.numbers(step.table, filled.log)
    block, row = _digits(step, reached.nodes)
    out = np.zeros(len(reached.nodes), dtype=np.int64)
    every = whole and step.blocks == 1 and step.read.node == 1 and len(out) == len(columns)
    if every and out.size * step.columns <= _CHUNK and bool((reached.rows == np.arange(len(out))).all()):
        chosen = _terms(matrix[0, row], source.T, filled.log)
        return rule(chosen, reached, number) if step.columns > 1 else out
    if step.columns > 1:
        stretch = max(1, _CHUNK // step.columns)
        for start in range(0, len(out), stretch):
            some = slice(start, start + stretch)
            places = (block[some] * step.read.block)[:, None] + np.arange(step.columns) * step.read.node
            x = source[places, columns[reached.rows[some]][:, None]]
            weights = matrix[block[some] if len(matrix) > 1 else 0, row[some]]
            out[some] = rule(_terms(weights, x, filled.log), reached.part(some), number)
    return block * step.read.block + out * step.read.node


def _terms(weights: Floats, x: Floats, log: bool) -> Floats:
    return weights + x if log else weights * x


def _digits(step: Contract, nodes: Indices) -> tuple[Indices, Indices]:
    """The block and the row of each node that a map writes."""
    if step.blocks == 1 and step.write.node == 1:
        return np.zeros_like(nodes), nodes
    if step.write.node == 1 and step.write.block == step.rows:
        block, row = np.divmod(nodes, step.rows)
        return block, row
    if step.write.block == 1 and step.write.node == step.blocks:
        row, block = np.divmod(nodes, step.blocks)
        return block, row
    places = np.add.outer(np.arange(step.blocks) * step.write.block, np.arange(step.rows) * step.write.node).ravel()
    back = np.empty(len(places), dtype=np.int64)
    back[places] = np.arange(len(places))
    block, row = np.divmod(back[nodes], step.rows)
    return block, row


def _network(
    filled: Filled, step: Network, reached: Reached, columns: Indices, sites: Sites, rule: Rule
) -> Iterator[Met]:
    """The leaves that are reached, column by column: rank after rank, from the root down."""
    net, values = filled.tabled.ranked, filled.nodes
    assert net is not None and values is not None
    log = filled.log_nodes
    weights = np.append(filled.tabled.numbers(step.weights, log), 0.0 if log else 1.0)
    places, numbers = sites.node_places[net.node], sites.node_numbers[net.node]
    rank_of = np.zeros(net.nodes, dtype=np.int64)
    for number, rank in enumerate(net.ranks):
        rank_of[rank.nodes] = number + 1
    waiting: list[list[Reached]] = [[] for _ in range(len(net.ranks) + 1)]
    root = Reached(np.full_like(reached.nodes, net.nodes - 1), reached.rows, reached.ids)
    waiting[int(rank_of[-1])].append(root)

    def give(nodes: Indices, rows: Indices, ids: Indices) -> None:
        ranks = rank_of[nodes]
        order = np.argsort(ranks, kind="stable")
        bounds = np.searchsorted(ranks[order], np.arange(len(waiting) + 1))
        for number in np.unique(ranks).tolist():
            own = order[bounds[number] : bounds[number + 1]]
            waiting[number].append(Reached(nodes[own], rows[own], ids[own]))

    for number in range(len(net.ranks), 0, -1):
        if not waiting[number]:
            continue
        here = merged(waiting[number], len(columns), unique=len(waiting[number]) == 1)
        waiting[number] = []
        own = places[here.nodes]
        here = Reached(here.nodes, here.rows, np.where(own >= 0, own, here.ids))
        if net.ranks[number - 1].kind == PRODUCT:
            lengths = net.offsets[here.nodes + 1] - net.offsets[here.nodes]
            edges = _stretches(net.offsets[here.nodes], lengths)
            give(net.members[edges], np.repeat(here.rows, lengths), np.repeat(here.ids, lengths))
        else:
            chosen = _chosen(net, here, values, weights, columns, rule, numbers, log)
            give(chosen, here.rows, here.ids)
    if waiting[0]:
        here = merged(waiting[0], len(columns), unique=len(waiting[0]) == 1)
        own = places[here.nodes]
        leaf = net.leaf[here.nodes]
        column = net.layout.leaf_columns[leaf]
        for each in np.unique(column):
            mine = np.flatnonzero(column == each)
            yield Met(step, int(each), Reached(leaf[mine], here.rows[mine], own[mine]))


def _onwards(filled: Filled, step: Network, reached: Reached, give: Callable[[int, Reached], None]) -> None:
    """The leaves that are nodes of a network's sources."""
    rows = -1 - filled.tabled.program.layouts[step.layout].leaf_offsets[reached.nodes]
    start = 0
    for source in step.sources:
        size = len(filled.buffers[source].values)
        mine = np.flatnonzero((rows >= start) & (rows < start + size))
        if len(mine):
            own = reached.part(mine)
            give(source, Reached(rows[mine] - start, own.rows, own.ids))
        start += size


def _stretches(starts: Indices, lengths: Indices) -> Indices:
    """start, start + 1, … of each stretch, laid end to end."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(int(ends[-1]) if len(ends) else 0)


def _chosen(
    net: Ranked,
    here: Reached,
    values: Floats,
    weights: Floats,
    columns: Indices,
    rule: Rule,
    numbers: Indices,
    log: bool,
) -> Indices:
    """The member that each reached sum chooses; sums of about as many members are taken together."""
    starts, lengths = net.offsets[here.nodes], net.offsets[here.nodes + 1] - net.offsets[here.nodes]
    out = net.members[starts]
    _, bits = np.frexp(lengths - 0.5)
    for bit in np.unique(bits[lengths > 1]):
        width = 1 << int(bit)
        for part in np.array_split(np.flatnonzero((bits == bit) & (lengths > 1)), 1 + (len(bits) * width) // _CHUNK):
            if not len(part):
                continue
            slot = np.arange(width)
            there = slot < lengths[part][:, None]
            edge = starts[part][:, None] + np.where(there, slot, 0)
            found = _terms(
                weights[net.weights[edge]], values[net.members[edge], columns[here.rows[part]][:, None]], log
            )
            found[~there] = -np.inf if log else 0.0
            picked = rule(found, here.part(part), numbers[here.nodes[part]])
            out[part] = net.members[starts[part] + picked]
    return out
