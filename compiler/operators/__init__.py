"""Operators: circuits to circuits. Each checks what it needs, refuses with a witness, and never rounds."""

from collections.abc import Callable, Mapping

from ...ir.circuit import Circuit
from .add import add
from .divide import divide
from .evidence import evidence
from .initialise import initialise
from .integrate import integrate
from .layers import monarch_layers, untie
from .logarithm import logarithm
from .multiply import multiply, product_size, provenance
from .power import power, reciprocal
from .project import Projected, project
from .rename import rename
from .restrict import restrict
from .scale import scale
from .smooth import smooth

log = logarithm

OPERATORS: Mapping[str, Callable[..., Circuit]] = {
    "add": add,
    "divide": divide,
    "evidence": evidence,
    "integrate": integrate,
    "log": logarithm,
    "multiply": multiply,
    "power": power,
    "reciprocal": reciprocal,
    "rename": rename,
    "restrict": restrict,
    "scale": scale,
    "smooth": smooth,
}

__all__ = [
    "OPERATORS",
    "Projected",
    "add",
    "divide",
    "evidence",
    "initialise",
    "integrate",
    "log",
    "monarch_layers",
    "multiply",
    "power",
    "product_size",
    "project",
    "provenance",
    "reciprocal",
    "rename",
    "restrict",
    "scale",
    "smooth",
    "untie",
]
