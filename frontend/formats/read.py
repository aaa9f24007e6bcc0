"""Files of other tools, by suffix: from a path to a spec of one circuit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from ...ir.diagnostic import Diagnostic, error, nearest
from ...ir.domain import Variable
from ...ir.store import settle
from ..spec import Spec
from .options import ForeignOptions

# What each format takes beside the options that all take.
_OPTIONS: dict[str, tuple[str, ...]] = {
    ".nnf": ("variables",),
    ".sdd": ("variables", "vtree"),
    ".psdd": ("variables", "vtree"),
    ".bif": ("evidence",),
    ".uai": ("evidence",),
    ".cnf": ("vtree",),
    ".dimacs": ("vtree",),
}
FOREIGN = tuple(_OPTIONS)


def suffix_of(path: Path) -> str:
    """The suffix that names a file's format, in front of `.gz` where it has that."""
    return path.suffix if path.suffix != ".gz" else Path(path.stem).suffix


def read_foreign(path: Path, options: ForeignOptions, known: Mapping[str, Variable]) -> Spec:
    """The spec of a file of one of the `FOREIGN` formats, with one circuit, `circuit`, of all the file's variables.

    A variable that is among the `known` ones by name is that one. See `docs/formats.md` and `docs/networks.md`.

    Raises: DanausError with the place of each mistake; `wrong-option`; `two-domains`; `too-large`.
    """
    form = suffix_of(path)
    for field in fields(ForeignOptions):
        given = getattr(options, field.name) is not None and field.name not in ("over", "memory")
        if given and field.name not in _OPTIONS[form]:
            takes = ", ".join((*_OPTIONS[form], "over"))
            raise error("wrong-option", f"a {form} file is read without {field.name}", hint=f"it takes {takes}")
    match form:
        case ".nnf":
            from .nnf import read_nnf

            return read_nnf(path, options, known)
        case ".sdd":
            from .sdd import read_sdd

            return read_sdd(path, options, known)
        case ".psdd":
            from .psdd import read_psdd

            return read_psdd(path, options, known)
        case ".bif" | ".uai":
            from .bayes import read_bif, read_uai

            return (read_bif if form == ".bif" else read_uai)(path, options, known)
        case _:
            from .cnf import read_cnf

            return read_cnf(path, options, known)


def with_values(spec: Spec, path: Path) -> Spec:
    """The spec with values of its parameters from a .safetensors file, as `--params` gives them.

    Raises: DanausError `unknown-name`, or what `settle` raises.
    """
    from ..tensors import read_tensors  # with readers of data; few runs load anything

    found = read_tensors(path)
    notes: list[Diagnostic] = []
    values = {}
    for name, value in found.items():
        if name not in spec.parameters:
            hint = nearest(name, spec.parameters) or "a file may hold only what the spec names"
            raise error("unknown-name", f'the loaded file has a "{name}", which is not declared', hint=hint)
        values[spec.parameters[name]], note = settle(spec.parameters[name], value)
        notes += [note] if note else []
    store = spec.store.updated(values)
    return Spec(
        spec.name,
        spec.path,
        spec.variables,
        {name: circuit.over(store) for name, circuit in spec.circuits.items()},
        spec.parameters,
        store,
        diagnostics=[*spec.diagnostics, *notes],
    )
