"""Reports that were made before, by what they rest on: nothing is examined twice.

An entry is found by the spec's bytes and name, what is required, options, and Danaus itself; it holds the digests of
all files that were read for it, and counts only while they are the same. It is a line with the digest of the rest, and
JSON; whatever is damaged, or cannot be read or written, is as if it were not there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from .reading import digest
from .report import Plain, Report

_LAYOUT = "1"
_LIBRARIES = ("numpy", "lark", "safetensors", "python_sat", "PySDD", "pysdd", "sympy")
_KEPT = 30 * 24 * 3600  # seconds that an entry is kept after its last use
_SWEPT = 24 * 3600  # seconds between two looks for old entries

# Answers that rest on more than what files hold: on folders, on links, on the memory of the machine.
_PASSING = frozenset(["unreadable-file", "unknown-format", "import-cycle", "too-large", "missing-package", "crashed"])


def default_folder() -> Path:
    """Where the cache is unless told otherwise: `danaus` in `$XDG_CACHE_HOME`, or in `~/.cache`."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(chosen) if os.path.isabs(chosen) else Path(os.path.expanduser("~/.cache"))) / "danaus"


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of entries."""

    folder: Path

    def key(self, file: str, required: Sequence[str], options: Mapping[str, object]) -> str | None:
        """The name of a file's entry; None where the file cannot be read."""
        content = digest(file)
        if content is None:
            return None
        question = [_LAYOUT, _engine(), file, content, list(required), sorted(options.items())]
        return blake2b(json.dumps(question).encode(), digest_size=20).hexdigest()

    def get(self, key: str) -> Report | None:
        """The report of an entry whose files are as they were."""
        place = self._place(key)
        try:
            with open(place, "rb") as file:
                seal, _, content = file.read().partition(b"\n")
            if seal.decode("ascii") != _seal(key, content):
                return None
            entry = json.loads(content)
            if any(digest(path) != held for path, held in entry["read"]):
                return None
            report = Report.of_plain(entry["report"])
            if time.time() - os.stat(place).st_mtime > _SWEPT:
                os.utime(place)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return report

    def put(self, key: str, report: Plain, read: Mapping[str, str | None]) -> None:
        """Writes an entry, in one step; what may be another answer tomorrow is not kept."""
        if any(finding["code"] in _PASSING for finding in report["findings"]):
            return
        place = self._place(key)
        content = json.dumps({"read": list(read.items()), "report": report}, separators=(",", ":")).encode()
        beside = f"{place}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(beside, "xb") as file:
                file.write(_seal(key, content).encode() + b"\n" + content)
            os.replace(beside, place)
        except OSError:
            with suppress(OSError):
                os.unlink(beside)

    def sweep(self) -> None:
        """Removes entries that were not used for a month, at most once a day."""
        mark, now = self.folder / "swept", time.time()
        try:
            if mark.exists() and now - mark.stat().st_mtime < _SWEPT:
                return
            mark.touch()
            for place in self.folder.glob("[0-9a-f][0-9a-f]/*"):
                if now - place.stat().st_mtime > _KEPT:
                    place.unlink(missing_ok=True)
        except OSError:
            return

    def _place(self, key: str) -> str:
        return os.path.join(self.folder, key[:2], f"{key[2:]}.json")


def _seal(key: str, content: bytes) -> str:
    return blake2b(key.encode() + content, digest_size=20).hexdigest()


@lru_cache(maxsize=1)
def _engine() -> str:
    """A stamp of what makes the answers: Danaus's own sources, its libraries by version, and the Python."""
    stamp = blake2b(sys.version.encode(), digest_size=20)
    package = str(Path(__file__).parent.parent)
    for place, folders, files in os.walk(package, followlinks=True):  # the rooms of a checkout are links
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            if name.endswith((".py", ".lark")):
                path = os.path.join(place, name)
                stamp.update(f"{os.path.relpath(path, package)} {digest(path)}\n".encode())
    for folder in sys.path:
        with suppress(OSError):
            names = sorted(name for name in os.listdir(folder or ".") if name.endswith(".dist-info"))
            stamp.update("".join(name for name in names if name.startswith(_LIBRARIES)).encode())
    return stamp.hexdigest()
