"""Do two nodes share an assignment? By the structure first, then by a SAT solver, within one budget.

What enters is two nodes of a graph; what leaves is an assignment for each of them, in classes of values, that agree on
the variables in question; nothing where there is none; None where the budget is spent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ....ir.support import Booleans
from . import sat
from .budget import Budget, Meter
from .domains import Domains
from .graph import Graph
from .search import Search

Classes = dict[int, int]

# What completes an assignment of one decomposable node is found in linear time: it needs no budget.
_ENDLESS = 1 << 62
# The search keeps the scopes of its nodes, in so many bits at most; beyond that the solver is asked at once.
_MOST_BITS = 1 << 32


@dataclass
class Questions:
    """Questions about the wanted nodes of a graph, over its `usable` variables."""

    graph: Graph
    domains: Domains
    wanted: Booleans
    meter: Meter
    usable: Booleans
    over: bool = False
    reason: str = ""
    _search: Search | None = field(init=False)
    _whole: Search | None = field(init=False, default=None)
    _solver: sat.Solver | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._search = None
        bits = int(np.count_nonzero(self.wanted)) * len(self.domains.variables)
        if bits > _MOST_BITS:
            return
        budget = self.meter.budget
        half = Meter(replace(budget, steps=budget.steps // 2))
        self._search = Search(self.graph, self.domains, self.wanted, half, self._shared)

    @property
    def _shared(self) -> int:
        """The usable variables as bits; all bits where all are."""
        if self.usable.all():
            return -1
        return sum(1 << int(place) for place in np.flatnonzero(self.usable))

    @property
    def spent(self) -> str:
        """What was spent, in words."""
        return str(self.meter.budget)

    def common(self, first: int, second: int) -> tuple[Classes, Classes] | tuple[()] | None:
        """An assignment for each of two nodes that agree on the usable variables; () where there is none."""
        search = self._search
        if search is not None and (self._shared == -1 or (search.simple[first] and search.simple[second])):
            answer = search.together((first, second))
            if answer is not None:
                return self._found(search, first, second) if answer else ()
            self.meter.take(search.meter.spent)
            self._search = None
        return self._solved(first, second)

    def _found(self, search: Search, first: int, second: int) -> tuple[Classes, Classes]:
        both = search.assignment((first, second))
        if self._shared == -1:
            return both, both
        fixed = {variable: each for variable, each in both.items() if self.usable[variable]}
        whole = self._whole or Search(self.graph, self.domains, self.wanted, Meter(Budget(_ENDLESS)))
        self._whole = whole
        one, other = ({**whole.completed(node, fixed), **fixed} for node in (first, second))
        return one, other

    def _solved(self, first: int, second: int) -> tuple[Classes, Classes] | tuple[()] | None:
        if not sat.available():
            self.over = True
            self.reason = "its structure decides nothing within the budget, and python-sat is not installed"
            return None
        if self._solver is None:
            self._solver = sat.Solver(self.graph, self.domains, self.wanted, self.meter, self._shared)
        answer = self._solver.together(first, second)
        if answer is None:
            self.over = True
            self.reason = (
                "neither its structure nor a SAT solver decides within the budget whether two children overlap"
            )
            return None
        return self._solver.assignments() if answer else ()
