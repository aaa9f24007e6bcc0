"""The most memory that a process holds, by what it does: import and compile, a forward pass, forward + backward.

    [DANAUS_PEER_CIRKIT=…/python] python benchmarks/memory.py [NAME …]

Figures are resident memory in MB, one thread, malloc as it comes: what a process holds once the circuit is compiled,
and how much more at most, over that, in its first pass of one kind (the first forward + backward also compiles its
code). Each stands for a process of its own. Chains grow in length, so that what grows with the number of layers is
seen; `rows` is the rows themselves (int64), `parameters` are float64, as the module holds them. Eager torch and, where
an interpreter is named, cirkit stand beside.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from servers import Server
from workloads import WORKLOADS, lay_out

LENGTHS = (64, 256, 1024, 4096)
IMAGES = ("quad graph CP 32", "quad tree Tucker 32")


def held(interpreter: str, script: str, spec: dict[str, Any], run: str, cache: str) -> tuple[float, float, Any]:
    """What is held when the process is ready, how much more a run holds at most, and what the server says of itself."""
    with Server(interpreter, script, spec, False, DANAUS_CACHE=cache) as server:
        facts = server.ready()
        before = server.ask("set back")["now"]
        server.ask(run)
        return before, server.ask("memory")["peak"] - before, facts


def line(name: str, given: dict[str, Any], peer: str, interpreter: str | None) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        spec = {**given, "threads": 1, "folder": folder, "softmax": False, "write": True, "again": False}
        lay_out(spec, Path(folder))
        cache = str(Path(folder) / "cache")
        theirs = {run: ("", "") for run in ("forward", "both")}
        if interpreter is not None:
            for run in theirs:
                before, more, _ = held(interpreter, f"{peer}_server.py", spec, run, cache)
                theirs[run] = (f"{before:.0f}", f"+ {more:.1f}")
        ours: dict[str, float] = {}
        for run in ("forward", "both"):
            before, ours[run], facts = held(sys.executable, "danaus_server.py", spec, run, cache)
        rows = spec["batch"] * spec.get("hmm", 784) * 8 / 2**20
        cells = [
            name,
            str(spec["batch"]),
            f"{facts['parameters'] * 8 / 2**20:.1f}",
            f"{rows:.1f}",
            f"{before:.0f}",
            f"+ {ours['forward']:.1f}",
            f"+ {ours['both']:.1f}",
            peer if interpreter is not None else "",
            theirs["forward"][0],
            theirs["forward"][1],
            theirs["both"][1],
        ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints a table in Markdown."""
    names = sys.argv[1:]
    heads = ["workload", "B", "parameters", "rows", "compiled", "forward", "both"]
    heads += ["peer", "ready", "forward", "both"]
    print(f"| {' | '.join(heads)} |\n|---|{'---:|' * 6}---|{'---:|' * 3}", flush=True)
    cirkit = os.environ.get("DANAUS_PEER_CIRKIT")
    for batch in (32, 1024):
        for length in LENGTHS:
            name = f"HMM 256, T = {length}"
            if names and not any(part in name for part in names):
                continue
            spec = {"hmm": length, "states": 256, "batch": batch, "values": 32}
            print(line(name, spec, "torch", sys.executable if batch * length < 33_000 else None), flush=True)
    for name in IMAGES:
        if cirkit is not None and (not names or any(part in name for part in names)):
            print(line(name, dict(WORKLOADS[name].spec), "cirkit", cirkit), flush=True)


if __name__ == "__main__":
    main()
