"""Alphabets: how the symbols 0 … n-1 of an automaton are written, by a domain, by characters, or by names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ...ir.diagnostic import error, nearest
from ...ir.domain import Cat, FiniteDomain, Int, Variable

AlphabetLike: TypeAlias = "int | str | Sequence[str] | Variable | Iterable[Variable] | Alphabet"
"""A number of symbols, their characters as one text, their names, or a variable (or array) with their domain."""


@dataclass(frozen=True, slots=True)
class Alphabet:
    """`size` symbols, from the code `first` on, with names or without."""

    size: int
    names: tuple[str, ...] = ()
    first: int = 0
    places: dict[str, int] = field(default_factory=dict[str, int], compare=False, repr=False)

    def symbol(self, name: str) -> int:
        """The symbol of a name, or, where it is no name, of a code as it stands in data.

        Raises: DanausError `unknown-symbol`.
        """
        if name in self.places:
            return self.places[name]
        digits = name[1:] if name.startswith("-") else name
        if not self.names and digits.isdecimal() and digits.isascii() and len(digits) < 19:
            code = int(name) - self.first
            if 0 <= code < self.size:
                return code
        hint = nearest(name, self.names) if len(self.names) < 10_000 else ""
        raise error("unknown-symbol", f'the alphabet has no symbol "{name}"', hint=hint or self._describe())

    def _describe(self) -> str:
        if self.names:
            return f"its symbols are {', '.join(map(repr, self.names[:8]))}{', …' if self.size > 8 else ''}"
        return f"its symbols are <{self.first}> to <{self.first + self.size - 1}>"


def alphabet(given: AlphabetLike) -> Alphabet:
    """The alphabet of what a caller gives.

    Raises: DanausError `wrong-alphabet`, `duplicate-name`.
    """
    match given:
        case Alphabet():
            return given
        case Variable(domain=domain):
            if not isinstance(domain, FiniteDomain):
                raise error("wrong-alphabet", f'"{given.name}" is {domain}, which has no end of values')
            names = domain.names if isinstance(domain, Cat) else ()
            return _named(names) if names else Alphabet(domain.size, first=domain.lo if isinstance(domain, Int) else 0)
        case bool():
            pass
        case int() if given > 0:
            return Alphabet(given)
        case str() if given:
            return _named(tuple(given))
        case Iterable():
            items: list[object] = list(given)
            names = tuple(item for item in items if isinstance(item, str) and item)
            if names and len(names) == len(items):
                return _named(names)
            variables = [item for item in items if isinstance(item, Variable)]
            if variables and len(variables) == len(items):
                if any(variable.domain != variables[0].domain for variable in variables):
                    raise error("wrong-domain", "the variables of a sequence differ in their domains")
                return alphabet(variables[0])
        case _:
            pass
    raise error(
        "wrong-alphabet",
        f"{str(given)[:60]!r} is no alphabet",
        hint='give the number of symbols, their characters "abc", a list of names, or a variable',
    )


def _named(names: tuple[str, ...]) -> Alphabet:
    places = {name: place for place, name in enumerate(names)}
    if len(places) < len(names):
        twice = next(name for place, name in enumerate(names) if places[name] != place)
        raise error("duplicate-name", f'the symbol "{twice}" stands twice in the alphabet')
    return Alphabet(len(names), names, 0, places)
