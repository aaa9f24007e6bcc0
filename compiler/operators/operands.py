"""What operators are given, checked: variables by name or as they are, and the properties that they need."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ...ir.circuit import Circuit
from ...ir.diagnostic import Refused, error
from ...ir.domain import Cat, Real, Variable
from ...ir.family import require_value
from ..properties import check, refusal

Name = Variable | str


def variable_of(circuit: Circuit, given: Name) -> Variable:
    """The circuit's variable that is meant.

    Raises: DanausError `unknown-variable`, or `two-domains` where it has another domain.
    """
    found = circuit.variable(given if isinstance(given, str) else given.name)
    if isinstance(given, Variable) and given != found:
        raise error("two-domains", f'"{found}" is {found.domain} in "{circuit.name}", not {given.domain}')
    return found


def variables_of(circuit: Circuit, given: Iterable[Name]) -> tuple[Variable, ...]:
    """The circuit's variables that are meant, each once."""
    return tuple(dict.fromkeys(variable_of(circuit, each) for each in given))


def value_of(variable: Variable, given: float | str) -> float:
    """A value of a variable's domain, from its name where the domain has names.

    Raises: DanausError `wrong-value`.
    """
    names = variable.domain.names if isinstance(variable.domain, Cat) else ()
    if isinstance(given, str):
        if given not in names:
            hint = f"its values are {', '.join(names[:8])}" if names else "give a number"
            raise error("wrong-value", f'"{variable}" has no value "{given}"', hint=hint)
        return float(names.index(given))
    value = float(given)
    if not math.isfinite(value):
        hint = "" if isinstance(variable.domain, Real) else f'"{variable}" is {variable.domain}'
        raise error("wrong-value", f'"{variable}" has no value {value}', hint=hint)
    require_value(variable, value)
    return value


def needs(circuit: Circuit, who: str, *names: str) -> None:
    """Raises `Refused` with a witness for each property that is not proved."""
    found = [refusal(circuit, who, name, result) for name, result in check(circuit, *names).items()]
    if refused := [diagnostic for diagnostic in found if diagnostic is not None]:
        raise Refused(*refused)
