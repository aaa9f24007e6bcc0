"""Power series as blocks: a block of width d + 1 holds the coefficients of 1, t, …, tᵈ of one, cut after tⁿ.

What enters are series and + − × ÷; what leaves are blocks, of products and sums alone: 1/b comes of Newton's
r ← 2r − b·r·r, which needs but the number that b begins with. Sums wait until something multiplies them, so that a
chain of them is one block. Products of equal length share one table of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ...ir.block import Block, Indexed, Product, Sum, indexed, weighted
from ...ir.linear import Sparse, sparse
from ...ir.parameter import Value, constant
from ...ir.span import Span


@dataclass(slots=True, eq=False)
class Series:
    """A weighted sum of blocks that begin with the coefficient of 1; `block` once it is one."""

    terms: dict[Block, Fraction]

    @property
    def degree(self) -> int:
        """The largest power that it may have; −1 of none."""
        return max((block.width for block in self.terms), default=0) - 1

    def combined(self, other: Series, factor: Fraction) -> Series:
        """This one, and so many times another."""
        terms = dict(self.terms)
        for block, weight in other.terms.items():
            total = terms.get(block, Fraction(0)) + factor * weight
            if total:
                terms[block] = total
            else:
                terms.pop(block, None)
        return Series(terms)

    def times(self, factor: Fraction) -> Series:
        """So many times this one."""
        return Series({block: weight * factor for block, weight in self.terms.items()} if factor else {})


@dataclass(slots=True)
class Builder:
    """Makes series cut after t to the `order`; `nodes` counts what it has made."""

    order: int
    span: Span | None
    nodes: int = 0
    one: Block = field(init=False)
    _products: dict[tuple[int, ...], tuple[Indexed, Sparse]] = field(
        default_factory=dict[tuple[int, ...], "tuple[Indexed, Sparse]"]
    )

    def __post_init__(self) -> None:
        self.one = indexed([], [0, 0], [], self.span)

    def number(self, value: Fraction) -> Series:
        """The series of a number."""
        return Series({self.one: value} if value else {})

    def block(self, series: Series, width: int | None = None) -> Block:
        """One block of the coefficients of a series that is not zero, the first `width` of them; it is kept."""
        if len(series.terms) == 1:
            ((only, weight),) = series.terms.items()
            if weight == 1 and width in (None, only.width):
                return only
        blocks = list(series.terms)
        most = series.degree + 1 if width is None else min(width, series.degree + 1)
        before = np.cumsum([0, *(block.width for block in blocks)])
        kept = [np.arange(min(block.width, most)) for block in blocks]
        columns = np.concatenate([own + start for own, start in zip(kept, before[:-1].tolist(), strict=True)])
        numbers = [series.terms[block] for block, own in zip(blocks, kept, strict=True) for _ in own]
        linear = sparse(np.concatenate(kept), columns, constant(Value.of(numbers)), most, int(before[-1]))
        made = Sum(tuple(blocks), linear, most, self.span)
        self.nodes += most
        if width is None:
            series.terms = {made: Fraction(1)}
        return made

    def product(self, a: Series, b: Series, order: int | None = None) -> Series:
        """The product, cut after t to the order."""
        if not a.terms or not b.terms:
            return Series({})
        for plain, other in ((a, b), (b, a)):
            if set(plain.terms) == {self.one}:
                return other.times(plain.terms[self.one])
        left, right = self.block(a), self.block(b)
        last = self.order if order is None else order
        widths = min(left.width, last + 1), min(right.width, last + 1)
        form, linear = self._pattern(*widths, left.width, last)
        made = Product((left, right), form, len(form.offsets) - 1, self.span)
        self.nodes += made.width + linear.outputs
        return Series({Sum((made,), linear, linear.outputs, self.span): Fraction(1)})

    def _pattern(self, a: int, b: int, start: int, last: int) -> tuple[Indexed, Sparse]:
        """The pairs of coefficients of products of two series of these widths, sorted by power, and their sums."""
        key = (a, b, start, last)
        if key not in self._products:
            i, j = (each.reshape(-1) for each in np.indices((a, b)))
            kept = i + j <= last
            i, j = i[kept], j[kept]
            order = np.argsort(i + j, kind="stable")
            members = np.stack([i[order], start + j[order]], axis=1).reshape(-1).astype(np.int64)
            offsets = np.arange(0, 2 * len(i) + 1, 2)
            members.flags.writeable = offsets.flags.writeable = False
            powers = (i + j)[order]
            ones = constant(np.ones(len(i)))
            linear = sparse(powers, np.arange(len(i)), ones, int(powers[-1]) + 1, len(i))
            self._products[key] = Indexed(offsets, members), linear
        return self._products[key]

    def reciprocal(self, b: Series, first: Fraction) -> Series:
        """1/b for a series that begins with a number other than zero."""
        found = self.number(1 / first)
        known = 0
        while known < self.order:
            known = min(2 * known + 1, self.order)
            cut = Series({self.block(b, known + 1): Fraction(1)}) if b.degree > known else b
            square = self.product(found, found, known)
            found = found.times(Fraction(2)).combined(self.product(cut, square, known), Fraction(-1))
        return found

    def total(self, series: Series) -> Block:
        """The sum of all coefficients: the series at t = 1."""
        whole = self.block(series)
        linear = sparse(
            np.zeros(whole.width, dtype=np.int64),
            np.arange(whole.width),
            constant(np.ones(whole.width)),
            1,
            whole.width,
        )
        return weighted([whole], linear, self.span)
