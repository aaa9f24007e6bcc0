"""From derivatives of tables to expected counts of parameters, for closed-form steps of EM.

A parameter that stands in the circuit's numbers through sums and products alone has expected counts θ · ∂ log p / ∂θ
(Baum and Eagon, "An inequality with applications", 1967); a probability of bernoulli or binomial inputs has counts of
ones and of zeros, and the nodes of a discretised logistic one of each value. What is missing counts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.density import domain_values
from ...ir.dependence import in_order, is_learnable
from ...ir.diagnostic import DanausError, error
from ...ir.domain import Variable
from ...ir.expression import Expression
from ...ir.family import Bernoulli, Binomial, Categorical, DiscretizedLogistic
from ...ir.family import Table as TableFamily
from ...ir.numbers import Numbers
from ...ir.parameter import Floats, Parameter
from ...ir.pullback import copied_back, polynomial_in, pullback
from ...ir.semirings import LINEAR
from ...ir.store import Store
from .tables import Table, Weights, of_values, parts_of

Counts = dict[Parameter, Floats]
Valued = tuple[tuple[Expression, ...], Variable, Floats]


def counts(
    sources: Sequence[Table], store: Store, given: Sequence[Floats], missing: bool = False
) -> tuple[Counts, Counts, list[Valued]]:
    """From derivatives of log-likelihood with respect to tables: counts of entries, [ones, zeros] of probabilities.

    And, for inputs that have no closed-form step, the counts of each value, [width, n]. With `missing`, values that are
    not observed count as what they are expected to be.

    Raises: DanausError `no-closed-form` for learnable parameters that these steps cannot move.
    """
    numbers = Numbers(store)
    rows: list[tuple[Expression, Floats]] = []
    ones: list[tuple[Expression, Floats]] = []
    zeros: list[tuple[Expression, Floats]] = []
    valued: list[Valued] = []
    for source, derivative in zip(sources, given, strict=True):
        for part, own in parts_of(source, derivative):
            if isinstance(part, Weights):
                if _standing_in(part.expression):
                    rows.append((part.expression, own))
                continue
            if not any(map(is_learnable, part.parameters)):
                continue
            table = of_values(part, own, missing)
            values = domain_values(part.variable)
            match part.family:
                case Categorical() | TableFamily():
                    _standing_in(part.parameters[0])
                    rows.append((part.parameters[0], table))
                case Bernoulli() | Binomial():
                    found = numbers.inputs(part.family, part.variable, part.parameters, values, LINEAR) * table
                    size = part.family.n if isinstance(part.family, Binomial) else 1
                    ones.append((part.parameters[0], (found * values).sum(axis=1)))
                    zeros.append((part.parameters[0], (found * (size - values)).sum(axis=1)))
                case DiscretizedLogistic():
                    found = numbers.inputs(part.family, part.variable, part.parameters, values, LINEAR) * table
                    valued.append((part.parameters, part.variable, found))
                case _:
                    raise _refused(part.parameters)
    standing = {parameter for expression, _ in rows for parameter in _standing_in(expression)}
    entries = {
        parameter: np.maximum(store[parameter].floats * derivative, 0.0)
        for parameter, derivative in pullback(rows, numbers).items()
        if parameter in standing
    }
    up, down = copied_back(ones), copied_back(zeros)
    both = {each: np.stack([up[each], down[each]]) for each in up if each.learnable}
    return entries, both, valued


def _standing_in(expression: Expression) -> set[Parameter]:
    """The learnable parameters that an expression is a polynomial of."""
    found = polynomial_in(expression)
    if found is None:
        raise _refused((expression,))
    return found


def _refused(parameters: Sequence[Expression]) -> DanausError:
    names = [each.name for each in in_order(parameters) if isinstance(each, Parameter) and each.learnable]
    return error(
        "no-closed-form",
        f'EM has no closed-form step for "{names[0]}"',
        hint='method="adam" learns it',
    )
