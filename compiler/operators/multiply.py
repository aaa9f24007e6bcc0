"""Multiply: the product of circuits that are compatible, as a circuit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np

from ...ir.block import Block, Input
from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import Diagnostic, Refused, error
from ...ir.domain import Variable
from ...ir.linear import Indices
from ..properties import Refuted, compatible
from ..properties.result import explained
from .operands import require_circuits
from .paired import Building
from .pairing import Plan
from .sides import Side

Node = tuple[Block, int]

_known: WeakKeyDictionary[Block, Provenance] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where the nodes of a product of two circuits came from: pairs of nodes, and the way back.

    A factor of one circuit that shares no variable with the other stands in the product as it is. A block of some
    factors of a product may stand in a pair, too.
    """

    first: Circuit
    second: Circuit
    nodes: int
    _pairs: dict[Block, list[tuple[Block, Block, Indices | None]]] = field(repr=False)
    _made: dict[tuple[Block, Block], tuple[Block, Indices | None]] = field(repr=False)

    def pair(self, block: Block, node: int) -> tuple[Node, Node] | None:
        """The pair of nodes that a node of the product is; None for helpers between them, and factors that stand alone.

        A node that several pairs gave, as where constants are equal, names one of them.
        """
        for a, b, keys in self._pairs.get(block, []):
            key = node if keys is None else int(keys[node])
            return (a, key // b.width), (b, key % b.width)
        return None

    def product(self, a: Block, i: int, b: Block, j: int) -> Node | None:
        """The node of the product of two nodes; None where they do not meet."""
        found = self._made.get((a, b))
        if found is None:
            return None
        block, keys = found
        key = i * b.width + j
        if keys is None:
            return block, key
        place = int(np.searchsorted(keys, key))
        return (block, place) if place < len(keys) and keys[place] == key else None


def provenance(circuit: Circuit) -> Provenance:
    """Where the nodes of a product came from, of `multiply(p, q)` or with other parameters.

    Raises: DanausError `no-product` for a circuit that multiply did not make.
    """
    require_circuits("provenance", circuit)
    found = _known.get(circuit.root)
    if found is None:
        raise error("no-product", f'"{circuit.name}" was not made by multiply', hint="give multiply(p, q) itself")
    return found


def product_size(p: Circuit, q: Circuit) -> int:
    """How many pairs of nodes multiply(p, q) has, planned without building it.

    Raises: Refused with a witness where the circuits are not compatible.
    """
    return _plan(p, q, None).nodes


def multiply(*circuits: Circuit, limit: int | None = None) -> Circuit:
    """p · q · …, a function of the variables of all: the product, pair of nodes by pair of nodes.

    Needs compatible(p, q), at each step: multiply(multiply(p, q), r). Widths multiply, maps become Kronecker products
    of maps that are held as factors, inputs on one variable become products of inputs that are never tabulated. At most
    |p| · |q| pairs of nodes, planned before anything is built and bounded by `limit`.

    Raises: Refused with the two scopes that cross; DanausError `two-domains`, `too-large`, `wrong-arguments`, or
    `two-values` where they hold different values of one parameter.
    """
    require_circuits("multiply", *circuits)
    if not circuits:
        raise error("wrong-arguments", "multiply takes circuits", hint="write multiply(p, q)")
    product = circuits[0]
    for other in circuits[1:]:
        product = _multiplied(product, other, limit)
    return product


def _multiplied(p: Circuit, q: Circuit, limit: int | None) -> Circuit:
    plan = _plan(p, q, limit)
    building = Building(plan)
    root = building.run((p.root, q.root))
    found: dict[Block, list[tuple[Block, Block, Indices | None]]] = {}
    for (a, b), made in building.made.items():
        found.setdefault(made.block, []).append((a, b, made.keys))
    where = {pair: (made.block, made.keys) for pair, made in building.made.items()}
    _known[root] = Provenance(p, q, plan.nodes, found, where)
    mentioned = {variable for circuit in (p, q) for variable in circuit.variables if variable not in circuit.free}
    free = tuple(variable for variable in dict.fromkeys((*p.free, *q.free)) if variable not in mentioned)
    return replace(p, root=root, store=p.store.merged(q.store), free=free, origin=Origin("multiply", (p, q)))


def _plan(p: Circuit, q: Circuit, limit: int | None) -> Plan:
    result = compatible(p, q)
    if isinstance(result, Refuted):
        message = f'multiply needs "{p.name}" and "{q.name}" to be compatible, which they are not'
        raise Refused(Diagnostic("not-compatible", message, notes=explained("compatible", result)))
    first, second = ({*_mentioned(circuit)} for circuit in (p, q))
    shared = [variable for variable in _mentioned(p) if variable in first & second]
    plan = Plan(Side(p, shared), Side(q, shared), limit)
    plan.run((p.root, q.root))
    return plan


def _mentioned(circuit: Circuit) -> tuple[Variable, ...]:
    """The variables that stand in inputs, under zero weights too."""
    return tuple(dict.fromkeys(block.variable for block in circuit.blocks if isinstance(block, Input)))
