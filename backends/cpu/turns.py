"""Derivatives from the arena's order to numbers without constraints, parameter by parameter.

What enters are sums of derivatives; what leaves are derivatives by free numbers. A table's derivatives are unpacked
(unpacking.py) into a place that is used again for the next one, and go through its link (links.py) while they are in
the cache: they never pass through memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import arena
from .batch import INTEGER, POINTER, Bytes
from .builder import Function, module
from .links import Links
from .machine import Library, Target, compiled
from .packed import Unpacking
from .unpacking import UNPACK_FIELDS
from .vectors import Vectors

_ARGUMENTS = (
    "ptr %unpack, ptr %tables, ptr %slopes, ptr %links, ptr %firsts, i64 %count, ptr %sums, ptr %arena, ptr %work"
)


class Turns:
    """Code that brings the derivatives of tables, one for each parameter, through their links."""

    def __init__(self, unpacking: Unpacking, links: Links, tables: NDArray[np.int64]) -> None:
        """`tables` are those of the parameters, in the order of the links; each has derivatives in one place."""
        self._unpacking, self._links = unpacking, links
        place = {table: position for position, table in enumerate(unpacking.tables.tolist())}
        self._order = np.array([place[table] for table in tables.tolist()], dtype=np.int64)
        numbers = max((np.prod(unpacking.shapes[table]) for table in tables.tolist()), default=0)
        self._scratch = arena.aligned(int(numbers) * links.outer)
        self._library, self._function = _made(unpacking.vectors, unpacking.target)

    def bring(self, sums: Bytes, place: Bytes, held: NDArray[Any], out: NDArray[Any]) -> None:
        """Writes derivatives by free numbers to `out`, and clears the sums; `held` are the parameters."""
        first = self._scratch.ctypes.data
        tables = np.ascontiguousarray(self._unpacking.records[self._order])
        tables[:, UNPACK_FIELDS.index("out")] = first
        links, work = self._links.records(out, held, np.full(len(tables), first)), self._links.work()
        self._function(
            self._unpacking.code_for(self._links.outer, True).address,
            tables.ctypes.data,
            self._links.slopes_address,
            links.ctypes.data,
            self._links.firsts.ctypes.data,
            len(tables),
            sums.ctypes.data,
            place.ctypes.data,
            work.ctypes.data,
        )


def _made(vectors: Vectors, target: Target) -> tuple[Library, Callable[..., Any]]:
    library = compiled(module([turns(vectors)], vectors), target)
    return library, library.call("turns", *(POINTER,) * 5, INTEGER, POINTER, POINTER, POINTER)


def turns(vectors: Vectors) -> Function:
    """The function `turns`: for each table a call of `unpack`, then one of `slopes` for its records of links, which
    begin at %firsts."""
    f = Function("turns", _ARGUMENTS, vectors)

    def table(i: str) -> None:
        own = f.at("%tables", i, 8 * len(UNPACK_FIELDS))
        f.do(f"call void %unpack(ptr {own}, i64 1, ptr %sums, ptr %arena, i64 1)")
        bounds = f.at("%firsts", i, 8)
        first, last = f.load(bounds, "i64"), f.load(f.at(bounds, None, offset=8), "i64")
        records = f.at("%links", first, Links.STRIDE)
        count = f.op(f"sub i64 {last}, {first}")
        f.do(f"call void %slopes(ptr {records}, i64 {count}, ptr %work, double 1.0)")

    f.loop("%count", table)
    return f
