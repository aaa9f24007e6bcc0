"""Reports that were made before, by what they rest on: nothing is examined twice.

An entry is found by the spec's bytes and name, what is required, options, and Danaus itself; it holds the digests of
all files that were read for it, and counts only while they are the same. It is a line with the digest of the rest, and
JSON, in a table of SQLite, which keeps concurrent and interrupted writers apart; whatever is damaged, or cannot be read
or written, is as if it were not there.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from .reading import digest
from .report import Plain, Report

_LAYOUT = "2"
_LIBRARIES = ("numpy", "lark", "safetensors", "python_sat", "PySDD", "pysdd", "sympy")
_KEPT = 30 * 24 * 3600  # seconds that an entry is kept after its last use
_SWEPT = 24 * 3600  # seconds between two looks for old entries
_HELD = 2.0  # seconds that entries wait to be written together
_PATIENCE = 5.0  # seconds that a busy table is waited for

_TABLE = "answers.sqlite"
_CREATE = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, used INTEGER, content BLOB) WITHOUT ROWID"
_SELECT = "SELECT used, content FROM entries WHERE key = ?"

# Failures of the machine or of the moment, and not of what the table holds.
_PASSING_STATES = frozenset(
    [
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    ]
)

# Answers that rest on more than what files hold: on folders, on links, on the memory of the machine.
_PASSING = frozenset(["unreadable-file", "unknown-format", "import-cycle", "too-large", "missing-package", "crashed"])


def default_folder() -> Path:
    """Where the cache is unless told otherwise: `danaus` in `$XDG_CACHE_HOME`, or in `~/.cache`."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(chosen) if os.path.isabs(chosen) else Path(os.path.expanduser("~/.cache"))) / "danaus"


@dataclass(slots=True)
class Cache:
    """A folder with a table of entries. What is put is written some seconds later, or by `write`."""

    folder: Path
    _waiting: list[tuple[str, int, bytes]] = field(default_factory=list[tuple[str, int, bytes]])
    _written: float = field(default_factory=time.monotonic)

    def key(self, file: str, required: Sequence[str], options: Mapping[str, object]) -> str | None:
        """The name of a file's entry; None where the file cannot be read."""
        content = digest(file)
        if content is None:
            return None
        question = [_LAYOUT, _engine(), file, content, list(required), sorted(options.items())]
        return blake2b(json.dumps(question).encode(), digest_size=20).hexdigest()

    def get(self, keys: Sequence[str | None]) -> list[Report | None]:
        """The reports of those entries whose files are as they were."""
        found: list[Report | None] = [None] * len(keys)
        place, now = self.folder / _TABLE, int(time.time())
        if not place.exists():
            return found
        stale: list[tuple[int, str]] = []
        with suppress(sqlite3.Error), closing(sqlite3.connect(place, timeout=_PATIENCE)) as table:
            for number, key in enumerate(keys):
                row = None if key is None else table.execute(_SELECT, (key,)).fetchone()
                if key is None or row is None:
                    continue
                found[number] = _opened(key, row[1])
                if found[number] is not None and not now - _SWEPT <= row[0] <= now:
                    stale.append((now, key))
            if stale:
                with table:
                    table.executemany("UPDATE entries SET used = ? WHERE key = ?", stale)
        return found

    def put(self, key: str, report: Plain, read: Mapping[str, str | None]) -> None:
        """Takes an entry; what may be another answer tomorrow is not kept."""
        if any(finding["code"] in _PASSING for finding in report["findings"]):
            return
        content = json.dumps({"read": list(read.items()), "report": report}, separators=(",", ":")).encode()
        self._waiting.append((key, int(time.time()), _seal(key, content).encode() + b"\n" + content))
        if time.monotonic() - self._written > _HELD:
            self.write()

    def write(self) -> None:
        """Writes what was put, in one transaction, and removes entries that were not used for a month, once a day.

        A table that is damaged is begun anew; one that is busy or cannot be written is left, and nothing is kept.
        """
        entries, self._waiting, self._written = self._waiting, [], time.monotonic()
        if not entries:
            return
        with suppress(OSError, sqlite3.Error):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                self._insert(entries)
            except sqlite3.Error as failure:
                if getattr(failure, "sqlite_errorcode", 0) & 0xFF in _PASSING_STATES:
                    return
                for end in ("", "-journal"):
                    Path(f"{self.folder / _TABLE}{end}").unlink(missing_ok=True)
                self._insert(entries)

    def _insert(self, entries: Sequence[tuple[str, int, bytes]]) -> None:
        with closing(sqlite3.connect(self.folder / _TABLE, timeout=_PATIENCE)) as table:
            table.execute("PRAGMA synchronous = OFF")  # what a failing machine damages is noticed, and begun anew
            with table:
                table.execute("BEGIN IMMEDIATE")
                table.execute(_CREATE)
                table.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", entries)
                if self._unswept():
                    table.execute("DELETE FROM entries WHERE used < ?", (int(time.time()) - _KEPT,))

    def _unswept(self) -> bool:
        """Whether no look for old entries was had today; there is one now."""
        mark = self.folder / "swept"
        if mark.exists() and time.time() - mark.stat().st_mtime < _SWEPT:
            return False
        mark.touch()
        return True


def _opened(key: str, held: bytes) -> Report | None:
    """The report of an entry; None where the entry is damaged, or a file it rests on is another."""
    try:
        seal, _, content = held.partition(b"\n")
        if seal.decode("ascii") != _seal(key, content):
            return None
        entry = json.loads(content)
        if any(digest(path) != known for path, known in entry["read"]):
            return None
        return Report.of_plain(entry["report"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


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
