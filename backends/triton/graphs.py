"""Launches recorded as CUDA graphs: what Python does for each of them, some 20 µs, is done once for a size of batches.

What enters are launches on buffers that stay where they are; what leaves replays them. Launches through the driver, of
code that was made ahead of time, are recorded as those of Triton and of torch are: all are on torch's present stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from . import policy
from .device import on

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")
Launch = Callable[[], None]


@dataclass(slots=True, eq=False)
class Tape:
    """Launches that were recorded, and the buffers that they read and write."""

    given: tuple[torch.Tensor, ...]
    found: tuple[torch.Tensor, ...]
    replay: Launch


Tapes = dict[Hashable, Tape]
"""Tapes by what they hang on beside their buffers, the last one used last."""

_recording = threading.Lock()


def captured(device: torch.device, launch: Launch) -> Launch:
    """Launches as one CUDA graph; they run once before, so that nothing is compiled while it is recorded.

    What other threads do meanwhile, such as allocating memory, is theirs: it does not end the recording.
    """
    made: Any = torch.cuda.Stream  # which carries no types
    with on(device), _recording:
        stream = made(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            launch()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            launch()
    return graph.replay


def played(
    tapes: Tapes,
    device: torch.device,
    key: Hashable,
    launches: int,
    given: tuple[torch.Tensor, ...],
    make: Callable[[], tuple[tuple[torch.Tensor, ...], Launch]],
) -> tuple[torch.Tensor, ...]:
    """What so many launches over what is `given` find: recorded by `key` and sizes where they are many.

    `make` gives the buffers that they write, and launches them over these and over what is given now. What it gave is
    written again by the next call with the same key.
    """
    if not policy.records(device.type, launches):
        found, launch = make()
        launch()
        return found
    key = (key, *(each.shape for each in given))
    tape = tapes.pop(key, None)
    if tape is None:
        found, launch = make()
        tape = Tape(given, found, captured(device, launch))
    else:
        for own, new in zip(tape.given, given, strict=True):
            if own.data_ptr() != new.data_ptr():  # else it is what another tape has found
                own.copy_(new)
    room(tapes)[key] = tape
    tape.replay()
    return tape.found


def room(recorded: dict[Key, Kept]) -> dict[Key, Kept]:
    """The same with room for one more: the one that was used longest ago is gone where there are as many as may be."""
    while len(recorded) >= policy.RECORDED:
        recorded.pop(next(iter(recorded)))
    return recorded
