"""The tables of a Program: where their numbers come from, and their values for a store.

A Program names tables by number; what is in them is said here, symbolically, so that other parameters need no other
Program. Equal sources are one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir.density import domain_values
from ...ir.dependence import has_parameters, parameters_of
from ...ir.diagnostic import DanausError
from ...ir.domain import FiniteDomain, Variable
from ...ir.expression import Expression, InputValue
from ...ir.family import Categorical, Family
from ...ir.family import Table as TableFamily
from ...ir.numbers import Numbers
from ...ir.parameter import Constant, Floats, Parameter
from ...ir.pullback import pullback, table_shares
from ...ir.semirings import LINEAR, SIGNED_LOG, Array, Field
from ...ir.store import Store

_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The numbers of an expression under another shape."""

    expression: Expression
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """An input on a finite domain of n values: [n + 1, width], the last row for the sum over the domain."""

    family: Family
    variable: Variable
    parameters: tuple[Expression, ...]
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        assert isinstance(self.variable.domain, FiniteDomain)
        return (self.variable.domain.size + 1, self.width)


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """Other sources laid end to end, flat."""

    parts: tuple[Weights | Leaf, ...]

    @property
    def shape(self) -> tuple[int]:
        return (sum(prod(part.shape) for part in self.parts),)


Table = Weights | Leaf | Laid


@dataclass(slots=True)
class Tables:
    """Tables while a Program is made: each source gets a number, equal ones the same."""

    sources: list[Table] = field(default_factory=list[Table])
    known: dict[object, int] = field(default_factory=dict[object, int])

    def of(self, source: Table) -> int:
        key = _key(source)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = len(self.sources)
            self.sources.append(source)
        return found

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(source.shape for source in self.sources)


@dataclass(frozen=True, slots=True, eq=False)
class Feeds:
    """How tables come from parameters: `direct` ones are the numbers of one as they lie, of which those `by_node` are
    an input's [width, n], without the row of sums; `fixed` ones hold for all values of parameters; others are computed.
    """

    direct: Mapping[int, Parameter]
    by_node: frozenset[int]
    fixed: Mapping[int, Floats]


def feeds(sources: Sequence[Table]) -> Feeds:
    """How each table comes from parameters."""
    direct: dict[int, Parameter] = {}
    by_node: set[int] = set()
    known: list[int] = []
    for number, source in enumerate(sources):
        match source:
            case Weights(Parameter() as parameter, _):
                direct[number] = parameter
            case Leaf(Categorical() | TableFamily(), _, (Parameter() as parameter,)):
                direct[number] = parameter
                by_node.add(number)
            case _ if not depends(source):
                known.append(number)
            case _:
                pass
    values = held([sources[number] for number in known], Store())
    fixed = {number: np.ascontiguousarray(value) for number, value in zip(known, values, strict=True)}
    return Feeds(direct, frozenset(by_node), fixed)


def fed(
    sources: Sequence[Table], feeds: Feeds, of: Callable[[Parameter], Floats], store: Callable[[], Store]
) -> list[Floats]:
    """Every table as an engine takes it, contiguous: by node where `feeds` says so; those that are computed as `held`
    gives them. `of` gives the numbers of a parameter, `store` all of them."""
    found: list[Floats] = []
    computed = [number for number in range(len(sources)) if number not in feeds.direct and number not in feeds.fixed]
    # All at once: what several tables are derived from is computed once.
    values = held([sources[number] for number in computed], store()) if computed else []
    derived = dict(zip(computed, values, strict=True))
    for number, source in enumerate(sources):
        if number in feeds.direct:
            numbers = of(feeds.direct[number])
            found.append(numbers if number in feeds.by_node else numbers.reshape(source.shape))
        elif number in feeds.fixed:
            found.append(feeds.fixed[number])
        else:
            found.append(np.ascontiguousarray(derived[number]))
    return found


def of_values(part: Leaf, derivative: Array, missing: bool = True) -> Array:
    """From derivatives of a leaf's table those of its values, [width, n]; of the row of sums too, unless not `missing`.

    What comes by node, in that shape, has been through this already.
    """
    count, width = part.shape
    if derivative.shape == (width, count - 1):
        return derivative
    return derivative[:-1].T + derivative[-1][:, None] if missing else np.ascontiguousarray(derivative[:-1].T)


def depends(source: Table) -> bool:
    """Whether a table's numbers follow from parameters."""
    match source:
        case Weights(expression, _):
            return has_parameters(expression)
        case Leaf(parameters=parameters):
            return any(map(has_parameters, parameters))
        case Laid(parts):
            return any(map(depends, parts))


def depending(source: Table) -> NDArray[np.bool_]:
    """Which entries of a table, flat, follow from parameters: whole parts of it."""
    parts = source.parts if isinstance(source, Laid) else (source,)
    return np.repeat([depends(part) for part in parts], [prod(part.shape) for part in parts]).astype(bool)


def _key(source: Table) -> object:
    match source:
        case Weights(InputValue(family, variable, parameters, value, weights), shape):
            domain = variable.domain
            return (family, domain, tuple(map(id, parameters)), value, weights and id(weights), shape)
        case Weights(expression, shape):
            return (id(expression), shape)
        case Leaf(family, variable, parameters, _):
            return (family, variable.domain, tuple(map(id, parameters)))
        case Laid(parts):
            return tuple(map(_key, parts))


