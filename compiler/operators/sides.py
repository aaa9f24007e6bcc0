"""One of two circuits that are multiplied: the scopes of its nodes over the shared variables, and what they stand on.

What enters is a circuit; what leaves are, per node, factors with their scopes and weighted terms, as arrays. Partial
products, blocks made of some factors of a product, join a circuit's own blocks as they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...ir.block import MAX_NUMBERS, Block, Indexed, Input, Product, Sum
from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.expression import Expression, reshape, times, total
from ...ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
)
from ...ir.parameter import constant
from ...ir.scope import Scopes, scopes
from ...ir.semirings import BOOLEAN
from ...ir.support import Booleans
from ..properties.factors import factors
from .demands import entries_of


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of some nodes: offsets [nodes + 1], the children's positions laid end to end, and each one's place in
    `weights`, an expression of one axis; None where all weights are 1."""

    offsets: Indices
    positions: Indices
    places: Indices
    weights: Expression | None


@dataclass(frozen=True, slots=True)
class FactorTable:
    """The factors of every node of a block, [width, most], −1 where there are fewer.

    `positions` are among `blocks` laid end to end, `scopes` their scopes by number.
    """

    blocks: tuple[Block, ...]
    positions: Indices
    scopes: Indices


@dataclass(eq=False)
class Side:
    """A circuit beside the one that it is multiplied by; `shared` are the variables of both."""

    circuit: Circuit
    shared: Sequence[Variable]
    scopes: Scopes = field(init=False)
    order: dict[Block, float] = field(init=False)
    _masks: dict[int, int] = field(init=False, default_factory=dict[int, int])
    _tables: dict[Block, FactorTable] = field(init=False, default_factory=dict[Block, FactorTable])

    def __post_init__(self) -> None:
        self.scopes = scopes(self.circuit.blocks, self.circuit.support)
        self.order = {block: float(place) for place, block in enumerate(self.circuit.blocks)}
        self._columns = np.array([self.scopes.variables.index(variable) for variable in self.shared], dtype=np.int64)

    def add(self, block: Block) -> None:
        """Takes in a partial product of blocks that are there."""
        if block not in self.order:
            assert isinstance(block, Product)
            self.order[block] = max(self.order[child] for child in block.children) + 0.5
            self.scopes.add(block)

    def mask(self, scope: int) -> int:
        """The shared variables of a scope, by number, as the bits of an integer."""
        found = self._masks.get(scope)
        if found is None:
            row = np.ascontiguousarray(self.scopes.table[scope])
            bits = np.unpackbits(row.view(np.uint8), bitorder="little")[self._columns]
            found = int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
            self._masks[scope] = found
        return found

    def uniform(self, block: Block) -> int | None:
        """The scope of all nodes of a block, where they have one and all reach the root."""
        live = self.circuit.live.get(block)
        if live is not None and not live.all():
            return None
        ids = self.scopes.ids[block]
        return int(ids[0]) if bool((ids == ids[0]).all()) else None

    def is_even(self, block: Block) -> bool:
        """Whether a block and all that stands in it have one scope each, so that its nodes are alike."""
        if self.uniform(block) is None:
            return False
        match block:
            case Input():
                return True
            case Product(children, form):
                return not isinstance(form, Indexed) and all(self.uniform(child) is not None for child in children)
            case Sum(children):
                own = self.uniform(block)
                return all(self.uniform(child) == own for child in children)

    def table(self, block: Block) -> FactorTable:
        """The factors of a block's nodes; what is no product is its own factor."""
        found = self._tables.get(block)
        if found is None:
            found = self._tables[block] = self._table(block)
        return found

    def _table(self, block: Block) -> FactorTable:
        if not isinstance(block, Product):
            return FactorTable((block,), np.arange(block.width)[:, None], self.scopes.ids[block][:, None])
        offsets, positions = factors(block, np.arange(block.width))
        counts = np.diff(offsets)
        padded = np.full((block.width, int(counts.max(initial=0))), -1, dtype=np.int64)
        filled = np.arange(padded.shape[1]) < counts[:, None]
        padded[filled] = positions
        ids = [self.scopes.ids[child] for child in block.children]
        laid = np.concatenate([*ids, [-1]])
        return FactorTable(block.children, padded, laid[padded])

    def terms(self, block: Block, nodes: Indices, distributed: bool) -> Terms:
        """The terms of a sum's nodes with a weight that is not zero; of any block, or undistributed, the nodes."""
        if not distributed or not isinstance(block, Sum):
            return Terms(np.arange(len(nodes) + 1), nodes, nodes, None)
        match block.map:
            case Selection(index, _):
                return Terms(np.arange(len(nodes) + 1), index[nodes], nodes, None)
            case Sparse(_, columns, weights) as linear:
                entries, row = entries_of(linear, nodes)
                kept = np.asarray(self.circuit.support.of(weights, BOOLEAN), dtype=bool)[entries]
                return _terms(row[kept], len(nodes), columns[entries][kept], entries[kept], weights)
            case Diagonal(weights):
                kept = np.asarray(self.circuit.support.of(weights, BOOLEAN), dtype=bool)[nodes]
                return _terms(np.flatnonzero(kept), len(nodes), nodes[kept], nodes[kept], weights)
            case BlockDiagonal(weights):
                _, m, n = weights.shape
                pattern = np.asarray(self.circuit.support.of(weights, BOOLEAN), dtype=bool).reshape(-1, n)
                row, column = np.nonzero(pattern[nodes])
                return _terms(row, len(nodes), nodes[row] // m * n + column, nodes[row] * n + column, weights)
            case Dense(weights):
                pattern = np.asarray(self.circuit.support.of(weights, BOOLEAN), dtype=bool)
                return self._dense(pattern, nodes, weights)
            case linear:
                if linear.outputs * linear.inputs > MAX_NUMBERS:
                    raise error("too-large", f"a map of {linear.outputs} × {linear.inputs} whose nodes differ in scope")
                marked = self.circuit.support.mark(linear, np.eye(linear.inputs, dtype=bool))
                return self._dense(marked, nodes, written_out(linear))

    def _dense(self, pattern: Booleans, nodes: Indices, weights: Expression) -> Terms:
        row, column = np.nonzero(pattern[nodes])
        return _terms(row, len(nodes), column, nodes[row] * pattern.shape[1] + column, weights)

    def children(self, block: Block, distributed: bool) -> tuple[Block, ...]:
        """The blocks whose positions `terms` names."""
        return block.children if distributed and isinstance(block, Sum) else (block,)


def _terms(row: Indices, count: int, positions: Indices, places: Indices, weights: Expression) -> Terms:
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=count))]).astype(np.int64)
    flat = reshape(weights, (int(np.prod(weights.shape)),))
    return Terms(offsets, np.asarray(positions), np.asarray(places), flat)


