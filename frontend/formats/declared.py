"""The variables of a foreign file: those of the importing file where the names agree, new ones otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain, Variable


def declared(
    names: Sequence[str],
    domains: Sequence[FiniteDomain],
    over: Sequence[Variable] | None,
    known: Mapping[str, Variable],
) -> tuple[Variable, ...]:
    """The variables in file order; `over` names them all, in order, and only numbers of values must agree.

    Raises: DanausError `two-domains` or `wrong-arguments`.
    """
    if over is None:
        return tuple(_one(name, domain, known) for name, domain in zip(names, domains, strict=True))
    if len(over) != len(names):
        raise error("wrong-arguments", f"`over` names {len(over)} variables, but the file has {len(names)}")
    if len({variable.name for variable in over}) != len(over):
        raise error("wrong-arguments", "`over` names a variable twice")
    for variable, name, domain in zip(over, names, domains, strict=True):
        if variable.size != domain.size:
            raise error("two-domains", f'"{variable.name}" is {variable.domain}, but "{name}" of the file is {domain}')
    return tuple(over)


def _one(name: str, domain: FiniteDomain, known: Mapping[str, Variable]) -> Variable:
    found = known.get(name)
    if found is None:
        return Variable(name, domain)
    if found.domain != domain:
        hint = "domains must agree; `over` gives the file's variables the names of others"
        raise error("two-domains", f'"{name}" is {found.domain} here and {domain} in the file', hint=hint)
    return found
