"""Witnesses by value: masses, and assignments at which something is negative, shared or wrong."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from ....ir.domain import Variable
from .node import SHOWN, Assignment, Json, Node, Places, assigned, located, names_of, numbered, weighed, without


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
        text = assigned(self.assignment)
        return f"the value at {text} is {self.value!r}" if text else f"the value is {self.value!r}"

    def notes(self) -> Places:
        """An assignment has no place."""
        return []

    def to_json(self) -> Json:
        """The assignment by names, and the value."""
        found = {variable.name: value for variable, value in self.assignment}
        return {"type": "negative-at", "text": str(self), "assignment": found, "value": self.value}


@dataclass(frozen=True, slots=True)
class DifferentValues:
    """Refutes equal: an assignment of the variables of both circuits, and the values there, which certainly differ."""

    assignment: Assignment
    first: float
    second: float

    def __str__(self) -> str:
        text = assigned(self.assignment)
        where = f"at {text} " if text else ""
        if self.first == self.second:
            return f"{where}both values are near {self.first!r}, and differ by less than its last digit"
        return f"{where}the first is {self.first!r}, the second {self.second!r}"

    def notes(self) -> Places:
        """An assignment has no place."""
        return []

    def to_json(self) -> Json:
        """The assignment by names, and the two values; null where they are beyond the floats."""
        finite = [value if math.isfinite(value) else None for value in (self.first, self.second)]
        found = {variable.name: value for variable, value in self.assignment}
        return {"type": "different-values", "text": str(self), "assignment": found, "values": finite}


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
        rest = [without(child.scope, self.shared) for child in (self.first, self.second)]
        text = f"{both} both possible{self._at(self.assignment, self.shared)}"
        if not any(rest):
            return text
        return f"{text}: the first{self._at(self.assignment, rest[0])}, the second{self._at(self.other, rest[1])}"

    def _at(self, assignment: Assignment, variables: Collection[Variable]) -> str:
        wanted = set(variables)
        text = assigned([(variable, value) for variable, value in assignment if variable in wanted])
        return f" at {text}" if text else ""

    def notes(self) -> Places:
        """The sum and the two children."""
        one, other = self.positions
        if self.first == self.second:
            return located(
                (f"this sum{numbered(self.node)}", self.node), (f"children {one} and {other} are this", self.first)
            )
        return located(
            (f"this sum{numbered(self.node)}", self.node),
            (f"child {one}{numbered(self.first)}", self.first),
            (f"child {other}{numbered(self.second)}", self.second),
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
            out["shared"] = names_of(self.shared)
            out["other"] = {variable.name: value for variable, value in self.other}
        return out


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
        parts = [weighed(variable, weights) for variable, weights in self.weights]
        more = len(parts) - SHOWN
        text = ", ".join(parts[:SHOWN]) + (f" and {more} more" if more > 0 else "")
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
