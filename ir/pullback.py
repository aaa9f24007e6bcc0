"""From derivatives of tables to those of parameters: a small rule per expression, in float64.

What enters are expressions with the derivative of some number with respect to each of their entries; what leaves is its
derivative with respect to each parameter. A parameter or an expression that stands in several places gets the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .density import domain_values, float_values
from .dependence import in_order, is_learnable, operands
from .diagnostic import error
from .domain import FiniteDomain, Variable
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
from .family import (
    Bernoulli,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Family,
    Gaussian,
    Indicator,
    InputLog,
    InputPower,
    InputProduct,
    One,
    Poisson,
    Table,
    name_of,
)
from .numbers import Numbers
from .parameter import Constant, Floats, Parameter
from .semirings import LINEAR
from .store import Store


def pullback(given: Iterable[tuple[Expression, Floats]], numbers: Numbers) -> dict[Parameter, Floats]:
    """The derivatives of parameters, for expressions with derivatives of their shapes.

    Raises: DanausError `not-differentiable` for families without a rule here.
    """
    held: dict[int, Floats] = {}
    roots: list[Expression] = []

    def give(expression: Expression, share: Floats) -> None:
        key = id(expression)
        held[key] = held[key] + share if key in held else share

    for expression, share in given:
        roots.append(expression)
        give(expression, np.asarray(share, dtype=np.float64).reshape(expression.shape))
    found: dict[Parameter, Floats] = {}
    for step in reversed(in_order(roots)):
        if id(step) not in held:
            continue
        g = held.pop(id(step))
        if isinstance(step, Parameter):
            found[step] = np.array(g)
            continue
        for operand, share in zip(operands(step), _shares(step, g, numbers), strict=True):
            give(operand, share)
    return found


def _shares(step: Expression, g: Floats, numbers: Numbers) -> list[Floats]:
    """What each operand of an expression gets of its derivative."""

    def of(expression: Expression) -> Floats:
        return np.asarray(numbers.of(expression, LINEAR), dtype=np.float64)

    match step:
        case Parameter() | Constant():
            return []
        case Plus(left, right):
            return [_gathered(g, left.shape), _gathered(g, right.shape)]
        case Times(left, right):
            return [_gathered(g * of(right), left.shape), _gathered(g * of(left), right.shape)]
        case Divide(left, right):
            share = g / of(right)
            return [_gathered(share, left.shape), _gathered(-share * of(step), right.shape)]
        case Share(left, right):
            divisors = of(right)
            share = np.where(divisors == 0, 0.0, g / np.where(divisors == 0, 1.0, divisors))
            return [_gathered(share, left.shape), _gathered(-share * of(step), right.shape)]
        case Join(parts, _):
            return np.split(g, np.cumsum([part.shape[-1] for part in parts])[:-1], axis=-1)
        case Total(operand, axis, _):
            return [np.broadcast_to(np.expand_dims(g, axis), operand.shape).copy()]
        case Reshape(operand, _):
            return [g.reshape(operand.shape)]
        case Broadcast(operand, _):
            return [_gathered(g, operand.shape)]
        case Take(operand, axis, index, _):
            out = np.zeros(operand.shape)
            np.add.at(np.moveaxis(out, axis, 0), list(index), np.moveaxis(g, axis, 0))
            return [out]
        case Exp():
            return [g * of(step)]
        case Log(operand, _):
            x = of(operand)
            return [np.where(x == 0, 0.0, g / np.where(x == 0, 1.0, x))]
        case Raised(operand, exponent, _):
            x = of(operand)
            slope = float(exponent) * of(step) / np.where(x == 0, 1.0, x)
            return [g * np.where(x == 0, 0.0, slope)]
        case InputTable(family, variable, parameters, _):
            return table_shares(family, variable, parameters, g, numbers) if parameters else []
        case InputValue(family, variable, parameters, value, weights):
            return _input(step, family, variable, parameters, value, weights, g, numbers)


def _gathered(g: Floats, shape: tuple[int, ...]) -> Floats:
    """Summed over what numpy's broadcasting had spread."""
    lead = g.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, size in enumerate(shape) if size == 1 and g.shape[lead + i] != 1)
    return np.asarray(g.sum(axis=axes)).reshape(shape)


