"""Tables of `.parquet`, both ways. pyarrow is imported where one is met, and only there."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..diagnostic import DanausError, error
from .binary import Columns
from .container import unreadable
from .value import Mask


def read_parquet(name: str, content: bytes, known: Iterable[str]) -> Columns:
    """The columns of a table; those whose names are not `known` are not looked at. Raises: DanausError."""
    pa, pq = _pyarrow(name)
    wanted = set(known)
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        names: list[str] = file.schema_arrow.names
        present = [column for column in dict.fromkeys(names) if column in wanted]
        if len(set(names)) < len(names) or not present:  # an error, in most cases, that is told from the names
            rows = np.full(file.metadata.num_rows, np.nan)
            return Columns(tuple(names), tuple(rows for _ in names), len(rows))
        table = file.read(columns=present)
        columns = tuple(_column(pa, f"{name}: {column}", table[column]) for column in present)
    except DanausError:
        raise
    except (pa.ArrowException, ValueError, OSError, MemoryError) as failure:
        raise unreadable(name, failure) from None
    return Columns(tuple(present), columns, table.num_rows, tuple(column for column in names if column not in wanted))


def parquet_bytes(name: str, columns: Mapping[str, tuple[NDArray[Any], Mask]]) -> bytes:
    """A file with these columns: their values [rows], null where the mask is False."""
    pa, pq = _pyarrow(name)
    file = io.BytesIO()
    pq.write_table(pa.table({column: pa.array(*_nulls(pair)) for column, pair in columns.items()}), file)
    return file.getvalue()


def _column(pa: Any, name: str, column: Any) -> NDArray[Any]:
    """A column of a table as numbers with NaN, or as objects that are text or None."""
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if types.is_null(kind):
        return np.full(len(column), np.nan)
    if types.is_string(kind) or types.is_large_string(kind):
        texts = np.empty(len(column), object)
        texts[:] = column.to_pylist()
        return texts
    if types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        hint = "give numbers, or text where a domain has names"
        raise error("wrong-dtype", f"{name} has type {kind}", hint=hint)
    present = np.asarray(column.is_valid())
    numbers = np.asarray(column.cast(pa.float64(), safe=False).fill_null(0))
    return np.where(present, numbers, np.nan)


def _nulls(pair: tuple[NDArray[Any], Mask]) -> tuple[NDArray[Any], None, Mask]:
    """The arguments of an arrow array: values, type, and where it is null."""
    return pair[0], None, ~pair[1]


def _pyarrow(name: str) -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet. Raises: DanausError `unknown-format` where they are not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        hint = "pip install danaus[parquet], or use .csv or .npz"
        raise error("unknown-format", f"{name} needs pyarrow, which is not installed", hint=hint) from None
    return pa, pq
