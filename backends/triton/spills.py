"""What spills registers is compiled again: one rule for code made ahead of time and for what is compiled on a device.

What enters is a kernel as it was compiled and what compiles it with other options; what leaves is the one that spills
least. Where ptxas spills a few bytes so that registers are few and more programs fit on a multiprocessor, it is told to
take as many as there are; where there are no more, twice the warps share a tile. On AMD's GPUs other numbers of warps
share it otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

REGISTERS = 1 << 16
"""A multiprocessor of NVIDIA's GPUs has so many, for all threads of a program."""

Made = TypeVar("Made")
Options = dict[str, int]


def others(backend: str, warp: int, threads: int) -> list[Options]:
    """Options to try where a kernel of so many threads spills."""
    warps = threads // warp
    if backend == "cuda":
        return [
            {"maxnreg": min(255, REGISTERS // threads // 8 * 8)},
            *([{"num_warps": 2 * warps}] if warps < 16 else []),
        ]
    return [{"num_warps": each} for each in (2 * warps, warps // 2) if 1 <= each <= 16]


def least_spilled(
    first: Made,
    spilled: Callable[[Made], int],
    trials: list[Options],
    make: Callable[[Options], Made | None],
) -> tuple[Made, Options]:
    """Of a kernel and of those made with other options the first that spills least, and its options; None of `make` is
    one that the compiler or the device refuses. Nothing is made where nothing spills."""
    best, chosen = first, Options()
    for more in trials:
        if not spilled(best):
            break
        made = make(more)
        if made is not None and spilled(made) < spilled(best):
            best, chosen = made, more
    return best, chosen
