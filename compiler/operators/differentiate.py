"""Differentiate: the derivative of a circuit in a real variable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
    indexed,
    input_block,
    input_product,
    weighted,
)
from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import error
from ...ir.domain import Real, Variable
from ...ir.family import Family, Gaussian, GaussianDerivative, InputProduct, One, name_of
from ...ir.linear import Dense, Indices, Kronecker, compose, selection, sparse
from ...ir.parameter import constant
from ...ir.products import singles_of
from ...ir.support import Booleans
from ..rewrite import formed
from .operands import Name, needs, variable_of
from .scale import times


def differentiate(p: Circuit, variable: Name) -> Circuit:
    """∂p/∂x for a real variable x: a circuit of the same variables; of the others the inputs stay as they are.

    A gaussian becomes its derivative, an input of its own family over the same parameters; products of inputs follow
    the product rule; the constant 1 becomes 0. Needs p decomposable, so that at most one factor of a product has x:
    a node that has x becomes one of its derivative, others stay what they are. Smooth where p is; linear in its blocks.
    Higher derivatives are derivatives of derivatives.

    >>> from danaus import differentiate, evaluate, parse
    >>> p = parse("var y : real; circuit p { return sum(gaussian(y, [0, 3], [1, 2]), [[0.5, 0.5]]) }").circuit
    >>> round(float(evaluate(differentiate(p, "y"), [0.0])), 6)
    0.024285

    Raises: Refused with a witness; DanausError `unknown-variable`, `wrong-domain` for one that is not real, or
    `no-derivative` for an input that has none here.
    """
    needs(p, "differentiate", "decomposable")
    by = variable_of(p, variable)
    if not isinstance(by.domain, Real):
        raise error(
            "wrong-domain",
            f'"{by}" is {by.domain}; there are derivatives in real variables only',
            hint="`restrict` gives the values, from which differences follow",
        )
    work = _Work(p, by)
    for block in p.blocks:
        work.differentiate(block)
    root = work.slope[p.root]
    origin = Origin("differentiate", (p,), {"variable": by})
    return replace(p, root=times(p.root, 0) if root is None else root, origin=origin)


@dataclass(slots=True)
class _Work:
    """Blocks with their derivatives, None where all are 0, and which nodes have one: the others' are worth nothing."""

    circuit: Circuit
    by: Variable
    slope: dict[Block, Block | None] = field(default_factory=dict[Block, "Block | None"])
    has: dict[Block, Booleans] = field(default_factory=dict[Block, Booleans])

    def differentiate(self, block: Block) -> None:
        match block:
            case Input():
                self.slope[block] = _input(block) if block.variable == self.by else None
                self.has[block] = np.full(block.width, self.slope[block] is not None)
            case Sum(children, linear):
                laid = np.concatenate([self.has[child] for child in children])
                marks = laid.any() and not laid.all()
                all_or_none = np.full(block.width, bool(laid.any()))
                own = self.circuit.support.mark(linear, laid[:, None])[:, 0] if marks else all_or_none
                self.has[block] = own
                self.slope[block] = self._sum(block)
            case Product():
                offsets, members = _members(block)
                laid = np.concatenate([*(self.has[child] for child in block.children), np.zeros(1, dtype=bool)])
                counted = np.concatenate([[0], np.cumsum(laid[members])])[offsets]
                self.has[block] = np.diff(counted) > 0
                self.slope[block] = self._product(block, offsets, members, laid)

    def _sum(self, block: Sum) -> Block | None:
        """The map of the children's derivatives, without those of nodes that have none."""
        slopes = [self.slope[child] for child in block.children]
        kept = [slope for slope in slopes if slope is not None]
        if not self.has[block].any():
            return None
        laid = np.concatenate([self.has[child] for child in block.children])
        if laid.all():
            return weighted(kept, block.map, block.span)
        given = [self.has[c] for c, slope in zip(block.children, slopes, strict=True) if slope is not None]
        (rows,), (columns,) = np.nonzero(laid), np.nonzero(np.concatenate(given))
        into = sparse(rows, columns, constant(np.ones(len(rows))), len(laid), sum(slope.width for slope in kept))
        return weighted(kept, compose([block.map, into]), block.span)

    def _product(self, block: Product, offsets: Indices, members: Indices, laid: Booleans) -> Block | None:
        """The product with the derivative of the one factor that has the variable."""
        children = block.children
        with_slope = [place for place, child in enumerate(children) if self.slope[child] is not None]
        if not with_slope or not self.has[block].any():
            return None
        if len(with_slope) == 1 and not isinstance(block.form, Indexed):
            (place,) = with_slope
            slope = self.slope[children[place]]
            assert slope is not None
            return formed(block, [*children[:place], slope, *children[place + 1 :]])
        zero = constant_block(constant([[0]]), block.span)
        total = sum(child.width for child in children)
        slopes: list[Block] = []
        moved = np.full(total, total)  # the zero, unless there is a derivative
        start, after = 0, total + 1
        for child in children:
            slope = self.slope[child]
            if slope is not None:
                moved[start : start + child.width] = after + np.arange(child.width)
                slopes.append(slope)
                after += child.width
            start += child.width
        first = _first(laid[members], offsets)
        found = members.copy()
        found[first] = moved[members[first]]
        # A product that has no factor with the variable has the derivative 0.
        lacking = ~self.has[block]
        rows = np.repeat(np.arange(block.width), np.diff(offsets))
        found[lacking[rows]] = total
        lengths = np.diff(offsets) + (lacking & (np.diff(offsets) == 0))
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        out = np.full(int(bounds[-1]), total)
        out[np.arange(len(found)) + (bounds[:-1] - offsets[:-1])[rows]] = found
        return indexed([*children, zero, *slopes], bounds, out, block.span)


