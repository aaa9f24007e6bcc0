"""One call of an engine at a time: its buffers, recordings and kernels are those of one call.

Threads that share a model would else write into what was recorded while another's launches read it. Answers wait for
the device anyway; engines of other models go on beside them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

Lock = AbstractContextManager[bool]


def lock() -> Lock:
    """What an engine keeps as its `lock`; it may call itself."""
    return threading.RLock()


Given = ParamSpec("Given")
Found = TypeVar("Found")


class Locked(Protocol):
    """What keeps a lock."""

    @property
    def lock(self) -> Lock: ...


Own = TypeVar("Own", bound=Locked)


def alone(method: Callable[Concatenate[Own, Given], Found]) -> Callable[Concatenate[Own, Given], Found]:
    """A method that holds its object's lock."""

    @wraps(method)
    def held(self: Own, /, *given: Given.args, **more: Given.kwargs) -> Found:
        with self.lock:
            return method(self, *given, **more)

    return held
