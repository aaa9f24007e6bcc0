"""What each query needs of its circuits, checked before it is asked: at `check`, `compile`, and `run`."""

from __future__ import annotations

from types import UnionType

from ..frontend.spec import Query
from ..ir.diagnostic import Diagnostic, Refused, error
from ..ir.domain import Bool, FiniteDomain
from .information import KINDS, require_information, require_integrals
from .properties import Program, Proved, check, exact, refusal

_NEEDS = {
    "likelihood": (),
    "map": ("smooth", "decomposable", "nonnegative"),
    "marginal_map": ("smooth", "decomposable", "nonnegative"),
    "count": ("decomposable", "deterministic"),
    "sample": ("smooth", "decomposable", "nonnegative"),
}
_STRUCTURE = ("smooth", "decomposable")
# What stands for smooth and decomposable: that feeding forward is proved exact for these weights.
_PROGRAMS: dict[str, Program] = {
    "marginal": "subset",
    "conditional": "virtual",
    "partition": "total",
    "hamming": "hamming",
    "moment": "virtual",
}
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
        require_integrals(query)
        return
    refused: list[Diagnostic] = []
    for circuit in query.circuits:
        names = _NEEDS.get(query.kind, _STRUCTURE)
        found = [refusal(circuit, query.kind, name, check(circuit, name)[name]) for name in names]
        missing = [each.at(query.span) for each in found if each is not None]
        program = _PROGRAMS.get(query.kind)
        if missing and program is not None and isinstance(exact(circuit, program), Proved):
            continue
        refused += missing
    if refused:
        raise Refused(*refused)
    wanted = _DOMAINS.get(query.kind)
    if wanted is not None:
        domain, name = wanted
        for variable in query.circuits[0].variables:
            if not isinstance(variable.domain, domain):
                message = f'{query.kind} needs {name}; "{variable}" is {variable.domain}'
                raise error("wrong-domain", message, query.span)
