"""Which files are checked: enter the arguments of a command; leave paths of files, in a stable order and once each."""

from __future__ import annotations

import os
from pathlib import Path

from ..ir.diagnostic import error
from .configuration import configuration


def found(arguments: tuple[Path, ...]) -> list[str]:
    """The files that are named, and of each folder every `.circuit` in it, by name, but what is hidden or excluded.

    Raises: DanausError `no-files` for a folder without specs; what is wrong with a configuration.
    """
    out: dict[str, None] = {}
    for argument in arguments:
        name = str(argument)
        if "\0" in name or not os.path.isdir(name):
            out[name] = None
            continue
        inside = _search(name)
        if not inside:
            raise error("no-files", f'the folder "{name}" holds no .circuit file that is not excluded')
        out.update(dict.fromkeys(inside))
    return list(out)


def _search(folder: str) -> list[str]:
    out: list[str] = []
    for place, folders, files in os.walk(folder):
        settings = configuration(Path(os.path.abspath(place)))
        chosen = sorted(file for file in files if file.endswith(".circuit") and not file.startswith("."))
        out += [path for file in chosen if not settings.excludes(path := os.path.normpath(os.path.join(place, file)))]
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name != "__pycache__" and not settings.excludes(os.path.join(place, name))
        )
    return out
