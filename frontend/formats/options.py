"""What a caller may say about a file of another tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...ir.domain import Variable


@dataclass(frozen=True, slots=True)
class ForeignOptions:
    """The number of variables, a vtree file, an evidence file, the file's variables in order, and bytes of memory."""

    variables: int | None = None
    vtree: Path | None = None
    evidence: Path | None = None
    over: tuple[Variable, ...] | None = None
    memory: int = 8 << 30
