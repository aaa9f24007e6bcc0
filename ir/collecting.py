"""Holding back the collection of cycles while many objects are made and few die."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Generator[None, None, None]:
    """Nothing is collected inside: trees and circuits have few cycles, and to look for them takes a third of the time
    of a parse, a fifth of that of a compilation."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
