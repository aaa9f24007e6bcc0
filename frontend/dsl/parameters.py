"""Parameters of circuits built in Python: declared by name, or made anew where a width is asked for.

A name, a shape and a value enter; a `Parameter` of the IR leaves. Its value waits here, held no longer than the
parameter lives, until a circuit (circuit.py) takes it into its store. A parameter made anew gets its name there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from ...ir.diagnostic import DanausError, error, nearest, placed
from ...ir.expression import Expression
from ...ir.parameter import CONSTRAINTS, Constraint, Parameter, Shape, Value, constant
from ...ir.span import Note, Span, caller
from ...ir.store import initial_value, violation
from ..elaborate.context import Index
from ..fresh import Declarations, require_size
from ..maps import Make
from .arguments import IndexLike, Numbers, array, describe, is_sequence, named, size

# What is known of the parameters that were made in Python; None stands for a value not drawn yet.
_values: WeakKeyDictionary[Parameter, Value | None] = WeakKeyDictionary()
_unnamed: WeakSet[Parameter] = WeakSet()


def param(
    name: str, shape: int | Sequence[int], constraint: Constraint | None = None, value: Numbers | None = None
) -> Parameter:
    """A learnable array. Used twice, it is one parameter: that is how parameters are shared.

    The constraint is `"simplex"` (rows of the last axis are distributions), `"unit"` (in [0, 1]), `"positive"` or
    `"real"`; without one, it is what the uses before the first circuit ask for. Without a value it is drawn at random
    from the seed and the name of that circuit's parameter, once.

    >>> import danaus as dn
    >>> dn.param("A", [2, 3], "simplex", [[0.5, 0.25, 0.25], [0, 0, 1]])
    Parameter('A', [2, 3])

    Raises: DanausError `wrong-shape`, `wrong-value`, `unknown-constraint`, `too-large`.
    """
    span = caller()
    with placed(span):
        return _declared(name, shape, constraint, value, True, span)


def const(
    name: str, shape: int | Sequence[int], constraint: Constraint | None = None, value: Numbers | None = None
) -> Parameter:
    """A named array that is never learnt; otherwise as `param`.

    >>> import danaus as dn
    >>> dn.const("W", [1, 2], value=[[1, -1]]).learnable
    False

    Raises: DanausError `no-value`, and as `param` does.
    """
    span = caller()
    with placed(span):
        if value is None:
            raise error("no-value", f'const "{name}" has no value', hint="give it one: value=[…]")
        return _declared(name, shape, constraint, value, False, span)


def index(name: str, shape: int | Sequence[int], value: IndexLike | Sequence[Sequence[int]]) -> Index:
    """A named array of whole numbers for `gather`, `product`, `sparse` and `permute`; rows are padded with -1.

    >>> import danaus as dn
    >>> dn.index("I", [2, 2], [[0, 1], [2, -1]]).values.tolist()
    [[0, 1], [2, -1]]

    Raises: DanausError `wrong-shape`, `not-an-integer`.
    """
    with placed(caller()):
        checked, wanted = named(name, "the name of the index"), _shape(shape)
        numbers = _fitting(checked, array(value), wanted)
        if any(item.denominator != 1 for item in numbers.exact.ravel()):
            raise error("not-an-integer", f'index "{checked}" holds a number that is no integer')
        return Index(checked, numbers.floats.astype(np.int64))


def _declared(name: str, shape: object, constraint: object, value: object, learnable: bool, span: Span) -> Parameter:
    checked, wanted = named(name, "the name of the parameter"), _shape(shape)
    require_size(wanted, f'"{checked}"')
    made = Parameter(checked, wanted, _constraint(constraint), learnable, span)
    numbers = None if value is None else _fitting(checked, array(value), wanted)
    if numbers is not None and (reason := violation(numbers, made.constraint)):
        raise error("wrong-value", f'"{checked}" is {made.constraint}, but {reason}', hint=_mending(made.constraint))
    _values[made] = numbers
    return made


def _mending(constraint: Constraint | None) -> str:
    return "a row sums to 1 within 1e-9; divide rows that were rounded by their sum" if constraint == "simplex" else ""


def _shape(given: object) -> Shape:
    sizes = given if is_sequence(given) else [given]
    if not len(sizes):
        raise error("wrong-shape", "an array without axes", hint="give the size of each axis: [3, 3]")
    return tuple(size(item, "a size") for item in sizes)


def _fitting(name: str, value: Value, shape: Shape) -> Value:
    if not value.shape and shape == (1,):
        return Value.of(value.exact.reshape(1))
    if value.shape != shape:
        raise error(
            "wrong-shape",
            f'"{name}" has shape {list(shape)}, but its value has {list(value.shape)}',
            hint="one bracket per axis, rows of the last axis innermost",
        )
    return value


def _constraint(given: object) -> Constraint | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise error("unknown-constraint", f"{describe(given)} is not a constraint", hint="a value is given as value=…")
    for constraint in CONSTRAINTS:
        if given == constraint:
            return constraint
    hint = nearest(given, CONSTRAINTS) or f"constraints are {', '.join(CONSTRAINTS)}"
    raise error("unknown-constraint", f'there is no constraint "{given}"', hint=hint)


def fresh(stem: str, span: Span) -> Make:
    """What makes the new parameters of a block; a circuit that holds them names them `circuit.stem`, …"""

    def make(shape: Shape, constraint: Constraint) -> Parameter:
        require_size(shape, f"a parameter of {stem}")
        made = Parameter(stem, shape, constraint, True, span)
        _values[made] = None
        _unnamed.add(made)
        return made

    return make


def numbers_or_parameter(given: object, constraint: Constraint, what: str) -> Expression:
    """Numbers checked against what they must satisfy, or a parameter narrowed to it, with its value checked.

    Raises: DanausError `wrong-value`, `wrong-constraint`, and as `array` does.
    """
    if isinstance(given, Parameter):
        require(given, constraint)
        return given
    numbers = array(given)
    if reason := violation(numbers, constraint):
        raise error("wrong-value", f"in the {what}, {reason}", hint=_mending(constraint))
    return constant(numbers)


def require(parameter: Parameter, constraint: Constraint) -> None:
    """Narrows an open constraint to what a use asks for, and checks the value that is known.

    Raises: DanausError `wrong-constraint`, `wrong-value`.
    """
    notes = [Note("declared here", parameter.span)] if parameter.span else []
    try:
        parameter.require(constraint)
    except DanausError as failure:
        message, hint = failure.diagnostics[0].message, f'declare it with the constraint "{constraint}"'
        raise error("wrong-constraint", message, hint=hint, notes=notes) from failure
    value = _values.get(parameter)
    if value is not None and (reason := violation(value, parameter.constraint)):
        message = f'"{parameter.name}" is {parameter.constraint}, as its use asks, but {reason}'
        raise error("wrong-value", message, hint=_mending(parameter.constraint), notes=notes)


def adopt(declarations: Declarations) -> None:
    """Takes over what a template declared: named already, with values or without."""
    for parameter in declarations.parameters.values():
        _values[parameter] = declarations.values.get(parameter)


def made_here(parameter: Parameter) -> bool:
    """Whether a parameter was made in Python, and not read from a file."""
    return parameter in _values


def known_value(parameter: Parameter) -> Value | None:
    """The value of a parameter, or None where it is still to be drawn."""
    return _values.get(parameter)


def is_named(parameter: Parameter) -> bool:
    """Whether a parameter has its name for good."""
    return parameter not in _unnamed


def settle(parameter: Parameter, name: str, value: Value | None, seed: int) -> Value:
    """Gives a parameter its name and value for good, drawn at random if there is none; its constraint stays, too."""
    parameter.name = name
    if parameter.learnable:
        parameter.constraint, parameter.inferred = parameter.constraint or "real", False
    _unnamed.discard(parameter)
    settled = initial_value(parameter, seed) if value is None else value
    _values[parameter] = settled
    return settled
