"""The line, end to end: from a file or a text to circuits, and to what they assert.

    text ─ parse ─► syntax ─ elaborate ─► Spec (circuits over a store) ─ judge ─► results

Each arrow is one call below, in that order; a newcomer starts here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..frontend.elaborate import elaborate
from ..frontend.formats.options import ForeignOptions
from ..frontend.formats.read import FOREIGN, read_foreign, suffix_of, with_values
from ..frontend.parse import parse as parse_source
from ..frontend.read import read_source
from ..frontend.spec import Spec
from ..frontend.syntax import File
from ..ir.collecting import uncollected
from ..ir.diagnostic import Gatherer, error
from ..ir.domain import Variable
from ..ir.span import Source
from .operators import OPERATORS


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may ask of a file: a seed for parameters without a value, values as a last `load`; and what only
    files of other tools take."""

    seed: int = 0
    params: Path | None = None
    foreign: ForeignOptions = field(default_factory=ForeignOptions)


def load(path: str | Path, options: Options | None = None) -> Spec:
    """The spec of a file.

    Raises: DanausError with all mistakes of the file, each with its place; `wrong-option` where what is for files of
    other tools is said of a .circuit file.
    """
    path, options = Path(path), options or Options()
    if _is_foreign(path):
        spec = read_foreign(path, options.foreign, {})
        return spec if options.params is None else with_values(spec, options.params)
    for name in ("variables", "vtree", "evidence"):
        if getattr(options.foreign, name) is not None:
            raise error("wrong-option", f"{name} is for files of other tools; {path.name} is a .circuit file")
    return _load(path, options, {}, _Imports(options))


def parse(text: str, name: str = "<text>", folder: Path | None = None, options: Options | None = None) -> Spec:
    """The spec of a text; paths in it are relative to the folder, or to the working folder.

    Raises: DanausError with all mistakes of the text, each with its place.
    """
    options = options or Options()
    return _compile(Source(name, text), folder or Path(), options, {}, _Imports(options))


def syntax(path: str | Path) -> File:
    """The syntax tree of a file.

    Raises: DanausError with all syntax errors of the file.
    """
    gatherer = Gatherer()
    file = parse_source(read_source(path), gatherer)
    gatherer.finish()
    return file


def _load(path: Path, options: Options, known: Mapping[str, Variable], imports: _Imports) -> Spec:
    real, chain = path.resolve(), imports.chain
    if real in chain:
        names = " → ".join(step.name for step in (*chain[chain.index(real) :], real))
        raise error("import-cycle", f"the files import each other: {names}", hint="move what both need to a third file")
    return _compile(read_source(path), path.parent, options, known, replace(imports, chain=(*chain, real)))


def _is_foreign(path: Path) -> bool:
    """Whether a file is of another tool, by its suffix.

    Raises: DanausError `unreadable-file`, or `unknown-format` for one that is there and of no known format.
    """
    if "\0" in str(path):
        raise error("unreadable-file", "the path has a NUL character")
    suffix = suffix_of(path)
    if suffix in FOREIGN:
        return True
    if suffix != ".circuit" and os.path.exists(path):  # which takes any text, however long
        if os.path.isdir(path):
            hint = "`danaus run` answers from a bundle" if (path / "manifest.json").is_file() else ""
            raise error("unreadable-file", f'"{path}" is a folder, not a file', hint=hint)
        hint = f"specs have the suffix .circuit; other formats are {', '.join(FOREIGN)}"
        if suffix == ".zip":
            hint = "`danaus run` answers from a bundle"
        raise error("unknown-format", f'"{path.name}" is no .circuit file', hint=hint)
    return False


def _compile(source: Source, folder: Path, options: Options, known: Mapping[str, Variable], imports: _Imports) -> Spec:
    """Text to syntax to circuits; imports come through here again."""
    gatherer = Gatherer()
    file = parse_source(source, gatherer)
    with uncollected():
        return elaborate(
            file, folder, OPERATORS, gatherer, imports.load, seed=options.seed, params=options.params, known=known
        )


@dataclass(frozen=True, slots=True)
class _Imports:
    """Reads imported files, with the importer's variables and without its parameters.

    Each is read once, whoever imports it, so that the parameters of a file are the same by every way to it.
    """

    options: Options
    chain: tuple[Path, ...] = ()
    read: dict[Path, Spec] = field(default_factory=dict[Path, Spec])

    def load(self, path: Path, options: ForeignOptions, known: Mapping[str, Variable], anew: bool) -> Spec:
        """The spec of an import; one that is read anew shares no parameters with what was read before."""
        if _is_foreign(path):
            memory = self.options.foreign.memory
            return read_foreign(path, replace(options, memory=memory), known)
        real = path.resolve()
        imports = replace(self, read={}) if anew else self
        if real not in imports.read:
            imports.read[real] = _load(path, Options(self.options.seed), known, imports)
        return imports.read[real]
