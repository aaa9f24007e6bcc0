"""Tables on their way into an engine and back: native code where it reaches, arena.py where it does not.

What enters are tables, contiguous, all of float64 or all of the code's type, an input's by node where the engine was
told so; what leaves is the arena, or derivatives of the same arrays in the same type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ir.parameter import Floats
from ...runtime.kept import Kept
from . import arena
from .adjoint_plan import AdjointPlan
from .batch import INTEGER, POINTER, Bytes
from .builder import module
from .machine import Library, Target, compiled, compiled_meanwhile
from .packing import OUT_OF_REACH, PACK_FIELDS, REACH, ZERO, pack, pack_kernel
from .plan import Kernel, Plan
from .unpacking import UNPACK_FIELDS, unpack, unpack_kernel
from .vectors import Vectors

Exactly = Callable[[Sequence[int]], Sequence[Floats]]
"""Tables by number, with rows for values and their sum; NaN throughout where no float64 holds an entry."""


SMALL = 2.0 ** REACH[4][0]
"""The least number that float32 code packs."""

FEW_TABLES, FEW_NUMBERS = 64, 1 << 15
"""So few tables and numbers numpy packs sooner than code for them is made."""


@dataclass(frozen=True, slots=True)
class Code:
    """A function, and the library without which it dies."""

    library: Library
    function: Callable[..., Any]
    name: str

    @property
    def address(self) -> int:
        """Where it begins, for code that calls it."""
        return self.library.address(self.name)


@dataclass(frozen=True, slots=True)
class Packed:
    """An arena of tables; those that arena.py has written; those in which a number is exactly 0; and whether some
    number is so small that float32 need not hold what is divided by it."""

    place: Bytes
    exact: frozenset[int]
    zero: frozenset[int]
    small: bool = False


@dataclass(slots=True)
class Packing:
    """Fills arenas of one plan; `shapes` are those of the tables, `by_node` the numbers of those that come so."""

    plan: Plan | AdjointPlan
    shapes: Sequence[tuple[int, ...]]
    by_node: frozenset[int]
    vectors: Vectors
    target: Target
    kernels: tuple[Kernel, ...] = field(init=False)
    code: dict[int, Code] = field(init=False, default_factory=dict[int, Code])
    records: Any = field(init=False)
    tables: Any = field(init=False)
    arenas: Kept = field(init=False)
    last: Sequence[Floats] | None = field(init=False, default=None)
    addresses: Any = field(init=False)

    def __post_init__(self) -> None:
        self.arenas = Kept(lambda: arena.aligned(self.plan.arena))
        kernels: dict[Kernel, int] = {}
        places = {(entry.kind, entry.table): entry.offset for entry in self.plan.entries}
        # a table's uses one after another, while it is in the cache; a transpose takes the scale of the matrix
        entries = sorted(self.plan.entries, key=lambda entry: (entry.table, entry.kind == "transposed"))
        rows = [
            (
                kernels.setdefault(
                    pack_kernel(entry.kind, self.shapes[entry.table], entry.table in self.by_node), len(kernels)
                ),
                0,
                entry.offset,
                places.get(("contract", entry.table), 0),
            )
            for entry in entries
        ]
        self.kernels = tuple(kernels)
        self.records = np.array(rows, dtype=np.int64).reshape(-1, len(PACK_FIELDS))
        self.tables = np.array([entry.table for entry in entries], dtype=np.int64)
        if len(rows) > FEW_TABLES or sum(map(prod, self.shapes)) > FEW_NUMBERS:
            self.code_for(8)

    def fill(self, tables: Sequence[Floats], exactly: Exactly) -> Packed | None:
        """A new arena of the tables; None where one has numbers that no engine for non-negative numbers holds."""
        return self.filled(lambda place: self._packed(tables, place), exactly)

    def filled(self, write: Callable[[Bytes], NDArray[np.uint8]], exactly: Exactly) -> Packed | None:
        """The same, where `write` packs what it reaches, and gives the flags of each record."""
        place = self.arenas.take()
        flags = write(place)
        bad = sorted(set(self.tables[(flags & OUT_OF_REACH) != 0].tolist()))
        zero, small = set(self.tables[(flags & ZERO) != 0].tolist()).difference(bad), False
        if bad:
            found = dict(zip(bad, exactly(bad), strict=True))
            least = {number: table.min(initial=np.inf) for number, table in found.items()}
            if not all(least[number] >= 0 and np.isfinite(table).all() for number, table in found.items()):
                return None
            zero.update(number for number in bad if least[number] == 0)
            small = any(bool(((table > 0) & (table < SMALL)).any()) for table in found.values())
            arena.fill_some([entry for entry in self.plan.entries if entry.table in found], found, self.vectors, place)
        return Packed(place, frozenset(bad), frozenset(zero), small)

    def _packed(self, tables: Sequence[Floats], place: Bytes) -> NDArray[np.uint8]:
        """Packs by native code what it reaches; flags by record."""
        if not self.code:
            return np.full(len(self.records), OUT_OF_REACH, dtype=np.uint8)
        if tables is not self.last:  # the same list again holds the same arrays
            self.addresses = np.array([table.__array_interface__["data"][0] for table in tables], dtype=np.int64)
            self.last = tables
        records = self.records.copy()
        records[:, 1] = self.addresses[self.tables]
        flags = np.zeros(len(records), dtype=np.uint8)
        function = self.code_for(tables[0].itemsize if tables else 8).function
        function(records.ctypes.data, len(records), place.ctypes.data, flags.ctypes.data)
        return flags

    def code_for(self, outer: int) -> Code:
        """The code for tables of numbers of so many bytes."""
        if outer not in self.code:
            text = module([pack(self.kernels, self.vectors, outer)], self.vectors)
            library = compiled_meanwhile(text, self.target, passes=True)
            self.code[outer] = Code(library, library.call("pack", POINTER, INTEGER, POINTER, POINTER), "pack")
        return self.code[outer]


@dataclass(slots=True)
class Unpacking:
    """Brings sums of one plan back to derivatives of tables."""

    plan: AdjointPlan
    shapes: Sequence[tuple[int, ...]]
    by_node: frozenset[int]
    vectors: Vectors
    target: Target
    code: dict[tuple[int, bool], Code] = field(init=False, default_factory=dict[tuple[int, bool], Code])
    records: Any = field(init=False)
    tables: Any = field(init=False)
    kernels: tuple[Kernel, ...] = field(init=False)
    untouched: frozenset[int] = field(init=False)
    once: bool = field(init=False)

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
        reached = set(self.tables.tolist())
        self.untouched = frozenset(range(len(self.shapes))) - reached
        self.once = len(reached) == len(self.tables)

    def bring(
        self,
        sums: Bytes,
        packed: Packed,
        addresses: NDArray[np.int64],
        outer: int,
        whole: bool,
        fresh: bool,
    ) -> None:
        """Adds to derivatives at addresses, in the shapes in which their tables came, and clears the sums; those that
        are `fresh` are written. Tables that arena.py has packed are left out.

        `whole` gives each value of an input by node the derivative of the sum over all values, too.
        """
        records = self.records.copy()
        records[:, 2] = addresses[self.tables]
        if packed.exact:
            records = np.ascontiguousarray(records[~np.isin(self.tables, list(packed.exact))])
        if not len(records):
            return
        function = self.code_for(outer, fresh).function
        function(records.ctypes.data, len(records), sums.ctypes.data, packed.place.ctypes.data, int(whole))

    def code_for(self, outer: int, fresh: bool) -> Code:
        """The code for numbers of so many bytes, which are written or, where not `fresh`, added to."""
        key = outer, fresh
        if key not in self.code:
            text = module([unpack(self.kernels, self.vectors, outer, fresh)], self.vectors)
            library = compiled(text, self.target, passes=True)
            function = library.call("unpack", POINTER, INTEGER, POINTER, POINTER, INTEGER)
            self.code[key] = Code(library, function, "unpack")
        return self.code[key]
