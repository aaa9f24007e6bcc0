"""What a caller passes, as the IR takes it: whole numbers, names, positions, arrays of numbers and of indices.

Python objects enter, checked values leave; errors have no place, which the functions that a user calls give them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any, SupportsIndex, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import error
from ...ir.linear import Indices
from ...ir.parameter import Value
from ..elaborate.context import Index

Numbers: TypeAlias = "float | Fraction | np.number[Any] | NDArray[Any] | Sequence[Numbers]"
"""A number, nested sequences of numbers, or an array: floats are the float64 they are, integers and fractions exact."""

IndexLike: TypeAlias = "Index | Sequence[int] | NDArray[np.integer[Any]]"

_WIDEST = 60
_DEEPEST = 32
_LARGEST_INDEX = 1 << 62
_EXACT_FLOATS = 1 << 53


def describe(value: object) -> str:
    """What stands there, for a message."""
    match value:
        case None:
            return "None"
        case str():
            return f"the text {_short(repr(str(value)))}"
        case bool() | int() | float() | Fraction() | np.generic():
            return f"the number {_short(str(value))}"
        case list() | tuple():
            return "a list"
        case np.ndarray():
            return f"an array of shape {list(value.shape)}"
        case _ if callable(value):
            return f"the function {getattr(value, '__name__', '')}"
        case _:
            return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else text[:_WIDEST] + "…"


def is_sequence(given: object) -> TypeGuard[Sequence[object]]:
    """Whether an argument is a list, a tuple or another sequence, and not text."""
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)


def integer(value: object, what: str) -> int:
    """A whole number, of any type that holds it exactly.

    Raises: DanausError `not-an-integer`.
    """
    if not isinstance(value, bool | np.bool_ | np.ndarray):
        if isinstance(value, SupportsIndex):
            return operator.index(value)
        if isinstance(value, float | np.floating) and float(value).is_integer():
            return int(value)
        if isinstance(value, Fraction) and value.denominator == 1:
            return value.numerator
    raise error("not-an-integer", f"{what} is {describe(value)}, not an integer")


def size(value: object, what: str) -> int:
    """A whole number of at least 1.

    Raises: DanausError `not-an-integer`, `wrong-size`.
    """
    found = integer(value, what)
    if found < 1:
        raise error("wrong-size", f"{what} is {found}", hint="it is at least 1")
    return found


def named(value: object, what: str) -> str:
    """A name that the language can write: text that is not empty, without double quotes and line breaks.

    Raises: DanausError `wrong-name`.
    """
    if not isinstance(value, str):
        raise error("wrong-name", f"{what} is {describe(value)}, not a name", hint="names are text")
    if not value or any(sign in value for sign in '"\n\r'):
        raise error("wrong-name", f"{what} is {value!r}", hint="a name is not empty, and has no double quotes or lines")
    return value


def bounds(index: int | slice[Any, Any, Any], length: int) -> tuple[int, int]:
    """The half-open range that `[i]` or `[i:j]` means among `length` items.

    Raises: DanausError `wrong-index` for empty slices, steps, negative and too large indices.
    """
    if isinstance(index, slice):
        if index.step is not None:
            raise error("wrong-index", "a slice with a step", hint="dn.gather(a, range(…)) picks nodes by any index")
        start = 0 if index.start is None else integer(index.start, "the start")
        stop = length if index.stop is None else integer(index.stop, "the end")
        if not 0 <= start < stop <= length:
            reason = "is empty" if 0 <= stop <= start <= length else f"is out of range 0:{length}"
            raise error("wrong-index", f"the slice {start}:{stop} {reason}", hint="the end is not included")
        return start, stop
    at = integer(index, "the index")
    if not 0 <= at < length:
        raise error("wrong-index", f"index {at} is out of range", hint=f"indices go from 0 to {length - 1}")
    return at, at + 1


def array(numbers: object) -> Value:
    """Numbers as they are: float64 where that is what they are, otherwise exact as well.

    Raises: DanausError `wrong-shape` for ragged rows, `wrong-number` for what is no finite number.
    """
    _require_even(numbers)
    try:
        found = np.asarray(numbers)
    except (TypeError, ValueError, RuntimeError) as failure:
        raise error("wrong-number", f"{describe(numbers)} is no array of numbers: {failure}") from failure
    _require_numbers(found)
    written = found.dtype.kind == "f" and not isinstance(numbers, np.ndarray | np.generic)
    if (written or found.dtype.kind in "iu") and found.size and np.abs(found * 1.0).max() >= _EXACT_FLOATS:
        found = np.asarray(numbers, dtype=object)  # integers that float64 would round
    return Value.of(found)


def _require_numbers(found: NDArray[Any]) -> None:
    """Raises DanausError `wrong-number` where an array holds anything but finite numbers."""
    match found.dtype.kind:
        case "b" | "i" | "u":
            return
        case "f":
            for position in np.argwhere(~np.isfinite(found)).tolist():
                raise error("wrong-number", f"entry {position} is not finite")
        case "O":
            for place, item in np.ndenumerate(found):
                if not isinstance(item, Real | Decimal):
                    raise error("wrong-number", f"{describe(item)} is no real number")
                if item != item or item in (math.inf, -math.inf):
                    raise error("wrong-number", f"entry {list(place)} is not finite")
        case _:
            raise error("wrong-number", f"{describe(found.ravel()[0])} is no real number")


def _require_even(numbers: object) -> None:
    """Raises DanausError `wrong-shape` where the rows of nested lists differ; goes level by level."""
    level: Sequence[object] = [numbers]
    for _ in range(_DEEPEST):
        rows: list[Sequence[object]] = [item for item in level if isinstance(item, list | tuple)]
        if not rows or len(rows) < len(level):
            if rows and not any(isinstance(item, np.ndarray) for item in level):
                raise error("wrong-shape", "numbers and rows stand in one list", hint="the rows of a list are alike")
            return
        lengths = [len(row) for row in rows]
        for position, length in enumerate(lengths):
            if length != lengths[0]:
                raise error(
                    "wrong-shape",
                    f"row {position} has {_items(length)}, the first one {lengths[0]}",
                    hint="the rows of a list are equally long",
                )
        level = [item for row in rows for item in row]
    raise error("wrong-shape", f"a list of more than {_DEEPEST} levels")


def _items(count: int) -> str:
    return f"{count} item{'s' if count != 1 else ''}"


def indices(given: object, what: str = "an index") -> Indices:
    """A flat list of whole numbers, [n]; of a `dn.index`, its values.

    Raises: DanausError `not-an-index`, `wrong-shape`, `not-an-integer`, `wrong-index`.
    """
    if isinstance(given, Index):
        if given.values.ndim != 1:
            raise error("wrong-shape", f'"{given.name}" has shape {list(given.values.shape)}, not [n]')
        return given.values
    found = _integers(given)
    if found is None:
        if isinstance(given, np.ndarray):
            given = given.tolist()
        if not is_sequence(given):
            raise error("not-an-index", f"{describe(given)} is no list of integers", hint="write [0, 2, 1]")
        return np.array([_bounded(integer(item, what)) for item in given], dtype=np.int64)
    if found.ndim != 1:
        raise error("wrong-shape", f"the index has shape {list(found.shape)}, not [n]")
    return found


def rows(given: object) -> tuple[Indices, Indices]:
    """One list of whole numbers per node, laid end to end: where each begins and the last ends, and the numbers.

    The rows of a list may differ in length; those of an array or a `dn.index` are padded with -1 at the end.

    Raises: DanausError as `indices` does.
    """
    if isinstance(given, Index | np.ndarray):
        return _padded(given.values if isinstance(given, Index) else given)
    if not is_sequence(given):
        raise error("not-an-index", f"{describe(given)} is no list of integers", hint=_ROWS)
    rows: list[Sequence[object]] = []
    for position, item in enumerate(given):
        row: object = item.tolist() if isinstance(item, np.ndarray) else item
        if not is_sequence(row):
            raise error("wrong-shape", f"row {position} is {describe(row)}", hint=_ROWS)
        rows.append(row)
    offsets = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
    return offsets, indices([item for row in rows for item in row])


_ROWS = "write a list per node: [[0, 1], [2]]"


def _padded(given: NDArray[Any]) -> tuple[Indices, Indices]:
    table = _integers(given)
    if table is None or table.ndim != 2:
        raise error("wrong-shape", f"the index has shape {list(given.shape)}, not [nodes, factors] of integers")
    used = table != -1
    late = np.flatnonzero((used[:, 1:] & ~used[:, :-1]).any(axis=1))
    if len(late):
        raise error("wrong-index", f"row {late[0]} has -1 before its end", hint="rows are padded at the end")
    return np.cumsum([0, *used.sum(axis=1).tolist()], dtype=np.int64), table[used]


def _integers(given: object) -> Indices | None:
    """The int64 array of what numpy takes for integers; None for anything else."""
    try:
        found = np.asarray(given)
    except (ValueError, TypeError, OverflowError):
        return None
    if found.dtype.kind not in "iu":
        return np.zeros(0, dtype=np.int64) if is_sequence(given) and not len(given) else None
    for extreme in (found.max(), found.min()) if found.size else ():
        _bounded(int(extreme))
    integers: Indices = found.astype(np.int64)
    return integers


def _bounded(value: int) -> int:
    if not -_LARGEST_INDEX < value < _LARGEST_INDEX:
        raise error("wrong-index", f"index {value} is out of range")
    return value
