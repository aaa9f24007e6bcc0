"""The options that all commands share, and how a spec is read with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..compiler.driver import Options, load
from ..frontend.spec import Spec
from ..ir.diagnostic import Diagnostic, error, render


def read_spec(file: Path, options: dict[str, Any]) -> Spec:
    """The spec of a file under a command's options; its notes and warnings go to standard error.

    Raises: DanausError; `wrong-option` where options for other formats stand beside a .circuit file.
    """
    for name in ("variables", "vtree", "evidence"):
        if options.get(name) is not None and file.suffix == ".circuit":
            raise error("wrong-option", f"--{name} is for files of other tools; {file.name} is a .circuit file")
    spec = load(file, Options(options.get("init_seed", 0), options.get("params")))
    for diagnostic in spec.diagnostics:
        say(diagnostic)
    return spec


def say(diagnostic: Diagnostic) -> None:
    """Prints a diagnostic on standard error."""
    print(render(diagnostic), file=sys.stderr)
