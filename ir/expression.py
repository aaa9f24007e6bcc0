"""Parameters as identities, constants, and the closed symbolic expressions over them.

A parameter has no value: values live in a `Store` (store.py), so that tying is sharing and a circuit stays as it is
while its parameters are trained. What an operator derives from parameters (a normalised row, the value of an input at
some evidence) is written as an expression and computed only when a semiring asks for it; operators never round.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeVar, cast, get_args
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from .diagnostic import error
from .span import Span

if TYPE_CHECKING:
    from .domain import Variable
    from .family import Family

Shape = tuple[int, ...]
Constraint = Literal["simplex", "unit", "positive", "real"]
CONSTRAINTS: tuple[Constraint, ...] = get_args(Constraint)
Floats = NDArray[np.float64]
Objects = NDArray[np.object_]

_uids = itertools.count(1)
_STRONGER: dict[Constraint, set[Constraint]] = {
    "simplex": {"simplex"},
    "unit": {"unit", "simplex"},
    "positive": {"positive"},
    "real": set(CONSTRAINTS),
}


@dataclass(slots=True, eq=False, weakref_slot=True)
class Parameter:
    """An array that is learnt or given, by identity: `uid` tells it from all others.

    `constraint` is None while no use has asked for one; `require` narrows it. It is the one thing of the IR that
    changes after it is made, and only while its spec is being read.
    """

    name: str
    shape: Shape
    constraint: Constraint | None = None
    learnable: bool = True
    span: Span | None = None
    uid: int = field(default_factory=lambda: next(_uids))

    def require(self, constraint: Constraint) -> None:
        """Narrows an open constraint to what a use asks for.

        Raises: DanausError `wrong-constraint` where the declared one does not imply it.
        """
        if constraint == "real":
            return
        if self.constraint is None or (self.inferred and self.constraint in _wider(constraint)):
            self.constraint = constraint
            self.inferred = True
        elif self.constraint not in _STRONGER[constraint]:
            raise error(
                "wrong-constraint",
                f'"{self.name}" is {self.constraint}, but this use needs {constraint}',
                hint=f"declare it as `: {constraint}`, or leave the constraint out",
            )

    inferred: bool = False

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, {list(self.shape)})"


def _wider(constraint: Constraint) -> set[Constraint]:
    return {"unit"} if constraint == "simplex" else set()


def as_fraction(value: object) -> Fraction:
    """The number as an exact fraction; a float is the rational that it is."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int | float | np.integer | np.floating):
        return Fraction(value.item() if isinstance(value, np.generic) else value)
    raise TypeError(f"{value!r} is no number")


def fractions(values: Floats) -> Objects:
    """The exact rationals that float64 values are, as an object array of the same shape."""
    out = np.empty(values.shape, dtype=object)
    flat = out.reshape(-1)
    for position, number in enumerate(values.reshape(-1).tolist()):
        flat[position] = Fraction(number)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """Numbers: float64, and the exact rationals where those are not what the floats are (0.1 in a text is 1/10)."""

    floats: Floats
    rationals: Objects | None = None

    @staticmethod
    def of(numbers: object) -> Value:
        """A value from floats, integers or fractions, in any nesting of sequences or an array.

        Raises: DanausError `wrong-shape` for ragged rows, `wrong-number` for what is no number.
        """
        try:
            array = np.asarray(numbers)
            if array.dtype == object:
                exact = np.frompyfunc(as_fraction, 1, 1)(array)
                exact = np.asarray(exact, dtype=object).reshape(array.shape)
                floats = exact.astype(np.float64)
                same = all(Fraction(f) == e for f, e in zip(floats.ravel().tolist(), exact.ravel(), strict=True))
                return Value(_frozen(floats), None if same else exact)
            if array.dtype.kind not in "biuf":
                raise TypeError(str(array.dtype))
            return Value(_frozen(np.array(array, dtype=np.float64)))
        except ValueError as failure:
            raise error("wrong-shape", f"the rows differ in length, or hold no numbers: {failure}") from failure
        except (TypeError, OverflowError) as failure:
            raise error("wrong-number", f"not an array of numbers that float64 can hold: {failure}") from failure

    @property
    def shape(self) -> Shape:
        return tuple(self.floats.shape)

    @property
    def exact(self) -> Objects:
        """The numbers as fractions."""
        return fractions(self.floats) if self.rationals is None else self.rationals

    def same(self, other: Value) -> bool:
        """Whether both hold the same numbers, exactly."""
        if self is other:
            return True
        if self.shape != other.shape or not np.array_equal(self.floats, other.floats, equal_nan=True):
            return False
        if self.rationals is None and other.rationals is None:
            return True
        return bool(np.all(self.exact == other.exact))


