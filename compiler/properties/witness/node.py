"""A node as a witness shows it, and how scopes, places and assignments are spelt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ....ir.block import Block, Input
from ....ir.domain import Cat, Variable, first_value
from ....ir.family import name_of
from ....ir.span import Span

SHOWN = 6  # assignments of more variables are cut short
Json = dict[str, Any]
Places = list[tuple[str, Span | None]]
Assignment = tuple[tuple[Variable, float], ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a block, and its scope."""

    block: Block
    index: int
    scope: tuple[Variable, ...]

    @property
    def kind(self) -> str:
        """Whether it is an input, a product or a sum."""
        return type(self.block).__name__.lower()

    @property
    def span(self) -> Span | None:
        return self.block.span

    def __str__(self) -> str:
        what = self.kind
        if isinstance(self.block, Input):
            what = f"{name_of(self.block.family)} on {self.block.variable}"
        node = f"node {self.index} of " if self.block.width > 1 else ""
        place = f" at {self.span}" if self.span is not None else ""
        return f"{node}the {what}{place}"

    def to_json(self) -> Json:
        """Kind, index, place and scope."""
        return {
            "kind": self.kind,
            "node": self.index,
            "file": None if self.span is None else self.span.file,
            "line": None if self.span is None else self.span.line,
            "column": None if self.span is None else self.span.column,
            "scope": names_of(self.scope),
        }


def show_scope(variables: Collection[Variable]) -> str:
    """A scope as text, with its first names: {x, y, z}.

    >>> from danaus.ir.domain import Bool
    >>> show_scope([Variable("x", Bool()), Variable("y", Bool())])
    '{x, y}'
    """
    names = [variable.name for variable in list(variables)[:SHOWN]]
    more = len(variables) - SHOWN
    return f"{{{', '.join([*names, *([f'… {more} more'] if more > 0 else [])])}}}"


def numbered(node: Node) -> str:
    """Which node of its block it is, where that has several."""
    return f" (node {node.index})" if node.block.width > 1 else ""


def located(*notes: tuple[str, Node]) -> Places:
    """What is said of nodes that have a place, with it."""
    return [(message, node.span) for message, node in notes if node.span is not None]


def without(scope: tuple[Variable, ...], other: tuple[Variable, ...]) -> tuple[Variable, ...]:
    """The variables of one scope that are not in another."""
    taken = set(other)
    return tuple(variable for variable in scope if variable not in taken)


def names_of(variables: tuple[Variable, ...]) -> list[str]:
    """The names of variables."""
    return [variable.name for variable in variables]


def assigned(assignment: Sequence[tuple[Variable, float]]) -> str:
    """An assignment in words, its first variables."""
    shown = [f"{variable} = {_value(variable, value)}" for variable, value in assignment[:SHOWN]]
    more = len(assignment) - SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def weighed(variable: Variable, weights: tuple[float, ...]) -> str:
    """A variable that is summed, that has a value, or whose values have weights."""
    if all(weight == 1 for weight in weights):
        return f"{variable} summed out"
    if sorted(weights)[-2:-1] == [0.0] and max(weights) == 1:
        return f"{variable} = {_value(variable, first_value(variable.domain) + weights.index(1.0))}"
    return f"{variable} weighed [{', '.join(format(weight, 'g') for weight in weights)}]"


def _value(variable: Variable, value: float) -> str:
    if isinstance(variable.domain, Cat) and variable.domain.names:
        return variable.domain.names[int(value)]
    return format(value, "g")
