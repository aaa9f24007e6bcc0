"""Maps as they are written in `map=…` and `transition=…`."""

from __future__ import annotations

from ...ir.diagnostic import error, nearest
from ..maps import (
    MAP_NAMES,
    BlockDiagonalForm,
    ComposeForm,
    DenseForm,
    DiagonalForm,
    KronForm,
    MapForm,
    MonarchForm,
    PermuteForm,
    SparseForm,
)
from ..syntax import Call, Expression, Name, Parenthesis
from .calls import arguments
from .context import Context, Index
from .numbers import Loops, describe, indices, size


def map_form(expression: Expression, context: Context, loops: Loops) -> MapForm:
    """The map that an expression spells.

    Raises: DanausError `unknown-map`, `wrong-arguments`.
    """
    match expression:
        case Parenthesis(inner):
            return map_form(inner, context, loops)
        case Name("dense", quoted=False):
            return DenseForm()
        case Name("diagonal", quoted=False):
            return DiagonalForm()
        case Name("kron", quoted=False):
            return KronForm()
        case Call(Name("block_diagonal")):
            (blocks,) = arguments(expression, 1, 1).positional
            return BlockDiagonalForm(size(blocks, loops, "the number of blocks"))
        case Call(Name("monarch")):
            given = arguments(expression, 2, None).positional
            return MonarchForm(tuple(size(item, loops, "a size of monarch") for item in given))
        case Call(Name("sparse")):
            rows, columns = arguments(expression, 2, 2).positional
            return SparseForm(flat_index(rows, context, loops), flat_index(columns, context, loops))
        case Call(Name("permute")):
            (given_index,) = arguments(expression, 1, 1).positional
            return PermuteForm(flat_index(given_index, context, loops))
        case Call(Name("compose")):
            parts = arguments(expression, 1, None).positional
            return ComposeForm(tuple(map_form(part, context, loops) for part in parts))
        case Name(name, span) | Call(Name(name), _, span) if name in MAP_NAMES:
            takes = {"dense", "diagonal", "kron"}
            hint = f"write {name}" if name in takes else f"write {name}(…)"
            raise error(
                "wrong-arguments", f"{name} {'takes no' if name in takes else 'needs its'} arguments", span, hint
            )
        case Name(name, span) | Call(Name(name), _, span):
            hint = nearest(name, MAP_NAMES) or f"maps are {', '.join(MAP_NAMES)}"
            raise error("unknown-map", f'there is no map "{name}"', span, hint=hint)
        case _:
            raise error("unknown-map", f"{describe(expression)} is not a map", expression.span)


def flat_index(expression: Expression, context: Context, loops: Loops) -> tuple[int, ...]:
    """A flat list of integers, written out or by the name of an index."""
    if isinstance(expression, Name):
        found = context.lookup(expression)
        if not isinstance(found, Index):
            raise error("not-an-index", f'"{expression.text}" is not an index', expression.span)
        if found.values.ndim != 1:
            raise error(
                "wrong-shape", f'"{expression.text}" has shape {list(found.values.shape)}, not [n]', expression.span
            )
        return tuple(found.values.tolist())
    return tuple(indices(expression, loops).tolist())
