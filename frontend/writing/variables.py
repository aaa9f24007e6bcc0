"""The variables of a text: which it declares, in which order, and how they are spelled."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ...ir.block import Input
from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.domain import Cat, Domain, Variable
from .names import quoted, spelled
from .operators import variables_of

_ELEMENT = re.compile(r"(.+)\[(0|[1-9][0-9]*)\]", re.DOTALL)


def mentioned(circuits: Iterable[Circuit], also: Iterable[Variable]) -> list[Variable]:
    """The variables that circuits and their operators name, and some more, in their order.

    Raises: DanausError `two-domains` where one name stands for two variables.
    """
    found: dict[Variable, Variable] = {variable: variable for variable in also}
    for circuit in circuits:
        for variable in circuit.variables:
            found.setdefault(variable, variable)
    for circuit in circuits:
        inputs = [block.variable for block in circuit.blocks if isinstance(block, Input)]
        for variable in (*inputs, *circuit.free, *variables_of(circuit)):
            found.setdefault(variable, variable)
    domains: dict[str, Domain] = {}
    for variable in found:
        if domains.setdefault(variable.name, variable.domain) != variable.domain:
            raise error(
                "two-domains",
                f'"{variable.name}" is {domains[variable.name]} in one circuit and {variable.domain} in another',
                hint="two variables need two names",
            )
    return sorted(found.values(), key=lambda variable: variable.order)


@dataclass(slots=True)
class Columns:
    """The names that variables are declared under, the spelling of each, and which of them the text uses."""

    names: list[str] = field(default_factory=list[str])
    used: set[str] = field(default_factory=set[str])
    _spellings: dict[str, str] = field(default_factory=dict[str, str])
    _declarations: list[tuple[str, tuple[str, ...]]] = field(default_factory=list[tuple[str, tuple[str, ...]]])

    @staticmethod
    def of(variables: Sequence[Variable], taken: Collection[str], used: Iterable[Variable] = ()) -> Columns:
        """`x[0]`, `x[1]`, … that stand in a row become an array, unless its name is taken; others are single names.

        `used` are declared in any case, others once the text spells them.
        """
        out = Columns(used={variable.name for variable in used})
        single = {variable.name for variable in variables}
        position = 0
        while position < len(variables):
            length = _array(variables, position)
            stem = _stem(variables[position])
            if length and stem not in taken and stem not in single and stem not in out.names:
                out._add_array(stem, variables[position : position + length])
                position += length
            else:
                out._add(variables[position])
                position += 1
        return out

    def spell(self, variable: Variable) -> str:
        """A variable as the text names it."""
        self.used.add(variable.name)
        return self._spellings[variable.name]

    def statements(self) -> list[str]:
        """The `var` statements of the variables in use, an array whole where one of its elements is."""
        return [text for text, names in self._declarations if not self.used.isdisjoint(names)]

    def _add(self, variable: Variable) -> None:
        text = self._spellings[variable.name] = spelled(variable.name)
        self.names.append(variable.name)
        self._declarations.append((f"var {text} : {_domain(variable.domain)}", (variable.name,)))

    def _add_array(self, stem: str, elements: Sequence[Variable]) -> None:
        text = spelled(stem)
        self.names.append(stem)
        declaration = f"var {text}[{len(elements)}] : {_domain(elements[0].domain)}"
        self._declarations.append((declaration, tuple(variable.name for variable in elements)))
        for position, variable in enumerate(elements):
            self._spellings[variable.name] = f"{text}[{position}]"


def _stem(variable: Variable) -> str:
    found = _ELEMENT.fullmatch(variable.name)
    return found.group(1) if found else ""


def _array(variables: Sequence[Variable], start: int) -> int:
    """How many variables from here on are the elements 0, 1, … of one array; 0 where none are."""
    stem, domain = _stem(variables[start]), variables[start].domain
    length = 0
    while stem and start + length < len(variables):
        variable = variables[start + length]
        if variable.name != f"{stem}[{length}]" or variable.domain != domain:
            break
        length += 1
    return length


def _domain(domain: Domain) -> str:
    if isinstance(domain, Cat) and domain.names:
        return f"cat({', '.join(map(quoted, domain.names))})"
    return str(domain)
