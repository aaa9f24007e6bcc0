"""Smooth: the same function, as a smooth circuit."""

from __future__ import annotations

from dataclasses import replace

from ...ir.circuit import Circuit, Origin
from ..properties import Proved, check
from .demands import demands
from .extended import Extension
from .fitted import fitted
from .operands import needs
from .scopeids import ScopeIds


def smooth(p: Circuit) -> Circuit:
    """p with the constant 1 on what is missing multiplied into the children of each unsmooth sum.

    The constant is a table of ones on finite domains, and on real and count a function whose integral diverges. Needs p
    decomposable. Where the scopes of p's factors are nested or disjoint they stay so, and what is missing is made along
    that vtree; where they overlap but fit one, as those of a trimmed SDD do, p is made anew along it. A circuit that is
    smooth is kept as it is. At most one node more per node and scope that it is needed at, and one per set of variables
    that is missing.

    Raises: Refused with a witness; DanausError `too-large`.
    """
    needs(p, "smooth", "decomposable")
    origin = Origin("smooth", (p,))
    if isinstance(check(p, "smooth")["smooth"], Proved):
        return replace(p, origin=origin)
    ids = ScopeIds(p)
    if ids.tree is None and (root := fitted(ids)) is not None:
        return replace(p, root=root, origin=origin)
    return replace(p, root=Extension(ids, demands(ids)).root(), origin=origin)
