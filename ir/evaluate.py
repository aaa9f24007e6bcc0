"""The definition of every circuit: what its nodes are worth, over any semiring.

What enters is a circuit, a semiring and evidence: for each variable a value per row, nothing (it is summed out), or
weights on its values. What leaves is the root's element per row, or every block's, for whoever walks back down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from .apply import apply
from .block import Block, Form, Hadamard, Indexed, Input, Pairs, Product, Sum, children
from .circuit import Circuit
from .density import domain_values
from .diagnostic import error
from .domain import FiniteDomain, Variable, first_value
from .expression import Expression
from .family import Family, One
from .linear import expressions
from .numbers import Numbers
from .parameter import Floats, Value
from .products import mode
from .semirings import Array, Max, Semiring

Booleans = NDArray[np.bool_]

_BUDGET = 1 << 25


@dataclass(frozen=True, slots=True)
class Moment:
    """Evidence that weighs each value x of a variable with xᵏ."""

    order: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of each variable: raw values [batch, variables] where `observed`, else the variable is summed out.

    `weights` takes precedence: elements of the semiring, one per value of a finite domain (virtual evidence), or a
    moment.
    """

    variables: tuple[Variable, ...]
    values: Floats
    observed: Booleans
    weights: Mapping[Variable, Array | Moment] = field(default_factory=dict[Variable, "Array | Moment"])
    positions: Mapping[Variable, int] = field(init=False, default_factory=dict[Variable, int])

    def __post_init__(self) -> None:
        places = {variable: position for position, variable in enumerate(self.variables)}
        object.__setattr__(self, "positions", places)

    @staticmethod
    def nothing(variables: tuple[Variable, ...]) -> Evidence:
        """No evidence: one row, all summed out."""
        shape = (1, len(variables))
        return Evidence(variables, np.zeros(shape), np.zeros(shape, dtype=bool))

    @property
    def rows(self) -> int:
        return len(self.values)

    def part(self, rows: slice) -> Evidence:
        return replace(self, values=self.values[rows], observed=self.observed[rows])

    def column(self, variable: Variable) -> tuple[Floats, Booleans]:
        """A variable's values and mask, [batch]; one that only stands under zero weights has its first value."""
        position = self.positions.get(variable)
        if position is None:
            return np.full(self.rows, float(first_value(variable.domain))), np.ones(self.rows, dtype=bool)
        return self.values[:, position], self.observed[:, position]


def evaluate(circuit: Circuit, semiring: Semiring, evidence: Evidence) -> Array:
    """The root's elements, [batch, *trailing], a stretch of rows at a time so that memory stays bounded."""
    numbers = Numbers(circuit.store)
    step = rows_at_once(circuit)
    parts: list[Array] = []
    for start in range(0, max(evidence.rows, 1), step):
        part = evidence.part(slice(start, start + step))
        for block, value in forward(circuit, semiring, part, numbers):
            if block is circuit.root:
                parts.append(semiring.multiply(value[0], free_elements(circuit, semiring, part, numbers)))
    return semiring.concatenate(parts)


def values_of(circuit: Circuit, semiring: Semiring, evidence: Evidence, numbers: Numbers) -> dict[Block, Array]:
    """Every block's elements, [width, batch, *trailing], kept for a walk back down."""
    return dict(forward(circuit, semiring, evidence, numbers, keep=True))


def forward(
    circuit: Circuit, semiring: Semiring, evidence: Evidence, numbers: Numbers, keep: bool = False
) -> Iterator[tuple[Block, Array]]:
    """Each block with its elements, children first; unless `keep`, a value goes after its last use."""

    def element(block: Block, below: list[Array]) -> Array:
        match block:
            case Input(family, variable, parameters):
                return input_elements(family, variable, parameters, semiring, evidence, numbers)
            case Product(_, form):
                return multiply(below, form, evidence.rows, semiring)
            case Sum(_, linear):
                return apply(linear, semiring.concatenate(below), semiring, numbers)

    return forward_by(circuit, element, keep)


def forward_by(
    circuit: Circuit, element: Callable[[Block, list[Array]], Array], keep: bool = False
) -> Iterator[tuple[Block, Array]]:
    """The same walk with a rule that gives a block's elements from those of its children."""
    uses: dict[Block, int] = {}
    for block in circuit.blocks:
        for child in children(block):
            uses[child] = uses.get(child, 0) + 1
    values: dict[Block, Array] = {}
    for block in circuit.blocks:
        values[block] = element(block, [values[child] for child in children(block)])
        yield block, values[block]
        if not keep:
            for child in children(block):
                uses[child] -= 1
                if not uses[child]:
                    del values[child]


