"""Which pairs of nodes of two circuits their product has: planned from the roots down, before anything is built.

What enters are two compatible circuits; what leaves is a step for each pair of blocks that meets, those that others
stand on last. A pair is asked for as a whole, all pairs of nodes, or by the pairs of nodes that are needed, each as
i · width of the second + j. Pairs are taken up in the order of their blocks, so that all that ask for one come before
it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from ...ir.block import Block, Hadamard, Input, Pairs, Product, Sum, hadamard, indexed, pairs
from ...ir.diagnostic import error
from ...ir.linear import Indices
from ..properties.factors import starts_of
from .grouping import Grouping, grouping
from .sides import Side, has_sparse

Pair = tuple[Block, Block]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Two inputs on one variable: a product of inputs."""


@dataclass(frozen=True, slots=True)
class Factored:
    """A linear map over both blocks' children, or over those of one: the Kronecker product of the two maps."""

    left: bool
    right: bool


@dataclass(frozen=True, slots=True)
class Grouped:
    """A product of pairs and of factors that stand alone, for all nodes alike.

    Each factor is a pair of blocks, or one block; with it stand the digits of the first's index that it has, and of the
    second's.
    """

    factors: tuple[tuple[Pair | Block, tuple[int, ...], tuple[int, ...]], ...]
    left: tuple[int, ...]
    right: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summed:
    """Rows of a sparse map: their terms by entry, with the pair of blocks, its key, and the places of both weights."""

    rows: Indices
    left: bool
    right: bool


@dataclass(frozen=True, slots=True)
class Factor:
    """Factors of some rows: nodes of one block, or keys of one pair."""

    of: Pair | Block
    rows: Indices
    nodes: Indices


@dataclass(frozen=True, slots=True)
class Listed:
    """Nodes one by one: products with the factors of each, and sums."""

    keys: Indices
    products: Indices
    factors: tuple[Factor, ...]
    sums: tuple[Summed, ...]


Step = Inputs | Factored | Grouped | Listed


@dataclass(slots=True)
class _Asked:
    whole: bool = False
    keys: list[Indices] = field(default_factory=list[Indices])


