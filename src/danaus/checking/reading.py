"""Which files a check reads, and what they held: the cache must know, whichever reader it was.

Python tells its audit hooks of every file that is opened, before it is; what reads files otherwise raises the event
`danaus.read` itself. So no reader, present or future, can forget to say what an answer rests on.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

# Danaus, its libraries and the machine are no inputs of a check: the cache has a stamp of them.
_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib", ".lark", ".pth")
_MACHINE = ("/proc/", "/sys/", "/dev/")


@dataclass(slots=True)
class _Recorder:
    """The files read since a recording began, by the path that they were opened under; None without a recording."""

    read: dict[str, str | None] | None = None
    hooked: bool = False
    hashing: bool = False
    thread: int = 0  # other threads only pass tasks on


_recorder = _Recorder()


@contextmanager
def recording() -> Iterator[dict[str, str | None]]:
    """The files that the body reads, and the digests of what they hold: None for what cannot be read."""
    if not _recorder.hooked:  # a hook stays for the life of the process
        sys.addaudithook(_heard)
        _recorder.hooked = True
    found: dict[str, str | None] = {}
    _recorder.read, _recorder.thread = found, threading.get_ident()
    try:
        yield found
    finally:
        _recorder.read = None


def digest(path: str) -> str | None:
    """The digest of a file's content; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            content = blake2b(digest_size=20)
            while chunk := file.read(1 << 20):
                content.update(chunk)
            return content.hexdigest()
    except (OSError, ValueError):
        return None


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    if event not in ("open", "danaus.read"):
        return
    read = _recorder.read
    if read is None or _recorder.hashing or _recorder.thread != threading.get_ident():
        return
    path = arguments[0]
    if not isinstance(path, str | bytes | os.PathLike):  # a file that is open already
        return
    name = os.fsdecode(path)
    if name in read or name.endswith(_CODE) or name.startswith(_MACHINE):
        return
    _recorder.hashing = True
    try:
        read[name] = digest(name)
    finally:
        _recorder.hashing = False
