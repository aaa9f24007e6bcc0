"""Regular expressions over symbols: a pattern and an alphabet enter; the minimal automaton of its words leaves.

A pattern matches whole words. Symbols are single characters, where the alphabet has such names, or names and codes in
angle brackets: `ab*<the>[^<0-3>x]`. The parser makes fragments bottom-up: positions of the pattern, and which may
follow which; the subset construction does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import lark
import numpy as np
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError
from lark.visitors import Transformer_NonRecursive

from ...ir.diagnostic import DanausError, error
from ...ir.span import Source, Span
from .alphabet import Alphabet, AlphabetLike, alphabet
from .automaton import Automaton, minimal
from .refine import Booleans, classes
from .subset import determinised

MAX_POSITIONS = 4096

_GRAMMAR = r"""
?start: choice
choice: sequence ("|" sequence)*
sequence: repeated*
repeated: item quantifier*
?item: single | any | set | "(" choice ")"
single: CHARACTER | ESCAPED | NAMED
any: "."
set: OPEN member+ "]"
member: (MEMBER | ESCAPED | NAMED) [RANGE (MEMBER | ESCAPED | NAMED)]
quantifier: STAR | PLUS | OPTION | BOUNDS
OPEN: /\[\^?/
RANGE.2: /-(?!\])/
STAR: "*"
PLUS: "+"
OPTION: "?"
BOUNDS: /\{[0-9]+(,[0-9]*)?\}/
ESCAPED: /\\./s
NAMED: /<[^<>]+>/
MEMBER: /[^\]\\<]/s
CHARACTER: /[^\[\]\\<>(){}|*+?.]/s
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Fragment:
    """Positions of a pattern, after Glushkov: their symbols, which come first and last, and which follow which."""

    symbols: Booleans  # [positions, classes of symbols or symbols]
    first: Booleans
    last: Booleans
    follow: Booleans  # [positions, positions]
    empty: bool


def regex(pattern: str, symbols: AlphabetLike) -> Automaton:
    r"""The words that a pattern matches as a whole.

    `ab` one after the other, `a|b` either, `(…)` a group, `a*`, `a+`, `a?`, `a{2}`, `a{2,}`, `a{2,5}`, `.` any symbol,
    `[abc]`, `[a-c]`, `[^a]` sets (ranges in the order of the alphabet), `\*` the character itself, `<name>` a symbol by
    its name or code. Blanks are symbols.

    >>> regex("(ab)*c?", "abc").count(5), regex("<0>.*<2>", 3).accepts([0, 1, 2])
    (1, np.True_)

    Source: Glushkov, "The abstract theory of automata", 1961.

    Raises: DanausError `syntax`, `unknown-symbol`, `wrong-range`, `too-large`, with the place in the pattern.
    """
    if not isinstance(pattern, str):
        raise error("wrong-arguments", "the pattern is no text", hint='write regex("a*b", "ab")')
    letters = alphabet(symbols)
    source = Source("<pattern>", pattern)
    try:
        built = _Builder(letters, source).transform(_parser().parse(pattern))
    except UnexpectedInput as failure:
        raise _syntax(failure, source) from None
    except VisitError as failure:
        if isinstance(failure.orig_exc, DanausError):
            raise failure.orig_exc from None
        raise
    return _automaton(built, letters.size)


@lru_cache(maxsize=1)
def _parser() -> lark.Lark:
    return lark.Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=True)


def _syntax(failure: UnexpectedInput, source: Source) -> DanausError:
    ended = isinstance(failure, UnexpectedToken) and failure.token.type == "$END"
    line = source.text.count("\n") + 1 if ended else failure.line
    column = len(source.text.rsplit("\n", 1)[-1]) + 1 if ended else failure.column
    if ended:
        found = "the end of the pattern"
    elif isinstance(failure, UnexpectedCharacters):
        found = repr(str(failure.char))
    else:
        found = repr(str(getattr(failure, "token", "")))
    span = Span(source, line, column, line, column + 1)
    return error("syntax", f"the pattern cannot go on with {found}", span, hint=r"write \ before a sign that is meant")


