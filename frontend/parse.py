"""Text to syntax tree. Enters the source of a spec; leave its statements, and a diagnostic for every mistake.

A text without mistakes is parsed in one go. In any other, each line is parsed alone, in the frame that it stands in, to
find the first mistake of each. A statement with a mistake becomes a `BrokenStatement`; the others say what they say.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import lark
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer

from ..ir.collecting import uncollected
from ..ir.diagnostic import DanausError, Diagnostic, Gatherer
from ..ir.span import Source, Span
from .mistakes import Stop, begins_with_continuation, belongs_in_body, ends_with_operator, explain
from .nesting import STATEMENTS, nest
from .syntax import BrokenStatement, File, Statement
from .tokens import Scanner, Token
from .tree import Tree

MOST_MISTAKES = 100
"""Mistakes of one text that are reported; a text with more is no spec."""


def parse(source: Source, gatherer: Gatherer) -> File:
    """The statements of a spec; its mistakes go to the gatherer, and nothing is raised.

    >>> gatherer = Gatherer()
    >>> len(parse(Source("rain.circuit", "var rain : bool; var wet : cat(3)"), gatherer).statements)
    2
    >>> parse(Source("rain.circuit", "var rain bool"), gatherer).statements[0].name
    'rain'
    >>> print(gatherer.errors[0].message)
    expected ":", found "bool"
    """
    mistakes = _Mistakes()
    with uncollected():
        try:
            tokens = nest(_language()[1].scan(source, mistakes), mistakes)
            statements = _Recovery(mistakes).all(tokens) if mistakes.diagnostics else _whole(tokens, mistakes)
        except DanausError as failure:
            mistakes.diagnostics += failure.diagnostics
            statements = (BrokenStatement(None, Span(source, 1)),)
    for diagnostic in sorted(mistakes.diagnostics, key=_place):
        gatherer.add(diagnostic)
    return File(source, statements)


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.span is not None
    return diagnostic.span.line, diagnostic.span.column


class _Mistakes(Gatherer):
    """Gathers so many mistakes, then raises."""

    def add(self, diagnostic: Diagnostic) -> None:
        Gatherer.add(self, diagnostic)
        if len(self.diagnostics) >= MOST_MISTAKES:
            last = max(self.diagnostics, key=_place)
            raise DanausError(Diagnostic("syntax", f"{MOST_MISTAKES} mistakes or more; no others are shown", last.span))


class _Fed(Lexer):
    """Stands in for lark's lexer: the tokens come from `nest`."""

    def __init__(self, _: object) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[lark.Token]:
        return iter(())


@lru_cache(maxsize=1)
def _language() -> tuple[Any, Scanner]:
    """Lark's parser, which leaves some types open, and the scanner of the grammar's terminals; made once, in 60 ms."""
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    parser = lark.Lark(grammar, parser="lalr", lexer=_Fed, start="file", transformer=Tree(), maybe_placeholders=False)
    return parser, Scanner.of(parser.terminals)


class _Stopped(Exception):
    """The parser met a token that cannot stand where it does."""

    def __init__(self, position: int, accepted: set[str]) -> None:
        super().__init__(position)
        self.position = position
        self.accepted = accepted


def _statements(tokens: list[Token]) -> tuple[Statement, ...]:
    """The statements that the tokens spell; raises `_Stopped` where they spell none, and what `Tree` raises."""
    machine = _language()[0].parse_interactive()
    feed = machine.parser_state.feed_token
    position = 0
    try:
        for token in tokens:
            feed(token)
            position += 1
        statements: tuple[Statement, ...] = feed(lark.Token("$END", ""), True)
    except UnexpectedToken:
        raise _Stopped(position, machine.accepts()) from None
    return statements


def _whole(tokens: list[Token], mistakes: Gatherer) -> tuple[Statement, ...]:
    try:
        return _statements(tokens)
    except (_Stopped, DanausError):
        return _Recovery(mistakes).all(tokens)


