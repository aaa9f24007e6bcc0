"""Automata as they are written in `dfa(x, …)`: a pattern, a call such as `keywords("cat")`, or calls within calls.

Symbols are the values of the variables: numbers, names in quotes, or, in a text that is no name, its characters. Each
mistake is shown where it stands, inside a pattern too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import DanausError, Diagnostic, error, nearest, placed
from ...ir.span import Span
from .. import automata
from ..automata import Alphabet, Automaton
from ..syntax import Call, Expression, List, Name, Parenthesis
from .calls import Arguments, arguments
from .context import KINDS, Context, Index
from .numbers import describe, integer, ragged

FORMS = (
    "regex",
    "keywords",
    "automaton",
    "intersection",
    "union",
    "complement",
    "concatenation",
    "star",
    "over_tokens",
)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads automata over one alphabet."""

    letters: Alphabet
    context: Context


def automaton(expression: Expression, letters: Alphabet, context: Context) -> Automaton:
    """The automaton that an expression spells, over the symbols of an alphabet.

    Raises: DanausError `not-an-automaton`, `unknown-form`, `wrong-arguments`, `unknown-symbol`, `syntax`,
    `wrong-range`, `wrong-shape`, `wrong-index`, `too-large`.
    """
    return _automaton(expression, _Reader(letters, context))


def _automaton(expression: Expression, reader: _Reader) -> Automaton:
    forms: dict[str, Callable[[Call, _Reader], Automaton]] = {
        "regex": _regex,
        "keywords": _keywords,
        "automaton": _table,
        "intersection": _intersection,
        "union": _union,
        "complement": _complement,
        "concatenation": _concatenation,
        "star": _star,
        "over_tokens": _over_tokens,
    }
    with placed(expression.span):
        match expression:
            case Parenthesis(inner):
                return _automaton(inner, reader)
            case Name(_, _, True):
                return _pattern(expression, reader)
            case Call(Name(form)) if form in forms:
                return forms[form](expression, reader)
            case Call(Name(form, span)):
                hint = nearest(form, FORMS) or f"automata are {', '.join(FORMS)}, or a pattern in quotes"
                raise error("unknown-form", f'there is no automaton "{form}"', span, hint)
            case _:
                hint = 'write a pattern in quotes, keywords("cat", "dog"), or another of the forms of automata'
                raise error("not-an-automaton", f"{describe(expression)} is not an automaton", hint=hint)


def _regex(call: Call, reader: _Reader) -> Automaton:
    (pattern,) = arguments(call, 1, 1).positional
    if not isinstance(pattern, Name) or not pattern.quoted:
        raise error("wrong-arguments", f"{describe(pattern)} is not a pattern", pattern.span, hint="quote it")
    return _pattern(pattern, reader)


def _pattern(pattern: Name, reader: _Reader) -> Automaton:
    """A regular expression, its mistakes shown in the text of the spec."""
    try:
        return automata.regex(pattern.text, reader.letters)
    except DanausError as failure:
        raise DanausError(*(_within(pattern, found) for found in failure.diagnostics)) from None


def _within(pattern: Name, found: Diagnostic) -> Diagnostic:
    """A diagnostic of a pattern, placed in the quoted text that the pattern stands in."""
    if found.span is None or not found.span.end_column:
        return found.at(pattern.span)
    start, stop = found.span.column - 1, max(found.span.end_column, found.span.column + 1) - 1
    return replace(found, span=_part(pattern, start, stop))


def _part(text: Name, start: int, stop: int) -> Span:
    """The place of some characters of a quoted text; that after the last one is the closing quote."""
    first = text.span.column + 1
    return replace(text.span, column=first + start, end_line=text.span.line, end_column=first + stop)


def _keywords(call: Call, reader: _Reader) -> Automaton:
    given = arguments(call, 1, None, options=("every",))
    words = [_keyword(word, reader) for word in given.positional]
    return automata.keywords(words, reader.letters, every=_every(given))


def _every(given: Arguments) -> bool:
    option = given.options.get("every")
    if option is None:
        return True
    value = integer(option, {}, "every")
    if value not in (0, 1):
        raise error(
            "wrong-value", f"every is {value}", option.span, hint="1 for all of the keywords, 0 for any of them"
        )
    return bool(value)


def _keyword(word: Expression, reader: _Reader) -> list[int]:
    """The values of a keyword: one, those of a list, or the characters of a text that is no name of a value."""
    if isinstance(word, List):
        if not word.items:
            raise error("wrong-arguments", "a keyword without symbols", word.span, hint="leave it out")
        return [_symbol(item, reader) for item in word.items]
    names = reader.letters.places
    if isinstance(word, Name) and word.quoted and word.text not in names:
        missing = next((i for i, letter in enumerate(word.text) if letter not in names), None)
        if missing is None:
            return [names[letter] for letter in word.text]
        if any(len(name) == 1 for name in names) and len(word.text) > 1:
            place, letter = _part(word, missing, missing + 1), word.text[missing]
            hint = f'"{word.text}" is no value, nor is each of its characters'
            raise error("unknown-symbol", f'there is no value named "{letter}"', place, hint)
    return [_symbol(word, reader)]