class _Builder(Transformer_NonRecursive[Any, _Fragment]):
    """Fragments of the parts of a pattern, bottom-up, however deep they are nested."""

    def __init__(self, letters: Alphabet, source: Source) -> None:
        super().__init__()
        self.letters = letters
        self.source = source

    def single(self, parts: list[lark.Token]) -> _Fragment:
        chosen = np.zeros(self.letters.size, dtype=np.bool_)
        first, last = self._range(parts[0])
        chosen[first : last + 1] = True
        return _one(chosen)

    def any(self, _: list[object]) -> _Fragment:
        return _one(np.ones(self.letters.size, dtype=np.bool_))

    def member(self, parts: list[lark.Token | None]) -> tuple[int, int]:
        begin, _, end = parts
        assert begin is not None
        first, last = self._range(begin)
        if end is None:
            return first, last
        stop = self._range(end)[1]
        if stop < first:
            raise error("wrong-range", f"{begin}-{end} goes backwards in the alphabet", self._span(begin))
        return first, stop

    def set(self, parts: list[Any]) -> _Fragment:
        opening, members = parts[0], parts[1:]
        chosen = np.zeros(self.letters.size, dtype=np.bool_)
        for first, last in members:
            chosen[first : last + 1] = True
        return _one(~chosen if opening.endswith("^") else chosen)

    def quantifier(self, parts: list[lark.Token]) -> tuple[int, int | None, lark.Token]:
        (sign,) = parts
        match sign.type:
            case "STAR":
                return 0, None, sign
            case "PLUS":
                return 1, None, sign
            case "OPTION":
                return 0, 1, sign
        low, comma, high = sign[1:-1].partition(",")
        if max(len(low), len(high)) > 6:
            raise error("too-large", f"the repetition {sign[:20]}", self._span(sign))
        least, most = int(low), int(high) if high else None if comma else int(low)
        if most is not None and most < least:
            raise error("wrong-range", f"{sign} goes backwards", self._span(sign))
        return least, most, sign

    def repeated(self, parts: list[Any]) -> _Fragment:
        found: _Fragment = parts[0]
        for least, most, sign in parts[1:]:
            copies = max(least, 1) if most is None else most
            if copies * len(found.first) > MAX_POSITIONS:
                raise error("too-large", f"the pattern has more than {MAX_POSITIONS} positions", self._span(sign))
            pieces = [found] * least + [_optional(found)] * ((most or least) - least)
            if most is None:
                pieces = [*pieces[:-1], _looped(found, empty=least == 0)]
            found = _sequence(pieces, self.letters.size)
        return found

    def sequence(self, parts: list[_Fragment]) -> _Fragment:
        if sum(len(part.first) for part in parts) > MAX_POSITIONS:
            raise error("too-large", f"the pattern has more than {MAX_POSITIONS} positions", Span(self.source, 1))
        return parts[0] if len(parts) == 1 else _sequence(parts, self.letters.size)

    def choice(self, parts: list[_Fragment]) -> _Fragment:
        if len(parts) == 1:
            return parts[0]
        if sum(len(part.first) for part in parts) > MAX_POSITIONS:
            raise error("too-large", f"the pattern has more than {MAX_POSITIONS} positions", Span(self.source, 1))
        return _Fragment(
            np.concatenate([part.symbols for part in parts]),
            np.concatenate([part.first for part in parts]),
            np.concatenate([part.last for part in parts]),
            _diagonal(parts),
            any(part.empty for part in parts),
        )

    def _range(self, token: lark.Token) -> tuple[int, int]:
        """The symbols that a token names: one, or those of `<3-7>`."""
        if token.type == "ESCAPED":
            name = token[1:]
        elif token.type != "NAMED":
            name = str(token)
        else:
            name = token[1:-1]
            low, dash, high = name.partition("-")
            if dash and low.isdecimal() and high.isdecimal() and name not in self.letters.places:
                with_place = self._symbol(low, token), self._symbol(high, token)
                if with_place[1] < with_place[0]:
                    raise error("wrong-range", f"{token} goes backwards", self._span(token))
                return with_place
        place = self._symbol(name, token)
        return place, place

    def _symbol(self, name: str, token: lark.Token) -> int:
        try:
            if token.type != "NAMED" and name not in self.letters.places:
                hint = "" if self.letters.names else f"symbols without names are written <{self.letters.first}>"
                raise error("unknown-symbol", f'the alphabet has no symbol "{name}"', hint=hint)
            return self.letters.symbol(name)
        except DanausError as failure:
            raise DanausError(*(each.at(self._span(token)) for each in failure.diagnostics)) from None

    def _span(self, token: lark.Token) -> Span:
        line, column = token.line or 1, token.column or 1
        return Span(self.source, line, column, line, column + len(token))


