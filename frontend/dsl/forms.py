"""Block forms, as functions of their names: blocks, weights and indices enter, a block leaves.

The names are the language's, so `sum` here is a sum of nodes; Python's own is `builtins.sum`.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from ...ir import block as ir
from ...ir.diagnostic import error, placed
from ...ir.expression import Expression
from ...ir.linear import Dense, LinearMap, selection
from ...ir.parameter import Parameter, constant
from ...ir.span import Span, caller
from ..elaborate.context import Index
from ..maps import DenseForm, MapForm, fresh_map, given_map, parameterless
from .arguments import IndexLike, Numbers, array, describe, indices, rows, size
from .block import Block, BlockLike, Laid, as_block, held, laid, made
from .maps import MapLike, map_form
from .parameters import fresh

_NAMING = "declare the array with dn.param or dn.const"


def sum(
    block: BlockLike, /, *weights: Numbers | Parameter, width: int | None = None, map: MapLike | None = None
) -> Block:
    """Weighted sums of a block's nodes.

    The weights are rows of numbers, one per output node, or a parameter of that shape; with `width=K`, K nodes with
    learnable weights. `map` gives them a structure, and takes one parameter per part; with `width=K`, new ones.

    >>> import danaus as dn
    >>> a = dn.bernoulli(dn.Bool("x"), [0.2, 0.9])
    >>> dn.sum(a, [[0.3, 0.7]]).width, dn.sum(a, width=8).width
    (1, 8)

    Raises: DanausError `wrong-shape`, `wrong-arguments`, `not-a-block`, `unknown-map`.
    """
    span = caller()
    with placed(span):
        whole = as_block(block)
        form = DenseForm() if map is None else map_form(map)
        count = None if width is None else size(width, "the width")
        if not weights:
            linear = _fresh(form, whole.width, count, span)
        elif len(weights) == 1 and not isinstance(weights[0], Parameter) and map is None:
            linear = Dense(_rows(weights[0], whole.width, count))
        else:
            named = [_parameter(item) for item in weights]
            linear = given_map(form, named, whole.width, count)
        return made(ir.weighted(laid(whole), linear, span), whole)


def _fresh(form: MapForm, inputs: int, outputs: int | None, span: Span) -> LinearMap:
    if parameterless(form):
        return given_map(form, [], inputs, outputs)
    if outputs is None:
        raise error(
            "wrong-arguments",
            "a sum needs weights or a width",
            hint="write dn.sum(a, [[…]]), dn.sum(a, W) or dn.sum(a, width=K)",
        )
    return fresh_map(form, inputs, outputs, fresh("sum", span))


def _rows(given: object, inputs: int, outputs: int | None) -> Expression:
    if isinstance(given, Block | Index):
        raise error("wrong-arguments", f"{describe(given)} stands where the weights do", hint=_NAMING)
    numbers = array(given)
    shape = list(numbers.shape)
    if len(shape) != 2 or shape[1] != inputs or outputs not in (None, shape[0]):
        hint = "one row per output node, one number per node of the block"
        if len(shape) == 1:
            hint = f"a sum of one node has one row: [[{', '.join(['…'] * min(inputs, 3))}]]"
        wanted = f"[{'m' if outputs is None else outputs}, {inputs}]"
        raise error("wrong-shape", f"the weights have shape {shape}, not {wanted}", hint=hint)
    return constant(numbers)


def _parameter(given: object) -> Parameter:
    if not isinstance(given, Parameter):
        raise error("wrong-arguments", f"{describe(given)} is not a param or const", hint=_NAMING)
    return given


def product(
    blocks: BlockLike | Sequence[BlockLike], index: IndexLike | Sequence[Sequence[int]] | None = None, /
) -> Block:
    """A product of blocks that stays one factor where it is multiplied on, or products of the nodes that rows name.

    `product([a, b])` is `(a * b)` with its parentheses. In `product(a, [[0, 1], [2]])`, node i is the product of the
    nodes of a that row i names; an empty row is 1. The rows of an array or a `dn.index` are padded with -1 at the end.

    >>> import danaus as dn
    >>> a, b = dn.bernoulli(dn.Bool("x"), [0.2, 0.9]), dn.bernoulli(dn.Bool("y"), [0.4, 0.6])
    >>> dn.product([a, b]).width, dn.product(dn.concat(a, b), [[0, 2], [0, 3], [1, 3]]).width
    (2, 3)

    Raises: DanausError `wrong-width`, `wrong-index`, `wrong-shape`, `wrong-arguments`.
    """
    span = caller()
    with placed(span):
        if index is not None:
            return _indexed(as_block(blocks), index, span)
        if not isinstance(blocks, list | tuple) or not blocks:
            raise error("wrong-arguments", "product takes a list of blocks, or a block and an index", hint=_PRODUCTS)
        factors = [as_block(block) for block in blocks]
        if len(factors) == 1:
            return made(factors[0].built, factors[0])
        return made(ir.hadamard([factor.built for factor in factors], span), *factors)


_PRODUCTS = "write dn.product([a, b]) or dn.product(a, [[0, 1], [2, 3]])"


def _indexed(whole: Block, index: object, span: Span) -> Block:
    if isinstance(index, Block):
        raise error("wrong-arguments", "the second argument of product is an index, not a block", hint=_PRODUCTS)
    offsets, members = rows(index)
    return made(ir.indexed(laid(whole), offsets, members, span), whole)


def concat(*blocks: BlockLike) -> Block:
    """Blocks laid end to end. A sum of them has them as its children; of none, `product(concat(), [[]])` is 1.

    >>> import danaus as dn
    >>> a, b = dn.bernoulli(dn.Bool("x"), [0.2, 0.9]), dn.bernoulli(dn.Bool("y"), [0.4])
    >>> dn.concat(a, b).width
    3

    Raises: DanausError `not-a-block`.
    """
    span = caller()
    with placed(span):
        if blocks and isinstance(blocks[0], list | tuple):
            raise error("not-a-block", "a list is not a block", hint="write dn.concat(a, b), or dn.concat(*blocks)")
        parts = [as_block(block) for block in blocks]
        nodes = tuple(part.built for part in parts)
        return Block(Laid(nodes, span), builtins.sum(node.width for node in nodes), held(parts))


def gather(block: BlockLike, index: IndexLike, /) -> Block:
    """The nodes of a block that an index names, in that order.

    >>> import danaus as dn
    >>> a = dn.bernoulli(dn.Bool("x"), [0.2, 0.9, 0.5])
    >>> dn.gather(a, [2, 0, 0, 1]).width
    4

    Raises: DanausError `wrong-index`, `not-an-index`, `not-an-integer`.
    """
    span = caller()
    with placed(span):
        whole = as_block(block)
        return made(ir.weighted(laid(whole), selection(indices(index), whole.width), span), whole)
