"""Whether what a spec asserts holds: predicates to verdicts, over properties that are proved, refuted or unknown.

`not` is satisfied by a refutation; unknown stays unknown under `not`, `and`, `or`, unless the other side decides.
Only a proof satisfies an `assert`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..frontend.spec import Assertion, Failed, Joined, Near, Not, Predicate, PropertyOf, Spec
from ..ir.circuit import Circuit
from ..ir.diagnostic import Diagnostic
from ..ir.evaluate import Evidence, evaluate
from ..ir.semirings import LINEAR
from ..ir.span import Note, Span
from .equality import equal
from .properties import Proved, check, compatible, explained

Status = Literal["proved", "refuted", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one `assert`: its status, and for one that is not proved, why, with places.

    `tested` says what proofs by identity testing rest on: the degree, and the probability of error.
    """

    status: Status
    span: Span
    reasons: tuple[Note, ...] = ()
    tested: tuple[str, ...] = ()

    @property
    def diagnostic(self) -> Diagnostic | None:
        """The diagnostic of an assertion that does not hold; None where it is proved."""
        if self.status == "proved":
            return None
        said = "does not hold" if self.status == "refuted" else "is not proved"
        return Diagnostic(f"assertion-{self.status}", f"the assertion {said}", self.span, notes=self.reasons)


def judge(spec: Spec) -> list[Verdict]:
    """A verdict for each assertion of a spec, in order."""
    return [verdict(assertion) for assertion in spec.assertions]


def verdict(assertion: Assertion) -> Verdict:
    """The verdict of one assertion."""
    status, reasons = _weigh(assertion.predicate)
    shown = () if status == "proved" else tuple(reasons)
    return Verdict(status, assertion.span, shown, tuple(_tested(assertion.predicate)))


def _tested(predicate: Predicate) -> Iterator[str]:
    """What the proofs of equality in a predicate rest on; they are remembered, and not made again."""
    match predicate:
        case PropertyOf("equal", (Circuit() as first, Circuit() as second)):
            result = equal(first, second)
            if isinstance(result, Proved):
                yield result.because
        case Not(operand):
            yield from _tested(operand)
        case Joined(_, operands):
            for operand in operands:
                yield from _tested(operand)
        case _:
            pass


def _weigh(predicate: Predicate) -> tuple[Status, list[Note]]:
    match predicate:
        case PropertyOf(name, circuits):
            return _property(name, circuits)
        case Near():
            return _near(predicate)
        case Not(operand, span):
            status, reasons = _weigh(operand)
            if status == "proved":
                return "refuted", [*reasons, Note("the property under `not` is proved", span)]
            return ("proved" if status == "refuted" else "unknown"), reasons
        case Joined(word, operands, _):
            weighed = [_weigh(operand) for operand in operands]
            deciding: Status = "refuted" if word == "and" else "proved"
            other: Status = "proved" if word == "and" else "refuted"
            statuses = [status for status, _ in weighed]
            status = deciding if deciding in statuses else "unknown" if "unknown" in statuses else other
            return status, [reason for found, notes in weighed if found == status for reason in notes]


def _property(name: str, circuits: Sequence[Circuit | Failed]) -> tuple[Status, list[Note]]:
    given: list[Circuit] = []
    for circuit in circuits:
        if isinstance(circuit, Failed):
            return "unknown", _refusal(circuit)
        given.append(circuit)
    match name:
        case "compatible":
            result = compatible(*given)
        case "equal":
            result = equal(*given)
        case _:
            result = check(given[0], name)[name]
    return result.status, list(explained(name, result))


def _near(near: Near) -> tuple[Status, list[Note]]:
    if isinstance(near.circuit, Failed):
        return "unknown", _refusal(near.circuit)
    value = float(evaluate(near.circuit, LINEAR, Evidence.nothing(()))[0])
    if abs(value - near.number) <= near.tolerance:
        return "proved", []
    difference = abs(value - near.number)
    message = f"the value is {value!r}, which differs from {near.number!r} by {difference:.3g}"
    return "refuted", [Note(message, near.span)]


def _refusal(failed: Failed) -> list[Note]:
    return [note for found in failed.diagnostics for note in (Note(found.message, found.span), *found.notes)]
