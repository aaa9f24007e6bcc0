"""Start-up: the time of `danaus check` on a small file, as a whole process, beside an empty Python and numpy alone.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "rain.circuit"
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import numpy'": ["-c", "import numpy"],
    "python -c 'import numpy, lark, click'": ["-c", "import numpy, lark, click"],
    "danaus --help": ["-m", "danaus", "--help"],
    "danaus check rain.circuit": ["-m", "danaus", "check", str(EXAMPLE)],
}
RUNS = 15


def main() -> None:
    """Prints a table in Markdown: medians of so many runs after one warm-up, the commands in turn."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(RUNS + 1):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], capture_output=True, check=True)
            if turn:
                times[name].append(time.perf_counter() - start)
    empty = statistics.median(times["python -c pass"])
    print("| command | median s | least s | of an empty Python |")
    print("|---|---:|---:|---:|")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"| `{name}` | {middle:.3f} | {min(found):.3f} | {middle / empty:.1f} × |")


if __name__ == "__main__":
    main()
