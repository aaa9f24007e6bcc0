"""Blocks as a user holds them: a block of the IR, with operators, and the circuits that stand in it.

`*` and `concat` are lazy: a chain of factors becomes one product when it is used, so that multiplying in a loop costs
no more than multiplying at once, and blocks laid end to end are the children of the sum that is taken of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NoReturn, TypeAlias

import numpy as np

from ...ir import block as ir
from ...ir.circuit import Circuit
from ...ir.diagnostic import DanausError, error, placed
from ...ir.domain import Variable
from ...ir.linear import selection
from ...ir.parameter import Parameter
from ...ir.span import Span, caller
from .arguments import bounds, describe
from .variables import Variables

_WEIGHTING = "a block is weighted by dn.sum(a, [[w]])"


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """What `*` made: the block or chain on its left, times a factor."""

    left: Block
    right: ir.Block
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """What `concat` made: blocks end to end, which a sum, a product or a selection of them takes as they are."""

    parts: tuple[ir.Block, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Block:
    """A vector of `width` functions, as the functions for families and block forms make it.

    `a * b` is the elementwise product (a block of width 1 broadcasts), and `a * b * c` one product of three factors;
    `a[i]` is node i, `a[i:j]` the nodes i up to but not including j. A circuit may stand for a block of width 1; of two
    circuits, the product is `dn.product([p, q])`.

    >>> import danaus as dn
    >>> rain, wet = dn.Bool("rain"), dn.Bool("wet")
    >>> a = dn.bernoulli(rain, [0.2, 0.9]) * dn.bernoulli(wet, [0.4, 0.6])
    >>> a.width, a[1].width, [variable.name for variable in a.scope]
    (2, 1, ['rain', 'wet'])

    Raises: DanausError `wrong-width` for a product of unequal widths, `wrong-index` for nodes that there are not.
    """

    source: ir.Block | Chain | Laid
    width: int
    circuits: tuple[Circuit, ...] = ()

    __array_ufunc__: ClassVar[None] = None  # so that numpy leaves `array * block` to `__rmul__`

    @property
    def built(self) -> ir.Block:
        """The block of the IR; a chain becomes one product."""
        match self.source:
            case Chain(span=span):
                return ir.hadamard(_factors(self), span)
            case Laid(parts, span):
                return ir.concat(parts, span)
            case block:
                return block

    @property
    def scope(self) -> tuple[Variable, ...]:
        """The variables that the block mentions, in order of creation."""
        found = {block.variable for block in ir.in_order(self.built) if isinstance(block, ir.Input)}
        return tuple(sorted(found, key=lambda variable: variable.order))

    def __mul__(self, other: Block | Circuit) -> Block:
        span = caller()
        with placed(span):
            return multiplied(self, as_block(other), span)

    def __rmul__(self, other: Circuit) -> Block:
        span = caller()
        with placed(span):
            return multiplied(as_block(other), self, span)

    def __getitem__(self, index: int | slice) -> Block:
        span = caller()
        with placed(span):
            start, stop = bounds(index, self.width)
            return made(ir.weighted(laid(self), selection(np.arange(start, stop), self.width), span), self)

    def __iter__(self) -> Iterator[Block]:
        return (self[i] for i in range(self.width))

    def __add__(self, other: object) -> NoReturn:
        raise _unjoined("+", "a sum of blocks is dn.sum(dn.concat(a, b), [[1, 1]])")

    def __sub__(self, other: object) -> NoReturn:
        raise _unjoined("-", "a difference of blocks is dn.sum(dn.concat(a, b), [[1, -1]])")

    def __truediv__(self, other: object) -> NoReturn:
        raise _unjoined("/", "dn.divide(p, q) divides circuits")

    __radd__, __rsub__, __rtruediv__ = __add__, __sub__, __truediv__

    def __repr__(self) -> str:
        return f"<block of width {self.width}>"


def _unjoined(operator: str, hint: str) -> DanausError:
    return error("not-a-block", f"blocks are not joined by `{operator}`", caller(), hint)


BlockLike: TypeAlias = Block | Circuit
"""A block, or a circuit, which stands for its root, a block of width 1."""


def as_block(given: object) -> Block:
    """The block that an argument is.

    Raises: DanausError `not-a-block`, with what would make one.
    """
    match given:
        case Block():
            return given
        case Circuit(root=root):
            return Block(root, root.width, (given,))
        case Variable(name):
            hint = f"an input is dn.indicator({name}, v), dn.bernoulli({name}, …) or another family"
            raise error("not-a-block", f'the variable "{name}" is not a block', hint=hint)
        case Variables(name):
            hint = f"an input is made of one variable, such as dn.bernoulli({name}[0], …)"
            raise error("not-a-block", f'the array "{name}" of variables is not a block', hint=hint)
        case Parameter(name):
            raise error("not-a-block", f'the parameter "{name}" is not a block', hint="weights are dn.sum(a, W)")
        case list() | tuple():
            raise error("not-a-block", "a list is not a block", hint="dn.concat(a, b) lays blocks end to end")
        case ir.Input() | ir.Product() | ir.Sum():
            raise error("not-a-block", "a block of the IR stands here", hint="give the circuit that it is the root of")
        case _:
            raise error("not-a-block", f"{describe(given)} is not a block", hint=_WEIGHTING)


def made(block: ir.Block, *parts: Block) -> Block:
    """A block made of others, with the circuits that stand in them."""
    return Block(block, block.width, held(parts))


def held(parts: Sequence[Block]) -> tuple[Circuit, ...]:
    """The circuits that stand in blocks, each once."""
    found: tuple[Circuit, ...] = ()
    for part in parts:
        if part.circuits and part.circuits is not found:
            found = tuple(dict.fromkeys((*found, *part.circuits))) if found else part.circuits
    return found


def multiplied(left: Block, right: Block, span: Span) -> Block:
    """The chain `left * right`.

    Raises: DanausError `wrong-width`.
    """
    if left.width != right.width and 1 not in (left.width, right.width):
        ir.hadamard([*_factors(left), right.built])  # raises, and names all widths
    return Block(Chain(left, right.built, span), max(left.width, right.width), held([left, right]))


def laid(block: Block) -> Sequence[ir.Block]:
    """The blocks that stand end to end in one that `concat` made; of any other, itself."""
    return block.source.parts if isinstance(block.source, Laid) else [block.built]


def _factors(block: Block) -> list[ir.Block]:
    """The factors of a chain from left to right; of any other block, itself."""
    factors: list[ir.Block] = []
    while isinstance(block.source, Chain):
        factors.append(block.source.right)
        block = block.source.left
    return [block.built, *reversed(factors)]
