"""How long something takes on a GPU, what it is beside the GPU's limits, and how many rows fit there at a time."""

from __future__ import annotations

import fcntl
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

import torch

from danaus.backends.triton.graphs import captured
from danaus.backends.triton.policy import Precision

Run = Callable[[], object]
Found = TypeVar("Found")

LEAST, MOST = 3, 20
"""Runs that are measured, within these."""

ENOUGH, SLOW = 0.5, 4.0
"""Seconds after which no further run is begun, once there are `LEAST`; and in any case."""

FULL = 0.85
"""So much of a GPU's memory is given to what is measured: the rest are what torch keeps and what kernels take."""

LONG = 4e13
"""Operations in a run at most, about a second of eager torch: a peer takes fewer rows at a time beyond that."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a table shows: seconds for all rows, a count, or none, and words."""

    value: float | None
    words: str = ""


@dataclass(slots=True)
class Meter:
    """Times runs: by events on a GPU, by the clock elsewhere (a dry run); `memory` are the bytes of the GPU.

    `turn` is a file that processes lock which share the GPU: one of them has it at a time.
    """

    device: torch.device
    precision: Precision
    memory: float = 1e18
    turn: str = ""

    @classmethod
    def of(cls, device: str, precision: Precision, turn: str = "") -> Meter:
        """That of a device by its name."""
        there = torch.device(device)
        memory = torch.cuda.get_device_properties(there).total_memory if there.type == "cuda" else 1e18
        return cls(there, precision, memory, turn)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The GPU for this process, with no memory of what was measured left there at the end."""
        with ExitStack() as stack:
            if self.turn:
                file = stack.enter_context(open(self.turn, "a"))
                fcntl.flock(file, fcntl.LOCK_EX)  # given back with the file, also by a process that is killed
            yield
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        if self.turn:
            time.sleep(0.01)  # so that who waits comes first

    def seconds(self, run: Run) -> float:
        """Median seconds after one run that is not measured; of a dry run the time of one."""
        if self.device.type != "cuda":
            return self._once(run)
        run()
        torch.cuda.synchronize()
        found: list[float] = []
        start = time.perf_counter()
        while len(found) < MOST:
            found.append(self._once(run))
            spent = time.perf_counter() - start
            if spent > SLOW or (spent > ENOUGH and len(found) >= LEAST):
                break
        return median(found)

    def _once(self, run: Run) -> float:
        if self.device.type != "cuda":
            start = time.perf_counter()
            run()
            return time.perf_counter() - start
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        run()
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)) / 1e3

    def graph(self, run: Callable[[], None]) -> Run:
        """A run as a graph, where there are any."""
        return captured(self.device, run) if self.device.type == "cuda" else run

    def at_once(self, rows: int, fixed: float, each: float, operations: float) -> int:
        """Rows at a time whose bytes fit and whose operations are not many: halves of all, 16 at least.

        `fixed` and `each` are the bytes of no row and of a row; `operations` those of a row.

        Raises: MemoryError where 16 rows do not fit.
        """
        room = FULL * self.memory
        part = rows
        while part >= 32 and (fixed + part * each > room or part * operations > LONG):
            part //= 2
        if fixed + part * each > room:
            raise MemoryError(f"{(fixed + part * each) / 1e9:.0f} GB for {part} rows")
        return part


def fitting(part: int, run: Callable[[int], Found]) -> Found:
    """What a run over so many rows at a time gives; of half as many where the GPU has no room, 16 at least.

    Raises: torch.OutOfMemoryError where it has none for those.
    """
    while True:
        try:
            return run(part)
        except torch.OutOfMemoryError:
            if part < 32:
                raise
        part //= 2
        gc.collect()
        torch.cuda.empty_cache()


def limits(meter: Meter) -> dict[str, Cell]:
    """Bytes per second of a copy, and operations per second of products in bf16, and in tf32."""
    big = meter.device.type == "cuda"
    source = torch.empty(1 << (28 if big else 12), dtype=torch.float32, device=meter.device)
    target = torch.empty_like(source)
    found = {"copy": 2 * source.nbytes / meter.seconds(lambda: target.copy_(source))}
    side = 8192 if big else 64
    for name, kind in (("bf16", torch.bfloat16), ("tf32", torch.float32)):
        square = torch.randn(side, side, device=meter.device, dtype=kind)
        with one_pass():
            found[name] = 2 * side**3 / meter.seconds(lambda: square @ square)  # noqa: B023  (run at once)
    return {name: Cell(value) for name, value in found.items()}


class one_pass:
    """Products of float32 in torch by one pass of tf32."""

    def __enter__(self) -> None:
        self.usual = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")

    def __exit__(self, *_: object) -> None:
        torch.set_float32_matmul_precision(self.usual)


def tried(run: Callable[[], Any], name: str) -> dict[str, Cell]:
    """What a measurement gives, by name; what it fails by as a word: a peer or a row that fails is a cell of the table.

    Raises: whatever leaves the GPU in a state in which nothing runs any more.
    """
    try:
        found = run()
        return found if isinstance(found, dict) else {name: found if isinstance(found, Cell) else Cell(found)}
    except (torch.OutOfMemoryError, MemoryError) as failure:
        said = str(failure) if isinstance(failure, MemoryError) else ""
        return {name: Cell(None, f"memory: {said}" if said else "memory")}
    except Exception as failure:  # of any kind: peers raise what they like, and the others go on
        if "CUDA error" in str(failure):
            raise
        return {name: Cell(None, f"{type(failure).__name__}: {str(failure)[:80]}".replace("\n", " ").replace("|", "/"))}
