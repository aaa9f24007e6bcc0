"""What refutes a property: nodes, scopes or an assignment, with their places.

Each witness says in a sentence what it shows (`str`), names the places to look at (`notes`), and gives itself as JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ...ir.block import Block, Input
from ...ir.domain import Cat, Variable, first_value
from ...ir.family import name_of
from ...ir.span import Span

_SHOWN = 6
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
            "scope": _names(self.scope),
        }


@dataclass(frozen=True, slots=True)
class DifferentScopes:
    """Refutes smooth: two children of one sum node, both of non-zero weight, have different scopes."""

    node: Node
    first: Node
    second: Node

    def __str__(self) -> str:
        ones = _without(self.first.scope, self.second.scope)
        others = _without(self.second.scope, self.first.scope)
        parts = [f"only the first has {show_scope(ones)}"] if ones else []
        parts += [f"only the second has {show_scope(others)}"] if others else []
        return f"two children of {self.node} have different scopes: {' and '.join(parts)}"

    def notes(self) -> Places:
        """The sum and the two children."""
        return _placed(
            (f"this sum{_of(self.node)}", self.node),
            (f"its child{_of(self.first)} has the scope {show_scope(self.first.scope)}", self.first),
            (f"its child{_of(self.second)} has the scope {show_scope(self.second.scope)}", self.second),
        )

    def to_json(self) -> Json:
        """The three nodes."""
        return {
            "type": "different-scopes",
            "text": str(self),
            "node": self.node.to_json(),
            "children": [self.first.to_json(), self.second.to_json()],
        }


@dataclass(frozen=True, slots=True)
class SharedVariables:
    """Refutes decomposable: two factors of one product node, by their positions, share variables."""

    node: Node
    first: Node
    second: Node
    positions: tuple[int, int]
    shared: tuple[Variable, ...]

    def __str__(self) -> str:
        one, other = self.positions
        return f"factors {one} and {other} of {self.node} share {show_scope(self.shared)}"

    def notes(self) -> Places:
        """The product and the two factors."""
        one, other = self.positions
        if self.first == self.second:
            both = f"its factors {one} and {other} are one, of scope {show_scope(self.first.scope)}"
            return _placed((f"this product{_of(self.node)}", self.node), (both, self.first))
        return _placed(
            (f"this product{_of(self.node)}", self.node),
            (f"its factor {one} has the scope {show_scope(self.first.scope)}", self.first),
            (f"its factor {other} has the scope {show_scope(self.second.scope)}", self.second),
        )

    def to_json(self) -> Json:
        """The three nodes, the positions of the factors and what they share."""
        return {
            "type": "shared-variables",
            "text": str(self),
            "node": self.node.to_json(),
            "children": [self.first.to_json(), self.second.to_json()],
            "positions": list(self.positions),
            "shared": _names(self.shared),
        }


@dataclass(frozen=True, slots=True)
class OverlappingScopes:
    """Refutes structured: factors of two product nodes whose scopes are neither nested nor disjoint."""

    nodes: tuple[Node, Node]
    factors: tuple[Node, Node]

    def __str__(self) -> str:
        first, second = (factor.scope for factor in self.factors)
        both = tuple(variable for variable in first if variable in set(second))
        return (
            f"the scopes {show_scope(first)}, under {self.nodes[0]}, and {show_scope(second)}, under {self.nodes[1]}, "
            f"share {show_scope(both)}, but neither holds the other"
        )

    def notes(self) -> Places:
        """The two products."""
        return _placed(
            *(
                (f"this product{_of(node)} has a factor of scope {show_scope(factor.scope)}", node)
                for node, factor in zip(self.nodes, self.factors, strict=True)
            )
        )

    def to_json(self) -> Json:
        """The two products and their factors."""
        return {
            "type": "overlapping-scopes",
            "text": str(self),
            "nodes": [node.to_json() for node in self.nodes],
            "children": [factor.to_json() for factor in self.factors],
        }


@dataclass(frozen=True, slots=True)
class Mass:
    """Refutes normalized: the total mass, and its natural logarithm and sign; infinite where the integral diverges."""

    value: float
    logarithm: float

    def __str__(self) -> str:
        if self.value in (float("inf"), float("-inf")) and self.logarithm == float("inf"):
            return "the total mass diverges: the constant 1 on an infinite domain has no finite integral"
        return f"the total mass is {self.value!r}, of logarithm {self.logarithm!r}"

    def notes(self) -> Places:
        """A mass has no place."""
        return []

    def to_json(self) -> Json:
        """The mass and its logarithm; null where they are not finite."""
        finite = [None if number in (float("inf"), float("-inf")) else number for number in self._numbers]
        return {"type": "mass", "text": str(self), "value": finite[0], "logarithm": finite[1]}

    @property
    def _numbers(self) -> tuple[float, float]:
        return self.value, self.logarithm


@dataclass(frozen=True, slots=True)
class NegativeAt:
    """Refutes nonnegative: an assignment, and the circuit's value there, which is certainly below zero."""

    assignment: Assignment
    value: float

    def __str__(self) -> str:
        text = _assigned(self.assignment)
        return f"the value at {text} is {self.value!r}" if text else f"the value is {self.value!r}"

    def notes(self) -> Places:
        """An assignment has no place."""
        return []

    def to_json(self) -> Json:
        """The assignment by names, and the value."""
        found = {variable.name: value for variable, value in self.assignment}
        return {"type": "negative-at", "text": str(self), "assignment": found, "value": self.value}


