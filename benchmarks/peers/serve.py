"""The server's side: a program that runs one function when a line on its input asks for it, and says how long it took.

A line is the name of a run, or `answer`, `memory` or `set back`; the reply is a line of JSON. Only the standard
library is needed, so that each peer can run in an environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Run = Callable[[], object]


@dataclass
class Served:
    """What a peer offers: runs by name, log-likelihoods of the rows, and what is to be known of it."""

    runs: dict[str, Run]
    answer: Callable[[], Sequence[float]]
    facts: dict[str, Any] = field(default_factory=dict)


def memory() -> dict[str, float]:
    """The resident memory of this process in MB: now, and the most since the mark was last set back (Linux)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(fields[key].split()[0]) / 1024 for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))}


def set_back() -> dict[str, float]:
    """Sets the mark of the most memory back to what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory()


def timed(run: Run) -> dict[str, float]:
    """Seconds of one run by the clock, and of this process's processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def serve(make: Callable[[dict[str, Any]], Served]) -> None:
    """Makes what the first argument, in JSON, describes, and answers until the input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no reply
    served = make(json.loads(sys.argv[1]))
    print(json.dumps(served.facts), file=replies, flush=True)
    for line in sys.stdin:
        match line.strip():
            case "answer":
                reply: Any = [float(each) for each in served.answer()]
            case "memory":
                reply = memory()
            case "set back":
                reply = set_back()
            case name:
                reply = timed(served.runs[name])
        print(json.dumps(reply), file=replies, flush=True)
