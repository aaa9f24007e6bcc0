"""What the runtime asks of a device that walks a Program down from its root: samples, maxima, shares of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..ir.linear import Indices
from ..ir.parameter import Floats
from ..ir.program.shares import Share
from .columns import Bools, Codes


class Walked(Protocol):
    """Codes [columns, rows] with nothing missing that was reached, and the rows that are possible."""

    @property
    def codes(self) -> Codes: ...

    @property
    def possible(self) -> Bools: ...


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The largest path of each row: the node of each column's input that it reaches, −1 for none, [columns, rows], and
    the logarithm of its value, [rows]."""

    nodes: Codes
    log: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What comes through inputs: the logarithm of the root per row, rows whose shares are not certain, and shares of
    inputs' nodes."""

    log: Floats
    unsure: Bools
    shares: Sequence[Share]


class Walker(Protocol):
    """Queries on a device that walk a Program down from its root, or run it over other numbers.

    Codes are [columns, rows], missing ones at their column's number of values.
    """

    def sample(self, codes: Indices, count: int, seed: int) -> Walked:
        """Draws what is missing in one row so many times."""
        ...

    def sample_given(self, codes: Indices, seed: int) -> Walked:
        """Draws what is missing in each row."""
        ...

    def best(self, codes: Indices) -> Walked:
        """What is missing in each row at the values of the largest path."""
        ...

    def ones(self, variables: int) -> Floats:
        """The logarithms of the masses of each number of ones, where the first columns are so many booleans."""
        ...

    def log(self, codes: Indices, weights: Mapping[int, Floats]) -> Floats:
        """The logarithm of the root of each row, with weights [rows, values] in place of codes in some columns."""
        ...

    def shares(self, codes: Indices) -> Shared | None:
        """The shares of inputs in each row; None where the present numbers are not for that."""
        ...

    def reached(self, codes: Indices) -> Path | None:
        """The largest path of each row, missing inputs summed out; None where the device has no kernels of that."""
        ...
