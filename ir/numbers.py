"""The numbers of a circuit, computed: expressions over a store's values, in any field, each once.

What enters is an expression and a field; what leaves is the array of its values there. Families on inputs are
evaluated here too, since a restricted input is an expression (`InputValue`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from .density import domain_values, raw_moment
from .dependence import operands
from .diagnostic import error
from .domain import FiniteDomain, Variable, first_value
from .expression import (
    Broadcast,
    Divide,
    Exp,
    Expression,
    InputTable,
    InputValue,
    Join,
    Log,
    Plus,
    Raised,
    Reshape,
    Share,
    Take,
    Times,
    Total,
)
from .family import Categorical, Family, Indicator, InputLog, InputPower, InputProduct, Table, name_of
from .parameter import Constant, Floats, Parameter, Value
from .products import log_moments, require_integral
from .semirings import EXACT, INTERVAL, LINEAR, SIGNED_LOG, Array, Field, Semiring
from .semirings.symbols import Symbols
from .store import Store

_TINY = float(np.finfo(np.float64).tiny)
# Logarithms of what is too large for float64, and divisors so small that what underflowed may count beside them.
_LARGEST = 709.78
_SMALLEST = 2.0**-700


@dataclass(slots=True)
class Numbers:
    """The values of expressions over a store, remembered per field for as long as this lives."""

    store: Store
    _memo: dict[tuple[int, Semiring, bool], Array] = field(default_factory=dict[tuple[int, Semiring, bool], Array])
    _held: list[Expression] = field(default_factory=list[Expression])

    def of(self, expression: Expression, semiring: Semiring) -> Array:
        """The scalars of a semiring that an expression stands for, [*shape, *trailing]."""
        key = (id(expression), semiring, True)
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = semiring.from_field(self._in_field(expression, semiring.field))
            self._held.append(expression)
        return found

    def _in_field(self, expression: Expression, field: Field) -> Array:
        memo = self._memo
        for step in _in_order(expression, lambda step: (id(step), field, False) in memo):
            values = [memo[id(operand), field, False] for operand in _operands(step)]
            memo[id(step), field, False] = self._step(step, values, field)
            self._held.append(step)
        return memo[id(expression), field, False]

    def _step(self, step: Expression, values: list[Array], field: Field) -> Array:
        extra = field.trailing
        match step:
            case Parameter():
                return field.lift(self.store[step])
            case Constant(value):
                return field.lift(value)
            case Plus(left, right) | Times(left, right) | Divide(left, right) | Share(left, right):
                a = _aligned(values[0], step.shape, left.shape, extra)
                b = _aligned(values[1], step.shape, right.shape, extra)
                match step:
                    case Plus():
                        return field.add(a, b)
                    case Times():
                        return field.multiply(a, b)
                    case _:
                        return self._quotient(step, a, b, field)
            case Total(_, axis, _):
                return field.sum(values[0], axis)
            case Reshape(_, shape):
                return values[0].reshape(*shape, *values[0].shape[values[0].ndim - extra :])
            case Broadcast(operand, shape):
                spread = _aligned(values[0], shape, operand.shape, extra)
                return np.broadcast_to(spread, (*shape, *spread.shape[spread.ndim - extra :]))
            case Take(_, axis, index, _):
                return values[0].take(index, axis=axis)
            case Join():
                return np.concatenate(values, axis=len(step.shape) - 1)
            case Exp():
                return field.exp(values[0])
            case Log(operand, _):
                return self._log(operand, values[0]) if field is LINEAR else field.log(values[0])
            case Raised(operand, exponent, _):
                found = field.power(values[0], exponent)
                return self._power(step, operand, values[0], found) if field is LINEAR else found
            case InputValue():
                return self._input_value(step, field)
            case InputTable(family, variable, parameters, _):
                return self.inputs(family, variable, parameters, domain_values(variable), field)

    def _log(self, operand: Expression, plain: Array) -> Array:
        """log |x| in float64, from logarithms where numbers have underflowed or overflowed."""
        found = LINEAR.log(plain)
        if _is_ordinary(plain):
            return found
        logs = self._in_field(operand, SIGNED_LOG)
        return np.where(logs[..., 1] == 0, 0.0, np.where(logs[..., 1] == 0, 0.0, logs[..., 0]))

    def _power(self, step: Raised, operand: Expression, plain: Array, found: Array) -> Array:
        """A power in float64, from logarithms where numbers have underflowed or overflowed before it."""
        if _is_ordinary(plain):
            return found
        logs = SIGNED_LOG.power(self._in_field(operand, SIGNED_LOG), step.exponent)
        with np.errstate(over="ignore"):
            exact = np.exp(logs[..., 0]) * logs[..., 1]
        return np.where((np.abs(plain) >= _TINY) & np.isfinite(plain), found, exact)

    def _quotient(self, step: Divide | Share, a: Array, b: Array, field: Field) -> Array:
        """a / b; of a share, 0 where both are 0. What float64 does not hold is divided in logarithms.

        Raises: DanausError `zero-division`, or `out-of-range` where float64 does not hold the quotient.
        """
        if field is LINEAR and not (_held(b).all() and np.isfinite(a).all()):
            logs = self._in_field(step, SIGNED_LOG)
            if logs.size and logs[..., 0].max() >= _LARGEST:
                raise error(
                    "out-of-range",
                    "a derived number is too large for float64",
                    hint='evaluate it with semiring="log"',
                )
            return np.asarray(np.exp(logs[..., 0]) * logs[..., 1])
        if isinstance(step, Share):
            nothing = _is_zero(a, field) & _is_zero(b, field)
            b = np.where(nothing, field.unit(True), b)
        return field.divide(a, b)

    def _input_value(self, step: InputValue, field: Field) -> Array:
        if step.value is not None:
            x = np.array([step.value], dtype=np.float64)
            return self.inputs(step.family, step.variable, step.parameters, x, field)
        if not isinstance(step.variable.domain, FiniteDomain):
            return self.moments(step.family, step.variable, step.parameters, 0, field)[:, None]
        table = self.inputs(step.family, step.variable, step.parameters, domain_values(step.variable), field)
        if step.weights is not None:
            weights = self._in_field(step.weights, field)
            table = field.multiply(table, weights[None])
        return np.expand_dims(field.sum(table, 1), 1)

    def inputs(
        self, family: Family, variable: Variable, parameters: tuple[Expression, ...], x: Array, field: Field
    ) -> Array:
        """A family's functions at raw values x, in a field: [width, len(x), *trailing]."""
        if isinstance(family, InputProduct):
            if field is LINEAR and any(isinstance(factor, InputPower) for factor in family.factors):
                # One factor may overflow where another underflows.
                logs = self.inputs(family, variable, parameters, x, SIGNED_LOG)
                with np.errstate(over="ignore"):
                    return np.asarray(np.exp(logs[..., 0]) * logs[..., 1])
            out = np.array(field.full((1, len(x)), one=True))
            for factor, own in family.split(parameters):
                values = self.inputs(factor, variable, own, x, field)
                product = field.multiply(out[:, None], values[None])
                out = product.reshape(len(out) * len(values), *product.shape[2:])
            return out
        if isinstance(family, Categorical | Table):
            codes = (x - first_value(variable.domain)).astype(np.int64)
            return self._in_field(parameters[0], field).take(codes, axis=1)
        plain: Field = EXACT if field.exact_inputs else LINEAR
        if field is INTERVAL or field.own_inputs:
            plain = field
        return field.closed_form(family, variable, [self._in_field(part, plain) for part in parameters], x)

    def floats(self, parameters: tuple[Expression, ...]) -> list[Floats]:
        """A family's parameters in float64."""
        return [self._in_field(part, LINEAR) for part in parameters]

    def moments(
        self, family: Family, variable: Variable, parameters: tuple[Expression, ...], order: int, field: Field
    ) -> Array:
        """∫ xᵏ f(x) over an infinite domain, in a field: [width, *trailing].

        Raises: DanausError `diverges` for the constant 1.
        """
        if isinstance(family, InputPower | InputLog):
            family = InputProduct((family,), parameters[0].shape)
        if isinstance(family, InputProduct):
            return self._product_moments(family, variable, parameters, order, field)
        certain = field.exact_inputs or field is INTERVAL
        given = [self._in_field(part, EXACT if certain and order else LINEAR) for part in parameters]
        values = raw_moment(family, variable, given, order)
        return field.lift(Value.of(values))

    def _symbols(
        self, family: InputProduct, variable: Variable, parameters: tuple[Expression, ...], order: int, field: Symbols
    ) -> Array:
        """The same as symbols, known by the factors, their parameters and the order."""
        rows: list[tuple[object, ...]] = [()]
        for (factor, own), width in zip(family.split(parameters), family.widths, strict=True):
            values = [self._in_field(part, field).tolist() for part in own]
            each = [(factor, *(value[node] for value in values)) for node in range(width)]
            rows = [(*row, one) for row in rows for one in each]
        return np.array([field.symbol(("moment", order, variable.domain, row)) for row in rows], dtype=np.int64)

    def _product_moments(
        self, family: InputProduct, variable: Variable, parameters: tuple[Expression, ...], order: int, field: Field
    ) -> Array:
        """The same for a product of inputs (products.py), with the values at the one point that an indicator leaves.

        Raises: DanausError `no-closed-integral`, `irrational` in fields that do not round.
        """
        require_integral(family, variable)
        points = [factor.value for factor in family.factors if isinstance(factor, Indicator)]
        if points:
            x = np.array([float(points[0])])
            values = self.inputs(family, variable, parameters, x, field)[:, 0]
            return field.multiply(field.lift(Value.of([Fraction(points[0]) ** order])), values)
        if isinstance(field, Symbols):
            return self._symbols(family, variable, parameters, order, field)
        if field.exact_inputs or field is INTERVAL:
            raise error(
                "irrational",
                f'the integral of {name_of(family)}("{variable.name}") is irrational, and not computed exactly',
                hint='evaluate it with semiring="linear" or "log"',
            )
        given = [(factor, self.floats(own)) for factor, own in family.split(parameters)]
        logs, signs = log_moments(given, family.widths, order)
        if field is LINEAR:
            return np.asarray(np.exp(logs) * signs)
        return np.stack([logs, signs], axis=-1)


