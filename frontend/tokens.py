"""Text to tokens. Enters a source; leave the words, numbers and signs in it, each with its span. What is no token at
all (a `%`, a quote that never closes, `1.`) is reported here, and leaves an ERROR token in its place.

The patterns are the terminals of `grammar.lark`. Newlines are still tokens of their own: `nesting` decides which of
them end a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import lark
from lark.lexer import PatternStr, TerminalDef

from ..ir.diagnostic import DanausError, Diagnostic, Gatherer, error
from ..ir.span import Source, Span

MOST_TOKENS = 3_000_000
"""Tokens and listed numbers in one text; 3 million numbers take about 0.6 GB as syntax."""

_GAP = r"(?:[ \t\n]|\r\n)*+"

# What people write for something that the language spells differently, and the right spelling.
_FOREIGN = {
    "==": "a single = gives a value: [x = 1]; equal(p, q) compares circuits",
    "!=": "there is no comparison; `not` negates a property",
    "<=": "there is no comparison; near(p, NUMBER, TOLERANCE) bounds a value",
    ">=": "there is no comparison; near(p, NUMBER, TOLERANCE) bounds a value",
    ":=": "write = alone",
    "**": "write power(p, a)",
    "//": "a comment starts with #",
    "/*": "a comment starts with #",
    "≤": "there is no comparison; near(p, NUMBER, TOLERANCE) bounds a value",
    "≥": "there is no comparison; near(p, NUMBER, TOLERANCE) bounds a value",
    "&": "write and",
    "|": "write or",
    "!": "write not",
    "<": "there is no comparison; near(p, NUMBER, TOLERANCE) bounds a value",
    ">": "there is no comparison; near(p, NUMBER, TOLERANCE) bounds a value",
    "^": "write power(p, a)",
    "%": "a comment starts with #",
    "'": 'a name is quoted with "',
    "`": 'a name is quoted with "',
    "“": 'a name is quoted with a plain "',
    "”": 'a name is quoted with a plain "',
    "\\": "a statement goes on over several lines only inside ( ) or [ ]",
    "−": "write the plain -",
    "–": "write the plain -",
    "×": "write *",
    "·": "write *",
    "…": "write .. for a range",
    "¬": "write not",
    "∧": "write and",
    "∨": "write or",
    "\r": "a carriage return stands only before a newline",
    "\ufeff": "a byte order mark stands only at the start of a file",
}


class Token(lark.Token):
    """A word, number, sign or line end of a spec; `type` is the terminal of the grammar."""

    __slots__ = ("place",)

    place: Span | tuple[Source, int, int, int, int]

    @staticmethod
    def at(kind: str, text: str, place: Span | tuple[Source, int, int, int, int]) -> Token:
        """A token of a kind; its place is a span, or the fields of one."""
        token = str.__new__(Token, text)
        token.type = kind
        token.place = place
        return token

    @property
    def span(self) -> Span:
        """Where the token stands; made when first asked for, since most tokens never are."""
        if isinstance(self.place, tuple):
            self.place = Span(*self.place)
        return self.place


@dataclass(frozen=True, slots=True)
class Scanner:
    """Cuts a text into tokens; made once, from the terminals of the grammar."""

    words: dict[str, str]
    signs: dict[str, str]
    pattern: re.Pattern[str]
    run: re.Pattern[str]

    @staticmethod
    def of(terminals: Iterable[TerminalDef]) -> Scanner:
        fixed = {t.pattern.value: t.name for t in terminals if isinstance(t.pattern, PatternStr)}
        shaped = {t.name: t.pattern.value for t in terminals if not isinstance(t.pattern, PatternStr)}
        words = {text: name for text, name in fixed.items() if text.isalpha()} | {"inf": "INF"}
        signs = {text: name for text, name in fixed.items() if not text.isalpha()}
        signs |= dict.fromkeys("+-", "SIGN") | dict.fromkeys("*/", "SCALE")
        number = f"(?>{shaped['NUMBER']})"
        by_length = sorted(signs, key=len, reverse=True)
        patterns = {
            "IDENTIFIER": shaped["IDENTIFIER"],
            "MALFORMED": rf"{number}(?=[A-Za-z_]|\.(?!\.))(?:[A-Za-z0-9_]|\.(?!\.))*",
            "NUMBER": number,
            "FOREIGN": r"[=!<>:]=|\*\*|//|/\*|[^\sA-Za-z0-9_\"#;.,:=+*/()\[\]{}-]+",
            "SIGNS": "|".join(re.escape(text) for text in by_length),
            "QUOTED": shaped["QUOTED"],
            "NEWLINE": r"\r?\n(?:[ \t\n]|\r\n|#[^\n]*)*+",
            "SEMICOLON": ";",
            "COMMENT": r"#[^\n]*",
            "EMPTY": '""',
            "UNCLOSED": r'"[^"\r\n]*',
            "STOP": r"\Z",
            "STRANGE": r"(?s:.)",
        }
        whole = "|".join(f"(?P<{name}>{text})" for name, text in patterns.items())
        plain = rf"[+-]?{number}"
        return Scanner(
            words,
            signs,
            re.compile(rf"[ \t]*+(?:{whole})"),
            re.compile(rf"{_GAP}({plain}(?:{_GAP},{_GAP}{plain}(?={_GAP}[,\])]))++)"),
        )

    def scan(self, source: Source, mistakes: Gatherer) -> list[Token]:
        """The tokens of a text; raises where it is too large to be a spec."""
        text = source.text
        tokens: list[Token] = []
        words, signs, match, run, make = self.words, self.signs, self.pattern.match, self.run.match, Token.at
        line, line_start, previous, listed = 1, 0, "", 0
        position = 1 if text.startswith("\ufeff") else 0
        while True:
            found = match(text, position)
            assert found is not None and found.lastgroup is not None  # STRANGE or STOP matches what nothing else does
            kind = found.lastgroup
            start, position = found.span(kind)
            spelt = text[start:position]
            if kind == "IDENTIFIER":
                kind = words.get(spelt, kind)
            elif kind == "SIGNS":
                kind = signs[spelt]
            elif kind == "COMMENT":
                continue
            elif kind == "STOP":
                return tokens
            place = (source, line, start - line_start + 1, line, position - line_start + 1)
            if kind == "NEWLINE":
                line += spelt.count("\n")
                line_start = start + spelt.rindex("\n") + 1
                spelt = "\n"
            elif kind in _WRONG:
                if previous != "ERROR" or tokens[-1].span.end_column != place[2] or tokens[-1].span.line != line:
                    mistakes.add(_explain(kind, spelt, Span(*place)))
                kind = "UNCLOSED" if kind == "UNCLOSED" else "ERROR"
            tokens.append(make(kind, spelt, place))
            if len(tokens) + listed > MOST_TOKENS:
                raise _too_large(Span(*place))
            # A list, or the arguments of a call: the grammar takes a run of numbers there.
            if (kind == "COMMA" or kind == "LSQB" or (kind == "LPAR" and previous == "IDENTIFIER")) and (
                numbers := run(text, position)
            ):
                start, end = numbers.span(1)
                line += text.count("\n", position, start)
                line_start = max(line_start, text.rfind("\n", position, start) + 1)
                lines = text.count("\n", start, end)
                last_start = max(line_start, text.rfind("\n", start, end) + 1)
                place = (source, line, start - line_start + 1, line + lines, end - last_start + 1)
                tokens.append(make("NUMBERS", text[start:end], place))
                listed += text.count(",", start, end)
                line, line_start, position, kind = line + lines, last_start, end, "NUMBERS"
            previous = kind


_WRONG = frozenset({"MALFORMED", "FOREIGN", "EMPTY", "UNCLOSED", "STRANGE"})


def _too_large(span: Span) -> DanausError:
    return error(
        "too-large",
        f"the text has more than {MOST_TOKENS:,} words and numbers",
        span,
        'keep large arrays in a file of their own: load "FILE.safetensors"',
    )


def _explain(kind: str, text: str, span: Span) -> Diagnostic:
    """What is wrong with a piece of text that is no token."""
    if kind == "EMPTY":
        return Diagnostic("syntax", "a name in quotes cannot be empty", span)
    if kind == "UNCLOSED":
        return Diagnostic("syntax", "the quote is not closed on its line", span, 'put a " at the end of the name')
    if kind == "MALFORMED":
        return _malformed(text, span)
    letter = "a name with other letters stands in double quotes" if text[0].isalpha() else ""
    hint = _FOREIGN.get(text) or _FOREIGN.get(text[:2]) or _FOREIGN.get(text[0], letter)
    if text.isprintable():
        noun = "sign" if len(text) > 1 else "character"
        return Diagnostic("syntax", f'unknown {noun} "{text[:20]}"', span, hint)
    return Diagnostic("syntax", f"unknown character {_code(text)}", span, hint)


def _code(text: str) -> str:
    """The first character that cannot be printed, by its number and name."""
    import unicodedata  # only for this message

    strange = next(character for character in text if not character.isprintable())
    name = unicodedata.name(strange, "").lower()
    return f"U+{ord(strange):04X}" + (f" ({name})" if name else "")


def _malformed(text: str, span: Span) -> Diagnostic:
    digits = re.match(r"[0-9]*\.?[0-9]*", text)
    assert digits is not None
    start, rest = digits.group(), text[digits.end() :]
    shown = text if len(text) <= 40 else text[:40] + "…"
    if start.endswith(".") and not rest.startswith("."):
        hint = f"write {start}0, or {start[:-1]} for an integer; a range is {start[:-1]}..hi" if len(start) < 20 else ""
        return Diagnostic("syntax", f'a digit must follow the point of "{shown}"', span, hint)
    if rest.startswith("."):
        return Diagnostic("syntax", f'"{shown}" has two points', span, "a number has one, a range is lo..hi")
    if re.fullmatch(r"[eE]", rest):
        return Diagnostic("syntax", f'"{shown}" has no digits in its exponent', span, "write it like 1e-3")
    if rest.startswith("_"):
        return Diagnostic("syntax", f'"{shown}" is not a number', span, "digits are not grouped: write 1000")
    hint = "a name that begins with a digit stands in double quotes; a product has a *"
    return Diagnostic("syntax", f'"{shown}" is neither a number nor a name', span, hint)
