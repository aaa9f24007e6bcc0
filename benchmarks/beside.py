"""What two busy processes beside take from Danaus, and from torch's matrix product under the same load.

    python benchmarks/beside.py [NAME …] [--threads 1] [--seconds 4]

Each turn runs everything once with the machine as it is, and once with two processes that only count beside it. The
figures are medians by the clock; `slower` is with the two over without. On n cores, t threads beside two others have a
fair share of n / (t + 2) of a core each where that is below one, so `fair` is the larger of 1 and (t + 2) / n. The
last column is Danaus' slowdown over that of torch's product of 2048 × 2048.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import Server
from workloads import WORKLOADS, lay_out

NAMES = ("HMM 1024", "Monarch HMM 64 × 64", "HMM 256")
RUNS = ("forward", "both", "long mm")


def measure(name: str, threads: int, seconds: float, beside: list[subprocess.Popen[bytes]]) -> None:
    """Prints a row for each pass."""
    found: dict[tuple[bool, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        spec = {**WORKLOADS[name].spec, "threads": threads, "folder": folder, "long": True, "again": False}
        lay_out(spec, Path(folder))
        with Server(sys.executable, "danaus_server.py", spec) as server:
            server.ready()
            for run in RUNS:
                server.ask(run)
            start = time.perf_counter()
            while len(found.get((True, RUNS[-1]), ())) < 5 or time.perf_counter() - start < seconds:
                for busy in (False, True):
                    for each in beside:
                        each.send_signal(signal.SIGCONT if busy else signal.SIGSTOP)
                    for run in RUNS:
                        found.setdefault((busy, run), []).append(server.ask(run)["wall"])
    slower = {run: statistics.median(found[True, run]) / statistics.median(found[False, run]) for run in RUNS}
    fair = max(1.0, (threads + len(beside)) / (os.cpu_count() or 1))
    for run in RUNS[:-1]:
        before, after = (1e3 * statistics.median(found[busy, run]) for busy in (False, True))
        cells = (name, threads, run, f"{before:.3g}", f"{after:.3g}", f"{slower[run]:.2f}", f"{fair:.2f}")
        mm = slower["long mm"]
        print(f"| {' | '.join(map(str, cells))} | {mm:.2f} | {slower[run] / mm:.2f} |", flush=True)


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=4)
    given = parser.parse_args()
    print("| workload | threads | pass | alone ms | beside ms | slower | fair | torch.mm slower | ratio |")
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|", flush=True)
    loop = [sys.executable, "-c", "while True: pass"]
    beside = [subprocess.Popen(loop) for _ in range(2)]
    try:
        for threads in given.threads:
            for name in given.names or NAMES:
                measure(name, threads, given.seconds, beside)
    finally:
        for each in beside:
            each.kill()
            each.wait()


if __name__ == "__main__":
    main()
