"""Domains, as functions that make variables: `dn.Bool("rain")`, `dn.Cat("x", 27, shape=100)`.

A name and the values enter; a `Variable` of the IR leaves, or, where a shape is asked for, an array of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, overload

from ...ir import domain as domains
from ...ir.diagnostic import error, placed
from ...ir.domain import Domain, Variable
from ...ir.span import caller
from ..elaborate.declarations import MAX_VARIABLES
from ..elaborate.variables import MAX_VALUES
from .arguments import bounds, describe, integer, is_sequence, named, size

_LARGEST_BOUND = 1 << 53


@dataclass(frozen=True, slots=True, repr=False)
class Variables:
    """An array of variables of one domain, named `x[0]`, `x[1]`, …; indexed and sliced like a list, from 0 up.

    >>> import danaus as dn
    >>> x = dn.Bool("x", shape=4)
    >>> len(x), x[1].name, [variable.name for variable in x[2:4]]
    (4, 'x[1]', ['x[2]', 'x[3]'])

    Raises: DanausError `wrong-index` for empty slices, steps, negative and too large indices.
    """

    name: str
    elements: tuple[Variable, ...]

    def __len__(self) -> int:
        return len(self.elements)

    def __iter__(self) -> Iterator[Variable]:
        return iter(self.elements)

    @overload
    def __getitem__(self, index: int) -> Variable: ...
    @overload
    def __getitem__(self, index: slice) -> Variables: ...
    def __getitem__(self, index: int | slice) -> Variable | Variables:
        with placed(caller()):
            start, stop = bounds(index, len(self.elements))
            return Variables(self.name, self.elements[start:stop]) if isinstance(index, slice) else self.elements[start]

    def __repr__(self) -> str:
        return f"the {len(self.elements)} variables {self.elements[0].name} … {self.elements[-1].name}"


VariablesLike: TypeAlias = "Variable | Variables | Iterable[Variable | Variables]"


@overload
def Bool(name: str) -> Variable: ...
@overload
def Bool(name: str, *, shape: int) -> Variables: ...
def Bool(name: str, *, shape: int | None = None) -> Variable | Variables:
    """A variable that is 0 or 1, or an array of them.

    >>> import danaus as dn
    >>> dn.Bool("rain")
    Variable(name='rain', domain=Bool())
    """
    with placed(caller()):
        return _made(name, domains.Bool(), shape)


@overload
def Cat(name: str, *values: int | str | Sequence[str]) -> Variable: ...
@overload
def Cat(name: str, *values: int | str | Sequence[str], shape: int) -> Variables: ...
def Cat(name: str, *values: int | str | Sequence[str], shape: int | None = None) -> Variable | Variables:
    """A variable with the values 0 … n-1, or with named ones, which stand for 0, 1, …

    >>> import danaus as dn
    >>> print(dn.Cat("wet", 3).domain, dn.Cat("size", "small", "large").domain)
    cat(3) cat("small", "large")

    Raises: DanausError `wrong-domain`, `wrong-arguments`, `duplicate-name`.
    """
    with placed(caller()):
        return _made(name, _categories(values), shape)


def _categories(values: Sequence[object]) -> domains.Cat:
    if len(values) == 1 and is_sequence(values[0]):
        values = values[0]
    if len(values) == 1 and not isinstance(values[0], str):
        count = size(values[0], "the number of values")
        _require_values(count)
        return domains.Cat(count)
    if not values:
        raise error("wrong-arguments", "Cat has no values", hint='write dn.Cat("x", 3) or dn.Cat("x", "low", "high")')
    names = tuple(named(value, "the name of a value") for value in values)
    return domains.Cat(len(names), names)


def _require_values(count: int) -> None:
    if count > MAX_VALUES:
        raise error("too-large", f"a domain of {count} values", hint=f"a domain has at most {MAX_VALUES}")


@overload
def Int(name: str, lo: int, hi: int) -> Variable: ...
@overload
def Int(name: str, lo: int, hi: int, *, shape: int) -> Variables: ...
def Int(name: str, lo: int, hi: int, *, shape: int | None = None) -> Variable | Variables:
    """A variable with the whole numbers lo … hi, both included.

    >>> import danaus as dn
    >>> print(dn.Int("age", 0, 120).domain)
    int(0, 120)

    Raises: DanausError `wrong-domain`, `too-large`.
    """
    with placed(caller()):
        low, high = integer(lo, "the lower bound"), integer(hi, "the upper bound")
        _require_values(high - low + 1)
        if max(abs(low), abs(high)) >= _LARGEST_BOUND:
            raise error("too-large", "the bounds do not fit in 53 bits")
        return _made(name, domains.Int(low, high), shape)


@overload
def Count(name: str) -> Variable: ...
@overload
def Count(name: str, *, shape: int) -> Variables: ...
def Count(name: str, *, shape: int | None = None) -> Variable | Variables:
    """A variable with the values 0, 1, 2, … without end.

    >>> import danaus as dn
    >>> print(dn.Count("visits").domain)
    count
    """
    with placed(caller()):
        return _made(name, domains.Count(), shape)


@overload
def Real(name: str) -> Variable: ...
@overload
def Real(name: str, *, shape: int) -> Variables: ...
def Real(name: str, *, shape: int | None = None) -> Variable | Variables:
    """A variable over the real numbers.

    >>> import danaus as dn
    >>> print(dn.Real("height").domain)
    real
    """
    with placed(caller()):
        return _made(name, domains.Real(), shape)


def _made(name: str, domain: Domain, shape: object) -> Variable | Variables:
    checked = named(name, "the name of the variable")
    if shape is None:
        return Variable(checked, domain)
    count = size(shape, "the number of variables")
    if count > MAX_VARIABLES:
        raise error("too-large", f"{count} variables", hint=f"an array has at most {MAX_VARIABLES}")
    return Variables(checked, tuple(Variable(f"{checked}[{i}]", domain) for i in range(count)))


def one_variable(given: object) -> Variable:
    """The one variable that is needed.

    Raises: DanausError `not-a-variable`.
    """
    if isinstance(given, Variable):
        return given
    if isinstance(given, Variables):
        raise error(
            "not-a-variable",
            f'"{given.name}" stands for {len(given)} variables, and one is needed',
            hint=f"name one of them, such as {given.elements[0].name}",
        )
    hint = f'make one: dn.Bool("{given}"), dn.Cat("{given}", 3), …' if isinstance(given, str) and given else ""
    raise error("not-a-variable", f"{describe(given)} is not a variable", hint=hint)


def all_variables(given: object) -> tuple[Variable, ...]:
    """The variables of an array, or of a list of variables and arrays, each once.

    Raises: DanausError `not-a-variable`, `duplicate-name`.
    """
    if isinstance(given, Variable):
        return (given,)
    if isinstance(given, Variables):
        return given.elements
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise error("not-a-variable", f"{describe(given)} is no array or list of variables")
    found: dict[str, Variable] = {}
    items: Iterable[object] = given
    for item in items:
        for variable in item if isinstance(item, Variables) else (one_variable(item),):
            if variable.name in found:
                raise error("duplicate-name", f'the variable "{variable.name}" stands twice', hint="name each once")
            found[variable.name] = variable
    if not found:
        raise error("not-a-variable", "a list of no variables", hint="give at least one")
    return tuple(found.values())
