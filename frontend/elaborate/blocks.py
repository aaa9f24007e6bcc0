"""Bodies: block by block, from `name = BLOCK` and loops to the returned root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...ir.block import Block, concat, hadamard, indexed, input_block, pairs, weighted
from ...ir.circuit import Circuit
from ...ir.diagnostic import error, nearest, placed
from ...ir.domain import Variable
from ...ir.expression import Constraint, Expression, Parameter, Shape, constant
from ...ir.family import Binomial, Family, Indicator, parts
from ...ir.linear import Dense, LinearMap, selection
from ...ir.span import Note, Span
from ...ir.store import violation
from .. import syntax
from ..families import FAMILY_NAMES, family_named, fresh_input
from ..maps import DenseForm, MapForm, fresh_map, given_map, parameterless
from ..syntax import (
    Attribute,
    Binding,
    Bracket,
    Call,
    Chain,
    Item,
    List,
    Loop,
    Name,
    Number,
    Parenthesis,
    Range,
    Return,
)
from .calls import OPERATORS, TEMPLATES, Arguments, arguments
from .context import KINDS, Broken, Context, Imported, Index, Poisoned
from .maps import flat_index, map_form
from .numbers import array, describe, integer, ragged, size
from .variables import bounds, is_variable, value, variable

FORMS = (*FAMILY_NAMES, "kron", "product", "concat", "gather", "sum")


@dataclass(slots=True)
class Body:
    """The state of one body: its blocks by name, the loop variables in force, and what its fresh names start with."""

    context: Context
    circuit: str
    blocks: dict[str, Block | None] = field(default_factory=dict[str, "Block | None"])
    places: dict[str, Span] = field(default_factory=dict[str, Span])
    loops: dict[str, int] = field(default_factory=dict[str, int])
    free: dict[Variable, None] = field(default_factory=dict[Variable, None])
    circuits: list[Circuit] = field(default_factory=list[Circuit])
    stem: str = ""
    root: Block | None = None

    def make(self, span: Span) -> Callable[[Shape, Constraint], Parameter]:
        """What makes the fresh parameters of a line."""
        return lambda shape, constraint: self.context.declarations.fresh(self.stem, shape, constraint, span)


def run(body: Body, items: tuple[Item, ...], span: Span) -> Block:
    """Runs a body's lines, gathering mistakes, and gives its root.

    Raises: Poisoned where a mistake leaves no root.
    """
    gatherer = body.context.gatherer
    _run(body, items)
    if not any(isinstance(item, Return) for item in items):
        gatherer.add(
            error(
                "no-return", f'the body of "{body.circuit}" returns nothing', span, hint="end it with `return BLOCK`"
            ).diagnostics[0]
        )
        raise Poisoned
    if body.root is None or any(block is None for block in body.blocks.values()):
        raise Poisoned
    return body.root


def _run(body: Body, items: tuple[Item, ...]) -> None:
    """Runs lines; loops wait on a stack of iterators, not on Python's."""
    for position, item in enumerate(items):
        match item:
            case Binding():
                _bind(body, item)
            case Loop():
                _loop(body, item)
            case Return(expression, span):
                if position != len(items) - 1 or body.loops:
                    body.context.gatherer.add(
                        error("misplaced-return", "`return` is the last line of a body", span).diagnostics[0]
                    )
                else:
                    body.root = _guarded(body, "return", expression, span)


def _bind(body: Body, item: Binding) -> None:
    name = item.name
    context = body.context
    with context.gatherer.catch(name.span):
        if name.text in body.loops or name.text in context.entities:
            what = "a loop variable" if name.text in body.loops else _kind(context, name.text)
            first = context.places.get(name.text)
            notes = [Note("declared here", first)] if first and name.text not in body.loops else []
            body.blocks[name.text] = None
            raise error(
                "duplicate-name", f'"{name.text}" is {what} already', name.span, "give the block another name", notes
            )
        body.blocks[name.text] = _guarded(body, name.text, item.value, item.span)


def _kind(context: Context, name: str) -> str:
    found = context.entities[name]
    return "declared" if isinstance(found, Broken) else KINDS[type(found)]


def _guarded(body: Body, name: str, expression: syntax.Expression, span: Span) -> Block | None:
    """A line's block; None after a mistake, which is gathered."""
    body.stem = f"{body.circuit}.{name}"
    with body.context.gatherer.catch(expression.span):
        body.context.step(span)
        try:
            return block(body, expression)
        except Poisoned:
            return None
    return None


def _loop(body: Body, item: Loop) -> None:
    context = body.context
    name = item.variable.text
    mistakes = len(context.gatherer.errors)
    with context.gatherer.catch(item.span):
        if name in body.loops or name in body.blocks or name in context.entities:
            raise error(
                "duplicate-name", f'"{name}" is declared already', item.variable.span, hint="name the loop otherwise"
            )
        lo, hi = integer(item.lo, body.loops, "the start"), integer(item.hi, body.loops, "the end")
        if hi < lo:
            raise error(
                "wrong-range", f"the range {lo}..{hi} runs backwards", item.lo.span, hint="use `reversed(A..B)`"
            )
        steps = range(hi - 1, lo - 1, -1) if item.reversed else range(lo, hi)
        for step in steps:
            body.loops[name] = step
            before = len(context.gatherer.errors)
            context.step(item.span)
            _run(body, item.body)
            if len(context.gatherer.errors) > before:
                break
    body.loops.pop(name, None)
    if len(context.gatherer.errors) > mistakes:
        _poison(body, item.body)


