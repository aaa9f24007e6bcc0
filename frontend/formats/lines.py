"""What the readers of logical circuits share: lines of nodes that start with a letter, literals, comments.

A sentence, an SDD or a PSDD is a line per node; its literals are indicators of the variables x1 … xn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...ir.block import Block, input_block
from ...ir.diagnostic import Diagnostic, error
from ...ir.domain import Variable, first_value
from ...ir.family import Indicator
from ...ir.linear import Indices
from .options import ForeignOptions
from .single import MAX_VARIABLES
from .tokens import Bytes, Words


def without_comments(words: Words) -> Words:
    """The words of the lines whose first word is not `c`."""
    firsts = words.lines[:-1]
    comment = (words.letters == ord("c")) & (words.ends[firsts] - words.starts[firsts] == 1)
    return words.without(comment) if comment.any() else words


def require_letters(words: Words, firsts: Indices, letters: Bytes, allowed: bytes, said: str) -> None:
    """Raises DanausError `wrong-node` where a line starts with something else than the allowed letters."""
    known = np.isin(letters, np.frombuffer(allowed, dtype=np.uint8)) & (words.ends[firsts] - words.starts[firsts] == 1)
    if not known.all():
        place = int(firsts[np.flatnonzero(~known)[0]])
        raise error("wrong-node", f'"{words.word(place)[:40]}" is no kind of node', words.span(place), hint=said)


def require_literals(words: Words, places: Indices, literals: Indices, declared: int | None) -> None:
    """Raises DanausError `wrong-literal` for 0, or for a variable beyond those declared."""
    most = MAX_VARIABLES if declared is None else min(declared, MAX_VARIABLES)
    bad = np.flatnonzero((literals == 0) | (np.abs(literals) > most))
    if not len(bad):
        return
    literal, span = int(literals[bad[0]]), words.span(int(places[bad[0]]))
    if not literal:
        hint = "variables count from 1; -1 is the first, negated"
        raise error("wrong-literal", "0 is no literal", span, hint=hint)
    raise error("wrong-literal", f"variable {abs(literal)} is out of range", span, hint=f"they go from 1 to {most}")


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
