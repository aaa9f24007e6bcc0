"""Checks of what is given to functions of the front door: a wrong kind is a diagnostic at the caller's line."""

from __future__ import annotations

from .ir.circuit import Circuit
from .ir.diagnostic import error
from .ir.span import caller


def wants(kind: type | tuple[type, ...], wanted: str, *given: object) -> None:
    """Raises DanausError `wrong-arguments` for what is not of a kind."""
    for each in given:
        if not isinstance(each, kind):
            raise error("wrong-arguments", f"{type(each).__name__} where {wanted} is expected", caller())


def wants_circuit(given: object) -> None:
    """Raises DanausError `wrong-arguments` for what is no circuit."""
    wants(Circuit, "a circuit", given)
