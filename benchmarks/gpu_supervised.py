"""Measures jobs in a process that may fail: what hangs, crashes or leaves the GPU unusable is a word in the table, and
the next process goes on with the rest.

What enters are options, jobs and a budget of seconds; what leaves are the cells of each job as they come.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpu_jobs import KERNELS, Job
from gpu_meter import Cell

HERE = Path(__file__).parent
START = 90
"""Seconds in which a process has to begin its first job: it imports torch and starts the GPU."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a process that measures is told beside its jobs; `turn` is the file by which they take turns."""

    device: str
    precision: str
    rows: int
    only: str
    dry: bool
    turn: str = ""


def results(
    options: Options, jobs: Sequence[Job], budget: float, lanes: int = 0
) -> Iterator[tuple[Job, dict[str, Cell], float]]:
    """Jobs with their cells and the seconds that they took, as they come; what the budget has no room for says so.

    With `lanes`, so many processes more compile our kernels, and so many make PyJuice's circuits, each on a core of its
    own; the GPU is one process's at a time.
    """
    end = time.perf_counter() + budget
    numbered = list(enumerate(jobs))
    kinds = ("PyJuice",), KERNELS
    apart = [[each for each in numbered if lanes and each[1].kind in kind] for kind in kinds]
    parts = [[each for each in numbered if all(each not in own for own in apart)]]
    parts += [part for own in apart for lane in range(lanes) if (part := own[lane::lanes])]
    found: queue.Queue[tuple[Job, dict[str, Cell], float] | None] = queue.Queue()

    def lane(part: list[tuple[int, Job]]) -> None:
        for each in _lane(options, part, end):
            found.put(each)
        found.put(None)

    threads = [threading.Thread(target=lane, args=(part,), daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    left = len(threads)
    while left:
        each = found.get()
        if each is None:
            left -= 1
        else:
            yield each


def _lane(options: Options, left: list[tuple[int, Job]], end: float) -> Iterator[tuple[Job, dict[str, Cell], float]]:
    """Jobs of one process after the other."""
    by_number = dict(left)
    while left and time.perf_counter() < end:
        for number, cells, seconds in _measured(options, left, end):
            left = [each for each in left if each[0] != number]
            yield by_number[number], cells, seconds
    for _, job in left:
        yield job, {job.kind: Cell(None, "no time left")}, 0.0


def _measured(
    options: Options, jobs: list[tuple[int, Job]], end: float
) -> Iterator[tuple[int, dict[str, Cell], float]]:
    """Those of one process, until it ends or a job takes too long; the job that it ends with has a word."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "gpu_worker.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        process.stdin.write(json.dumps({**asdict(options), "jobs": [(n, asdict(job)) for n, job in jobs]}) + "\n")
        process.stdin.close()
        by_number, current, begun = dict(jobs), None, time.perf_counter()
        while True:
            limit = begun + (START if current is None else by_number[current].limit)
            try:
                line = lines.get(timeout=max(0.01, min(limit, end) - time.perf_counter()))
            except queue.Empty:
                number = jobs[0][0] if current is None else current
                if time.perf_counter() < end:
                    said = f"no answer within {by_number[number].limit if current is not None else START:.0f} s"
                    yield number, {by_number[number].kind: Cell(None, said)}, time.perf_counter() - begun
                return
            if not line:
                if current is not None or process.wait():
                    number = jobs[0][0] if current is None else current
                    said = f"the process ended with {process.wait()}"
                    yield number, {by_number[number].kind: Cell(None, said)}, time.perf_counter() - begun
                return
            found: dict[str, Any] = json.loads(line)
            if "cells" in found:
                cells = {name: Cell(**cell) for name, cell in found["cells"].items()}
                yield found["job"], cells, time.perf_counter() - begun
                jobs = [each for each in jobs if each[0] != found["job"]]
                current = None
            else:
                current = found["job"]
            begun = time.perf_counter()
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def _read(stream: Any, lines: queue.Queue[str]) -> None:
    """Lines as they come, and an empty one at the end."""
    for line in stream:
        lines.put(line)
    lines.put("")
