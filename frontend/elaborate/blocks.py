"""Blocks: what an expression in a body spells, down to names, calls and indicators."""

from __future__ import annotations

import numpy as np

from ...ir.block import Block, concat, hadamard, pairs, weighted
from ...ir.circuit import Circuit
from ...ir.diagnostic import error, nearest, placed
from ...ir.linear import selection
from ...ir.span import Span
from .. import syntax
from ..families import FAMILY_NAMES
from ..syntax import Attribute, Bracket, Call, Chain, List, Name, Number, Parenthesis, Range
from .body import Body
from .calls import OPERATORS, TEMPLATES, arguments
from .context import KINDS, Context, Imported, Poisoned
from .inputs import family_block, indicator_block
from .maps import flat_index
from .numbers import describe
from .sums import product_block, sum_block
from .variables import bounds, is_variable

FORMS = (*FAMILY_NAMES, "kron", "product", "concat", "gather", "sum")


def block(body: Body, expression: syntax.Expression) -> Block:
    """The block that an expression spells.

    Raises: DanausError with the place of the mistake; Poisoned after one made elsewhere.
    """
    with placed(expression.span):
        match expression:
            case Parenthesis(inner):
                return block(body, inner)
            case Name():
                return _named(body, expression)
            case Attribute():
                return _of_circuit(body, imported_circuit(body.context, expression))
            case Chain(first, rest):
                return _chain(body, first, rest, expression.span)
            case Bracket():
                return indicator_block(body, expression)
            case syntax.Subscript(base, index):
                return _subscript(body, base, index, expression.span)
            case Call():
                return _call(body, expression)
            case List():
                raise error("not-a-block", "a list is not a block", hint="an indicator is written [x = 1]")
            case Number():
                raise error("not-a-block", f"{describe(expression)} is not a block", hint=_weighting)
            case Range():
                raise error("not-a-block", "a range is not a block", hint="nodes i up to j are a[i..j]")
            case _:
                raise error("not-a-block", f"{describe(expression)} is not a block", hint=_weighting)


_weighting = "a block is weighted by `sum(a, [[w]])`"


def _named(body: Body, name: Name) -> Block:
    if name.text in body.blocks:
        found = body.blocks[name.text]
        if found is None:
            raise Poisoned
        return found
    if name.text in body.loops:
        raise error("not-a-block", f'"{name.text}" is a loop variable, not a block', hint=_weighting)
    if name.text not in body.context.entities:
        known = [*body.blocks, *body.context.entities]
        raise error("unknown-name", f'"{name.text}" is not declared', hint=nearest(name.text, known) or _before)
    entity = body.context.lookup(name)
    if isinstance(entity, Circuit):
        return _of_circuit(body, entity)
    if isinstance(entity, Imported):
        return _of_circuit(body, entity.spec.circuit)
    hint = (
        f"an input is written [{name.text} = 1] or bernoulli({name.text}, …)" if is_variable(name, body.context) else ""
    )
    raise error("not-a-block", f'"{name.text}" is {KINDS[type(entity)]}, not a block', hint=hint)


_before = "a name is declared before it is used"


def _of_circuit(body: Body, circuit: Circuit) -> Block:
    if circuit.origin is not None:
        body.circuits.append(circuit)
    for free in circuit.free:
        body.free[free] = None
    return circuit.root


def imported_circuit(context: Context, expression: Attribute) -> Circuit:
    """`NAME.p`: circuit p of an import.

    Raises: DanausError `unknown-name`.
    """
    base = expression.base
    if not isinstance(base, Name):
        raise error("not-an-import", f"{describe(base)} is not an import", base.span)
    found = context.lookup(base)
    if not isinstance(found, Imported):
        raise error("not-an-import", f'"{base.text}" is {KINDS[type(found)]}, not an import', base.span)
    name = expression.name
    circuit = found.spec.circuits.get(name.text)
    if circuit is None:
        hint = nearest(name.text, found.spec.circuits) or f"it holds {', '.join(found.spec.circuits) or 'none'}"
        raise error("unknown-name", f'"{base.text}" holds no circuit "{name.text}"', name.span, hint=hint)
    return circuit


