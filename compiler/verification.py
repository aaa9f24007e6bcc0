"""Verification: each product that a spec makes is tested against the law of multiplication, when it is asked for.

What enters is a spec; what leaves says of every circuit that was made by multiplying, inside others too, whether it is
the product of its factors, with the degree and the error probability: `multiply`, `divide`, and `power` by squaring.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from ..frontend.spec import Joined, Near, Not, PropertyOf, Spec
from ..ir.block import Block
from ..ir.circuit import Circuit, Origin
from ..ir.diagnostic import DanausError, Diagnostic
from ..ir.expression import as_fraction
from ..ir.span import Span
from .identity import verify_product
from .operators.power import raised_root
from .properties import check
from .properties.result import Status


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of one product: how it was made, its status, and what that rests on."""

    name: str
    status: Status
    said: str
    span: Span | None

    @property
    def diagnostic(self) -> Diagnostic | None:
        """An error where it is not the product, a warning where it could not be tested; None where it is."""
        match self.status:
            case "proved":
                return None
            case "refuted":
                return Diagnostic("wrong-product", f"{self.name} is not the product of its factors", self.span)
            case _:
                message = f"{self.name} was not verified: {self.said}"
                return Diagnostic("unverified", message, self.span, severity="warning")


def verify(spec: Spec) -> list[Verified]:
    """The products in the circuits of a spec, and of what it asserts and asks, each once, factors first."""
    found: dict[Block, Verified] = {}
    for circuit in _made(spec):
        origin = circuit.origin
        if origin is not None and is_product(origin) and circuit.root not in found:
            found[circuit.root] = _verified(circuit, origin, spec)
    return list(found.values())


def is_product(origin: Origin) -> bool:
    """Whether an operator made a circuit by multiplying others; powers by determinism are none."""
    if origin.operator == "power":
        exponent = as_fraction(origin.arguments["exponent"])
        natural = exponent.denominator == 1 and exponent >= 1
        return natural and check(origin.circuits[0], "structured")["structured"].status == "proved"
    return origin.operator in ("multiply", "divide")


def _verified(circuit: Circuit, origin: Origin, spec: Spec) -> Verified:
    factors = origin.circuits
    arguments = [factor.name for factor in factors]
    if origin.operator == "power":
        exponent = origin.arguments["exponent"]
        arguments.append(str(exponent))
        factors = factors * int(str(exponent))
    elif origin.operator == "divide":
        first, second = factors
        factors = (first, replace(second, root=raised_root(second, Fraction(-1))))
    name = f"{origin.operator}({', '.join(arguments)})"
    own, *others = (each.over(each.store.updated(spec.store)) for each in (circuit, *factors))
    try:
        outcome = verify_product(own, *others)
    except DanausError as failure:
        return Verified(name, "unknown", failure.diagnostics[0].message, circuit.span)
    return Verified(name, "proved" if outcome.holds else "refuted", str(outcome), circuit.span)


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
