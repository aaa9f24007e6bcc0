"""Numbers without constraints to the arena and derivatives back from its order, parameter by parameter.

What free numbers stand for is packed (packing.py) while it is in the cache. Derivatives are unpacked (unpacking.py) to
a place that is used again for the next parameter, and brought through its link (links.py) from there: they never pass
through memory, whose bandwidth is what a step of learning waits for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import arena
from .batch import INTEGER, POINTER, Bytes
from .builder import Function, module
from .links import Links
from .machine import compiled
from .packed import Packing, Unpacking
from .packing import PACK_FIELDS
from .unpacking import UNPACK_FIELDS
from .vectors import Vectors

_THERE = (
    "ptr %held, ptr %links, ptr %firsts, ptr %pack, ptr %tables, ptr %uses, i64 %count, ptr %arena, ptr %flags, "
    "ptr %work"
)
_BACK = "ptr %unpack, ptr %tables, ptr %slopes, ptr %links, ptr %firsts, i64 %count, ptr %sums, ptr %arena, ptr %work"


class Turns:
    """Code for parameters of which each is one table with derivatives in one place."""

    def __init__(self, packing: Packing, unpacking: Unpacking, links: Links, tables: NDArray[np.int64]) -> None:
        """`tables` are those of the parameters, in the order of the links."""
        self._packing, self._unpacking, self._links, self._tables = packing, unpacking, links, tables
        place = {table: position for position, table in enumerate(unpacking.tables.tolist())}
        self._order = np.array([place[table] for table in tables.tolist()], dtype=np.int64)
        uses: dict[int, list[int]] = {}
        for position, table in enumerate(packing.tables.tolist()):
            uses.setdefault(table, []).append(position)
        own = [uses.pop(table) for table in tables.tolist()]
        self._uses = np.array([position for each in own for position in each], dtype=np.int64)
        self._first_use = np.cumsum([0, *map(len, own)], dtype=np.int64)
        self._rest = np.array([position for each in uses.values() for position in each], dtype=np.int64)
        numbers = int(max((np.prod(unpacking.shapes[table]) for table in tables.tolist()), default=0))
        self._slopes = arena.aligned(numbers * links.outer)
        text = module([there(unpacking.vectors), back(unpacking.vectors)], unpacking.vectors)
        self._library = compiled(text, unpacking.target)
        self._there = self._library.call("there", *(POINTER,) * 6, INTEGER, POINTER, POINTER, POINTER)
        self._back = self._library.call("back", *(POINTER,) * 5, INTEGER, POINTER, POINTER, POINTER)

    def pack(self, free: NDArray[Any], held: NDArray[Any], tables: list[Any], place: Bytes) -> NDArray[np.uint8]:
        """Writes what free numbers stand for to `held` and packs it, and the other tables as they are; flags by
        record."""
        packing, links, work = self._packing, self._links, self._links.work()
        there = links.places(held)
        function = packing.code_for(links.outer)
        flags = np.zeros(len(packing.records), dtype=np.uint8)
        if len(self._rest):
            rest = np.ascontiguousarray(packing.records[self._rest])
            addresses = np.array([table.__array_interface__["data"][0] for table in tables], dtype=np.int64)
            rest[:, PACK_FIELDS.index("source")] = addresses[packing.tables[self._rest]]
            found = np.zeros(len(rest), dtype=np.uint8)
            function.function(rest.ctypes.data, len(rest), place.ctypes.data, found.ctypes.data)
            flags[self._rest] = found
        records = np.ascontiguousarray(packing.records[self._uses])
        records[:, PACK_FIELDS.index("source")] = np.repeat(there, np.diff(self._first_use))
        found, ways = np.zeros(len(records), dtype=np.uint8), links.records(free, there, there)
        self._there(
            links.address("held"),
            ways.ctypes.data,
            links.firsts.ctypes.data,
            function.address,
            records.ctypes.data,
            self._first_use.ctypes.data,
            len(self._tables),
            place.ctypes.data,
            found.ctypes.data,
            work.ctypes.data,
        )
        flags[self._uses] = found
        return flags

    def bring(self, sums: Bytes, place: Bytes, held: NDArray[Any], out: NDArray[Any]) -> None:
        """Writes derivatives by free numbers to `out`, and clears the sums; `held` is what they stand for."""
        links, work = self._links, self._links.work()
        tables = np.ascontiguousarray(self._unpacking.records[self._order])
        tables[:, UNPACK_FIELDS.index("out")] = self._slopes.ctypes.data
        slopes = np.full(len(tables), self._slopes.ctypes.data, dtype=np.int64)
        after = links.records(out, links.places(held), slopes)
        self._back(
            self._unpacking.code_for(links.outer, True).address,
            tables.ctypes.data,
            links.address("slopes"),
            after.ctypes.data,
            links.firsts.ctypes.data,
            len(tables),
            sums.ctypes.data,
            place.ctypes.data,
            work.ctypes.data,
        )


def there(vectors: Vectors) -> Function:
    """The function `there`: for each parameter a call of `held`, then one of `pack` for its records from %uses on."""
    f = Function("there", _THERE, vectors)

    def parameter(i: str) -> None:
        _linked(f, "%held", "%links", i)
        first, count = _part(f, "%uses", i)
        records, flags = f.at("%tables", first, 8 * len(PACK_FIELDS)), f.at("%flags", first)
        f.do(f"call void %pack(ptr {records}, i64 {count}, ptr %arena, ptr {flags})")

    f.loop("%count", parameter)
    return f


def back(vectors: Vectors) -> Function:
    """The function `back`: for each parameter a call of `unpack`, then one of `slopes`."""
    f = Function("back", _BACK, vectors)

    def parameter(i: str) -> None:
        own = f.at("%tables", i, 8 * len(UNPACK_FIELDS))
        f.do(f"call void %unpack(ptr {own}, i64 1, ptr %sums, ptr %arena, i64 1)")
        _linked(f, "%slopes", "%links", i)

    f.loop("%count", parameter)
    return f


def _linked(f: Function, code: str, links: str, i: str) -> None:
    """A call for the links of a parameter."""
    first, count = _part(f, "%firsts", i)
    f.do(f"call void {code}(ptr {f.at(links, first, Links.STRIDE)}, i64 {count}, ptr %work, double 1.0)")


def _part(f: Function, bounds: str, i: str) -> tuple[str, str]:
    """Where a parameter's records begin, and how many there are."""
    place = f.at(bounds, i, 8)
    first, last = f.load(place, "i64"), f.load(f.at(place, None, offset=8), "i64")
    return first, f.op(f"sub i64 {last}, {first}")
