"""Rows of data as the codes of a Program's columns, and what the Program says nothing of.

What enters are rows of raw values and what is observed of them; what leaves are numbers from 0 on, with the number of
values of a domain for a missing one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ir.domain import FiniteDomain, Variable, first_value
from ..ir.linear import Indices
from ..ir.parameter import Floats

Bools = NDArray[np.bool_]
Codes = NDArray[np.int32]

_FAR = 2**30


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The first value of each column of data, all on finite domains, and how many values it has."""

    firsts: Codes
    sizes: Codes

    @staticmethod
    def of(columns: Sequence[int], variables: Sequence[Variable]) -> Columns | None:
        """Those of a Program's columns and their variables; None where a number is too large for the quick way."""
        sizes = np.array(columns, dtype=np.int64)
        if not (sizes > 0).all():
            return None
        firsts = np.array([first_value(variable.domain) for variable in variables], dtype=np.int64)
        if (np.abs(firsts) >= _FAR).any() or (sizes >= _FAR).any():
            return None
        return Columns(firsts.astype(np.int32), sizes.astype(np.int32))

    def plain(self, x: NDArray[Any], observed: Any) -> Codes | None:
        """Rows of numbers as codes [batch, columns]; None where one is, or may be, no value of its column.

        Nothing is copied as float64 and nothing is looked at one by one: that is for the rows that this refuses.
        """
        if x.ndim != 2 or x.shape[1] != len(self.sizes) or x.dtype.kind not in "biuf":
            return None
        if observed is not None:
            if not isinstance(observed, np.ndarray) or observed.dtype != np.bool_ or observed.shape != x.shape:
                return None
            x = np.where(observed, x, self.firsts)
        with np.errstate(invalid="ignore"):
            codes = x.astype(np.int32)
        if (x.dtype.kind == "f" or x.dtype.itemsize >= 4) and not (codes == x).all():
            return None
        codes -= self.firsts
        # below the first value, the same bits are beyond all numbers of values
        if (codes.view(np.uint32).max(axis=0, initial=0) >= self.sizes).any():
            return None
        return codes if observed is None else np.where(observed, codes, self.sizes)

    def codes(self, values: Floats, observed: Bools) -> Indices:
        """Rows that are checked as codes [columns, batch]."""
        return np.where(observed, values - self.firsts, self.sizes).astype(np.int64).T

    def rows(self, codes: Codes) -> tuple[Floats, Bools]:
        """The values and the mask of what is observed of codes [batch, columns]."""
        observed = codes != self.sizes
        return np.where(observed, codes + self.firsts, self.firsts).astype(np.float64), observed


def codes_of(sizes: Sequence[int], variables: Sequence[Variable], values: Floats, observed: Bools) -> Indices:
    """Rows of raw values as codes [columns, batch]; the number of values of a domain says that one is missing."""
    ends = np.array(sizes, dtype=np.int64)
    firsts = np.array(
        [first_value(variable.domain) if size else 0 for variable, size in zip(variables, sizes, strict=True)]
    )
    codes = np.where(ends > 0, values - firsts, 0).astype(np.int64)
    return np.where(observed, codes, ends).T


def with_first_values(variables: Sequence[Variable], values: Floats, observed: Bools) -> tuple[Floats, Bools]:
    """Rows with a Program's further columns, of variables that stand under zero weights alone."""
    more = variables[values.shape[1] :]
    if not more:
        return values, observed
    firsts = np.array([float(first_value(variable.domain)) for variable in more])
    rows = np.broadcast_to(firsts, (len(values), len(more)))
    return np.hstack([values, rows]), np.hstack([observed, np.ones(rows.shape, dtype=bool)])


def free_logs(variables: Sequence[Variable], free: Iterable[int], observed: Bools) -> Floats:
    """The logarithm of what free variables that are missing multiply a row by, [batch]: their numbers of values."""
    out = np.zeros(len(observed))
    for position in free:
        domain = variables[position].domain
        if isinstance(domain, FiniteDomain):
            out += np.where(observed[:, position], 0.0, np.log(domain.size))
    return out
