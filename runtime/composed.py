"""Queries composed of the totals of several circuits, as a compiled spec and a bundle answer them.

What enters are Programs of circuits without variables, and a formula over their totals; what leaves is one number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from ..ir.circuit import Circuit
from ..ir.parameter import Parameter, Value
from .asked import Composed
from .bundle import Bundle
from .bundled import Bundled
from .executable import Executable

Values = Callable[[Parameter], Value]


class Composition(Protocol):
    """What answers a composed query."""

    @property
    def kind(self) -> str: ...

    def answer(self) -> float: ...

    def saved(self) -> tuple[Composed, Mapping[str, Bundle]]: ...


class Composer(Protocol):
    """What the compiler knows of a composed query."""

    @property
    def kind(self) -> str: ...

    def settled(self, values: Values) -> Hashable:
        """Which formula the query is for these values of the parameters, for which its needs are proved."""

    def made(self, values: Values) -> tuple[Composed, Sequence[Circuit]]:
        """That formula, and the circuits that are its terms."""

    def lowered(self, circuit: Circuit, values: Values) -> Bundle:
        """The Program of a term, with its tables for these values."""


@dataclass(slots=True, eq=False)
class Compiled:
    """A composed query over the parameters of the executables of a spec.

    Parameters that change in place give another answer, after the needs of the query are proved for them. Terms are
    Programs without data, run once for the parameters that there are: in float64 logarithms, without machine code.
    """

    name: str
    composer: Composer
    tensors: Mapping[Parameter, torch.nn.Parameter]
    _made: tuple[Hashable, Composed, Sequence[Circuit]] | None = None
    _terms: Sequence[Bundle] = ()
    _seen: tuple[int, ...] | None = None

    @property
    def kind(self) -> str:
        """The kind of the query."""
        return self.composer.kind

    def answer(self) -> float:
        """The number, for the present parameters.

        Raises: DanausError where these lack what the query needs.
        """
        composed = self._present()
        return composed.number([total_of(term) for term in self._terms], self.name)

    def saved(self) -> tuple[Composed, Mapping[str, Bundle]]:
        """The query and its circuits, for a bundle with the present parameters."""
        return named(self._present(), self._terms, self.name)

    def _present(self) -> Composed:
        """The formula, its terms being those for the present parameters."""
        tensors = self.tensors.values()
        seen = (*(each._version for each in tensors), *(each.data_ptr() for each in tensors))
        if self._made is None or seen != self._seen:
            settled = self.composer.settled(self._value)
            if self._made is None or self._made[0] != settled:
                self._made = (settled, *self.composer.made(self._value))
            self._terms = [self.composer.lowered(circuit, self._value) for circuit in self._made[2]]
            self._seen = seen
        return self._made[1]

    def _value(self, parameter: Parameter) -> Value:
        return Value.of(self.tensors[parameter].detach().double().cpu().numpy())


def total_of(term: Bundle) -> tuple[float, float]:
    """The logarithm and the sign of the value of a circuit without variables."""
    return Bundled(term, None, lambda: "none").total()


@dataclass(frozen=True, slots=True)
class Read:
    """A composed query of a bundle."""

    name: str
    composed: Composed
    terms: Mapping[str, Bundle]

    @property
    def kind(self) -> str:
        """The kind of the query."""
        return self.composed.kind

    def answer(self) -> float:
        """The number."""
        return self.composed.number([total_of(self.terms[term]) for term in self.composed.terms], self.name)

    def saved(self) -> tuple[Composed, Mapping[str, Bundle]]:
        """The query and its circuits, as they were read."""
        return self.composed, self.terms


def shared(circuits: Sequence[Circuit], models: Sequence[Executable]) -> dict[Parameter, torch.nn.Parameter]:
    """The tensors of circuits' parameters: those of the first model that has them, else new ones of their values."""
    known: dict[Parameter, torch.nn.Parameter] = {}
    for model in reversed(models):
        known |= model.by_parameter()
    found: dict[Parameter, torch.nn.Parameter] = {}
    for circuit in circuits:
        for parameter in circuit.parameters:
            if parameter not in found:
                value = torch.from_numpy(circuit.store[parameter].floats.copy())
                found[parameter] = (
                    known[parameter] if parameter in known else torch.nn.Parameter(value, requires_grad=False)
                )
    return found


def named(composed: Composed, bundles: Sequence[Bundle], query: str) -> tuple[Composed, Mapping[str, Bundle]]:
    """A composed query and its circuits, by names of their own."""
    terms = tuple(f"{query}: {position + 1}" for position in range(len(bundles)))
    held = {name: replace(bundle, name=name) for name, bundle in zip(terms, bundles, strict=True)}
    return replace(composed, terms=terms), held