def input_elements(
    family: Family,
    variable: Variable,
    parameters: tuple[Expression, ...],
    semiring: Semiring,
    evidence: Evidence,
    numbers: Numbers,
) -> Array:
    """An input's elements at the evidence, [width, batch, *trailing]."""
    values, observed = evidence.column(variable)

    def elements(x: Array) -> Array:
        scalars = numbers.inputs(family, variable, parameters, x, semiring.field)
        return semiring.embed(semiring.from_field(scalars))

    weights = evidence.weights.get(variable)
    if weights is not None or not observed.all():
        summed = np.expand_dims(_summed(family, variable, parameters, semiring, weights, numbers), 1)
        if weights is not None or not observed.any():
            return np.repeat(summed, len(values), axis=1)
        known, position = np.unique(np.where(observed, values, values[observed][0]), return_inverse=True)
        taken = elements(known)[:, position]
        mask = observed.reshape(1, len(values), *[1] * (taken.ndim - 2))
        return np.where(mask, taken, summed)
    known, position = np.unique(values, return_inverse=True)
    return elements(known)[:, position]


def _summed(
    family: Family,
    variable: Variable,
    parameters: tuple[Expression, ...],
    semiring: Semiring,
    weights: Array | Moment | None,
    numbers: Numbers,
) -> Array:
    """An input summed over its domain, under weights or not: [width, *trailing]."""
    if isinstance(variable.domain, FiniteDomain):
        x = domain_values(variable)
        table = semiring.from_field(numbers.inputs(family, variable, parameters, x, semiring.field))
        if isinstance(weights, Moment):
            powers = semiring.from_field(semiring.field.lift(Value.of(x**weights.order)))
            return semiring.sum(semiring.scale(powers[None], semiring.embed(table)), 1)
        if weights is not None:
            return semiring.sum(semiring.scale(table, weights[None]), 1)
        return semiring.sum(semiring.embed(table), 1)
    if weights is not None and not isinstance(weights, Moment):
        raise error("infinite-domain", f'"{variable.name}" ({variable.domain}) takes no weights on its values')
    if isinstance(semiring, Max):
        best = mode(family, numbers.floats(parameters))
        table = numbers.inputs(family, variable, parameters, best, semiring.field)
        return semiring.from_field(table[np.arange(len(best)), np.arange(len(best))])
    order = weights.order if isinstance(weights, Moment) else 0
    moments = numbers.moments(family, variable, parameters, order, semiring.field)
    return semiring.embed(semiring.from_field(moments))


def multiply(values: list[Array], form: Form, rows: int, semiring: Semiring) -> Array:
    """The elements of a product block from those of its children."""
    match form:
        case Hadamard():
            return _folded(values, semiring)
        case Pairs():
            spread: list[Array] = []
            for position, value in enumerate(values):
                ones = (1,) * (len(values) - 1 - position)
                spread.append(value.reshape(*(1,) * position, len(value), *ones, *value.shape[1:]))
            out = _folded(spread, semiring)
            return out.reshape(prod(out.shape[: len(values)]), *out.shape[len(values) :])
        case Indexed(offsets, members):
            if not len(members):
                return np.array(semiring.full((len(offsets) - 1, rows), one=True))
            return semiring.segment_product(semiring.concatenate(values)[members], offsets)


def _folded(values: list[Array], semiring: Semiring) -> Array:
    """The product of elements, in pairs."""
    while len(values) > 1:
        folded = [semiring.multiply(a, b) for a, b in zip(values[::2], values[1::2], strict=False)]
        values = folded + values[len(values) - len(values) % 2 :]
    return values[0]


def free_elements(circuit: Circuit, semiring: Semiring, evidence: Evidence, numbers: Numbers) -> Array:
    """What the variables that the circuit does not mention multiply it by: 1 where known, their values' sum if not."""
    out = np.array(semiring.full((evidence.rows,), one=True))
    for variable in circuit.free:
        out = semiring.multiply(out, input_elements(One(), variable, (), semiring, evidence, numbers)[0])
    return out


def rows_at_once(circuit: Circuit, keep: bool = False) -> int:
    """How many rows to evaluate together so that memory stays bounded; fewer where every block's elements are kept."""
    kept = 2 * circuit.nodes if keep else 0
    return max(1, _BUDGET // (kept + _cost(circuit)))


def _cost(circuit: Circuit) -> int:
    """The most numbers per row that evaluation holds at once, roughly: live blocks, and what a map spreads out."""
    uses: dict[Block, int] = {}
    for block in circuit.blocks:
        for child in children(block):
            uses[child] = uses.get(child, 0) + 1
    live, peak = 0, 1
    for block in circuit.blocks:
        live += block.width
        peak = max(peak, live + _spread(block))
        for child in children(block):
            uses[child] -= 1
            if not uses[child]:
                live -= child.width
    return peak


def _spread(block: Block) -> int:
    match block:
        case Sum(_, linear):
            return linear.inputs + sum(prod(part.shape[:1]) for part in expressions(linear) if len(part.shape) == 1)
        case Product(_, Indexed(_, members)):
            return len(members)
        case _:
            return 0
