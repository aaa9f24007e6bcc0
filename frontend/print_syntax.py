"""The printed form of a syntax tree: one node per line, indented by depth, with its place in the text."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from ..ir.domain import quote
from ..ir.span import Span
from .syntax import Bracket, Chain, File, List, Name, Number, Unary


def print_syntax(file: File) -> str:
    """A file's statements as an indented tree; a list of plain numbers takes one line.

    >>> from danaus.frontend.parse import parse
    >>> from danaus.ir.diagnostic import Gatherer
    >>> from danaus.ir.span import Source
    >>> print(print_syntax(parse(Source("t.circuit", "var rain : bool"), Gatherer())), end="")
    File "t.circuit"
      VarStatement 1:1
        name: Name rain 1:5
        domain: Name bool 1:12
    """
    lines = [f"File {quote(file.source.name)}"]
    stack: list[tuple[int, str, object]] = [(1, "", statement) for statement in reversed(file.statements)]
    while stack:
        depth, label, node = stack.pop()
        text, inner = _line(node)
        lines.append(("  " * depth + label + text).rstrip())
        stack.extend((depth + 1, name, child) for name, child in reversed(inner))
    return "\n".join(lines) + "\n"


def _line(node: object) -> tuple[str, list[tuple[str, object]]]:
    """What stands in a node's line, and what stands below it, with labels."""
    match node:
        case tuple():
            items: tuple[object, ...] = node
            return "" if items else "none", [("", item) for item in items]
        case str() | bool():
            return str(node), []
        case Name(text, span, quoted):
            return f"Name {quote(text) if quoted else text} {_place(span)}", []
        case Number(value, span):
            return f"Number {value} {_place(span)}", []
        case List(listed, span) if all(map(_is_number, listed)):
            return f"List [{', '.join(map(_spelled, listed))}] {_place(span)}", []
        case List(listed, span) | Bracket(listed, span):
            return f"{type(node).__name__} {_place(span)}", [("", item) for item in listed]
        case Chain(first, rest, span):
            links = [(f"{operator}: ", operand) for operator, operand in rest]
            return f"Chain {_place(span)}", [("first: ", first), *links]
        case _:
            return _parts(node)


def _parts(node: object) -> tuple[str, list[tuple[str, object]]]:
    """A node by its fields; those that are absent are left out."""
    assert is_dataclass(node)
    place = ""
    inner: list[tuple[str, object]] = []
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Span):
            place = f" {_place(value)}"
        elif value is not None:
            inner.append((f"{field.name}: ", value))
    return f"{type(node).__name__}{place}", inner


def _is_number(node: object) -> bool:
    return isinstance(node, Number) or (isinstance(node, Unary) and isinstance(node.operand, Number))


def _spelled(node: object) -> str:
    match node:
        case Number(value):
            return str(value)
        case Unary(operator, Number(value)):
            return f"{operator}{value}"
        case _:
            raise AssertionError(node)


def _place(span: Span) -> str:
    return f"{span.line}:{span.column}"
