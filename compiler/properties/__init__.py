"""Properties of circuits: each an analysis that proves, refutes with a witness, or says why it does not know."""

from .check import PROPERTIES, check
from .compatible import compatible
from .deterministic import Budget, deterministic, marginally_deterministic
from .matching import Matching
from .omni_compatible import omni_compatible
from .result import Proved, Refuted, Result, Unknown, explained, refusal
from .vtree import Vtree
from .witness import (
    CommonSupport,
    CrossingScopes,
    DifferentScopes,
    Mass,
    NegativeAt,
    Node,
    OverlappingScopes,
    SharedVariables,
    WideFactor,
    Witness,
)

__all__ = [
    "PROPERTIES",
    "Budget",
    "CommonSupport",
    "CrossingScopes",
    "DifferentScopes",
    "Mass",
    "Matching",
    "NegativeAt",
    "Node",
    "OverlappingScopes",
    "Proved",
    "Refuted",
    "Result",
    "SharedVariables",
    "Unknown",
    "Vtree",
    "WideFactor",
    "Witness",
    "check",
    "compatible",
    "deterministic",
    "explained",
    "marginally_deterministic",
    "omni_compatible",
    "refusal",
]