def _one(chosen: Booleans) -> _Fragment:
    true = np.ones(1, dtype=np.bool_)
    return _Fragment(chosen[None], true, true, np.zeros((1, 1), dtype=np.bool_), False)


def _optional(part: _Fragment) -> _Fragment:
    return _Fragment(part.symbols, part.first, part.last, part.follow, True)


def _looped(part: _Fragment, empty: bool) -> _Fragment:
    follow = part.follow | (part.last[:, None] & part.first[None])
    return _Fragment(part.symbols, part.first, part.last, follow, part.empty or empty)


def _diagonal(parts: Sequence[_Fragment]) -> Booleans:
    sizes = np.cumsum([0, *(len(part.first) for part in parts)])
    follow = np.zeros((sizes[-1], sizes[-1]), dtype=np.bool_)
    for part, start, stop in zip(parts, sizes[:-1], sizes[1:], strict=True):
        follow[start:stop, start:stop] = part.follow
    return follow


def _sequence(parts: Sequence[_Fragment], symbols: int) -> _Fragment:
    """One part after the other; of no parts, the empty word."""
    sizes = np.cumsum([0, *(len(part.first) for part in parts)])
    count = int(sizes[-1])
    follow = _diagonal(parts)
    first, ends = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    empty = True
    for part, start, stop in zip(parts, sizes[:-1], sizes[1:], strict=True):
        follow[:start, start:stop] |= ends[:start, None] & part.first[None]
        if empty:
            first[start:stop] = part.first
        if not part.empty:
            ends[:start] = False
        ends[start:stop] = part.last
        empty = empty and part.empty
    table = np.concatenate([part.symbols for part in parts]) if parts else np.zeros((0, symbols), dtype=np.bool_)
    return _Fragment(table, first, ends, follow, empty)


def _automaton(built: _Fragment, symbols: int) -> Automaton:
    labels, columns = (
        classes(built.symbols) if len(built.first) else (np.zeros(symbols, dtype=np.int64), np.zeros(1, int))
    )
    count = len(built.first)
    # A first position of its own, where nothing has been read, which all first positions follow.
    follow = np.zeros((count + 1, count + 1), dtype=np.float32)
    follow[:count, :count] = built.follow
    follow[count, :count] = built.first
    reads = np.zeros((len(columns), count + 1), dtype=np.bool_)
    reads[:, :count] = built.symbols[:, columns].T

    def step(subsets: Booleans) -> Booleans:
        following = subsets.astype(np.float32) @ follow > 0
        moved: Booleans = following[:, None, :] & reads
        return moved

    start = np.zeros(count + 1, dtype=np.bool_)
    start[count] = True
    subsets, moves = determinised(step, start, len(columns))
    accepting = (subsets[:, :count] & built.last).any(axis=1) | (subsets[:, count] & built.empty)
    return minimal(moves, labels, accepting, 0)
