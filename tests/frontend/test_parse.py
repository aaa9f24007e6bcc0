"""The parser reads the language as its reference says, finds every mistake once, and never fails otherwise."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import pytest

from danaus.frontend import syntax
from danaus.frontend.parse import MOST_MISTAKES, parse
from danaus.frontend.read import MOST_BYTES, read_source
from danaus.frontend.syntax import (
    ArrayStatement,
    AssertStatement,
    Assignment,
    Attribute,
    Binding,
    Bracket,
    BrokenStatement,
    Call,
    Chain,
    CircuitStatement,
    ImportStatement,
    List,
    LoadStatement,
    Loop,
    Name,
    Number,
    Parenthesis,
    QueryStatement,
    Range,
    Return,
    Statement,
    Subscript,
    Unary,
    VarStatement,
)
from danaus.ir.diagnostic import DanausError, Diagnostic, Gatherer
from danaus.ir.span import Source, Span

EXAMPLE = """\
var rain : bool
var sprinkler : bool
var wet : cat(3)

circuit p {
  r = bernoulli(rain, [0.2, 0.9])
  s = bernoulli(sprinkler, [0.4, 0.01])
  w = categorical(wet, [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
  return sum(r * s * w, [[0.3, 0.7]])
}

circuit square = multiply(p, p)

assert smooth(p) and decomposable(p) and normalized(p)
assert not deterministic(p)
assert near(integrate(p), 1.0, 1e-12)

query likelihood = likelihood(p)
query missing    = marginal(p)
query second     = partition(square)
"""

RESERVED = [
    *["var", "param", "const", "index", "circuit", "assert", "query", "import", "as"],
    *["load", "for", "in", "reversed", "return", "and", "or", "not", "inf"],
]

LOOPS = """\
param A[4, 4] : simplex   # shared by all steps
import "model.nnf" as "other model"(variables=30, over=[x, y[0..3]])
load "values.safetensors"
circuit chain {
  h = concat([x[0] = 1], [x[0] = "low"])
  for i in reversed(1..8) {
    for j in 0..2*2 { h = sum(h * (-1/3), A); }
    g = gather(h, [[0, -1], [1]])
  }
  return (a[0..4])[1] * lib.p[2]
}
assert (not smooth(p) or normalized(p)) and compatible(p, q)
"""


def parsed(text: str) -> tuple[tuple[Statement, ...], list[Diagnostic]]:
    gatherer = Gatherer()
    return parse(Source("test.circuit", text), gatherer).statements, gatherer.diagnostics


def statements(text: str) -> tuple[Statement, ...]:
    found, diagnostics = parsed(text)
    assert [str(diagnostic) for diagnostic in diagnostics] == []
    return found


def only(text: str) -> Statement:
    (statement,) = statements(text)
    return statement


def expression(text: str) -> syntax.Expression:
    """The expression that a text spells, where a circuit is expected."""
    statement = only(f"circuit e = {text}")
    assert isinstance(statement, CircuitStatement) and not isinstance(statement.body, tuple)
    return statement.body


def body(text: str) -> tuple[syntax.Item, ...]:
    """The lines of a circuit's body."""
    statement = only(text)
    assert isinstance(statement, CircuitStatement) and isinstance(statement.body, tuple)
    return statement.body


def value(text: str) -> Fraction:
    number = expression(text)
    assert isinstance(number, Number)
    return number.value


def plain(node: object) -> object:
    """A tree as nested tuples without places, to be compared: names as text, numbers as fractions."""
    match node:
        case Name(text):
            return text
        case Number(number):
            return number
        case Span() | Source():
            return None
        case tuple():
            return tuple(plain(item) for item in cast("tuple[object, ...]", node))
        case _ if is_dataclass(node):
            parts = [plain(getattr(node, part.name)) for part in fields(node) if part.name not in ("span", "source")]
            return (type(node).__name__, *parts)
        case _:
            return node


def nodes(node: object) -> Iterator[object]:
    """All nodes of a tree, each with a span."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting += cast("tuple[object, ...]", node)
        elif is_dataclass(node) and not isinstance(node, (Span, Source)):
            if hasattr(node, "span"):
                yield node
            waiting += [getattr(node, part.name) for part in fields(node)]


def covered(span: Span) -> str:
    """The text under a span."""
    assert isinstance(span.source, Source)
    lines = span.source.text.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


# What is written


def test_the_example_of_the_reference() -> None:
    kinds = [type(statement) for statement in statements(EXAMPLE)]
    circuits = [CircuitStatement, CircuitStatement]
    assert kinds == [*3 * [VarStatement], *circuits, *3 * [AssertStatement], *3 * [QueryStatement]]


def test_var() -> None:
    assert plain(only("var x : bool")) == ("VarStatement", "x", None, "bool")
    assert plain(only('var x[2*3] : cat("low", "high")')) == (
        "VarStatement",
        "x",
        ("Chain", 2, (("*", 3),)),
        ("Call", "cat", ("low", "high")),
    )


@pytest.mark.parametrize("keyword", ["param", "const"])
def test_param_and_const(keyword: str) -> None:
    assert plain(only(f"{keyword} a")) == ("ArrayStatement", keyword, "a", (), None, None)
    assert plain(only(f"{keyword} a[2, n] : unit")) == ("ArrayStatement", keyword, "a", (2, "n"), "unit", None)
    assert plain(only(f"{keyword} a[2] = [1, 0]")) == ("ArrayStatement", keyword, "a", (2,), None, ("List", (1, 0)))
    assert plain(only(f"{keyword} a : real = 1")) == ("ArrayStatement", keyword, "a", (), "real", 1)


def test_index() -> None:
    assert plain(only("index a[2, 2]")) == ("ArrayStatement", "index", "a", (2, 2), None, None)
    assert plain(only("index a[1] = [3]")) == ("ArrayStatement", "index", "a", (1,), None, ("List", (3,)))


def test_import_and_load() -> None:
    assert plain(only('import "a b.nnf" as b')) == ("ImportStatement", "a b.nnf", "b", ())
    assert plain(only('import "f" as b(variables=3, vtree="v")')) == (
        "ImportStatement",
        "f",
        "b",
        (("Assignment", "variables", 3), ("Assignment", "vtree", "v")),
    )
    assert isinstance(only('import "f" as b()'), ImportStatement)
    assert plain(only('load "f.safetensors"')) == ("LoadStatement", "f.safetensors")


def test_circuit_query_and_assert() -> None:
    call = ("Call", "f", ("p",))
    assert plain(only("circuit c = f(p)")) == ("CircuitStatement", "c", call)
    assert plain(only("circuit c { return f(p) }")) == ("CircuitStatement", "c", (("Return", call),))
    assert plain(only("circuit c {}")) == ("CircuitStatement", "c", ())
    assert plain(only("query likelihood = f(p)")) == ("QueryStatement", "likelihood", call)
    assert plain(only("assert f(p)")) == ("AssertStatement", call)


def test_bodies_and_loops() -> None:
    lines = body("circuit c {\n  a = b\n  for i in 0..n { for j in reversed(1..i) { a = a; } }\n  return a\n}")
    binding = ("Binding", "a", "b")
    inner = ("Loop", "j", 1, "i", True, (("Binding", "a", "a"),))
    assert plain(lines) == (binding, ("Loop", "i", 0, "n", False, (inner,)), ("Return", "a"))
    assert [type(line) for line in lines] == [Binding, Loop, Return]


def test_not_binds_tighter_than_and_and_and_than_or() -> None:
    predicate = only("assert a or not b and c or (d or e)")
    assert plain(predicate) == (
        "AssertStatement",
        (
            "Chain",
            "a",
            (
                ("or", ("Chain", ("Unary", "not", "b"), (("and", "c"),))),
                ("or", ("Parenthesis", ("Chain", "d", (("or", "e"),)))),
            ),
        ),
    )


def test_arithmetic() -> None:
    assert plain(expression("-1/3 + 2*(a - +b)")) == (
        "Chain",
        ("Chain", ("Unary", "-", 1), (("/", 3),)),
        (("+", ("Chain", 2, (("*", ("Parenthesis", ("Chain", "a", (("-", ("Unary", "+", "b")),)))),))),),
    )


def test_a_chain_is_one_node_and_parentheses_nest() -> None:
    assert plain(expression("a * b * (c * d)")) == (
        "Chain",
        "a",
        (("*", "b"), ("*", ("Parenthesis", ("Chain", "c", (("*", "d"),))))),
    )


def test_subscripts() -> None:
    assert plain(expression("a[1]")) == ("Subscript", "a", 1)
    assert plain(expression("f(a)[0..n-1]")) == (
        "Subscript",
        ("Call", "f", ("a",)),
        ("Range", 0, ("Chain", "n", (("-", 1),))),
    )
    assert plain(expression("lib.p")) == ("Attribute", "lib", "p")
    assert isinstance(expression("lib.p[0]"), Subscript)
    assert isinstance(expression('"a b"."c d"'), Attribute)
    assert isinstance(expression("(a)[0]"), Subscript)


def test_a_bracket_with_an_assignment_is_no_list() -> None:
    assert plain(expression("[x = 1]")) == ("Bracket", (("Assignment", "x", 1),))
    assert plain(expression('[x[0] = "low", 2]')) == ("Bracket", (("Assignment", ("Subscript", "x", 0), "low"), 2))
    assert plain(expression("[]")) == ("List", ())
    assert plain(expression("[[], [a]]")) == ("List", (("List", ()), ("List", ("a",))))


def test_arguments() -> None:
    assert plain(expression("f(a, width=3, lib.x = [1, 2])")) == (
        "Call",
        "f",
        ("a", ("Assignment", "width", 3), ("Assignment", ("Attribute", "lib", "x"), ("List", (1, 2)))),
    )
    assert plain(expression("f()")) == ("Call", "f", ())


# Lexical rules


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("0.1", Fraction(1, 10)),
        ("1e-3", Fraction(1, 1000)),
        ("1E5", 100000),
        ("1e+2", 100),
        ("2.50e1", 25),
        ("007", 7),
        ("0e0", 0),
        ("1e0000000001", 10),
    ],
)
def test_a_number_is_the_rational_that_it_spells(text: str, number: Fraction) -> None:
    assert value(text) == number


def test_a_range_is_no_decimal() -> None:
    for text, lo, hi in [("0..3", 0, 3), ("1.5...5", Fraction(3, 2), Fraction(1, 2)), ("0 .. 3", 0, 3)]:
        assert plain(expression(f"x[{text}]")) == ("Subscript", "x", ("Range", lo, hi))


@pytest.mark.parametrize(
    "listed", ["1, 2.5,-3", "1,2.5 ,\n-3", "\t1\r\n,\r\n2.5,-3\n", "1, # one\n 2.5, -3", " - 3+4, 2.5, - 3"]
)
def test_numbers_in_lists_have_their_places(listed: str) -> None:
    text = f"circuit e = f([{listed}], {listed})"
    call = only(text)
    numbers = [node for node in nodes(call) if isinstance(node, (Number, Unary))]
    assert len(numbers) in (8, 12)
    for node in numbers:
        spelt = covered(node.span).replace(" ", "")
        assert spelt == (f"-{plain(node.operand)}" if isinstance(node, Unary) else f"{float(node.value):g}")


def test_newlines_and_semicolons_end_statements() -> None:
    assert len(statements("var x : bool; var y : bool\nvar z : bool")) == 3
    assert len(statements("\n;;\n ; var x : bool ;;\n\n;\n")) == 1
    assert len(body("circuit p {;; a = b;; return a ;\n; }")) == 2
    assert statements("") == statements(" \t\n# nothing\n") == ()


def test_a_newline_in_brackets_is_white_space() -> None:
    assert plain(expression("f(\n  a,\n\n  [\n1\n,\n2\n]\n)")) == plain(expression("f(a, [1, 2])"))
    assert plain(only("assert (\nsmooth(p)\nand\nnormalized(p)\n)")) == plain(
        only("assert (smooth(p) and normalized(p))")
    )


def test_crlf_is_a_newline() -> None:
    assert plain(statements(EXAMPLE.replace("\n", "\r\n"))) == plain(statements(EXAMPLE))
    last = statements(EXAMPLE.replace("\n", "\r\n"))[-1]
    assert (last.span.line, last.span.column, last.span.end_column) == (20, 1, 37)


def test_comments() -> None:
    text = 'var x : bool # one; "two\n#three\ncircuit c = f(x, # four )\n "#no" # five\n)'
    assert plain(statements(text)[1]) == ("CircuitStatement", "c", ("Call", "f", ("x", "#no")))


def test_blocks_on_one_line() -> None:
    assert len(body("circuit p { return a }")) == 1
    assert len(body("circuit p { for i in 0..3 { a = b } }")) == 1
    assert len(statements("circuit p { return a }; var x : bool")) == 2
    assert len(statements("circuit p { return a } # done\nvar x : bool")) == 2


def test_quoted_names() -> None:
    statement = only('var "X-1 = [;é#" : bool')
    assert isinstance(statement, VarStatement)
    assert (statement.name.text, statement.name.quoted) == ("X-1 = [;é#", True)
    assert covered(statement.name.span) == '"X-1 = [;é#"'
    assert plain(only('var "x" : bool')) == plain(only("var x : bool"))


@pytest.mark.parametrize(
    "word",
    RESERVED,
)
def test_reserved_words_are_names_only_in_quotes(word: str) -> None:
    assert plain(only(f'var "{word}" : bool')) == ("VarStatement", word, None, "bool")
    _, (mistake,) = parsed(f"var {word} : bool")
    assert (mistake.span and mistake.span.column, word in mistake.message) == (5, True)


def test_a_byte_order_mark_may_begin_a_text() -> None:
    assert len(statements("\ufeffvar x : bool")) == 1


def test_other_names_are_not_reserved() -> None:
    assert len(statements("query sum = smooth(p)\nvar bool : bool\nvar variable : real\nvar infinity : count")) == 4


@pytest.mark.parametrize("text", [EXAMPLE, LOOPS, LOOPS.replace("\n", "\r\n")])
def test_every_node_knows_its_place(text: str) -> None:
    for node in nodes(statements(text)):
        under = covered(cast("Span", getattr(node, "span", None)))
        match node:
            case Name(name, _, quoted):
                assert under == (f'"{name}"' if quoted else name)
            case Number(number):
                assert Fraction(under) == number
            case List() | Bracket():
                assert (under[0], under[-1]) == ("[", "]")
            case Parenthesis():
                assert (under[0], under[-1]) == ("(", ")")
            case Call(name):
                assert under.startswith(f"{name.text}(") and under.endswith(")")
            case Subscript():
                assert under.endswith("]")
            case Attribute(Name(base), Name(name)):
                assert under == f"{base}.{name}"
            case Range():
                assert ".." in under
            case Assignment() | Binding():
                assert "=" in under
            case Unary(operator) | ArrayStatement(operator):
                assert under.startswith(operator)
            case Chain(first, rest):
                assert under.startswith(covered(first.span)) and under.endswith(covered(rest[-1][1].span))
            case Loop() | Return() | CircuitStatement() | VarStatement() | AssertStatement() | QueryStatement():
                keyword = type(node).__name__.removesuffix("Statement").replace("Loop", "for").lower()
                assert under.startswith(keyword)
            case ImportStatement() | LoadStatement():
                assert under[-1] in '")'
            case _:
                raise AssertionError(node)


# Mistakes: the text, then each mistake as line, column and message

MISTAKES: list[tuple[str, list[tuple[int, int, str]]]] = [
    # statements
    ("asert smooth(p)", [(1, 1, '"asert" begins no statement')]),
    ("x = 3", [(1, 1, '"x" = … is no statement')]),
    ("3", [(1, 1, 'a statement cannot begin with "3"')]),
    ("return a", [(1, 1, '"return" stands only inside a circuit')]),
    ("var x bool", [(1, 7, 'expected ":", found "bool"')]),
    ("var x = bool", [(1, 7, 'expected ":", found "="')]),
    ("var x :", [(1, 8, 'expected a domain after ":"')]),
    ("var x : 3", [(1, 9, 'expected a domain, found "3"')]),
    ('var x : "bool"', [(1, 9, 'expected a domain, found "bool"')]),
    ("var : bool", [(1, 5, 'expected a name, found ":"')]),
    ("var x, y : bool", [(1, 6, 'expected ":", found ","')]),
    ("var x[2, 3] : bool", [(1, 6, "an array of variables has one size")]),
    ("var x[] : bool", [(1, 6, "brackets after a name hold its size")]),
    ("var x[0..3] : bool", [(1, 7, "a size is a number")]),
    ("param a[3] :", [(1, 13, 'expected a constraint after ":"')]),
    ("param a[3] 0.5", [(1, 12, 'expected ":", "=" or the end of the line, found "0.5"')]),
    ("index a[3] : unit", [(1, 12, 'expected "=" or the end of the line, found ":"')]),
    ("circuit p", [(1, 10, 'expected "=" or "{" after "p"')]),
    ("circuit p = ", [(1, 12, 'expected an expression after "="')]),
    ("query likelihood(p)", [(1, 17, 'expected "=", found "("')]),
    ("assert", [(1, 7, 'expected a predicate after "assert"')]),
    ("assert p = q", [(1, 10, 'expected the end of the line, found "="')]),
    ("import foo as b", [(1, 8, 'expected a file name in double quotes, found "foo"')]),
    ('import "foo"', [(1, 13, 'expected "as" after "foo"')]),
    ('import "f" as g(1, 2)', [(1, 17, "an import takes options only")]),
    ("load foo", [(1, 6, 'expected a file name in double quotes, found "foo"')]),
    ("var index : bool", [(1, 5, '"index" is a reserved word')]),
    ("var x : bool var y : bool", [(1, 14, 'expected the end of the line, found "var"')]),
    # bodies
    ("circuit p { retrun a }", [(1, 20, 'expected "=", found "a"')]),
    ("circuit p { return }", [(1, 19, 'expected an expression after "return"')]),
    ("circuit p { a = b return a }", [(1, 19, 'expected the end of the line, found "return"')]),
    ("circuit p {\n  var x : bool\n  return a\n}", [(2, 3, '"var" cannot stand inside a circuit')]),
    ("circuit p { for i in range(3) { a = b } }", [(1, 31, 'expected "..", found "{"')]),
    ("circuit p { for i of 0..3 { a = b } }", [(1, 19, 'expected "in", found "of"')]),
    ("circuit p { for i in 0..3 }", [(1, 26, 'expected "{" after "3"')]),
    ("circuit p { return a } var x : bool", [(1, 24, 'expected a new line or ";" after "}"')]),
    ("circuit p\n{\n  return a\n}", [(2, 1, 'a "{" stands on the line of its circuit or loop')]),
    ("circuit p {\n  a = b *\n    c\n  return a\n}", [(2, 10, 'expected an expression after "*"')]),
    ("circuit p = {\n  a = b\n  return a\n}", [(1, 13, 'expected an expression, found "{"')]),
    ("circuit p\n  a = b\n  return a\n}", [(1, 10, 'expected "=" or "{" after "p"')]),
    ("circuit p {\n  for i in 0..3\n    a = b\n  }\n  return a\n}", [(2, 16, 'expected "{" after "3"')]),
    ("circuit p {\n  a = b\n}\n  c = d\n  return a\n}\nvar x : bool", [(4, 3, '"c" = … is no statement')]),
    ("circuit p {\n  a = b } c = d\n  return a\n}", [(2, 11, 'expected a new line or ";" after "}"')]),
    ("assert a\n  and b", [(2, 3, 'a line cannot begin with "and"')]),
    ("circuit p\n  = q", [(1, 10, 'expected "=" or "{" after "p"')]),
    # expressions
    ("circuit p = f(a, )", [(1, 16, 'a trailing comma before ")"')]),
    ("circuit p = [1, 2,]", [(1, 18, 'a trailing comma before "]"')]),
    ("circuit p = f(a b)", [(1, 17, 'expected "," or ")" before "b"')]),
    ("circuit p = f(\n  a\n  b)", [(3, 3, 'expected "," or ")" before "b"')]),
    ("circuit p = f(a,,b)", [(1, 17, 'expected an expression, found ","')]),
    ("circuit p = (1, 2)", [(1, 15, 'expected ")", found ","')]),
    ("circuit p = a[1][2]", [(1, 17, 'expected the end of the line, found "["')]),
    ("circuit p = a[1, 2]", [(1, 14, "a subscript is one index or one range")]),
    ("circuit p = a[]", [(1, 14, "a subscript is one index or one range")]),
    ("circuit p = a[1:2]", [(1, 16, 'expected "," or "]", found ":"')]),
    ("circuit p = a[5..]", [(1, 18, 'expected an expression, found "]"')]),
    ('circuit p = "sum"(a)', [(1, 18, 'expected the end of the line, found "("')]),
    ("circuit p = f(0..3)", [(1, 15, "a range stands in the brackets after a name, or after in")]),
    ("circuit p = f(1 = 2)", [(1, 15, "a name must stand to the left of =")]),
    ("circuit p = f(x = 1 = 2)", [(1, 21, 'expected "," or ")", found "="')]),
    ("circuit p = not a", [(1, 13, '"not" cannot stand here')]),
    ("circuit p = f(inf)", [(1, 15, '"inf" is reserved, and no number')]),
    # brackets
    ("circuit p = f(a", [(1, 16, 'missing ")"')]),
    ("circuit p = f([1, 2\nvar x : bool", [(1, 20, 'missing "])"')]),
    ("circuit p {\n  a = f([0.1, 0.2]\n  b = f([0.3])\n  return a * b\n}", [(2, 19, 'missing ")"')]),
    ("circuit p { return f([1) }", [(1, 24, 'missing "]"')]),
    ("circuit p = f(a]", [(1, 16, 'expected ")", found "]"')]),
    ("circuit p = f(a))", [(1, 17, 'this ")" closes nothing')]),
    ("circuit p {\n  return a\n\nvar x : bool", [(2, 11, 'missing "}"')]),
    ("circuit p {\n  for i in 0..3 {\n    a = b", [(3, 10, 'missing "}}"')]),
    ("}", [(1, 1, 'this "}" closes nothing')]),
    ("circuit p = f(a; b)", [(1, 16, 'a ";" cannot stand inside "( )"')]),
    ("circuit p = [a; b;\n c]", [(1, 15, 'a ";" cannot stand inside "[ ]"')]),
    ("circuit p = f({1, 2})", [(1, 15, 'a "{" holds the bindings of a circuit or loop')]),
    ("circuit p { for i in reversed(0..3 { a = b } }", [(1, 35, 'missing ")"')]),
    # characters
    ("const a = 1.", [(1, 11, 'a digit must follow the point of "1."')]),
    ("const a = 1.5.2", [(1, 11, '"1.5.2" has two points')]),
    ("const a = 1e", [(1, 11, '"1e" has no digits in its exponent')]),
    ("const a = 2x", [(1, 11, '"2x" is neither a number nor a name')]),
    ("const a = 1_000", [(1, 11, '"1_000" is not a number')]),
    ("const a = 1e999999999", [(1, 11, "a number of more than 4,000 digits, those of its exponent counted")]),
    ("const a = [1, 1e-4001]", [(1, 15, "a number of more than 4,000 digits, those of its exponent counted")]),
    ("const a = 3 % 4", [(1, 13, 'unknown character "%"')]),
    (
        "assert p && q || !r",
        [(1, 10, 'unknown sign "&&"'), (1, 15, 'unknown sign "||"'), (1, 18, 'unknown character "!"')],
    ),
    ("circuit p = [x == 1]", [(1, 16, 'unknown sign "=="')]),
    ("const é = 3", [(1, 7, 'unknown character "é"')]),
    ("const a\0 = 3", [(1, 8, "unknown character U+0000")]),
    ("const a\u00a0= 3", [(1, 8, "unknown character U+00A0 (no-break space)")]),
    ("const a = 3\rconst b = 4", [(1, 12, "unknown character U+000D")]),
    ('var "" : bool', [(1, 5, "a name in quotes cannot be empty")]),
    ('var "x : bool', [(1, 5, "the quote is not closed on its line")]),
    ('circuit p {\n  a = f(x, "y)\n  return a\n}\nvar z : bool', [(2, 12, "the quote is not closed on its line")]),
    # many
    (
        "var x bool\nvar y : real\nasert p\n",
        [(1, 7, 'expected ":", found "bool"'), (3, 1, '"asert" begins no statement')],
    ),
    (
        "circuit p {\n  a = f(x,)\n  b = 1.\n  for i in 3 {\n    c = ]\n  }\n  return\n}",
        [
            (2, 10, 'a trailing comma before ")"'),
            (3, 7, 'a digit must follow the point of "1."'),
            (4, 14, 'expected "..", found "{"'),
            (5, 9, 'this "]" closes nothing'),
            (7, 9, 'expected an expression after "return"'),
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES, ids=[repr(text)[:40] for text, _ in MISTAKES])
def test_every_mistake_is_found_once_where_it_is(text: str, expected: list[tuple[int, int, str]]) -> None:
    _, found = parsed(text)
    places = [(d.span.line, d.span.column, d.message) for d in found if d.span is not None]
    assert places == expected
    assert {d.code for d in found} == {"syntax"}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("asert smooth(p)", 'did you mean "assert"?'),
        ("circuit p { retrun a }", 'did you mean "return"?'),
        ("assert p && q", "write and"),
        ("assert p = q", "equal(p, q) compares circuits, near(p, NUMBER, TOLERANCE) a value"),
        ("circuit p = a[1:2]", "a slice is written a[lo..hi], an option NAME = VALUE"),
        ("var x bool", "write it as: var NAME : DOMAIN, or var NAME[N] : DOMAIN"),
        ("var x :", "the domains are bool, cat(n), int(lo, hi), count and real"),
        ("var param : bool", 'choose another name, or put it in quotes: "param"'),
        ("circuit p = a +\n  b", "a statement goes on over several lines only inside ( ) or [ ]"),
        ("const a = 1.", "write 1.0, or 1 for an integer; a range is 1..hi"),
    ],
)
def test_a_mistake_comes_with_a_hint(text: str, hint: str) -> None:
    _, (mistake,) = parsed(text)
    assert mistake.hint == hint


def test_a_missing_bracket_shows_where_it_was_opened() -> None:
    _, (mistake,) = parsed("circuit p {\n  a = f([1, 2\n  return a\n}")
    assert str(mistake) == (
        'test.circuit:2:14: error[syntax]: missing "])"\n'
        "      a = f([1, 2\n"
        "                 ^\n"
        '  note: test.circuit:2:9: the "[" was opened here\n'
        "      a = f([1, 2\n"
        "            ^\n"
        '  note: test.circuit:2:8: the "(" was opened here\n'
        "      a = f([1, 2\n"
        "           ^"
    )


def test_the_caret_covers_what_is_wrong() -> None:
    _, (mistake,) = parsed("circuit p = f(alpha beta)")
    assert mistake.span is not None and covered(mistake.span) == "beta"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("var x bool", "x"),
        ('param "X-1"[', "X-1"),
        ("circuit p { return }", "p"),
        ("query q p", "q"),
        ('import "f" as g h', "g"),
        ("x = 3", "x"),
        ("vra x : bool", "x"),
        ("assert p q", None),
        ("%", None),
    ],
)
def test_a_broken_statement_keeps_the_name_that_it_seems_to_declare(text: str, name: str | None) -> None:
    (first, second), (_,) = parsed(f"{text}\nvar next : bool")
    assert isinstance(first, BrokenStatement) and first.name == name
    assert isinstance(second, VarStatement) and second.name.text == "next"


def test_what_is_right_is_read_beside_what_is_wrong() -> None:
    whole, right = parsed(f"{EXAMPLE}{LOOPS}")
    mended, wrong = parsed(f"{EXAMPLE}{LOOPS}%\n")
    assert right == [] and len(wrong) == 1
    assert plain(mended[:-1]) == plain(whole)
    assert isinstance(mended[-1], BrokenStatement)


def test_mistakes_are_in_the_order_of_the_text() -> None:
    _, found = parsed("var x\nconst a = %\nvar y\ncircuit p = f(\nvar z")
    assert [d.span and d.span.line for d in found] == [1, 2, 3, 4, 5]


def test_after_a_hundred_mistakes_the_rest_is_left() -> None:
    _, found = parsed("var x\n" * 1000)
    assert len(found) == MOST_MISTAKES + 1
    assert found[-1].message == "100 mistakes or more; no others are shown"


# Size and depth


@pytest.mark.parametrize(
    "text",
    [
        "circuit p = " + "(" * 101 + "a" + ")" * 101,
        "circuit p = " + "[" * 1_000,
        "circuit p = " + "f(" * 100_000,
        "const a = " + "-" * 101 + "1",
        "assert " + "not " * 10_000 + "a",
        "const a = " + "-(" * 51 + "1" + ")" * 51,
        "circuit p {" + "for i in 0..2 {" * 100 + "}" * 101,
    ],
    ids=["parentheses", "lists", "calls", "minus", "not", "mixed", "loops"],
)
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    (broken, kept), found = parsed(f"{text}\nvar x : bool")
    assert isinstance(broken, BrokenStatement) and isinstance(kept, VarStatement)
    assert [d.message for d in found] == ["brackets and operators are nested more than 100 deep"]


@pytest.mark.parametrize("inner", ["(", "-", "-(", "(a or b and c + d * (-f("])
def test_what_is_nested_a_hundred_deep_is_read(inner: str) -> None:
    levels = inner.count("(") + inner.count("-")
    text = "assert " + inner * (100 // levels) + "a" + ")" * (100 // levels * inner.count("("))
    assert isinstance(only(text), AssertStatement)


def test_long_texts_are_read_without_recursion() -> None:
    chain = expression(" * ".join(["a"] * 100_000))
    assert isinstance(chain, Chain) and len(chain.rest) == 99_999
    numbers = expression("[" + ",\n".join(["[0.25, 1/4, -1]"] * 10_000) + "]")
    assert isinstance(numbers, List) and len(numbers.items) == 10_000
    long = expression("[" + ", ".join(map(str, range(200_000))) + "]")
    assert isinstance(long, List) and plain(long.items[-1]) == 199_999
    assert len(statements("var x : bool\n" * 2_000)) == 2_000


def test_a_text_of_too_many_words_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danaus.frontend.tokens.MOST_TOKENS", 1000)
    for text in ["const a = [" + "1, " * 1000 + "1]", "; " * 1001]:
        (statement,), (mistake,) = parsed(text)
        assert isinstance(statement, BrokenStatement)
        assert mistake.code == "too-large"


def test_a_long_number_is_read_and_a_longer_one_refused() -> None:
    assert value("1" * 4000) == int("1" * 4000)
    assert value("1e3999") == 10**3999
    for text in ["1" * 4001, "0." + "0" * 4000, "1e-99999999999999999999", "1e4000"]:
        _, (mistake,) = parsed(f"const a = {text}")
        assert mistake.message.startswith("a number of more than")


# Any text


PIECES = [
    *"()[]{}=:;,.#\"'%&|!+-*/<>^~$?@\\ \t\n\r\0é\ufeff\u2028\ud800",
    "..", "==", "\r\n", "//", "\n\n", '"x"', '""', "1", "0.5", ".5", "1.", "1e", "1e5", "2x", "x", "circuit", "var",
    "for", "i in", "return", "and", "not", "inf", "reversed(", "1, 2, 3", "[1, -2]", "circuit q {", "circuit q = ",
    "= ", "} ",
]  # fmt: skip


def mutations(count: int) -> Iterator[str]:
    """Spoilt specs: pieces put in, taken out, doubled and moved; and texts of pieces alone."""
    draw = random.Random(20)
    for number in range(count):
        text = draw.choice([EXAMPLE, LOOPS, LOOPS.replace("\n", "\r\n"), EXAMPLE[95:350]])
        if number % 10 == 0:
            text = "".join(draw.choice(PIECES) for _ in range(draw.randrange(60)))
        for _ in range(draw.choice([1, 1, 1, 2, 5, 20])):
            start = draw.randrange(len(text) + 1)
            end = min(len(text), start + draw.choice([0, 0, 1, 1, 3, 30]))
            middle = draw.choice(["", draw.choice(PIECES), text[start:end] * 2, text[end : end + 10]])
            text = text[:start] + middle + text[end:]
        yield text


def test_any_text_ends_in_statements_and_diagnostics() -> None:
    for text in mutations(3_000):
        found, diagnostics = parsed(text)
        lines = text.split("\n")
        for diagnostic in diagnostics:
            span = diagnostic.span
            assert span is not None, text
            assert 1 <= span.line <= span.end_line <= len(lines), text
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1, text
            assert (span.line, span.column) <= (span.end_line, span.end_column), text
            assert diagnostic.message in str(diagnostic)
        assert diagnostics or not any(isinstance(statement, BrokenStatement) for statement in found), text


@pytest.mark.parametrize("text", [EXAMPLE, LOOPS], ids=["example", "loops"])
def test_one_mistake_gives_one_diagnostic(text: str) -> None:
    """Any one character taken out gives one at most; any one put in, which may cut a circuit in two, gives a few."""
    for at in range(len(text)):
        assert len(parsed(text[:at] + text[at + 1 :])[1]) <= 1, at
    for sign in "()[]{},=*;":
        for at in range(0, len(text), 3):
            assert len(parsed(text[:at] + sign + text[at:])[1]) <= 3, (sign, at)


# Files


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.circuit"
    path.write_bytes(b"\xef\xbb\xbfvar \xc3\xa9 : bool\r\n")
    source = read_source(path)
    assert (source.name, source.text) == (str(path), "var é : bool\r\n")


def failure(path: Path) -> Diagnostic:
    with pytest.raises(DanausError) as caught:
        read_source(path)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_a_file_that_is_no_text_is_refused_at_its_byte(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "a.circuit"
    path.write_bytes(mark + b"var x : bool\r\nvar \xc3\xa9\xff : bool\n")
    diagnostic = failure(path)
    assert (diagnostic.code, diagnostic.message) == ("not-utf8", "byte 0xFF is not UTF-8")
    assert diagnostic.span is not None
    assert (diagnostic.span.line, diagnostic.span.column) == (2, 6)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    assert failure(tmp_path / "none").message == f'there is no file "{tmp_path / "none"}"'
    assert failure(tmp_path).message == f'"{tmp_path}" is a folder, not a file'
    assert failure(tmp_path / "a\0b").code == "unreadable-file"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.circuit"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert failure(path).code == "too-large"
