"""Input families, as functions of their names: a variable and the families' parameters enter, a block leaves.

Each takes arrays of numbers, parameters of that shape, or `width=K` for K nodes with new learnable parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias, TypeGuard, overload

import numpy as np

from ...ir.block import input_block
from ...ir.diagnostic import error, nearest, placed
from ...ir.domain import Cat, Variable
from ...ir.family import Binomial, Family, Indicator, parts, require_value
from ...ir.parameter import Parameter
from ...ir.span import caller
from ..families import FAMILY_NAMES, family_named, fresh_input
from .arguments import Numbers, describe, integer, size
from .block import Block
from .parameters import fresh, numbers_or_parameter
from .variables import one_variable

Given: TypeAlias = "Numbers | Parameter | None"


def bernoulli(variable: Variable, probabilities: Given = None, /, *, width: int | None = None) -> Block:
    """P(x = 1) = p on a `Bool`, one node per probability.

    >>> import danaus as dn
    >>> dn.bernoulli(dn.Bool("rain"), [0.2, 0.9]).width
    2

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-constraint`, `wrong-arguments`.
    """
    return _input("bernoulli", variable, [probabilities], width)


def categorical(variable: Variable, probabilities: Given = None, /, *, width: int | None = None) -> Block:
    """A row of probabilities per node, in domain order, on a `Bool`, `Cat` or `Int`.

    >>> import danaus as dn
    >>> dn.categorical(dn.Cat("wet", 3), [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]]).width
    2

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-constraint`, `wrong-arguments`.
    """
    return _input("categorical", variable, [probabilities], width)


def table(variable: Variable, values: Given = None, /, *, width: int | None = None) -> Block:
    """A row of any real values per node, in domain order, on a `Bool`, `Cat` or `Int`: any function of it.

    >>> import danaus as dn
    >>> dn.table(dn.Cat("x", 3), [[1, -2, 0.5]]).width
    1

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-constraint`, `wrong-arguments`.
    """
    return _input("table", variable, [values], width)


def gaussian(
    variable: Variable, means: Given = None, deviations: Given = None, /, *, width: int | None = None
) -> Block:
    """The normal density on a `Real`, one node per mean and standard deviation.

    >>> import danaus as dn
    >>> dn.gaussian(dn.Real("height"), [1.65, 1.8], [0.1, 0.1]).width
    2

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-constraint`, `wrong-arguments`.
    """
    return _input("gaussian", variable, [means, deviations], width)


def poisson(variable: Variable, rates: Given = None, /, *, width: int | None = None) -> Block:
    """λᵛ e^(−λ) / v! on a `Count`, one node per rate λ.

    >>> import danaus as dn
    >>> dn.poisson(dn.Count("visits"), [0.5, 7]).width
    2

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-constraint`, `wrong-arguments`.
    """
    return _input("poisson", variable, [rates], width)


@overload
def binomial(variable: Variable, probabilities: Given = None, /, *, width: int | None = None) -> Block: ...
@overload
def binomial(variable: Variable, n: int, probabilities: Given = None, /, *, width: int | None = None) -> Block: ...
def binomial(variable: Variable, *given: Given, width: int | None = None) -> Block:
    """C(n, v) pᵛ (1 − p)ⁿ⁻ᵛ on an `Int` from 0 to n, one node per probability p; n may be left out.

    >>> import danaus as dn
    >>> heads = dn.Int("heads", 0, 10)
    >>> dn.binomial(heads, 10, [0.5]).width, dn.binomial(heads, [0.5, 0.6]).width
    (1, 2)

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-constraint`, `wrong-arguments`.
    """
    with placed(caller()):
        if not given or not _is_number(given[0]):
            return _input("binomial", variable, given or [None], width)
        return _input("binomial", variable, given[1:] or [None], width, Binomial(integer(given[0], "n")))


def _is_number(given: object) -> TypeGuard[int | float | Fraction | np.number[Any]]:
    return isinstance(given, int | float | Fraction | np.number)


def discretized_logistic(
    variable: Variable, means: Given = None, deviations: Given = None, /, *, width: int | None = None
) -> Block:
    """σ((v + ½ − m)/s) − σ((v − ½ − m)/s) on a `Cat` or `Int`, the end values with the tails; a node per m and s.

    >>> import danaus as dn
    >>> dn.discretized_logistic(dn.Cat("pixel", 256), [100, 200], [5, 20]).width
    2

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-constraint`, `wrong-arguments`.
    """
    return _input("discretized_logistic", variable, [means, deviations], width)


def indicator(variable: Variable, value: float | np.number[Any] | str, /) -> Block:
    """1 where the variable has the value, else 0; text is the name of a value. On any domain but `Real`.

    >>> import danaus as dn
    >>> dn.indicator(dn.Cat("size", "small", "large"), "large").width
    1

    Raises: DanausError `wrong-domain`, `wrong-value`, `unknown-value`.
    """
    span = caller()
    with placed(span):
        target = one_variable(variable)
        made = input_block(Indicator(_value(target, value)), target, (), span)
        return Block(made, made.width)


def _value(variable: Variable, given: object) -> int:
    if isinstance(given, str):
        names = variable.domain.names if isinstance(variable.domain, Cat) else ()
        if given not in names:
            hint = nearest(given, names) or (f"its values are {', '.join(names[:8])}" if names else "it has no names")
            raise error("unknown-value", f'"{variable.name}" has no value named "{given}"', hint=hint)
        return names.index(given)
    try:
        number = float(given) if _is_number(given) else math.nan
    except (OverflowError, TypeError):  # TypeError: a complex number
        number = math.inf
    if not math.isfinite(number):
        raise error("wrong-value", f'{describe(given)} is no value of "{variable.name}" ({variable.domain})')
    require_value(variable, number)
    return int(number)


def _input(name: str, variable: object, given: Sequence[object], width: object, family: Family | None = None) -> Block:
    """An input block of a family by name; a missing argument is None."""
    span = caller()
    with placed(span):
        target = one_variable(variable)
        chosen = family_named(name, target) if family is None else family
        present = [item for item in given if item is not None]
        wanted = parts(chosen, target.domain)
        if width is not None:
            if present:
                raise error("wrong-arguments", "a width and values of parameters together", hint="give one of them")
            fresh_ones = fresh_input(name, target, size(width, "the width"), fresh(name, span), span)
            made = input_block(chosen, target, fresh_ones.parameters, span)
            return Block(made, made.width)
        if len(present) != len(wanted):
            names = ", ".join(f"[{part.name}]" for part in wanted)
            raise error(
                "wrong-arguments",
                f"{name} takes {len(wanted)} array{'s' if len(wanted) != 1 else ''} of parameters, not {len(present)}",
                hint=f"write dn.{name}({target.name}, {names}), or dn.{name}({target.name}, width=K)",
            )
        values = [
            numbers_or_parameter(item, part.constraint, part.name) for item, part in zip(present, wanted, strict=True)
        ]
        made = input_block(chosen, target, values, span)
        return Block(made, made.width)


def family_name(given: object) -> str | None:
    """The family that an argument of a template names: by its name, or by its function here.

    Raises: DanausError `unknown-family`.
    """
    if given is None or (isinstance(given, str) and given in FAMILY_NAMES):
        return given
    for function in (bernoulli, categorical, table, gaussian, poisson, binomial, discretized_logistic):
        if given is function:
            return function.__name__
    hint = nearest(given, FAMILY_NAMES) if isinstance(given, str) else ""
    raise error(
        "unknown-family",
        f'there is no family "{given}"' if isinstance(given, str) else f"{describe(given)} is not a family",
        hint=hint or f"families are {', '.join(FAMILY_NAMES)}",
    )
