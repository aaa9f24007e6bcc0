"""Derivatives of the root with respect to every node, over any semiring: the circuit walked from the root down.

What enters are the elements of all blocks at some evidence; what leaves is, for each block, the derivative of the root
with respect to its nodes. In a smooth, decomposable circuit the root is linear in the inputs on one variable, so that
these derivatives give every marginal of a single variable in one walk (Darwiche, "A differential approach to inference
in Bayesian networks", JACM 2003). Nothing is divided, so zeros are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from ..apply import apply, by_key
from ..block import Block, Hadamard, Indexed, Input, Pairs, Product, Sum
from ..circuit import Circuit
from ..evaluate import Evidence, free_elements, values_of
from ..linear import Indices
from ..numbers import Numbers
from ..semirings import Array, Semiring


def derivatives(circuit: Circuit, semiring: Semiring, evidence: Evidence) -> dict[Input, Array]:
    """The derivative of the circuit's value with respect to each input's nodes, [width, batch, *trailing].

    It is the value with the node replaced by 1, less the value with it replaced by 0. All rows at once: who has many
    calls this on parts of them (`rows_at_once`).
    """
    numbers = Numbers(circuit.store)
    values = values_of(circuit, semiring, evidence, numbers)
    walk = backward(circuit, semiring, evidence, numbers, values)
    return {block: adjoint for block, adjoint in walk if isinstance(block, Input)}


def backward(
    circuit: Circuit, semiring: Semiring, evidence: Evidence, numbers: Numbers, values: Mapping[Block, Array]
) -> Iterator[tuple[Block, Array]]:
    """Each block with the derivatives of the circuit's value with respect to its nodes, parents first.

    `values` are the elements of all blocks, as `values_of` gives them at the same evidence.
    """
    top = np.expand_dims(free_elements(circuit, semiring, evidence, numbers), 0)
    adjoints: dict[Block, Array] = {circuit.root: top}
    for block in reversed(circuit.blocks):
        adjoint = adjoints.pop(block)
        yield block, adjoint
        match block:
            case Input():
                continue
            case Sum(children, linear):
                below = parted(apply(linear, adjoint, semiring, numbers, transposed=True), children)
            case Product(children):
                below = _factors(block, adjoint, [values[child] for child in children], semiring)
        for child, share in zip(children, below, strict=True):
            adjoints[child] = semiring.add(adjoints[child], share) if child in adjoints else share


def parted(laid: Array, children: Sequence[Block]) -> list[Array]:
    """What stands for the children laid end to end, as one array for each."""
    return np.split(laid, np.cumsum([child.width for child in children])[:-1]) if children else []


def _factors(block: Product, adjoint: Array, values: list[Array], semiring: Semiring) -> list[Array]:
    """The derivatives with respect to a product's children: its own, times the other factors."""
    match block.form:
        case Hadamard():
            others = _others(values, semiring) if values else []
            shares = [semiring.multiply(adjoint, other) for other in others]
            return [
                semiring.sum(share, 0)[None] if child.width < len(share) else share
                for child, share in zip(block.children, shares, strict=True)
            ]
        case Pairs():
            return _pairs(adjoint, values, semiring)
        case Indexed(offsets, members):
            if not values:
                return []
            laid = semiring.concatenate(values)
            segment = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
            edges = semiring.multiply(adjoint[segment], _exclusive(laid[members], offsets, segment, semiring))
            order, bounds = by_key(members, len(laid))
            return parted(semiring.segment_sum(edges[order], bounds), block.children)


def _others(values: list[Array], semiring: Semiring) -> list[Array]:
    """For each of some factors the product of the others, from the products of those before and of those after it."""
    one = semiring.full((1, values[0].shape[1]), one=True)
    before, after = [one], [one]
    for value in values[:-1]:
        before.append(semiring.multiply(before[-1], value))
    for value in values[:0:-1]:
        after.append(semiring.multiply(value, after[-1]))
    return [semiring.multiply(left, right) for left, right in zip(before, reversed(after), strict=True)]


def _pairs(adjoint: Array, values: list[Array], semiring: Semiring) -> list[Array]:
    """The derivatives with respect to the factors of all pairs: summed over the other factors' indices."""
    sizes = [len(value) for value in values]
    shares: list[Array] = []
    for position, size in enumerate(sizes):
        before, after = prod(sizes[:position]), prod(sizes[position + 1 :])
        cube = adjoint.reshape(before, size, after, *adjoint.shape[1:])
        cube = semiring.multiply(cube, _all_pairs(values[:position], cube, semiring)[:, None, None])
        cube = semiring.multiply(cube, _all_pairs(values[position + 1 :], cube, semiring)[None, None])
        shares.append(semiring.sum(semiring.sum(cube, 2), 0))
    return shares


def _all_pairs(values: list[Array], like: Array, semiring: Semiring) -> Array:
    """The products of all pairs of nodes, the first factor's index slowest; 1 where there is no factor."""
    out = np.array(semiring.full((1, like.shape[3]), one=True))
    for value in values:
        spread = semiring.multiply(out[:, None], value[None])
        out = spread.reshape(len(out) * len(value), *spread.shape[2:])
    return out


def _exclusive(elements: Array, offsets: Indices, segment: Indices, semiring: Semiring) -> Array:
    """For each element the product of the others of its stretch offsets[i] … offsets[i+1]."""
    everywhere = np.arange(len(elements))
    place = everywhere - offsets[segment]
    mirrored = offsets[segment] + offsets[segment + 1] - 1 - everywhere
    before = _running(elements, place, semiring)
    after = _running(elements[mirrored], place, semiring)[mirrored]
    return semiring.multiply(before, after)


def _running(elements: Array, place: Indices, semiring: Semiring) -> Array:
    """The product of the elements before each in its stretch, where it has the given place.

    In rounds that double what each product spans: as many as the longest stretch has bits.
    """
    ones = semiring.full((1, elements.shape[1]), one=True)
    everywhere = np.arange(len(elements))

    def behind(running: Array, distance: int) -> Array:
        padded = semiring.concatenate([running, np.array(ones)])
        return padded[np.where(place >= distance, everywhere - distance, len(elements))]

    running = behind(elements, 1)
    longest = int(place.max(initial=0))
    distance = 1
    while distance < longest:
        running = semiring.multiply(behind(running, distance), running)
        distance *= 2
    return running
