"""Tables on their way into an engine and back: native code where it reaches, arena.py where it does not.

What enters are tables as contiguous float64, an input's by node where the engine was told so; what leaves is the arena,
or derivatives of the same arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from sys import getrefcount
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.expression import Floats
from . import arena
from .adjoint_plan import AdjointPlan
from .batch import INTEGER, POINTER, Bytes
from .builder import module
from .machine import Library, Target, compiled, compiled_meanwhile
from .packing import PACK_FIELDS, UNPACK_FIELDS, pack, pack_kernel, unpack, unpack_kernel
from .plan import Kernel, Plan
from .vectors import Vectors

Exactly = Callable[[Sequence[int]], Sequence[Floats]]
"""Tables by number, with rows for values and their sum; NaN throughout where no float64 holds an entry."""


FEW_TABLES, FEW_NUMBERS = 64, 1 << 15
"""So few tables and numbers numpy packs sooner than code for them is made."""


@dataclass(slots=True)
class Packing:
    """Fills arenas of one plan; `shapes` are those of the tables, `by_node` the numbers of those that come so."""

    plan: Plan | AdjointPlan
    shapes: Sequence[tuple[int, ...]]
    by_node: frozenset[int]
    vectors: Vectors
    target: Target
    library: Library | None = field(init=False, default=None)
    function: Callable[..., Any] = field(init=False)
    records: Any = field(init=False)
    tables: Any = field(init=False)
    given: list[Bytes] = field(init=False, default_factory=list[Bytes])
    last: Sequence[Floats] | None = field(init=False, default=None)
    addresses: Any = field(init=False)

    def __post_init__(self) -> None:
        kernels: dict[Kernel, int] = {}
        places = {(entry.kind, entry.table): entry.offset for entry in self.plan.entries}
        rows = [
            (
                kernels.setdefault(
                    pack_kernel(entry.kind, self.shapes[entry.table], entry.table in self.by_node), len(kernels)
                ),
                0,
                entry.offset,
                places.get(("contract", entry.table), 0),
            )
            for entry in self.plan.entries
        ]
        self.records = np.array(rows, dtype=np.int64).reshape(-1, len(PACK_FIELDS))
        self.tables = np.array([entry.table for entry in self.plan.entries], dtype=np.int64)
        numbers = sum(prod(shape) for shape in self.shapes)
        if len(rows) > FEW_TABLES or numbers > FEW_NUMBERS:
            text = module([pack(tuple(kernels), self.vectors)], self.vectors)
            self.library = compiled_meanwhile(text, self.target, passes=True)
            self.function = self.library.call("pack", POINTER, INTEGER, POINTER, POINTER)

    def fill(self, tables: Sequence[Floats], exactly: Exactly) -> tuple[Bytes, frozenset[int]] | None:
        """A new arena of the tables, and those that arena.py has written; None where one has numbers that no engine
        for non-negative numbers holds."""
        place = self._place()
        bad = sorted(set(self.tables[self._packed(tables, place)].tolist()))
        if bad:
            found = dict(zip(bad, exactly(bad), strict=True))
            if not all(table.min(initial=0.0) >= 0 and np.isfinite(table).all() for table in found.values()):
                return None
            arena.fill_some([entry for entry in self.plan.entries if entry.table in found], found, self.vectors, place)
        return place, frozenset(bad)

    def _packed(self, tables: Sequence[Floats], place: Bytes) -> Any:
        """Packs by native code what it reaches; which records it does not."""
        if self.library is None:
            return slice(None)
        if tables is not self.last:  # the same list again holds the same arrays
            self.addresses = np.array([table.__array_interface__["data"][0] for table in tables], dtype=np.int64)
            self.last = tables
        records = self.records.copy()
        records[:, 1] = self.addresses[self.tables]
        flags = np.zeros(len(records), dtype=np.uint8)
        self.function(records.ctypes.data, len(records), place.ctypes.data, flags.ctypes.data)
        return flags != 0

    def _place(self) -> Bytes:
        """An arena: one that was given before, where nobody holds it any more, since new memory costs as much as what
        is written there; else a new one."""
        for position in range(len(self.given)):
            if _references(self.given, position) == _UNUSED:
                return self.given[position]
        self.given = [*self.given[-1:], arena.aligned(self.plan.arena)]
        return self.given[-1]


def _references(held: Sequence[Bytes], position: int) -> int:
    """How many hold an entry of a list, as this way of asking counts them."""
    return getrefcount(held[position])


_UNUSED = _references([np.zeros(1, dtype=np.uint8)], 0)
"""What it counts for an entry that only the list holds."""


@dataclass(slots=True)
class Unpacking:
    """Brings sums of one plan back to derivatives of tables."""

    plan: AdjointPlan
    shapes: Sequence[tuple[int, ...]]
    by_node: frozenset[int]
    vectors: Vectors
    target: Target
    library: Library | None = field(init=False, default=None)
    function: Callable[..., Any] = field(init=False)
    records: Any = field(init=False)
    tables: Any = field(init=False)
    kernels: tuple[Kernel, ...] = field(init=False)

    def __post_init__(self) -> None:
        kernels: dict[Kernel, int] = {}
        heads = {(entry.kind, entry.table): entry.offset for entry in self.plan.entries}
        rows = [
            (
                kernels.setdefault(unpack_kernel(kind, self.shapes[table], table in self.by_node), len(kernels)),
                offset,
                0,
                heads[kind, table],
            )
            for (kind, table), (offset, _) in self.plan.gradients.items()
        ]
        self.records = np.array(rows, dtype=np.int64).reshape(-1, len(UNPACK_FIELDS))
        self.tables = np.array([table for _, table in self.plan.gradients], dtype=np.int64)
        self.kernels = tuple(kernels)

    def add(self, sums: Bytes, place: Bytes, addresses: NDArray[np.int64], whole: bool, but: frozenset[int]) -> None:
        """Adds to derivatives at addresses, in the shapes in which their tables came, and clears the sums; `but` leaves
        some out.

        `whole` gives each value of an input by node the derivative of the sum over all values, too.
        """
        if not set(self.tables.tolist()) - but:
            return
        if self.library is None:
            text = module([unpack(self.kernels, self.vectors)], self.vectors)
            self.library = compiled(text, self.target, passes=True)
            self.function = self.library.call("unpack", POINTER, INTEGER, POINTER, POINTER, INTEGER)
        records = self.records.copy()
        records[:, 2] = addresses[self.tables]
        if but:
            records = np.ascontiguousarray(records[~np.isin(self.tables, list(but))])
        self.function(records.ctypes.data, len(records), sums.ctypes.data, place.ctypes.data, int(whole))
