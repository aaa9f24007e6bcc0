"""Sums and indexed products: weights, maps and indices of blocks that are laid end to end."""

from __future__ import annotations

import numpy as np

from ...ir.block import Block, indexed, weighted
from ...ir.diagnostic import error, placed
from ...ir.expression import Expression
from ...ir.linear import Dense, Indices, LinearMap
from ...ir.parameter import constant
from ..maps import DenseForm, MapForm, fresh_map, given_map, parameterless
from ..syntax import Call, List, Name
from .body import Body
from .calls import Arguments, arguments
from .context import KINDS, Index
from .inputs import parameter
from .maps import map_form
from .numbers import array, describe, ragged, size


def product_block(body: Body, call: Call, laid: list[Block]) -> Block:
    """`product(a, INDEX)`: products of named nodes of the blocks laid end to end.

    Raises: DanausError `not-an-index`, `wrong-shape`, `wrong-index`.
    """
    _, index = arguments(call, 2, 2).positional
    if isinstance(index, Name):
        found = body.context.lookup(index)
        if not isinstance(found, Index):
            raise error("not-an-index", f'"{index.text}" is {KINDS[type(found)]}, not an index', index.span)
        if found.values.ndim != 2:
            raise error(
                "wrong-shape", f'"{index.text}" has shape {list(found.values.shape)}, not [nodes, factors]', index.span
            )
        lengths, members = _unpadded(found, index)
    else:
        rows = ragged(index, body.loops)
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        members = np.array([member for row in rows for member in row], dtype=np.int64)
    with placed(index.span):
        return indexed(laid, np.concatenate([[0], np.cumsum(lengths)]), members, call.span)


def _unpadded(index: Index, place: Name) -> tuple[Indices, Indices]:
    """The lengths of the rows, without the -1 at their ends, and what stands in them."""
    kept = index.values != -1
    lengths = kept.sum(axis=1)
    wrong = (kept != (np.arange(kept.shape[1]) < lengths[:, None])).any(axis=1)
    if wrong.any():
        number = int(np.flatnonzero(wrong)[0])
        raise error("wrong-index", f"row {number} has -1 before its end", place.span, hint="rows are padded at the end")
    return lengths, index.values[kept]


def sum_block(body: Body, call: Call, laid: list[Block]) -> Block:
    """`sum(a, …)` of the blocks laid end to end: with rows of numbers, with named parts of a map, or with a width.

    Raises: DanausError `wrong-shape`, `wrong-arguments`, and for the map.
    """
    given = arguments(call, 1, None, options=("width", "map"))
    nodes = sum(block.width for block in laid)
    form = map_form(given.options["map"], body.context, body.loops) if "map" in given.options else DenseForm()
    weights = given.positional[1:]
    width = size(given.options["width"], body.loops, "the width") if "width" in given.options else None
    if not weights:
        return weighted(laid, _fresh(body, given, form, nodes, width), call.span)
    if isinstance(weights[0], List) and len(weights) == 1 and "map" not in given.options:
        rows = Dense(_rows(body, weights[0], nodes))
        if width is not None and width != rows.outputs:
            raise error("wrong-shape", f"the weights have {rows.outputs} rows, but width={width}", weights[0].span)
        return weighted(laid, rows, call.span)
    for item in weights:
        if not isinstance(item, Name):
            raise error(
                "wrong-arguments", f"{describe(item)} is not the name of a param or const", item.span, hint=_naming
            )
    named = [parameter(body.context, item) for item in weights if isinstance(item, Name)]
    with placed(weights[0].span):
        return weighted(laid, given_map(form, named, nodes, width), call.span)


_naming = "declare the array with `param` or `const`, and name it"


def _fresh(body: Body, given: Arguments, form: MapForm, inputs: int, width: int | None) -> LinearMap:
    if width is None and not parameterless(form):
        raise error(
            "wrong-arguments",
            "a sum needs weights or a width",
            hint="write sum(a, [[…]]), sum(a, W) or sum(a, width=K)",
        )
    if width is None or parameterless(form):
        return given_map(form, [], inputs, width)
    return fresh_map(form, inputs, width, body.make(given.call.span))


def _rows(body: Body, expression: List, width: int) -> Expression:
    numbers = array(expression, body.loops)
    shape = numbers.shape
    if len(shape) != 2 or shape[1] != width:
        hint = "one row per output node"
        if len(shape) == 1:
            hint = f"a sum of one node has one row: [[{', '.join('…' for _ in range(min(width, 3)))}]]"
        raise error(
            "wrong-shape",
            f"the weights have shape {list(shape)}, not {['m', width]}".replace("'", ""),
            expression.span,
            hint=hint,
        )
    return constant(numbers)