def _frozen(array: Floats) -> Floats:
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Constant:
    """Numbers that stand in the circuit itself."""

    value: Value

    @property
    def shape(self) -> Shape:
        return self.value.shape


_constants: WeakValueDictionary[object, Constant] = WeakValueDictionary()


def constant(numbers: object) -> Constant:
    """The constant of these numbers; equal numbers give one object."""
    value = numbers if isinstance(numbers, Value) else Value.of(numbers)
    exact = None if value.rationals is None else tuple(value.rationals.ravel().tolist())
    key = (value.shape, value.floats.tobytes(), exact)
    found = _constants.get(key)
    if found is None:
        found = _constants[key] = Constant(value)
    return found


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Plus:
    """left + right, elementwise, with numpy's broadcasting."""

    left: Expression
    right: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Times:
    """left · right, elementwise, with numpy's broadcasting."""

    left: Expression
    right: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Divide:
    """left / right, elementwise, with numpy's broadcasting; division by zero is an error when it is computed."""

    left: Expression
    right: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Share:
    """left / right, and 0 where both are 0: the share that a part of nothing has of it."""

    left: Expression
    right: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Total:
    """The sum of an expression along one axis, which goes."""

    operand: Expression
    axis: int
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Reshape:
    """The entries in row-major order under another shape of the same size."""

    operand: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Broadcast:
    """An expression spread over a larger shape, by numpy's rules."""

    operand: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Take:
    """The slices that an index names, along one axis."""

    operand: Expression
    axis: int
    index: tuple[int, ...]
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Join:
    """Expressions laid end to end along their last axis."""

    parts: tuple[Expression, ...]
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Exp:
    """e to the power of each entry: irrational."""

    operand: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Log:
    """log |x| of each entry that is not 0, and 0 of those that are: irrational."""

    operand: Expression
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Raised:
    """Each entry that is not 0 to a power, and 0 of those that are; |x|ᵃ, irrational, where a is no integer.

    The power 0 is 1 on the support.
    """

    operand: Expression
    exponent: Fraction
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class InputValue:
    """What the nodes of an input are worth at fixed evidence, [width, 1]: at a value, summed, or under weights.

    `weights` is None where the input is read at `value`; with both None it is summed or integrated over its domain.
    """

    family: Family
    variable: Variable
    parameters: tuple[Expression, ...]
    value: float | None
    weights: Expression | None
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class InputTable:
    """What the nodes of an input on a finite domain are worth at all its values, [width, n]."""

    family: Family
    variable: Variable
    parameters: tuple[Expression, ...]
    shape: Shape


Expression = (
    Parameter
    | Constant
    | Plus
    | Times
    | Divide
    | Share
    | Total
    | Reshape
    | Broadcast
    | Take
    | Join
    | Exp
    | Log
    | Raised
    | InputValue
    | InputTable
)
_Derived = TypeVar("_Derived", bound="Expression")

_derived: WeakValueDictionary[object, Expression] = WeakValueDictionary()
_learnable: WeakKeyDictionary[Expression, bool] = WeakKeyDictionary()
_standing: WeakKeyDictionary[Expression, bool] = WeakKeyDictionary()


def _once(made: _Derived, *key: object) -> _Derived:
    """The expression made first of equal parts: so that expressions are compared by identity, however deep."""
    return cast(_Derived, _derived.setdefault((type(made), *key), made))


def plus(left: Expression, right: Expression) -> Expression:
    """left + right, with numpy's broadcasting."""
    return _once(Plus(left, right, np.broadcast_shapes(left.shape, right.shape)), id(left), id(right))


def times(left: Expression, right: Expression) -> Expression:
    """left · right, with numpy's broadcasting."""
    return _once(Times(left, right, np.broadcast_shapes(left.shape, right.shape)), id(left), id(right))


def divide(left: Expression, right: Expression) -> Expression:
    """left / right, with numpy's broadcasting."""
    return _once(Divide(left, right, np.broadcast_shapes(left.shape, right.shape)), id(left), id(right))


def share(left: Expression, right: Expression) -> Expression:
    """left / right, with numpy's broadcasting; 0 where both are 0."""
    return _once(Share(left, right, np.broadcast_shapes(left.shape, right.shape)), id(left), id(right))


def total(operand: Expression, axis: int) -> Expression:
    """The sum along an axis."""
    axis %= len(operand.shape)
    return _once(Total(operand, axis, operand.shape[:axis] + operand.shape[axis + 1 :]), id(operand), axis)


