"""Operators: circuits to circuits. Each checks what it needs, refuses with a witness, and never rounds."""

from collections.abc import Callable, Mapping

from ...ir.circuit import Circuit
from .add import add
from .evidence import evidence
from .integrate import integrate
from .multiply import multiply
from .rename import rename
from .restrict import restrict
from .scale import scale
from .smooth import smooth

OPERATORS: Mapping[str, Callable[..., Circuit]] = {
    "add": add,
    "evidence": evidence,
    "integrate": integrate,
    "multiply": multiply,
    "rename": rename,
    "restrict": restrict,
    "scale": scale,
    "smooth": smooth,
}

__all__ = ["OPERATORS", "add", "evidence", "integrate", "multiply", "rename", "restrict", "scale", "smooth"]