def _input(
    step: InputValue,
    family: Family,
    variable: Variable,
    parameters: tuple[Expression, ...],
    value: float | None,
    weights: Expression | None,
    g: Floats,
    numbers: Numbers,
) -> list[Floats]:
    """An input at fixed evidence: at one value, or its sum under weights."""
    if not isinstance(variable.domain, FiniteDomain):
        if value is None:
            return [np.zeros(part.shape) for part in parameters]  # densities integrate to 1
        return density_shares(family, variable, parameters, np.array([value]), g, numbers)
    values = domain_values(variable)
    if value is not None:
        cotangent = np.where(values == value, g, 0.0)
    else:
        row = 1.0 if weights is None else np.asarray(numbers.of(weights, LINEAR), dtype=np.float64)
        cotangent = g * np.ones((1, len(values))) * row
    shares = table_shares(family, variable, parameters, cotangent, numbers)
    if weights is not None:
        table = np.asarray(numbers.inputs(family, variable, parameters, values, LINEAR))
        shares.append(_gathered((g * table).sum(axis=0), weights.shape))
    return shares


def table_shares(
    family: Family, variable: Variable, parameters: tuple[Expression, ...], g: Floats, numbers: Numbers
) -> list[Floats]:
    """For an input on a finite domain, from derivatives of its values [width, n] those of its parameters."""
    values = domain_values(variable)
    match family:
        case Categorical() | Table():
            return [np.broadcast_to(g, parameters[0].shape)]
        case Bernoulli():
            return [(g * np.where(values == 1, 1.0, -1.0)).sum(axis=1)]
        case Binomial(n):
            (p,) = numbers.floats(parameters)
            f = _binomial(n - 1, p) * n if n else np.zeros((len(p), 0))
            none = np.zeros((len(p), 1))
            return [(g * (np.hstack([none, f]) - np.hstack([f, none]))).sum(axis=1)]
        case DiscretizedLogistic():
            f = float_values(family, variable, numbers.floats(parameters), values)
            means, deviations = logistic_slopes(variable, *numbers.floats(parameters))
            return [(g * f * means).sum(axis=1), (g * f * deviations).sum(axis=1)]
        case Indicator() | One():
            return []
        case InputProduct(_, widths):
            given = family.split(parameters)
            tables = [numbers.inputs(factor, variable, own, values, LINEAR) for factor, own in given]
            out: list[Floats] = []
            for place, (factor, own) in enumerate(given):
                share = _share(g, widths, place, tables)
                out += table_shares(factor, variable, own, share, numbers) if own else []
            return out
        case _:
            raise _without_rule(family, variable)


def logistic_slopes(variable: Variable, means: Floats, deviations: Floats) -> tuple[Floats, Floats]:
    """∂ log f / ∂m and ∂ log f / ∂s of `discretized_logistic` at every value of a domain, [width, n] each.

    With a = (v + ½ − m)/s and b = (v − ½ − m)/s, f = σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b−a)), so that
    (σ′(a) − σ′(b)) / f = σ(−a) − σ(b) and (a σ′(a) − b σ′(b)) / f = b (σ(−a) − σ(b)) + σ(−a) / (s σ(−b) (1 − e^(b−a))):
    nothing is a difference of numbers that underflow. At the ends of the domain a or b is infinite.
    """
    values = domain_values(variable)
    s = deviations[:, None]
    a, b = (values + 0.5 - means[:, None]) / s, (values - 0.5 - means[:, None]) / s
    first, last = values == values[0], values == values[-1]
    above, below = np.exp(-np.logaddexp(0.0, a)), np.exp(-np.logaddexp(0.0, -b))
    slope = np.where(last, 0.0, above) - np.where(first, 0.0, below)
    inner = b * slope - np.exp(np.logaddexp(0.0, b) - np.logaddexp(0.0, a)) / np.expm1(-1 / s) / s
    ends = np.where(first, np.where(last, 0.0, a * above), -b * below)
    return -slope / s, -np.where(first | last, ends, inner) / s


def _share(g: Floats, widths: Sequence[int], place: int, values: Sequence[Floats] = ()) -> Floats:
    """From derivatives of a product's values [width, n] those of one factor's, [own width, n].

    `values` are the factors', or nothing where the derivatives are of logarithms.
    """
    cube = g.reshape(*widths, g.shape[1])
    for other, table in enumerate(values):
        if other != place:
            ones = [1] * len(widths)
            ones[other] = len(table)
            cube = cube * np.asarray(table, dtype=np.float64).reshape(*ones, g.shape[1])
    return np.asarray(cube.sum(axis=tuple(other for other in range(len(widths)) if other != place)))


def _binomial(n: int, p: Floats) -> Floats:
    from .domain import Int

    return float_values(Binomial(n), Variable("", Int(0, n)), [p], np.arange(n + 1, dtype=np.float64))


