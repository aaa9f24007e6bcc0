"""What a spec comes to: variables, circuits over one store, and what it asserts and asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..ir.circuit import Circuit
from ..ir.diagnostic import Diagnostic, error
from ..ir.domain import Variable
from ..ir.parameter import Parameter
from ..ir.span import Span
from ..ir.store import Store

Operator = Callable[..., Circuit]


@dataclass(frozen=True, slots=True)
class Failed:
    """A circuit in an assertion whose operator refused: why."""

    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class PropertyOf:
    """`smooth(p)`, `compatible(p, q)`: a property by name, of circuits."""

    name: str
    circuits: tuple[Circuit | Failed, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Near:
    """`near(circuit, number, tolerance)`, for a circuit without variables."""

    circuit: Circuit | Failed
    number: float
    tolerance: float
    span: Span


@dataclass(frozen=True, slots=True)
class Not:
    """Satisfied by a refutation."""

    operand: Predicate
    span: Span


@dataclass(frozen=True, slots=True)
class Joined:
    """`a and b and …` or `a or b or …`."""

    word: str
    operands: tuple[Predicate, ...]
    span: Span


Predicate = PropertyOf | Near | Not | Joined


def over(predicate: Predicate, settled: Callable[[Circuit], Circuit]) -> Predicate:
    """The same predicate about what `settled` makes of its circuits: the same with their values."""
    match predicate:
        case PropertyOf(circuits=circuits):
            return replace(predicate, circuits=tuple(_over(circuit, settled) for circuit in circuits))
        case Near(circuit):
            return replace(predicate, circuit=_over(circuit, settled))
        case Not(operand):
            return replace(predicate, operand=over(operand, settled))
        case Joined(_, operands):
            return replace(predicate, operands=tuple(over(operand, settled) for operand in operands))


def _over(circuit: Circuit | Failed, settled: Callable[[Circuit], Circuit]) -> Circuit | Failed:
    return circuit if isinstance(circuit, Failed) else settled(circuit)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A predicate that the file demands."""

    predicate: Predicate
    span: Span


@dataclass(frozen=True, slots=True)
class Query:
    """A named program: its kind, the circuits that it is of, and what stands beside them."""

    name: str
    kind: str
    circuits: tuple[Circuit, ...]
    variables: tuple[tuple[Variable, ...], ...] = ()
    numbers: tuple[float, ...] = ()
    span: Span | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Spec:
    """All that a spec file, or a file of another tool, declares."""

    name: str
    path: Path | None
    variables: tuple[Variable, ...]
    circuits: Mapping[str, Circuit]
    parameters: Mapping[str, Parameter]
    store: Store
    assertions: Sequence[Assertion] = ()
    queries: Mapping[str, Query] = field(default_factory=dict[str, Query])
    diagnostics: Sequence[Diagnostic] = ()

    @property
    def circuit(self) -> Circuit:
        """The one circuit of the file.

        Raises: DanausError `ambiguous` where it holds none or several.
        """
        if len(self.circuits) == 1:
            return next(iter(self.circuits.values()))
        names = ", ".join(self.circuits) or "none"
        raise error("ambiguous", f"{self.name} holds {len(self.circuits)} circuits", hint=f"name one of them: {names}")
