"""Checkpoints of learning: all that its next epoch hangs on, in one safetensors file that is whole or not there.

What enters are arrays by name and a few texts; nothing is pickled. A file says which circuit, rows and options it is
of, and carries a digest of its numbers, so that a damaged one is told from a whole one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ...ir.data.container import read_bytes, write_bytes
from ...ir.diagnostic import DanausError, error
from ...ir.parameter import Floats
from .digest import digest_of_rows

KIND, VERSION = "danaus fit", "2"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a checkpoint is of: digests of the circuit and of the rows, and the options that its way hangs on."""

    circuit: str
    rows: str
    options: Mapping[str, object]


def write(path: Path, identity: Identity, arrays: Mapping[str, Floats]) -> None:
    """Writes a checkpoint in one step.

    Raises: DanausError `unwritable-file`.
    """
    tensors = {name: np.array(array, dtype=np.float64, order="C") for name, array in arrays.items()}
    options = json.dumps(dict(identity.options), sort_keys=True)
    about = {"kind": KIND, "version": VERSION, "circuit": identity.circuit, "rows": identity.rows, "options": options}
    write_bytes(path, save(tensors, {**about, "sha256": _digest(about, tensors)}))


def read(path: Path, identity: Identity) -> dict[str, Floats]:
    """The arrays of a checkpoint of this identity.

    Raises: DanausError `unreadable-file`, `damaged-checkpoint`, `other-checkpoint`.
    """
    content = read_bytes(path, False)
    try:
        size = int.from_bytes(content[:8], "little")
        found: dict[str, str] = json.loads(content[8 : 8 + size]).get("__metadata__", {})
        tensors = load(content)
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as failure:
        raise _damaged(path, "it is no whole .safetensors file") from failure
    if found.get("kind") != KIND:
        raise error("other-checkpoint", f"{path} is no checkpoint of `fit`", hint="give the file that `fit` wrote")
    if found.get("version") != VERSION:
        raise error("other-checkpoint", f"{path} is of another version of Danaus", hint="learn from the beginning")
    about = {name: text for name, text in found.items() if name != "sha256"}
    if found.get("sha256") != _digest(about, tensors):
        raise _damaged(path, "its numbers are not those that were written")
    _require_same(path, identity, found)
    return tensors


def _require_same(path: Path, identity: Identity, found: Mapping[str, str]) -> None:
    hint = "give what it was made with, or learn from the beginning"
    if found["circuit"] != identity.circuit:
        raise error("other-checkpoint", f"{path} is of another circuit", hint=hint)
    options: dict[str, object] = json.loads(found["options"])
    for name, given in identity.options.items():
        if options.get(name) != given:
            raise error("other-checkpoint", f"{path} has {name} {options.get(name)}, not {given}", hint=hint)
    if found["rows"] != identity.rows:
        raise error("other-checkpoint", f"{path} is of other rows", hint=hint)


def _digest(about: Mapping[str, str], tensors: Mapping[str, NDArray[np.float64]]) -> str:
    names = np.array([part for item in sorted(about.items()) for part in item] + sorted(tensors))
    return digest_of_rows(names, *(tensors[name] for name in sorted(tensors)))


def _damaged(path: Path, reason: str) -> DanausError:
    return error("damaged-checkpoint", f"{path}: {reason}", hint="learn from the beginning")