def _poison(body: Body, items: tuple[Item, ...]) -> None:
    """Marks the names that a loop with a mistake would have bound, so that their uses are not reported too."""
    waiting = [*items]
    while waiting:
        match waiting.pop():
            case Binding(name):
                body.blocks.setdefault(name.text, None)
            case Loop(body=inner):
                waiting += inner
            case Return():
                pass


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
                return _indicator(body, expression)
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


def _indicator(body: Body, expression: Bracket) -> Block:
    if len(expression.items) != 1 or not isinstance(expression.items[0], syntax.Assignment):
        raise error(
            "wrong-indicator", "an indicator names one variable and one value", hint="multiply them: [x = 1] * [y = 0]"
        )
    item = expression.items[0]
    target = variable(item.target, body.context, body.loops)
    found = value(target, item.value, body.loops)
    return input_block(Indicator(int(found)), target, (), expression.span)


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
            return _family(body, call, name)
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
            return _product(body, call)
        case "sum":
            return _sum(body, call)
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


def _family(body: Body, call: Call, name: str) -> Block:
    given = arguments(call, 1, None, options=("width",))
    target = variable(given.positional[0], body.context, body.loops)
    rest = given.positional[1:]
    if name == "binomial" and rest and not isinstance(rest[0], List) and not _is_parameter(body.context, rest[0]):
        n = integer(rest[0], body.loops, "n")
        family: Family = Binomial(n)
        rest = rest[1:]
    else:
        family = family_named(name, target)
    if "width" in given.options:
        if rest:
            raise error("wrong-arguments", "a width and values of parameters together", hint="give one of them")
        width = size(given.options["width"], body.loops, "the width")
        made = fresh_input(name, target, width, body.make(call.span), call.span)
        return input_block(family, target, made.parameters, call.span)
    wanted = parts(family, target.domain)
    if len(rest) != len(wanted):
        names = ", ".join(f"[{part.name}]" for part in wanted)
        raise error(
            "wrong-arguments",
            f"{name} takes {len(wanted)} array{'s' if len(wanted) != 1 else ''} of parameters, not {len(rest)}",
            hint=f"write {name}({target.name}, {names}), or {name}({target.name}, width=K)",
        )
    values = [_parameters(body, item, part.constraint, part.name) for item, part in zip(rest, wanted, strict=True)]
    return input_block(family, target, values, call.span)


def _is_parameter(context: Context, expression: syntax.Expression) -> bool:
    return isinstance(expression, Name) and isinstance(context.entities.get(expression.text), Parameter)


def _parameters(body: Body, expression: syntax.Expression, constraint: Constraint, what: str) -> Expression:
    """Numbers written out, checked against what they must satisfy, or a param or const by name."""
    if isinstance(expression, Name):
        return parameter(body.context, expression, constraint)
    if not isinstance(expression, List):
        raise error(
            "wrong-shape",
            f"{describe(expression)} is no list of {what}",
            expression.span,
            hint="write them in brackets",
        )
    numbers = array(expression, body.loops)
    if reason := violation(numbers, constraint):
        raise error("wrong-value", f"in the {what}, {reason}", expression.span)
    return constant(numbers)


def parameter(context: Context, name: Name, constraint: Constraint = "real") -> Parameter:
    """The param or const of a name, narrowed to what its use asks.

    Raises: DanausError `not-a-parameter`, `wrong-constraint`.
    """
    found = context.lookup(name)
    if not isinstance(found, Parameter):
        raise error("not-a-parameter", f'"{name.text}" is {KINDS[type(found)]}, not a param or const', name.span)
    with placed(name.span):
        found.require(constraint)
    return found


def _product(body: Body, call: Call) -> Block:
    whole, index = arguments(call, 2, 2).positional
    laid = _laid(body, whole, fewest=0)
    if isinstance(index, Name):
        found = body.context.lookup(index)
        if not isinstance(found, Index):
            raise error("not-an-index", f'"{index.text}" is {KINDS[type(found)]}, not an index', index.span)
        if found.values.ndim != 2:
            raise error(
                "wrong-shape", f'"{index.text}" has shape {list(found.values.shape)}, not [nodes, factors]', index.span
            )
        rows = _unpadded(found, index)
    else:
        rows = [np.array(row, dtype=np.int64) for row in ragged(index, body.loops)]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    members = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
    with placed(index.span):
        return indexed(laid, offsets, members, call.span)


def _unpadded(index: Index, place: Name) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    rows: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    for number, row in enumerate(index.values):
        kept = row[row != -1]
        if (row[: len(kept)] == -1).any():
            raise error(
                "wrong-index", f"row {number} has -1 before its end", place.span, hint="rows are padded at the end"
            )
        rows.append(kept)
    return rows


def _sum(body: Body, call: Call) -> Block:
    given = arguments(call, 1, None, options=("width", "map"))
    laid = _laid(body, given.positional[0])
    nodes = _width(laid)
    form = map_form(given.options["map"], body.context, body.loops) if "map" in given.options else DenseForm()
    weights = given.positional[1:]
    width = size(given.options["width"], body.loops, "the width") if "width" in given.options else None
    if not weights:
        return weighted(laid, _fresh(body, given, form, nodes, width), call.span)
    if isinstance(weights[0], List) and len(weights) == 1 and "map" not in given.options:
        return weighted(laid, Dense(_rows(body, weights[0], nodes)), call.span)
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
