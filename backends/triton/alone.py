"""One call of an engine at a time: its buffers, recordings and kernels are those of one call.

What enters are methods of engines; what leaves are the same, in turn, which say so where there is no memory left.
Threads that share a model would else write into what was recorded while another's launches read it. Answers wait for
the device anyway; engines of other models go on beside them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import torch

from ...ir.diagnostic import error

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
    """A method that holds its object's lock.

    Raises: DanausError `no-room` where the device has no memory left.
    """

    @wraps(method)
    def held(self: Own, /, *given: Given.args, **more: Given.kwargs) -> Found:
        with self.lock:
            try:
                return method(self, *given, **more)
            except torch.OutOfMemoryError as failure:
                message = "the GPU has no memory left for what is asked"
                raise error("no-room", message, hint="fewer rows at a time take less") from failure

    return held
