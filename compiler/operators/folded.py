"""Blocks without variables, folded into the numbers of what stands above them: symbolically, nothing is computed.

What enters is a root; what leaves is one of the same function in which products have no constant factors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ir.block import (
    Block,
    Hadamard,
    Indexed,
    Input,
    Pairs,
    Product,
    Sum,
    constant_block,
    hadamard,
    in_order,
    indexed,
    pairs,
    select,
    weighted,
)
from ...ir.expression import Expression, broadcast, join, reshape
from ...ir.linear import Dense, Diagonal
from ...ir.semirings import BOOLEAN
from ...ir.support import Support
from ..rewrite import with_children
from .masses import map_mass, ones, product_mass


def folded(root: Block, support: Support, may: Callable[[Expression], bool] = lambda _: True) -> Block:
    """The same function with its constants folded into weights: those whose numbers `may` be.

    Constants that have zeros stay factors, since a product scaled by 0 would lose its scope.
    """
    work = _Folding(support, may)
    for block in in_order(root):
        work.fold(block)
    return work.new[root]


class _Folding:
    """Blocks made anew; `worth` has the numbers of those that have no variables."""

    def __init__(self, support: Support, may: Callable[[Expression], bool]) -> None:
        self.support, self.may = support, may
        self.new: dict[Block, Block] = {}
        self.worth: dict[Block, Expression] = {}

    def fold(self, block: Block) -> None:
        match block:
            case Input():
                self.new[block] = block
                return
            case Product(children=()):
                self.new[block], self.worth[block] = block, ones(block.width)
            case Sum((Product(children=()),), Dense(weights)) if weights.shape[1] == 1 and self.may(weights):
                self.new[block], self.worth[block] = block, reshape(weights, (block.width,))
            case Product(children, form, width) if all(child in self.worth for child in children):
                below = [self.worth[child] for child in children]
                found = product_mass(form, below, [child.width for child in children], width)
                self._known(block, ones(width) if found is None else found)
            case Sum(children, linear) if all(child in self.worth for child in children):
                self._known(block, map_mass(linear, join([self.worth[child] for child in children])))
            case Product(children) if any(self._goes(child) for child in children):
                self.new[block] = self._product(block)
            case _:
                self.new[block] = with_children(block, self.new)

    def _known(self, block: Block, worth: Expression) -> None:
        if self.may(worth):
            self.worth[block] = worth
            self.new[block] = constant_block(reshape(worth, (block.width, 1)), block.span)
        else:
            self.new[block] = with_children(block, self.new)

    def _goes(self, child: Block) -> bool:
        """Whether a child is a constant that scales products."""
        return child in self.worth and bool(self.support.of(self.worth[child], BOOLEAN).all())

    def _product(self, block: Product) -> Block:
        """The product of the other children, scaled by the constant ones."""
        children, span = block.children, block.span
        goes = [self._goes(child) for child in children]
        kept = [self.new[child] for child, gone in zip(children, goes, strict=True) if not gone]
        widths = [child.width for child in children]
        factor = product_mass(
            block.form,
            [self.worth[child] if gone else None for child, gone in zip(children, goes, strict=True)],
            widths,
            block.width,
        )
        match block.form:
            case Hadamard():
                made = kept[0] if len(kept) == 1 else hadamard(kept, span)
                made = made if made.width == block.width else select(made, [0] * block.width, span)
            case Pairs():
                made = kept[0] if len(kept) == 1 else pairs(kept, span)
                grid = np.arange(made.width).reshape(
                    [1 if gone else width for width, gone in zip(widths, goes, strict=True)]
                )
                index = np.broadcast_to(grid, widths).ravel()
                made = made if made.width == block.width else select(made, index, span)
            case Indexed(offsets, members):
                there = np.concatenate([np.full(width, not gone) for width, gone in zip(widths, goes, strict=True)])
                stays = there[members]
                bounds = np.concatenate([[0], np.cumsum(stays)])[offsets]
                made = indexed(kept, bounds, (np.cumsum(there) - 1)[members[stays]], span)
        assert factor is not None
        return weighted([made], Diagonal(broadcast(factor, (block.width,))), span)
