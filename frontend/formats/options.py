"""What a caller may say of a file of another tool: in `import`, on the command line, or in Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...ir.domain import Variable

DEFAULT_MEMORY = 8 << 30


@dataclass(frozen=True, slots=True)
class ForeignOptions:
    """The number of variables, a vtree, evidence, names for the file's variables in order, and a limit in bytes."""

    variables: int | None = None
    vtree: Path | None = None
    evidence: Path | None = None
    over: tuple[Variable, ...] | None = None
    memory: int = DEFAULT_MEMORY
