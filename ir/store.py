"""The store: the values of parameters, keyed by identity, apart from the circuits that use them.

A store never changes; training gives a new one, with the same circuit over it. Values are checked against the
constraints here, and parameters without a value get a random one from a seed and their name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .diagnostic import Diagnostic, error
from .parameter import Constraint, Floats, Parameter, Value
from .random import stream
from .span import Note

Booleans = NDArray[np.bool_]

TEXT_TOLERANCE = 1e-9
LOADED_TOLERANCE = 1e-5

_versions = itertools.count(1)


@dataclass(frozen=True, slots=True, eq=False)
class Store(Mapping[Parameter, Value]):
    """Values of parameters; `version` names this state of them, for whatever is computed from it."""

    values_: Mapping[Parameter, Value] = field(default_factory=dict[Parameter, Value])
    version: int = field(default_factory=lambda: next(_versions))

    def __getitem__(self, parameter: Parameter) -> Value:
        try:
            return self.values_[parameter]
        except KeyError:
            raise error("no-value", f'"{parameter.name}" has no value', parameter.span) from None

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)

    def __contains__(self, parameter: object) -> bool:
        return parameter in self.values_

    def updated(self, values: Mapping[Parameter, Value]) -> Store:
        """A store with these values in place of, or beside, the present ones."""
        return Store({**self.values_, **values})

    def merged(self, other: Store) -> Store:
        """A store of both.

        Raises: DanausError `two-values` where they differ on a parameter, as a circuit before and after training.
        """
        if other is self or not other.values_:
            return self
        if not self.values_:
            return other
        for parameter in other:
            if parameter in self and not self[parameter].same(other[parameter]):
                raise error(
                    "two-values",
                    f'the circuits hold different values of "{parameter.name}"',
                    notes=[Note("declared here", parameter.span)] if parameter.span else [],
                    hint="combine circuits of one state of training",
                )
        return Store({**self.values_, **other.values_})

    def restricted(self, parameters: Iterable[Parameter]) -> Store:
        """The values of these parameters only."""
        return Store({parameter: self[parameter] for parameter in parameters})


def violation(value: Value, constraint: Constraint | None, tolerance: float = TEXT_TOLERANCE) -> str:
    """Why a value breaks a constraint, naming the first entry that does; empty where it keeps it."""
    floats = value.floats
    if not np.all(np.isfinite(floats)):
        return f"entry {_where(~np.isfinite(floats))} is not finite"
    match constraint:
        case "unit" if np.any(bad := (floats < 0) | (floats > 1)):
            return f"entry {_where(bad)} is {_first(floats, bad)}, not in [0, 1]"
        case "positive" if np.any(bad := floats <= 0):
            return f"entry {_where(bad)} is {_first(floats, bad)}, not positive"
        case "simplex":
            if floats.ndim == 0:
                return "a single number is no row of a simplex"
            if np.any(bad := floats < 0):
                return f"entry {_where(bad)} is {_first(floats, bad)}, not a probability"
            sums = np.atleast_1d(floats.sum(axis=-1))
            if np.any(bad := np.abs(sums - 1) > tolerance):
                row = f"row {_where(bad)}" if floats.ndim > 1 else "the row"
                return f"{row} sums to {_first(sums, bad)}, not 1"
    return ""


def _where(bad: Booleans) -> str:
    return str([int(i) for i in np.argwhere(np.atleast_1d(bad))[0]])


def _first(values: Floats, bad: Booleans) -> str:
    return format(float(np.atleast_1d(values)[np.atleast_1d(bad)][0]), ".12g")


def settle(parameter: Parameter, value: Value) -> tuple[Value, Diagnostic | None]:
    """A loaded value as its parameter holds it: rows of a simplex within 1e-5 are renormalised, with a note.

    Raises: DanausError `wrong-shape` or `wrong-value`.
    """
    if value.shape != parameter.shape:
        raise error(
            "wrong-shape",
            f'the loaded value of "{parameter.name}" has shape {list(value.shape)}, not {list(parameter.shape)}',
            parameter.span,
        )
    if reason := violation(value, parameter.constraint, LOADED_TOLERANCE):
        raise error("wrong-value", f'the loaded value of "{parameter.name}": {reason}', parameter.span)
    if parameter.constraint == "simplex" and violation(value, "simplex"):
        rows = value.floats / value.floats.sum(axis=-1, keepdims=True)
        note = Diagnostic(
            "renormalised", f'rows of "{parameter.name}" were renormalised', parameter.span, severity="note"
        )
        return Value.of(rows), note
    return value, None


def initial_value(parameter: Parameter, seed: int = 0) -> Value:
    """A random value that keeps the constraint, from the seed and the parameter's name alone.

    Rows of a simplex are uniform on it (Dirichlet(1, …)), `unit` is uniform in (0, 1), `positive` uniform in
    (1/2, 3/2), `real` standard normal (Box–Muller).
    """
    count = int(np.prod(parameter.shape, dtype=np.int64))
    first = stream(seed, parameter.name, 2 * count)
    uniform, second = np.maximum(first[:count], 2.0**-54), first[count:]
    match parameter.constraint:
        case "simplex":
            rows = -np.log(uniform).reshape(parameter.shape)
            rows = rows + np.finfo(float).tiny
            return Value.of(rows / rows.sum(axis=-1, keepdims=True))
        case "unit":
            return Value.of(uniform.reshape(parameter.shape))
        case "positive":
            return Value.of((0.5 + uniform).reshape(parameter.shape))
        case _:
            normal = np.sqrt(-2 * np.log(uniform)) * np.cos(2 * np.pi * second)
            return Value.of(normal.reshape(parameter.shape))
