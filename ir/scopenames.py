"""Variables and scopes as short text: arrays as slices, long lists cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from .block import Block
from .circuit import Circuit
from .domain import Variable
from .linear import Indices

_ELEMENT = re.compile(r"(.+)\[(0|[1-9][0-9]{0,8})\]", re.DOTALL)
_MOST_NAMES = 6


def names_of(variables: Sequence[Variable], most: int = _MOST_NAMES) -> str:
    """Variables by name, in order; those of an array that stand in a row as a slice, and not too many.

    >>> from danaus.ir.domain import Bool
    >>> names_of([Variable("a", Bool()), *(Variable(f"x[{i}]", Bool()) for i in range(2, 5))])
    'a, x[2..5]'
    """
    return ScopeNames(variables).text(np.arange(len(variables)), most)


class ScopeNames:
    """Scopes of some variables as text; names are looked at once, however many scopes there are."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.elements = [_element(variable.name) for variable in variables]
        follows = [False] + [
            other == (stem, place + 1) if place is not None else False
            for (stem, place), other in pairwise(self.elements)
        ]
        self.follows = np.array(follows, dtype=bool)[: len(variables)]

    def text(self, scope: Indices, most: int = _MOST_NAMES) -> str:
        """The variables at these positions, which are in order."""
        if not len(scope):
            return ""
        joined = self.follows[scope].copy()
        joined[0] = False
        joined[1:] &= np.diff(scope) == 1
        starts = np.flatnonzero(~joined)
        bounds = [*starts[: most + 1].tolist(), len(scope)]
        shown: list[str] = []
        for first, last in list(pairwise(bounds))[:most]:
            stem, place = self.elements[scope[first]]
            if place is None:
                shown.append(stem)
            else:
                shown.append(f"{stem}[{place}]" if last == first + 1 else f"{stem}[{place}..{place + last - first}]")
        hidden = len(scope) - bounds[min(most, len(bounds) - 1)]
        return ", ".join([*shown, *([f"and {hidden} more"] if hidden else [])])


def _element(name: str) -> tuple[str, int | None]:
    """An array's name and the place in it, where a name is one of an element; else the name and None."""
    found = _ELEMENT.fullmatch(name)
    return (found.group(1), int(found.group(2))) if found else (name, None)


def scope_text(circuit: Circuit, names: ScopeNames, block: Block) -> str:
    """The scope of a block's nodes, or how many scopes they have; `names` are those of the circuit's scopes."""
    rows = circuit.scopes.rows(block)
    if len(rows) > 1:
        sizes = np.bitwise_count(rows).sum(axis=1)
        return f"{len(rows)} scopes of {sizes.min()} to {sizes.max()} variables"
    bits = np.unpackbits(np.ascontiguousarray(rows[0]).view(np.uint8), bitorder="little")
    return names.text(np.flatnonzero(bits))


def variables_text(variables: Iterable[Variable]) -> list[str]:
    """Variables in order with their domains, neighbours of one domain together."""
    groups: list[list[Variable]] = []
    for variable in variables:
        if groups and groups[-1][0].domain == variable.domain:
            groups[-1].append(variable)
        else:
            groups.append([variable])
    return [f"{names_of(group)} : {group[0].domain}" for group in groups]
