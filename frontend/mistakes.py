"""Why a line does not parse, in the user's terms. Enter the line's tokens, the place where the parser stopped, and the
terminals that it could have taken there; leaves a diagnostic that says what is wrong and how to write it.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..ir.diagnostic import Diagnostic, nearest
from ..ir.span import Note, Span
from .nesting import OPERAND_ENDS, STATEMENTS
from .tokens import Token

# The form of each statement and line, shown where one is wrong outside of any brackets.
_FORMS = {
    "VAR": "var NAME : DOMAIN, or var NAME[N] : DOMAIN",
    "PARAM": "param NAME[D0, D1, …] : CONSTRAINT = VALUE; the constraint and the value may be left out",
    "CONST": "const NAME[D0, D1, …] : CONSTRAINT = VALUE; the constraint may be left out",
    "INDEX": "index NAME[D0, …] = VALUE; an index has no constraint",
    "CIRCUIT": "circuit NAME = CIRCUIT, or circuit NAME { BINDINGS }",
    "ASSERT": "assert PREDICATE",
    "QUERY": "query NAME = QUERY",
    "IMPORT": 'import "FILE" as NAME, or import "FILE" as NAME(OPTION = VALUE, …)',
    "LOAD": 'load "FILE.safetensors"',
    "FOR": "for NAME in A..B { … }, or for NAME in reversed(A..B) { … }",
    "RETURN": "return BLOCK",
}
_WORDS = ("var", "param", "const", "index", "circuit", "assert", "query", "import", "load")
_RESERVED = STATEMENTS | {"AS", "FOR", "IN", "REVERSED", "RETURN", "OR", "AND", "NOT", "INF"}
_DOMAINS = "the domains are bool, cat(n), int(lo, hi), count and real"
_CONSTRAINTS = "the constraints are simplex, unit, positive and real"

# What may come next, as a reader would put it, in the order in which it is listed.
_EXPECTED = {
    "COLON": '":"',
    "EQUAL": '"="',
    "LBRACE": '"{"',
    "COMMA": '","',
    "RPAR": '")"',
    "RSQB": '"]"',
    "DOTS": '".."',
    "AS": '"as"',
    "IN": '"in"',
    "LPAR": '"("',
    "_END": "the end of the line",
}
_OPERAND_STARTS = frozenset({"IDENTIFIER", "QUOTED", "NUMBER", "LPAR", "LSQB"})
_OPERATORS = frozenset({"SIGN", "SCALE", "AND", "OR", "COMMA", "EQUAL", "DOTS"})
_CONTINUATIONS = _OPERATORS | {"COLON", "DOT", "AS", "IN"}


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the parser stopped in a line: at the token of that position, or, past the last one, at its end."""

    line: list[Token]
    position: int
    accepted: AbstractSet[str]
    in_body: bool

    @property
    def found(self) -> Token | None:
        """The token that cannot stand here; none at the end of the line, which NOTHING marks before a brace put in."""
        found = self.line[self.position] if self.position < len(self.line) else None
        return None if found is not None and found.type == "NOTHING" else found

    @property
    def previous(self) -> Token | None:
        return self.line[self.position - 1] if self.position else None

    @property
    def opening(self) -> Token | None:
        """The innermost bracket that is open here."""
        closed = 0
        for token in reversed(self.line[: self.position]):
            if token.type in ("RPAR", "RSQB"):
                closed += 1
            elif token.type in ("LPAR", "LSQB"):
                if not closed:
                    return token
                closed -= 1
        return None


def begins_with_continuation(line: list[Token]) -> bool:
    """Whether a line begins with what can only go on an earlier one."""
    return line[0].type in _CONTINUATIONS


def ends_with_operator(line: list[Token]) -> bool:
    """Whether a line ends in the middle of an expression, so that the next one was meant to go on."""
    return line[-1].type in _OPERATORS


def belongs_in_body(line: list[Token]) -> bool:
    """Whether a line begins like one of a circuit's body."""
    binding = line[0].type in ("IDENTIFIER", "QUOTED") and len(line) > 1 and line[1].type == "EQUAL"
    return binding or line[0].type in ("FOR", "RETURN")


def explain(stop: Stop) -> Diagnostic:
    """The diagnostic of a line that does not parse."""
    found, previous = stop.found, stop.previous
    if previous is None:
        return _beginning(stop)
    if found is not None and found.type in _RESERVED and "IDENTIFIER" in stop.accepted:
        return _reserved(found, stop)
    if previous.type == "COMMA" and found is not None and found.type in ("RPAR", "RSQB"):
        return _mistake(f'a trailing comma before "{found}"', previous.span, "leave it out")
    wanted = _wanted(stop)
    if found is None:
        message = f"expected {wanted} after {shown(previous)}"
    elif found.type in _OPERAND_STARTS and "COMMA" in stop.accepted:
        message = f"expected {wanted} before {shown(found)}"
    else:
        message = f"expected {wanted}, found {shown(found)}"
    opening = stop.opening
    place = _after(previous) if found is None else found.span
    notes: tuple[Note, ...] = ()
    if opening is not None and opening.span.line != place.line:
        notes = (Note(f'the "{opening}" was opened here', opening.span),)
    return Diagnostic("syntax", message, place, _hint(stop), notes)


def shown(token: Token) -> str:
    """A token as a message shows it, cut where it is long."""
    text = str(token) if token.type != "NUMBERS" else token.split(",")[0]
    text = text if len(text) <= 40 else text[:40] + "…"
    return text if token.type == "QUOTED" else f'"{text}"'


def _mistake(message: str, span: Span, hint: str = "") -> Diagnostic:
    return Diagnostic("syntax", message, span, hint)


