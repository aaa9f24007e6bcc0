"""Code that is kept on disk by content, so that equal text is compiled once, whatever process asks.

What enters is code and the digest of all that it was made from; what leaves is the same code, or None where it is not
there or is damaged.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

_HASH = 32  # bytes


def place_of(kind: str, name: str) -> Path:
    """Where a file of a kind of code stands in the cache: DANAUS_CACHE, XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("DANAUS_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "danaus" / kind / name


def kept(place: Path) -> bytes | None:
    """What a file of the cache holds after its hash; None where it is not there, or damaged: loading it would crash."""
    try:
        held = place.read_bytes()
    except OSError:
        return None
    code = held[_HASH:]
    return code if hashlib.sha256(code).digest() == held[:_HASH] else None


def keep(place: Path, code: bytes) -> None:
    """Writes to the cache whole or not at all; without a place to write, nothing is kept."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(file.name, place)
    except OSError:
        return