@dataclass(frozen=True, slots=True)
class CommonSupport:
    """Refutes deterministic: two children of one sum node are non-zero at one complete assignment.

    Of determinism for some of the variables: the two assignments agree on `shared`, and `assignment` makes the first
    child non-zero, `other` the second.
    """

    node: Node
    first: Node
    second: Node
    positions: tuple[int, int]
    assignment: Assignment
    shared: tuple[Variable, ...] | None = None
    other: Assignment = ()

    def __str__(self) -> str:
        one, second = self.positions
        both = f"children {one} and {second} of {self.node} are"
        if self.shared is None:
            return f"{both} both non-zero{self._at(self.assignment, self.node.scope)}"
        rest = [_without(child.scope, self.shared) for child in (self.first, self.second)]
        text = f"{both} both possible{self._at(self.assignment, self.shared)}"
        if not any(rest):
            return text
        return f"{text}: the first{self._at(self.assignment, rest[0])}, the second{self._at(self.other, rest[1])}"

    def _at(self, assignment: Assignment, variables: Collection[Variable]) -> str:
        wanted = set(variables)
        text = _assigned([(variable, value) for variable, value in assignment if variable in wanted])
        return f" at {text}" if text else ""

    def notes(self) -> Places:
        """The sum and the two children."""
        one, other = self.positions
        if self.first == self.second:
            return _placed(
                (f"this sum{_of(self.node)}", self.node), (f"children {one} and {other} are this", self.first)
            )
        return _placed(
            (f"this sum{_of(self.node)}", self.node),
            (f"child {one}{_of(self.first)}", self.first),
            (f"child {other}{_of(self.second)}", self.second),
        )

    def to_json(self) -> Json:
        """The three nodes, the positions of the children, and the assignment by names."""
        out = {
            "type": "common-support",
            "text": str(self),
            "node": self.node.to_json(),
            "children": [self.first.to_json(), self.second.to_json()],
            "positions": list(self.positions),
            "assignment": {variable.name: value for variable, value in self.assignment},
        }
        if self.shared is not None:
            out["shared"] = _names(self.shared)
            out["other"] = {variable.name: value for variable, value in self.other}
        return out


