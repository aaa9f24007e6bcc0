"""Numbers of circuits: parameters, which are identities, and constants, which are exact values.

A parameter has no value: values live in a `Store` (store.py), so that tying is sharing and a circuit stays as it is
while its parameters are trained.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, get_args
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from .diagnostic import error
from .span import Span

Shape = tuple[int, ...]
Constraint = Literal["simplex", "unit", "positive", "real"]
CONSTRAINTS: tuple[Constraint, ...] = get_args(Constraint)
Floats = NDArray[np.float64]
Objects = NDArray[np.object_]

_uids = itertools.count(1)
_STRONGER: dict[Constraint, set[Constraint]] = {
    "simplex": {"simplex"},
    "unit": {"unit", "simplex"},
    "positive": {"positive"},
    "real": set(CONSTRAINTS),
}


@dataclass(slots=True, eq=False, weakref_slot=True)
class Parameter:
    """An array that is learnt or given, by identity: `uid` tells it from all others.

    `constraint` is None while no use has asked for one; `require` narrows it. It is the one thing of the IR that
    changes after it is made, and only while its spec is being read.
    """

    name: str
    shape: Shape
    constraint: Constraint | None = None
    learnable: bool = True
    span: Span | None = None
    uid: int = field(default_factory=lambda: next(_uids))

    def require(self, constraint: Constraint) -> None:
        """Narrows an open constraint to what a use asks for.

        Raises: DanausError `wrong-constraint` where the declared one does not imply it.
        """
        if constraint == "real":
            return
        if self.constraint is None or (self.inferred and self.constraint in _wider(constraint)):
            self.constraint = constraint
            self.inferred = True
        elif self.constraint not in _STRONGER[constraint]:
            raise error(
                "wrong-constraint",
                f'"{self.name}" is {self.constraint}, but this use needs {constraint}',
                hint=f"declare it as `: {constraint}`, or leave the constraint out",
            )

    inferred: bool = False

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, {list(self.shape)})"


def _wider(constraint: Constraint) -> set[Constraint]:
    return {"unit"} if constraint == "simplex" else set()


def as_fraction(value: object) -> Fraction:
    """The number as an exact fraction; a float is the rational that it is."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int | float | np.integer | np.floating):
        return Fraction(value.item() if isinstance(value, np.generic) else value)
    raise TypeError(f"{value!r} is no number")


def fractions(values: Floats) -> Objects:
    """The exact rationals that float64 values are, as an object array of the same shape."""
    out = np.empty(values.shape, dtype=object)
    flat = out.reshape(-1)
    for position, number in enumerate(values.reshape(-1).tolist()):
        flat[position] = Fraction(number)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """Numbers: float64, and the exact rationals where those are not what the floats are (0.1 in a text is 1/10)."""

    floats: Floats
    rationals: Objects | None = None

    @staticmethod
    def of(numbers: object) -> Value:
        """A value from floats, integers or fractions, in any nesting of sequences or an array.

        Raises: DanausError `wrong-shape` for ragged rows, `wrong-number` for what is no number.
        """
        try:
            array = np.asarray(numbers)
            if array.dtype == object:
                exact = np.frompyfunc(as_fraction, 1, 1)(array)
                exact = np.asarray(exact, dtype=object).reshape(array.shape)
                floats = exact.astype(np.float64)
                same = all(Fraction(f) == e for f, e in zip(floats.ravel().tolist(), exact.ravel(), strict=True))
                return Value(_frozen(floats), None if same else exact)
            if array.dtype.kind not in "biuf":
                raise TypeError(str(array.dtype))
            return Value(_frozen(np.array(array, dtype=np.float64)))
        except ValueError as failure:
            raise error("wrong-shape", f"the rows differ in length, or hold no numbers: {failure}") from failure
        except (TypeError, OverflowError) as failure:
            raise error("wrong-number", f"not an array of numbers that float64 can hold: {failure}") from failure

    @property
    def shape(self) -> Shape:
        return tuple(self.floats.shape)

    @property
    def exact(self) -> Objects:
        """The numbers as fractions."""
        return fractions(self.floats) if self.rationals is None else self.rationals

    def same(self, other: Value) -> bool:
        """Whether both hold the same numbers, exactly."""
        if self is other:
            return True
        if self.shape != other.shape or not np.array_equal(self.floats, other.floats, equal_nan=True):
            return False
        if self.rationals is None and other.rationals is None:
            return True
        return bool(np.all(self.exact == other.exact))


def _frozen(array: Floats) -> Floats:
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Constant:
    """Numbers that stand in the circuit itself."""

    value: Value

    @property
    def shape(self) -> Shape:
        return self.value.shape


_constants: WeakValueDictionary[object, Constant] = WeakValueDictionary()


def constant(numbers: object) -> Constant:
    """The constant of these numbers; equal numbers give one object."""
    value = numbers if isinstance(numbers, Value) else Value.of(numbers)
    exact = None if value.rationals is None else tuple(value.rationals.ravel().tolist())
    key = (value.shape, value.floats.tobytes(), exact)
    found = _constants.get(key)
    if found is None:
        found = _constants[key] = Constant(value)
    return found