def reshape(operand: Expression, shape: Sequence[int]) -> Expression:
    """The same entries under another shape."""
    wanted = tuple(shape)
    return operand if wanted == operand.shape else _once(Reshape(operand, wanted), id(operand), wanted)


def broadcast(operand: Expression, shape: Sequence[int]) -> Expression:
    """An expression spread over a larger shape."""
    wanted = tuple(shape)
    return operand if wanted == operand.shape else _once(Broadcast(operand, wanted), id(operand), wanted)


def take(operand: Expression, axis: int, index: Iterable[int]) -> Expression:
    """The slices that an index names, along an axis."""
    axis %= len(operand.shape)
    names = tuple(int(i) for i in index)
    shape = (*operand.shape[:axis], len(names), *operand.shape[axis + 1 :])
    return _once(Take(operand, axis, names, shape), id(operand), axis, names)


def join(parts: Sequence[Expression]) -> Expression:
    """Expressions of one shape but for the last axis, laid end to end along it; one is itself."""
    if len(parts) == 1:
        return parts[0]
    shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
    return _once(Join(tuple(parts), shape), *map(id, parts))


def exp(operand: Expression) -> Expression:
    """e to the power of each entry."""
    return _once(Exp(operand, operand.shape), id(operand))


def log(operand: Expression) -> Expression:
    """log |x| of each entry that is not 0, and 0 of those that are."""
    return _once(Log(operand, operand.shape), id(operand))


def input_value(
    family: Family,
    variable: Variable,
    parameters: tuple[Expression, ...],
    width: int,
    value: float | None = None,
    weights: Expression | None = None,
) -> Expression:
    """What the nodes of an input are worth at a value, or under weights, or summed out: [width, 1]."""
    made = InputValue(family, variable, parameters, value, weights, (width, 1))
    return _once(made, family, variable, *map(id, parameters), value, None if weights is None else id(weights))


def raised(operand: Expression, exponent: Fraction | int) -> Expression:
    """Each entry that is not 0 to a power, and 0 of those that are."""
    power = Fraction(exponent)
    return operand if power == 1 else _once(Raised(operand, power, operand.shape), id(operand), power)


def input_table(family: Family, variable: Variable, parameters: tuple[Expression, ...], width: int) -> Expression:
    """What the nodes of an input are worth at all values of a finite domain: [width, n]."""
    made = InputTable(family, variable, parameters, (width, variable.size or 0))
    return _once(made, family, variable, *map(id, parameters))


def operands(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that stand directly in this one."""
    match expression:
        case Parameter() | Constant():
            return ()
        case Plus(left, right) | Times(left, right) | Divide(left, right) | Share(left, right):
            return (left, right)
        case Join(parts):
            return parts
        case InputValue(parameters=parameters, weights=weights):
            return parameters if weights is None else (*parameters, weights)
        case InputTable(parameters=parameters):
            return parameters
        case _:
            return (expression.operand,)


def in_order(roots: Iterable[Expression], known: Callable[[Expression], bool] = lambda _: False) -> list[Expression]:
    """All expressions below the roots, operands first, each object once; without recursion.

    Those that are `known` are left out, with what stands below them alone.
    """
    ordered: list[Expression] = []
    seen: set[int] = set()
    stack: list[tuple[Expression, bool]] = [(root, False) for root in roots][::-1]
    while stack:
        expression, expanded = stack.pop()
        if expanded:
            ordered.append(expression)
        elif id(expression) not in seen:
            seen.add(id(expression))
            if not known(expression):
                stack.append((expression, True))
                stack.extend((operand, False) for operand in reversed(operands(expression)))
    return ordered


def parameters_of(roots: Iterable[Expression]) -> list[Parameter]:
    """The parameters that expressions stand on, each once, in order of first appearance."""
    return [expression for expression in in_order(roots) if isinstance(expression, Parameter)]


def has_parameters(expression: Expression) -> bool:
    """Whether the expression stands on any parameter."""
    for step in in_order([expression], _standing.__contains__):
        _standing[step] = isinstance(step, Parameter) or any(_standing[operand] for operand in operands(step))
    return _standing[expression]


def is_learnable(expression: Expression) -> bool:
    """Whether any number of the expression depends on a learnable parameter."""
    if isinstance(expression, Parameter):
        return expression.learnable
    for step in in_order([expression], _learnable.__contains__):
        match step:
            case Parameter(learnable=learnable):
                _learnable[step] = learnable
            case _:
                _learnable[step] = any(_learnable[operand] for operand in operands(step))
    return _learnable[expression]
