"""What a closed-form step may do to each learnable parameter, by where the circuit uses it.

What enters is a circuit; what leaves, per parameter, is its one role: entries of rows that sum to 1, probabilities,
means and so on. A parameter in two roles, or whose rows overlap, has no closed-form step, and the error says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...ir.block import Input, Sum
from ...ir.circuit import Circuit
from ...ir.dependence import is_learnable, parameters_of
from ...ir.diagnostic import DanausError, error
from ...ir.expression import Broadcast, Expression, Reshape, Take
from ...ir.family import (
    Bernoulli,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Family,
    Gaussian,
    Poisson,
    Table,
)
from ...ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Indices, Kronecker, LinearMap, Selection, Sparse
from ...ir.parameter import Parameter
from ...ir.pullback import polynomial_in

Role = Literal["entry", "probability", "mean", "deviation", "rate", "centre", "scale"]

TOLERANCE = 1e-6
"""How far from 1 the sum of a row of weights may be where no constraint holds it there."""


@dataclass(frozen=True, slots=True, eq=False)
class Uses:
    """The role of each learnable parameter; and for entries that no simplex constrains, the number of each one's row.

    Such a number is the smallest entry of the row, flat; −1 where an entry is not used.
    """

    roles: dict[Parameter, Role]
    rows: dict[Parameter, Indices]


def uses(circuit: Circuit) -> Uses:
    """The roles of a circuit's learnable parameters.

    Raises: DanausError `no-closed-form` where one has none, or two that disagree.
    """
    roles: dict[Parameter, Role] = {}
    occurring: dict[Parameter, list[tuple[Indices, Indices]]] = {}
    seen: set[tuple[object, ...]] = set()
    for role, expression, labels in _places(circuit):
        key = (role, id(expression), None if labels is None else labels.tobytes())
        if key in seen or not is_learnable(expression):
            continue
        seen.add(key)
        standing = polynomial_in(expression)
        for parameter in parameters_of([expression]) if standing is None else standing:
            if not parameter.learnable:
                continue
            if standing is None:
                raise refused(parameter, "is computed with otherwise than in sums and products")
            if roles.setdefault(parameter, role) != role:
                raise refused(parameter, f"is {_a(roles[parameter])} in one place and {_a(role)} in another")
            if role == "entry" and parameter.constraint != "simplex":
                assert labels is not None
                occurring.setdefault(parameter, []).append((_copied(expression, parameter), labels))
    for parameter, role in roles.items():
        if parameter.constraint == "simplex" and role != "entry":
            raise refused(parameter, f"is on the simplex, and {_a(role)}")
    rows = {parameter: _rows(parameter, found) for parameter, found in occurring.items()}
    for parameter, own in rows.items():
        values = circuit.store[parameter].floats.ravel()
        sums = np.bincount(own[own >= 0], weights=values[own >= 0], minlength=len(values))
        heads = np.flatnonzero(own == np.arange(len(own)))
        if (values[own >= 0] < 0).any() or (np.abs(sums[heads] - 1) > TOLERANCE).any():
            raise refused(parameter, "holds weights whose rows are no distributions")
    return Uses(roles, rows)


def refused(parameter: Parameter, reason: str) -> DanausError:
    """That EM cannot move a parameter, and why."""
    return error(
        "no-closed-form",
        f'EM has no closed-form step for "{parameter.name}": it {reason}',
        hint='method="adam" learns it',
    )


def _a(role: Role) -> str:
    return f"an {role}" if role == "entry" else f"a {role}"


def _places(circuit: Circuit) -> Iterator[tuple[Role, Expression, Indices | None]]:
    """Where expressions stand, in which role; entries with the number of the row that each is in, in their shape."""
    for block in circuit.blocks:
        match block:
            case Input(family, _, parameters):
                for role, expression in zip(_roles(family), parameters, strict=True):
                    yield role, expression, _by_row(expression.shape) if role == "entry" else None
            case Sum(_, linear):
                yield from _entries(linear)
            case _:
                pass


def _roles(family: Family) -> tuple[Role, ...]:
    match family:
        case Bernoulli() | Binomial():
            return ("probability",)
        case Categorical() | Table():
            return ("entry",)
        case Gaussian():
            return ("mean", "deviation")
        case Poisson():
            return ("rate",)
        case DiscretizedLogistic():
            return ("centre", "scale")
        case _:
            return ()


def _entries(linear: LinearMap) -> Iterator[tuple[Role, Expression, Indices]]:
    match linear:
        case Dense(weights) | BlockDiagonal(weights):
            yield "entry", weights, _by_row(weights.shape)
        case Diagonal(weights):
            yield "entry", weights, np.arange(weights.shape[0])
        case Sparse(rows=rows, weights=weights):
            yield "entry", weights, rows
        case Kronecker(parts) | Compose(parts):
            for part in parts:
                yield from _entries(part)
        case Selection():
            pass


def _by_row(shape: tuple[int, ...]) -> Indices:
    numbers: Indices = np.indices((int(np.prod(shape[:-1])), shape[-1]))[0].reshape(shape)
    return numbers


def _copied(expression: Expression, parameter: Parameter) -> Indices:
    """Which entry of the parameter, flat, each entry of an expression is a copy of."""
    steps: list[Expression] = []
    while expression is not parameter:
        if not isinstance(expression, Reshape | Broadcast | Take):
            raise refused(parameter, "is computed with, and on no simplex")
        steps.append(expression)
        expression = expression.operand
    found: Indices = np.arange(int(np.prod(parameter.shape))).reshape(parameter.shape)
    for step in reversed(steps):
        match step:
            case Reshape(_, shape):
                found = found.reshape(shape)
            case Broadcast(_, shape):
                found = np.broadcast_to(found, shape)
            case Take(_, axis, index, _):
                found = found.take(index, axis=axis)
            case _:
                pass
    return found


def _rows(parameter: Parameter, occurring: list[tuple[Indices, Indices]]) -> Indices:
    """The row of each entry, over all places; every place must see the same rows."""
    size = int(np.prod(parameter.shape))
    low, high = np.full(size, size), np.full(size, -1)
    most, least = np.zeros(size, dtype=np.int64), np.full(size, size)
    for entries, labels in occurring:
        entries, labels = entries.ravel(), labels.ravel()
        first = np.full(int(labels.max(initial=0)) + 1, size)
        np.minimum.at(first, labels, entries)
        count = np.bincount(labels, minlength=len(first))
        np.minimum.at(low, entries, first[labels])
        np.maximum.at(high, entries, first[labels])
        np.maximum.at(most, entries, count[labels])
        np.minimum.at(least, entries, count[labels])
    used = high >= 0
    members = np.bincount(low[used], minlength=size)
    if (low[used] != high[used]).any() or (most[used] != least[used]).any():
        raise refused(parameter, "stands in rows that overlap")
    if (members[low[used]] != most[used]).any():
        raise refused(parameter, "stands in rows that overlap")
    return np.where(used, low, -1)
