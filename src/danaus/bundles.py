"""Bundles joined: what the runtime reads, and the engine that the backend makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .ir.diagnostic import error

if TYPE_CHECKING:
    from .runtime.bundled import Bundled


def load(path: Path) -> Bundled:
    """The bundle at a path, ready to run.

    Raises: DanausError `unreadable-file`, `damaged-bundle`, `bundle-version`, `missing-package`, `unsupported-cpu`.
    """
    try:
        from .backends.cpu.load import engine_of
        from .runtime.bundle import read_bundle
        from .runtime.bundled import Bundled, negative
    except ImportError as failure:
        raise error(
            "missing-package", f"{failure.name} is not installed", hint='pip install "danaus[cpu]"'
        ) from failure
    bundle = read_bundle(path)
    if bundle.exact or negative(bundle):  # numbers that the engines do not hold
        return Bundled(bundle, None, lambda: "none")
    return Bundled(bundle, *engine_of(bundle))
