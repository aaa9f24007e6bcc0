"""Bodies, line by line: bindings, loops, and the returned root; a mistake in one line does not hide the next."""

from __future__ import annotations

from ...ir.block import Block
from ...ir.diagnostic import error
from ...ir.span import Note, Span
from .. import syntax
from ..syntax import Binding, Item, Loop, Return
from .blocks import block
from .body import Body
from .context import KINDS, Broken, Context, Poisoned
from .numbers import integer


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
        context.step(item.span, hi - lo)
        steps = range(hi - 1, lo - 1, -1) if item.reversed else range(lo, hi)
        for step in steps:
            body.loops[name] = step
            before = len(context.gatherer.errors)
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
