"""Circuits that an operator made, as the call that made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from ...ir.circuit import BODY, Circuit, Origin
from ...ir.diagnostic import error
from ...ir.domain import Cat, Variable
from ...ir.parameter import Value, as_fraction
from .names import quoted
from .numbers import array_text, number_text

Spell = Callable[[Variable], str]


def is_operator(origin: Origin | None) -> bool:
    """Whether an operator of the language made a circuit."""
    return origin is not None and origin.operator != BODY


def call(circuit: Circuit, operands: Sequence[str], spell: Spell) -> str:
    """The call of the operator that made a circuit, of operands by name."""
    origin = circuit.origin
    assert origin is not None
    given = [*operands]
    for name, argument in origin.arguments.items():
        given += _argument(name, argument, spell)
    return f"{origin.operator}({', '.join(given)})"


def _argument(name: str, argument: object, spell: Spell) -> list[str]:
    """An argument of an operator: a number, a variable, variables in a list, or what variables are given."""
    match argument:
        case None:
            return []
        case Variable():
            return [spell(argument)]
        case Mapping():
            return [f"{spell(variable)} = {_assigned(variable, given, spell)}" for variable, given in argument.items()]
        case tuple() | list() | frozenset() | set():
            ordered = sorted(argument, key=lambda variable: variable.order)
            return [f"[{', '.join(map(spell, ordered))}]"]
        case int() | float() | Fraction():
            return [number_text(as_fraction(argument))]
        case _:
            raise error("no-text-form", f"the argument {name} of an operator cannot be written: {argument!r}")


def _assigned(variable: Variable, given: object, spell: Spell) -> str:
    match given:
        case Variable():
            return spell(given)
        case Value():
            return array_text(given, 2)
        case int() | float() | Fraction():
            names = variable.domain.names if isinstance(variable.domain, Cat) else ()
            return quoted(names[int(given)]) if names else _value(float(given))
        case _:
            return array_text(Value.of(given), 2)


def _value(value: float) -> str:
    """A value of a variable, which is a float: the shortest text that is read as it."""
    return str(int(value)) if value.is_integer() and abs(value) < 1 << 53 else repr(value)


def variables_of(circuit: Circuit) -> list[Variable]:
    """The variables that the operator of a circuit names."""
    out: list[Variable] = []
    for argument in (circuit.origin.arguments if circuit.origin else {}).values():
        match argument:
            case Variable():
                out.append(argument)
            case Mapping():
                out += [item for pair in argument.items() for item in pair if isinstance(item, Variable)]
            case tuple() | list() | frozenset() | set():
                out += [item for item in argument if isinstance(item, Variable)]
            case _:
                pass
    return out
