"""`[tool.danaus]` of a `pyproject.toml`: what a repository requires of its circuits, by path.

The file that counts for a spec is the nearest one upwards from it that has the table. Keys:

    require = ["smooth"]            of every circuit
    exclude = ["drafts", "old/**"]  what a search of folders leaves out
    baseline = "danaus.json"        known failures, as --baseline
    [[tool.danaus.paths]]           further requirements where the path matches, as often as needed
    path = "models/**"
    require = ["deterministic"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from os import path as paths
from pathlib import Path
from typing import Any

from ..ir.diagnostic import DanausError, Diagnostic, nearest
from ..ir.span import Source, Span
from .patterns import matches

_KEYS = ("require", "exclude", "baseline", "paths")


@dataclass(frozen=True, slots=True)
class Requirement:
    """Properties that are required where a path matches a pattern, and the place that says so."""

    pattern: str
    properties: tuple[str, ...]
    span: Span | None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a `pyproject.toml` says, and the folder it is in; empty where there is none."""

    folder: Path
    requirements: tuple[Requirement, ...] = ()
    exclude: tuple[str, ...] = ()
    baseline: Path | None = None

    def required(self, file: str) -> list[str]:
        """The properties that every circuit of a file must have, in order and once each."""
        where = self._relative(file)
        found = [
            name
            for requirement in self.requirements
            if matches(requirement.pattern, where)
            for name in requirement.properties
        ]
        return list(dict.fromkeys(found))

    def excludes(self, file: str) -> bool:
        """Whether a search of folders leaves a file or folder out."""
        where = self._relative(file)
        return any(matches(pattern, where) for pattern in self.exclude)

    def _relative(self, file: str) -> str:
        return Path(paths.relpath(paths.abspath(file), self.folder)).as_posix()


@lru_cache(maxsize=1024)
def configuration(folder: Path) -> Configuration:
    """The configuration for the files of a folder, given absolute: the nearest one upwards.

    Raises: DanausError `wrong-configuration` with every mistake, its line and its key.
    """
    file = folder / "pyproject.toml"
    found = _read(file) if file.is_file() else None
    if found is not None:
        return found
    return Configuration(folder) if folder.parent == folder else configuration(folder.parent)


def _read(file: Path) -> Configuration | None:
    """What a file says; None where it has no `[tool.danaus]`."""
    try:
        text = file.read_bytes().decode("utf-8")
        table: Any = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        if "[tool.danaus" not in _rough(file):
            return None  # another tool's matter
        raise DanausError(
            Diagnostic("wrong-configuration", f"{paths.relpath(file)} cannot be read: {failure}")
        ) from None
    tool = table.get("tool", {})
    if not isinstance(tool, dict) or "danaus" not in tool:
        return None
    return _Reader(file, Source(paths.relpath(file), text)).configuration(tool["danaus"])


def _rough(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


class _Reader:
    """Gathers the mistakes of one table."""

    def __init__(self, file: Path, source: Source) -> None:
        self.file = file
        self.source = source
        self.mistakes: list[Diagnostic] = []

    def configuration(self, table: Any) -> Configuration:
        if not isinstance(table, dict):
            self._wrong("tool.danaus", "it is a table", "")
            table = {}
        self._known(table, _KEYS, "tool.danaus")
        requirements: list[Requirement] = []
        if required := self._texts(table, "require", "tool.danaus"):
            requirements.append(Requirement("**", required, self._span("require")))
        entries = table.get("paths", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self._wrong("tool.danaus.paths", "it is an array of tables: [[tool.danaus.paths]]", "paths")
            entries = []
        for number, entry in enumerate(entries):
            requirements.append(self._path(entry, f"tool.danaus.paths[{number}]"))
        baseline = table.get("baseline")
        if baseline is not None and not isinstance(baseline, str):
            self._wrong("tool.danaus.baseline", "it is the path of a file", "baseline")
            baseline = None
        exclude = self._texts(table, "exclude", "tool.danaus")
        if self.mistakes:
            raise DanausError(*self.mistakes)
        folder = self.file.parent
        return Configuration(folder, tuple(requirements), exclude, None if baseline is None else folder / baseline)

    def _path(self, entry: dict[str, Any], key: str) -> Requirement:
        self._known(entry, ("path", "require"), key)
        pattern = entry.get("path")
        if not isinstance(pattern, str) or not pattern:
            self._wrong(f"{key}.path", 'it is a pattern such as "models/**"', "path")
            pattern = "**"
        if "require" not in entry:
            self._wrong(f"{key}.require", "it is missing: the properties that are required there", "")
        return Requirement(pattern, self._texts(entry, "require", key), self._span("path", pattern))

    def _texts(self, table: dict[str, Any], name: str, key: str) -> tuple[str, ...]:
        found = table.get(name, [])
        if not isinstance(found, list) or not all(isinstance(text, str) and text for text in found):
            self._wrong(f"{key}.{name}", f'it is a list of texts: {name} = ["…"]', name)
            return ()
        return tuple(found)

    def _known(self, table: dict[str, Any], names: Sequence[str], key: str) -> None:
        for name in table:
            if name not in names:
                hint = nearest(name, names) or f"its keys are {', '.join(names)}"
                self._wrong(f"{key}.{name}", "there is no such key", name, hint)

    def _wrong(self, key: str, message: str, name: str, hint: str = "") -> None:
        self.mistakes.append(Diagnostic("wrong-configuration", f"{key}: {message}", self._span(name), hint))

    def _span(self, name: str, value: str = "") -> Span | None:
        """The place of a key in Danaus's tables, as near as the text tells."""
        inside = False
        for number, line in enumerate(self.source.text.split("\n"), start=1):
            stripped = line.strip()
            if stripped.startswith("["):
                inside = "tool.danaus" in stripped
                if inside and not name:
                    return self._at(number, line, stripped)
            if inside and name and stripped.partition("=")[0].strip().strip("\"'") == name and value in line:
                return self._at(number, line, name)
        return Span(self.source, 1)

    def _at(self, number: int, line: str, stretch: str) -> Span:
        start = line.find(stretch) + 1
        return Span(self.source, number, start, number, start + len(stretch))
