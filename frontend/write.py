"""Circuits to text: a `.circuit` that reads back as the same circuits, and a `.safetensors` beside it for large arrays.

What enters are circuits by name; what leaves is the text that declares their variables and arrays and spells them out,
and the arrays of more than 64 numbers that it loads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from ..ir.circuit import Circuit
from ..ir.data.container import write_bytes
from ..ir.diagnostic import error
from ..ir.domain import Variable
from ..ir.store import Store
from .read import MOST_BYTES
from .spec import Assertion, Query, Spec
from .writing.arrays import Arrays, Tensor
from .writing.circuits import CircuitWriter
from .writing.demands import assertion_text, circuits_of, query_text
from .writing.fold import Folded
from .writing.names import Names, quoted
from .writing.plan import forms, with_origins
from .writing.variables import Columns, mentioned


def write_circuit(circuit: Circuit, path: Path) -> None:
    """Writes one circuit under its name; `load(path).circuit` is it again.

    Raises: DanausError `unwritable-file`, and what `circuit_text` raises.
    """
    write_spec({circuit.name: circuit}, path)


def write_spec(spec: Spec | Mapping[str, Circuit], path: Path) -> None:
    """Writes a spec, or circuits under names, to one file: the arrays first, then the text, each whole or not at all.

    Raises: DanausError `unwritable-file`, and what `circuit_text` raises.
    """
    beside = path.with_suffix(".safetensors")
    text, tensors = spec_text(spec, beside.name) if isinstance(spec, Spec) else circuit_text(spec, beside.name)
    content = text.encode()
    if len(content) > MOST_BYTES:
        raise error("too-large", f"the text of {path} would have more than {MOST_BYTES // 1024**2} MB")
    if tensors:
        write_bytes(beside, save({name: np.ascontiguousarray(array) for name, array in tensors.items()}))
    write_bytes(path, content)


def circuit_text(
    circuits: Mapping[str, Circuit], tensors: str = "circuit.safetensors"
) -> tuple[str, dict[str, Tensor]]:
    """The text of circuits under names, and the arrays that it loads from a file of the name `tensors`.

    A circuit that shares blocks with another names it where it can; what has no block form is written as the operators
    that made it. The circuits of one text have one state of training.

    Raises: DanausError `no-text-form` where a block has neither a form nor an operator that made it,
    `unwritable-name` for a name that no quotes can hold, `duplicate-name` where a circuit is called like a variable,
    `two-domains` where one name stands for two variables, `two-values` where the circuits hold different values of one
    parameter, `too-large` for numbers of thousands of digits.
    """
    return _text(circuits, tensors, (), (), ())


def spec_text(spec: Spec, tensors: str = "circuit.safetensors") -> tuple[str, dict[str, Tensor]]:
    """The text of a spec, with all of its variables, assertions and queries, and the arrays that it loads.

    Raises: what `circuit_text` raises.
    """
    return _text(spec.circuits, tensors, spec.variables, spec.assertions, tuple(spec.queries.values()))


def _text(
    circuits: Mapping[str, Circuit],
    tensors: str,
    variables: Iterable[Variable],
    assertions: Sequence[Assertion],
    queries: Sequence[Query],
) -> tuple[str, dict[str, Tensor]]:
    everything = with_origins([*circuits.values(), *circuits_of(assertions, queries)])
    parameters = [parameter for circuit in everything for parameter in circuit.parameters]
    named = [*circuits, *(query.name for query in queries)]
    taken = {*named, *(parameter.name for parameter in parameters)}
    columns = Columns.of(mentioned(everything, variables), taken, variables)
    arrays = Arrays(_store(circuits.values(), everything), _names(columns, named))
    arrays.reserve(parameters)
    folded = Folded(arrays.store)
    writer = CircuitWriter(columns, arrays, folded, forms(everything, folded), circuits)
    for name in circuits:
        writer.write(name)
    asserted = [assertion_text(assertion, writer.expression) for assertion in assertions]
    asked = [query_text(query, writer.expression, columns.spell) for query in queries]
    load = [f"load {quoted(tensors)}"] if arrays.tensors else []
    sections = [
        columns.statements(),
        [*arrays.statements, *load],
        *([statement] for statement in writer.statements),
        asserted,
        asked,
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n", arrays.tensors


def _store(circuits: Iterable[Circuit], everything: Iterable[Circuit]) -> Store:
    """The values of the circuits; of what they were made from, those that the circuits no longer have."""
    store = Store()
    for circuit in circuits:
        store = store.merged(circuit.store.restricted(circuit.parameters))
    missing = {
        parameter: circuit.store[parameter]
        for circuit in everything
        for parameter in circuit.parameters
        if parameter not in store
    }
    return store.updated(missing)


def _names(columns: Columns, named: Iterable[str]) -> Names:
    names = Names(set(columns.names))
    for name in named:
        if name in names.taken:
            raise error(
                "duplicate-name",
                f'"{name}" is the name of a variable and of a circuit',
                hint="give the circuit another name",
            )
        names.taken.add(name)
    return names
