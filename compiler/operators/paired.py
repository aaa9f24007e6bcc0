"""The blocks of a product of two circuits, built from a plan from the inputs up; nothing is computed.

What enters is a plan (pairing.py); what leaves is the root, and where each node came from. The node of a pair (i, j)
stands at i · width of the second + j; where only some pairs were asked for, in the order of these numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...ir.block import Block, Input, Sum, hadamard, indexed, input_product, pairs, select, weighted
from ...ir.expression import Expression, take, times
from ...ir.linear import Indices, Kronecker, LinearMap, Selection, compose, selection, sparse
from ...ir.parameter import constant
from ...ir.span import Span
from ..properties.factors import starts_of
from .pairing import Factor, Factored, Grouped, Inputs, Listed, Pair, Plan, Summed, by_pair, crossed


@dataclass(frozen=True, slots=True)
class Made:
    """The block that holds the products of a pair of blocks; `keys` are those that it has, None for all of them."""

    block: Block
    keys: Indices | None

    def places(self, keys: Indices) -> Indices:
        """Where in the block these products stand."""
        return keys if self.keys is None else np.searchsorted(self.keys, keys)


@dataclass(eq=False)
class Building:
    """The blocks so far, by pair."""

    plan: Plan
    made: dict[Pair, Made] = field(default_factory=dict[Pair, Made])

    def run(self, root: Pair) -> Block:
        """The block of the roots' pair."""
        for pair in reversed(self.plan.steps):
            match self.plan.steps[pair]:
                case Inputs():
                    a, b = pair
                    assert isinstance(a, Input) and isinstance(b, Input)
                    self.made[pair] = Made(input_product([a, b], a.span), None)
                case Factored() as step:
                    self.made[pair] = Made(self._factored(pair, step), None)
                case Grouped() as step:
                    self.made[pair] = Made(self._grouped(pair[0].span, step), None)
                case Listed() as step:
                    self.made[pair] = Made(self._listed(pair, step), step.keys)
        return self.made[root].block

    def _factored(self, pair: Pair, step: Factored) -> Block:
        """(W₁ ⊗ W₂) of all pairs of the children, whose order among the children laid end to end a gather mends."""
        a, b = pair
        u, v = self.plan.left.children(a, step.left), self.plan.right.children(b, step.right)
        one, other = _map(a, step.left), _map(b, step.right)
        below = [self.made[x, y] for x in u for y in v]
        order = _interleaved(below, u, v)
        blocks = [each.block for each in below]
        if isinstance(one, Selection) and isinstance(other, Selection):
            index = (one.index[:, None] * other.inputs + other.index).ravel()
            return weighted(
                blocks, selection(index if order is None else order[index], one.inputs * other.inputs), a.span
            )
        linear: LinearMap = Kronecker((*_flat(one), *_flat(other)))
        if order is not None:
            linear = compose([linear, selection(order, linear.inputs)])
        return weighted(blocks, linear, a.span)

    def _grouped(self, span: Span | None, step: Grouped) -> Block:
        """The product of the factors: each spread over the digits that it lacks, or all pairs with digits in order."""
        sizes = [*step.left, *step.right]
        owned: list[tuple[Block, list[int]]] = []
        for factor, left, right in step.factors:
            digits = [*left, *(len(step.left) + digit for digit in right)]
            block = self._whole(factor)
            owned.append((block, digits))
        used = [digit for _, digits in owned for digit in digits]
        if len(used) == len(set(used)):
            wide = [block for block, _ in owned]
            made = wide[0] if len(wide) == 1 else pairs(wide, span)
            return _selected(made, _spread(sizes, used), span)
        spread = [_selected(block, _spread(sizes, digits), span) for block, digits in owned]
        return hadamard(spread, span)

    def _whole(self, factor: Pair | Block) -> Block:
        """A block, or all of a pair's products."""
        if not isinstance(factor, tuple):
            return factor
        return self.made[factor].block  # it was asked for as a whole, so that it has all keys, in order

    def _listed(self, pair: Pair, step: Listed) -> Block:
        """Nodes one by one: products by index, and sparse sums."""
        parts: list[Block] = []
        rows: list[Indices] = []
        if len(step.products):
            parts.append(self._indexed(pair[0].span, step.products, step.factors))
            rows.append(step.products)
        for each in step.sums:
            parts.append(self._summed(pair, step.keys, each))
            rows.append(each.rows)
        if len(parts) == 1:
            return parts[0]
        place = np.argsort(np.concatenate(rows), kind="stable")
        return weighted(parts, selection(place, len(place)), pair[0].span)

    def _indexed(self, span: Span | None, rows: Indices, factors: Sequence[Factor]) -> Block:
        blocks: dict[Block, int] = {}
        total = 0
        row: list[Indices] = []
        member: list[Indices] = []
        for factor in factors:
            made = self.made[factor.of] if isinstance(factor.of, tuple) else Made(factor.of, None)
            if made.block not in blocks:
                blocks[made.block] = total
                total += made.block.width
            row.append(factor.rows)
            member.append(made.places(factor.nodes) + blocks[made.block])
        none = np.zeros(0, dtype=np.int64)
        where, members = np.concatenate([none, *row]), np.concatenate([none, *member])
        order = np.argsort(where, kind="stable")
        offsets = np.searchsorted(where[order], [*rows.tolist(), np.iinfo(np.int64).max])
        return indexed(list(blocks), offsets, members[order], span)

    def _summed(self, pair: Pair, keys: Indices, summed: Summed) -> Block:
        a, b = pair
        terms = crossed(self.plan, a, b, keys, summed)
        blocks: list[Block] = []
        columns = np.zeros(len(terms.row), dtype=np.int64)
        total = 0
        for below, kept, wanted in by_pair(terms.u, terms.us, terms.v, terms.vs):
            made = self.made[below]
            columns[kept] = total + made.places(wanted)
            blocks.append(made.block)
            total += made.block.width
        i, j = keys[summed.rows] // b.width, keys[summed.rows] % b.width
        left = self.plan.left.terms(a, i, summed.left).weights
        right = self.plan.right.terms(b, j, summed.right).weights
        count = len(summed.rows)
        if left is None and right is None and np.array_equal(terms.row, np.arange(count)):
            return weighted(blocks, selection(columns, total), a.span)
        weights = _weights(left, terms.first, right, terms.second)
        return weighted(blocks, sparse(terms.row, columns, weights, count, total), a.span)


