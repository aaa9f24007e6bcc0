"""What operators are given, checked: circuits, variables by name or as they are, and the properties they need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ...ir.circuit import Circuit
from ...ir.diagnostic import Refused, error
from ...ir.domain import Cat, Real, Variable
from ...ir.family import require_value
from ...ir.span import caller
from ..properties import check, made_exact, refusal

Name = Variable | str


def require_circuits(who: str, *given: object) -> None:
    """Raises DanausError `wrong-arguments` for what is not a circuit."""
    for each in given:
        if not isinstance(each, Circuit):
            raise error("wrong-arguments", f"{who} takes a circuit, not {type(each).__name__}", caller())


def items_of(who: str, given: object, wanted: str) -> Iterable[tuple[Name, Any]]:
    """The pairs of a mapping from variables.

    Raises: DanausError `wrong-arguments`.
    """
    if not isinstance(given, Mapping):
        hint = "write {x: …}, with variables or their names as keys"
        raise error("wrong-arguments", f"{who} takes {wanted}, not {type(given).__name__}", caller(), hint=hint)
    return given.items()


def variable_of(circuit: Circuit, given: Name) -> Variable:
    """The circuit's variable that is meant.

    Raises: DanausError `unknown-variable`, `wrong-arguments`, or `two-domains` where it has another domain.
    """
    if not isinstance(given, str | Variable):
        raise error("wrong-arguments", f"{type(given).__name__} where a variable is expected", caller())
    found = circuit.variable(given if isinstance(given, str) else given.name)
    if isinstance(given, Variable) and given != found:
        raise error("two-domains", f'"{found}" is {found.domain} in "{circuit.name}", not {given.domain}')
    return found


def variables_of(circuit: Circuit, given: Name | Iterable[Name]) -> tuple[Variable, ...]:
    """The circuit's variables that are meant, each once; one may stand alone."""
    if isinstance(given, str | Variable) or not isinstance(given, Iterable):
        return (variable_of(circuit, given),)
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
    try:
        value = float(given)
    except (TypeError, ValueError, OverflowError) as failure:
        raise error("wrong-value", f'"{variable}" has no value {given!r}', caller()) from failure
    if not math.isfinite(value):
        hint = "" if isinstance(variable.domain, Real) else f'"{variable}" is {variable.domain}'
        raise error("wrong-value", f'"{variable}" has no value {value}', hint=hint)
    require_value(variable, value)
    return value


def needs_sums(circuit: Circuit, who: str) -> None:
    """Raises `Refused` with a witness unless the circuit is smooth and decomposable, or an imported marginaliser."""
    require_circuits(who, circuit)
    if not made_exact(circuit):
        needs(circuit, who, "smooth", "decomposable")


def needs(circuit: Circuit, who: str, *names: str) -> None:
    """Raises `Refused` with a witness for each property that is not proved."""
    require_circuits(who, circuit)
    found = [refusal(circuit, who, name, result) for name, result in check(circuit, *names).items()]
    if refused := [diagnostic for diagnostic in found if diagnostic is not None]:
        raise Refused(*refused)
