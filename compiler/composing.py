"""Queries of information theory, compiled: each a formula of totals of circuits that run as Programs.

What enters is a query and how to lower a circuit; what leaves is what `danaus.compile(spec)` and bundles ask.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..frontend.spec import Query, Spec
from ..ir.circuit import Circuit
from ..ir.query.formula import Formula
from ..ir.store import Store
from .information import KINDS, informed, require_information, settled

if TYPE_CHECKING:
    from ..runtime.asked import Composed
    from ..runtime.bundle import Bundle
    from ..runtime.composed import Composition, Values
    from ..runtime.executable import Executable

Saved = Callable[[], "tuple[Composed, Mapping[str, Bundle]]"]


@dataclass(frozen=True, slots=True)
class Composing:
    """A query, asked for its formula and its terms at any values of its parameters."""

    query: Query
    lower: Callable[[Circuit], Bundle]

    @property
    def kind(self) -> str:
        """The kind of the query."""
        return self.query.kind

    def settled(self, values: Values) -> Hashable:
        """Which formula the query is for these values, for which what it needs is proved.

        Raises: Refused with a witness, and DanausError as the query does.
        """
        query = self._over(values)
        require_information(query)
        return settled(query)

    def made(self, values: Values) -> tuple[Composed, Sequence[Circuit]]:
        """That formula, and the circuits that are its terms."""
        return composed_of(self._over(values))

    def lowered(self, circuit: Circuit, values: Values) -> Bundle:
        """The Program of a term, with its tables for these values."""
        return self.lower(_over(circuit, values))

    def _over(self, values: Values) -> Query:
        circuits = (_over(circuit, values) for circuit in dict.fromkeys(self.query.circuits))
        new = dict(zip(dict.fromkeys(self.query.circuits), circuits, strict=True))
        return replace(self.query, circuits=tuple(new[circuit] for circuit in self.query.circuits))


def _over(circuit: Circuit, values: Values) -> Circuit:
    return circuit.over(Store({parameter: values(parameter) for parameter in circuit.parameters}))


def composed_of(query: Query) -> tuple[Composed, tuple[Circuit, ...]]:
    """A query whose needs are met as a bundle holds it, with its circuits; there are none where it is infinite."""
    from ..runtime.asked import Composed

    found = informed(query)
    if found is None:
        return Composed(query.kind, (), Formula(()), infinite=True), ()
    return Composed(query.kind, (), found.formula), found.circuits


def compositions(
    spec: Spec, executables: Mapping[str, Executable], lower: Callable[[Circuit], Bundle]
) -> dict[str, Composition]:
    """The composed queries of a spec, over the parameters of its executables."""
    from ..runtime.composed import Compiled, shared

    found: dict[str, Composition] = {}
    for query in spec.queries.values():
        if query.kind in KINDS:
            tensors = shared(query.circuits, list(executables.values()))
            found[query.name] = Compiled(query.name, Composing(query, lower), tensors)
    return found


def saved_by(spec: Spec, lower: Callable[[Circuit], Bundle]) -> dict[str, Saved]:
    """What makes the composed queries of a spec for a bundle, by name."""
    return {query.name: partial(_saved, query, lower) for query in spec.queries.values() if query.kind in KINDS}


def _saved(query: Query, lower: Callable[[Circuit], Bundle]) -> tuple[Composed, Mapping[str, Bundle]]:
    from ..runtime.composed import named

    require_information(query)
    composed, circuits = composed_of(query)
    return named(composed, [lower(circuit) for circuit in circuits], query.name)