@dataclass(frozen=True, slots=True)
class WideFactor:
    """Refutes omni_compatible: a factor of a product node that has more than one variable."""

    node: Node
    factor: Node
    position: int

    def __str__(self) -> str:
        scope = self.factor.scope
        return f"factor {self.position} of {self.node} has {len(scope)} variables, {show_scope(scope)}"

    def notes(self) -> Places:
        """The product and its factor."""
        return _placed(
            (f"this product{_of(self.node)}", self.node),
            (
                f"its factor {self.position}{_of(self.factor)} has the scope {show_scope(self.factor.scope)}",
                self.factor,
            ),
        )

    def to_json(self) -> Json:
        """The two nodes and the position of the factor."""
        return {
            "type": "wide-factor",
            "text": str(self),
            "node": self.node.to_json(),
            "children": [self.factor.to_json()],
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class CrossingScopes:
    """Refutes compatible: a factor of a product of each circuit, whose scopes overlap over the shared variables."""

    nodes: tuple[Node, Node]
    factors: tuple[Node, Node]
    shared: tuple[Variable, ...]

    def __str__(self) -> str:
        first, second = self._within
        both = tuple(variable for variable in first if variable in set(second))
        return (
            f"the scopes {show_scope(first)}, under {self.nodes[0]} of the first circuit, and {show_scope(second)}, "
            f"under {self.nodes[1]} of the second, share {show_scope(both)}, but neither holds the other"
        )

    @property
    def _within(self) -> tuple[tuple[Variable, ...], tuple[Variable, ...]]:
        """The two scopes, as far as the circuits share them."""
        shared = set(self.shared)
        one, other = (tuple(v for v in factor.scope if v in shared) for factor in self.factors)
        return one, other

    def notes(self) -> Places:
        """The two products."""
        return _placed(
            *(
                (f"this product{_of(node)} has a factor of scope {show_scope(factor.scope)}", node)
                for node, factor in zip(self.nodes, self.factors, strict=True)
            )
        )

    def to_json(self) -> Json:
        """The two products, their factors, and the factors' scopes over the shared variables."""
        return {
            "type": "crossing-scopes",
            "text": str(self),
            "nodes": [node.to_json() for node in self.nodes],
            "children": [factor.to_json() for factor in self.factors],
            "scopes": [_names(scope) for scope in self._within],
        }


@dataclass(frozen=True, slots=True)
class WrongSum:
    """Refutes the exactness of a marginalisation program: weights on the values of each variable, and the two sums.

    `computed` is what the circuit gives when each input is summed under the weights, `true` the sum of its values.
    """

    program: str
    weights: tuple[tuple[Variable, tuple[float, ...]], ...]
    computed: float
    true: float

    def __str__(self) -> str:
        parts = [_weighed(variable, weights) for variable, weights in self.weights]
        more = len(parts) - _SHOWN
        text = ", ".join(parts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        where = f" with {text}" if text else ""
        return f"fed forward, the sum{where} is {self.computed!r}, but it is {self.true!r}"

    def notes(self) -> Places:
        """A sum has no place."""
        return []

    def to_json(self) -> Json:
        """The program, the weights by names, and the two sums."""
        return {
            "type": "wrong-sum",
            "text": str(self),
            "program": self.program,
            "weights": {variable.name: list(weights) for variable, weights in self.weights},
            "computed": self.computed,
            "true": self.true,
        }


Witness = (
    DifferentScopes
    | SharedVariables
    | OverlappingScopes
    | Mass
    | NegativeAt
    | CommonSupport
    | WideFactor
    | CrossingScopes
    | WrongSum
)


def show_scope(variables: Collection[Variable]) -> str:
    """A scope as text, with its first names: {x, y, z}.

    >>> from danaus.ir.domain import Bool
    >>> show_scope([Variable("x", Bool()), Variable("y", Bool())])
    '{x, y}'
    """
    names = [variable.name for variable in list(variables)[:_SHOWN]]
    more = len(variables) - _SHOWN
    return f"{{{', '.join([*names, *([f'… {more} more'] if more > 0 else [])])}}}"


def _of(node: Node) -> str:
    return f" (node {node.index})" if node.block.width > 1 else ""


def _placed(*notes: tuple[str, Node]) -> Places:
    return [(message, node.span) for message, node in notes if node.span is not None]


def _without(scope: tuple[Variable, ...], other: tuple[Variable, ...]) -> tuple[Variable, ...]:
    taken = set(other)
    return tuple(variable for variable in scope if variable not in taken)


def _names(variables: tuple[Variable, ...]) -> list[str]:
    return [variable.name for variable in variables]


def _assigned(assignment: Sequence[tuple[Variable, float]]) -> str:
    shown = [f"{variable} = {_value(variable, value)}" for variable, value in assignment[:_SHOWN]]
    more = len(assignment) - _SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _weighed(variable: Variable, weights: tuple[float, ...]) -> str:
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
