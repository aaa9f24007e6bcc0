"""A circuit's blocks with some of them replaced: bottom-up, without recursion, keeping spans and sharing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.block import (
    Block,
    Hadamard,
    Indexed,
    Input,
    Pairs,
    Product,
    Sum,
    hadamard,
    in_order,
    indexed,
    pairs,
    weighted,
)


def rewritten(root: Block, replaced: Mapping[Block, Block]) -> Block:
    """The root with blocks replaced by others of the same width; what stands above none of them is kept as it is."""
    new: dict[Block, Block] = {}
    for block in in_order(root):
        new[block] = replaced[block] if block in replaced else with_children(block, new)
    return new[root]


def with_children(block: Block, new: Mapping[Block, Block]) -> Block:
    """The block over new children; itself where none of them has changed."""
    if isinstance(block, Input) or all(new[child] is child for child in block.children):
        return block
    children = [new[child] for child in block.children]
    match block:
        case Sum(_, linear, _, span):
            return weighted(children, linear, span)
        case Product():
            return formed(block, children)


def formed(block: Product, children: Sequence[Block]) -> Block:
    """A product of other children, in the same form."""
    match block.form:
        case Hadamard():
            return hadamard(children, block.span)
        case Pairs():
            return pairs(children, block.span)
        case Indexed(offsets, members):
            return indexed(children, offsets, members, block.span)
