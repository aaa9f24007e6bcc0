"""The campaign's side: servers in processes of their own, whose runs take turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

TUNED = {"MALLOC_TOP_PAD_": "67108864", "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_MMAP_MAX_": "0"}
"""What keeps malloc from giving memory back between runs, only to ask for it again.

The last is needed: either of the first two alone fixes the size from which glibc maps each piece anew at 128 KiB.
"""


class Server:
    """One server, started when made, and ended with the `with` statement."""

    def __init__(self, interpreter: str, script: str, spec: dict[str, Any], tuned: bool = True, **more: str) -> None:
        """`more` is further environment; of the caller's, what tunes malloc is not passed on."""
        around = {name: value for name, value in os.environ.items() if name not in TUNED}
        threads = str(spec["threads"])
        around |= (
            (TUNED if tuned else {}) | {"OMP_NUM_THREADS": threads, "PJRT_NPROC": threads, "NPROC": threads} | more
        )
        path = Path(__file__).parent / "peers" / script
        self.process = subprocess.Popen(
            [interpreter, str(path), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("DANAUS_PEER_TALKS") else subprocess.DEVNULL,
            env=around,
            text=True,
        )
        self.name = script

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended; DANAUS_PEER_TALKS=1 shows what it says")
        return json.loads(line)

    def ready(self) -> Any:
        """Waits until it is made; what it says of itself."""
        return self._read()

    def ask(self, line: str) -> Any:
        """The reply to a line."""
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)
        return self._read()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *given: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


Arm = tuple[Server, str]


def in_turns(arms: dict[str, Arm], seconds: float, least: int = 5, most: int = 200) -> dict[str, dict[str, float]]:
    """The median seconds of each arm, `wall` and `cpu`, all asked in turns, after one run that does not count."""
    for server, run in arms.values():
        server.ask(run)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
    start = time.perf_counter()
    for turn in range(most):
        if turn >= least and time.perf_counter() - start > seconds:
            break
        for name, (server, run) in arms.items():
            found[name].append(server.ask(run))
    return {
        name: {clock: statistics.median(each[clock] for each in all_) for clock in ("wall", "cpu")}
        for name, all_ in found.items()
    }
