"""Large arrays that are taken again once nobody holds them: new memory costs as much as what is written there.

Pages of new memory are mapped one by one as they are touched, which takes longer than to pass over them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 2
"""Arrays that are kept at most."""


class Kept:
    """Arrays of one kind, as `make` gives them; what an array that is taken again holds is left to whoever takes it."""

    def __init__(self, make: Callable[[], NDArray[Any]]) -> None:
        self._make = make
        self._held: list[NDArray[Any]] = []
        self._lock = threading.Lock()

    def take(self) -> NDArray[Any]:
        """An array that nobody else holds, nor a view of it."""
        with self._lock:
            for position in range(len(self._held)):
                if _references(self._held, position) == _UNUSED:
                    return self._held[position]
            fresh = self._make()
            self._held = [*self._held[1 - MOST :], fresh]
            return fresh


def _references(held: Sequence[NDArray[Any]], position: int) -> int:
    """How many hold an entry of a list, as this way of asking counts them."""
    return getrefcount(held[position])


_UNUSED = _references([np.zeros(1)], 0)
"""What it counts for an entry that only the list holds."""
