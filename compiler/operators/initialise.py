"""The three starts for a model made as a product of others: unnormalised, exactly normalised, and the reference's.

What enters is a circuit whose numbers are not negative; what leaves is one with parameters of its own. To normalise
exactly, masses are pushed up: with s the masses below a map W, row r of the new one is W[r, c]·s[c] / Σ W[r, c′]·s[c′],
map by map, so that every factor of a Monarch layer has rows on the simplex and the mass that is left over is Z. Of a
chain that is the Doob transform diag(1/b_t) A diag(c ⊙ b_{t+1}), which unties it in time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from ...ir.apply import apply
from ...ir.block import Block, Input, Product, Sum, hadamard, input_block, select, weighted
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.dependence import is_learnable
from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain
from ...ir.evaluate import multiply
from ...ir.expression import Expression
from ...ir.family import Categorical, Indicator, InputProduct, One
from ...ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Indices, LinearMap, Selection, Sparse, compose
from ...ir.parameter import Constraint, Floats, Value, constant
from ...ir.products import normalised
from ...ir.semirings import LINEAR, SIGNED_LOG
from ..rewrite import rewritten, with_children
from .layers import Untying, layered, monarch_layers, untie
from .local import is_positive
from .operands import needs
from .sides import written_out

Start = Literal["unnormalised", "exact", "reference"]
STARTS: tuple[Start, ...] = get_args(Start)


def initialise(circuit: Circuit, start: Start = "exact") -> Circuit:
    """A circuit with parameters of its own to train from, such as a product of trained models.

    "unnormalised": `untie(circuit)`, the same function, whose mass is `integrate` of it. "exact": the same function
    divided by its mass, all weights and inputs locally normalised; each step of a chain has its own. "reference":
    untied, with each product of inputs normalised for itself, as reference code for Monarch HMMs does: not the same
    function.

    Raises: Refused with a witness where it is not smooth, decomposable and nonnegative; DanausError `no-mass`,
    `wrong-arguments`, `negative`, or `no-closed-integral`.
    """
    needs(circuit, "initialise", "smooth", "decomposable", "nonnegative")
    match start:
        case "unnormalised":
            return untie(circuit)
        case "reference":
            return untie(_locally(circuit))
        case "exact":
            if not is_positive(circuit):
                raise error(
                    "negative",
                    f'a weight or an input of "{circuit.name}" is negative, which has no locally normalised form',
                    hint="`normalize` scales it at the root",
                )
            return _Normalising(monarch_layers(_mentioning(circuit))).run()
        case _:
            raise error("wrong-arguments", f"there is no start {start!r}", hint=f"there are {', '.join(STARTS)}")


def _mentioning(circuit: Circuit) -> Circuit:
    """The circuit with its free variables in inputs, so that they count in its mass."""
    if not circuit.free:
        return circuit
    ones = [input_block(One(), variable) for variable in circuit.free]
    return replace(circuit, root=hadamard([circuit.root, *ones]), free=(), origin=None)


def _locally(circuit: Circuit) -> Circuit:
    """The circuit with its products of inputs on finite domains as distributions."""
    untying = Untying(circuit)
    new: dict[Block, Block] = {}
    for block in circuit.blocks:
        if isinstance(block, Input) and isinstance(block.family, InputProduct):
            table = _table(untying, block)
            if table is not None:
                rows = _distributions(table.sum(axis=1, keepdims=True), table)
                probabilities = untying.shared(block, Value.of(rows), "simplex")
                new[block] = input_block(Categorical(), block.variable, [probabilities], block.span)
    made = replace(circuit, root=rewritten(circuit.root, new), origin=None)
    return replace(made, store=circuit.store.updated(untying.values))


def _table(untying: Untying, block: Input) -> Floats | None:
    if not isinstance(block.variable.domain, FiniteDomain):
        return None
    x = domain_values(block.variable)
    found = untying.numbers.inputs(block.family, block.variable, block.parameters, x, LINEAR)
    return np.asarray(found, dtype=np.float64)


def _distributions(totals: Floats, rows: Floats) -> Floats:
    """Rows divided by their totals; a row of nothing is uniform."""
    safe = np.where(totals > 0, totals, 1.0)
    return np.where(totals > 0, rows / safe, 1.0 / max(rows.shape[-1], 1))


class _Normalising:
    """Blocks made anew with the logarithms of their masses, children first; `mass` is [width]."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.untying = Untying(circuit)
        self.new: dict[Block, Block] = {}
        self.mass: dict[Block, Floats] = {}

    def run(self) -> Circuit:
        for block in self.circuit.blocks:
            match block:
                case Input():
                    self._input(block)
                case Product(children, form):
                    self.new[block] = with_children(block, self.new)
                    below = [_elements(self.mass[child]) for child in children]
                    self.mass[block] = multiply(below, form, 1, SIGNED_LOG)[:, 0, 0]
                case Sum(children, linear):
                    below_ = np.concatenate([self.mass[child] for child in children])
                    made, mass = self._map(layered(linear), below_)
                    self.new[block] = weighted([self.new[child] for child in children], made, block.span)
                    self.mass[block] = mass
        total = float(self.mass[self.circuit.root][0])
        if not np.isfinite(total):
            raise error("no-mass", f'"{self.circuit.name}" has no mass to divide by: its logarithm is {total}')
        made_ = replace(self.circuit, root=self.new[self.circuit.root], origin=None)
        store = self.circuit.store.updated(self.untying.values)
        return replace(made_, store=store.restricted(made_.parameters))

    def _input(self, block: Input) -> None:
        numbers, variable = self.untying.numbers, block.variable
        table = _table(self.untying, block)
        if isinstance(block.family, Indicator):
            self.new[block], self.mass[block] = block, np.zeros(1)
        elif table is not None:
            totals = table.sum(axis=1)
            probabilities = self.untying.shared(block, Value.of(_distributions(totals[:, None], table)), "simplex")
            self.new[block] = input_block(Categorical(), variable, [probabilities], block.span)
            with np.errstate(divide="ignore"):
                self.mass[block] = np.log(totals)
        else:
            moments = np.asarray(numbers.moments(block.family, variable, block.parameters, 0, SIGNED_LOG))
            self.mass[block] = np.broadcast_to(moments[:, 0], block.width)
            self.new[block] = self._density(block)

    def _density(self, block: Input) -> Block:
        """An input on an infinite domain with a mass of 1."""
        if not isinstance(block.family, InputProduct):
            return block
        family, parameters = normalised(block.family, self.untying.numbers.floats(block.parameters))
        if isinstance(family, Indicator):
            one = input_block(family, block.variable, (), block.span)
            return one if block.width == 1 else select(one, [0] * block.width, block.span)
        own: list[Expression] = [self.untying.fresh(Value.of(np.ascontiguousarray(part)), None) for part in parameters]
        return input_block(family, block.variable, own, block.span)

    def _map(self, linear: LinearMap, below: Floats) -> tuple[LinearMap, Floats]:
        """A map with rows on the simplex, and the logarithms of the masses that it leaves."""
        if isinstance(linear, Compose):
            made: list[LinearMap] = []
            for part in reversed(linear.maps):
                step, below = self._map(part, below)
                made.insert(0, step)
            return compose(made), below
        above = np.asarray(apply(linear, _elements(below), SIGNED_LOG, self.untying.numbers))[:, 0, 0]
        match linear:
            case Selection():
                return linear, above
            case Dense(weights):
                return Dense(self._rows(weights, above[:, None], below[None], "simplex")), above
            case BlockDiagonal(weights):
                b, m, n = weights.shape
                rows = self._rows(weights, above.reshape(b, m, 1), below.reshape(b, 1, n), "simplex")
                return BlockDiagonal(rows), above
            case Diagonal(weights):
                return Diagonal(self._rows(weights, above, below, None)), above
            case Sparse(rows_, columns, weights, outputs):
                size = np.maximum(np.bincount(rows_, minlength=outputs), 1)
                return replace(linear, weights=self._sparse(weights, above, below, rows_, columns, size)), above
            case _:
                return self._map(Dense(written_out(linear)), below)

    def _rows(self, weights: Expression, above: Floats, below: Floats, constraint: Constraint | None) -> Expression:
        """exp(log w + log s below − log s above); where there is no mass, even rows."""
        logs = np.asarray(self.untying.numbers.of(weights, SIGNED_LOG))[..., 0]
        there = np.ones(logs.shape, dtype=bool) if is_learnable(weights) else ~np.isneginf(logs)
        even = there / np.maximum(there.sum(axis=-1, keepdims=True), 1) if constraint == "simplex" else 1.0
        safe = np.where(np.isneginf(above), 0.0, above)
        found = np.where(np.isneginf(above), even, np.exp(logs + below - safe))
        if constraint == "simplex":  # what rounding left
            found = found / np.maximum(found.sum(axis=-1, keepdims=True), np.finfo(float).tiny)
        return self._number(weights, found, constraint)

    def _number(self, weights: Expression, found: Floats, constraint: Constraint | None) -> Expression:
        """A parameter in the place of learnable numbers, a constant in that of others: a zero there is no edge."""
        value = Value.of(found)
        return self.untying.fresh(value, constraint) if is_learnable(weights) else constant(value)

    def _sparse(
        self, weights: Expression, above: Floats, below: Floats, rows: Indices, columns: Indices, size: Indices
    ) -> Expression:
        logs = np.asarray(self.untying.numbers.of(weights, SIGNED_LOG))[:, 0]
        safe = np.where(np.isneginf(above), 0.0, above)
        found = np.where(np.isneginf(above)[rows], 1.0 / size[rows], np.exp(logs + below[columns] - safe[rows]))
        return self._number(weights, found, None)


def _elements(logs: Floats) -> Floats:
    """Logarithms of masses as elements [width, 1, 2]."""
    return np.stack([logs, np.where(np.isneginf(logs), 0.0, 1.0)], axis=-1)[:, None]