def _first(marked: Booleans, offsets: Indices) -> Indices:
    """The place of the first marked entry of each stretch that has one."""
    (places,) = np.nonzero(marked)
    rows = np.searchsorted(offsets, places, side="right") - 1
    _, first = np.unique(rows, return_index=True)
    return np.asarray(places[first])


def _members(block: Product) -> tuple[Indices, Indices]:
    """A product as one by index: offsets, and nodes of the children laid end to end."""
    widths = [child.width for child in block.children]
    starts = np.cumsum([0, *widths])[:-1]
    match block.form:
        case Indexed(offsets, members):
            return offsets, members
        case Hadamard():
            node = np.arange(block.width)
            grid = [start + (node if width > 1 else 0 * node) for start, width in zip(starts, widths, strict=True)]
        case Pairs():
            places = np.unravel_index(np.arange(block.width), widths) if widths else ()
            grid = [start + place for start, place in zip(starts, places, strict=True)]
    offsets = np.arange(block.width + 1) * len(widths)
    return offsets, np.stack(grid, axis=1).ravel() if grid else np.zeros(0, dtype=np.int64)


def _input(block: Input) -> Block | None:
    """The derivative of an input; of a product of inputs, the sum of what the product rule gives."""
    singles = singles_of(block)
    widths = block.family.widths if isinstance(block.family, InputProduct) else (block.width,)
    whole = [
        Input(family, block.variable, own, width, block.span)
        for (family, own), width in zip(singles, widths, strict=True)
    ]
    terms: list[Block] = []
    for place, factor in enumerate(whole):
        slope = _slope(factor.family, factor.variable)
        if slope is not None:
            own = input_block(slope, factor.variable, factor.parameters, block.span)
            terms.append(input_product([*whole[:place], own, *whole[place + 1 :]], block.span))
    return terms[0] if len(terms) == 1 else _added(terms) if terms else None


def _slope(family: Family, variable: Variable) -> Family | None:
    """The family of the derivative; None where it is 0."""
    match family:
        case Gaussian():
            return GaussianDerivative(1)
        case GaussianDerivative(order):
            return GaussianDerivative(order + 1)
        case One():
            return None
        case _:
            raise error(
                "no-derivative",
                f'{name_of(family)}("{variable.name}") has no derivative here',
                hint="gaussians have, their products, and the constant 1",
            )


def _added(terms: Sequence[Block]) -> Block:
    """The sum of blocks of one width."""
    width = terms[0].width
    row = Dense(constant(np.ones((1, len(terms)))))
    return weighted(terms, Kronecker((row, selection(np.arange(width), width))), terms[0].span)
