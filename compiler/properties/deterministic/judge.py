"""From the parts to a verdict: which sums have at most one non-zero child.

What enters is a circuit and a budget; what leaves is a proof, two children of a sum and an assignment on which both are
non-zero, or what was tried. Proofs are tried from the cheapest to the dearest, each on what the last one left over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice

import numpy as np

from ....ir.block import Sum
from ....ir.circuit import Circuit
from ....ir.domain import Variable
from ....ir.linear import Indices, Selection
from ....ir.support import Booleans
from ..factors import terms
from ..result import Proved, Refuted, Result, Unknown
from . import local
from .allowed import Allowed, allowed, below, separated
from .budget import Budget, Meter
from .domains import Domains, domains_of
from .enumeration import enumerated
from .graph import Graph, edges_of, graph_of
from .questions import Questions
from .shown import Shown

# A circuit of more edges is looked at from below first: a sum of latent states shows an overlap at once.
_LARGE = 1 << 20
_MOST_EDGES = 1 << 26
_FIRST = 8
_PAIRS = 1 << 14


def judge(circuit: Circuit, budget: Budget, subset: frozenset[Variable] | None = None) -> Result:
    """Whether each sum that reaches the root has at most one non-zero child, for each complete assignment.

    With a subset of the variables: for each assignment of these, among the sums whose scope meets it, where a child
    counts as non-zero if some completion makes it so.
    """
    edges = np.cumsum([edges_of(block) for block in circuit.blocks])
    if edges[-1] > _LARGE:
        early = _early(circuit, edges, budget, subset)
        if early is not None:
            return early
        if edges[-1] > _MOST_EDGES:
            return Unknown(f"it has {int(edges[-1]):,} edges, which are too many to look at", f"{_MOST_EDGES:,} edges")
    return Judge(circuit, graph_of(circuit, circuit.blocks), Meter(budget), subset).run()


def _early(circuit: Circuit, edges: Indices, budget: Budget, subset: frozenset[Variable] | None) -> Result | None:
    """A refutation by the first sum block that has a node of two children, if the first few of them show it."""
    for place, block in enumerate(circuit.blocks):
        live = circuit.live[block]
        if not isinstance(block, Sum) or isinstance(block.map, Selection) or not live.any():
            continue
        index = int(np.flatnonzero(live)[0])
        positions = terms(circuit, block, index)
        if len(positions) < 2:
            continue
        if edges[place] - edges_of(block) > _LARGE:
            return None
        graph = graph_of(circuit, circuit.blocks[:place])
        laid = np.concatenate([graph.ids[child] for child in block.children])
        judge = Judge(circuit, graph, Meter(budget), subset)
        if not judge.concerns(block, index):
            return None
        return judge.refuted((block, index), laid[positions[:_FIRST]])
    return None


@dataclass
class Judge:
    """The verdict on one circuit, or on its first blocks."""

    circuit: Circuit
    graph: Graph
    meter: Meter
    subset: frozenset[Variable] | None
    domains: Domains = field(init=False)
    usable: Booleans = field(init=False)

    def __post_init__(self) -> None:
        self.domains = domains_of(self.graph)
        named = self.domains.variables
        self.usable = np.array([self.subset is None or variable in self.subset for variable in named], dtype=bool)

    def run(self) -> Result:
        """All sums that reach the root, bottom up."""
        sums, planes = self._structural(self._concerned())
        if not len(sums):
            return Proved()
        questions = self._questions(below(self.graph, sums))
        unknown: Unknown | None = None
        for node in sums.tolist():
            found = self._sum(node, planes, questions)
            if isinstance(found, Refuted):
                return found
            if isinstance(found, Unknown):
                unknown = found if unknown is None else unknown
                if questions.over:
                    break
        return Proved() if unknown is None else unknown

    def refuted(self, place: tuple[Sum, int], children: Indices) -> Refuted | None:
        """A refutation by two of some children of one sum, if there is one."""
        wanted = below(self.graph, children)
        questions = self._questions(wanted)
        shown = self._shown(place, children.tolist())
        for one, other in combinations(range(len(children)), 2):
            found = questions.common(int(children[one]), int(children[other]))
            if found and (witness := shown.witness(one, other, *found)):
                return Refuted(witness)
        return None

    def concerns(self, block: Sum, index: int) -> bool:
        """Whether the scope of a sum meets the subset."""
        return self.subset is None or not self.subset.isdisjoint(self.circuit.scopes.node(block, index))

    def _concerned(self) -> Indices:
        sums = self.graph.branching
        if self.subset is None:
            return sums
        chosen = [
            isinstance(block, Sum) and self.concerns(block, i) for block, i in map(self.graph.place, sums.tolist())
        ]
        return np.asarray(sums[np.array(chosen, dtype=bool)], dtype=np.int64)

    def _structural(self, sums: Indices) -> tuple[Indices, Allowed | None]:
        """The sums that the structure does not prove, and what their children allow."""
        sums = local.undecided(self.graph, self.domains, sums, self.usable)
        if not len(sums):
            return sums, None
        planes = allowed(self.graph, self.domains, below(self.graph, sums), self.usable)
        if planes is not None:
            sums = sums[~separated(self.graph, planes, sums)]
        return sums, planes

    def _questions(self, wanted: Booleans) -> Questions:
        return Questions(self.graph, self.domains, wanted, self.meter, self.usable)

    def _shown(self, place: tuple[Sum, int], children: Sequence[int]) -> Shown:
        return Shown(self.circuit, self.graph, self.domains, place, tuple(children), self.subset)

    def _sum(self, node: int, planes: Allowed | None, questions: Questions) -> Result | None:
        """The verdict on one sum; None where it is proved."""
        children = self.graph.below(node)
        block, index = self.graph.place(node)
        assert isinstance(block, Sum)
        shown = self._shown((block, index), children)
        for one, other in self._pairs(children, planes):
            found = questions.common(children[one], children[other])
            if found is None:
                return Unknown(questions.reason, questions.spent)
            if found and (witness := shown.witness(one, other, *found)):
                return Refuted(witness)
            if found:
                return enumerated(shown, self.meter)
        return None

    def _pairs(self, children: Sequence[int], planes: Allowed | None) -> Iterator[tuple[int, int]]:
        """The pairs of children that nothing says are apart, a stretch of them at a time."""
        every = combinations(range(len(children)), 2)
        named = np.array(children, dtype=np.int64)
        while chunk := list(islice(every, _PAIRS)):
            if planes is not None:
                pairs = np.array(chunk, dtype=np.int64)
                open_ = ~planes.apart(named[pairs[:, 0]], named[pairs[:, 1]])
                chunk = [(int(one), int(other)) for one, other in pairs[open_]]
            yield from chunk
