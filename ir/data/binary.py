"""Files of arrays, `.npy` and `.npz`, as columns, with names where the file gives them. Nothing is ever unpickled."""

from __future__ import annotations

import io
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..diagnostic import DanausError, error
from .container import unreadable

_ELEMENT = re.compile(r"(.*)\[([0-9]+)\]")
# What numpy and zipfile raise on bytes that are not what they should be.
_DAMAGED = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns, [rows] each, and their names; None where they stand in the order of the variables.

    `ignored` are the names of further columns, which were not read.
    """

    names: tuple[str, ...] | None
    columns: tuple[NDArray[Any], ...]
    rows: int
    ignored: tuple[str, ...] = ()


def read_npy(name: str, content: bytes) -> Columns:
    """The columns of an array [rows, columns], or [rows] for one. Raises: DanausError."""
    try:
        array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except _DAMAGED as failure:
        raise _damaged(name, failure) from None
    return _unnamed(name, array)


def read_npz(name: str, content: bytes, known: Iterable[str]) -> Columns:
    """The columns of one array, or of one array per variable; an array [rows, n] named x is x[0] … x[n-1].

    Of several arrays, those whose names are not `known` are not looked at. Raises: DanausError.
    """
    variables = list(known)
    members = _families(variables) | {variable: (variable,) for variable in variables}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            keys = [key.removesuffix(".npy") for key in archive.namelist()]
            wanted = [(key, i) for i, key in enumerate(keys) if len(keys) == 1 or key in members]
            arrays = [(key, _member(archive.read(archive.infolist()[i]))) for key, i in wanted]
    except _DAMAGED as failure:
        raise _damaged(name, failure) from None
    if len(keys) == 1 and len(_columns(name, arrays[0][1])) != len(members.get(keys[0], ())):
        return _unnamed(name, arrays[0][1])
    if not arrays:
        return Columns(tuple(keys), (), 0)
    names: list[str] = []
    columns: list[NDArray[Any]] = []
    for key, array in arrays:
        parts, into = _columns(f"{name}: {key}", array), members[key]
        if len(parts) != len(into):
            shape = "[rows]" if len(into) == 1 else f"[rows, {len(into)}]"
            raise error("wrong-shape", f"{name}: {key} has shape {list(array.shape)}, not {shape}")
        if len(array) != len(arrays[0][1]):
            message = f"{name}: {arrays[0][0]} has {len(arrays[0][1])} rows and {key} has {len(array)}"
            raise error("wrong-shape", message, hint="give arrays of equal length")
        names += into
        columns += parts
    ignored = tuple(key for key in keys if key not in members)
    return Columns(tuple(names), tuple(columns), len(columns[0]), ignored)


def _member(content: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _families(variables: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The elements of each array of variables, by the array's name."""
    elements: dict[str, list[str]] = {}
    for variable in variables:
        if found := _ELEMENT.fullmatch(variable):
            elements.setdefault(found[1], []).append(variable)
    return {
        name: tuple(f"{name}[{i}]" for i in range(len(found)))
        for name, found in elements.items()
        if all(f"{name}[{i}]" in found for i in range(len(found)))
    }


def _unnamed(name: str, array: NDArray[Any]) -> Columns:
    columns = _columns(name, array)
    return Columns(None, columns, len(array))


def _columns(name: str, array: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The columns of an array of one or two dimensions."""
    if array.dtype.names is not None:
        hint = "give an .npz with one array per variable, or a .csv with a header"
        raise error("wrong-dtype", f"{name} has fields, dtype {array.dtype}", hint=hint)
    if array.ndim not in (1, 2):
        message = f"{name} has shape {list(array.shape)}, not [rows, variables]"
        raise error("wrong-shape", message, hint="reshape it to rows of values")
    return (array,) if array.ndim == 1 else tuple(array.T)


def _damaged(name: str, failure: Exception) -> DanausError:
    if "allow_pickle" in str(failure):
        hint = "save an array of numbers, or of text; Python objects are not read"
        return error("wrong-dtype", f"{name} holds Python objects, not an array of numbers", hint=hint)
    return unreadable(name, failure)
