"""Input families: which functions of one variable an input block may hold, on which domains, with which parameters.

A closed union of frozen values; what their functions are worth, in each kind of number, is in density.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar, get_args

from .diagnostic import error
from .domain import Bool, Cat, Count, Domain, Int, Real, Variable
from .parameter import Constraint, Shape

_Parameter = TypeVar("_Parameter")


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """P(x = 1) = p on bool."""


@dataclass(frozen=True, slots=True)
class Categorical:
    """A row of probabilities in domain order on bool, cat, int."""


@dataclass(frozen=True, slots=True)
class Table:
    """A row of any real values in domain order on bool, cat, int."""


@dataclass(frozen=True, slots=True)
class Gaussian:
    """The normal density of mean m and standard deviation s on real."""


@dataclass(frozen=True, slots=True)
class Poisson:
    """λᵛ e^(−λ) / v! on count."""


@dataclass(frozen=True, slots=True)
class Binomial:
    """C(n, v) pᵛ (1 − p)ⁿ⁻ᵛ on int(0, n)."""

    n: int


@dataclass(frozen=True, slots=True)
class DiscretizedLogistic:
    """σ((v + ½ − m)/s) − σ((v − ½ − m)/s) on cat and int; the end values take the tails."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """1 where the variable has the value, else 0; on any domain but real."""

    value: int


@dataclass(frozen=True, slots=True)
class One:
    """1 everywhere, on any domain; on real and count its integral diverges."""


@dataclass(frozen=True, slots=True)
class GaussianDerivative:
    """dⁿ/dxⁿ of the normal density of mean m and standard deviation s on real, for n ≥ 1: of either sign."""

    order: int


@dataclass(frozen=True, slots=True)
class InputProduct:
    """Products of inputs on one variable, of all pairs: node (i, j, …) is fᵢ · gⱼ · …, the first index slowest.

    Its parameters are those of the factors, one after the other, as they are: it is never tabulated. `widths` has the
    number of functions of each factor. None of the factors is a product itself.
    """

    factors: tuple[Family, ...]
    widths: tuple[int, ...]

    def split(self, parameters: Sequence[_Parameter]) -> list[tuple[Family, tuple[_Parameter, ...]]]:
        """The factors, each with its own of the parameters."""
        out: list[tuple[Family, tuple[_Parameter, ...]]] = []
        start = 0
        for factor in self.factors:
            count = parameter_count(factor)
            out.append((factor, tuple(parameters[start : start + count])))
            start += count
        return out


@dataclass(frozen=True, slots=True)
class InputPower:
    """fᵃ where f is not 0, and 0 elsewhere, for an input on an infinite domain; of a negative f where a is an integer.

    Its parameters are those of f, which is no product: powers of products are products of powers.
    """

    base: Family
    exponent: Fraction


@dataclass(frozen=True, slots=True)
class InputLog:
    """log |f| where f is not 0, and 0 elsewhere, for an input on an infinite domain; f is no product."""

    base: Family


Family = (
    Bernoulli
    | Categorical
    | Table
    | Gaussian
    | Poisson
    | Binomial
    | DiscretizedLogistic
    | Indicator
    | One
    | GaussianDerivative
    | InputProduct
    | InputPower
    | InputLog
)
FAMILIES: tuple[type[Family], ...] = get_args(Family)


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter of a family: its name, what it must satisfy, and the shape that one node has of it."""

    name: str
    constraint: Constraint
    shape: Shape = ()


def name_of(family: Family | type[Family]) -> str:
    """The family's name in the language."""
    if isinstance(family, InputProduct):
        return " × ".join(map(name_of, family.factors))
    if isinstance(family, GaussianDerivative):
        return "gaussian" + "′" * family.order
    if isinstance(family, InputPower):
        return f"{name_of(family.base)}^{family.exponent}"
    if isinstance(family, InputLog):
        return f"log {name_of(family.base)}"
    kind = family if isinstance(family, type) else type(family)
    return "discretized_logistic" if kind is DiscretizedLogistic else kind.__name__.lower()


