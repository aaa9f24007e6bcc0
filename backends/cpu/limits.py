"""What this machine can do at most, on one thread: multiply-adds, matrix products and copies, each measured."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from .arena import aligned
from .builder import Function, module
from .machine import compiled, host
from .vectors import ROW, Vectors

_STEPS, _UNROLLED = 50_000, 4
_SIDE = 512
_COPIED = 1 << 26


@dataclass(frozen=True, slots=True)
class Limits:
    """Operations per second of float32 multiply-adds on registers and of torch's matrix product; bytes per second.

    Bytes are those that a copy in memory reads and writes.
    """

    vector: float
    matrix: float
    memory: float


def limits(repetitions: int = 5) -> Limits:
    """Measures the limits, the best of so many runs each: about a second in all."""
    vectors = host().vectors(4)
    chains = 24 if vectors.registers >= 32 else 12
    library = compiled(module([_peak(vectors, chains)], vectors))
    function = library.call("peak", ctypes.c_void_p, ctypes.c_int64)
    scratch = aligned(chains * ROW)
    with threads(1):
        a, b, c = (torch.rand(_SIDE, _SIDE) for _ in range(3))
        source, target = (torch.zeros(_COPIED, dtype=torch.uint8) for _ in range(2))
        return Limits(
            2
            * chains
            * _UNROLLED
            * vectors.width
            * _STEPS
            / _best(lambda: function(scratch.ctypes.data, _STEPS), repetitions),
            2 * _SIDE**3 / _best(lambda: torch.mm(a, b, out=c), repetitions),
            2 * _COPIED / _best(lambda: target.copy_(source), repetitions),
        )


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Sets how many threads torch and compiled circuits use, for a while."""
    held = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(held)


def _best(call: Callable[[], object], repetitions: int) -> float:
    call()
    found = []
    for _ in range(repetitions):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def _peak(vectors: Vectors, chains: int) -> Function:
    """The function `peak`: nothing but fused multiply-adds on registers."""
    f = Function("peak", "ptr %out, i64 %n", vectors)
    a, b = f.load("%out"), f.load(f.at("%out", None, offset=vectors.bytes))

    def step(i: str, *sums: str) -> list[str]:
        after = list(sums)
        for _ in range(_UNROLLED):
            after = [f.fma(a, value, b) for value in after]
        return after

    for i, value in enumerate(f.loop("%n", step, carried=[(vectors.floats, "zeroinitializer")] * chains)):
        f.store(value, f.at("%out", None, offset=i * vectors.bytes))
    return f
