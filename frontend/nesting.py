"""Brackets and line ends. Enter tokens; leave tokens in which all brackets match and each _END ends a statement.

A newline ends a statement, or, inside ( ) and [ ], nothing. Each bracket that does not match is reported here, once,
and mended with an ERROR token in the line that has the mistake, so that what follows is read as if it were right.
Where a closing bracket is missing, the next line tells: one that begins with `var` or `return` is no argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from ..ir.diagnostic import Diagnostic, Gatherer
from ..ir.span import Note, Span
from .tokens import Token

DEEPEST = 100
"""Levels of brackets, blocks and unary operators; whoever walks the tree may recurse this deep."""

OPERAND_ENDS = frozenset({"IDENTIFIER", "QUOTED", "NUMBER", "NUMBERS", "RPAR", "RSQB"})
STATEMENTS = frozenset({"VAR", "PARAM", "CONST", "INDEX", "CIRCUIT", "ASSERT", "QUERY", "IMPORT", "LOAD"})
_BRACELESS = STATEMENTS - {"CIRCUIT"}
_LINES = STATEMENTS | {"FOR", "RETURN"}
_OPENERS = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
_BEFORE_VALUE = frozenset({"EQUAL", "COMMA", "COLON", "SIGN", "SCALE", "LPAR", "LSQB"})
_CLOSERS = {"RPAR": "(", "RSQB": "[", "RBRACE": "{"}


@dataclass(slots=True)
class _Open:
    """A bracket that is open."""

    token: Token
    levels: int  # this bracket, and the unary operators that stand before it
    indent: int  # the column at which its line begins
    inner: bool  # ( or [, or something inside of one: here a newline is white space
    blamed: bool = False  # a mistake was reported that may have hidden its end

    @property
    def closer(self) -> str:
        return _OPENERS[self.token.type]

    @property
    def note(self) -> Note:
        return Note(f'the "{self.token}" was opened here', self.token.span)


def nest(tokens: list[Token], mistakes: Gatherer) -> list[Token]:
    """The tokens with their brackets matched and their newlines resolved into _END."""
    return _Nesting(tokens, mistakes).all()


class _Nesting:
    """The state of one walk over the tokens."""

    def __init__(self, tokens: list[Token], mistakes: Gatherer) -> None:
        self.tokens = tokens
        self.mistakes = mistakes
        self.out: list[Token] = []
        self.open: list[_Open] = []  # at most DEEPEST of them
        self.depth = 0  # levels of all that is open
        self.unary = 0  # unary operators just before this token
        self.beyond = 0  # brackets open that are too deep to be kept
        self.deep = False  # this statement's depth was reported
        self.last: Token | None = None  # the last token that is no line end
        self.indent = 1  # the column at which the line begins
        self.starter = ""  # the kind of the first token of the line
        self.stray = 0  # a line with a mistake that may leave a closing bracket without an opening one
        self.forgiven = 0  # closing braces that may be too many, since a missing one was guessed

    def all(self) -> list[Token]:
        fresh = True
        for position, token in enumerate(self.tokens):
            kind = token.type
            if kind == "NEWLINE":
                fresh = True
                if not self._inside():
                    self._end(position + 1)
                continue
            if fresh:
                self._begin(position)
            elif self._follows_block() and kind not in STATEMENTS and kind not in _CLOSERS:
                self.forgiven = max(self.forgiven, 1)  # the brace before it came too early, and its like will follow
            if not self.starter:
                self.starter = kind
            if kind in _OPENERS:
                self._opens(token, self._kind(position + 1) == "NEWLINE")
            elif kind in _CLOSERS:
                self._closes(token, fresh)
            elif kind == "SEMICOLON":
                self._semicolon(position)
            elif kind in ("UNCLOSED", "ERROR"):
                self._error(token)
                self._blame()
                self.stray = token.span.line
            else:
                if kind == "NOT" or (kind == "SIGN" and (self.last is None or self.last.type not in OPERAND_ENDS)):
                    self.unary += 1
                    self._too_deep(token)
                else:
                    self.unary = 0
                self.out.append(token)
            fresh = False
            self.last = token
        self._missing(self._drop(len(self.open)))
        return self.out

    def _inside(self) -> bool:
        return bool(self.open) and self.open[-1].inner

    def _follows_block(self) -> bool:
        return self.last is not None and self.last.type == "RBRACE" and not self.open

    def _kind(self, position: int) -> str:
        return self.tokens[position].type if position < len(self.tokens) else ""

    def _in_body(self, position: int) -> bool:
        """Whether the line that begins there belongs into a body."""
        kind = self._kind(position)
        return kind in ("FOR", "RETURN") or (kind in ("IDENTIFIER", "QUOTED") and self._kind(position + 1) == "EQUAL")

    def _end(self, following: int) -> None:
        """Ends a line, before the token of that position."""
        if self.starter in ("CIRCUIT", "FOR") and self._lacks_brace(following):
            self._assume_brace()
        elif self.out and self.out[-1].type != "_END":
            self.out.append(Token.at("_END", "\n", self.out[-1].span))
        self.deep, self.unary, self.starter = False, 0, ""

    def _lacks_brace(self, following: int) -> bool:
        """Whether a header ends here without a brace, and the line of a body follows."""
        if len(self.open) >= DEEPEST:
            return False
        header = [token.type for token in takewhile(lambda token: token.type not in _LINES, reversed(self.out))]
        if "EQUAL" in header:
            return self.starter == "FOR" and self._kind(following) == "RBRACE"
        return self._in_body(following)

    def _assume_brace(self) -> None:
        """Puts in a brace, behind a token that the grammar does not know: the parser then says what is missing."""
        end = self.out[-1].span
        span = Span(end.source, end.end_line, end.end_column, end.end_line, end.end_column)
        brace = Token.at("LBRACE", "{", span)
        self.out += [Token.at("NOTHING", "", span), brace]
        self.open.append(_Open(brace, 1, self.indent, inner=False, blamed=True))
        self.depth += 1

    def _error(self, token: Token) -> None:
        self.out.append(Token.at("ERROR", token, token.span))

    def _wrong(self, token: Token, message: str, hint: str = "", notes: tuple[Note, ...] = ()) -> None:
        self.mistakes.add(Diagnostic("syntax", message, token.span, hint, notes))
        self._error(token)

    def _blame(self) -> None:
        """What is open inside ( ) and [ ] may have lost its end to a mistake just reported."""
        for bracket in self.open:
            bracket.blamed = bracket.blamed or bracket.inner

    def _drop(self, count: int) -> list[_Open]:
        """Takes some open brackets from the stack, the innermost first."""
        dropped = [self.open.pop() for _ in range(count)]
        self.depth -= sum(bracket.levels for bracket in dropped)
        if dropped:
            self.beyond = 0
        return dropped

    def _drop_inner(self) -> list[_Open]:
        return self._drop(sum(bracket.inner for bracket in self.open))

    def _missing(self, dropped: list[_Open]) -> None:
        """Reports closing brackets that should have come after the last token, and mends the line there."""
        if self.last is None or not dropped:
            return
        end = self.last.span
        span = Span(end.source, end.end_line, end.end_column, end.end_line, end.end_column)
        if not any(bracket.blamed for bracket in dropped):
            closers = "".join(bracket.closer for bracket in dropped)
            notes = tuple(bracket.note for bracket in dropped[:3])
            self.mistakes.add(Diagnostic("syntax", f'missing "{closers}"', span, notes=notes))
        self.out.append(Token.at("ERROR", "", span))
        self.out += [Token.at("RBRACE", "}", span) for bracket in dropped if not bracket.inner]

    def _begin(self, position: int) -> None:
        """At the first token of a line: closes what was forgotten before it."""
        token, last = self.tokens[position], self.last
        if self._inside():
            # In a body, "name =" after something complete begins a binding; it could not go on an argument.
            binding = (
                token.type in ("IDENTIFIER", "QUOTED")
                and self._kind(position + 1) == "EQUAL"
                and last is not None
                and (last.type in OPERAND_ENDS or last.type in ("ERROR", "UNCLOSED"))
                and not self.open[0].inner
            )
            if token.type not in _LINES and not binding:
                return
            self._missing(self._drop_inner())
            self._end(position)
        self.indent = token.span.column
        if not self.open and self._in_body(position):  # a line of a body, outside of one: its closing brace will follow
            self.forgiven = max(self.forgiven, 1)
        if token.type in STATEMENTS and self.open and self.indent <= self.open[-1].indent:
            count = sum(bracket.indent >= self.indent for bracket in self.open)
            self.forgiven += count
            self._missing(self._drop(count))
            self._end(position)

    def _too_deep(self, token: Token) -> bool:
        """Whether this bracket or operator is nested too deeply; reported once per statement."""
        if self.depth + self.unary + (token.type in _OPENERS) <= DEEPEST:
            return False
        if not self.deep:
            message = f"brackets and operators are nested more than {DEEPEST} deep"
            self._wrong(token, message, "give the inner part a name of its own")
            self._blame()
        self.deep = True
        return True

    def _opens(self, token: Token, ends_line: bool) -> None:
        inner = token.type != "LBRACE"
        last = self.last.type if self.last is not None else ""
        header = self.starter == "FOR" or (self.starter == "CIRCUIT" and last in OPERAND_ENDS)
        misplaced = self._inside() or last in _BEFORE_VALUE or self.starter in _BRACELESS
        if not inner and misplaced and not header and not ends_line:
            inner = True
            if not (self._inside() and self.open[-1].blamed):
                self._wrong(token, 'a "{" holds the bindings of a circuit or loop', "a list is written [ ]")
            self._blame()
        elif not inner and self._inside():
            self._missing(self._drop_inner())
        elif self.starter == "LBRACE":
            if self.out and self.out[-1].type == "_END":
                self.out.pop()
            if self.stray == token.span.line:
                self._error(token)
            else:
                message = 'a "{" stands on the line of its circuit or loop'
                self._wrong(token, message, "move it to the end of the line above")
            self.stray = token.span.line
        if self._too_deep(token):
            self.beyond += 1
            return
        self.open.append(_Open(token, 1 + self.unary, self.indent, inner, self.stray == token.span.line))
        self.depth += 1 + self.unary
        self.unary = 0
        if not inner:
            self.starter = ""
        if token.type != "LBRACE" or not inner:
            self.out.append(token)

    def _closes(self, token: Token, fresh: bool) -> None:
        opener = _CLOSERS[token.type]
        self.unary = 0
        if self.beyond:
            self.beyond -= 1
            return
        if self._inside() and self.open[-1].token != opener:
            self.stray = token.span.line
            inner = [str(bracket.token) for bracket in reversed(self.open) if bracket.inner]
            block = self.open[-1 - len(inner)].token if len(self.open) > len(inner) else None
            if opener in inner:
                self._missing(self._drop(inner.index(opener)))
            elif opener == "{" and block is not None and (fresh or block.span.line == token.span.line):
                self._missing(self._drop_inner())
            else:
                top = self.open[-1]
                if top.blamed:
                    self._error(token)
                else:
                    self._wrong(token, f'expected "{top.closer}", found "{token}"', "", (top.note,))
                self._blame()  # it stays open: the right end may follow
                return
        if not self.open or self.open[-1].token != opener:
            self._closes_nothing(token, fresh)
            return
        closed = self._drop(1)[0]
        if not closed.inner:
            self.starter = ""
        if token.type != "RBRACE" or not closed.inner:
            self.out.append(token)

    def _closes_nothing(self, token: Token, fresh: bool) -> None:
        if self.forgiven and fresh and token.type == "RBRACE":
            self.forgiven -= 1
            self._error(token)
        elif self.stray == token.span.line:
            self._error(token)
        else:
            self._wrong(token, f'this "{token}" closes nothing')
        self.stray = token.span.line

    def _semicolon(self, position: int) -> None:
        token = self.tokens[position]
        if not self._inside():
            self._end(position + 1)
            return
        top = self.open[-1]
        if not top.blamed:
            hint = f'close the "{top.token}" first, or write a comma'
            self._wrong(token, f'a ";" cannot stand inside "{top.token} {top.closer}"', hint)
        self._blame()
