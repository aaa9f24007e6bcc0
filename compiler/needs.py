"""What each query needs of its circuits, checked before it is asked: at `check`, `compile`, and `run`."""

from __future__ import annotations

from ..frontend.spec import Query
from ..ir.diagnostic import Diagnostic, Refused, error
from ..ir.domain import Bool
from .judge import described
from .properties import Proved, check

_NEEDS = {
    "likelihood": (),
    "map": ("smooth", "decomposable", "nonnegative"),
    "sample": ("smooth", "decomposable", "nonnegative"),
}
_STRUCTURE = ("smooth", "decomposable")


def require(query: Query) -> None:
    """Checks what a query needs of its circuits.

    Raises: Refused with the witness of each need that is not proved; DanausError `wrong-domain`.
    """
    refused: list[Diagnostic] = []
    for circuit in query.circuits:
        for name in _NEEDS.get(query.kind, _STRUCTURE):
            result = check(circuit, name)[name]
            if not isinstance(result, Proved):
                status, notes = described(name, result)
                said = "is not" if status == "refuted" else "is not known to be"
                refused.append(
                    Diagnostic(
                        f"not-{name}",
                        f'{query.kind} needs "{circuit.name}" to be {name}, which it {said}',
                        query.span,
                        hint="`smooth(p)` is the same function, smooth" if name == "smooth" else "",
                        notes=tuple(notes),
                    )
                )
    if refused:
        raise Refused(*refused)
    if query.kind == "hamming":
        for variable in query.circuits[0].variables:
            if not isinstance(variable.domain, Bool):
                raise error(
                    "wrong-domain", f'hamming needs bool variables; "{variable}" is {variable.domain}', query.span
                )
