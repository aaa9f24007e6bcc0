"""A Program as data for files: values of JSON, and arrays by name.

What enters is a Program, what leaves is equal to it when read again; arrays hold indices and layouts, so that a network
of a million nodes is no text. What is read is checked to have the form of a Program; verify.py checks that it is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

import numpy as np

from ..diagnostic import DanausError, error
from ..semirings import Array
from .operation import Operation, Repeat, Step, Strides
from .program import Layout, Program

_STEPS: dict[str, type[Step]] = {kind.__name__: kind for kind in get_args(Step)}
_ARRAYS = tuple(part.name for part in fields(Layout) if part.name != "size")


def written(program: Program) -> tuple[dict[str, Any], dict[str, Array]]:
    """A Program as values of JSON, and the arrays that they name by their places."""
    data = {
        "columns": list(program.columns),
        "tables": [list(shape) for shape in program.tables],
        "buffers": list(program.buffers),
        "root": program.root,
        "operations": [_written(operation) for operation in program.operations],
        "indices": len(program.indices),
        "layouts": [layout.size for layout in program.layouts],
    }
    arrays: dict[str, Array] = {f"index.{i}": index for i, index in enumerate(program.indices)}
    for i, layout in enumerate(program.layouts):
        arrays |= {f"layout.{i}.{name}": getattr(layout, name) for name in _ARRAYS}
    return data, arrays


def read(data: Any, arrays: Mapping[str, Array]) -> Program:
    """The Program of what `written` gave.

    Raises: DanausError `invalid-program` for anything else.
    """
    try:
        return Program(
            tuple(_read(each) for each in _list(data["operations"])),
            _whole(data["root"]),
            _wholes(data["buffers"]),
            tuple(_wholes(shape) for shape in _list(data["tables"])),
            _wholes(data["columns"]),
            tuple(_array(arrays[f"index.{i}"], np.int64) for i in range(_whole(data["indices"]))),
            tuple(_layout(i, _whole(size), arrays) for i, size in enumerate(_list(data["layouts"]))),
        )
    except (KeyError, TypeError) as failure:
        raise _invalid(f"it lacks {failure}" if isinstance(failure, KeyError) else str(failure)) from None


def _written(operation: Operation) -> dict[str, Any]:
    if isinstance(operation, Repeat):
        body = [_written(step) for step in operation.body]
        steps = {"columns": list(operation.columns), "tables": list(operation.tables)}
        return {"kind": "Repeat", "count": operation.count, "body": body, **steps}
    values = {part.name: getattr(operation, part.name) for part in fields(operation)}
    return {"kind": type(operation).__name__, **{name: _plain(value) for name, value in values.items()}}


def _plain(value: int | tuple[int, ...] | Strides) -> int | list[int]:
    match value:
        case Strides(block, node):
            return [block, node]
        case tuple():
            return list(value)
        case _:
            return value


def _read(data: Any) -> Operation:
    if data["kind"] == "Repeat":
        body = tuple(_step(each) for each in _list(data["body"]))
        return Repeat(_whole(data["count"]), body, _wholes(data["columns"]), _wholes(data["tables"]))
    return _step(data)


def _step(data: Any) -> Step:
    kind = _STEPS[data["kind"]]
    values: dict[str, Any] = {}
    for part in fields(kind):
        if part.name == "sources" and part.name not in data:  # as files were before networks had any
            continue
        value = data[part.name]
        if part.name in ("read", "write"):
            values[part.name] = Strides(*_wholes(value))
        elif part.name in ("factors", "parts", "sources"):
            values[part.name] = _wholes(value)
        else:
            values[part.name] = _whole(value)
    return kind(**values)


def _layout(number: int, size: int, arrays: Mapping[str, Array]) -> Layout:
    found = {name: arrays[f"layout.{number}.{name}"] for name in _ARRAYS}
    own = {name: _array(array, np.int8 if name == "kinds" else np.int64) for name, array in found.items()}
    return Layout(**own, size=size)


def _array(array: Array, dtype: type[np.int8] | type[np.int64]) -> Array:
    if array.dtype != dtype or array.ndim != 1:
        raise _invalid(f"an array is {array.dtype} {list(array.shape)}, not {dtype.__name__} of one axis")
    return array


def _list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise _invalid(f"{type(data).__name__} where a list is expected")
    return data


def _whole(data: Any) -> int:
    if type(data) is not int:
        raise _invalid(f"{type(data).__name__} where a whole number is expected")
    return data


def _wholes(data: Any) -> tuple[int, ...]:
    return tuple(_whole(each) for each in _list(data))


def _invalid(reason: str) -> DanausError:
    return error("invalid-program", f"this is no Program: {reason}")
