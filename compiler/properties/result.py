"""What comes of asking for a property: proved, refuted with a witness, or unknown with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Literal, NoReturn
from weakref import WeakKeyDictionary

from ...ir.circuit import Circuit
from ...ir.diagnostic import Diagnostic
from ...ir.span import Note
from .matching import Matching
from .vtree import Vtree
from .witness import Witness

Status = Literal["proved", "refuted", "unknown"]


class _Ternary:
    """Three answers are not two: a result is neither true nor false."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError('a result is proved, refuted or unknown, not true or false: write result.status == "proved"')


@dataclass(frozen=True, slots=True)
class Proved(_Ternary):
    """The property holds; of `structured`, with the vtree that was found, of `compatible`, with the matching.

    `because` says what the proof rests on, where that is not the circuit alone.
    """

    vtree: Vtree | None = None
    matching: Matching | None = None
    because: str = ""

    @property
    def status(self) -> Status:
        return "proved"

    @property
    def witness(self) -> None:
        return None

    @property
    def reason(self) -> str:
        return self.because


@dataclass(frozen=True, slots=True)
class Refuted(_Ternary):
    """The property does not hold, and what shows it."""

    witness: Witness

    @property
    def status(self) -> Status:
        return "refuted"

    @property
    def reason(self) -> str:
        return str(self.witness)


@dataclass(frozen=True, slots=True)
class Unknown(_Ternary):
    """Neither a proof nor a refutation was found; why not, and what was spent on it."""

    reason: str
    budget: str = ""

    @property
    def status(self) -> Status:
        return "unknown"

    @property
    def witness(self) -> None:
        return None


Result = Proved | Refuted | Unknown
Judge = Callable[[Circuit], Result]


def remembered(judge: Judge) -> Judge:
    """The same analysis, made once per circuit for as long as the circuit lives; a circuit never changes."""
    known: WeakKeyDictionary[Circuit, Result] = WeakKeyDictionary()

    @wraps(judge)
    def recall(circuit: Circuit) -> Result:
        found = known.get(circuit)
        if found is None:
            found = known[circuit] = judge(circuit)
        return found

    return recall


def explained(name: str, result: Result) -> tuple[Note, ...]:
    """Why a property is not proved, with places; nothing where it is."""
    match result:
        case Proved():
            return ()
        case Refuted(witness):
            places = [Note(message, place) for message, place in witness.notes()]
            return (Note(f"not {name}: {witness}"), *places)
        case Unknown(reason):
            return (Note(f"{name} is unknown: {reason}"),)


def refusal(circuit: Circuit, who: str, name: str, result: Result) -> Diagnostic | None:
    """The diagnostic, with the witness, of a property that an operator needs and that is not proved."""
    if isinstance(result, Proved):
        return None
    said = "is not" if isinstance(result, Refuted) else "is not known to be"
    return Diagnostic(
        f"not-{name}",
        f'{who} needs "{circuit.name}" to be {name}, which it {said}',
        hint="`smooth(p)` is the same function, smooth" if name == "smooth" else "",
        notes=explained(name, result),
    )
