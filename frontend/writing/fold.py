"""Expressions as what a text can hold: a parameter, or numbers. Other ones have no form of their own.

What an operator derived from constants alone is computed here, in exact fractions; what depends on something learnable,
or is irrational, is not: a text would then no longer say what it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...ir.apply import apply
from ...ir.diagnostic import DanausError
from ...ir.expression import Constant, Expression, Parameter, Value, constant, is_learnable
from ...ir.linear import Dense, Kronecker, LinearMap, expressions
from ...ir.numbers import Numbers
from ...ir.semirings import EXACT
from ...ir.store import Store
from .numbers import is_writable

Leaf = Parameter | Constant

_MOST_NUMBERS = 1 << 20  # of a factor of a Kronecker product that is written as a matrix


@dataclass(slots=True)
class Folded:
    """The leaves that expressions come to, over one store."""

    store: Store
    _numbers: Numbers = field(init=False)
    _leaves: dict[int, tuple[Expression, Leaf | str]] = field(default_factory=dict[int, tuple[Expression, Leaf | str]])
    _matrices: dict[int, tuple[LinearMap, Leaf | str]] = field(
        default_factory=dict[int, tuple[LinearMap, Leaf | str]]
    )

    def __post_init__(self) -> None:
        self._numbers = Numbers(self.store)

    def leaf(self, expression: Expression) -> Leaf:
        """The parameter or constant that an expression is, where `obstacle` finds nothing."""
        found = self._found(expression)
        assert not isinstance(found, str), found
        return found

    def obstacle(self, expression: Expression) -> str:
        """Why an expression has no text of its own; empty where it has."""
        found = self._found(expression)
        return found if isinstance(found, str) else ""

    def _found(self, expression: Expression) -> Leaf | str:
        if isinstance(expression, Parameter):
            return expression
        known = self._leaves.get(id(expression))
        if known is None:
            known = self._leaves[id(expression)] = (expression, self._folded(expression))
        return known[1]

    def _folded(self, expression: Expression) -> Leaf | str:
        if isinstance(expression, Constant):
            return expression if is_writable(expression.value) else "a number of thousands of digits"
        if is_learnable(expression):
            return "numbers derived from learnable parameters"
        try:
            value = Value.of(self._numbers.of(expression, EXACT))
        except DanausError as failure:
            return f"derived numbers that are no fractions ({failure.diagnostics[0].message})"
        return constant(value) if is_writable(value) else "a derived number of thousands of digits"

    def matrix(self, factor: LinearMap) -> Leaf:
        """A factor of a Kronecker product as one matrix, where `matrix_obstacle` finds nothing."""
        found = self._matrix(factor)
        assert not isinstance(found, str), found
        return found

    def matrix_obstacle(self, factor: LinearMap) -> str:
        """Why a factor of a Kronecker product cannot be written as one matrix; empty where it can."""
        found = self._matrix(factor)
        return found if isinstance(found, str) else ""

    def _matrix(self, factor: LinearMap) -> Leaf | str:
        known = self._matrices.get(id(factor))
        if known is None:
            known = self._matrices[id(factor)] = (factor, self._materialised(factor))
        return known[1]

    def _materialised(self, factor: LinearMap) -> Leaf | str:
        if isinstance(factor, Dense):
            return self._found(factor.weights)
        if any(is_learnable(expression) for expression in expressions(factor)):
            return "a Kronecker product of structured learnable maps"
        if factor.outputs * factor.inputs > _MOST_NUMBERS:
            return "a Kronecker product of large structured maps"
        try:
            unit = np.eye(factor.inputs, dtype=np.int64).astype(object)
            value = Value.of(apply(factor, unit, EXACT, self._numbers))
        except DanausError as failure:
            return f"a Kronecker product of numbers that are no fractions ({failure.diagnostics[0].message})"
        return constant(value) if is_writable(value) else "a derived number of thousands of digits"


def factors(linear: Kronecker) -> list[LinearMap]:
    """The factors of a Kronecker product, those of factors that are such products themselves laid flat."""
    flat: list[LinearMap] = []
    stack: list[LinearMap] = [linear]
    while stack:
        part = stack.pop()
        if isinstance(part, Kronecker):
            stack.extend(reversed(part.factors))
        else:
            flat.append(part)
    return flat