def parts(family: Family, domain: Domain) -> tuple[Part, ...]:
    """The parameters of a family on a domain, in the order of the language."""
    match family:
        case Bernoulli() | Binomial():
            return (Part("probabilities", "unit"),)
        case Categorical():
            return (Part("probabilities", "simplex", (_size(domain),)),)
        case Table():
            return (Part("values", "real", (_size(domain),)),)
        case Gaussian() | GaussianDerivative():
            return (Part("means", "real"), Part("deviations", "positive"))
        case DiscretizedLogistic():
            return (Part("means", "real"), Part("deviations", "positive"))
        case Poisson():
            return (Part("rates", "positive"),)
        case Indicator() | One():
            return ()
        case InputProduct(factors):
            return tuple(part for factor in factors for part in parts(factor, domain))
        case InputPower(base) | InputLog(base):
            return parts(base, domain)


def is_signed(family: Family) -> bool:
    """Whether a family on an infinite domain may be negative: a logarithm or a derivative stands in it."""
    for factor in family.factors if isinstance(family, InputProduct) else (family,):
        while isinstance(factor, InputPower):
            factor = factor.base
        if isinstance(factor, InputLog | GaussianDerivative):
            return True
    return False


def parameter_count(family: Family) -> int:
    """How many parameters a family that is no product has."""
    while isinstance(family, InputPower | InputLog):
        family = family.base
    return _COUNTS[type(family)]


def _size(domain: Domain) -> int:
    assert not isinstance(domain, Count | Real)
    return domain.size


_COUNTS: dict[type[Family], int] = {
    Bernoulli: 1,
    Categorical: 1,
    Table: 1,
    Gaussian: 2,
    GaussianDerivative: 2,
    Poisson: 1,
    Binomial: 1,
    DiscretizedLogistic: 2,
    Indicator: 0,
    One: 0,
}
_DOMAINS: dict[type[Family], tuple[type[Domain], ...]] = {
    Bernoulli: (Bool,),
    Categorical: (Bool, Cat, Int),
    Table: (Bool, Cat, Int),
    Gaussian: (Real,),
    GaussianDerivative: (Real,),
    Poisson: (Count,),
    Binomial: (Int,),
    DiscretizedLogistic: (Cat, Int),
    Indicator: (Bool, Cat, Int, Count),
    One: (Bool, Cat, Int, Count, Real),
}


def require_domain(family: Family, variable: Variable) -> None:
    """Raises DanausError `wrong-domain` where the family is not defined on the variable's domain."""
    if isinstance(family, InputProduct):
        for factor in family.factors:
            require_domain(factor, variable)
        return
    while isinstance(family, InputPower | InputLog):
        family = family.base
    accepted = _DOMAINS[type(family)]
    domain = variable.domain
    name = name_of(family)
    if not isinstance(domain, accepted):
        names = " or ".join(kind.__name__.lower() for kind in accepted)
        raise error(
            "wrong-domain",
            f'{name} needs a variable of domain {names}; "{variable.name}" is {domain}',
            hint=f"on {domain} stand {', '.join(families_on(domain))}",
        )
    if isinstance(family, Binomial) and (not isinstance(domain, Int) or (domain.lo, domain.hi) != (0, family.n)):
        raise error(
            "wrong-domain",
            f'binomial with n = {family.n} needs int(0, {family.n}); "{variable.name}" is {domain}',
        )
    if isinstance(family, Indicator):
        require_value(variable, family.value)


def require_value(variable: Variable, value: float) -> None:
    """Raises DanausError `wrong-value` where a value is not in the variable's domain."""
    domain = variable.domain
    if isinstance(domain, Real):
        return
    low = domain.lo if isinstance(domain, Int) else 0
    high = None if isinstance(domain, Count) else low + domain.size - 1
    if value != int(value) or value < low or (high is not None and value > high):
        raise error(
            "wrong-value",
            f'"{variable.name}" is {domain} and has no value {value:g}',
            hint=f"its values go from {low} to {high}" if high is not None else "its values are 0, 1, 2, …",
        )


def families_on(domain: Domain) -> list[str]:
    """The names of the families that stand on a domain, as the language writes them."""
    return [
        name_of(kind)
        for kind, domains in _DOMAINS.items()
        if isinstance(domain, domains) and kind not in (One, GaussianDerivative)
    ]
