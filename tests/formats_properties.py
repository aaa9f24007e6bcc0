"""Every SDD and PSDD of a folder: smooth after smoothing, decomposable, structured and deterministic are proved.

    python tests/formats_properties.py ../shared/data

Prints what each file ended in, with the time, and fails where a property is not proved. Files that cannot be read are
listed with their diagnostics: whether these are the broken ones is for the reader to see.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import danaus as dn

PROPERTIES = ("smooth", "decomposable", "structured", "deterministic")


def files(data: Path) -> list[Path]:
    """The SDDs and PSDDs below a folder, small ones first."""
    found = [path for path in data.rglob("*") if path.name.removesuffix(".gz").endswith((".sdd", ".psdd"))]
    return sorted(found, key=lambda path: (path.stat().st_size, path))


def unproved(path: Path) -> dict[str, str]:
    """The properties of a file's circuit, smoothed, that are not proved, with what is known of each."""
    circuit = dn.smooth(dn.load(path).circuit)
    verdicts = dn.check(circuit, *PROPERTIES)
    return {name: verdicts[name].status for name in PROPERTIES if verdicts[name].status != "proved"}


def main() -> int:
    wrong = 0
    for path in files(Path(sys.argv[1])):
        started = time.monotonic()
        try:
            left = unproved(path)
            wrong += bool(left)
            said = ", ".join(f"{name} {status}" for name, status in left.items()) or "all proved"
        except dn.DanausError as failure:
            said = f"not read: {str(failure).splitlines()[0]}"
        print(f"{path}: {said}, {time.monotonic() - started:.1f} s", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