@dataclass(eq=False)
class Plan:
    """The steps by pair; `limit` bounds the pairs of nodes."""

    left: Side
    right: Side
    limit: int | None = None
    steps: dict[Pair, Step] = field(default_factory=dict[Pair, Step])
    nodes: int = 0
    _asked: dict[Pair, _Asked] = field(default_factory=dict[Pair, _Asked])
    _queue: list[tuple[float, int, Pair]] = field(default_factory=list[tuple[float, int, Pair]])
    _groupings: dict[tuple[tuple[int, ...], tuple[int, ...]], Grouping] = field(
        default_factory=dict[tuple[tuple[int, ...], tuple[int, ...]], Grouping]
    )

    def run(self, root: Pair) -> None:
        """Plans all pairs that the root's stands on.

        Raises: DanausError `too-large` where there are more than the limit.
        """
        self.ask(root)
        while self._queue:
            _, _, pair = heapq.heappop(self._queue)
            asked = self._asked.pop(pair)
            keys = None if asked.whole else np.unique(np.concatenate(asked.keys))
            step = self._step(pair, keys)
            self.steps[pair] = step
            self.nodes += len(step.keys) if isinstance(step, Listed) else pair[0].width * pair[1].width
            if self.limit is not None and self.nodes > self.limit:
                raise error(
                    "too-large",
                    f"the product has more than {self.limit:,} pairs of nodes",
                    hint="give a larger `limit`",
                )

    def ask(self, pair: Pair, keys: Indices | None = None) -> None:
        """Asks for a pair as a whole, or for some of its nodes."""
        asked = self._asked.get(pair)
        if asked is None:
            asked = self._asked[pair] = _Asked()
            place = self.left.order[pair[0]] + self.right.order[pair[1]]
            heapq.heappush(self._queue, (-place, len(self.steps) + len(self._asked), pair))
        if keys is None:
            asked.whole = True
        else:
            asked.keys.append(keys)

    def _step(self, pair: Pair, keys: Indices | None) -> Step:
        a, b = pair
        if isinstance(a, Input) and isinstance(b, Input) and a.variable == b.variable:
            return Inputs()
        size = a.width * b.width
        few = keys is not None and len(keys) < size and (has_sparse(a) or has_sparse(b))
        if not few and self.left.uniform(a) is not None and self.right.uniform(b) is not None:
            step = self._even(a, b)
            if step is not None:
                return step
        return self._listed(a, b, np.arange(size) if keys is None else keys)

    def grouping(self, left: tuple[int, ...], right: tuple[int, ...]) -> Grouping:
        """The grouping of factors with these scopes, by number."""
        found = self._groupings.get((left, right))
        if found is None:
            found = grouping([self.left.mask(each) for each in left], [self.right.mask(each) for each in right])
            self._groupings[left, right] = found
        return found

    # All nodes alike.

    def _even(self, a: Block, b: Block) -> Step | None:
        """The step for all pairs of nodes at once; None where the nodes of a block differ."""
        first, second = _parts(a), _parts(b)
        scopes = [self.left.uniform(each) for each in first], [self.right.uniform(each) for each in second]
        if (isinstance(a, Product) and not self.left.is_even(a)) or (
            isinstance(b, Product) and not self.right.is_even(b)
        ):
            return None
        known = tuple(tuple(each for each in side if each is not None) for side in scopes)
        found = self.grouping(known[0], known[1])
        if not (found.is_whole(len(first), len(second)) and 1 in (len(first), len(second))):
            return self._grouped(a, b, found)
        if (isinstance(a, Product) and len(first) == 1) or (isinstance(b, Product) and len(second) == 1):
            return self._grouped(a, b, found)
        left, right = self._distributed(a, b, known[0][0], known[1][0])
        if (left and not self.left.is_even(a)) or (right and not self.right.is_even(b)):
            return None
        for u in self.left.children(a, left):
            for v in self.right.children(b, right):
                self.ask((u, v))
        return Factored(left, right)

    def _distributed(self, a: Block, b: Block, first: int, second: int) -> tuple[bool, bool]:
        """Which of two blocks that are no products of others are taken apart: the larger one, or both."""
        if not (isinstance(a, Sum) and isinstance(b, Sum)):
            return isinstance(a, Sum), isinstance(b, Sum) and not isinstance(a, Sum)
        one, other = self.left.mask(first), self.right.mask(second)
        return one & other == other, one & other == one

    def _grouped(self, a: Block, b: Block, found: Grouping) -> Grouped:
        factors: list[tuple[Pair | Block, tuple[int, ...], tuple[int, ...]]] = []
        for group in found.groups:
            u, first = self._partial(self.left, a, group.left)
            v, second = self._partial(self.right, b, group.right)
            self.ask((u, v))
            factors.append(((u, v), first, second))
        if found.left:
            u, first = self._partial(self.left, a, found.left)
            factors.append((u, first, ()))
        if found.right:
            v, second = self._partial(self.right, b, found.right)
            factors.append((v, (), second))
        return Grouped(tuple(factors), _digits(a), _digits(b))

    def _partial(self, side: Side, block: Block, places: tuple[int, ...]) -> tuple[Block, tuple[int, ...]]:
        """The product of some factors of a block, and the digits of the block's index that it has."""
        if not isinstance(block, Product):
            return block, (0,)
        chosen = [block.children[place] for place in places]
        if isinstance(block.form, Pairs):
            made = chosen[0] if len(chosen) == 1 else pairs(chosen, block.span)
            digits = places
        else:
            made = chosen[0] if len(chosen) == 1 else hadamard(chosen, block.span)
            digits = (0,) if made.width == block.width else ()
        side.add(made)
        return made, digits

    # Nodes one by one.

    def _listed(self, a: Block, b: Block, keys: Indices) -> Listed:
        first, second = self.left.table(a), self.right.table(b)
        i, j = keys // b.width, keys % b.width
        signatures = np.concatenate([first.scopes[i], second.scopes[j]], axis=1)
        kinds, place = np.unique(signatures, axis=0, return_inverse=True)
        place = place.reshape(-1)
        products: list[Indices] = []
        factors: list[Factor] = []
        sums: dict[tuple[bool, bool], list[Indices]] = {}
        split = first.scopes.shape[1]
        for kind in range(len(kinds)):
            rows = np.flatnonzero(place == kind)
            one = tuple(each for each in kinds[kind, :split].tolist() if each >= 0)
            other = tuple(each for each in kinds[kind, split:].tolist() if each >= 0)
            found = self.grouping(one, other)
            single = not ((isinstance(a, Product) and len(one) == 1) or (isinstance(b, Product) and len(other) == 1))
            if single and found.is_whole(len(one), len(other)) and 1 in (len(one), len(other)):
                left, right = self._distributed(a, b, one[0], other[0])
                sums.setdefault((left, right), []).append(rows)
                continue
            products.append(rows)
            for group in found.groups:
                u, us = self._columns(self.left, a, i[rows], group.left)
                v, vs = self._columns(self.right, b, j[rows], group.right)
                factors += self._paired(rows, u, us, v, vs)
            for column in found.left:
                factors += _alone(rows, first.blocks, first.positions[i[rows], column])
            for column in found.right:
                factors += _alone(rows, second.blocks, second.positions[j[rows], column])
        listed = tuple(Summed(np.sort(np.concatenate(rows)), *which) for which, rows in sums.items())
        for each in listed:
            self._ask_terms(a, b, keys, each)
        made = np.sort(np.concatenate(products)) if products else np.zeros(0, dtype=np.int64)
        return Listed(keys, made, tuple(factors), listed)

    def _columns(
        self, side: Side, block: Block, nodes: Indices, columns: tuple[int, ...]
    ) -> tuple[tuple[Block, ...], Indices]:
        """The factors in one column, or the products of those in several, as positions among blocks."""
        table = side.table(block)
        if len(columns) == 1:
            return table.blocks, table.positions[nodes, columns[0]]
        # All nodes of the same scopes, so that the same partial products come whatever they are multiplied with.
        alike = np.flatnonzero((table.scopes == table.scopes[nodes[0]]).all(axis=1))
        rows, place = np.unique(table.positions[alike][:, list(columns)], axis=0, return_inverse=True)
        made = indexed(table.blocks, np.arange(len(rows) + 1) * len(columns), rows.ravel(), block.span)
        side.add(made)
        return (made,), place.reshape(-1)[np.searchsorted(alike, nodes)]

    def _paired(
        self, rows: Indices, u: tuple[Block, ...], us: Indices, v: tuple[Block, ...], vs: Indices
    ) -> list[Factor]:
        """Factors that are pairs, and asks for them."""
        out: list[Factor] = []
        for pair, kept, keys in by_pair(u, us, v, vs):
            self.ask(pair, keys)
            out.append(Factor(pair, rows[kept], keys))
        return out

    def _ask_terms(self, a: Block, b: Block, keys: Indices, summed: Summed) -> None:
        terms = crossed(self, a, b, keys, summed)
        for pair, _, wanted in by_pair(terms.u, terms.us, terms.v, terms.vs):
            self.ask(pair, wanted)


