"""Operators: circuits to circuits. Each checks what it needs, refuses with a witness, and never rounds."""

from collections.abc import Callable, Mapping

from ...ir.circuit import Circuit
from .add import add
from .condition import condition
from .differentiate import differentiate
from .divide import divide
from .evidence import evidence
from .initialise import initialise
from .integrate import integrate
from .layers import monarch_layers, untie
from .logarithm import logarithm
from .multiply import multiply, product_size, provenance
from .normalize import normalize
from .power import power, reciprocal
from .project import Projected, project
from .rename import rename
from .restrict import restrict
from .scale import scale
from .smooth import smooth

log = logarithm

OPERATORS: Mapping[str, Callable[..., Circuit]] = {
    "add": add,
    "condition": condition,
    "differentiate": differentiate,
    "divide": divide,
    "evidence": evidence,
    "integrate": integrate,
    "log": logarithm,
    "multiply": multiply,
    "normalize": normalize,
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
    "condition",
    "differentiate",
    "divide",
    "evidence",
    "initialise",
    "integrate",
    "log",
    "monarch_layers",
    "multiply",
    "normalize",
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
