"""Reading a data file: a path and variables enter, `Data` leaves, or an error that names what is wrong and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..domain import Variable
from .array import as_numbers, check_numbers
from .binary import Columns, read_npy, read_npz
from .container import format_of, read_bytes
from .layout import Wanted
from .parquet import read_parquet
from .table import Data, Mistakes, filled
from .text import read_text


def read_data(path: str | Path, declared: Sequence[Variable], needed: Sequence[Variable] | None = None) -> Data:
    """The rows of a data file for the variables `needed`, in their order; for those `declared`, if none are named.

    The suffix names the format: `.csv`, `.data`, `.txt`, `.npy`, `.npz`, `.parquet`, each also with `.gz`. Columns
    without names are the declared variables, or those needed, where their number fits only those; columns with other
    names are ignored, variables without a column are missing. Empty fields, `?`, NaN and nulls are missing values.

    Raises: DanausError with up to 20 mistakes: the line (of a file of arrays the row, from 0), the variable, the value.
    """
    wanted = Wanted(tuple(declared), tuple(declared if needed is None else needed))
    place = Path(path)
    form, packed = format_of(place)
    content = read_bytes(place, packed)
    match form:
        case "text":
            return read_text(str(path), content, wanted)
        case "npy":
            return _arrange(str(path), read_npy(str(path), content), wanted)
        case "npz":
            return _arrange(str(path), read_npz(str(path), content, wanted.names), wanted)
        case "parquet":
            return _arrange(str(path), read_parquet(str(path), content, wanted.names), wanted)


def _arrange(name: str, file: Columns, wanted: Wanted) -> Data:
    """Columns of a file as values of the variables needed."""
    names = file.names
    places = wanted.by_name(names, name) if names is not None else wanted.by_order(len(file.columns), name)
    found = [(i, place) for i, place in enumerate(places) if place is not None]
    variables = [wanted.needed[i] for i, _ in found]
    cells = [file.columns[place] for _, place in found]
    numbers = as_numbers(cells, variables, file.rows, name)
    check_numbers(numbers, variables, cells, Mistakes(), f"{name}, ")
    values = np.full((file.rows, len(wanted.needed)), np.nan)
    values[:, [i for i, _ in found]] = numbers
    return replace(filled(values, wanted.needed, name), columns=None if names is None else names + file.ignored)
