"""Witnesses about scopes: what refutes smooth, decomposable, structured and the compatible ones."""

from __future__ import annotations

from dataclasses import dataclass

from ....ir.domain import Variable
from .node import Json, Node, Places, located, names_of, numbered, show_scope, without


@dataclass(frozen=True, slots=True)
class DifferentScopes:
    """Refutes smooth: two children of one sum node, both of non-zero weight, have different scopes."""

    node: Node
    first: Node
    second: Node

    def __str__(self) -> str:
        ones = without(self.first.scope, self.second.scope)
        others = without(self.second.scope, self.first.scope)
        parts = [f"only the first has {show_scope(ones)}"] if ones else []
        parts += [f"only the second has {show_scope(others)}"] if others else []
        return f"two children of {self.node} have different scopes: {' and '.join(parts)}"

    def notes(self) -> Places:
        """The sum and the two children."""
        return located(
            (f"this sum{numbered(self.node)}", self.node),
            (f"its child{numbered(self.first)} has the scope {show_scope(self.first.scope)}", self.first),
            (f"its child{numbered(self.second)} has the scope {show_scope(self.second.scope)}", self.second),
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
            return located((f"this product{numbered(self.node)}", self.node), (both, self.first))
        return located(
            (f"this product{numbered(self.node)}", self.node),
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
            "shared": names_of(self.shared),
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
        return located(
            *(
                (f"this product{numbered(node)} has a factor of scope {show_scope(factor.scope)}", node)
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
        return located(
            (f"this product{numbered(self.node)}", self.node),
            (
                f"its factor {self.position}{numbered(self.factor)} has the scope {show_scope(self.factor.scope)}",
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
        return located(
            *(
                (f"this product{numbered(node)} has a factor of scope {show_scope(factor.scope)}", node)
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
            "scopes": [names_of(scope) for scope in self._within],
        }
