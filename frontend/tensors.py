"""Arrays by name in `.safetensors` files: what `load` reads, and what is written beside a spec."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..ir.data.container import unreadable, write_bytes
from ..ir.diagnostic import error
from ..ir.parameter import Floats, Value


def read_tensors(path: Path) -> dict[str, Value]:
    """The arrays of a file, as the float64 they are, by name.

    Raises: DanausError `unreadable-file` where it is missing or damaged, `wrong-value` for arrays of no numbers.
    """
    try:
        out: dict[str, Value] = {}
        sys.audit("danaus.read", str(path))  # it is read by Rust, and Python would not tell
        with safe_open(str(path), framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 — not a mapping
                found = np.asarray(file.get_tensor(name))
                if found.dtype.kind not in "biuf":
                    raise error("wrong-value", f'"{name}" in {path.name} holds {found.dtype}, not numbers')
                out[name] = Value.of(found)
        return out
    except (OSError, SafetensorError, ValueError, TypeError) as failure:
        if isinstance(failure, OSError):
            raise unreadable(path, failure) from failure
        raise error(
            "unreadable-file", f"{path.name} is not a whole .safetensors file: {failure}", hint="write it again"
        ) from failure


def write_tensors(path: Path, arrays: Mapping[str, Floats]) -> None:
    """Writes arrays by name, all of the file or nothing."""
    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
