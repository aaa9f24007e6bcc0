"""What the queries of information theory need, checked before anything is multiplied: properties, then values.

What enters is a query; what leaves is nothing, or every need that is not proved, each with its witness.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...frontend.spec import Query
from ...ir.circuit import Circuit
from ...ir.diagnostic import Diagnostic, Refused, error
from ...ir.domain import FiniteDomain
from ...ir.query.likelihood import signed_partition
from ...ir.span import Note
from ..properties import Proved, check, compatible, explained, refusal
from .marginals import onto
from .supports import uncovered

KINDS = (
    "expectation",
    "entropy",
    "cross_entropy",
    "kl",
    "renyi",
    "alpha_divergence",
    "itakura_saito",
    "cauchy_schwarz",
    "squared_loss",
    "mutual_information",
)
STRUCTURE = ("smooth", "decomposable")

# What p, and q, must be beside smooth and decomposable; powers say below what they need.
_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "expectation": ((), ()),
    "entropy": (("nonnegative", "deterministic"),),
    "cross_entropy": (("nonnegative",), ("nonnegative", "deterministic")),
    "kl": (("nonnegative", "deterministic"), ("nonnegative", "deterministic")),
    "renyi": (("nonnegative",),),
    "alpha_divergence": (("nonnegative",), ("nonnegative", "deterministic")),
    "itakura_saito": (("nonnegative", "deterministic"), ("nonnegative", "deterministic")),
    "cauchy_schwarz": (("structured", "nonnegative"), ("structured", "nonnegative")),
    "squared_loss": (("structured",), ("structured",)),
    "mutual_information": (("nonnegative",),),
}
_POWERS = ("renyi", "alpha_divergence")
_AS_THEY_ARE = ("itakura_saito", "squared_loss")


def require_information(query: Query) -> None:
    """Checks what a query of information theory needs of its circuits, for their current values.

    Raises: Refused with the witness of each property that is not proved; DanausError `wrong-number`,
    `other-variables`, `wrong-domain`, `wrong-arguments`, `zero-mass`.
    """
    if query.kind in _POWERS and not 0 < query.numbers[0] < np.inf:
        raise error("wrong-number", f"{query.kind} takes a finite alpha above 0, not {query.numbers[0]:g}", query.span)
    _require_variables(query)
    refused = list(_refusals(query))
    if refused:
        raise Refused(*(each.at(query.span) for each in refused))
    if query.kind not in _AS_THEY_ARE:
        for circuit in query.circuits[:1] if query.kind == "expectation" else query.circuits:
            require_mass(circuit, query)
    if query.kind == "itakura_saito":
        _require_support(query)


def _refusals(query: Query) -> Iterator[Diagnostic]:
    """The properties that are not proved, each circuit's once."""
    asked: set[tuple[Circuit, str]] = set()
    for circuit, names in zip(query.circuits, _NEEDS[query.kind], strict=True):
        for name in (*STRUCTURE, *names):
            if (circuit, name) not in asked:
                asked.add((circuit, name))
                found = refusal(circuit, query.kind, name, check(circuit, name)[name])
                if found is not None:
                    yield found
    if query.kind in _POWERS:
        found = _power_refused(query.circuits[0], query.kind, query.numbers[0])
        if found is not None and (query.circuits[0], "deterministic") not in asked:
            yield found
    if query.kind == "mutual_information":
        yield from _marginals_refused(query)
    if len(query.circuits) == 2:
        p, q = query.circuits
        result = compatible(p, q)
        if not isinstance(result, Proved):
            message = f'{query.kind} needs "{p.name}" and "{q.name}" to be compatible, which they are not'
            yield Diagnostic("not-compatible", message, notes=explained("compatible", result))


def _marginals_refused(query: Query) -> Iterator[Diagnostic]:
    """The marginals that do not decide, of a circuit that is smooth and decomposable."""
    p = query.circuits[0]
    if not all(isinstance(check(p, name)[name], Proved) for name in STRUCTURE):
        return
    first, second = query.variables
    for variables in dict.fromkeys(((*first, *second), first, second)):
        marginal = onto(p, variables)
        found = refusal(marginal, query.kind, "deterministic", check(marginal, "deterministic")["deterministic"])
        if found is not None:
            yield found


def natural(alpha: float) -> bool:
    """Whether a power is a product: natural, and at least 2."""
    return alpha >= 2 and alpha == int(alpha)


def _power_refused(p: Circuit, kind: str, alpha: float) -> Diagnostic | None:
    """The refusal of a power: of naturals by neither structure nor determinism, of others by no determinism."""
    found = check(p, "deterministic")["deterministic"]
    if not natural(alpha) or isinstance(found, Proved):
        return refusal(p, f"{kind} with alpha = {alpha:g}", "deterministic", found)
    other = check(p, "structured")["structured"]
    if isinstance(other, Proved):
        return None
    message = f'{kind} with alpha = {alpha:g} needs "{p.name}" to be structured or deterministic, which is not proved'
    notes = (*explained("structured", other), *explained("deterministic", found))
    return Diagnostic("not-structured", message, notes=notes)


def _require_variables(query: Query) -> None:
    """Raises DanausError where two circuits have not the same variables, or domains or lists are none for the query."""
    p = query.circuits[0]
    for q in query.circuits[1:]:
        missing = [each.name for each in q.variables if each not in p.variables]
        if query.kind != "expectation":
            missing += [each.name for each in p.variables if each not in q.variables]
        if missing:
            whose = "variables of p" if query.kind == "expectation" else "the same variables"
            message = f'{query.kind} of "{p.name}" and "{q.name}" needs {whose}; "{missing[0]}" is in one of them'
            raise error("other-variables", message, query.span, hint="integrate or restrict takes variables away")
    if query.kind == "itakura_saito":
        for variable in p.variables:
            if not isinstance(variable.domain, FiniteDomain):
                message = f'itakura_saito needs finite domains; "{variable}" is {variable.domain}'
                raise error("wrong-domain", message, query.span)
    if query.kind == "mutual_information":
        first, second = query.variables
        both = [variable.name for variable in first if variable in second]
        if both:
            raise error("wrong-arguments", f'"{both[0]}" stands in both lists', query.span, hint="they are disjoint")


def _require_support(query: Query) -> None:
    """Raises Refused with an assignment where p is positive and q is 0, at which p / q is nothing."""
    p, q = query.circuits
    found = uncovered(p, q)
    if found is not None:
        message = f'{query.kind} needs "{q.name}" to be positive wherever "{p.name}" is, which it is not'
        note = Note(f'"{p.name}" is {found.value:.6g} and "{q.name}" is 0 at {found}')
        raise Refused(Diagnostic("not-contained", message, query.span, notes=(note,)))


def require_mass(circuit: Circuit, query: Query) -> None:
    """Raises DanausError `zero-mass` where a total is not what can be divided by."""
    log, sign = signed_partition(circuit)
    if not sign or not np.isfinite(log):
        said = "not finite" if sign else "zero"
        message = f'the total of "{circuit.name}" is {said}: there is nothing to normalise'
        raise error("zero-mass", message, query.span)
