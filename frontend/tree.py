"""From the rules of `grammar.lark` to the syntax tree: one method per rule, under its name.

Each gets the children of its rule, tokens and nodes, and gives a node with its span. What the grammar allows and the
language does not, such as a range in a list, is refused here with a `DanausError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from ..ir.diagnostic import error
from ..ir.span import Span
from . import syntax
from .syntax import Assignment, Expression, Name, Number, Range

MOST_DIGITS = 4000
"""Digits of a number, with those that its exponent adds: Python turns integers of up to 4300 digits into text."""

_LISTED = re.compile(r"\n|([+-]?)([0-9.](?:[0-9.]|[eE][+-]?)*)")


class _Group(NamedTuple):
    """What stands in a pair of brackets, and where; no span where the brackets are absent."""

    items: tuple[Any, ...]
    span: Span | None


class Tree:
    """Makes the nodes: lark calls the method of a rule, with its children, when the rule is complete."""

    def file(self, children: list[Any]) -> tuple[syntax.Statement, ...]:
        return tuple(children)

    def variable(self, children: list[Any]) -> syntax.VarStatement:
        keyword, name, shape, _, domain = children
        if len(shape.items) > 1:
            raise error("syntax", "an array of variables has one size", shape.span, "write it as: var NAME[N] : DOMAIN")
        size = shape.items[0] if shape.items else None
        return syntax.VarStatement(name, size, domain, keyword.span.to(domain.span))

    def array(self, children: list[Any]) -> syntax.ArrayStatement:
        keyword, name, shape, *constraint, value = children
        parts = [name.span, shape.span, *(part.span for part in (*constraint, value) if part)]
        end = [span for span in parts if span][-1]
        kind = constraint[0] if constraint else None
        return syntax.ArrayStatement(str(keyword), name, shape.items, kind, value, keyword.span.to(end))

    def circuit(self, children: list[Any]) -> syntax.CircuitStatement:
        keyword, name, *_, body = children
        inside = body.items if isinstance(body, _Group) else body
        return syntax.CircuitStatement(name, inside, keyword.span.to(body.span))

    def assertion(self, children: list[Any]) -> syntax.AssertStatement:
        keyword, predicate = children
        return syntax.AssertStatement(predicate, keyword.span.to(predicate.span))

    def query(self, children: list[Any]) -> syntax.QueryStatement:
        keyword, name, _, query = children
        return syntax.QueryStatement(name, query, keyword.span.to(query.span))

    def importation(self, children: list[Any]) -> syntax.ImportStatement:
        keyword, path, _, name, options = children
        for option in options.items:
            if not isinstance(option, Assignment) or not isinstance(option.target, Name):
                raise error("syntax", "an import takes options only", option.span, "write them as NAME = VALUE")
        span = keyword.span.to(options.span or name.span)
        return syntax.ImportStatement(self.name([path]), name, options.items, span)

    def loading(self, children: list[Any]) -> syntax.LoadStatement:
        keyword, path = children
        return syntax.LoadStatement(self.name([path]), keyword.span.to(path.span))

    def shape(self, children: list[Any]) -> _Group:
        if not children:
            return _Group((), None)
        group = _group(children)
        if not group.items:
            raise error("syntax", "brackets after a name hold its size", group.span, "leave them out for a single one")
        for item in group.items:
            if isinstance(item, (Assignment, Range)):
                raise error("syntax", "a size is a number", item.span)
        return group

    def constraint(self, children: list[Any]) -> Name | None:
        return self.name(children) if children else None

    def value(self, children: list[Any]) -> Expression | None:
        return children[0] if children else None

    def options(self, children: list[Any]) -> _Group:
        return _group(children) if children else _Group((), None)

    def body(self, children: list[Any]) -> _Group:
        return _Group(tuple(children[1:-1]), children[0].span.to(children[-1].span))

    def binding(self, children: list[Any]) -> syntax.Binding:
        name, _, value = children
        return syntax.Binding(name, value, name.span.to(value.span))

    def result(self, children: list[Any]) -> syntax.Return:
        keyword, value = children
        return syntax.Return(value, keyword.span.to(value.span))

    def loop(self, children: list[Any]) -> syntax.Loop:
        keyword, variable, body = children[0], children[1], children[-1]
        backwards = len(children) > 5
        over = children[-3] if backwards else children[-2]
        return syntax.Loop(variable, over.lo, over.hi, backwards, body.items, keyword.span.to(body.span))

    def predicate(self, children: list[Any]) -> syntax.Chain:
        return _chain(children[0], (("or", operand) for operand in children[1:]))

    def conjunction(self, children: list[Any]) -> syntax.Chain:
        return _chain(children[0], (("and", operand) for operand in children[1:]))

    def negation(self, children: list[Any]) -> syntax.Unary:
        operator, operand = children
        return syntax.Unary(str(operator), operand, operator.span.to(operand.span))

    factor = negation

    def expression(self, children: list[Any]) -> syntax.Chain:
        return _chain(children[0], zip(map(str, children[1::2]), children[2::2], strict=True))

    term = expression

    def subscript(self, children: list[Any]) -> syntax.Subscript:
        base, *brackets = children
        items, span = _group(brackets)
        if len(items) != 1 or isinstance(items[0], Assignment):
            raise error("syntax", "a subscript is one index or one range", span, "write a[i], or a[i..j] for a slice")
        return syntax.Subscript(base, items[0], base.span.to(brackets[-1].span))

    def number(self, children: list[Any]) -> Number:
        (token,) = children
        return Number(_value(str(token), token.span), token.span)

    def name(self, children: list[Any]) -> Name:
        (token,) = children
        if token.type == "QUOTED":
            return Name(token[1:-1], token.span, quoted=True)
        return Name(str(token), token.span)

    def attribute(self, children: list[Any]) -> syntax.Attribute:
        base, _, name = children
        return syntax.Attribute(self.name([base]), name, base.span.to(name.span))

    def call(self, children: list[Any]) -> syntax.Call:
        name, *brackets = children
        group = _group(brackets)
        _refuse_ranges(group)
        return syntax.Call(self.name([name]), group.items, name.span.to(brackets[-1].span))

    def parenthesis(self, children: list[Any]) -> syntax.Parenthesis:
        opening, inner, closing = children
        return syntax.Parenthesis(inner, opening.span.to(closing.span))

    def bracket(self, children: list[Any]) -> syntax.List | syntax.Bracket:
        items, span = group = _group(children)
        assert span is not None
        if len(children) == 3 and isinstance(children[1], list):  # one run of numbers: nothing to look for
            return syntax.List(items, span)
        _refuse_ranges(group)
        if any(isinstance(item, Assignment) for item in items):
            return syntax.Bracket(items, span)
        return syntax.List(items, span)

    def assignment(self, children: list[Any]) -> Assignment:
        target, value = children
        if not isinstance(target, (Name, syntax.Subscript, syntax.Attribute)):
            raise error("syntax", "a name must stand to the left of =", target.span)
        return Assignment(target, value, target.span.to(value.span))

    def range(self, children: list[Any]) -> Range:
        lo, hi = children
        return Range(lo, hi, lo.span.to(hi.span))

    def numbers(self, children: list[Any]) -> list[Expression]:
        (token,) = children
        return _listed(token, token.span)


def _group(children: list[Any]) -> _Group:
    """What stands between a pair of brackets, the runs of numbers in it spread out."""
    inside = children[1:-1]
    if any(isinstance(child, list) for child in inside):
        inside = [item for child in inside for item in (child if isinstance(child, list) else (child,))]
    return _Group(tuple(inside), children[0].span.to(children[-1].span))


def _refuse_ranges(group: _Group) -> None:
    for item in group.items:
        if isinstance(item, Range):
            hint = "elements of an array are written NAME[lo..hi]"
            raise error("syntax", "a range stands in the brackets after a name, or after in", item.span, hint)


def _chain(first: Expression, rest: Iterable[tuple[str, Expression]]) -> syntax.Chain:
    links = tuple(rest)
    return syntax.Chain(first, links, first.span.to(links[-1][1].span))


def _value(text: str, span: Span) -> Fraction:
    value = _spelt(text)
    if value is None:
        message = f"a number of more than {MOST_DIGITS:,} digits, those of its exponent counted"
        raise error("syntax", message, span, "round it, or choose another unit")
    return value


@lru_cache(maxsize=4096)
def _spelt(text: str) -> Fraction | None:
    """The rational that a number spells; none where it has too many digits.

    >>> _spelt("1.5e-3")
    Fraction(3, 2000)
    """
    if len(text) > MOST_DIGITS:
        return None
    digits, _, exponent = text.partition("e" if "e" in text else "E")
    whole, _, decimals = digits.partition(".")
    power = -len(decimals)
    if exponent:
        if len(exponent.lstrip("+-0")) > 5 or len(digits) + abs(int(exponent)) > MOST_DIGITS:
            return None
        power += int(exponent)
    value = int(whole + decimals)
    return Fraction(value, 10**-power) if power < 0 else Fraction(value * 10**power)


def _listed(text: str, span: Span) -> list[Expression]:
    """The numbers of a run such as "0.2, -1", each with its place."""
    source, line, shift = span.source, span.line, span.column
    numbers: list[Expression] = []
    for found in _LISTED.finditer(text):
        sign, spelt = found.groups()
        if spelt is None:  # a newline
            line, shift = line + 1, -found.start()
            continue
        start, end = found.span(2)
        place = Span(source, line, start + shift, line, end + shift)
        number = Number(_spelt(spelt) or _value(spelt, place), place)
        if sign:
            place = Span(source, line, start + shift - 1, line, end + shift)
            numbers.append(syntax.Unary(sign, number, place))
        else:
            numbers.append(number)
    return numbers
