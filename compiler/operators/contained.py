"""Whether one circuit is zero wherever another is: the need of a quotient, and of divergences.

What enters is a circuit p, and a deterministic q that is compatible with it; what leaves is an assignment on which p is
not zero and q is. The ways in which a term of p's is not zero are added up, each with a random weight, over all
assignments and over those of q's support, modulo two primes: nothing rounds, and where the sums agree modulo both they
are equal but with a probability below (numbers in a term / 2³¹)². Only where terms of p cancel may there be such a way
where p is zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

import numpy as np

from ...ir.block import Block, Input, Product, Sum, input_block, input_product, weighted
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.domain import Cat, FiniteDomain, Real, Variable
from ...ir.evaluate import Evidence, evaluate
from ...ir.expression import Expression, times
from ...ir.family import Indicator, Table
from ...ir.linear import LinearMap, expressions
from ...ir.numbers import Numbers
from ...ir.parameter import Floats, Parameter, Value, constant
from ...ir.products import singles_of
from ...ir.semirings import BOOLEAN, EXACT, SIGNED_LOG, Array, Modular
from ...ir.store import Store
from ...ir.support import Booleans
from ..properties.witness.node import assigned
from ..rewrite import formed
from .inputs import factors_of
from .multiply import multiply
from .power import raised_root
from .single_paths import by_entry, with_single_paths

# The two largest primes below 2³¹.
_PRIMES = (2147483647, 2147483629)


@dataclass(frozen=True, slots=True)
class Escape:
    """An assignment on which q is zero, and p is not; or may not be, where `certain` is False."""

    assignment: tuple[tuple[Variable, float], ...]
    value: float
    certain: bool

    def __str__(self) -> str:
        return assigned(self.assignment)


def escape(p: Circuit, q: Circuit) -> Escape | None:
    """An assignment on which p is not zero and q is; None where the support of p is within that of q.

    Needs compatible(p, q) and q deterministic, which the caller has asked for.
    """
    if p is q:
        return None
    domains = _finite_domains(p, q)
    support = _weighed(replace(q, root=raised_root(q, Fraction(0))), domains)
    if _is_everywhere(support):
        return None
    first = _weighed(p, domains, np.random.default_rng(0))
    counting = _Counting(first, multiply(first, support))
    if counting.none_outside():
        return None
    codes = counting.found()
    original = {fresh.variable: (variable, fresh) for variable, fresh in domains.items()}
    assignment: list[tuple[Variable, float]] = []
    for variable, value in codes.items():
        if variable in original:
            own, fresh = original[variable]
            assignment.append((own, fresh.values[int(value)]))
        else:
            assignment.append((variable, value))
    assignment.sort(key=lambda pair: pair[0].order)
    log, sign = _at(p, dict(assignment))
    return Escape(tuple(assignment), float(sign * np.exp(log)), bool(sign))


def _is_everywhere(support: Circuit) -> bool:
    """Whether a circuit of values 0 and 1 is 1 at all assignments."""
    whole = evaluate(support, EXACT, Evidence.nothing(support.variables))[0]
    return bool(whole == prod(variable.size or 1 for variable in support.variables))


def _at(p: Circuit, assignment: Mapping[Variable, float]) -> tuple[float, float]:
    """log |p| and the sign of p at an assignment."""
    row = np.array([[assignment[variable] for variable in p.variables]]).reshape(1, len(p.variables))
    log, sign = evaluate(p, SIGNED_LOG, Evidence(p.variables, row, np.ones(row.shape, dtype=bool)))[0].tolist()
    return log, sign


@dataclass(frozen=True, slots=True)
class _Stand:
    """A variable of few values in place of one of infinitely many: the named ones, and one more for all others."""

    variable: Variable
    values: tuple[float, ...]


def _finite_domains(*circuits: Circuit) -> dict[Variable, _Stand]:
    """A stand-in for each variable on an infinite domain, where inputs tell only the values of indicators apart."""
    named: dict[Variable, set[int]] = {}
    for circuit in circuits:
        for variable in circuit.variables:
            if not isinstance(variable.domain, FiniteDomain):
                named.setdefault(variable, set())
        for block in circuit.blocks:
            if isinstance(block, Input) and not isinstance(block.variable.domain, FiniteDomain):
                points = {family.value for family, _ in singles_of(block) if isinstance(family, Indicator)}
                named.setdefault(block.variable, set()).update(points)
    return {variable: _stand(variable, sorted(points)) for variable, points in named.items()}


def _stand(variable: Variable, points: Sequence[int]) -> _Stand:
    other = 0.5 if isinstance(variable.domain, Real) else 0.0
    while other in points:
        other += 1.0
    values = (*map(float, points), other)
    return _Stand(Variable(variable.name, Cat(len(values))), values)


def _weighed(
    circuit: Circuit, domains: Mapping[Variable, _Stand], random: np.random.Generator | None = None
) -> Circuit:
    """The circuit with 1 for each of its numbers that is not zero, or a number drawn at random, over stand-ins.

    Composed maps stay composed; those in which terms may cancel are written out before. A learnable number that is 0
    stays learnable: scopes are as they were.
    """
    numbers = Numbers(circuit.store)
    values: dict[Parameter, Value] = {}

    def weights(marked: Booleans) -> Floats:
        drawn = np.ones(marked.shape) if random is None else random.integers(1, 1 << 30, size=marked.shape)
        return np.where(marked, drawn, 0).astype(np.float64)

    def weighed(expression: Expression) -> Expression:
        now = np.asarray(numbers.of(expression, SIGNED_LOG)[..., 1] != 0)
        ever = np.asarray(circuit.support.of(expression, BOOLEAN), dtype=bool)
        if np.array_equal(now, ever):
            return constant(weights(now))
        learnable = Parameter("weights", expression.shape)
        values[learnable] = Value.of(weights(now))
        return times(learnable, constant(ever.astype(np.float64)))

    def of_map(linear: LinearMap) -> LinearMap:
        negative = any((numbers.of(part, SIGNED_LOG)[..., 1] < 0).any() for part in expressions(linear))
        return by_entry(with_single_paths(linear, circuit.support) if negative else linear, weighed)

    def of_input(block: Input) -> Input:
        marked = _pattern(block, domains.get(block.variable), numbers)
        variable = domains[block.variable].variable if block.variable in domains else block.variable
        return input_block(Table(), variable, [constant(weights(marked))], block.span)

    made: dict[Block, Block] = {}
    for block in circuit.blocks:
        match block:
            case Input():
                made[block] = input_product([of_input(factor) for factor in factors_of(block)], block.span)
            case Product(children):
                made[block] = formed(block, [made[child] for child in children])
            case Sum(children, linear):
                made[block] = weighted([made[child] for child in children], of_map(linear), block.span)
    free = tuple(domains[variable].variable if variable in domains else variable for variable in circuit.free)
    return replace(circuit, root=made[circuit.root], store=Store(values), free=free, origin=None)


def _pattern(block: Input, stand: _Stand | None, numbers: Numbers) -> Booleans:
    """Where an input that is no product is not zero, [width, values]; densities are nowhere zero."""
    if stand is None:
        x = domain_values(block.variable)
        return np.asarray(
            numbers.inputs(block.family, block.variable, block.parameters, x, SIGNED_LOG)[..., 1] != 0, dtype=bool
        )
    row = np.ones(len(stand.values), dtype=bool)
    if isinstance(block.family, Indicator):
        row = np.array(stand.values) == block.family.value
    return np.broadcast_to(row, (block.width, len(row)))


@dataclass(frozen=True, slots=True)
class _Counting:
    """The weight of the ways for p not to be zero, over all assignments and over those on which q is not."""

    all: Circuit
    inside: Circuit

    @property
    def variables(self) -> tuple[Variable, ...]:
        both = {*self.all.variables, *self.inside.variables}
        return tuple(sorted(both, key=lambda variable: variable.order))

    def none_outside(self) -> bool:
        return not self._outside(np.zeros((1, len(self.variables))), ())[0]

    def found(self) -> dict[Variable, float]:
        """An assignment with a way outside, variable by variable."""
        variables = self.variables
        fixed: list[float] = []
        for place, variable in enumerate(variables):
            values = _values(variable)
            rows = np.zeros((len(values), len(variables)))
            rows[:, :place], rows[:, place] = fixed, values
            fixed.append(values[int(np.argmax(self._outside(rows, variables[: place + 1])))])
        return dict(zip(variables, fixed, strict=True))

    def _outside(self, rows: Floats, known: Collection[Variable]) -> Booleans:
        """Whether there are ways outside of q's support, for each row of values of the known variables."""
        found = np.zeros(len(rows), dtype=bool)
        for prime in _PRIMES:
            one, other = (self._weight(circuit, rows, known, prime) for circuit in (self.all, self.inside))
            found |= one != other
        return found

    def _weight(self, circuit: Circuit, rows: Floats, known: Collection[Variable], prime: int) -> Array:
        own = circuit.variables
        places = [self.variables.index(variable) for variable in own]
        observed = np.broadcast_to(np.array([variable in known for variable in own], dtype=bool), (len(rows), len(own)))
        weight = evaluate(circuit, Modular(prime), Evidence(own, rows[:, places], observed))
        for variable in self.variables:
            if variable not in own and variable not in known:
                weight = weight * (variable.size or 1) % prime
        return weight


def _values(variable: Variable) -> list[float]:
    first = getattr(variable.domain, "lo", 0)
    return [float(first + code) for code in range(variable.size or 0)]
