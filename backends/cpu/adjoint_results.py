"""What the engine of derivatives holds of tables while it runs, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.parameter import Floats
from .batch import Bools, Bytes
from .packed import Packed


@dataclass(frozen=True, slots=True)
class Laid:
    """Tables as they come: bytes of a number, shapes, and where each begins when they lie end to end, in numbers."""

    outer: int
    shapes: list[tuple[int, ...]]
    starts: NDArray[np.int64]

    @staticmethod
    def of(tables: Sequence[Floats]) -> Laid:
        """Those of tables of one type."""
        shapes = [table.shape for table in tables]
        starts = np.cumsum([0, *map(prod, shapes)], dtype=np.int64)
        return Laid(tables[0].itemsize if tables else 8, shapes, starts)

    @property
    def numbers(self) -> int:
        """How many numbers there are."""
        return int(self.starts[-1])

    def of_flat(self, flat: Floats) -> list[Floats]:
        """The tables in an array of all their numbers."""
        starts = self.starts.tolist()
        return [
            flat[first : first + prod(shape)].reshape(shape) for first, shape in zip(starts, self.shapes, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class Derived:
    """log p per row, [batch]; rows that are not in the derivatives; derivatives of the tables, end to end, in their
    type; flows [nodes, batch]."""

    log: Floats
    unsure: Any
    flat: Floats
    laid: Laid
    densities: dict[int, Floats]

    @property
    def tables(self) -> list[Floats]:
        """Derivatives by table: views, so that what is added there is added here."""
        return self.laid.of_flat(self.flat)

    @property
    def addresses(self) -> NDArray[np.int64]:
        """Where the derivatives of each table begin, in memory."""
        first: int = self.flat.__array_interface__["data"][0]
        return first + self.laid.outer * self.laid.starts[:-1]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Tables in an arena; exponents of those that numpy has written there; how they came; and whether a wanted number
    is exactly 0."""

    packed: Packed
    exponents: dict[tuple[str, int], Any]
    laid: Laid
    strict: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """A stretch that ran: answers by tile; rows that count nothing; sums, one for each thread; flows by tile."""

    answers: NDArray[Any]
    bad: Bools
    sums: list[Bytes]
    flows: NDArray[Any]
