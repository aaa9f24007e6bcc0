"""What elaboration knows: the names of a file, what they stand for, and the parameters declared so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...ir.circuit import Circuit
from ...ir.diagnostic import Gatherer, error, nearest
from ...ir.domain import Variable
from ...ir.parameter import Parameter
from ...ir.span import Note, Source, Span
from ...ir.store import Store
from ..fresh import Declarations
from ..spec import Operator, Query, Spec
from ..syntax import Name

MAX_STEPS = 100_000


class Poisoned(Exception):
    """A name whose declaration was wrong is used: the mistake has been reported where it was made."""


@dataclass(frozen=True, slots=True)
class VariableArray:
    """`var x[N] : domain`."""

    name: str
    elements: tuple[Variable, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Integers, for gather, product and sparse."""

    name: str
    values: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Imported:
    """The name of an import, and what its file holds."""

    name: str
    spec: Spec


@dataclass(frozen=True, slots=True)
class Broken:
    """A name whose declaration has a mistake."""


Entity = Variable | VariableArray | Parameter | Index | Circuit | Imported | Query | Broken

KINDS: dict[type, str] = {
    Variable: "a variable",
    VariableArray: "an array of variables",
    Parameter: "a parameter",
    Index: "an index",
    Circuit: "a circuit",
    Imported: "an import",
    Query: "a query",
}


@dataclass(slots=True)
class Context:
    """The state of one file's elaboration."""

    source: Source
    folder: Path
    operators: Mapping[str, Operator]
    gatherer: Gatherer
    seed: int = 0
    declarations: Declarations = field(default_factory=Declarations)
    entities: dict[str, Entity] = field(default_factory=dict[str, Entity])
    places: dict[str, Span] = field(default_factory=dict[str, Span])
    columns: dict[str, Variable] = field(default_factory=dict[str, Variable])
    store: Store = field(default_factory=Store)
    imported: dict[str, Parameter] = field(default_factory=dict[str, Parameter])
    steps: int = 0
    _snapshot: tuple[tuple[int, int], Store] | None = None

    def declare(self, name: Name, entity: Entity) -> None:
        """Gives a name its meaning.

        Raises: DanausError `duplicate-name`.
        """
        if name.text in self.entities:
            first = self.places[name.text]
            raise error(
                "duplicate-name",
                f'"{name.text}" is declared already',
                name.span,
                hint="give it another name",
                notes=[Note("first here", first)],
            )
        self.entities[name.text] = entity
        self.places[name.text] = name.span

    def lookup(self, name: Name) -> Entity:
        """What a name stands for.

        Raises: DanausError `unknown-name` with a near one; Poisoned where its declaration has a mistake.
        """
        found = self.entities.get(name.text)
        if isinstance(found, Broken):
            raise Poisoned
        if found is None:
            hint = nearest(name.text, self.entities) or "a name is declared before it is used"
            raise error("unknown-name", f'"{name.text}" is not declared', name.span, hint=hint)
        return found

    def snapshot(self) -> Store:
        """The values known by now, for operators whose needs are about values."""
        state = (len(self.declarations.parameters), self.store.version)
        if self._snapshot is None or self._snapshot[0] != state:
            self._snapshot = (state, self.store.merged(self.declarations.settle(Gatherer(), self.seed)))
        return self._snapshot[1]

    def step(self, span: Span, count: int = 1) -> None:
        """Counts statements that run, or are about to.

        Raises: DanausError `too-large` when there are too many.
        """
        if self.steps > MAX_STEPS:
            raise Poisoned
        self.steps += count
        if self.steps > MAX_STEPS:
            raise error("too-large", f"the bodies run more than {MAX_STEPS} statements", span, hint="shorten the loops")