class _Recovery:
    """The state of one walk over the lines of a text with mistakes."""

    def __init__(self, mistakes: Gatherer) -> None:
        self.mistakes = mistakes
        self.statements: list[Statement] = []
        self.statement: list[Token] = []  # the tokens since the last statement's end
        self.line: list[Token] = []  # the tokens since the last line's end
        self.depth = 0  # blocks that are open
        self.closed = False  # the last token was a }
        self.quiet = False  # what is wrong with this line was said already
        self.broken = False  # this statement has a mistake
        self.failed = False  # the last line has a mistake
        self.unfinished = False  # and it is one that the next line was meant to go on
        self.block = False  # the last statement is a block, which a } too many may have ended too early
        self.spilt = False  # and it seems to be so, and was said

    def all(self, tokens: list[Token]) -> tuple[Statement, ...]:
        for token in tokens:
            kind = token.type
            if self.closed and kind not in ("_END", "RBRACE"):
                if kind != "ERROR" and not self.failed:
                    message = 'expected a new line or ";" after "}"'
                    self.mistakes.add(Diagnostic("syntax", message, token.span))
                self.quiet, self.broken, self.spilt = True, self.depth > 0, True
            self.closed = kind == "RBRACE"
            if kind == "_END":
                self._line()
                if self.depth:
                    self.statement.append(token)
                else:
                    self._statement()
            elif kind == "RBRACE":
                self._line()
                self.statement.append(token)
                self.depth -= 1
                if not self.depth:
                    self._statement()
                    self.block = True
            else:
                self.line.append(token)
                self.statement.append(token)
                if kind == "LBRACE":
                    self._line()
                    self.depth += 1
        self._line()
        self._statement()
        return tuple(self.statements)

    def _line(self) -> None:
        """Parses a line, or the header of a block, alone."""
        line, quiet = self.line, self.quiet
        self.line, self.quiet = [], False
        if not line:
            return
        if any(token.type == "ERROR" for token in line):
            self.broken = self.failed = True
            self.unfinished = ends_with_operator(line)
            return
        if not self.depth and not quiet:
            inside = belongs_in_body(line)
            quiet = inside and self.spilt
            self.block, self.spilt = self.block and inside, (self.block or self.spilt) and inside
        before = _BEFORE if self.depth else []
        after = (_AFTER[1:] if line[-1].type == "LBRACE" else []) + (_AFTER if self.depth else [])
        quiet = quiet or self.unfinished or (self.failed and begins_with_continuation(line))
        try:
            _statements(before + line + after)
        except _Stopped as stopped:
            stop = Stop(line, stopped.position - len(before), stopped.accepted, self.depth > 0)
            problem = explain(stop)
        except DanausError as failure:
            (problem,) = failure.diagnostics
        else:
            self.failed = self.unfinished = False
            return
        self.broken = self.failed = True
        self.unfinished = ends_with_operator(line)
        if not quiet:
            self.mistakes.add(problem)

    def _statement(self) -> None:
        """Parses a statement that has no mistake in any of its lines."""
        tokens, broken = self.statement, self.broken
        self.statement, self.broken = [], False
        if not tokens:
            return
        if broken:
            self.statements.append(BrokenStatement(_name(tokens), tokens[0].span.to(tokens[-1].span)))
        else:
            self.statements += _statements(tokens)


# The frame of a line that stands in a body.
_NOWHERE = Span("", 0)
_BEFORE = [
    Token.at("CIRCUIT", "circuit", _NOWHERE),
    Token.at("IDENTIFIER", "p", _NOWHERE),
    Token.at("LBRACE", "{", _NOWHERE),
]
_AFTER = [Token.at("_END", "\n", _NOWHERE), Token.at("RBRACE", "}", _NOWHERE)]


def _name(tokens: list[Token]) -> str | None:
    """The name that a broken statement seems to declare."""
    kinds = [token.type for token in tokens[:4]]
    if kinds[0] == "IMPORT":
        position = 3 if kinds[2:3] == ["AS"] else 0
    elif kinds[0] in STATEMENTS:
        position = 1
    else:  # "x = 3", or a misspelt keyword
        position = 0 if kinds[1:2] == ["EQUAL"] else 1
    if kinds[0] in ("ASSERT", "LOAD") or kinds[position : position + 1] not in (["IDENTIFIER"], ["QUOTED"]):
        return None
    return tokens[position].strip('"')
