"""The exact proof of determinism: whether two children share an assignment, found along their structure.

A question is a set of nodes: is there an assignment on which all of them are non-zero? Nodes without a common variable
are independent questions. A sum is one of its children, a product all of its factors; the node of the largest scope is
taken apart first, so that along a common vtree a question is a pair of nodes, or a node and the factors of another
within its scope, each asked once. Where scopes cross, questions grow, and the budget ends them. No recursion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ....ir.support import Booleans
from .budget import Meter
from .domains import Domains
from .graph import INPUT, PRODUCT, SUM, Graph

# A question of more nodes counts as several.
_NODES_A_STEP = 16

# Nodes, and what is demanded of single variables, as negative numbers.
State = tuple[int, ...]


@dataclass(slots=True)
class Parts:
    """A question taken apart: single variables, with the classes that are left; nodes alone; and questions."""

    inputs: dict[int, int]
    alone: list[int]
    states: list[State]


@dataclass(slots=True)
class _Frame:
    """A question under way: what is left beside the node that is taken apart, and how far its ways were tried."""

    state: State
    ways: list[State]
    way: int = 0
    parts: Parts | None = None
    place: int = 0


@dataclass(slots=True)
class Search:
    """Questions about the wanted nodes of a graph, each asked once.

    Over `shared` variables only (as bits), nodes share an assignment of these, and each has a completion of its own;
    the wanted nodes are decomposable then.
    """

    graph: Graph
    domains: Domains
    wanted: Booleans
    meter: Meter
    shared: int = -1
    scopes: list[int] = field(init=False)
    simple: list[bool] = field(init=False)
    possible: list[bool] = field(init=False)
    _kinds: list[int] = field(init=False)
    _variable: list[int] = field(init=False)
    _full: list[int] = field(init=False)
    _known: dict[State, int] = field(init=False, default_factory=dict[State, int])
    _names: dict[tuple[int, int], int] = field(init=False, default_factory=dict[tuple[int, int], int])
    _demands: list[tuple[int, int]] = field(init=False, default_factory=list[tuple[int, int]])

    def __post_init__(self) -> None:
        graph, domains = self.graph, self.domains
        self._kinds, self._variable = graph.kinds.tolist(), domains.variable.tolist()
        self._full = [(1 << size) - 1 for size in domains.sizes.tolist()]
        self.scopes, self.simple, self.possible = [0] * graph.size, [True] * graph.size, [True] * graph.size
        scopes, simple, possible = self.scopes, self.simple, self.possible
        for node in np.flatnonzero(self.wanted).tolist():
            kind = self._kinds[node]
            if kind == INPUT:
                scopes[node], possible[node] = 1 << self._variable[node], domains.mask(node) > 0
                continue
            whole, apart, good = 0, True, True
            some = kind == PRODUCT
            for child in graph.below(node):
                scope = scopes[child]
                apart = apart and not whole & scope
                whole |= scope
                good = good and simple[child]
                some = (some and possible[child]) if kind == PRODUCT else (some or possible[child])
            scopes[node], possible[node] = whole, some
            simple[node] = good and (apart or kind == SUM)

    def together(self, nodes: Iterable[int]) -> bool | None:
        """Whether some assignment makes all the nodes non-zero; None where the budget is spent."""
        if not self.meter.take():
            return None
        parts = self._split(nodes)
        return False if parts is None else self._all(parts)

    def _all(self, parts: Parts) -> bool | None:
        for state in parts.states:
            answer = self._holds(state)
            if not answer:
                return answer
        return True

    def assignment(self, nodes: Iterable[int]) -> dict[int, int]:
        """The class of each variable that matters, of an assignment that makes all the nodes non-zero; there is one."""
        found: dict[int, int] = {}
        parts = self._split(nodes)
        assert parts is not None and self._all(parts)
        stack = [parts]
        while stack:
            parts = stack.pop()
            for variable, mask in parts.inputs.items():
                found[variable] = (mask & -mask).bit_length() - 1
            for node in parts.alone:
                self._complete(node, found)
            for state in parts.states:
                below = self._split(self._ways(state)[self._known[state]])
                assert below is not None
                stack.append(below)
        return found

    def completed(self, node: int, fixed: dict[int, int]) -> dict[int, int]:
        """The class of each variable that matters, of an assignment that keeps the fixed ones; there is one."""
        demands = [self._name(variable, 1 << each) for variable, each in fixed.items()]
        own = [name for name in demands if (self.scopes[node] >> self._demands[-1 - name][0]) & 1]
        return self.assignment((node, *own))

    def _complete(self, node: int, found: dict[int, int]) -> None:
        """Adds an assignment that makes a node alone non-zero."""
        stack = [node]
        while stack:
            node = stack.pop()
            match self._kinds[node]:
                case 0:
                    mask = self.domains.mask(node)
                    found[self._variable[node]] = (mask & -mask).bit_length() - 1
                case 1:
                    stack.extend(self.graph.below(node))
                case _:
                    stack.append(next(child for child in self.graph.below(node) if self.possible[child]))

    def _split(self, nodes: Iterable[int]) -> Parts | None:
        """The independent parts of a question; None where it is settled that there is no such assignment."""
        inputs: dict[int, int] = {}
        compound: set[int] = set()
        for node in nodes:
            if node < 0:
                variable, mask = self._demands[-1 - node]
            elif not self.possible[node]:
                return None
            elif self._kinds[node] == INPUT:
                variable, mask = self._variable[node], self.domains.mask(node)
                if not (self.shared >> variable) & 1:
                    continue
            else:
                compound.add(node)
                continue
            inputs[variable] = inputs.get(variable, -1) & mask
            if not inputs[variable]:
                return None
        groups: list[tuple[int, list[int]]] = []
        for node in compound:
            whole, members = self.scopes[node] & self.shared, [node]
            apart: list[tuple[int, list[int]]] = []
            for group in groups:
                if group[0] & whole:
                    whole |= group[0]
                    members += group[1]
                else:
                    apart.append(group)
            apart.append((whole, members))
            groups = apart
        found = Parts(inputs, [], [])
        for whole, members in groups:
            demands = [self._name(v, mask) for v, mask in inputs.items() if (whole >> v) & 1 and mask != self._full[v]]
            if len(members) == 1 and not demands and self.simple[members[0]]:
                found.alone.append(members[0])
            else:
                found.states.append(tuple(sorted([*members, *demands])))
        return found

    def _name(self, variable: int, mask: int) -> int:
        """The negative number that demands of a variable that it is of some classes."""
        number = self._names.get((variable, mask))
        if number is None:
            number = self._names[variable, mask] = -1 - len(self._demands)
            self._demands.append((variable, mask))
        return number

    def _ways(self, state: State) -> list[State]:
        """The questions of which one must hold for this one to: its largest node taken apart, products before sums."""
        chosen = max(
            (node for node in state if node >= 0),
            key=lambda node: (
                (self.scopes[node] & self.shared).bit_count(),
                self._kinds[node] == PRODUCT,
                -len(self.graph.below(node)),
                node,
            ),
        )
        rest = tuple(node for node in state if node != chosen)
        if self._kinds[chosen] == PRODUCT:
            return [(*rest, *self.graph.below(chosen))]
        return [(*rest, child) for child in self.graph.below(chosen)]

    def _holds(self, question: State) -> bool | None:
        """Whether a question has an assignment, by trying its ways one after the other."""
        known = self._known
        if question in known:
            return known[question] >= 0
        stack = [_Frame(question, self._ways(question))]
        while stack:
            frame = stack[-1]
            if frame.parts is None:
                if frame.way == len(frame.ways):
                    known[frame.state] = -1
                    stack.pop()
                    continue
                way = frame.ways[frame.way]
                if not self.meter.take(1 + len(way) // _NODES_A_STEP):
                    return None
                frame.parts, frame.place = self._split(way), 0
                if frame.parts is None:
                    frame.way += 1
                    continue
            if frame.place == len(frame.parts.states):
                known[frame.state] = frame.way
                stack.pop()
                continue
            below = frame.parts.states[frame.place]
            answer = known.get(below)
            if answer is None:
                stack.append(_Frame(below, self._ways(below)))
            elif answer >= 0:
                frame.place += 1
            else:
                frame.way, frame.parts = frame.way + 1, None
        return known[question] >= 0
