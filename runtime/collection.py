"""The circuits of a spec, compiled, and its queries by name: what `danaus.compile(spec)` gives, and a bundle of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..ir.diagnostic import warn
from .bundle import Several, save_bundle
from .bundled import Bundled
from .executable import Executable
from .named import Named
from .package import require_place
from .several import kinds_by_circuit, several_of


class Collection(Named[Executable]):
    """Executables by the names of their circuits; `run` answers a query of the spec."""

    def save(
        self,
        path: str | Path,
        targets: Sequence[str] = ("cpu",),
        queries: Sequence[str] | None = None,
        precision: str | None = None,
    ) -> None:
        """Writes a bundle of all circuits that can be saved and the queries that they answer, as `Executable.save`.

        Unless `queries` are named, a GPU's code for a circuit answers those that the spec asks of it. Warns of each
        circuit and query that is left out. `danaus.load_bundle` reads it, and gives a `Loaded`.

        Raises: DanausError `not-in-bundle` where no circuit can be saved, `unknown-target`, `unknown-query`,
        `unknown-precision`, `unwritable-file`.
        """
        require_place(Path(path))  # before kernels are made, which takes long
        kinds_of = kinds_by_circuit(self.queries, queries)
        made = {name: partial(self[name].bundle, targets, kinds_of(name), precision) for name in self.circuits}
        composed = {name: each.saved for name, each in self.composed.items()}
        kinds = {name: asked.kind for name, asked in self.queries.items()}
        kinds |= {name: each.kind for name, each in self.composed.items()}
        several, left_out = several_of(made, self.queries, composed, kinds, "the spec")
        for sentence in left_out:
            warn(sentence)
        save_bundle(several, Path(path))


class Loaded(Named[Bundled]):
    """The circuits of a bundle by name, each as `danaus.load_bundle` gives one; `run` answers a query by its name."""

    def save(self, path: str | Path) -> None:
        """Writes the bundle again, as it was read: a folder, or a zip where `path` ends in .zip."""
        circuits = {name: self[name].bundle for name in self.circuits}
        composed = {name: each.saved() for name, each in self.composed.items()}
        terms = {term: bundle for _, own in composed.values() for term, bundle in own.items()}
        formulas = {name: formula for name, (formula, _) in composed.items()}
        save_bundle(Several(circuits, self.queries, terms, formulas), Path(path))
