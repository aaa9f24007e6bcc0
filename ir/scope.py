"""The scope of every node, and where scopes show that a circuit is not smooth or not decomposable.

Scopes are sets of variables as bits, in one table of distinct ones, [scopes, words]; each node has the number of its
scope. Most blocks have one scope for all nodes; in a packed block of a million scalar nodes, nodes made of the same
scopes in the same order are looked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .block import Block, Hadamard, Indexed, Input, Product, Sum
from .domain import Variable
from .laid import Laid
from .linear import Indices, Selection, Sparse
from .support import Booleans, Support

Bits = NDArray[np.uint64]

_CHUNK = 1 << 22

# From so many scopes on they are told apart by hashes, five times as fast as by sorting whole rows (10⁶ rows of 16
# words: 0.8 s against 4.2 s).
_HASHED = 256

# Blocks of fewer edges are walked node by node: below this a dozen calls of numpy cost more (about 1 µs each).
_NARROW = 256


@dataclass(frozen=True, slots=True)
class Groups:
    """What nodes are made of: node i is of group index[i], which has the scopes members[offsets[g] … offsets[g+1]]."""

    offsets: Indices
    members: Indices
    index: Indices


@dataclass(slots=True, eq=False)
class Scopes:
    """The scopes of a circuit's nodes; bit i of a scope stands for variables[i].

    `table` [scopes, words] has the distinct scopes, `sizes` their numbers of variables, `ids` the scope of each node.
    `unsmooth` has the sum nodes whose children differ in scope, `overlapping` the product nodes whose factors share
    variables, of each block that has such, whether they reach the root or not.
    """

    variables: tuple[Variable, ...]
    blocks: tuple[Block, ...]
    support: Support
    ids: dict[Block, Indices] = field(default_factory=dict[Block, Indices])
    unsmooth: dict[Block, Indices] = field(default_factory=dict[Block, Indices])
    overlapping: dict[Block, Indices] = field(default_factory=dict[Block, Indices])
    _held: Bits = field(init=False)
    _sizes: Indices = field(init=False)
    _count: int = field(init=False, default=0)
    _numbers: dict[bytes, int] = field(init=False, default_factory=dict[bytes, int])
    _unions: dict[tuple[int, ...], tuple[int, bool]] = field(
        init=False, default_factory=dict[tuple[int, ...], tuple[int, bool]]
    )

    def __post_init__(self) -> None:
        words = max(1, -(-len(self.variables) // 64))
        self._held, self._sizes = np.zeros((16, words), dtype=np.uint64), np.zeros(16, dtype=np.int64)
        self._number(np.zeros((1, words), dtype=np.uint64))

    @property
    def table(self) -> Bits:
        """The distinct scopes, [scopes, words]; the first is the empty one."""
        return self._held[: self._count]

    @property
    def sizes(self) -> Indices:
        """The number of variables of each scope of the table."""
        return self._sizes[: self._count]

    def rows(self, block: Block) -> Bits:
        """The distinct scopes of a block's nodes, [scopes, words]."""
        return self.table[np.flatnonzero(np.bincount(self.ids[block]))]

    def row(self, block: Block, node: int) -> Bits:
        """The scope of one node, [words]."""
        return np.asarray(self.table[self.ids[block][node]])

    def names(self, row: Bits) -> tuple[Variable, ...]:
        """The variables of one scope, in order."""
        bits = np.unpackbits(np.ascontiguousarray(row).view(np.uint8), bitorder="little")
        return tuple(self.variables[i] for i in np.flatnonzero(bits))

    def node(self, block: Block, node: int) -> tuple[Variable, ...]:
        """The scope of one node."""
        return self.names(self.row(block, node))

    def groups(self, block: Product | Sum) -> Groups:
        """What a block's nodes are made of: a product's factors, or a sum's children of non-zero weight.

        A product's members count by position; a sum's may be given once where several children have one scope.
        """
        laid = Laid([self.ids[child] for child in block.children])
        if isinstance(block, Product):
            return _factors(block, laid)
        if (uniform := laid.uniform) is not None and self.support.is_full(block.map):
            return _alike([uniform], block.width)
        offsets, members = self._terms(block, laid)
        return Groups(offsets, members, np.arange(block.width))

    def add(self, block: Block, own: Bits | None = None) -> None:
        """Finds the scopes of the next block, whose children's are known; of an input, `own` is its scope."""
        match block:
            case Input():
                assert own is not None
                self.ids[block] = np.full(block.width, self._number(own)[0])
            case Product():
                self._product(block)
            case Sum():
                self._sum(block)

    def _product(self, block: Product) -> None:
        groups = _factors(block, Laid([self.ids[child] for child in block.children]))
        found, overlapping = self._joined(groups.offsets, groups.members)
        self.ids[block] = found[groups.index]
        if np.count_nonzero(overlapping):
            self.overlapping[block] = np.flatnonzero(overlapping[groups.index])

    def _sum(self, block: Sum) -> None:
        laid = Laid([self.ids[child] for child in block.children])
        if isinstance(block.map, Selection):
            self.ids[block] = laid.take(block.map.index)
            return
        if not isinstance(block.map, Sparse):
            uniform = laid.uniform
            if uniform is not None and self.support.is_full(block.map):
                self.ids[block] = np.full(block.width, uniform)
                return
        offsets, members = self._terms(block, laid)
        counts = offsets[1:] - offsets[:-1]
        if len(members) == block.width and np.count_nonzero(counts != 1) == 0:
            self.ids[block] = members
            return
        found = np.zeros(block.width, dtype=np.int64)
        filled = counts > 0
        found[filled] = members[offsets[:-1][filled]]
        differing = members != np.repeat(found, counts)
        if np.count_nonzero(differing):
            running = np.concatenate([[0], np.cumsum(differing)])
            nodes = np.flatnonzero(running[offsets[1:]] > running[offsets[:-1]])
            chosen = np.zeros(block.width, dtype=bool)
            chosen[nodes] = True
            bounds = np.concatenate([[0], np.cumsum(counts[nodes])])
            found[nodes] = self._joined(bounds, members[np.repeat(chosen, counts)])[0]
            self.unsmooth[block] = nodes
        self.ids[block] = found

    def _terms(self, block: Sum, laid: Laid) -> tuple[Indices, Indices]:
        """The scopes of each sum node's children: offsets [width + 1] and scopes, some given more than once."""
        linear = block.map
        if isinstance(linear, Sparse):
            offsets, columns = self.support.entries(linear)
            return offsets, laid.take(columns)
        kinds, place = np.unique(laid.whole, return_inverse=True)
        offsets, members = self.support.terms(linear, place.reshape(-1), len(kinds))
        return offsets, kinds[members]

    def _joined(self, offsets: Indices, members: Indices) -> tuple[Indices, Booleans]:
        """The scope of each group's union, and whether some of its members share variables."""
        if len(members) <= _NARROW:
            return self._walked(offsets.tolist(), members.tolist())
        counts = offsets[1:] - offsets[:-1]
        if len(members) == len(counts) and np.count_nonzero(counts != 1) == 0:
            return members, np.zeros(len(counts), dtype=bool)
        first, place = _alikes(offsets, members)
        bounds = np.concatenate([[0], np.cumsum(counts[first])])
        kept = members[np.repeat(offsets[first] - bounds[:-1], counts[first]) + np.arange(bounds[-1])]
        numbers = self._number(self._union(bounds, kept))
        running = np.concatenate([[0], np.cumsum(self._sizes[kept])])
        overlapping = running[bounds[1:]] - running[bounds[:-1]] > self._sizes[numbers]
        return numbers[place], overlapping[place]

    def _walked(self, offsets: list[int], members: list[int]) -> tuple[Indices, Booleans]:
        """The same, group by group."""
        found: list[int] = []
        overlapping: list[bool] = []
        for start, stop in pairwise(offsets):
            key = tuple(members[start:stop])
            if stop - start == 1:
                number, shared = key[0], False
            elif key in self._unions:
                number, shared = self._unions[key]
            else:
                rows = self._held[list(key)]
                number = int(self._number(np.bitwise_or.reduce(rows, axis=0, keepdims=True))[0])
                shared = int(self._sizes[list(key)].sum()) > int(self._sizes[number])
                self._unions[key] = number, shared
            found.append(number)
            overlapping.append(shared)
        return np.array(found, dtype=np.int64), np.array(overlapping, dtype=bool)

    def _union(self, offsets: Indices, members: Indices) -> Bits:
        """The union of each group's scopes, [groups, words]."""
        words = self._held.shape[1]
        out = np.zeros((len(offsets) - 1, words), dtype=np.uint64)
        limit = max(1, _CHUNK // words)
        start = 0
        while start < len(out):
            goal = offsets[start] + limit
            stop = max(start + 1, int(np.searchsorted(offsets, goal, side="right")) - 1)
            filled = start + np.flatnonzero(np.diff(offsets[start : stop + 1]) > 0)
            if len(filled):
                gathered = self._held[members[offsets[start] : offsets[stop]]]
                out[filled] = np.bitwise_or.reduceat(gathered, offsets[filled] - offsets[start], axis=0)
            start = stop
        return out

    def _number(self, rows: Bits) -> Indices:
        """The number of each scope in the table, which takes those that are new."""
        kinds, place = distinct(rows)
        width = kinds.shape[1] * 8
        flat = np.ascontiguousarray(kinds).tobytes()
        numbers = np.empty(len(kinds), dtype=np.int64)
        new: list[int] = []
        for row in range(len(kinds)):
            key = flat[row * width : (row + 1) * width]
            number = self._numbers.setdefault(key, self._count + len(new))
            if number == self._count + len(new):
                new.append(row)
            numbers[row] = number
        if new:
            end = self._count + len(new)
            if end > len(self._held):
                room = max(end, 2 * len(self._held))
                self._held = np.concatenate([self._held, np.zeros((room - len(self._held), width // 8), np.uint64)])
                self._sizes = np.concatenate([self._sizes, np.zeros(room - len(self._sizes), np.int64)])
            self._held[self._count : end] = kinds[new]
            self._sizes[self._count : end] = np.bitwise_count(kinds[new]).sum(axis=1)
            self._count = end
        return numbers[place]


def live(blocks: Sequence[Block], support: Support) -> dict[Block, Booleans]:
    """Which nodes reach the root, the last block, through non-zero weights."""
    live = {block: np.zeros(block.width, dtype=bool) for block in blocks}
    live[blocks[-1]][:] = True
    for block in reversed(blocks):
        if not isinstance(block, Input) and (count := np.count_nonzero(live[block])):
            _reach(block, live, count == block.width, support)
    return live


def scopes(blocks: Sequence[Block], support: Support) -> Scopes:
    """The scopes of all nodes of blocks that stand children first."""
    mentioned = {block.variable for block in blocks if isinstance(block, Input)}
    variables = tuple(sorted(mentioned, key=lambda variable: variable.order))
    words = max(1, -(-len(variables) // 64))
    bits = {variable: _bit(position, words) for position, variable in enumerate(variables)}
    found = Scopes(variables, tuple(blocks), support)
    for block in blocks:
        found.add(block, bits[block.variable] if isinstance(block, Input) else None)
    return found


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


def _alikes(offsets: Indices, members: Indices) -> tuple[Indices, Indices]:
    """Groups of equal members in equal order: the first of each kind, and each group's place among the kinds.

    By a hash, and then member by member; where a hash deceives, each group is its own kind.
    """
    counts = offsets[1:] - offsets[:-1]
    position = np.arange(len(members)) - np.repeat(offsets[:-1], counts)
    mixed = (members.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * (position.astype(np.uint64) * np.uint64(2) + np.uint64(3))
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    keys = (running[offsets[1:]] - running[offsets[:-1]]) * np.uint64(0xBF58476D1CE4E5B9) + counts.astype(np.uint64)
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    chosen = first[place]
    if np.array_equal(counts[chosen], counts):
        other = np.repeat(offsets[:-1][chosen] - offsets[:-1], counts) + np.arange(len(members))
        if np.array_equal(members[other], members):
            return first, place
    return np.arange(len(counts)), np.arange(len(counts))


def _factors(block: Product, laid: Laid) -> Groups:
    match block.form:
        case Indexed(offsets, members):
            return Groups(offsets, laid.take(members), np.arange(block.width))
        case Hadamard():
            if (alike := laid.kinds) is not None:
                return _alike(alike, block.width)
            columns = [np.broadcast_to(part, block.width) for part in laid.parts]
            return _table(np.stack(columns, axis=1), np.arange(block.width))
        case _:
            if (alike := laid.kinds) is not None:
                return _alike(alike, block.width)
            each = [np.unique(part, return_inverse=True) for part in laid.parts]
            table = np.stack(
                [axis.ravel() for axis in np.meshgrid(*(kinds for kinds, _ in each), indexing="ij")], axis=1
            )
            index = np.zeros(1, dtype=np.int64)
            for kinds, place in each:
                index = (index[:, None] * len(kinds) + place.reshape(-1)[None]).ravel()
            return _table(table, index)


def _alike(members: Sequence[int], width: int) -> Groups:
    return Groups(np.array([0, len(members)]), np.array(members, dtype=np.int64), np.zeros(width, dtype=np.int64))


def _table(table: Indices, index: Indices) -> Groups:
    return Groups(np.arange(len(table) + 1) * table.shape[1], table.ravel(), index)


def _reach(block: Product | Sum, live: dict[Block, Booleans], whole: bool, support: Support) -> None:
    """Marks which nodes of each child live nodes of a block stand on; `whole`: all of its nodes are live."""
    own = live[block]
    laid = Laid([live[child] for child in block.children])
    if isinstance(block, Sum):
        if isinstance(block.map, Sparse):
            offsets, columns = support.entries(block.map)
            laid.mark(columns if whole else columns[np.repeat(own, offsets[1:] - offsets[:-1])])
        elif isinstance(block.map, Selection):
            laid.mark(block.map.index if whole else block.map.index[own])
        elif whole and support.is_full(block.map, transposed=True):
            for part in laid.parts:
                part[:] = True
        else:
            laid.mark(np.flatnonzero(support.mark(block.map, own[:, None], transposed=True)[:, 0]))
        return
    match block.form:
        case Hadamard():
            for part in laid.parts:
                part |= own if len(part) == block.width else True
        case Indexed(offsets, members):
            laid.mark(members if whole else members[np.repeat(own, offsets[1:] - offsets[:-1])])
        case _:
            cube = own.reshape([child.width for child in block.children])
            for axis, part in enumerate(laid.parts):
                part |= cube.any(axis=tuple(other for other in range(cube.ndim) if other != axis))
