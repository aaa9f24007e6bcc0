"""The last proof of determinism: a SAT solver on the supports of the circuit, where its structure does not help.

What enters is a graph; what leaves, for two nodes, is whether they share an assignment. Supports only grow with their
inputs, so each node needs one direction: a product implies its factors, a sum one of its children, an input the classes
of its variable. The package python-sat is optional.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....ir.support import Booleans
from .budget import Meter
from .domains import Domains
from .graph import INPUT, PRODUCT, Graph

# One that keeps to its budget of conflicts; others look at theirs only now and then.
_SOLVER = "minisat22"
# Conflicts before the seconds are looked at again. A conflict is reckoned as a step of search: about 10 µs each.
_CONFLICTS = 2_000


def available() -> bool:
    """Whether python-sat is installed."""
    try:
        import pysat.solvers  # noqa: F401  only whether it is there
    except ImportError:
        return False
    return True


@dataclass(slots=True)
class Solver:
    """One incremental solver for the wanted nodes of a graph.

    Over `shared` variables only (as bits), the second of two nodes has its own copy of all other variables.
    """

    graph: Graph
    domains: Domains
    wanted: Booleans
    meter: Meter
    shared: int = -1
    _solver: Any = field(init=False)
    _count: int = field(init=False, default=0)
    _copies: list[list[list[int]]] = field(init=False)
    _nodes: list[dict[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        from pysat.solvers import Solver as Engine

        self._solver = Engine(name=_SOLVER)
        every = (1 << len(self.domains.variables)) - 1
        split = self.shared & every != every
        first = [self._variable(int(size)) for size in self.domains.sizes]
        self._copies = [first]
        if split:
            second = [own if (self.shared >> v) & 1 else self._variable(len(own)) for v, own in enumerate(first)]
            self._copies.append(second)
        self._nodes = [self._encode(classes) for classes in self._copies]

    def _fresh(self) -> int:
        self._count += 1
        return self._count

    def _variable(self, size: int) -> list[int]:
        """One literal for each class of a variable, of which exactly one holds."""
        if size == 1:
            only = self._fresh()
            self._solver.add_clause([only])
            return [only]
        if size == 2:
            one = self._fresh()
            return [-one, one]
        classes = [self._fresh() for _ in range(size)]
        self._solver.add_clause(classes)
        before = classes[0]  # whether one of the classes so far holds
        for each in classes[1:]:
            self._solver.add_clause([-before, -each])
            after = self._fresh()
            self._solver.add_clause([-before, after])
            self._solver.add_clause([-each, after])
            before = after
        return classes

    def _encode(self, classes: list[list[int]]) -> dict[int, int]:
        literals: dict[int, int] = {}
        clauses: list[list[int]] = []
        kinds = self.graph.kinds
        for node in np.flatnonzero(self.wanted).tolist():
            literals[node] = own = self._fresh()
            if kinds[node] == INPUT:
                mask = self.domains.mask(node)
                allowed = classes[int(self.domains.variable[node])]
                clauses.append([-own, *(each for place, each in enumerate(allowed) if (mask >> place) & 1)])
            elif kinds[node] == PRODUCT:
                clauses.extend([-own, literals[child]] for child in self.graph.below(node))
            else:
                clauses.append([-own, *(literals[child] for child in self.graph.below(node))])
        self._solver.append_formula(clauses)
        return literals

    def together(self, first: int, second: int) -> bool | None:
        """Whether two nodes share an assignment; None where the budget is spent."""
        assumed = [self._nodes[0][first], self._nodes[-1][second]]
        while self.meter.take():
            before = self._solver.accum_stats()["conflicts"]
            self._solver.conf_budget(min(_CONFLICTS, max(1, self.meter.left)))
            answer = self._solver.solve_limited(assumptions=assumed)
            self.meter.take(self._solver.accum_stats()["conflicts"] - before)
            if answer is not None:
                return bool(answer)
        return None

    def assignments(self) -> tuple[dict[int, int], dict[int, int]]:
        """The class of each variable in what was found last: for the first of the two nodes, and for the second."""
        true: set[int] = set(self._solver.get_model() or ())
        both = [
            {place: next((i for i, each in enumerate(own) if each in true), 0) for place, own in enumerate(copy)}
            for copy in self._copies
        ]
        return both[0], both[-1]

    def close(self) -> None:
        """Frees the solver."""
        self._solver.delete()
