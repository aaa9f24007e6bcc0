"""Small circuits of logic along a vtree, as SDDs are, deterministic by construction or with a planted overlap.

What enters is a seed; what leaves is a circuit, and whether it is deterministic by the truth tables of its nodes, which
are computed here as the bits of numbers, with no code of Danaus. Children stand in random order.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cached_property

from danaus.ir.circuit import Circuit
from packed_circuits import Nodes

Scope = tuple[int, ...]


@dataclass
class Sentence:
    """Nodes over some variables; `root` is the last one that was asked for."""

    variables: int
    random: random.Random
    nodes: Nodes = field(init=False)
    root: int = 0
    _made: dict[tuple[tuple[int, ...], int], int] = field(
        init=False, default_factory=dict[tuple[tuple[int, ...], int], int]
    )
    _cuts: dict[tuple[int, ...], int] = field(init=False, default_factory=dict[tuple[int, ...], int])

    def __post_init__(self) -> None:
        self.nodes = Nodes(self.variables)

    @property
    def literals(self) -> int:
        return 2 * self.variables

    def node(self, scope: Scope, table: int) -> int:
        """A node over a scope whose truth table is given, the first variable slowest; not that of false."""
        key = (scope, table)
        if key in self._made:
            return self._made[key]
        if len(scope) == 1 and table in (1, 2):
            return 2 * scope[0] + (table == 2)
        if len(scope) == 1:
            found = self.nodes.add(True, [2 * scope[0], 2 * scope[0] + 1])
        else:
            cut = self._cuts.setdefault(scope, self.random.randrange(1, len(scope)))
            left, right = scope[:cut], scope[cut:]
            width, mask = 1 << len(right), (1 << (1 << len(right))) - 1
            primes: dict[int, int] = {}
            for row in range(1 << len(left)):
                sub = (table >> (row * width)) & mask
                if sub:
                    primes[sub] = primes.get(sub, 0) | 1 << row
            pairs = [[self.node(left, prime), self.node(right, sub)] for sub, prime in primes.items()]
            for pair in pairs:
                self.random.shuffle(pair)
            children = [self.nodes.add(False, pair) for pair in pairs]
            self.random.shuffle(children)
            found = children[0] if len(children) == 1 else self.nodes.add(True, children)
        self._made[key] = found
        return found

    def plant(self) -> None:
        """Changes one edge, to a node that stands before the one that it leaves."""
        below = self.nodes.below
        places = [(node, place) for node, row in enumerate(below) for place in range(len(row))]
        node, place = self.random.choice(places)
        old = below[node][place]
        same = [
            other for other in range(self.literals + node) if self.scopes[other] == self.scopes[old] and other != old
        ]
        below[node][place] = self.random.choice(same or [old])

    @cached_property
    def scopes(self) -> list[int]:
        """The variables of each node, as bits."""
        found = [1 << (literal // 2) for literal in range(self.literals)]
        for row in self.nodes.below:
            scope = 0
            for child in row:
                scope |= found[child]
            found.append(scope)
        return found

    @property
    def tables(self) -> list[int]:
        """The assignments of all variables on which each node is true, as bits."""
        rows = 1 << self.variables
        found = [
            sum(1 << row for row in range(rows) if (row >> variable) & 1 == value)
            for variable in range(self.variables)
            for value in (0, 1)
        ]
        for is_sum, row in zip(self.nodes.sums, self.nodes.below, strict=True):
            table = 0 if is_sum else (1 << rows) - 1
            for child in row:
                table = table | found[child] if is_sum else table & found[child]
            found.append(table)
        return found

    @property
    def live(self) -> set[int]:
        """The nodes below the root."""
        found: set[int] = set()
        stack = [self.root]
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack.extend(self.nodes.below[node - self.literals] if node >= self.literals else ())
        return found

    def overlaps(self, subset: int | None = None) -> bool:
        """Whether two children of some sum below the root are true at one assignment; of a subset (bits), if given."""
        tables, scopes = self.tables, self.scopes
        for node in self.live:
            row = self.nodes.below[node - self.literals] if node >= self.literals else []
            if node < self.literals or not self.nodes.sums[node - self.literals] or len(row) < 2:
                continue
            if subset is not None and not scopes[node] & subset:
                continue
            seen = 0
            for child in row:
                table = tables[child] if subset is None else self._projected(tables[child], subset)
                if seen & table:
                    return True
                seen |= table
        return False

    def _projected(self, table: int, subset: int) -> int:
        """Which assignments have the same values of the subset as one of the table."""
        rows = 1 << self.variables
        for variable in range(self.variables):
            if not (subset >> variable) & 1:
                stride = 1 << variable
                low = sum(1 << row for row in range(rows) if not (row >> variable) & 1)
                either = (table | table >> stride) & low
                table = either | either << stride
        return table

    def circuit(self) -> Circuit:
        """The circuit of the root."""
        return self.nodes.circuit(self.root)


def sentence(seed: int, planted: int = 0) -> Sentence:
    """A random sentence over three to six variables; with some edges changed."""
    generator = random.Random(seed)
    count = generator.randint(3, 6)
    made = Sentence(count, generator)
    order = list(range(count))
    generator.shuffle(order)
    rows = 1 << count
    table = 0
    while not table:
        table = generator.getrandbits(rows)
        for _ in range(generator.randrange(3)):
            table &= generator.getrandbits(rows)
    made.root = made.node(tuple(order), table)
    if made.root < made.literals:
        made.root = made.nodes.add(False, [made.root])
    for _ in range(planted):
        made.plant()
        made.__dict__.pop("scopes", None)
    return made
