"""Expressions as what a text can hold: a parameter, or numbers. Other ones have no form of their own.

What an operator derived from constants alone is computed here, in exact fractions; what depends on something learnable,
or is irrational, is not: a text would then no longer say what it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...ir.dependence import is_learnable
from ...ir.diagnostic import DanausError
from ...ir.expression import Expression
from ...ir.numbers import Numbers
from ...ir.parameter import Constant, Parameter, Value, constant
from ...ir.semirings import EXACT
from ...ir.store import Store
from .numbers import is_writable

Leaf = Parameter | Constant


@dataclass(slots=True)
class Folded:
    """The leaves that expressions come to, over one store."""

    store: Store
    _numbers: Numbers = field(init=False)
    _leaves: dict[int, tuple[Expression, Leaf | str]] = field(default_factory=dict[int, tuple[Expression, Leaf | str]])

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
