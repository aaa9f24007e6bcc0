"""A circuit put in another order: the same function, with the children of sums and products, and its variables, moved.

The nodes of inputs change places too; what stands on them is put right by selections and permuted weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from danaus.ir.block import (
    Block,
    Hadamard,
    Indexed,
    Input,
    Pairs,
    Product,
    Sum,
    hadamard,
    indexed,
    input_block,
    pairs,
    select,
    weighted,
)
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Variable
from danaus.ir.expression import take
from danaus.ir.linear import compose, selection

Draw = Any  # what Hypothesis gives to a composite strategy


@st.composite
def reordered(draw: Draw, circuit: Circuit, order: Sequence[Variable]) -> Circuit:
    """The same function with the children of all sums and products in another order, and variables made in this one.

    The nodes of inputs change places too; what stands on them is put right by selections and permuted weights.
    """
    fresh = {variable: Variable(variable.name, variable.domain) for variable in order}
    new: dict[Block, Block] = {}
    for block in circuit.blocks:
        match block:
            case Input(variable=variable):
                new[block] = _shuffled(draw, block, fresh.get(variable) or Variable(variable.name, variable.domain))
            case Product() | Sum():
                places = draw(st.permutations(range(len(block.children))))
                new[block] = _rebuilt(draw, block, [new[child] for child in block.children], places)
    return Circuit(new[circuit.root], circuit.store, circuit.name, tuple(fresh[variable] for variable in circuit.free))


def _shuffled(draw: Draw, block: Input, variable: Variable) -> Block:
    """An input with its nodes in another order, and the selection that puts them back."""
    if block.width == 1 or not block.parameters:
        return input_block(block.family, variable, block.parameters)
    order = draw(st.permutations(range(block.width)))
    made = input_block(block.family, variable, [take(part, 0, order) for part in block.parameters])
    return select(made, np.argsort(order))


def _rebuilt(draw: Draw, block: Product | Sum, children: Sequence[Block], order: Sequence[int]) -> Block:
    starts = np.cumsum([0, *(child.width for child in children)])
    laid = [place for child in order for place in range(starts[child], starts[child + 1])]
    shown = [children[child] for child in order]
    if isinstance(block, Sum):
        back = selection(np.argsort(laid), len(laid))
        return weighted(shown, compose([block.map, back]))
    match block.form:
        case Hadamard():
            return hadamard(shown)
        case Pairs():
            sizes = [child.width for child in shown]
            index = np.arange(block.width).reshape(sizes).transpose(np.argsort(order)).ravel() if children else [0]
            return select(pairs(shown), index)
        case Indexed(offsets, members):
            places = np.argsort(laid)[members] if len(members) else members
            rows = [draw(st.permutations(places[a:b].tolist())) for a, b in pairwise(offsets)]
            return indexed(shown, offsets, [place for row in rows for place in row])
