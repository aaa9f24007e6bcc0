"""Queries composed of the totals of several circuits, as a compiled spec and a bundle answer them.

What enters are models of circuits without variables, and a formula over their totals; what leaves is one number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from ..ir.circuit import Circuit
from ..ir.expression import Parameter, Value
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

    def saved(self, targets: Sequence[str]) -> tuple[Composed, Mapping[str, Bundle]]: ...


class Composer(Protocol):
    """What the compiler knows of a composed query."""

    @property
    def kind(self) -> str: ...

    def settled(self, values: Values) -> Hashable:
        """Which formula the query is for these values of the parameters, for which its needs are proved."""

    def made(self, values: Values) -> tuple[Composed, Sequence[Executable]]:
        """That formula, and an executable of each of its terms."""


@dataclass(slots=True, eq=False)
class Compiled:
    """A composed query over executables whose parameters are those of the circuits that the query is of.

    Parameters that change in place give another answer, after the needs of the query are proved for them; circuits are
    made and compiled when they are first asked, and again where other values ask for another formula.
    """

    name: str
    composer: Composer
    tensors: Mapping[Parameter, torch.nn.Parameter]
    _made: tuple[Hashable, Composed, Sequence[Executable]] | None = None
    _seen: tuple[int, ...] | None = None

    @property
    def kind(self) -> str:
        """The kind of the query."""
        return self.composer.kind

    def answer(self) -> float:
        """The number, for the present parameters.

        Raises: DanausError where these lack what the query needs.
        """
        composed, models = self._present()
        return composed.number([model.total() for model in models], self.name)

    def saved(self, targets: Sequence[str]) -> tuple[Composed, Mapping[str, Bundle]]:
        """The query and its circuits, for a bundle with the present parameters."""
        composed, models = self._present()
        return named(composed, [model.bundle(targets) for model in models], self.name)

    def _present(self) -> tuple[Composed, Sequence[Executable]]:
        tensors = self.tensors.values()
        seen = (*(each._version for each in tensors), *(each.data_ptr() for each in tensors))
        if self._made is None or seen != self._seen:
            settled = self.composer.settled(self._value)
            if self._made is None or self._made[0] != settled:
                composed, models = self.composer.made(self._value)
                for model in models:
                    model.share(self.tensors)
                self._made = settled, composed, models
            self._seen = seen
        return self._made[1:]

    def _value(self, parameter: Parameter) -> Value:
        return Value.of(self.tensors[parameter].detach().double().cpu().numpy())


@dataclass(frozen=True, slots=True)
class Read:
    """A composed query of a bundle."""

    name: str
    composed: Composed
    models: Mapping[str, Bundled]

    @property
    def kind(self) -> str:
        """The kind of the query."""
        return self.composed.kind

    def answer(self) -> float:
        """The number."""
        return self.composed.number([self.models[term].total() for term in self.composed.terms], self.name)

    def saved(self, targets: Sequence[str]) -> tuple[Composed, Mapping[str, Bundle]]:
        """The query and its circuits, as they were read."""
        return self.composed, {name: model.bundle for name, model in self.models.items()}


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
