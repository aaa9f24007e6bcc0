"""What makes a failure the same failure in tomorrow's text, when lines have moved and others were added.

An identity is of the code and of what is wrong: an assertion's own text, the circuit and the property that is required,
or the stretch of text under the caret. A fingerprint adds the file, and a number where a file has several alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

_LENGTH = 16  # hexadecimal digits: among a million findings, two that agree by chance are one in 30 million


def squeezed(text: str) -> str:
    """A text on one line, with single spaces."""
    return " ".join(text.split())


def identity(code: str, subject: str) -> str:
    """The identity of a finding within its file."""
    return _digest(code, squeezed(subject))


def fingerprints(file: str, identities: Iterable[str]) -> list[str]:
    """The fingerprints of a file's findings, in order; `file` is its path as the repository knows it."""
    seen: Counter[str] = Counter()
    out: list[str] = []
    for one in identities:
        seen[one] += 1
        out.append(_digest(file, one, str(seen[one])))
    return out


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_LENGTH]
