"""Whether one circuit is zero wherever another is, for current values: exactly, with an assignment where it is not so.

What enters is p ≥ 0 and a deterministic q; what leaves is an assignment with p > 0 = q, or None. The support of q is
its power 0, a circuit of zeros and ones, so that p and p · q⁰ have one total where nothing of p lies outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from ...ir.apply import apply
from ...ir.block import Block, Input, Product
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.domain import FiniteDomain, Real, Variable
from ...ir.evaluate import forward_by
from ...ir.evaluate import multiply as multiplied
from ...ir.expression import Floats
from ...ir.family import Family, Indicator, InputProduct
from ...ir.numbers import Numbers
from ...ir.semirings import COUNTING, EXACT, Array, Semiring
from ..operators import multiply
from ..operators.power import raised_root
from ..properties import Proved, check
from ..properties.nonnegative import all_positive

Assignment = tuple[tuple[Variable, float], ...]


def support(q: Circuit) -> Circuit:
    """1 where a deterministic circuit is not 0, and 0 elsewhere."""
    return replace(q, root=raised_root(q, Fraction(0)), origin=None)


def uncovered(p: Circuit, q: Circuit) -> Assignment | None:
    """An assignment at which p is positive and q is 0, if there is one; p and q compatible, q deterministic.

    p without its numbers counts, per assignment, the ways in which it is not 0. Where it has negative numbers and is
    not deterministic, these may cancel: its own values are added up, as fractions.

    Raises: DanausError `irrational` where these are none.
    """
    single = isinstance(check(p, "deterministic")["deterministic"], Proved)
    whole = support(p) if single else p
    semiring: Semiring = COUNTING if single or all_positive(p) else EXACT
    points = {variable: _points(variable, (p, q)) for variable in p.variables}
    sums = [_Sums(each, semiring, points) for each in (whole, multiply(whole, support(q)))]
    found: dict[Variable, float] = {}
    if not _apart(sums, found, None).any():
        return None
    for variable in p.variables:
        found[variable] = float(points[variable][np.argmax(_apart(sums, found, variable))])
    return tuple(found.items())


def _apart(sums: list[_Sums], fixed: Mapping[Variable, float], tried: Variable | None) -> Array:
    """At which points of a variable the sums over all that is not fixed differ."""
    one, other = (each.over(fixed, tried) for each in sums)
    return np.asarray(one != other, dtype=bool)


@dataclass(slots=True, eq=False)
class _Sums:
    """Sums of a circuit over points of its variables, in a semiring without rounding."""

    circuit: Circuit
    semiring: Semiring
    points: Mapping[Variable, Floats]
    _numbers: Numbers = field(init=False)
    _tables: dict[Block, Array] = field(init=False, default_factory=dict[Block, Array])

    def __post_init__(self) -> None:
        self._numbers = Numbers(self.circuit.store)

    def over(self, fixed: Mapping[Variable, float], tried: Variable | None) -> Array:
        """The sums over what is neither fixed nor tried, one for each point of what is tried."""
        rows = 1 if tried is None else len(self.points[tried])

        def element(block: Block, below: list[Array]) -> Array:
            match block:
                case Input(variable=variable):
                    table = self._table(block)
                    if variable is tried or variable == tried:
                        return table
                    if variable in fixed:
                        place = int(np.flatnonzero(self.points[variable] == fixed[variable])[0])
                        return np.repeat(table[:, place : place + 1], rows, axis=1)
                    return np.repeat(self.semiring.sum(table, 1)[:, None], rows, axis=1)
                case Product(_, form):
                    return multiplied(below, form, rows, self.semiring)
                case _:
                    return apply(block.map, self.semiring.concatenate(below), self.semiring, self._numbers)

        for block, value in forward_by(self.circuit, element):
            if block is self.circuit.root:
                return np.asarray(value[0], dtype=object)
        raise AssertionError("a circuit ends in its root")

    def _table(self, block: Input) -> Array:
        """An input's elements at the points of its variable, [width, points]."""
        found = self._tables.get(block)
        if found is None:
            x = self.points.get(block.variable)
            x = _points(block.variable, (self.circuit,)) if x is None else x
            if isinstance(block.variable.domain, Real) and self.semiring is COUNTING:
                found = np.array(COUNTING.full((block.width, len(x)), one=True))  # no family on real is 0 anywhere
            else:
                field = self.semiring.field
                scalars = self._numbers.inputs(block.family, block.variable, block.parameters, x, field)
                found = self.semiring.embed(self.semiring.from_field(scalars))
            found = self._tables[block] = np.broadcast_to(found, (block.width, len(x)))
        return found


def _points(variable: Variable, circuits: tuple[Circuit, ...]) -> Floats:
    """Values of a variable that stand for all: on infinite domains those that indicators name, and one more."""
    if isinstance(variable.domain, FiniteDomain):
        return domain_values(variable)
    named = {
        float(family.value)
        for circuit in circuits
        for block in circuit.blocks
        if isinstance(block, Input) and block.variable == variable
        for family in _families(block.family)
        if isinstance(family, Indicator)
    }
    return np.array([*sorted(named), max(named, default=-1.0) + 1])


def _families(family: Family) -> tuple[Family, ...]:
    return family.factors if isinstance(family, InputProduct) else (family,)
