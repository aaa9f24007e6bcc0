"""Properties of circuits: each an analysis that proves, refutes with a witness, or says why it does not know."""

from .check import PROPERTIES, check
from .compatible import compatible, require_domains
from .deterministic import Budget, deterministic, marginally_deterministic
from .marginalisation import PROGRAMS, Program, exact, made_exact, marginalisation
from .matching import Matching
from .omni_compatible import omni_compatible
from .result import Proved, Refuted, Result, Unknown, explained, refusal
from .vtree import Vtree
from .witness import (
    CommonSupport,
    CrossingScopes,
    DifferentScopes,
    DifferentValues,
    Mass,
    NegativeAt,
    Node,
    OverlappingScopes,
    SharedVariables,
    WideFactor,
    Witness,
    WrongSum,
)

__all__ = [
    "PROGRAMS",
    "PROPERTIES",
    "Budget",
    "CommonSupport",
    "CrossingScopes",
    "DifferentScopes",
    "DifferentValues",
    "Mass",
    "Matching",
    "NegativeAt",
    "Node",
    "OverlappingScopes",
    "Program",
    "Proved",
    "Refuted",
    "Result",
    "SharedVariables",
    "Unknown",
    "Vtree",
    "WideFactor",
    "Witness",
    "WrongSum",
    "check",
    "compatible",
    "deterministic",
    "exact",
    "explained",
    "made_exact",
    "marginalisation",
    "marginally_deterministic",
    "omni_compatible",
    "refusal",
    "require_domains",
]