def _chain(body: Body, first: syntax.Expression, rest: tuple[tuple[str, syntax.Expression], ...], span: Span) -> Block:
    for operator, operand in rest:
        if operator != "*":
            raise error(
                "not-a-block", f"blocks are not joined by `{operator}`", operand.span, _joining.get(operator, "")
            )
    factors: list[Block] = []
    for factor in (first, *(operand for _, operand in rest)):
        if _is_number(body, factor):
            raise error("not-a-block", f"a number times a block: {describe(factor)}", factor.span, hint=_weighting)
        factors.append(block(body, factor))
    return hadamard(factors, span)


_joining = {
    "+": "a sum of blocks is `sum(concat(a, b), [[1, 1]])`",
    "-": "a difference of blocks is `sum(concat(a, b), [[1, -1]])`",
    "/": "`divide(p, q)` divides circuits",
}


def _is_number(body: Body, expression: syntax.Expression) -> bool:
    match expression:
        case Number():
            return True
        case syntax.Unary("+" | "-"):
            return True
        case Name(text):
            return text in body.loops and text not in body.blocks
        case Parenthesis(inner):
            return _is_number(body, inner)
        case Chain(first, _):
            return _is_number(body, first)
        case _:
            return False


def _subscript(body: Body, base: syntax.Expression, index: syntax.Expression, span: Span) -> Block:
    if is_variable(base, body.context):
        raise error(
            "not-a-block", "a variable is not a block", hint="an input is written [x[0] = 1] or bernoulli(x[0], …)"
        )
    if not isinstance(base, Name | Call | Parenthesis | Attribute):
        raise error("not-a-block", "nodes are picked of a name, a call or a parenthesis", base.span)
    laid = _laid(body, base)
    total = _width(laid)
    start, stop = bounds(index, body.loops, total, span)
    return weighted(laid, selection(np.arange(start, stop), total), span)


def _laid(body: Body, operand: syntax.Expression, fewest: int = 1) -> list[Block]:
    """The blocks that an operand lays end to end: those of a `concat` that is written in its place, or the one block.

    So `sum(concat(a, b), W)` is one block, a sum of a and b; where the concat has a name, it is a block of its own.
    Of a product it may be empty: `product(concat(), [[]])` is the number 1.
    """
    match operand:
        case Parenthesis(inner):
            return _laid(body, inner, fewest)
        case Call(Name("concat")):
            with placed(operand.span):
                return [block(body, item) for item in arguments(operand, fewest, None).positional]
        case _:
            return [block(body, operand)]


def _width(blocks: list[Block]) -> int:
    return sum(block.width for block in blocks)


def _call(body: Body, call: Call) -> Block:
    span = call.span
    match call.name.text:
        case name if name in FAMILY_NAMES:
            return family_block(body, call, name)
        case "kron":
            return pairs([block(body, item) for item in arguments(call, 1, None).positional], span)
        case "concat":
            return concat([block(body, item) for item in arguments(call, 1, None).positional], span)
        case "gather":
            whole, index = arguments(call, 2, 2).positional
            laid = _laid(body, whole)
            with placed(index.span):
                chosen = np.array(flat_index(index, body.context, body.loops), dtype=np.int64)
                return weighted(laid, selection(chosen, _width(laid)), span)
        case "product":
            return product_block(body, call, _laid(body, arguments(call, 2, 2).positional[0], fewest=0))
        case "sum":
            whole, *_ = arguments(call, 1, None, options=("width", "map")).positional
            return sum_block(body, call, _laid(body, whole))
        case name:
            hint = nearest(name, FORMS)
            if name in OPERATORS or name in TEMPLATES:
                hint = f"{name} gives a circuit: write `circuit NAME = {name}(…)` and use its name"
            raise error(
                "unknown-form",
                f'there is no block form "{name}"',
                call.name.span,
                hint or f"forms are {', '.join(FORMS)}",
            )