def _symbol(item: Expression, reader: _Reader) -> int:
    """A value as it stands in data."""
    letters = reader.letters
    if isinstance(item, Name) and item.quoted:
        if item.text in letters.places:
            return letters.places[item.text]
        if not letters.names:
            hint = f"its values are {_values(letters)}, written as numbers: keywords(1, [2, 0])"
            raise error("unknown-symbol", "the domain has no named values", item.span, hint=hint)
        hint = nearest(item.text, letters.names) if letters.size < 10_000 else ""
        raise error(
            "unknown-symbol",
            f'there is no value named "{item.text}"',
            item.span,
            hint or f"values are {', '.join(letters.names[:8])}{', …' if letters.size > 8 else ''}",
        )
    if isinstance(item, Name):
        raise error("not-a-number", f'"{item.text}" is not a number', item.span, hint=f'write "{item.text}" in quotes')
    value = integer(item, {}, "a symbol")
    if not letters.first <= value < letters.first + letters.size:
        raise error("unknown-symbol", f"there is no value {value}", item.span, hint=f"values are {_values(letters)}")
    return value


def _values(letters: Alphabet) -> str:
    return f"{letters.first} to {letters.first + letters.size - 1}"


def _table(call: Call, reader: _Reader) -> Automaton:
    given = arguments(call, 2, 2, options=("start",))
    table, accepting = given.positional
    moves = _integers(table, reader.context, 2)
    if moves.shape[1:] != (reader.letters.size,):
        message = f"the table has shape {list(moves.shape)}, but there are {reader.letters.size} values"
        raise error("wrong-shape", message, table.span, hint="a row for each state, a column for each value")
    start = given.options.get("start")
    first = 0 if start is None else integer(start, {}, "the start")
    return Automaton.of(moves, _integers(accepting, reader.context, 1), first)


def _integers(expression: Expression, context: Context, axes: int) -> NDArray[np.int64]:
    """A list of integers, or of lists of them, or the name of an index."""
    if isinstance(expression, Name) and not expression.quoted:
        found = context.lookup(expression)
        if not isinstance(found, Index):
            raise error("not-an-index", f'"{expression.text}" is {KINDS[type(found)]}, not an index', expression.span)
        values = found.values
    else:
        rows = ragged(expression, {}, flat=axes == 1)
        if axes == 1:
            return np.array(rows[0], dtype=np.int64)
        if len({len(row) for row in rows}) > 1:
            raise error("wrong-shape", "the rows differ in length", expression.span, hint="one number for each value")
        values = np.array(rows, dtype=np.int64).reshape(len(rows), -1)
    if values.ndim != axes:
        wanted = "[states, values]" if axes == 2 else "[states]"
        raise error(
            "wrong-shape", f"{describe(expression)} has shape {list(values.shape)}, not {wanted}", expression.span
        )
    return values


def _all(call: Call, reader: _Reader, fewest: int) -> list[Automaton]:
    return [_automaton(item, reader) for item in arguments(call, fewest, None).positional]


def _intersection(call: Call, reader: _Reader) -> Automaton:
    return reduce(lambda first, second: first & second, _all(call, reader, 2))


def _union(call: Call, reader: _Reader) -> Automaton:
    return reduce(lambda first, second: first | second, _all(call, reader, 2))


def _concatenation(call: Call, reader: _Reader) -> Automaton:
    return reduce(lambda first, second: first + second, _all(call, reader, 2))


def _complement(call: Call, reader: _Reader) -> Automaton:
    return ~_automaton(arguments(call, 1, 1).positional[0], reader)


def _star(call: Call, reader: _Reader) -> Automaton:
    return _automaton(arguments(call, 1, 1).positional[0], reader).star()


def _over_tokens(call: Call, reader: _Reader) -> Automaton:
    inner, characters = arguments(call, 2, 2).positional
    if not isinstance(characters, Name) or not characters.quoted:
        message = f"{describe(characters)} is not the characters that tokens are made of"
        raise error("wrong-arguments", message, characters.span, hint='write over_tokens(…, "abc")')
    if not reader.letters.names:
        raise error("wrong-alphabet", "the domain has no named values to spell tokens", hint='write cat("c", "at", …)')
    with placed(characters.span):
        spelling = automata.alphabet(characters.text)
    found = _automaton(inner, replace(reader, letters=spelling))
    return automata.over_tokens(found, reader.letters.names, spelling)
