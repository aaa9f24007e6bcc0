"""Counts: on how many assignments a deterministic circuit is not zero, as Python integers, or their total weight.

A deterministic circuit has at most one non-zero child per sum, so that the supports of a sum's children do not overlap
and their counts add up; in a smooth, decomposable one each assignment of a scope is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..circuit import Circuit
from ..diagnostic import error
from ..domain import FiniteDomain, Variable
from ..evaluate import Evidence, evaluate
from ..parameter import Value
from ..semirings import COUNTING, EXACT
from .exactness import one_path


def count(circuit: Circuit, weights: Mapping[Variable, Value] | None = None) -> object:
    """The number of assignments on which the circuit is not zero, an exact integer.

    With `weights`, [n] per variable in domain order: the sum over those assignments of the product of their values'
    weights, an exact fraction; variables without weights weigh 1. The circuit is smooth, decomposable and
    deterministic, which the caller has checked.

    >>> from danaus import parse
    >>> p = parse("var x : cat(5); circuit p { return table(x, [[0, 3, 0, -1, 2]]) }").circuits["p"]
    >>> count(p), count(p, {p.variables[0]: Value.of([1, 0.5, 1, 0.25, 0])})
    (3, Fraction(3, 4))

    Raises: DanausError `infinite-domain`, or `too-large` where a composed map is too large to be multiplied out.
    """
    for variable in circuit.variables:
        if not isinstance(variable.domain, FiniteDomain):
            raise error("infinite-domain", f'"{variable}" is {variable.domain}: its values are not counted')
    multiplied, single = one_path(circuit)
    if not single:
        raise error("too-large", f'a composed map of "{circuit.name}" is too large to be multiplied out')
    exact = {variable: EXACT.lift(given) for variable, given in (weights or {}).items()}
    evidence = replace(Evidence.nothing(circuit.variables), weights=exact)
    found: object = np.asarray(evaluate(multiplied, COUNTING, evidence), dtype=object)[0]
    return found
