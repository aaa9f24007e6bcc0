"""Circuits as statements: each a body, or the call of the operator that made it, after all that it stands on.

A circuit that an operator was given, and that the file does not hold for its own sake, is a part: `q.p` is a part of
`q`. Whoever loads the file sees the circuits, not their parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...ir.block import Block, children
from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain, Variable
from .arrays import Arrays
from .blocks import BodyWriter
from .fold import Folded
from .names import spelled
from .operators import call, is_operator
from .plan import unwritable
from .variables import Columns

_Key = tuple[Block, frozenset[Variable]]


def _key(circuit: Circuit) -> _Key:
    """What tells circuits apart: those of one root and the same free variables are one function."""
    return circuit.root, frozenset(circuit.free)


@dataclass(slots=True)
class CircuitWriter:
    """The circuits of a text that are written so far; `forms` says how each block is."""

    columns: Columns
    arrays: Arrays
    folded: Folded
    forms: Mapping[Block, Circuit | None]
    circuits: Mapping[str, Circuit]
    statements: list[str] = field(default_factory=list[str])
    _given: dict[_Key, str] = field(default_factory=dict[_Key, str])
    _written: dict[_Key, str] = field(default_factory=dict[_Key, str])

    def __post_init__(self) -> None:
        for name, circuit in self.circuits.items():
            self._given.setdefault(_key(circuit), name)

    def write(self, owner: str) -> None:
        """Writes the circuit of a name, after all that it stands on; parts that it needs are named after it."""
        circuit = self.circuits[owner]
        self._write(owner, circuit)
        first = self._given[_key(circuit)]
        if first != owner:
            self.statements.append(f"circuit {spelled(owner)} = {spelled(first)}")

    def _write(self, owner: str, circuit: Circuit) -> None:
        stack = [circuit]
        entered: set[_Key] = set()
        while stack:
            current = stack[-1]
            key = _key(current)
            if key in self._written:
                stack.pop()
                continue
            needed = [found for found in self._needs(current) if _key(found) not in self._written]
            if not needed:
                stack.pop()
                self._state(self._given.get(key) or self._part(owner, current), current)
            elif key in entered:
                raise unwritable(current, self.forms, self.folded)
            else:
                entered.add(key)
                stack.extend(reversed(needed))

    def expression(self, circuit: Circuit) -> str:
        """A circuit where one is named: by its name, or as the call of operators that made it.

        One that is neither is written as a part of the first circuit of the file.
        """
        if _key(circuit) in self._written:
            return self._name(circuit)
        if circuit.origin is not None and is_operator(circuit.origin):
            return call(circuit, [self.expression(given) for given in circuit.origin.circuits], self.columns.spell)
        self._write(next(iter(self.circuits), "file"), circuit)
        return self._name(circuit)

    def _part(self, owner: str, circuit: Circuit) -> str:
        return self.arrays.names.fresh(f"{owner}.{circuit.name.removeprefix(f'{owner}.')}")

    def _name(self, circuit: Circuit) -> str:
        return spelled(self._written[_key(circuit)])

    def _made(self, circuit: Circuit) -> Circuit | None:
        """The circuit whose operator makes this one, or None where it has a body."""
        if circuit.root not in self.forms:
            raise unwritable(circuit, self.forms, self.folded)
        form = self.forms[circuit.root]
        if form is None or (circuit.free and not form.free):
            return None
        if _key(form) == _key(circuit):
            return form
        if not is_operator(circuit.origin):
            raise unwritable(circuit, self.forms, self.folded)
        return circuit

    def _needs(self, circuit: Circuit) -> list[Circuit]:
        """The circuits that a circuit's statement names."""
        made = self._made(circuit)
        if made is not None and made.origin is not None:
            return list(made.origin.circuits)
        return list(self._body(circuit)[1].values())

    def _body(self, circuit: Circuit) -> tuple[tuple[Block, ...], dict[Block, Circuit]]:
        """The blocks of a body, children first, and those of them that stand there as the name of another circuit."""
        references: dict[Block, Circuit] = {}
        ordered: list[Block] = []
        seen: set[Block] = set()
        stack: list[tuple[Block, bool]] = [(circuit.root, False)]
        while stack:
            block, expanded = stack.pop()
            if expanded:
                ordered.append(block)
            elif block not in seen:
                seen.add(block)
                if block is not circuit.root or circuit.free:
                    found = self._reference(block)
                    if found is not None:
                        references[block] = found
                        continue
                stack.append((block, True))
                stack.extend((child, False) for child in reversed(children(block)) if child not in seen)
        return tuple(ordered), references

    def _reference(self, block: Block) -> Circuit | None:
        """The circuit by whose name a block stands in a body: one of the file, or one that an operator makes."""
        name = self._given.get((block, frozenset()))
        return self.circuits[name] if name is not None else self.forms[block]

    def _state(self, name: str, circuit: Circuit) -> None:
        """Appends the statement of a circuit whose needs are written."""
        made = self._made(circuit)
        if made is not None and made.origin is not None:
            operands = [self._name(given) for given in made.origin.circuits]
            self.statements.append(f"circuit {spelled(name)} = {call(made, operands, self.columns.spell)}")
        else:
            blocks, references = self._body(circuit)
            names = {block: self._name(found) for block, found in references.items()}
            for variable in circuit.free:
                if not isinstance(variable.domain, FiniteDomain):
                    raise error(
                        "no-text-form",
                        f'"{circuit.name}" cannot be written: its free variable "{variable.name}" is {variable.domain}',
                        circuit.span,
                        hint="rename it, or integrate it out, first",
                    )
            writer = BodyWriter(name, self.arrays, self.folded, names, self.columns.spell)
            body = "".join(f"  {line}\n" for line in writer.body(blocks, circuit.root, circuit.free))
            self.statements.append(f"circuit {spelled(name)} {{\n{body}}}")
        self._written[_key(circuit)] = name
