"""Log: the logarithm of a deterministic circuit on its support, as a circuit.

What enters is a circuit; what leaves is, of each of its blocks, its power 0, which is its support, and its logarithm:
of a product the sum of the children's logarithms, each times the support of the others, of a sum with weights w the sum
of [w ≠ 0] · log child + log w · [child ≠ 0] (Vergari et al., "A compositional atlas", 2021). With the power 1 in place
of 0 it is p · log p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from ...ir.block import (
    Block,
    Hadamard,
    Indexed,
    Input,
    Pairs,
    Product,
    Sum,
    constant_block,
    hadamard,
    indexed,
    pairs,
    weighted,
)
from ...ir.circuit import Circuit, Origin
from ...ir.expression import Expression, log, plus, reshape, times
from ...ir.linear import (
    BlockDiagonal,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    compose,
    selection,
    sparse,
)
from ...ir.parameter import constant
from ...ir.semirings import BOOLEAN
from ...ir.support import Booleans
from .inputs import logged_input, raised_input
from .operands import needs
from .single_paths import Step, steps_of, to_power, with_single_paths, without

FLAT = 64
"""Products of up to so many factors are one sum of as many products; of more, of groups of them."""


def logarithm(p: Circuit) -> Circuit:
    """log p where p is not 0, and 0 elsewhere: `danaus.log`. Needs p smooth, decomposable, deterministic, nonnegative.

    Smooth and decomposable, about twice the size of p times the fan-in of its products, at most 64. The scopes of its
    products are those of p's, but for groups of factors where a product has more.

    >>> import danaus as dn
    >>> p = dn.parse("var x : cat(3); circuit p { return table(x, [[0, 1, 4]]) }").circuits["p"]
    >>> dn.evaluate(dn.log(p), [[0], [1], [2]]).round(4).tolist()
    [0.0, 0.0, 1.3863]

    Raises: Refused with a witness; DanausError `too-large`.
    """
    needs(p, "log", "smooth", "decomposable", "deterministic", "nonnegative")
    return replace(p, root=Logarithms(p).root(), origin=Origin("log", (p,)))


@dataclass(frozen=True, slots=True)
class Pair:
    """A block's power and its power times its logarithm, node by node; None where that is 0 everywhere."""

    power: Block
    logs: Block | None

    def filled(self) -> Block:
        """The second, with the power's scope where it is 0."""
        return self.logs or hadamard([self.power, _nothing()], self.power.span)


