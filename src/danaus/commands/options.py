"""The options that all commands share, and how a spec is read with them."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ..compiler.driver import Options, load
from ..frontend.formats.options import DEFAULT_MEMORY, ForeignOptions
from ..frontend.spec import Spec
from ..ir.diagnostic import Diagnostic, render


def load_spec(file: Path, options: dict[str, Any]) -> Spec:
    """The spec of a file under a command's options.

    Raises: DanausError; `wrong-option` where options for other formats stand beside a .circuit file.
    """
    memory = options.get("memory")
    foreign = ForeignOptions(
        options.get("variables"),
        options.get("vtree"),
        options.get("evidence"),
        memory=DEFAULT_MEMORY if memory is None else int(memory * (1 << 30)),
    )
    return load(file, Options(options.get("init_seed", 0), options.get("params"), foreign))


def read_spec(file: Path, options: dict[str, Any]) -> Spec:
    """The same; its notes and warnings go to standard error."""
    with working(f"reading {file}"):
        spec = load_spec(file, options)
    for diagnostic in spec.diagnostics:
        say(diagnostic)
    return spec


def working(what: str) -> AbstractContextManager[object]:
    """A sign on a terminal that something is under way, with what it is; nothing in a pipe."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


def say(diagnostic: Diagnostic) -> None:
    """Prints a diagnostic on standard error."""
    print(render(diagnostic), file=sys.stderr)
