"""Kernels as functions: their text as modules of the cache's folder, imported from there.

A file is named by what it holds, so that equal kernels are written and compiled once, by any process.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import tempfile
import threading
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from .kernel import Kernel

_lock = threading.Lock()


def function(kernel: Kernel) -> Any:
    """The jitted function of a kernel."""
    with _lock:
        return getattr(_module(kernel.source), kernel.name)


def options_of(kernel: Kernel) -> dict[str, Any]:
    """What Triton is told: whether multiplications and additions are fused is said, as its default changes."""
    options = {"num_warps": kernel.warps, "num_stages": kernel.stages, "enable_fp_fusion": True}
    if kernel.registers and torch.version.hip is None:
        options["maxnreg"] = kernel.registers
    return options


@cache
def _module(source: str) -> Any:
    name = f"kernel_{sha256(source.encode()).hexdigest()[:24]}"
    specification = importlib.util.spec_from_file_location(name, _written(name, source))
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _written(name: str, source: str) -> Path:
    """The file of a text; one that is not what it should be is written anew."""
    base = os.environ.get("DANAUS_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(base) / "danaus" / "triton" / f"{name}.py"
    try:
        if place.is_file() and place.read_text(encoding="utf-8") == source:
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False, encoding="utf-8") as file:
            file.write(source)
        os.replace(file.name, place)
    except OSError:  # no place to keep it: a folder of this process
        place = _own() / f"{name}.py"
        place.write_text(source, encoding="utf-8")
    return place


@cache
def _own() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="danaus-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
