"""Arrays laid end to end, as a block's children are, read and written by position without being copied together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .linear import Indices

Array = NDArray[Any]

# Parts are copied together where they are short, or at most so many times as long as what is read of them.
_COPIED = 4
_LITTLE = 1 << 13


class Laid:
    """Some arrays, one number per node, of which position i is place i of all of them laid end to end."""

    def __init__(self, parts: Sequence[Array]) -> None:
        self.parts = parts

    @cached_property
    def length(self) -> int:
        """How long the parts are together."""
        return sum(map(len, self.parts))

    @cached_property
    def starts(self) -> Indices:
        """Where each part begins, and where the last one ends."""
        return np.concatenate([[0], np.cumsum([len(part) for part in self.parts], dtype=np.int64)])

    @cached_property
    def whole(self) -> Array:
        """The parts copied together."""
        if len(self.parts) == 1:
            return self.parts[0]
        return np.concatenate(self.parts) if self.parts else np.zeros(0, dtype=np.int64)

    @property
    def uniform(self) -> int | None:
        """The number that stands everywhere, if there is one."""
        if not self.parts:
            return None
        first = self.parts[0][0]
        return int(first) if all((part == first).all() for part in self.parts) else None

    @property
    def kinds(self) -> list[int] | None:
        """The one number of each part, if no part has two."""
        firsts = [part[0] for part in self.parts]
        if all(len(part) == 1 or (part == first).all() for part, first in zip(self.parts, firsts, strict=True)):
            return [int(first) for first in firsts]
        return None

    def take(self, positions: Indices) -> Array:
        """What stands at some positions."""
        if len(self.parts) == 1:
            return self.parts[0][positions]
        if not len(positions):
            return np.zeros(0, dtype=np.int64)
        if self._short(positions):
            return self.whole[positions]
        out = np.empty(len(positions), dtype=self.parts[0].dtype)
        for part, chosen, places in self._apart(positions):
            out[chosen] = part[places]
        return out

    def mark(self, positions: Indices) -> None:
        """Sets what stands at some positions to true."""
        if len(self.parts) == 1:
            self.parts[0][positions] = True
        elif len(positions) and self._short(positions):
            marked = np.zeros(self.length, dtype=bool)
            marked[positions] = True
            start = 0
            for part in self.parts:
                part |= marked[start : start + len(part)]
                start += len(part)
        elif len(positions):
            for part, _, places in self._apart(positions):
                part[places] = True

    def _short(self, positions: Indices) -> bool:
        return self.length <= max(_LITTLE, _COPIED * len(positions))

    def _apart(self, positions: Indices) -> Iterator[tuple[Array, Indices, Indices]]:
        """Each part that has some of the positions, which of them, and their places in it."""
        which = np.searchsorted(self.starts, positions, side="right") - 1
        order = np.argsort(which, kind="stable")
        used = np.flatnonzero(np.bincount(which))
        bounds = np.searchsorted(which[order], used).tolist()
        for part, start, stop in zip(used.tolist(), bounds, [*bounds[1:], len(order)], strict=True):
            chosen = order[start:stop]
            yield self.parts[part], chosen, positions[chosen] - self.starts[part]