@dataclass(eq=False)
class Logarithms:
    """pᵃ · log |p| of each block of a deterministic circuit; the support alone, for a = 0, times log |p|."""

    circuit: Circuit
    exponent: Fraction = Fraction(0)
    _numbers: dict[int, tuple[Expression, Expression, Expression]] = field(init=False, default_factory=dict)

    def root(self) -> Block:
        """The root's."""
        made: dict[Block, Pair] = {}
        for block in self.circuit.blocks:
            match block:
                case Input():
                    logs = logged_input(block, self.circuit.support, self.exponent)
                    made[block] = Pair(raised_input(block, self.exponent), logs)
                case Product(children, form):
                    made[block] = _product([made[child] for child in children], form)
                case Sum(children, linear):
                    made[block] = self._sum([made[child] for child in children], linear)
        return made[self.circuit.root].filled()

    def _sum(self, given: list[Pair], linear: LinearMap) -> Pair:
        steps = steps_of(with_single_paths(linear, self.circuit.support))
        # A row of nothing between two maps has no scope, and would not be smooth beside others.
        alive = np.ones(steps[0].inputs, dtype=bool)
        for step in steps:
            if not alive.all() and not isinstance(step.map, Selection):
                step = without(step, alive, self.circuit.support)
            given = [self._stepped(given, step)]
            if len(steps) > 1:
                alive = self.circuit.support.mark(step.whole(step.map), alive[:, None])[:, 0]
        return given[0]

    def _stepped(self, given: list[Pair], step: Step) -> Pair:
        """One map, on all children of a sum or on what the map before has made."""
        span = given[0].power.span if given else None
        blocks = [pair.power for pair in given]
        match step.map:
            case Selection() as same:
                logs = None
                if any(pair.logs for pair in given):
                    logs = weighted([pair.filled() for pair in given], step.whole(same), span)
                return Pair(weighted(blocks, step.whole(same), span), logs)
            case Dense() | Diagonal() | BlockDiagonal() | Sparse() as flat:
                powers, logarithms = self._of(flat.weights)
        power = weighted(blocks, step.whole(_with(flat, powers)), span)
        found = np.asarray(self.circuit.support.of(logarithms, BOOLEAN), dtype=bool)
        some = any(pair.logs for pair in given)
        if not found.any():
            if not some:
                return Pair(power, None)
            return Pair(power, weighted([pair.filled() for pair in given], step.whole(_with(flat, powers)), span))
        kept = np.asarray(self.circuit.support.of(powers, BOOLEAN), dtype=bool)
        # Each row that is not empty needs a child of its scope, also where the logarithms of its weights are 0.
        if not some and bool((_rows(flat, found) >= _rows(flat, kept)).all()):
            return Pair(power, weighted(blocks, step.whole(_with(flat, logarithms)), span))
        joint = _joint(step, flat, logarithms, powers)
        return Pair(power, weighted([*blocks, *(pair.filled() for pair in given)], joint, span))

    def _of(self, numbers: Expression) -> tuple[Expression, Expression]:
        """wᵃ and wᵃ · log |w|, once for each expression."""
        found = self._numbers.get(id(numbers))
        if found is None:
            powers, logs = to_power(numbers, self.exponent), log(numbers)
            found = (numbers, powers, logs if self.exponent == 0 else times(powers, logs))
            self._numbers[id(numbers)] = found
        return found[1], found[2]


def _with(linear: Dense | Diagonal | BlockDiagonal | Sparse, weights: Expression) -> LinearMap:
    """A map with other numbers."""
    return replace(linear, weights=weights)


def _rows(linear: Dense | Diagonal | BlockDiagonal | Sparse, marked: Booleans) -> Booleans:
    """Which rows have a marked number."""
    match linear:
        case Dense() | BlockDiagonal():
            return np.asarray(marked.any(axis=-1)).ravel()
        case Diagonal():
            return marked
        case Sparse(rows, outputs=outputs):
            return np.asarray(np.bincount(rows[marked], minlength=outputs) > 0)


def _joint(
    step: Step, linear: Dense | Diagonal | BlockDiagonal | Sparse, one: Expression, two: Expression
) -> LinearMap:
    """[A | B] of two blocks laid end to end, for maps that differ from a step's in their numbers only."""
    n = linear.inputs
    match linear:
        case Dense():
            joint: LinearMap = Dense(_side_by_side(one, two))
        case Diagonal():
            place = np.arange(n)
            joint = sparse(np.tile(place, 2), np.arange(2 * n), _side_by_side(one, two), n, 2 * n)
        case Sparse(rows, columns, _, outputs):
            both = np.concatenate([columns, columns + n])
            joint = sparse(np.tile(rows, 2), both, _side_by_side(one, two), outputs, 2 * n)
        case BlockDiagonal():
            joint = BlockDiagonal(_side_by_side(one, two))
    # Laid end to end the halves are the slowest digit of the index; the map takes them inside its own.
    outer = step.before * (linear.blocks if isinstance(linear, BlockDiagonal) else 1)
    order = np.arange(2 * step.before * n * step.after).reshape(2, outer, -1).swapaxes(0, 1)
    made = step.whole(joint)
    turn = selection(order.ravel(), order.size)
    return made if turn.is_identity else compose([made, turn])


def _side_by_side(one: Expression, two: Expression) -> Expression:
    """Two arrays [..., n] as one [..., 2 n]."""
    *lead, n = one.shape
    left, right = constant([[1.0], [0.0]]), constant([[0.0], [1.0]])
    spread = plus(times(reshape(one, (*lead, 1, n)), left), times(reshape(two, (*lead, 1, n)), right))
    return reshape(spread, (*lead, 2 * n))


