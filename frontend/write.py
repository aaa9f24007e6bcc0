"""Circuits to text: a `.circuit` that reads back as the same circuits, and a `.safetensors` beside it for large arrays.

What enters are circuits by name; what leaves is the text that declares their variables and arrays and spells them out,
and the arrays of more than 64 numbers that it loads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors.numpy import save

from ..ir.circuit import Circuit
from ..ir.data.container import write_bytes
from ..ir.diagnostic import error
from ..ir.domain import Variable
from ..ir.store import Store
from .read import MOST_BYTES
from .spec import Spec
from .writing.arrays import Arrays, Tensor
from .writing.circuits import CircuitWriter
from .writing.fold import Folded
from .writing.names import Names, quoted
from .writing.plan import forms, with_origins
from .writing.variables import Columns, mentioned


def write_circuit(circuit: Circuit, path: Path) -> None:
    """Writes one circuit under its name; `load(path).circuit` is it again.

    Raises: DanausError `unwritable-file`, and what `circuit_text` raises.
    """
    _write({circuit.name: circuit}, path, ())


def write_spec(spec: Spec | Mapping[str, Circuit], path: Path) -> None:
    """Writes the circuits of a spec, or circuits under names, to one file, with all variables of the spec.

    Raises: DanausError `unwritable-file`, and what `circuit_text` raises.
    """
    if isinstance(spec, Spec):
        _write(spec.circuits, path, spec.variables)
    else:
        _write(spec, path, ())


def _write(circuits: Mapping[str, Circuit], path: Path, variables: Iterable[Variable]) -> None:
    """The arrays first, then the text, each all of the file or nothing."""
    beside = path.with_suffix(".safetensors")
    text, tensors = circuit_text(circuits, beside.name, variables)
    content = text.encode()
    if len(content) > MOST_BYTES:
        raise error("too-large", f"the text of {path} would have more than {MOST_BYTES // 1024**2} MB")
    if tensors:
        write_bytes(beside, save(dict(tensors)))
    write_bytes(path, content)


def circuit_text(
    circuits: Mapping[str, Circuit], tensors: str = "circuit.safetensors", variables: Iterable[Variable] = ()
) -> tuple[str, dict[str, Tensor]]:
    """The text of circuits under names, and the arrays that it loads from a file of the name `tensors`.

    `variables` are declared whether a circuit mentions them or not.

    Raises: DanausError `no-text-form` where a block has neither a form nor an operator that made it,
    `unwritable-name` for a name that no quotes can hold, `duplicate-name` where a circuit is called like a variable,
    `two-values` where the circuits hold different values of one parameter.
    """
    everything = with_origins(circuits.values())
    parameters = [parameter for circuit in everything for parameter in circuit.parameters]
    columns = Columns.of(mentioned(everything, variables), {*circuits, *(found.name for found in parameters)})
    arrays = Arrays(_store(circuits.values(), everything), _names(columns, circuits))
    arrays.reserve(parameters)
    folded = Folded(arrays.store)
    writer = CircuitWriter(columns, arrays, folded, forms(everything, folded), circuits)
    for name in circuits:
        writer.write(name)
    load = [f"load {quoted(tensors)}"] if arrays.tensors else []
    sections = [columns.statements, arrays.statements, load]
    return "\n\n".join(["\n".join(lines) for lines in sections if lines] + writer.statements) + "\n", arrays.tensors


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


def _names(columns: Columns, circuits: Iterable[str]) -> Names:
    names = Names(set(columns.names))
    for name in circuits:
        if name in names.taken:
            raise error(
                "duplicate-name",
                f'"{name}" is the name of a variable and of a circuit',
                hint="give the circuit another name",
            )
        names.taken.add(name)
    return names
