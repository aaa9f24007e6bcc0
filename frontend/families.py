"""Input families by their names in the language, with fresh parameters or given ones."""

from __future__ import annotations

from ..ir.block import Input, input_block
from ..ir.diagnostic import error, nearest
from ..ir.domain import Bool, Cat, Count, Domain, Int, Real, Variable
from ..ir.family import (
    Bernoulli,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Family,
    Gaussian,
    Poisson,
    Table,
    parts,
    require_domain,
)
from ..ir.span import Span
from .maps import Make

FAMILY_NAMES = ("bernoulli", "categorical", "table", "gaussian", "poisson", "binomial", "discretized_logistic")


def family_named(name: str, variable: Variable) -> Family:
    """The family of a name, on a variable; binomial takes n from the domain.

    Raises: DanausError `unknown-family` or `wrong-domain`.
    """
    family: Family
    match name:
        case "bernoulli":
            family = Bernoulli()
        case "categorical":
            family = Categorical()
        case "table":
            family = Table()
        case "gaussian":
            family = Gaussian()
        case "poisson":
            family = Poisson()
        case "binomial":
            family = Binomial(variable.domain.hi if isinstance(variable.domain, Int) else 0)
        case "discretized_logistic":
            family = DiscretizedLogistic()
        case _:
            hint = nearest(name, FAMILY_NAMES) or f"families are {', '.join(FAMILY_NAMES)}"
            raise error("unknown-family", f'there is no family "{name}"', hint=hint)
    require_domain(family, variable)
    return family


def default_family(domain: Domain) -> str:
    """The family that templates take for a domain unless told otherwise."""
    match domain:
        case Bool():
            return "bernoulli"
        case Cat() | Int():
            return "categorical"
        case Count():
            return "poisson"
        case Real():
            return "gaussian"


def fresh_input(name: str, variable: Variable, width: int, make: Make, span: Span | None = None) -> Input:
    """An input of `width` nodes with fresh parameters, from `make(shape, constraint)`: means before deviations."""
    family = family_named(name, variable)
    made = [make((width, *part.shape), part.constraint) for part in parts(family, variable.domain)]
    return input_block(family, variable, made, span)
