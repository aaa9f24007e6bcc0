"""The workloads of GPUs beyond chains: images of 28 × 28 pixels as hidden Chow–Liu trees and Poon–Domingos circuits, as
Programs without numbers, and decision circuits of scalar nodes.

A Program of K states is one of few states and two values whose sizes are scaled: no number of it is made on the host.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np

import danaus as dn
from danaus.compiler.pipeline import program_of
from danaus.frontend.templates.codes import binned_codes
from danaus.frontend.templates.information import mutual_information
from danaus.frontend.templates.tree import Tree, heaviest_tree
from danaus.ir.circuit import Circuit
from danaus.ir.program.operation import Contract, Load, Repeat, Step, Strides
from danaus.ir.program.program import Program

FEW = 13
"""States of the circuit that is scaled: a divisor of no other size in it."""

Rectangle = tuple[int, int, int, int]
"""Top, bottom, left, right."""


def scaled(program: Program, states: int, values: int) -> Program:
    """The same Program with so many states in place of FEW, and so many values of a pixel in place of two."""
    inputs = {step.table for each in program.operations for step in _steps(each) if isinstance(step, Load)}

    def size(number: int) -> int:
        return number // FEW * states if number % FEW == 0 else number

    def step(each: Any) -> Step:
        if not isinstance(each, Contract):
            return each
        read, write = (Strides(size(way.block), size(way.node)) for way in (each.read, each.write))
        sizes = {"blocks": size(each.blocks), "rows": size(each.rows), "columns": size(each.columns)}
        return replace(each, **sizes, read=read, write=write)

    return replace(
        program,
        operations=tuple(
            replace(each, body=tuple(map(step, each.body))) if isinstance(each, Repeat) else step(each)
            for each in program.operations
        ),
        buffers=tuple(map(size, program.buffers)),
        tables=tuple(
            (values + 1, size(shape[1])) if number in inputs else tuple(map(size, shape))
            for number, shape in enumerate(program.tables)
        ),
        columns=(values,) * len(program.columns),
    )


def _steps(operation: Any) -> tuple[Step, ...]:
    return operation.body if isinstance(operation, Repeat) else (operation,)


def images(rows: int, side: int, values: int = 256) -> np.ndarray:
    """Images of a bright blob somewhere, so that neighbouring pixels have something to say of each other."""
    random = np.random.default_rng(0)
    centre, width = random.uniform(0, side, (2, rows, 1)), random.uniform(side / 8, side / 2, (rows, 1))
    y, x = (axis.ravel() for axis in np.mgrid[:side, :side])
    bright = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / width**2) + random.normal(0, 0.05, (rows, side**2))
    return np.clip(bright * (values - 1), 0, values - 1).astype(np.int64)


@cache
def tree_of(side: int) -> Tree:
    """The Chow–Liu tree of images in black and white."""
    data = images(2000, side, 2).astype(float)
    variables = dn.Cat("x", 2, shape=side * side)
    return heaviest_tree(mutual_information(binned_codes(data, np.ones(data.shape, bool), list(variables)), 1.0))


def rectangles(side: int) -> dict[Rectangle, list[tuple[Rectangle, Rectangle]]]:
    """All rectangles with sides on multiples of a quarter of an image's, the smallest first, and their cuts in two."""
    lines = [*range(0, side, max(1, side // 4)), side]
    spans = sorted(combinations(lines, 2), key=lambda span: span[1] - span[0])
    found: dict[Rectangle, list[tuple[Rectangle, Rectangle]]] = {}
    for top, bottom in spans:
        for left, right in spans:
            found[top, bottom, left, right] = [
                ((top, row, left, right), (row, bottom, left, right)) for row in lines if top < row < bottom
            ] + [
                ((top, bottom, left, column), (top, bottom, column, right)) for column in lines if left < column < right
            ]
    return found


def pixels(rectangle: Rectangle, side: int) -> list[int]:
    """The variables of a rectangle."""
    top, bottom, left, right = rectangle
    return [row * side + column for row in range(top, bottom) for column in range(left, right)]


def tree_circuit(states: int, side: int, values: int, numbers: Mapping[Any, np.ndarray] | None = None) -> Circuit:
    """A hidden Chow–Liu tree over images, as `dn.hclt` makes them; `numbers` are inputs by pixel, and sums by the pixel
    as a tuple of one.
    """
    x = dn.Cat("x", values, shape=side * side)
    tree = tree_of(side)
    children: list[list[Any]] = [[] for _ in tree.parents]
    for node in reversed(tree.order):
        own = _pixel(x[node], states, None if numbers is None else numbers[node])
        if children[node]:
            own = dn.product([own, *reversed(children[node])])
        wide = 1 if tree.parents[node] < 0 else states
        own = dn.sum(own, width=wide) if numbers is None else dn.sum(own, numbers[node,])
        if tree.parents[node] < 0:
            return dn.Circuit(own)
        children[tree.parents[node]].append(own)
    raise AssertionError("a tree ends at its root")


def _pixel(variable: Any, states: int, numbers: np.ndarray | None) -> Any:
    return dn.categorical(variable, width=states) if numbers is None else dn.categorical(variable, numbers)


def rectangle_circuit(states: int, side: int, values: int, numbers: Mapping[Any, np.ndarray] | None = None) -> Circuit:
    """A Poon–Domingos circuit whose sums are over the products of all cuts, as in the paper and in PyJuice; the
    smallest rectangles are sums over products of pixels. `numbers` are weights by rectangle and inputs by pixel.
    """
    x = dn.Cat("x", values, shape=side * side)
    nodes: dict[Rectangle, Any] = {}

    def total(rectangle: Rectangle, below: Any) -> Any:
        wide = 1 if rectangle == (0, side, 0, side) else states
        return dn.sum(below, width=wide) if numbers is None else dn.sum(below, numbers[rectangle])

    for rectangle, cuts in rectangles(side).items():
        if cuts:
            products = [dn.product([nodes[first], nodes[second]]) for first, second in cuts]
            nodes[rectangle] = total(rectangle, dn.concat(*products) if len(products) > 1 else products[0])
        else:
            leaves = [
                _pixel(x[pixel], states, None if numbers is None else numbers[pixel])
                for pixel in pixels(rectangle, side)
            ]
            nodes[rectangle] = total(rectangle, dn.product(leaves) if len(leaves) > 1 else leaves[0])
    return dn.Circuit(nodes[0, side, 0, side])


def image_circuit(kind: str, states: int, side: int = 28, values: int = 256) -> Circuit:
    """An "HCLT", or a "PD" whose cuts are a quarter of the side apart, with numbers at random."""
    return (tree_circuit if kind == "HCLT" else rectangle_circuit)(states, side, values)


@cache
def _small(kind: str, side: int) -> Program:
    return program_of(image_circuit(kind, FEW, side, 2))


def image_program(kind: str, states: int, side: int = 28, values: int = 256) -> Program:
    """The same over so many states, pixels and values, without numbers."""
    return scaled(_small(kind, side), states, values)


def drawn_branches(variables: int, width: int) -> list[np.ndarray]:
    """The branches of an ordered decision diagram of so many nodes a level: which nodes of the next level follow a one
    and a zero, [nodes, 2], and of the last level which literals they are, 0 the positive one.
    """
    random = np.random.default_rng(variables)
    sizes = [1, *[width] * (variables - 1)]
    inner = [random.integers(0, after, (nodes, 2)) for nodes, after in pairwise(sizes)]
    return [*inner, random.integers(0, 2, sizes[-1])]


def decisions(variables: int, width: int) -> Circuit:
    """A d-DNNF: an ordered decision diagram of so many nodes a level, whose branches are drawn, as c2d's text."""
    lines = [f"L {sign * (i + 1)}" for i in range(variables) for sign in (1, -1)]
    levels = drawn_branches(variables, width)
    below = [2 * (variables - 1) + literal for literal in levels[-1].tolist()]
    edges = 0
    for level in reversed(range(variables - 1)):
        own: list[int] = []
        for branches in levels[level].tolist():
            lines += [f"A 2 {2 * level + sign} {below[child]}" for sign, child in enumerate(branches)]
            lines.append(f"O {level + 1} 2 {len(lines) - 2} {len(lines) - 1}")
            own.append(len(lines) - 1)
            edges += 6
        below = own
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "decisions.nnf"
        file.write_text("\n".join([f"nnf {len(lines)} {edges} {variables}", *lines]) + "\n")
        return dn.load(file).circuit