def density_shares(
    family: Family, variable: Variable, parameters: tuple[Expression, ...], x: Floats, g: Floats, numbers: Numbers
) -> list[Floats]:
    """For an input on an infinite domain, from derivatives of its values [width, len(x)] those of its parameters.

    Raises: DanausError `not-differentiable` for families without a rule.
    """
    values = np.asarray(numbers.inputs(family, variable, parameters, x, LINEAR), dtype=np.float64)
    return log_density_shares(family, variable, parameters, x, g * values, numbers)


def log_density_shares(
    family: Family, variable: Variable, parameters: tuple[Expression, ...], x: Floats, g: Floats, numbers: Numbers
) -> list[Floats]:
    """As `density_shares`, from derivatives with respect to logarithms of the values."""
    if isinstance(family, InputProduct):
        out: list[Floats] = []
        for place, (factor, own) in enumerate(family.split(parameters)):
            out += log_density_shares(factor, variable, own, x, _share(g, family.widths, place), numbers)
        return out
    given = [part[:, None] for part in numbers.floats(parameters)]
    match family:
        case Gaussian():
            m, s = given
            z = (x - m) / s
            return [(g * z / s).sum(axis=1), (g * (z * z - 1) / s).sum(axis=1)]
        case Poisson():
            (rate,) = given
            return [(g * (x / rate - 1)).sum(axis=1)]
        case Indicator() | One():
            return []
        case InputPower(base, exponent):
            return log_density_shares(base, variable, parameters, x, float(exponent) * g, numbers)
        case InputLog(base):
            # d log |log f| = d log f / log f
            logs = np.asarray(numbers.inputs(family, variable, parameters, x, LINEAR), dtype=np.float64)
            share = np.where(logs == 0, 0.0, g / np.where(logs == 0, 1.0, logs))
            return log_density_shares(base, variable, parameters, x, share, numbers)
        case _:
            raise _without_rule(family, variable)


def log_density_slope(family: Family, parameters: tuple[Expression, ...], x: Floats, numbers: Numbers) -> Floats:
    """The derivative of the logarithms of an input's values with respect to x, [width, len(x)]; 0 on count."""
    match family:
        case Gaussian():
            m, s = (part[:, None] for part in numbers.floats(parameters))
            return (m - x) / s**2
        case InputPower(base, exponent):
            return float(exponent) * log_density_slope(base, parameters, x, numbers)
        case InputProduct():
            slopes = np.zeros((1, len(x)))
            for factor, own in family.split(parameters):
                more = log_density_slope(factor, own, x, numbers)
                slopes = (slopes[:, None] + more[None]).reshape(-1, len(x))
            return slopes
        case _:
            return np.zeros((1, len(x)))


def _without_rule(family: Family, variable: Variable) -> Exception:
    return error(
        "not-differentiable",
        f'{name_of(family)}("{variable.name}") has no derivative here',
        hint="make its parameters constants",
    )


def copied_back(given: Iterable[tuple[Expression, Floats]]) -> dict[Parameter, Floats]:
    """Sums of what stands at the copies of each parameter's entries, for expressions that only copy.

    Raises: DanausError `no-closed-form` for expressions that compute.
    """
    shares = list(given)
    for step in in_order(expression for expression, _ in shares):
        if not isinstance(step, Parameter | Constant | Reshape | Broadcast | Take):
            names = [each.name for each in in_order([step]) if isinstance(each, Parameter)]
            about = f'"{names[0]}"' if names else "a number"
            raise error("no-closed-form", f"EM has no closed-form step for {about}", hint='method="adam" learns it')
    return pullback(shares, Numbers(Store()))


def polynomial_in(expression: Expression) -> set[Parameter] | None:
    """The learnable parameters that an expression is a polynomial of; None where it is none in all that it hangs on.

    An input that was summed out over its whole domain is 1 whatever its parameters are, so these do not count.
    """
    found: set[Parameter] = set()
    seen: set[int] = set()
    stack = [expression]
    while stack:
        step = stack.pop()
        if id(step) in seen:
            continue
        seen.add(id(step))
        match step:
            case Parameter(learnable=True):
                found.add(step)
            case InputValue(family, value=None, weights=None) if not isinstance(family, Table | One):
                continue
            case Divide() | Share() | Exp() | Log() | Raised() | InputValue() | InputTable() if is_learnable(step):
                return None
            case _:
                stack.extend(operands(step))
    return found