def _nothing() -> Block:
    """The number 0, as a block."""
    return constant_block(constant([[0.0]]))


def _product(given: list[Pair], form: Hadamard | Pairs | Indexed) -> Pair:
    if isinstance(form, Indexed):
        return _by_index(given, form.offsets, form.members)
    while len(given) > FLAT:
        given = [_flat(given[start : start + FLAT], form) for start in range(0, len(given), FLAT)]
    return _flat(given, form)


def _flat(given: Sequence[Pair], form: Hadamard | Pairs) -> Pair:
    """Π powers, and Σ of each factor's logarithm times the powers of the others."""
    make = hadamard if isinstance(form, Hadamard) else pairs
    blocks = [pair.power for pair in given]
    terms = [
        make([*blocks[:place], pair.logs, *blocks[place + 1 :]])
        for place, pair in enumerate(given)
        if pair.logs is not None
    ]
    return Pair(make(blocks), _added(terms) if terms else None)


def _added(terms: Sequence[Block]) -> Block:
    """The sum of blocks, node by node."""
    if len(terms) == 1:
        return terms[0]
    ones, width = Dense(constant(np.ones((1, len(terms))))), terms[0].width
    return weighted(terms, ones if width == 1 else Kronecker((ones, selection(np.arange(width), width))))


def _by_index(given: list[Pair], offsets: Indices, members: Indices) -> Pair:
    """Products by index: those of many factors in groups first."""
    while len(members) and (counts := np.diff(offsets)).max() > FLAT:
        groups = -(-counts // FLAT)
        bounds = np.concatenate([[0], np.cumsum(groups)])
        node = np.repeat(np.arange(len(counts)), groups)
        starts = offsets[node] + FLAT * (np.arange(bounds[-1]) - bounds[node])
        inner = np.concatenate([starts, offsets[-1:]])
        given, offsets, members = [_listed(given, inner, members)], bounds, np.arange(bounds[-1])
    return _listed(given, offsets, members)


def _listed(given: list[Pair], offsets: Indices, members: Indices) -> Pair:
    blocks = [pair.power for pair in given]
    power = indexed(blocks, offsets, members)
    logs = [pair.logs for pair in given if pair.logs is not None]
    if not logs:
        return Pair(power, None)
    place = sum(block.width for block in blocks)
    beside: list[Indices] = []
    for pair in given:
        width = pair.power.width
        beside.append(np.full(width, -1, dtype=np.int64) if pair.logs is None else place + np.arange(width))
        place += 0 if pair.logs is None else width
    swapped = np.concatenate(beside)[members]
    counts = np.diff(offsets)
    node = np.repeat(np.arange(len(counts)), counts)
    (chosen,) = np.nonzero(swapped >= 0)
    lengths = counts[node[chosen]]
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    term = np.repeat(np.arange(len(chosen)), lengths)
    source = offsets[node[chosen]][term] + np.arange(bounds[-1]) - bounds[term]
    factors = members[source]
    factors[source == chosen[term]] = swapped[chosen]
    # A product none of whose factors has a logarithm other than 0 is 0, and keeps its scope.
    (empty,) = np.nonzero(np.bincount(node[chosen], minlength=len(counts)) == 0)
    sizes, owners = [lengths], [node[chosen]]
    if len(empty):
        laid = members[np.isin(node, empty)]
        ends = np.cumsum(counts[empty])
        factors = np.concatenate([factors, np.insert(laid, ends, place)])
        sizes.append(counts[empty] + 1)
        owners.append(empty)
    rows = np.concatenate(owners)
    offset = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    terms = indexed([*blocks, *logs, *([_nothing()] if len(empty) else [])], offset, factors)
    ones = constant(np.ones(len(rows)))
    return Pair(power, weighted([terms], sparse(rows, np.arange(len(rows)), ones, len(counts), len(rows))))
