"""Calls: the names of those that give circuits, and arguments sorted into positional ones and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...ir.diagnostic import error, nearest
from ..syntax import Assignment, Call, Expression, Name

TEMPLATES = ("hmm", "chow_liu", "hclt", "rat", "poon_domingos", "quad_tree", "quad_graph", "mixture", "dfa")
OPERATORS = (
    "multiply",
    "power",
    "add",
    "scale",
    "rename",
    "smooth",
    "integrate",
    "condition",
    "restrict",
    "evidence",
    "log",
    "reciprocal",
    "divide",
    "normalize",
    "differentiate",
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands between a call's parentheses."""

    call: Call
    positional: tuple[Expression, ...]
    options: dict[str, Expression]
    assignments: tuple[Assignment, ...]


def arguments(
    call: Call,
    fewest: int,
    most: int | None,
    options: Sequence[str] = (),
    assigns: bool = False,
) -> Arguments:
    """Sorts a call's arguments: between `fewest` and `most` positional ones, and the options that it knows.

    With `assigns`, `target = value` gives variables values, as in `condition(p, x = 1)`, and is no option.

    Raises: DanausError `wrong-arguments`, `unknown-option`, `duplicate-name`.
    """
    positional: list[Expression] = []
    named: dict[str, Expression] = {}
    assignments: list[Assignment] = []
    name = call.name.text
    for argument in call.arguments:
        if not isinstance(argument, Assignment):
            if named or assignments:
                raise error("wrong-arguments", f"an argument of {name} after its options", argument.span)
            positional.append(argument)
        elif assigns:
            assignments.append(argument)
        elif not isinstance(argument.target, Name) or argument.target.text not in options:
            word = argument.target.text if isinstance(argument.target, Name) else "this"
            known = f"{name} takes {', '.join(options)}" if options else f"{name} takes no options"
            raise error(
                "unknown-option",
                f'{name} has no option "{word}"',
                argument.target.span,
                nearest(word, options) or known,
            )
        elif argument.target.text in named:
            raise error("duplicate-name", f'the option "{argument.target.text}" stands twice', argument.target.span)
        else:
            named[argument.target.text] = argument.value
    if len(positional) < fewest or (most is not None and len(positional) > most):
        wanted = f"{fewest} or more" if most is None else str(fewest) if most == fewest else f"{fewest} to {most}"
        plural = "" if wanted == "1" else "s"
        raise error("wrong-arguments", f"{name} takes {wanted} argument{plural}, not {len(positional)}", call.span)
    return Arguments(call, tuple(positional), named, tuple(assignments))
