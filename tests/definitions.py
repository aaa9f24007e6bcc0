"""Properties by their definitions, node by node: scopes as sets, sums by their non-zero children, masses by summing.

What enters is a circuit; what leaves are truth values and scopes, none of which Danaus computed. Whether a weight of a
sum is zero is a question about a polynomial in the learnable numbers, so weights are polynomials here.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from danaus.ir.block import Block, Input, Product, Sum
from danaus.ir.circuit import Circuit
from danaus.ir.dependence import operands
from danaus.ir.domain import Variable
from danaus.ir.expression import Broadcast, Expression, Join, Plus, Reshape, Take, Times, Total
from danaus.ir.parameter import Constant, Parameter
from exact import ZERO, Assignment, Number
from oracle import Index, Oracle, entry_of_operand, factors_of, laid_end_to_end, written_out

Symbol = tuple[int, Index]
Node = tuple[Block, int]
Scope = frozenset[Variable]


@dataclass(frozen=True)
class Polynomial:
    """A polynomial with rational coefficients, by its monomials; symbols are the entries of learnable parameters."""

    terms: Mapping[tuple[Symbol, ...], Fraction] = field(default_factory=dict[tuple[Symbol, ...], Fraction])

    def __add__(self, other: Polynomial) -> Polynomial:
        out = dict(self.terms)
        for monomial, number in other.terms.items():
            out[monomial] = out.get(monomial, ZERO) + number
        return Polynomial({monomial: number for monomial, number in out.items() if number})

    def __mul__(self, other: Polynomial) -> Polynomial:
        out: dict[tuple[Symbol, ...], Fraction] = {}
        for (a, x), (b, y) in itertools.product(self.terms.items(), other.terms.items()):
            monomial = tuple(sorted(a + b))
            out[monomial] = out.get(monomial, ZERO) + x * y
        return Polynomial({monomial: number for monomial, number in out.items() if number})

    def __bool__(self) -> bool:
        return bool(self.terms)


def number(value: Number) -> Polynomial:
    """A constant polynomial."""
    return Polynomial({(): Fraction(value)} if value else {})


class Definitions:
    """The properties of a circuit's nodes that reach the root."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.oracle = Oracle(circuit)
        self._scopes: dict[Node, Scope] = {}
        self._children: dict[Sum, list[list[Node]]] = {}

    def _weight(self, expression: Expression, index: Index) -> Polynomial:
        """An entry as a polynomial in the learnable numbers; what is none of these is a symbol of its own."""
        if not _learnable(expression):
            return number(self.oracle.entry(expression, index))
        parts = [self._weight(*part) for part in entry_of_operand(expression, index)]
        match expression:
            case Plus() | Total():
                return sum(parts, Polynomial())
            case Times():
                return parts[0] * parts[1]
            case Reshape() | Broadcast() | Take() | Join():
                return parts[0]
            case _:
                return Polynomial({((id(expression), index),): Fraction(1)})

    def children(self, block: Sum) -> list[list[Node]]:
        """For each node of a sum, its children: the nodes with a non-zero weight in the whole map."""
        if block not in self._children:
            rows = written_out(block.map, self._weight, Polynomial(), number(1), operator.add)
            laid = laid_end_to_end(block.children)
            self._children[block] = [[child for child, w in zip(laid, row, strict=True) if w] for row in rows]
        return self._children[block]

    def below(self, node: Node) -> list[Node]:
        """The children of a node; those of a product count by position."""
        block, place = node
        match block:
            case Input():
                return []
            case Product():
                return factors_of(block)[place]
            case Sum():
                return self.children(block)[place]

    def scope(self, node: Node) -> Scope:
        """The variables that a node's value is said to depend on."""
        if node not in self._scopes:
            block, _ = node
            own = {block.variable} if isinstance(block, Input) else set[Variable]()
            self._scopes[node] = frozenset(own.union(*(self.scope(child) for child in self.below(node))))
        return self._scopes[node]

    @cached_property
    def nodes(self) -> list[Node]:
        """The nodes that reach the root."""
        found: dict[Node, None] = {}
        stack: list[Node] = [(self.circuit.root, 0)]
        while stack:
            node = stack.pop()
            if node not in found:
                found[node] = None
                stack.extend(self.below(node))
        return list(found)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The root's scope and the free variables, in order."""
        whole = self.scope((self.circuit.root, 0)) | set(self.circuit.free)
        return tuple(sorted(whole, key=lambda variable: variable.order))

    @property
    def smooth(self) -> bool:
        """The children of each sum node have the same scope."""
        sums = (node for node in self.nodes if isinstance(node[0], Sum))
        return all(len({self.scope(child) for child in self.below(node)}) <= 1 for node in sums)

    @property
    def decomposable(self) -> bool:
        """The children of each product node have disjoint scopes."""
        products = (node for node in self.nodes if isinstance(node[0], Product))
        return all(
            not self.scope(a) & self.scope(b)
            for node in products
            for a, b in itertools.combinations(self.below(node), 2)
        )

    @property
    def factor_scopes(self) -> set[Scope]:
        """The scopes of all products' children."""
        products = (node for node in self.nodes if isinstance(node[0], Product))
        return {self.scope(child) for node in products for child in self.below(node)}

    @property
    def laminar(self) -> bool:
        """The scopes of all products' children are pairwise nested or disjoint."""
        return all(not a & b or a <= b or b <= a for a, b in itertools.combinations(self.factor_scopes, 2))

    @property
    def structured(self) -> bool:
        """Smooth, decomposable, and laminar."""
        return self.smooth and self.decomposable and self.laminar

    @property
    def omni_compatible(self) -> bool:
        """Smooth, decomposable, and each child of a product has at most one variable."""
        return self.smooth and self.decomposable and all(len(scope) <= 1 for scope in self.factor_scopes)

    @property
    def normalized(self) -> bool:
        """Smooth, decomposable, and the total mass within 1e-9 of 1."""
        return self.smooth and self.decomposable and abs(self.total({}) - 1) <= Fraction(1, 10**9)

    @property
    def nonnegative(self) -> bool:
        """At least 0 everywhere; on infinite domains, at the points that sums take."""
        return all(value >= 0 for _, value, _ in self.table)

    @cached_property
    def table(self) -> list[tuple[Assignment, Fraction, Fraction]]:
        """All assignments, the circuit's values there, and what each weighs in a sum."""
        own = self.scope((self.circuit.root, 0))
        points = [self.oracle.points(variable) for variable in self.variables]
        found: list[tuple[Assignment, Fraction, Fraction]] = []
        known: dict[tuple[Number, ...], Fraction] = {}
        for row in itertools.product(*points):
            assignment = {variable: x for variable, (x, _) in zip(self.variables, row, strict=True)}
            key = tuple(x for variable, x in assignment.items() if variable in own)
            if key not in known:
                known[key] = self.oracle.value(assignment)
            weight = Fraction(1)
            for _, spacing in row:
                weight *= spacing
            found.append((assignment, known[key], weight))
        return found

    def completions(self, known: Assignment) -> Iterator[tuple[Assignment, Fraction, Fraction]]:
        """The rows of the table that agree with what is known."""
        for assignment, value, weight in self.table:
            if all(assignment[variable] == x for variable, x in known.items()):
                yield assignment, value, weight

    def total(self, known: Assignment) -> Fraction:
        """The sum of the circuit over all that is not known."""
        return sum((value * weight for _, value, weight in self.completions(known)), ZERO)


def _learnable(expression: Expression) -> bool:
    match expression:
        case Parameter(learnable=learnable):
            return learnable
        case Constant():
            return False
        case _:
            return any(_learnable(operand) for operand in operands(expression))
