"""The properties by name: what `assert` and `danaus check` ask for."""

from __future__ import annotations

from collections.abc import Mapping

from ...ir.circuit import Circuit
from ...ir.diagnostic import error, nearest
from .decomposable import decomposable
from .deterministic import Budget, deterministic
from .nonnegative import nonnegative
from .normalized import normalized
from .omni_compatible import omni_compatible
from .result import Judge, Result
from .smooth import smooth
from .structured import structured

# The properties of one circuit; those of two circuits stand beside.
PROPERTIES: Mapping[str, Judge] = {
    "smooth": smooth,
    "decomposable": decomposable,
    "structured": structured,
    "deterministic": deterministic,
    "omni_compatible": omni_compatible,
    "normalized": normalized,
    "nonnegative": nonnegative,
}
OF_TWO = ("compatible", "equal")


def check(circuit: Circuit, *names: str, budget: Budget | None = None) -> dict[str, Result]:
    """The results of the named properties, or of all of one circuit; `budget` is what a search may spend on each.

    Raises: DanausError `unknown-property`, or `wrong-arguments` for a property of two circuits.
    """
    return {name: _result(name, circuit, budget) for name in dict.fromkeys(names or PROPERTIES)}


def _result(name: str, circuit: Circuit, budget: Budget | None) -> Result:
    if name in OF_TWO:
        raise error("wrong-arguments", f"{name} is a property of two circuits", hint=f"ask for {name}(p, q)")
    if name not in PROPERTIES:
        hint = nearest(name, (*PROPERTIES, *OF_TWO)) or f"properties are {', '.join((*PROPERTIES, *OF_TWO))}"
        raise error("unknown-property", f'there is no property "{name}"', hint=hint)
    if name == "deterministic":
        return deterministic(circuit, budget)
    return PROPERTIES[name](circuit)