def values(sources: Sequence[Table], store: Store, over: Field = LINEAR) -> list[Array]:
    """The entries of every table, in a field (float64 unless named)."""
    numbers = Numbers(store)
    return [_in_range(source, numbers, over) for source in sources]


def _in_range(source: Table, numbers: Numbers, over: Field) -> Array:
    """A table's entries; infinite ones where float64 does not hold some."""
    try:
        return _value(source, numbers, over)
    except DanausError as failure:
        if failure.diagnostics[0].code != "out-of-range":
            raise
        return np.full(source.shape, np.inf)


def exactly(sources: Sequence[Table], store: Store) -> tuple[list[Array], dict[int, Array]]:
    """Every table in float64; and, by number, logarithms and signs [..., 2] of those with entries out of its range."""
    with np.errstate(over="ignore"):
        linear = values(sources, store)
    exact: dict[int, Array] = {}
    numbers = Numbers(store)
    for number, (source, table) in enumerate(zip(sources, linear, strict=True)):
        least, largest = table.min(initial=1.0), table.max(initial=1.0)
        if least >= _TINY and largest < np.inf:
            continue
        size = np.abs(table)
        held = (size >= _TINY) & np.isfinite(size)
        if held.all():
            continue
        logs = _value(source, numbers, SIGNED_LOG)
        if (np.isfinite(logs[..., 0]) & ~held).any():
            exact[number] = logs
    return [np.asarray(table, dtype=np.float64) for table in linear], exact


def held(sources: Sequence[Table], store: Store) -> list[Array]:
    """Every table in float64; NaN throughout where an entry is out of its range: no fast code can hold it."""
    linear, exact = exactly(sources, store)
    return [np.full_like(table, np.nan) if number in exact else table for number, table in enumerate(linear)]


def _entries(expression: Expression, numbers: Numbers, over: Field) -> Array:
    """An expression's entries; in float64 those of parameters and constants are there already."""
    if over is LINEAR and isinstance(expression, Parameter | Constant):
        value = numbers.store[expression] if isinstance(expression, Parameter) else expression.value
        return value.floats
    return numbers.of(expression, over)


def _value(source: Table, numbers: Numbers, over: Field) -> Array:
    match source:
        case Weights(expression, shape):
            found = _entries(expression, numbers, over)
            return found.reshape(*shape, *found.shape[len(expression.shape) :])
        case Leaf(family, variable, parameters, _):
            if isinstance(family, Categorical | TableFamily):
                found = _entries(parameters[0], numbers, over)
            else:
                found = numbers.inputs(family, variable, parameters, domain_values(variable), over)
            if over is LINEAR:
                return np.concatenate([found, found.sum(axis=1, keepdims=True)], axis=1).T
            total = over.sum(found, 1)
            return np.moveaxis(np.concatenate([found, total[:, None]], axis=1), 1, 0)
        case Laid(parts):
            known: dict[object, Array] = {}  # thousands of literals are two different ones
            flat: list[Array] = []
            for part in parts:
                key = _key(part)
                if key not in known:
                    known[key] = _flat(_value(part, numbers, over), part)
                flat.append(known[key])
            return np.concatenate(flat) if flat else np.array(over.full((0,), one=True))


def _flat(found: Array, part: Weights | Leaf) -> Array:
    """A leaf node after node, each with its values; weights in row-major order."""
    if isinstance(part, Leaf):
        found = np.moveaxis(found, 1, 0)
    return found.reshape(prod(part.shape), *found.shape[len(part.shape) :])


def parameter_derivatives(
    sources: Sequence[Table], feeds: Feeds, store: Callable[[], Store], given: Sequence[Floats]
) -> dict[Parameter, Floats]:
    """From derivatives with respect to every table's entries those with respect to parameters.

    Raises: DanausError `not-differentiable` for a family without a rule.
    """
    found: dict[Parameter, Floats] = {}
    shares: list[tuple[Expression, Floats]] = []
    numbers: Numbers | None = None
    for number, (source, derivative) in enumerate(zip(sources, given, strict=True)):
        if number in feeds.fixed:
            continue
        if number in feeds.direct:
            parameter = feeds.direct[number]
            own = of_values(source, derivative) if isinstance(source, Leaf) else derivative
            own = own.reshape(parameter.shape)
            found[parameter] = found[parameter] + own if parameter in found else own
            continue
        numbers = numbers or Numbers(store())
        for part, own in parts_of(source, derivative):
            if isinstance(part, Weights):
                shares.append((part.expression, own))
            elif parameters_of(part.parameters):
                table = of_values(part, own)
                rule = table_shares(part.family, part.variable, part.parameters, table, numbers)
                shares += zip(part.parameters, rule, strict=True)
    if numbers is not None:
        for parameter, own in pullback(shares, numbers).items():
            found[parameter] = found[parameter] + own if parameter in found else own
    return found


def parts_of(source: Table, given: Array) -> Iterator[tuple[Weights | Leaf, Array]]:
    """The parts of a table with their own entries of an array in its shape; leaves as [values + 1, width]."""
    if not isinstance(source, Laid):
        yield source, given
        return
    start = 0
    for part in source.parts:
        own = given[start : start + prod(part.shape)]
        start += len(own)
        yield part, own.reshape(part.shape[::-1]).T if isinstance(part, Leaf) else own.reshape(part.shape)
