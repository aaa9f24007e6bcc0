"""The mass of each number of ones: a circuit over booleans evaluated over polynomials in t, with t for each one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..circuit import Circuit
from ..diagnostic import DanausError, Diagnostic
from ..domain import Bool, Variable
from ..evaluate import Evidence, evaluate
from ..numbers import Numbers
from ..parameter import Floats
from ..semirings import Polynomial
from .likelihood import log_and_sign, logarithm, logarithmic
from .roots import ones_by_roots


def hamming(circuit: Circuit) -> Floats:
    """The logarithm of the total of the circuit over all assignments with 0, 1, … V ones: [V + 1].

    NaN, with a `DanausWarning`, where that is negative. The circuit is smooth and decomposable, which the caller has
    checked. The cost is that of a marginal times the square of the number of variables, at most.

    >>> from danaus import parse
    >>> p = parse("var x[2] : bool; circuit p { return bernoulli(x[0], [0.5]) * bernoulli(x[1], [0.5]) }").circuits["p"]
    >>> np.exp(hamming(p)).round(12).tolist()
    [0.25, 0.5, 0.25]

    Raises: DanausError `wrong-domain` for each variable that is no boolean.
    """
    require_booleans(circuit.name, circuit.variables)
    base = logarithmic(circuit, Numbers(circuit.store))
    zero, one = base.unit(one=False), base.unit(one=True)
    powers = np.stack([np.stack([one, zero]), np.stack([zero, one])])  # 1 for the value 0, t for the value 1
    evidence = Evidence.nothing(circuit.variables)
    weighted = replace(evidence, weights={variable: powers for variable in circuit.variables})
    coefficients = evaluate(circuit, Polynomial(base), weighted)[0][: len(circuit.variables) + 1]
    logs, signs = np.full(len(circuit.variables) + 1, -np.inf), np.zeros(len(circuit.variables) + 1)
    logs[: len(coefficients)], signs[: len(coefficients)] = log_and_sign(coefficients, base)
    return logarithm(logs, signs, f'the mass of "{circuit.name}"', "number of ones")


def hamming_by_roots(circuit: Circuit) -> Floats:
    """The same by values at roots of unity, for circuits that are exact under virtual evidence."""
    require_booleans(circuit.name, circuit.variables)
    return logarithm(*ones_by_roots(circuit), f'the mass of "{circuit.name}"', "number of ones")


def require_booleans(name: str, variables: tuple[Variable, ...]) -> None:
    """Raises DanausError `wrong-domain` for each variable that is no boolean."""
    others = [variable for variable in variables if not isinstance(variable.domain, Bool)]
    if others:
        raise DanausError(
            *(
                Diagnostic(
                    "wrong-domain",
                    f'hamming counts ones of booleans; "{variable.name}" of "{name}" is {variable.domain}',
                    hint="integrate the variable out first",
                )
                for variable in others
            )
        )