def written_out(linear: LinearMap) -> Expression:
    """A map of several others as one matrix, an expression [outputs, inputs]: for small ones."""
    match linear:
        case Dense(weights):
            return weights
        case Diagonal(weights):
            return times(reshape(weights, (linear.outputs, 1)), constant(np.eye(linear.outputs)))
        case Selection(index, inputs):
            return constant(np.eye(inputs)[index])
        case BlockDiagonal(weights):
            b, m, n = weights.shape
            spread = times(reshape(weights, (b, m, 1, n)), constant(np.eye(b).reshape(b, 1, b, 1)))
            return reshape(spread, (b * m, b * n))
        case Sparse(rows, columns, weights, outputs, inputs):
            count = len(rows)
            if not count:
                return constant(np.zeros((outputs, inputs)))
            left, right = np.zeros((outputs, 1, count)), np.zeros((1, inputs, count))
            left[rows, 0, np.arange(count)] = 1
            right[0, columns, np.arange(count)] = 1
            return total(times(times(constant(left), constant(right)), reshape(weights, (1, 1, count))), 2)
        case Kronecker(parts):
            whole = written_out(parts[0])
            for part in parts[1:]:
                (m, n), next_ = whole.shape, written_out(part)
                k, j = next_.shape
                spread = times(reshape(whole, (m, 1, n, 1)), reshape(next_, (1, k, 1, j)))
                whole = reshape(spread, (m * k, n * j))
            return whole
        case Compose(parts):
            whole = written_out(parts[0])
            for part in parts[1:]:
                right_ = written_out(part)
                (m, n), k = whole.shape, right_.shape[1]
                whole = total(times(reshape(whole, (m, n, 1)), reshape(right_, (1, n, k))), 1)
            return whole


def has_sparse(block: Block) -> bool:
    """Whether a block's nodes are better asked for one by one: products by index, and sparse sums."""
    match block:
        case Product(form=form):
            return isinstance(form, Indexed)
        case Sum(map=linear):
            return isinstance(linear, Sparse | Selection) or _holds_sparse(linear)
        case Input():
            return False


def _holds_sparse(linear: LinearMap) -> bool:
    match linear:
        case Kronecker(parts) | Compose(parts):
            return any(isinstance(part, Sparse) or _holds_sparse(part) for part in parts)
        case _:
            return False
