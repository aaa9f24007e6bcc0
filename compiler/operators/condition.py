"""Condition: a circuit given fixed values of some variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...ir.circuit import Circuit, Origin
from ...ir.domain import Variable
from .divided import divided, require_mass
from .operands import Name, items_of, needs, value_of, variable_of
from .restrict import restrict


def condition(p: Circuit, values: Mapping[Name, float | str]) -> Circuit:
    """p(·, x = v, …) / p(x = v, …): a circuit of the other variables, whose mass is 1.

    What the values fix is folded into the weights, as expressions over the same parameters: those of a circuit without
    negative numbers are locally normalised, as `normalize` makes them, those of another are scaled at the root. Needs p
    smooth and decomposable, and p(x = v, …), the sum over all other variables, not 0 for the current parameters.
    Linear in the blocks.

    >>> from danaus import condition, evaluate, parse
    >>> text = "var x : bool; var y : bool; circuit p { return sum(concat([x = 0] * [y = 1], [x = 1] * [y = 0],"
    >>> p = parse(text + " [x = 1] * [y = 1]), [[0.5, 0.3, 0.2]]) }").circuit
    >>> float(evaluate(condition(p, {"x": 1}), [1]))
    0.4

    Raises: Refused with a witness; DanausError `unknown-variable`, `wrong-value`, `no-mass`, `diverges`, or
    `no-closed-integral` with the factors of a product of inputs that has none.
    """
    needs(p, "condition", "smooth", "decomposable")
    pairs = items_of("condition", values, "values by variable")
    given: dict[Variable, float] = {}
    for name, at in pairs:
        variable = variable_of(p, name)
        given[variable] = value_of(variable, at)
    fixed = restrict(p, {variable: at for variable, at in given.items()})
    said = ", ".join(f"{variable} = {at:g}" for variable, at in list(given.items())[:4])
    more = ", …" if len(given) > 4 else ""
    require_mass(fixed, f'"{p.name}" at {said}{more}' if given else f'the mass of "{p.name}"')
    return replace(fixed, root=divided(fixed), origin=Origin("condition", (p,), {"values": given}))
