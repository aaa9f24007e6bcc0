"""Names as the language spells them, and new ones that no other name of the file has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...ir.block import Block
from ...ir.diagnostic import error
from ...ir.domain import quote
from ...ir.span import Source, Span
from ..nesting import STATEMENTS

RESERVED = {"as", "for", "in", "reversed", "return", "and", "or", "not", "inf", *map(str.lower, STATEMENTS)}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BINDING = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?!=)")


def spelled(name: str) -> str:
    """A name as it stands in a text: as it is where it is an identifier, in double quotes otherwise.

    >>> spelled("rain"), spelled("x[3]"), spelled("circuit")
    ('rain', '"x[3]"', '"circuit"')

    Raises: DanausError `unwritable-name`.
    """
    if _IDENTIFIER.fullmatch(name) and name not in RESERVED:
        return name
    return quoted(name)


def quoted(text: str) -> str:
    """A text in double quotes.

    Raises: DanausError `unwritable-name` for what no quotes can hold.
    """
    if not text or any(mark in text for mark in '"\n\r') or any("\ud800" <= mark <= "\udfff" for mark in text):
        raise error(
            "unwritable-name",
            f"the name {text!r} cannot stand in a text",
            hint="a name in a .circuit is not empty, and has no double quote and no line break",
        )
    return quote(text)


@dataclass(slots=True)
class Names:
    """The names of a file that are taken."""

    taken: set[str] = field(default_factory=set[str])

    def fresh(self, stem: str) -> str:
        """A name that was free: the stem itself, or the stem with a number behind it."""
        name, number = stem, 0
        while name in self.taken:
            number += 1
            name = f"{stem}#{number}"
        self.taken.add(name)
        return name


def block_names(blocks: Sequence[Block], names: Names) -> dict[Block, str]:
    """A name for each block of a body: the one it was bound to where it was made, else `b0`, `b1`, …

    A name that stood for several blocks in turn, in a loop, is numbered; one that is taken in the file is not used.
    """
    bound = {block: _bound(block.span) for block in blocks}
    makers: dict[object, int] = {}
    for block in blocks:
        if block.span is not None:
            makers[_place(block.span)] = makers.get(_place(block.span), 0) + 1
    prefix = _prefix(names.taken)
    out: dict[Block, str] = {}
    used: dict[str, int] = {}
    for number, block in enumerate(blocks):
        name = bound[block]
        span = block.span
        many = span is not None and makers[_place(span)] > 1
        if not name or name in names.taken or (many and not isinstance(span and span.source, Source)):
            out[block] = f"{prefix}{number}"
            continue
        turn = used.get(name, 0)
        used[name] = turn + 1
        out[block] = f"{name}_{turn}" if turn else name
    return _distinct(out, names.taken, prefix)


def _distinct(found: dict[Block, str], taken: Iterable[str], prefix: str) -> dict[Block, str]:
    """The same names, but for those that numbering made equal to another."""
    seen: set[str] = set(taken)
    out: dict[Block, str] = {}
    spare = len(found)
    for block, name in found.items():
        while name in seen:
            name, spare = f"{prefix}{spare}", spare + 1
        seen.add(name)
        out[block] = name
    return out


def _place(span: Span) -> object:
    return (id(span.source) if isinstance(span.source, Source) else span.source, span.line, span.column)


def _bound(span: Span | None) -> str:
    """The name that the line of a span binds, where the span is all that it binds it to; else nothing."""
    if span is None:
        return ""
    text = span.text
    found = _BINDING.match(text)
    if found is None or (span.end_column and found.end() != span.column - 1):
        return ""
    name = found.group(1)
    return "" if name in RESERVED else name


def _prefix(taken: Iterable[str]) -> str:
    """What generated names begin with: `b`, unless a name of the file looks like one of them."""
    prefix = "b"
    while any(re.fullmatch(rf"{prefix}\d+", name) for name in taken):
        prefix += "_"
    return prefix
