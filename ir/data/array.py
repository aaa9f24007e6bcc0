"""Arrays as rows of numbers: what Python callers pass, and what files of arrays hold.

Arrays enter, values with a mask of what was observed leave, every number checked against its variable's domain. Arrays
of numbers hold values or codes; arrays of text are read as files of text are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..diagnostic import Diagnostic, error
from ..domain import Domain, Variable
from ..span import Span, caller
from .table import Mistakes, filled
from .value import Floats, Mask, explain, reader, unusable

_MOST_SHOWN = 8
_NUMBERS = "biuf"
_READABLE = "biufUSO"


def validate_array(
    x: ArrayLike,
    variables: Sequence[Variable],
    observed: ArrayLike | None = None,
    *,
    missing: Literal["error", "nan"] = "error",
    name: str = "x",
) -> tuple[Floats, Mask]:
    """The values and the mask of what is observed, [batch, variables] each, of an array with or without the batch.

    `observed` is a mask of bools of the same shape, or [variables] for all rows; what it leaves out is not looked at,
    and is the domain's first value in the result. Without it, NaN is a missing value where `missing` is "nan"; anywhere
    else it is an error.

    >>> from danaus.ir.domain import Bool, Cat
    >>> values, observed = validate_array([[1, 2]], [Variable("rain", Bool()), Variable("wet", Cat(3))])
    >>> values
    array([[1., 2.]])

    Raises: DanausError for a wrong shape or dtype, and with up to 20 values outside their variable's domain.
    """
    wanted = tuple(variables)
    array = _as_array(x, name)
    shape = (len(wanted),)
    if array.shape != shape and (array.ndim != 2 or array.shape[1:] != shape):
        shown = f"[{len(wanted)}] or [batch, {len(wanted)}]"
        more = ", …" if len(wanted) > _MOST_SHOWN else ""
        columns = f"the columns are {', '.join(map(str, wanted[:_MOST_SHOWN]))}{more}"
        raise error("wrong-shape", f"{name} has shape {list(array.shape)}, not {shown}", caller(), hint=columns)
    rows = array if array.ndim == 2 else array[None, :]
    cells = rows if array.dtype.kind in _NUMBERS else list(rows.T)
    values = as_numbers(cells, wanted, len(rows), name)
    mistakes = Mistakes()
    mask = np.bool_(True) if observed is None else _as_mask(observed, array.shape, name)
    if observed is not None or missing == "error":
        for row, i in np.argwhere(np.isnan(values) & mask).tolist():
            if mistakes.full:
                break
            message = f"{_row(row, array.ndim)}{wanted[i]} is missing"
            hint = "marginal sums out what is missing; so does a mask, observed=…"
            if observed is not None:
                message, hint = f"{message}, and the mask says that it is observed", "give False there"
            mistakes.add(Diagnostic("missing-value", message, caller(), hint))
    np.copyto(values, np.nan, where=~mask)
    check_numbers(values, wanted, cells, mistakes, "" if array.ndim == 2 else None, caller())
    data = filled(values, wanted)
    return data.values, data.observed


def as_numbers(
    columns: NDArray[Any] | Sequence[NDArray[Any]], variables: Sequence[Variable], rows: int, name: str
) -> Floats:
    """Columns of any readable dtype as new float64 [rows, variables]: NaN where missing, infinity where meaningless."""
    with np.errstate(over="ignore"):
        if isinstance(columns, np.ndarray):
            numbers: Floats = columns.astype(np.float64)
            return numbers
        values = np.empty((rows, len(columns)))
        for i, column in enumerate(columns):
            if column.dtype.kind not in _READABLE:
                hint = "give numbers, or text where a domain has names"
                raise error("wrong-dtype", f"{name}: {variables[i]} has dtype {column.dtype}", hint=hint)
            if column.dtype.kind in _NUMBERS:
                values[:, i] = column
            else:
                items = (_number(item, variables[i].domain) for item in column.tolist())
                values[:, i] = np.fromiter(items, np.float64, len(column))
        return values


def check_numbers(
    values: Floats,
    variables: Sequence[Variable],
    cells: NDArray[Any] | Sequence[NDArray[Any]],
    mistakes: Mistakes,
    place: str | None,
    span: Span | None = None,
) -> None:
    """Raises DanausError with all mistakes, those of values outside their domain among them.

    `cells` is what the values were made from, [rows, variables] or columns; `place` begins each message, before the
    row; None where there is but one.
    """
    for row, i in np.argwhere(unusable(values, variables)).tolist():
        if mistakes.full:
            break
        cell = cells[row, i] if isinstance(cells, np.ndarray) else cells[i][row]
        message, hint = explain(variables[i], _shown(cell))
        where = "" if place is None else f"{place}{_row(row)}"
        mistakes.add(Diagnostic("wrong-value", f"{where}{message}", span, hint))
    mistakes.finish()


def _row(row: int, dimensions: int = 2) -> str:
    return f"row {row} (from 0): " if dimensions == 2 else ""


def _as_array(x: ArrayLike, name: str) -> NDArray[Any]:
    if isinstance(x, np.ma.MaskedArray):  # its mask would be lost, and what lies under it taken for values
        raise error("wrong-dtype", f"{name} is a masked array", caller(), hint="give its data, and observed=~mask")
    try:
        array = np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as failure:
        reason = str(failure).split("\n")[0]
        raise error("wrong-dtype", f"{name} is no array: {reason}", caller()) from None
    if array.dtype.kind not in _READABLE:
        raise error("wrong-dtype", f"{name} has dtype {array.dtype}", caller(), hint="give whole numbers or floats")
    return array


def _as_mask(observed: ArrayLike, shape: tuple[int, ...], name: str) -> Mask:
    """The mask [batch, variables] or [variables]."""
    mask = _as_array(observed, "observed")
    if mask.dtype != np.bool_:
        hint = "True where a value is observed, False where it is missing"
        raise error("wrong-dtype", f"observed has dtype {mask.dtype}, not bool", caller(), hint=hint)
    if mask.shape not in (shape, shape[-1:]):
        message = f"observed has shape {list(mask.shape)}, not that of {name}, {list(shape)}"
        raise error("wrong-shape", message, caller())
    return np.broadcast_to(mask, shape if len(shape) == 2 else (1, *shape))


def _number(item: object, domain: Domain) -> float:
    """An element of an array of text or objects: NaN where it is missing, infinity where it means nothing."""
    match item:
        case None:
            return np.nan
        case str():
            return reader(domain)(item)
        case bytes():
            return reader(domain)(item.decode(errors="replace"))
        case bool() | int() | float() | np.generic():
            try:
                return float(item)  # of a generic, too: complex and void scalars raise
            except (TypeError, ValueError, OverflowError):
                return np.inf
        case _:
            return np.inf


def _shown(cell: object) -> str | float:
    """An element as `explain` takes it."""
    match cell:
        case bytes():
            return cell.decode(errors="replace")
        case bool() | int() | float() | np.bool_() | np.integer() | np.floating():
            try:
                return float(cell)
            except OverflowError:
                return str(cell)
        case _:
            return str(cell)
