"""The line, end to end: from a file or a text to circuits, and to what they assert.

    text ─ parse ─► syntax ─ elaborate ─► Spec (circuits over a store) ─ judge ─► results

Each arrow is one call below, in that order; a newcomer starts here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..frontend.elaborate import elaborate
from ..frontend.parse import parse as parse_source
from ..frontend.read import read_source
from ..frontend.spec import Spec
from ..frontend.syntax import File, ImportStatement
from ..ir.diagnostic import Gatherer, error
from ..ir.domain import Variable
from ..ir.span import Source
from .operators import OPERATORS

FOREIGN = (".nnf", ".sdd", ".psdd", ".bif", ".uai", ".cnf", ".dimacs")


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may ask of a file: a seed for parameters without a value, and values as a last `load`."""

    seed: int = 0
    params: Path | None = None


def load(path: str | Path, options: Options | None = None) -> Spec:
    """The spec of a file.

    Raises: DanausError with all mistakes of the file, each with its place.
    """
    return _load(Path(path), options or Options(), {}, ())


def parse(text: str, name: str = "<text>", folder: Path | None = None, options: Options | None = None) -> Spec:
    """The spec of a text; paths in it are relative to the folder, or to the working folder.

    Raises: DanausError with all mistakes of the text, each with its place.
    """
    return _compile(Source(name, text), folder or Path(), options or Options(), {}, ())


def syntax(path: str | Path) -> File:
    """The syntax tree of a file.

    Raises: DanausError with all syntax errors of the file.
    """
    gatherer = Gatherer()
    file = parse_source(read_source(path), gatherer)
    gatherer.finish()
    return file


def _load(path: Path, options: Options, known: Mapping[str, Variable], chain: tuple[Path, ...]) -> Spec:
    _require_spec(path)
    real = path.resolve()
    if real in chain:
        names = " → ".join(step.name for step in (*chain[chain.index(real) :], real))
        raise error("import-cycle", f"the files import each other: {names}", hint="move what both need to a third file")
    return _compile(read_source(path), path.parent, options, known, (*chain, real))


def _require_spec(path: Path) -> None:
    if "\0" in str(path):
        raise error("unreadable-file", "the path has a NUL character")
    suffix = path.suffix if path.suffix != ".gz" else Path(path.stem).suffix
    if suffix in FOREIGN:
        raise error("not-yet", f"files of the format {suffix} are not read yet", hint="Danaus reads .circuit files")
    if os.path.exists(path) and suffix != ".circuit":  # which takes any text, however long
        raise error("unknown-format", f"{path.name} is no .circuit file", hint="specs have the suffix .circuit")


def _compile(
    source: Source, folder: Path, options: Options, known: Mapping[str, Variable], chain: tuple[Path, ...]
) -> Spec:
    """Text to syntax to circuits; imports come through here again."""
    imports = _Imports(options, chain)
    gatherer = Gatherer()
    file = parse_source(source, gatherer)
    return elaborate(
        file, folder, OPERATORS, gatherer, imports.load, seed=options.seed, params=options.params, known=known
    )


@dataclass(slots=True)
class _Imports:
    """Reads imported files, each once, with the importer's variables and without its parameters."""

    options: Options
    chain: tuple[Path, ...]
    read: dict[Path, Spec] = field(default_factory=dict[Path, Spec])

    def load(self, path: Path, statement: ImportStatement, known: Mapping[str, Variable]) -> Spec:
        """The spec of an import."""
        _require_spec(path)
        if statement.options:
            raise error(
                "wrong-arguments",
                "a .circuit file is imported without options",
                statement.options[0].span,
                hint="variables=, vtree=, evidence= and over= are for files of other tools",
            )
        real = path.resolve()
        if real not in self.read:
            self.read[real] = _load(path, Options(self.options.seed), known, self.chain)
        return self.read[real]
