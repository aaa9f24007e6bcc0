"""Properties of circuits: each an analysis that proves, refutes with a witness, or says why it does not know."""

from .check import PROPERTIES, check
from .result import Proved, Refuted, Result, Unknown, explained, refusal
from .vtree import Vtree
from .witness import DifferentScopes, Mass, NegativeAt, Node, OverlappingScopes, SharedVariables, Witness

__all__ = [
    "PROPERTIES",
    "DifferentScopes",
    "Mass",
    "NegativeAt",
    "Node",
    "OverlappingScopes",
    "Proved",
    "Refuted",
    "Result",
    "SharedVariables",
    "Unknown",
    "Vtree",
    "Witness",
    "check",
    "explained",
    "refusal",
]