def _in_order(root: Expression, known: Callable[[Expression], bool]) -> list[Expression]:
    """What is to be computed for an expression, operands first."""
    ordered: list[Expression] = []
    seen: set[int] = set()
    stack: list[tuple[Expression, bool]] = [(root, False)]
    while stack:
        step, expanded = stack.pop()
        if expanded:
            ordered.append(step)
        elif id(step) not in seen and not known(step):
            seen.add(id(step))
            stack.append((step, True))
            stack.extend((operand, False) for operand in reversed(_operands(step)))
    return ordered


def _held(divisors: Array) -> Array:
    """Which divisors float64 holds without loss, and far enough from its ends that quotients seldom reach them."""
    size = np.abs(divisors)
    return np.asarray((size > _SMALLEST) & (size < 1 / _SMALLEST))


def _is_zero(values: Array, field: Field) -> Array:
    """Which scalars are zero, with an axis of size 1 for each trailing one."""
    zero = values == field.unit(False)
    return np.asarray(zero.all(axis=-1, keepdims=True) if field.trailing else zero)


def _is_ordinary(values: Array) -> bool:
    """Whether no number may have been rounded to 0, to less than its digits, or to infinity."""
    sizes = np.abs(values)
    return bool(np.all((sizes >= _TINY) & np.isfinite(sizes)))


def _operands(step: Expression) -> tuple[Expression, ...]:
    """What is computed before a step in its own field; an input's parameters are computed as it asks for them."""
    match step:
        case Parameter() | Constant() | InputValue() | InputTable():
            return ()
        case _:
            return operands(step)


def _aligned(value: Array, shape: tuple[int, ...], own: tuple[int, ...], extra: int) -> Array:
    """A value with axes of size 1 in front, so that trailing axes line up in broadcasting."""
    return value.reshape((1,) * (len(shape) - len(own)) + own + value.shape[value.ndim - extra :])
