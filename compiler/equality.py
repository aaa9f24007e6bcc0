"""Equal: whether two circuits compute the same function of the union of their variables, for their current values.

What enters is two circuits; what leaves is a proof, by identity testing, an assignment at which their values differ,
checked by value before it is shown, or the reason why neither was found.
"""

from __future__ import annotations

import math
from fractions import Fraction
from weakref import WeakKeyDictionary

import numpy as np

from ..ir.circuit import Circuit
from ..ir.diagnostic import DanausError
from ..ir.domain import FiniteDomain, Variable
from ..ir.evaluate import Evidence, evaluate
from ..ir.parameter import Floats
from ..ir.semirings import EXACT, INTERVAL
from .identity import Identity, equal_functions, verify_product
from .operators.operands import require_circuits
from .properties import DifferentValues, Proved, Refuted, Result, Unknown, check, require_domains
from .properties.draw import draw

# So many assignments are drawn where identity testing does not decide: they can only refute.
DRAWN = 64

_known: WeakKeyDictionary[Circuit, WeakKeyDictionary[Circuit, Result]] = WeakKeyDictionary()


def equal(first: Circuit, second: Circuit) -> Result:
    """Whether two circuits are one function of the union of their variables, for their current values.

    On finite domains, smooth and decomposable circuits are compared as polynomials in the indicators of the values of
    their variables; where they differ, a search variable by variable finds an assignment. All others are compared as
    polynomials in their inputs, which can only prove, and at 64 drawn assignments, in bounds, which can only refute.

    Raises: DanausError `two-domains` where variables of one name differ in their domains.
    """
    require_circuits("equal", first, second)
    require_domains(first, second)
    known = _known.setdefault(first, WeakKeyDictionary())
    if second not in known:
        known[second] = _equal(first, second)
    return known[second]


def _equal(first: Circuit, second: Circuit) -> Result:
    reason = _untestable(first, second)
    if not reason:
        try:
            found = equal_functions(first, second)
        except DanausError as failure:
            reason = failure.diagnostics[0].message
        else:
            if found.holds:
                return Proved(because=_said(found, "the indicators of the variables' values"))
            witness = _checked(first, second, found.assignment) if found.assignment else None
            if witness is not None:
                return Refuted(witness)
            reason = "they differ, but no assignment was found that shows it"
            if found.symbols:
                reason = "they have irrational constants, and do not agree in them symbol by symbol"
    try:
        found = verify_product(first, second)
    except DanausError:
        pass
    else:
        if found.holds:
            return Proved(because=_said(found, "the inputs"))
    witness = _drawn(first, second)
    return Unknown(reason, f"{DRAWN} assignments") if witness is None else Refuted(witness)


def _untestable(first: Circuit, second: Circuit) -> str:
    """Why the circuits cannot be compared in indicators; empty where they can."""
    for circuit in (first, second):
        for name, result in check(circuit, "smooth", "decomposable").items():
            if not isinstance(result, Proved):
                return f'"{circuit.name}" is not {name}, which identity testing needs: {result.reason}'
        for variable in circuit.variables:
            if not isinstance(variable.domain, FiniteDomain):
                return f'"{variable.name}" is {variable.domain}, and identity testing is for finite domains'
    return ""


def _said(found: Identity, indeterminates: str) -> str:
    points = "1 point" if found.points == 1 else f"{found.points} points"
    return (
        f"identity testing in {indeterminates}: degree {found.degree}, {points}, "
        f"error probability below {found.error_probability:.1e}"
    )


def _checked(first: Circuit, second: Circuit, found: dict[Variable, float]) -> DifferentValues | None:
    """The assignment as a witness, if its values do differ: by bounds that are apart, or in fractions."""
    columns = {variable: np.array([value]) for variable, value in found.items()}
    witness = _apart(first, second, columns)
    if witness is not None:
        return witness
    one, other = (evaluate(circuit, EXACT, _evidence(circuit, columns))[0] for circuit in (first, second))
    return None if one == other else DifferentValues(tuple(found.items()), _float(one), _float(other))


def _drawn(first: Circuit, second: Circuit) -> DifferentValues | None:
    """One of the drawn assignments as a witness, if bounds are apart there."""
    columns: dict[Variable, Floats] = {}
    for circuit in (second, first):
        columns |= zip(circuit.variables, draw(circuit, DRAWN).T, strict=True)
    return _apart(first, second, columns)


def _apart(first: Circuit, second: Circuit, columns: dict[Variable, Floats]) -> DifferentValues | None:
    """The first of these assignments at which the bounds of the two values are apart."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows has no bounds that are apart
            one, other = (evaluate(circuit, INTERVAL, _evidence(circuit, columns)) for circuit in (first, second))
    except DanausError:
        return None
    apart = np.flatnonzero((one[:, 1] < other[:, 0]) | (other[:, 1] < one[:, 0]))
    if not len(apart):
        return None
    row = int(apart[0])
    assignment = tuple((variable, float(column[row])) for variable, column in columns.items())
    return DifferentValues(assignment, float(one[row].mean()), float(other[row].mean()))


def _evidence(circuit: Circuit, columns: dict[Variable, Floats]) -> Evidence:
    """The assignments, by variable, as a circuit takes them; one row for a circuit without variables among none."""
    rows = max(map(len, columns.values()), default=1)
    values = np.stack([columns[variable] for variable in circuit.variables] or [np.zeros(rows)], axis=1)
    values = values[:, : len(circuit.variables)]
    return Evidence(circuit.variables, values, np.ones(values.shape, dtype=bool))


def _float(number: Fraction) -> float:
    """The nearest float; beyond their range, infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
