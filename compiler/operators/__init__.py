"""Operators: circuits to circuits. Each checks what it needs, refuses with a witness, and never rounds."""

from collections.abc import Callable, Mapping

from ...ir.circuit import Circuit
from .add import add
from .condition import condition
from .differentiate import differentiate
from .evidence import evidence
from .initialise import initialise
from .integrate import integrate
from .layers import monarch_layers, untie
from .multiply import multiply, product_size, provenance
from .normalize import normalize
from .power import power
from .project import Projected, project
from .rename import rename
from .restrict import restrict
from .scale import scale
from .smooth import smooth

OPERATORS: Mapping[str, Callable[..., Circuit]] = {
    "add": add,
    "condition": condition,
    "differentiate": differentiate,
    "evidence": evidence,
    "integrate": integrate,
    "multiply": multiply,
    "normalize": normalize,
    "power": power,
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
    "evidence",
    "initialise",
    "integrate",
    "monarch_layers",
    "multiply",
    "normalize",
    "power",
    "product_size",
    "project",
    "provenance",
    "rename",
    "restrict",
    "scale",
    "smooth",
    "untie",
]
