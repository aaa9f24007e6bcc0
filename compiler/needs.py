"""What each query needs of its circuits, checked before it is asked: at `check`, `compile`, and `run`."""

from __future__ import annotations

from types import UnionType

from ..frontend.spec import Query
from ..ir.diagnostic import Diagnostic, Refused, error
from ..ir.domain import Bool, FiniteDomain
from .information import KINDS, require_information
from .properties import check, refusal

_NEEDS = {
    "likelihood": (),
    "map": ("smooth", "decomposable", "nonnegative"),
    "marginal_map": ("smooth", "decomposable", "nonnegative"),
    "count": ("decomposable", "deterministic"),
    "sample": ("smooth", "decomposable", "nonnegative"),
}
_STRUCTURE = ("smooth", "decomposable")
_DOMAINS: dict[str, tuple[type | UnionType, str]] = {
    "hamming": (Bool, "bool variables"),
    "count": (FiniteDomain, "finite domains"),
}


def require(query: Query) -> None:
    """Checks what a query needs of its circuits.

    Raises: Refused with the witness of each need that is not proved; DanausError `wrong-domain`, and what
    information theory has of its own.
    """
    if query.kind in KINDS:
        require_information(query)
        return
    refused: list[Diagnostic] = []
    for circuit in query.circuits:
        for name in _NEEDS.get(query.kind, _STRUCTURE):
            found = refusal(circuit, query.kind, name, check(circuit, name)[name])
            if found is not None:
                refused.append(found.at(query.span))
    if refused:
        raise Refused(*refused)
    wanted = _DOMAINS.get(query.kind)
    if wanted is not None:
        domain, name = wanted
        for variable in query.circuits[0].variables:
            if not isinstance(variable.domain, domain):
                message = f'{query.kind} needs {name}; "{variable}" is {variable.domain}'
                raise error("wrong-domain", message, query.span)