def _weights(left: Expression | None, first: Indices, right: Expression | None, second: Indices) -> Expression:
    """The products of both terms' weights, by entry."""
    given = [take(each, 0, places) for each, places in ((left, first), (right, second)) if each is not None]
    if not given:
        return constant(np.ones(len(first)))
    return given[0] if len(given) == 1 else times(given[0], given[1])


def _map(block: Block, distributed: bool) -> LinearMap:
    """A sum's map; of what is not taken apart, the identity."""
    if distributed:
        assert isinstance(block, Sum)
        return block.map
    return selection(np.arange(block.width), block.width)


def _flat(linear: LinearMap) -> tuple[LinearMap, ...]:
    return linear.factors if isinstance(linear, Kronecker) else (linear,)


def _interleaved(below: Sequence[Made], u: Sequence[Block], v: Sequence[Block]) -> Indices | None:
    """Where among the products laid end to end the pair of positions (s, t) stands, at s · inputs of the second + t.

    None where it stands at that place already.
    """
    if len(v) == 1:
        return None
    first, second = starts_of(u), starts_of(v)
    order = np.empty((first[-1], second[-1]), dtype=np.int64)
    start = 0
    for number, made in enumerate(below):
        x, y = divmod(number, len(v))
        own = np.arange(start, start + made.block.width).reshape(u[x].width, v[y].width)
        order[first[x] : first[x + 1], second[y] : second[y + 1]] = own
        start += made.block.width
    return order.ravel()


def _spread(sizes: Sequence[int], digits: Sequence[int]) -> Indices:
    """For each index over all digits the place in a block whose index has these digits, in this order."""
    place = np.zeros([1] * len(sizes), dtype=np.int64)
    for digit in digits:
        shape = [1] * len(sizes)
        shape[digit] = sizes[digit]
        place = place * sizes[digit] + np.arange(sizes[digit]).reshape(shape)
    return np.broadcast_to(place, sizes).ravel()


def _selected(block: Block, index: Indices, span: Span | None) -> Block:
    """A block's nodes in an order; itself where it is theirs."""
    if len(index) == block.width and np.array_equal(index, np.arange(len(index))):
        return block
    return select(block, index, span)
