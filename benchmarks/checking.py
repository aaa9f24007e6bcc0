"""Checks of a thousand small specs, as whole processes: cold, again from the cache, and in one process without a cache.

python benchmarks/checking.py [FILES]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
RUNS = 3

SPEC = """var a : bool
var b : cat(3)

circuit p {{
  u = bernoulli(a, [0.{0:03d}, 0.75])
  v = categorical(b, [[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]])
  return sum(u * v, [[0.4, 0.6]])
}}

assert smooth(p) and decomposable(p) and normalized(p)
"""


def write(folder: Path, files: int) -> None:
    """So many specs of one circuit and one assertion, no two alike, in ten folders."""
    for number in range(files):
        place = folder / f"part{number % 10}" / f"spec{number:05d}.circuit"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"# {number}\n" + SPEC.format(number % 999 + 1))


def timed(*arguments: str) -> float:
    """Seconds of one command, start-up included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Prints a table in Markdown: medians of so many runs."""
    rows: dict[str, list[float]] = {}
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            specs = Path(folder, "specs")
            specs.mkdir()
            write(specs, FILES)
            check = ("-m", "danaus", "check", str(specs))
            cache = ("--cache-dir", str(Path(folder, "cache")))
            for name, command in {
                "python -c 'import numpy'": ("-c", "import numpy"),
                f"{FILES} specs, no cache, one process": (*check, "--no-cache", "--jobs", "1"),
                f"{FILES} specs, cold": (*check, *cache),
                f"{FILES} specs, from the cache": (*check, *cache),
            }.items():
                rows.setdefault(name, []).append(timed(*command))
    print("| command | median s | least s |")
    print("|---|---:|---:|")
    for name, times in rows.items():
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} |")


if __name__ == "__main__":
    main()
