"""The walk from the root to the inputs that chooses one child of each sum it meets, for all rows at once.

What enters are the elements of all blocks, as logarithms, and a rule that picks one of several terms: the largest gives
the best assignment, one at random a sample. What leaves are, for each input block, the nodes that were reached and the
rows that reached them. In a decomposable circuit a row reaches at most one node on each variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..apply import apply
from ..block import Block, Form, Hadamard, Indexed, Input, Pairs, Product, Sum
from ..circuit import Circuit
from ..linear import BlockDiagonal, Compose, Dense, Diagonal, Indices, Kronecker, LinearMap, Selection, Sparse
from ..numbers import Numbers
from ..parameter import Floats
from ..program.descent import Reached
from ..semirings import Log
from .derivative import parted

Booleans = NDArray[np.bool_]
Leaf = Dense | Diagonal | BlockDiagonal | Selection | Sparse

_CHUNK = 1 << 22


# Picks a column for each of the reached nodes from the logarithms of their terms, [reached, terms]; the number is that
# of the choice among those that one node makes.
Rule = Callable[[Floats, Reached, int], Indices]


@dataclass(frozen=True, slots=True)
class Descent:
    """How to choose: the semiring of the elements, the numbers of the maps, and the rule."""

    semiring: Log
    numbers: Numbers
    rule: Rule

    def inputs(
        self, circuit: Circuit, values: Mapping[Block, Floats], columns: Indices
    ) -> Iterator[tuple[Input, Reached]]:
        """The input nodes that are reached, block by block; row i reads column columns[i] of the elements.

        The root's elements must not be zero there. Nodes have their ids in the order of the circuit's blocks.
        """
        first = circuit.nodes
        masks: dict[Block, Booleans] = {circuit.root: np.ones((1, len(columns)), dtype=bool)}
        for block in reversed(circuit.blocks):
            first -= block.width
            mask = masks.pop(block, None)
            if mask is None or not mask.any():
                continue
            nodes, rows = np.nonzero(mask)
            reached = Reached(nodes, rows, first + nodes)
            match block:
                case Input():
                    yield block, reached
                    continue
                case Sum(children, linear):
                    laid = self.semiring.concatenate([values[child] for child in children])
                    chosen = self._chosen(linear, laid, columns[rows], reached)
                    marks = np.zeros((len(laid), len(columns)), dtype=bool)
                    marks[chosen, rows] = True
                    below = parted(marks, children)
                case Product(children, form):
                    below = _factors(children, form, mask, reached)
            for child, part in zip(children, below, strict=True):
                masks[child] = masks[child] | part if child in masks else part

    def _chosen(self, linear: LinearMap, x: Floats, columns: Indices, reached: Reached) -> Indices:
        """The input of a map that each reached output chooses; a composed map is undone from its outputs on."""
        steps = _steps(linear)
        elements = [x]
        for step in steps[:0:-1]:
            elements.append(step.applied(elements[-1], self))
        chosen = reached.nodes
        for number, step in enumerate(steps):
            chosen = step.undone(chosen, columns, elements[-1 - number], self, reached, number)
        return chosen

    def terms(
        self, leaf: Leaf, x: Floats, outputs: Indices, columns: Indices, reached: Reached, number: int
    ) -> Indices:
        """The input of a leaf of a map that each output chooses, at its column of the elements x [inputs, columns]."""
        match leaf:
            case Selection(index, _):
                return np.asarray(index[outputs])
            case Diagonal():
                return outputs
            case Dense(weights):
                matrix = self.numbers.of(weights, self.semiring)
                return self._pick(lambda some: matrix[outputs[some]] + x[:, columns[some]].T, len(x), reached, number)
            case BlockDiagonal(weights):
                blocks = self.numbers.of(weights, self.semiring)
                count, height, width = blocks.shape
                place, inner = np.divmod(outputs, height)
                cube = x.reshape(count, width, -1)
                picked = self._pick(
                    lambda some: blocks[place[some], inner[some]] + cube[place[some], :, columns[some]],
                    width,
                    reached,
                    number,
                )
                return np.asarray(place * width + picked, dtype=np.int64)
            case Sparse():
                return self._sparse(leaf, x, outputs, columns, reached, number)

    def _pick(self, terms: Callable[[slice], Floats], width: int, reached: Reached, number: int) -> Indices:
        """The rule's choice among `width` terms each, a stretch of the reached nodes at a time."""
        out = np.zeros(len(reached.nodes), dtype=np.int64)
        if width == 1:
            return out
        step = max(1, _CHUNK // width)
        for start in range(0, len(out), step):
            some = slice(start, start + step)
            out[some] = self.rule(terms(some), reached.part(some), number)
        return out

    def _sparse(
        self, leaf: Sparse, x: Floats, outputs: Indices, columns: Indices, reached: Reached, number: int
    ) -> Indices:
        """Rows with about as many entries (to the next power of two) are padded to one length and chosen together."""
        weights = self.numbers.of(leaf.weights, self.semiring)[leaf.order]
        inputs = leaf.columns[leaf.order]
        start, length = leaf.offsets[outputs], np.diff(leaf.offsets)[outputs]
        _, bits = np.frexp(length - 0.5)
        out = np.zeros(len(outputs), dtype=np.int64)
        for bit in np.unique(bits):
            some = np.flatnonzero(bits == bit)
            width = 1 << int(bit)

            def terms(part: slice, some: Indices = some, width: int = width) -> Floats:
                here = some[part]
                places = np.arange(width)
                entry = start[here][:, None] + np.minimum(places, length[here][:, None] - 1)
                found = weights[entry] + x[inputs[entry], columns[here][:, None]]
                return np.where(places < length[here][:, None], found, -np.inf)

            out[some] = inputs[start[some] + self._pick(terms, width, reached.part(some), number)]
        return out


@dataclass(frozen=True, slots=True)
class _Step:
    """I ⊗ leaf ⊗ I: one leaf of a composed map, on one digit of the index, with so many digits before and after it."""

    before: int
    leaf: Leaf
    after: int

    def applied(self, x: Floats, descent: Descent) -> Floats:
        """The step times elements [inputs, columns]."""
        out = apply(self.leaf, self._flat(x), descent.semiring, descent.numbers)
        cube = out.reshape(len(out), self.before, self.after, x.shape[1])
        return np.moveaxis(cube, 0, 1).reshape(-1, x.shape[1])

    def undone(
        self, outputs: Indices, columns: Indices, x: Floats, descent: Descent, reached: Reached, number: int
    ) -> Indices:
        """The inputs that outputs choose."""
        if self.before == self.after == 1:
            return descent.terms(self.leaf, x, outputs, columns, reached, number)
        rest, behind = np.divmod(outputs, self.after)
        ahead, digit = np.divmod(rest, self.leaf.outputs)
        place = (ahead * self.after + behind) * x.shape[1] + columns
        chosen = descent.terms(self.leaf, self._flat(x), digit, place, reached, number)
        return (ahead * self.leaf.inputs + chosen) * self.after + behind

    def _flat(self, x: Floats) -> Floats:
        """Elements with the leaf's digit first and all else as columns."""
        if self.before == self.after == 1:
            return x
        cube = x.reshape(self.before, self.leaf.inputs, self.after, x.shape[1])
        return np.moveaxis(cube, 1, 0).reshape(self.leaf.inputs, -1)


def _steps(linear: LinearMap, before: int = 1, after: int = 1) -> list[_Step]:
    """The leaves of a map with the digits around them, the one applied last first."""
    match linear:
        case Compose(maps):
            return [step for part in maps for step in _steps(part, before, after)]
        case Kronecker(factors):
            steps: list[_Step] = []
            for position, factor in enumerate(factors):
                ahead = prod(other.inputs for other in factors[:position])
                behind = prod(other.outputs for other in factors[position + 1 :])
                steps += _steps(factor, before * ahead, behind * after)
            return steps
        case _:
            return [_Step(before, linear, after)]


def _factors(children: tuple[Block, ...], form: Form, mask: Booleans, reached: Reached) -> list[Booleans]:
    """Which nodes of each child a product's reached nodes stand on, [width, batch] each."""
    match form:
        case Hadamard():
            return [
                mask if child.width == len(mask) else np.asarray(mask.any(axis=0, keepdims=True)) for child in children
            ]
        case Pairs():
            cube = mask.reshape(*(child.width for child in children), mask.shape[1])
            axes = range(len(children))
            return [np.asarray(cube.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
        case Indexed(offsets, members):
            marks = np.zeros((sum(child.width for child in children), mask.shape[1]), dtype=bool)
            counts = np.diff(offsets)[reached.nodes]
            owner = np.repeat(np.arange(len(counts)), counts)
            place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
            marks[members[offsets[reached.nodes][owner] + place], reached.rows[owner]] = True
            return parted(marks, children)
