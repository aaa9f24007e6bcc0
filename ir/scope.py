"""The scope of every node, and which nodes reach the root.

Scopes are sets of variables as bits, [scopes, words]. Most blocks have one scope for all nodes; a packed block of a
million scalar nodes has an index from nodes into its distinct scopes. `groups` says what each node is made of, once
for all nodes that are made alike, and the structural properties read that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .block import Block, Hadamard, Indexed, Input, Pairs, Product, Sum
from .domain import Variable
from .linear import Indices
from .support import Booleans, Support

Bits = NDArray[np.uint64]

_CHUNK = 1 << 22

# From so many scopes on they are told apart by hashes, five times as fast as by sorting whole rows (10⁶ rows of 16
# words: 0.8 s against 4.2 s).
_HASHED = 256


@dataclass(frozen=True, slots=True)
class NodeScopes:
    """The distinct scopes of a block's nodes, [scopes, words], and each node's place among them, [width]."""

    rows: Bits
    index: Indices


@dataclass(frozen=True, slots=True)
class Groups:
    """What nodes are made of: node i is of group index[i], which has the scopes rows[members[offsets[g] … ]]."""

    rows: Bits
    offsets: Indices
    members: Indices
    index: Indices

    def unions(self) -> Bits:
        """The union of each group's scopes, [groups, words]."""
        if len(self.offsets) == 2 and len(self.members):
            return np.bitwise_or.reduce(self.rows[self.members], axis=0, keepdims=True)
        out = np.zeros((len(self.offsets) - 1, self.rows.shape[1]), dtype=np.uint64)
        for groups, part in self.stretches():
            filled = np.flatnonzero(np.diff(self.offsets[groups.start : groups.stop + 1]) > 0)
            if len(filled):
                starts = self.offsets[groups.start + filled] - part.start
                gathered = self.rows[self.members[part]]
                out[groups.start + filled] = np.bitwise_or.reduceat(gathered, starts, axis=0)
        return out

    def counts(self) -> Indices:
        """The number of variables of each group's scopes, counted with multiplicity, [groups]."""
        sizes = np.bitwise_count(self.rows).sum(axis=1, dtype=np.int64)
        running = np.concatenate([[0], np.cumsum(sizes[self.members])])
        return np.asarray(running[self.offsets[1:]] - running[self.offsets[:-1]])

    def stretches(self) -> list[tuple[slice, slice]]:
        """Stretches of groups, with those of their members, small enough to gather at once."""
        words = max(1, self.rows.shape[1])
        limit = max(1, _CHUNK // words)
        if len(self.members) <= limit:
            return [(slice(0, len(self.offsets) - 1), slice(0, len(self.members)))]
        bounds = [0]
        while bounds[-1] < len(self.offsets) - 1:
            goal = self.offsets[bounds[-1]] + limit
            bounds.append(max(bounds[-1] + 1, int(np.searchsorted(self.offsets, goal, side="right")) - 1))
        return [(slice(a, b), slice(int(self.offsets[a]), int(self.offsets[b]))) for a, b in pairwise(bounds)]


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of a circuit's nodes; bit i stands for variables[i]."""

    variables: tuple[Variable, ...]
    blocks: tuple[Block, ...]
    of: dict[Block, NodeScopes]
    support: Support

    def names(self, row: Bits) -> tuple[Variable, ...]:
        """The variables of one scope, in order."""
        bits = np.unpackbits(np.ascontiguousarray(row).view(np.uint8), bitorder="little")
        return tuple(self.variables[i] for i in np.flatnonzero(bits))

    def node(self, block: Block, node: int) -> tuple[Variable, ...]:
        """The scope of one node."""
        found = self.of[block]
        return self.names(found.rows[found.index[node]])

    def groups(self, block: Product | Sum) -> Groups:
        """What a block's nodes are made of: a product's factors, or a sum's children of non-zero weight.

        A sum's members are distinct scopes; a product's count by position.
        """
        return _groups(block, self.of, self.support, _words(self.variables))


def live(blocks: Sequence[Block], support: Support) -> dict[Block, Booleans]:
    """Which nodes reach the root, the last block, through non-zero weights."""
    live = {block: np.zeros(block.width, dtype=bool) for block in blocks}
    live[blocks[-1]][:] = True
    for block in reversed(blocks):
        if isinstance(block, Product | Sum) and live[block].any():
            for child, reached in zip(block.children, _reached(block, live[block], support), strict=True):
                live[child] |= reached
    return live


def scopes(blocks: Sequence[Block], support: Support) -> Scopes:
    """The scopes of all nodes of blocks that stand children first."""
    mentioned = {block.variable for block in blocks if isinstance(block, Input)}
    variables = tuple(sorted(mentioned, key=lambda variable: variable.order))
    words = _words(variables)
    bits = {variable: _bit(position, words) for position, variable in enumerate(variables)}
    of: dict[Block, NodeScopes] = {}
    for block in blocks:
        if isinstance(block, Input):
            of[block] = NodeScopes(bits[block.variable], np.zeros(block.width, dtype=np.int64))
        else:
            groups = _groups(block, of, support, words)
            rows, place = distinct(groups.unions())
            of[block] = NodeScopes(rows, place[groups.index])
    return Scopes(variables, tuple(blocks), of, support)


def _words(variables: Sequence[Variable]) -> int:
    return max(1, -(-len(variables) // 64))


def _bit(position: int, words: int) -> Bits:
    row = np.zeros((1, words), dtype=np.uint64)
    row[0, position // 64] = np.uint64(1 << (position % 64))
    return row


def distinct(rows: Bits) -> tuple[Bits, Indices]:
    """The different ones among scopes, and each scope's place among them."""
    if len(rows) <= 1:
        return rows, np.zeros(len(rows), dtype=np.int64)
    words = rows.shape[1]
    if words == 1 or len(rows) >= _HASHED:
        mixed = rows[:, 0] if words == 1 else _hash(rows)
        _, first, place = np.unique(mixed, return_index=True, return_inverse=True)
        found = rows[first]
        if words == 1 or np.array_equal(found[place], rows):
            return found, place.astype(np.int64)
    view = np.ascontiguousarray(rows).view(np.dtype((np.void, words * 8))).ravel()
    _, first, place = np.unique(view, return_index=True, return_inverse=True)
    return rows[first], place.astype(np.int64)


def _hash(rows: Bits) -> Bits:
    """A number for each scope; different scopes may share one, which `distinct` looks for."""
    odd = np.random.default_rng(0).integers(1 << 63, size=rows.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return np.asarray(((rows ^ (rows >> np.uint64(32))) * odd).sum(axis=1, dtype=np.uint64))


def _groups(block: Product | Sum, of: dict[Block, NodeScopes], support: Support, words: int) -> Groups:
    if isinstance(block, Sum):
        return _sum_groups(block, of, support, words)
    found = [of[child] for child in block.children]
    rows, starts = _stacked([scope.rows for scope in found], words)
    match block.form:
        case Indexed(offsets, members):
            laid = [scope.index + start for scope, start in zip(found, starts, strict=True)]
            labels = np.concatenate(laid) if laid else np.zeros(0, dtype=np.int64)
            return Groups(rows, offsets, labels[members], np.arange(block.width))
        case Hadamard():
            if all(len(scope.rows) == 1 for scope in found):
                return _alike(rows, starts, block.width)
            columns = [
                np.broadcast_to(scope.index + start, block.width) for scope, start in zip(found, starts, strict=True)
            ]
            return _table(rows, np.stack(columns, axis=1), np.arange(block.width))
        case Pairs():
            if all(len(scope.rows) == 1 for scope in found):
                return _alike(rows, starts, block.width)
            kinds = [np.arange(len(scope.rows)) + start for scope, start in zip(found, starts, strict=True)]
            table = np.stack([axis.ravel() for axis in np.meshgrid(*kinds, indexing="ij")], axis=1)
            index = np.zeros(1, dtype=np.int64)
            for scope in found:
                index = (index[:, None] * len(scope.rows) + scope.index[None]).ravel()
            return _table(rows, table, index)


def _alike(rows: Bits, starts: Sequence[int], width: int) -> Groups:
    members = np.array(starts, dtype=np.int64)
    return Groups(rows, np.array([0, len(members)]), members, np.zeros(width, dtype=np.int64))


def _table(rows: Bits, table: Indices, index: Indices) -> Groups:
    offsets = np.arange(len(table) + 1) * table.shape[1]
    return Groups(rows, offsets, table.ravel(), index)


def _stacked(parts: Sequence[Bits], words: int) -> tuple[Bits, list[int]]:
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + len(part))
    if len(parts) == 1:
        return parts[0], [0]
    return np.concatenate([np.zeros((0, words), dtype=np.uint64), *parts]), starts[:-1]


def _sum_groups(block: Sum, of: dict[Block, NodeScopes], support: Support, words: int) -> Groups:
    found = [of[child] for child in block.children]
    stacked, starts = _stacked([scope.rows for scope in found], words)
    rows, place = distinct(stacked)
    if len(rows) == 1 and support.is_full(block.map):
        return _alike(rows, [0], block.width)
    laid = [place[scope.index + start] for scope, start in zip(found, starts, strict=True)]
    offsets, members = support.terms(block.map, np.concatenate(laid), len(rows))
    return Groups(rows, offsets, members, np.arange(block.width))


def _reached(block: Product | Sum, live: Booleans, support: Support) -> list[Booleans]:
    """Which nodes of each child live nodes of a block stand on."""
    if isinstance(block, Sum):
        total = block.map.inputs
        if live.all() and support.is_full(block.map, transposed=True):
            return [np.ones(child.width, dtype=bool) for child in block.children]
        reached = support.mark(block.map, live[:, None], transposed=True)[:, 0]
        assert len(reached) == total
        return _parted(reached, block.children)
    match block.form:
        case Hadamard():
            some: Booleans = np.full(1, bool(live.any()))
            whole: list[Booleans] = [live if child.width == block.width else some for child in block.children]
            return whole
        case Pairs():
            cube = live.reshape([child.width for child in block.children])
            axes = range(cube.ndim)
            others = [tuple(other for other in axes if other != axis) for axis in axes]
            return [np.asarray(cube.any(axis=rest), dtype=bool) for rest in others]
        case Indexed(offsets, members):
            reached = np.zeros(sum(child.width for child in block.children), dtype=bool)
            reached[members[np.repeat(live, np.diff(offsets))]] = True
            return _parted(reached, block.children)


def _parted(reached: Booleans, children: Sequence[Block]) -> list[Booleans]:
    bounds = np.cumsum([child.width for child in children])
    return np.split(reached, bounds[:-1]) if children else []
