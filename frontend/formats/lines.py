"""What the readers of logical circuits share: lines of nodes that start with a letter, literals.

A sentence, an SDD or a PSDD is a line per node; its literals are indicators of the variables x1 … xn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...ir.block import Block, input_block
from ...ir.diagnostic import Diagnostic, error
from ...ir.domain import Variable, first_value
from ...ir.family import Indicator
from ...ir.linear import Indices
from .options import ForeignOptions
from .single import MAX_VARIABLES
from .tokens import Booleans, Words


def require_letters(words: Words, lines: Indices, allowed: bytes, said: str) -> None:
    """Raises DanausError `wrong-node` where one of some lines starts with something else than the allowed letters."""
    table = np.zeros(256, dtype=bool)
    table[list(allowed)] = True
    known = table[words.letters[lines]] & words.alone[lines]
    if not known.all():
        place = int(words.lines[lines[np.flatnonzero(~known)[0]]])
        raise error("wrong-node", f'"{words.word(place)[:40]}" is no kind of node', words.span(place), hint=said)


def require_literals(words: Words, places: Indices | Booleans, literals: Indices, declared: int | None) -> None:
    """Raises DanausError `wrong-literal` for 0, or for a variable beyond those declared.

    The literals stand at these places, or where these are true.
    """
    most = MAX_VARIABLES if declared is None else min(declared, MAX_VARIABLES)
    bad = np.flatnonzero((literals == 0) | (np.abs(literals) > most))
    if not len(bad):
        return
    literal, span = int(literals[bad[0]]), words.span(_place(places, int(bad[0])))
    if not literal:
        hint = "variables count from 1; -1 is the first, negated"
        raise error("wrong-literal", "0 is no literal", span, hint=hint)
    raise error("wrong-literal", f"variable {abs(literal)} is out of range", span, hint=f"they go from 1 to {most}")


def _place(places: Indices | Booleans, at: int) -> int:
    return int(np.flatnonzero(places)[at] if places.dtype == np.bool_ else places[at])


def distinct(literals: Indices) -> tuple[Indices, NDArray[np.int32]]:
    """The different ones of some literals that are in range, ascending, and of each which it is."""
    most = int(np.abs(literals).max(initial=0))
    there = np.zeros(2 * most + 1, dtype=bool)
    there[literals + most] = True
    which = (np.cumsum(there, dtype=np.int32) - 1)[literals + most]
    return np.asarray(np.flatnonzero(there) - most), np.asarray(which)


def indicators(literals: Indices, variables: tuple[Variable, ...]) -> list[Block]:
    """An input block of width 1 for each literal: ±v of variables[v − 1], whose first value is the false one."""
    made: list[Block] = []
    for literal in literals.tolist():
        variable = variables[abs(literal) - 1]
        made.append(input_block(Indicator(first_value(variable.domain) + (literal > 0)), variable))
    return made


def unsaid(path: Path, largest: int, options: ForeignOptions) -> list[Diagnostic]:
    """The note that neither the file nor the caller says how many variables there are."""
    if options.variables is not None:
        return []
    message = f"{path.name} does not say how many variables it has: {largest}, the largest that it mentions"
    hint = "`variables=…` says how many it has; those that it does not mention multiply its count"
    return [Diagnostic("variables", message, hint=hint, severity="note")]
