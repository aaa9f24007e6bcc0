"""What a bundle of several circuits holds of a spec: the circuits that can be saved, the queries that they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..ir.diagnostic import DanausError, error
from .asked import Asked, Composed
from .bundle import Bundle, Several


def kinds_by_circuit(asked: Mapping[str, Asked], named: Sequence[str] | None) -> Callable[[str], Sequence[str]]:
    """What kernels for GPUs have to answer of a circuit, by its name: the kinds that are `named`, or that are asked."""

    def kinds(circuit: str) -> Sequence[str]:
        return [of.kind for of in asked.values() if of.circuit == circuit] if named is None else named

    return kinds


def several_of(
    circuits: Mapping[str, Callable[[], Bundle]],
    asked: Mapping[str, Asked],
    composed: Mapping[str, Callable[[], tuple[Composed, Mapping[str, Bundle]]]],
    kinds: Mapping[str, str],
    name: str,
) -> tuple[Several, list[str]]:
    """Circuits by name and the queries that they answer, and a sentence on each of either that is left out.

    `kinds` are all queries that the spec declares. A circuit that stands in one query alone has that query's name; it
    is left out with the query.

    Raises: DanausError `not-in-bundle` where no circuit can be saved.
    """
    held: dict[str, Bundle] = {}
    said: list[str] = []
    for circuit, made in circuits.items():
        try:
            bundle = made()
        except DanausError as failure:
            if any(diagnostic.code != "not-in-bundle" for diagnostic in failure.diagnostics):
                raise
            if circuit not in asked:
                said.append(f'the circuit "{circuit}" is left out: no code runs its densities')
            continue
        if circuit not in asked or any(of.circuit == circuit and of.kind in bundle.queries for of in asked.values()):
            held[circuit] = bundle
    answered = {each: of for each, of in asked.items() if of.circuit in held and of.kind in held[of.circuit].queries}
    terms: dict[str, Bundle] = {}
    formulas: dict[str, Composed] = {}
    for each, saved in composed.items():
        try:
            formulas[each], own = saved()
        except DanausError as failure:
            if any(diagnostic.code != "not-in-bundle" for diagnostic in failure.diagnostics):
                raise
        else:
            terms |= own
    answered_all = {*answered, *formulas}
    said += [f'the query "{each}" ({kind}) is left out' for each, kind in kinds.items() if each not in answered_all]
    if not held:
        raise error("not-in-bundle", "; ".join([f"{name} has no circuit that a bundle can hold", *said]))
    return Several(held, answered, terms, formulas), said
