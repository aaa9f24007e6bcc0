"""Verification: each operator that a spec uses is tested against its law, when it is asked for.

What enters is a spec; what leaves says of every circuit that an operator made, inside others too, whether it is what
the operator says, with the degree and the error probability, or the number of assignments that were tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..frontend.spec import Joined, Near, Not, PropertyOf, Spec
from ..frontend.writing.names import quoted
from ..frontend.writing.operators import call
from ..ir.block import Block
from ..ir.circuit import Circuit, Origin
from ..ir.diagnostic import DanausError, Diagnostic
from ..ir.domain import Variable
from ..ir.span import Span
from .identity import LAWS, verify_law
from .properties.result import Status


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of one operator: its call, its status, and what that rests on."""

    name: str
    status: Status
    said: str
    span: Span | None

    @property
    def diagnostic(self) -> Diagnostic | None:
        """An error where the law is broken, a warning where it could not be tested; None where it holds."""
        match self.status:
            case "proved":
                return None
            case "refuted":
                return Diagnostic("broken-law", f"{self.name} is not what its operands make: {self.said}", self.span)
            case _:
                message = f"{self.name} was not verified: {self.said}"
                return Diagnostic("unverified", message, self.span, severity="warning")


def verify(spec: Spec) -> list[Verified]:
    """What operators made in the circuits of a spec, and of what it asserts and asks, each once, operands first."""
    found: dict[tuple[Block, str, tuple[Block, ...]], Verified] = {}
    for circuit in _made(spec):
        origin = circuit.origin
        if origin is not None and origin.operator in LAWS:
            key = (circuit.root, origin.operator, tuple(each.root for each in origin.circuits))
            if key not in found:
                found[key] = _verified(circuit, origin, spec)
    return list(found.values())


def _verified(circuit: Circuit, origin: Origin, spec: Spec) -> Verified:
    name = call(circuit, [operand.name for operand in origin.circuits], _spelled)
    own, *operands = (each.over(each.store.updated(spec.store)) for each in (circuit, *origin.circuits))
    try:
        outcome = verify_law(own, origin.operator, operands, origin.arguments)
    except DanausError as failure:
        return Verified(name, "unknown", failure.diagnostics[0].message, circuit.span)
    return Verified(name, "proved" if outcome.holds else "refuted", str(outcome), circuit.span)


def _spelled(variable: Variable) -> str:
    return variable.name if variable.name.isidentifier() else quoted(variable.name)


def _made(spec: Spec) -> Iterator[Circuit]:
    """All circuits that a spec makes, each behind those that it was made of."""
    named = [*spec.circuits.values(), *(circuit for query in spec.queries.values() for circuit in query.circuits)]
    stack = [(circuit, False) for circuit in reversed([*named, *_asserted(spec)])]
    seen: set[int] = set()
    while stack:
        circuit, below = stack.pop()
        if below:
            yield circuit
        elif id(circuit) not in seen:
            seen.add(id(circuit))
            stack.append((circuit, True))
            if circuit.origin is not None:
                stack += [(each, False) for each in reversed(circuit.origin.circuits)]


def _asserted(spec: Spec) -> Iterator[Circuit]:
    stack = [assertion.predicate for assertion in reversed(spec.assertions)]
    while stack:
        match stack.pop():
            case PropertyOf(circuits=circuits):
                yield from (circuit for circuit in circuits if isinstance(circuit, Circuit))
            case Near(circuit=Circuit() as circuit):
                yield circuit
            case Not(operand):
                stack.append(operand)
            case Joined(operands=operands):
                stack += reversed(operands)
            case _:
                pass
