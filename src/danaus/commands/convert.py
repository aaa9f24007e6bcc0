"""`danaus convert`: a file in another format, by suffix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..frontend.write import write_spec
from ..ir.diagnostic import error
from .options import read_spec


def run(source: Path, target: Path, **options: Any) -> int:
    """Converts a file."""
    if target.suffix != ".circuit":
        raise error(
            "not-yet",
            f"files of the format {target.suffix or 'without suffix'} are not written",
            hint="write a .circuit",
        )
    write_spec(read_spec(source, options), target)
    return 0
