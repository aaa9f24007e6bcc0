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
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from .device import interpreted
from .kernel import Kernel
from .spills import Options, least_spilled, others

_lock = threading.Lock()


@dataclass(slots=True, eq=False)
class Settled:
    """A jitted function that is compiled before its first launch on a device, and again there if it spills.

    It is called as a jitted function is. What was found for the first arguments holds for all, though Triton compiles
    anew for such as are divisible by 16 and such as are not.
    """

    kernel: Kernel
    jitted: Any
    options: dict[torch.device, Options] = field(default_factory=dict[torch.device, Options])

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., Any]:
        def launch(*given: Any, **options: Any) -> Any:
            place = given[0].device
            if place not in self.options:
                self.options[place] = self._least(grid, given, options)
            return self.jitted[grid](*given, **options | self.options[place])

        return launch

    def _least(self, grid: tuple[int, ...], given: tuple[Any, ...], options: dict[str, Any]) -> Options:
        from triton.compiler.errors import CompilationError
        from triton.runtime.errors import OutOfResources, PTXASError

        def made(more: Options) -> Any:
            found = self.jitted.warmup(*given, grid=grid, **options | more)
            _ = found.run  # loads it, after which what it takes of the device is known
            return found

        def tried(more: Options) -> Any:
            try:
                return made(more)
            except (CompilationError, OutOfResources, PTXASError):
                return None

        first = made({})
        target = first.metadata.target
        threads = first.metadata.num_warps * target.warp_size
        trials = others(target.backend, target.warp_size, threads)
        return least_spilled(first, lambda found: int(found.n_spills), trials, tried)[1]


_settled: dict[str, Settled] = {}


def function(kernel: Kernel) -> Any:
    """The jitted function of a kernel; on a device what spills is compiled again there (spills.py)."""
    with _lock:
        jitted = getattr(_module(kernel.source), kernel.name)
        return jitted if interpreted() else _settled.setdefault(kernel.digest, Settled(kernel, jitted))


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
