"""Patterns of paths, as in `.gitignore`: `*` and `?` within a name, `**` across folders.

A pattern with a slash is counted from the folder of the configuration; one without matches a name at any depth. What
matches a folder matches all that is in it.
"""

from __future__ import annotations

import re
from functools import lru_cache


def matches(pattern: str, path: str) -> bool:
    """Whether a path with forward slashes, relative to the configuration's folder, is meant by a pattern.

    >>> matches("models/**", "models/a/b.circuit"), matches("models/*.circuit", "models/a/b.circuit")
    (True, False)
    >>> matches("build", "a/build/b.circuit")
    True
    """
    return _compiled(pattern).match(path) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    anchored = "/" in pattern.rstrip("/")
    out: list[str] = [] if anchored else ["(?:.*/)?"]
    rest = pattern.strip("/").removeprefix("./")
    at = 0
    while at < len(rest):
        if rest.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
        elif rest.startswith("**", at):
            out.append(".*")
            at += 2
        else:
            sign = rest[at]
            out.append("[^/]*" if sign == "*" else "[^/]" if sign == "?" else re.escape(sign))
            at += 1
    return re.compile("".join(out) + r"(?:/.*)?\Z", re.DOTALL)
