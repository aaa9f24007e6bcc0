"""What all readers share: a file's variables, and the spec of its one circuit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...ir.block import Block, Input, in_order
from ...ir.circuit import Circuit
from ...ir.diagnostic import Diagnostic, error
from ...ir.domain import Bool, Domain, Variable
from ...ir.parameter import Parameter, Value
from ...ir.store import Store
from ..spec import Spec
from .options import ForeignOptions

CIRCUIT = "circuit"
MAX_VARIABLES = 1 << 18


def file_variables(
    wanted: Sequence[tuple[str, Domain]], options: ForeignOptions, known: Mapping[str, Variable]
) -> tuple[Variable, ...]:
    """The variables of a file: those that `over` names, in order; else the known ones of these names, or new ones.

    Raises: DanausError `wrong-arguments` where `over` names more or fewer, `two-domains` where a domain does not agree
    (of a variable that `over` names, the number of its values).
    """
    if options.over is not None:
        if len(options.over) != len(wanted):
            raise error(
                "wrong-arguments",
                f"over names {len(options.over)} variables, but the file has {len(wanted)}",
                hint="name one for each variable of the file, in order",
            )
        for variable, (name, domain) in zip(options.over, wanted, strict=True):
            if variable.size != Variable(name, domain).size:
                raise error("two-domains", f'"{variable}" is {variable.domain}, but {name} of the file is {domain}')
        return options.over
    found: list[Variable] = []
    for name, domain in wanted:
        mine = known.get(name)
        if mine is not None and mine.domain != domain:
            raise error(
                "two-domains",
                f'"{name}" is {mine.domain} here, but {domain} in the file',
                hint="`over=[…]` gives the file's variables other names",
            )
        found.append(mine or Variable(name, domain))
    return tuple(found)


def boolean_variables(count: int, options: ForeignOptions, known: Mapping[str, Variable]) -> tuple[Variable, ...]:
    """The variables of a format without names: x1 … xn, each bool.

    Raises: DanausError `too-large` beyond a quarter of a million: a header costs no more than its file.
    """
    if count > MAX_VARIABLES:
        raise error("too-large", f"{count} variables are too many", hint=f"at most {MAX_VARIABLES} are read")
    return file_variables([(f"x{number}", Bool()) for number in range(1, count + 1)], options, known)


def variable_count(declared: int | None, largest: int, options: ForeignOptions) -> int:
    """How many variables a file has: as it declares, as the caller says, or up to the largest that it mentions.

    Raises: DanausError `wrong-option` where the caller says fewer than the file mentions, or other than it declares.
    """
    if options.variables is None:
        return max(declared or 0, largest)
    if options.variables < 0 or options.variables < largest:
        message = f"the file mentions variable {largest}, but variables is {options.variables}"
        raise error("wrong-option", message, hint="give at least as many as it mentions")
    if declared is not None and declared != options.variables:
        raise error("wrong-option", f"the file has {declared} variables, but variables is {options.variables}")
    return options.variables


def single(
    path: Path,
    variables: tuple[Variable, ...],
    root: Block,
    values: Mapping[str, tuple[Parameter, Value]],
    notes: Iterable[Diagnostic] = (),
) -> Spec:
    """The spec of one circuit; the variables that it does not mention are free."""
    store = Store(dict(values.values()))
    mentioned = {block.variable.order for block in in_order(root) if isinstance(block, Input)}  # which no two share
    free = tuple(variable for variable in variables if variable.order not in mentioned)
    circuit = Circuit(root, store, CIRCUIT, free)
    parameters = {name: parameter for name, (parameter, _) in values.items()}
    return Spec(str(path), path.parent, variables, {CIRCUIT: circuit}, parameters, store, diagnostics=tuple(notes))