def _after(token: Token) -> Span:
    span = token.span
    return Span(span.source, span.end_line, span.end_column, span.end_line, span.end_column)


def _beginning(stop: Stop) -> Diagnostic:
    """The first token of the line is wrong."""
    token = stop.line[0]
    following = stop.line[1].type if len(stop.line) > 1 else ""
    if begins_with_continuation(stop.line):
        hint = "a statement goes on over several lines only inside ( ) or [ ]"
        return _mistake(f"a line cannot begin with {shown(token)}", token.span, hint)
    if stop.in_body:
        if token.type in STATEMENTS:
            return _mistake(f'"{token}" cannot stand inside a circuit', token.span, "move the statement out of the { }")
        if token.type in _RESERVED:
            return _reserved(token, stop)
        return _mistake(f'expected a binding, "for" or "return", found {shown(token)}', token.span)
    if token.type in ("FOR", "RETURN"):
        return _mistake(f'"{token}" stands only inside a circuit', token.span, "write circuit NAME { … } around it")
    if token.type in ("IDENTIFIER", "QUOTED"):
        if following == "EQUAL":
            hint = f"a binding stands inside circuit NAME {{ … }}; or write: const {token} = …, circuit {token} = …"
            return _mistake(f"{shown(token)} = … is no statement", token.span, hint if len(token) < 40 else "")
        hint = (
            nearest(token[:20].lower(), _WORDS) or f"a statement begins with {', '.join(_WORDS[:-1])} or {_WORDS[-1]}"
        )
        return _mistake(f"{shown(token)} begins no statement", token.span, hint)
    hint = f"a statement begins with {', '.join(_WORDS[:-1])} or {_WORDS[-1]}"
    return _mistake(f"a statement cannot begin with {shown(token)}", token.span, hint)


def _reserved(token: Token, stop: Stop) -> Diagnostic:
    """A reserved word stands where a name or an expression does."""
    if token.type == "INF":
        return _mistake('"inf" is reserved, and no number', token.span, "numbers are finite")
    if "NUMBER" in stop.accepted and token.type in ("AND", "OR"):
        return _mistake(f'expected an expression before "{token}"', token.span)
    if "NUMBER" in stop.accepted and token.type == "NOT":
        hint = "not, and, or join the properties of an assert"
        return _mistake('"not" cannot stand here', token.span, hint)
    hint = f'choose another name, or put it in quotes: "{token}"'
    return _mistake(f'"{token}" is a reserved word', token.span, hint)


def _wanted(stop: Stop) -> str:
    """What could come here, in words."""
    accepted, previous, keyword = stop.accepted, stop.previous, stop.line[0].type
    if "NUMBER" in accepted:
        return "a predicate" if "NOT" in accepted and keyword == "ASSERT" else "an expression"
    if "IDENTIFIER" in accepted and "QUOTED" in accepted:
        return "a name"
    if "IDENTIFIER" in accepted:
        return "a domain" if keyword == "VAR" else "a constraint"
    if "QUOTED" in accepted:
        return "a file name in double quotes"
    assert previous is not None
    kinds = [kind for kind in _EXPECTED if kind in accepted]
    if "COMMA" in kinds:  # in a list or a call, whose other ways on would only confuse
        kinds = [kind for kind in kinds if kind in ("COMMA", "RPAR", "RSQB")]
    elif "LPAR" in kinds and len(kinds) > 1:
        kinds.remove("LPAR")
    words = [_EXPECTED[kind] for kind in kinds]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""])) or "something else"


def _hint(stop: Stop) -> str:
    found, previous, keyword, opening = stop.found, stop.previous, stop.line[0].type, stop.opening
    assert previous is not None
    kind = found.type if found is not None else ""
    if found is None and ends_with_operator(stop.line) and previous.type != "EQUAL":
        return "a statement goes on over several lines only inside ( ) or [ ]"
    if stop.in_body and stop.position == 1 and keyword in ("IDENTIFIER", "QUOTED"):
        return nearest(previous[:20].lower(), ["return", "for"]) or "a binding is NAME = BLOCK"
    if kind == "LPAR" and previous.type == "QUOTED":
        return "the name of a call is not in quotes"
    if kind == "LPAR" and stop.position > 1 and stop.line[stop.position - 2].type == "DOT":
        return "what an import holds is a circuit, which takes no arguments"
    if kind == "LSQB" and previous.type == "RSQB":
        return "to take a part of a part, put parentheses: (a[0..4])[1]"
    if kind == "COLON" and opening is not None:
        return "a slice is written a[lo..hi], an option NAME = VALUE"
    if kind == "EQUAL" and keyword == "ASSERT":
        return "equal(p, q) compares circuits, near(p, NUMBER, TOLERANCE) a value"
    if previous.type == "COLON" and opening is None:
        return _DOMAINS if keyword == "VAR" else _CONSTRAINTS
    if opening is not None:
        return ""
    if kind == "COMMA" and keyword == "VAR":
        return "one statement declares one name"
    if kind == "DOTS":
        return "a range stands in the brackets after a name, or after in"
    if keyword in _FORMS and ("_END" not in stop.accepted or kind in ("LBRACE", "COLON", "EQUAL")):
        return f"write it as: {_FORMS[keyword]}"
    if kind in STATEMENTS or kind in ("FOR", "RETURN"):
        return "a new line or a ; stands between two"
    return "" if previous.type not in OPERAND_ENDS else _between(stop)


def _between(stop: Stop) -> str:
    """What may be missing between two operands."""
    found, previous = stop.found, stop.previous
    if found is None or previous is None or found.type not in _OPERAND_STARTS:
        return ""
    return "an operator such as * may be missing, or a new line"
