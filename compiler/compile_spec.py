"""All circuits of a spec compiled or bundled, with its queries by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..frontend.spec import Spec
from ..ir.circuit import Circuit
from .composing import compositions, saved_by
from .information import KINDS
from .queries import order_of

if TYPE_CHECKING:
    from ..backends.triton.policy import Precision
    from ..runtime.asked import Asked
    from ..runtime.bundle import Bundle, Several
    from ..runtime.collection import Collection
from .able import Type, packages
from .bundling import bundle_of, term_of
from .compile import compile


def compile_spec(
    spec: Spec, dtype: Type = "float32", device: str = "cpu", precision: Precision | None = None, tune: bool = False
) -> Collection:
    """All circuits of a spec compiled, with its queries by name."""
    circuits, asked = _asked(spec)
    executables = {name: compile(circuit, dtype, device, precision, tune) for name, circuit in circuits.items()}
    from ..runtime.collection import Collection

    return Collection(executables, asked, compositions(spec, executables, term_of))


def bundle_of_spec(
    spec: Spec,
    only: str | None = None,
    dtype: Type = "float32",
    targets: Sequence[str] = ("cpu",),
    queries: Sequence[str] | None = None,
    tune: bool = False,
    precision: str | None = None,
) -> tuple[Bundle | Several, list[str]]:
    """What is saved of a spec, or of one of its circuits: a sentence is given for each part that is left out.

    Kernels for GPUs answer `queries` by kind; those of the spec where none are named; `tune` has their tiles
    tried, `precision` says how they multiply.

    Raises: DanausError `missing-package`, `unknown-target`, `unsupported-cpu`, `not-in-bundle`, `unknown-query`,
    `unknown-precision`.
    """
    with packages():
        from ..runtime.several import kinds_by_circuit, several_of
    circuits, asked = _asked(spec)
    kinds_of = kinds_by_circuit(asked, queries)
    if only is not None:
        bundle = bundle_of(circuits[only], dtype, targets, kinds_of(only), tune, precision)
        answered = {name: of for name, of in asked.items() if of.circuit == only and of.kind in bundle.queries}
        return replace(bundle, asked=_renamed(answered, bundle.name)), []
    kinds = {query.name: query.kind for query in spec.queries.values()}
    makers = {
        name: partial(bundle_of, circuit, dtype, targets, kinds_of(name), tune, precision)
        for name, circuit in circuits.items()
    }
    composed = saved_by(spec, term_of)
    several, left_out = several_of(makers, asked, composed, kinds, spec.name)
    if len(circuits) > 1 or several.composed:
        return several, left_out
    ((_, bundle),) = several.circuits.items()
    return replace(bundle, asked=_renamed(several.asked, bundle.name)), left_out


def asked_of(spec: Spec, circuit: str) -> list[str]:
    """The kinds of queries that a spec asks of a circuit by name."""
    with packages():
        return [of.kind for of in _asked(spec)[1].values() if of.circuit == circuit]


def _renamed(asked: Mapping[str, Asked], circuit: str) -> dict[str, Asked]:
    """Queries of one circuit, by the name that it calls itself."""
    return {name: replace(of, circuit=circuit) for name, of in asked.items()}


def _asked(spec: Spec) -> tuple[dict[str, Circuit], dict[str, Asked]]:
    """Circuits by name, and queries; a circuit that stands in a query alone, such as an operator's, has its name."""
    from ..runtime.asked import Asked

    circuits = dict(spec.circuits)
    names = {circuit: name for name, circuit in circuits.items()}
    asked: dict[str, Asked] = {}
    for query in spec.queries.values():
        if query.kind in KINDS:
            continue
        circuit = query.circuits[0]
        if circuit not in names:
            names[circuit] = query.name
            circuits[query.name] = circuit
        of = (query.variables[0][0].name, order_of(query)) if query.kind == "moment" else ("", 0)
        asked[query.name] = Asked(query.kind, names[circuit], *of)
    return circuits, asked
