"""Domains and variables: what a circuit is a function of."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from .diagnostic import error


@dataclass(frozen=True, slots=True)
class Bool:
    """0 and 1."""

    @property
    def size(self) -> int:
        return 2

    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True, slots=True)
class Cat:
    """0 … n-1, with names or without."""

    n: int
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.names and len(self.names) != self.n:
            raise error("wrong-domain", f"cat({self.n}) has {len(self.names)} names")
        if self.n < 1:
            raise error("wrong-domain", f"cat({self.n}) has no values", hint="give at least one value")
        if len(set(self.names)) != len(self.names):
            raise error("duplicate-name", "two values of the domain have one name")

    @property
    def size(self) -> int:
        return self.n

    def __str__(self) -> str:
        return f"cat({', '.join(quote(name) for name in self.names)})" if self.names else f"cat({self.n})"


@dataclass(frozen=True, slots=True)
class Int:
    """lo … hi, both included."""

    lo: int
    hi: int

    def __post_init__(self) -> None:
        if self.hi < self.lo:
            raise error("wrong-domain", f"int({self.lo}, {self.hi}) has no values", hint="the upper bound is included")

    @property
    def size(self) -> int:
        return self.hi - self.lo + 1

    def __str__(self) -> str:
        return f"int({self.lo}, {self.hi})"


@dataclass(frozen=True, slots=True)
class Count:
    """0, 1, 2, …"""

    def __str__(self) -> str:
        return "count"


@dataclass(frozen=True, slots=True)
class Real:
    """The real numbers."""

    def __str__(self) -> str:
        return "real"


FiniteDomain = Bool | Cat | Int
Domain = Bool | Cat | Int | Count | Real


def quote(name: str) -> str:
    """The name in double quotes, as the language writes names that are not identifiers."""
    return f'"{name}"'


def first_value(domain: Domain) -> int:
    """The smallest value of a finite domain; codes are `value - first_value`."""
    return domain.lo if isinstance(domain, Int) else 0


_created = itertools.count()


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: equal to another where name and domain are; ordered by creation."""

    name: str
    domain: Domain
    order: int = field(default_factory=lambda: next(_created), compare=False, repr=False)

    @property
    def size(self) -> int | None:
        """The number of values, or None where there is no end of them."""
        return self.domain.size if isinstance(self.domain, FiniteDomain) else None

    def __str__(self) -> str:
        return self.name