def _parts(block: Block) -> tuple[Block, ...]:
    """The factors of a block; what is no product is its own."""
    return block.children if isinstance(block, Product) else (block,)


def _digits(block: Block) -> tuple[int, ...]:
    """The sizes of the digits of a block's index."""
    if isinstance(block, Product) and isinstance(block.form, Pairs):
        return tuple(child.width for child in block.children)
    assert not isinstance(block, Product) or isinstance(block.form, Hadamard)
    return (block.width,)


def _alone(rows: Indices, blocks: tuple[Block, ...], positions: Indices) -> list[Factor]:
    starts = starts_of(blocks)
    owner = np.searchsorted(starts, positions, side="right") - 1
    return [
        Factor(blocks[each], rows[owner == each], positions[owner == each] - starts[each])
        for each in np.unique(owner).tolist()
    ]


def by_pair(
    u: tuple[Block, ...], us: Indices, v: tuple[Block, ...], vs: Indices
) -> list[tuple[Pair, Indices, Indices]]:
    """Positions among two rows of blocks by the pair of blocks that they are of: which of them, and their keys."""
    first, second = starts_of(u), starts_of(v)
    one = np.searchsorted(first, us, side="right") - 1
    other = np.searchsorted(second, vs, side="right") - 1
    kinds, place = np.unique(one * len(v) + other, return_inverse=True)
    out: list[tuple[Pair, Indices, Indices]] = []
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(len(kinds) + 1))
    for number, kind in enumerate(kinds.tolist()):
        kept = order[bounds[number] : bounds[number + 1]]
        left, right = divmod(kind, len(v))
        keys = (us[kept] - first[left]) * v[right].width + (vs[kept] - second[right])
        out.append(((u[left], v[right]), kept, keys))
    return out


@dataclass(frozen=True, slots=True)
class Crossed:
    """All pairs of terms of pairs of sum nodes: the row of each, positions on both sides, and places of weights."""

    row: Indices
    u: tuple[Block, ...]
    us: Indices
    v: tuple[Block, ...]
    vs: Indices
    first: Indices
    second: Indices


def crossed(plan: Plan, a: Block, b: Block, keys: Indices, summed: Summed) -> Crossed:
    """The terms of the rows of a sparse sum of pairs."""
    i, j = keys[summed.rows] // b.width, keys[summed.rows] % b.width
    one, other = plan.left.terms(a, i, summed.left), plan.right.terms(b, j, summed.right)
    n, m = np.diff(one.offsets), np.diff(other.offsets)
    count = n * m
    bounds = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    row = np.repeat(np.arange(len(count)), count)
    within = np.arange(bounds[-1]) - bounds[row]
    first = one.offsets[row] + within // np.maximum(m[row], 1)
    second = other.offsets[row] + within % np.maximum(m[row], 1)
    return Crossed(
        row,
        plan.left.children(a, summed.left),
        one.positions[first],
        plan.right.children(b, summed.right),
        other.positions[second],
        one.places[first],
        other.places[second],
    )
