"""The properties by name: what `assert` and `danaus check` ask for."""

from __future__ import annotations

from collections.abc import Mapping

from ...ir.circuit import Circuit
from ...ir.diagnostic import error, nearest
from .decomposable import decomposable
from .nonnegative import nonnegative
from .normalized import normalized
from .result import Judge, Result
from .smooth import smooth
from .structured import structured

# None where a later version brings the property.
PROPERTIES: Mapping[str, Judge | None] = {
    "smooth": smooth,
    "decomposable": decomposable,
    "structured": structured,
    "deterministic": None,
    "compatible": None,
    "omni_compatible": None,
    "normalized": normalized,
    "nonnegative": nonnegative,
}


def check(circuit: Circuit, *names: str) -> dict[str, Result]:
    """The results of the named properties, or of all that there are.

    Raises: DanausError `unknown-property`, or `not-yet` for one that a later version brings.
    """
    wanted = names or tuple(name for name, judge in PROPERTIES.items() if judge is not None)
    return {name: _judge(name)(circuit) for name in dict.fromkeys(wanted)}


def _judge(name: str) -> Judge:
    if name not in PROPERTIES:
        hint = nearest(name, PROPERTIES) or f"properties are {', '.join(PROPERTIES)}"
        raise error("unknown-property", f'there is no property "{name}"', hint=hint)
    judge = PROPERTIES[name]
    if judge is None:
        available = ", ".join(known for known, found in PROPERTIES.items() if found is not None)
        raise error("not-yet", f"the property {name} is not available yet", hint=f"there are {available}")
    return judge
