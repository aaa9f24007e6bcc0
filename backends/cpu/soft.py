"""Inputs on infinite domains as leaves of a network: rows of numbers, or logarithms, behind the codes of a tile.

What enters are logarithms of densities, [nodes, batch] by source; what leaves are tiles, with what was taken from each
row beforehand. Where each term of the circuit has one leaf on each such variable, the largest density of a row is taken
out per variable, in float64: a far outlier then costs no digit, and none is lost where densities and masses cancel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import LEAF, PRODUCT, Layout, Program
from . import arena, levels
from .batch import Answer, Bools, Bytes, Codes, padded_to, tiled
from .reach import FLOOR
from .vectors import Vectors

FAR = 1e30
"""How small a logarithm may be; sums of smaller ones are not told from that of 0."""


_AT_ONCE = 1 << 16
"""Numbers that are laid together: they stay in cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Soft:
    """The sources of a network by their numbers, and which of so many columns each is on.

    `peeled` says that each column's largest is taken out of a row, `log` that code takes logarithms. A tile has `codes`
    rows of 32-bit words, then, in rows of numbers, what is taken out of each column, and the logarithms.
    """

    sources: tuple[int, ...]
    group_of: Indices
    groups: int
    rows: int
    size: int
    codes: int
    peeled: bool
    log: bool

    @property
    def words(self) -> int:
        """Rows of 32-bit words of a tile."""
        return self.codes + (self.groups + self.rows) * (self.size // 4)

    def lay(self, codes: Indices | Codes, densities: Mapping[int, Floats], v: Vectors) -> Laid:
        """Codes [columns, batch] and logarithms of densities as tiles."""
        if not self.rows:
            laid, tiles = tiled(codes, v)
            return Laid(laid, tiles, None, None)
        count = codes.shape[1]
        tiles = -(-count // v.lanes)
        held = arena.aligned(max(tiles * self.words * v.lanes * 4, 128))
        words = held[: tiles * self.words * v.lanes * 4].view(np.int32).reshape(tiles, self.words, v.lanes)
        if not count:
            return Laid(held, tiles, np.zeros(0), np.zeros(0, dtype=bool))
        wide = padded_to(np.asarray(codes), tiles * v.lanes)
        words[:, : len(codes)] = wide.reshape(len(codes), tiles, v.lanes).transpose(1, 0, 2)
        given = [densities[source] for source in self.sources]
        parts = list(_parts([len(logs) for logs in given], max(1, _AT_ONCE // count)))
        tops, lows = np.concatenate([_ends(given[part]) for part in parts], axis=1)
        unsure = _unsure(given, tops, lows)
        if unsure.any():
            given = [np.where(unsure, 0.0, logs) for logs in given]
            tops[:, unsure] = 0.0
        taken = self._taken(tops)
        whole = taken.sum(axis=0)
        floats, _ = arena.kind_of(v)
        numbers = words.reshape(tiles, -1)[:, self.codes * v.lanes :].view(floats).reshape(tiles, -1, v.lanes)
        row = 0
        for rows in (taken, *given):
            found = padded_to(rows, tiles * v.lanes)
            with np.errstate(over="ignore"):
                place = numbers[:, row : row + len(found)]
                place[...] = found.reshape(len(found), tiles, v.lanes).transpose(1, 0, 2)
            row += len(found)
        return Laid(held, tiles, whole, unsure)

    def _taken(self, tops: Floats) -> Floats:
        """What is taken out of each column, [columns, batch]: its sources' largest, 0 where that is not finite."""
        if not self.peeled:
            return np.zeros((self.groups, tops.shape[1]))
        found = np.full((self.groups, tops.shape[1]), -np.inf)
        if len(tops) == self.groups:
            found[self.group_of] = tops
        else:
            np.maximum.at(found, self.group_of, tops)
        return np.where(np.isfinite(found), found, 0.0)

    def answer(self, value: Floats, laid: Laid) -> Answer:
        """The answer of rows from the logarithms that code has found for them."""
        assert laid.taken is not None and laid.unsure is not None
        log = value + laid.taken
        below = np.zeros(len(log), dtype=bool) if self.log else ~(value >= np.log(FLOOR))
        return Answer(log, laid.unsure | below)

    def read(self, laid: Laid, v: Vectors, count: int) -> Floats:
        """What the way back has written over the rows of tiles, [rows, batch] in float64."""
        floats, _ = arena.kind_of(v)
        words = laid.words[: laid.tiles * self.words * v.lanes * 4].view(np.int32).reshape(laid.tiles, -1)
        first = (self.words - self.rows * (self.size // 4)) * v.lanes
        numbers = words[:, first:].view(floats).reshape(laid.tiles, self.rows, v.lanes)
        return np.asarray(numbers.transpose(1, 0, 2).reshape(self.rows, -1)[:, :count], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Laid:
    """Tiles; what was taken out of each row, [batch], and the rows that no code vouches for, if there are densities."""

    words: Bytes
    tiles: int
    taken: Floats | None
    unsure: Bools | None


def soft_of(program: Program, size: int, log: bool) -> tuple[Soft, Layout]:
    """The densities of a network for numbers of so many bytes, or their logarithms; and its layout.

    There a leaf that is a density names rows of tiles: its own as its column, and what is taken out as its offset.
    """
    layout = program.layouts[0]
    steps = program.densities(program.network())
    step = size // 4
    codes = -(-len(program.columns) // step) * step if steps else len(program.columns)
    columns, group_of = np.unique([density.column for density in steps], return_inverse=True)
    soft = Soft(
        tuple(density.source for density in steps),
        group_of if len(steps) else np.empty(0, np.int64),
        len(columns),
        sum(density.nodes for density in steps),
        size,
        codes,
        bool(steps) and each_once(layout),
        log,
    )
    nodes = -1 - layout.leaf_offsets
    rows = np.where(layout.soft, codes + (len(columns) + nodes) * step, layout.leaf_columns)
    groups = np.repeat(soft.group_of, [density.nodes for density in steps])
    tops = codes + np.append(groups, 0)[np.where(layout.soft, nodes, 0)] * step
    return soft, replace(layout, leaf_columns=rows, leaf_offsets=np.where(layout.soft, -1 - tops, layout.leaf_offsets))


def each_once(layout: Layout) -> bool:
    """Whether every term of the polynomial that a network is has one leaf on each column of densities.

    Each column is a random number of 64 bits, so that the sum over a term's leaves says which are there how often.
    """
    columns = np.unique(layout.leaf_columns[layout.soft])
    drawn = np.random.default_rng(0).integers(1, 2**63, len(columns), dtype=np.uint64)
    below = levels.writers(layout)
    depth = levels.levels(layout, below)
    found = np.zeros(layout.nodes, dtype=np.uint64)
    never = np.zeros(layout.nodes, dtype=bool)  # of no term at all
    leaves = np.flatnonzero(layout.kinds == LEAF)
    named = layout.members[layout.offsets[:-1][leaves]]
    own = layout.soft[named]
    found[leaves[own]] = drawn[np.searchsorted(columns, layout.leaf_columns[named[own]])]
    order = np.lexsort((layout.kinds, depth))
    order = order[layout.kinds[order] != LEAF]
    lengths = np.diff(layout.offsets)
    keys = depth[order] * 4 + layout.kinds[order]
    for nodes in np.split(order, np.flatnonzero(np.diff(keys)) + 1):
        product = layout.kinds[nodes[0]] == PRODUCT if len(nodes) else True
        never[nodes[lengths[nodes] == 0]] = not product
        some = nodes[lengths[nodes] > 0]
        if not len(some):
            continue
        starts = np.concatenate([[0], np.cumsum(lengths[some])[:-1]])
        edges = np.repeat(layout.offsets[some] - starts, lengths[some]) + np.arange(int(lengths[some].sum()))
        members = below[edges]
        if product:
            found[some] = np.add.reduceat(found[members], starts)
            never[some] = np.logical_or.reduceat(never[members], starts)
            continue
        least = np.minimum.reduceat(np.where(never[members], np.iinfo(np.uint64).max, found[members]), starts)
        most = np.maximum.reduceat(np.where(never[members], np.uint64(0), found[members]), starts)
        never[some] = np.logical_and.reduceat(never[members], starts)
        if (least != most)[~never[some]].any():
            return False
        found[some] = most
    return bool(not never[-1] and found[-1] == drawn.sum(dtype=np.uint64))


def _parts(sizes: list[int], rows: int) -> Iterator[slice]:
    """Stretches of sources of so many rows together, or of one."""
    start = held = 0
    for number, size in enumerate(sizes):
        if number > start and held + size > rows:
            yield slice(start, number)
            start, held = number, 0
        held += size
    yield slice(start, len(sizes))


def _ends(logs: list[Floats]) -> Floats:
    """The largest and the smallest logarithm of each source, [2, sources, batch]."""
    if len(logs) == 1:
        return np.stack([logs[0].max(axis=0), logs[0].min(axis=0)])[:, None]
    joined = np.concatenate(logs)
    if len({len(each) for each in logs}) == 1:
        cube = joined.reshape(len(logs), -1, joined.shape[1])
        return np.stack([cube.max(axis=1), cube.min(axis=1)])
    starts = np.cumsum([0, *(len(each) for each in logs[:-1])])
    return np.stack([np.maximum.reduceat(joined, starts, axis=0), np.minimum.reduceat(joined, starts, axis=0)])


def _unsure(given: list[Floats], tops: Floats, lows: Floats) -> Bools:
    """The rows in which a logarithm is +inf or none, or so small that sums of such are not told from that of 0."""
    bad = np.asarray(~((tops <= FAR) & (lows >= -FAR)).all(axis=0))
    rows = np.flatnonzero(bad)
    if len(rows):  # −inf alone is as good as any
        fine = np.ones(len(rows), dtype=bool)
        for logs in given:
            own = logs[:, rows]
            fine &= ((own <= FAR) & ((own >= -FAR) | np.isneginf(own))).all(axis=0)
        bad[rows] = ~fine
    return bad
