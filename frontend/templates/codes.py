"""Data as codes 0 … n − 1: rows of any domain enter, discrete columns leave, those of counts and reals by bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ir.diagnostic import error
from ...ir.domain import Count, Real, Variable, first_value
from ...ir.parameter import Floats

Booleans = NDArray[np.bool_]

MAX_VARIABLES = 1 << 13
MAX_VALUES = 1 << 12
BINS = 8


@dataclass(frozen=True, slots=True)
class Codes:
    """Discrete data: the code of each value, int16 [variables, rows], −1 where missing, and each variable's size."""

    codes: NDArray[np.int16]
    sizes: tuple[int, ...]


def finite_codes(values: Floats, observed: Booleans, variables: Sequence[Variable]) -> Codes:
    """The codes of data over finite domains.

    Raises: DanausError `wrong-domain` for a count or real, `too-large` for more than 8192 variables or 4096 values.
    """
    for variable in variables:
        if isinstance(variable.domain, Count | Real):
            raise error(
                "wrong-domain",
                f'"{variable.name}" is {variable.domain}; chow_liu needs finite domains',
                hint="hclt takes data of any domain",
            )
    return binned_codes(values, observed, variables)


def binned_codes(values: Floats, observed: Booleans, variables: Sequence[Variable]) -> Codes:
    """The codes of data; counts and reals have one per distinct value if those are at most 8, else per quantile bin.

    Raises: DanausError `too-large`.
    """
    if len(variables) > MAX_VARIABLES:
        raise error("too-large", f"a tree of {len(variables)} variables", hint=f"at most {MAX_VARIABLES}")
    out = np.empty(values.shape[::-1], dtype=np.int16)
    sizes: list[int] = []
    for place, variable in enumerate(variables):
        domain, column, known = variable.domain, values[:, place], observed[:, place]
        if isinstance(domain, Count | Real):
            edges = bin_edges(column[known])
            out[place] = np.searchsorted(edges, column, side="left")
            sizes.append(len(edges) + 1)
        else:
            if domain.size > MAX_VALUES:
                raise error(
                    "too-large",
                    f'"{variable.name}" has {domain.size} values',
                    hint=f"pairs of values are counted, of variables of at most {MAX_VALUES}",
                )
            out[place] = column - first_value(domain)
            sizes.append(domain.size)
        out[place, ~known] = -1
    return Codes(out, tuple(sizes))


def bin_edges(known: Floats) -> Floats:
    """The largest values of all bins but the last: of each distinct value, or of 8 bins of as equal counts as can be.

    >>> bin_edges(np.array([0.0, 0.0, 0.0, 7.0, 1.0]))
    array([0., 1.])
    """
    distinct = np.unique(known)
    if len(distinct) > BINS:
        places = -(-np.arange(1, BINS) * len(known) // BINS) - 1
        edges = np.unique(np.sort(known)[places])
        return np.asarray(edges[edges < distinct[-1]])
    return distinct[:-1]
