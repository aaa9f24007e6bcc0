"""Quad trees and quad graphs: an image cut in four quarters, and these again, down to single pixels."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.block import Block
from ...ir.domain import Variable
from ...ir.span import Span
from ..fresh import Declarations
from .rectangles import Cuts, Rectangle, rectangle_graph, require_image
from .region import Layer, region_circuit, require_graph_size


def quad_tree(
    variables: Sequence[Variable],
    shape: tuple[int, int],
    states: int,
    declarations: Declarations,
    stem: str,
    *,
    layer: Layer = "cp",
    span: Span | None = None,
) -> Block:
    """An image cut across in two and each half down in two, again and again: a tree of regions, so it is structured.

    Of an odd side the first half is the larger; where a side is 1 only the other is cut. The variables are the pixels
    row by row; parameters are as region.py says, a region is named by its rows and columns: `stem.0..2,0..4`.

    Raises: DanausError `wrong-shape` where height times width is not the number of variables, `wrong-size`,
    `wrong-arguments`, `too-large`.

    Source: Mari, Vessio and Vergari, "Unifying and understanding overparameterized circuit representations via low-rank
    tensor decompositions", TPM 2023.
    """
    require_image(variables, shape, "quad_tree")
    require_graph_size(2 * len(variables), "take a smaller image")
    graph = rectangle_graph(variables, shape[1], _quarters(shape, both=False))
    return region_circuit(graph, states, layer, declarations, stem, span)


def quad_graph(
    variables: Sequence[Variable],
    shape: tuple[int, int],
    states: int,
    declarations: Declarations,
    stem: str,
    *,
    layer: Layer = "cp",
    span: Span | None = None,
) -> Block:
    """An image cut in two both across and down, either half then the other way, into four quarters that both share.

    Otherwise as `quad_tree`; a region that can be cut both ways has two partitions, so it is not structured.

    Raises, source: as `quad_tree`.
    """
    require_image(variables, shape, "quad_graph")
    require_graph_size(3 * len(variables), "take a smaller image")
    graph = rectangle_graph(variables, shape[1], _quarters(shape, both=True))
    return region_circuit(graph, states, layer, declarations, stem, span)


def _quarters(shape: tuple[int, int], both: bool) -> Cuts:
    """How all rectangles are cut: those that have been cut in quarters from, and the halves between."""
    cuts: dict[Rectangle, list[tuple[Rectangle, Rectangle]]] = {}
    wholes: list[Rectangle] = [(0, shape[0], 0, shape[1])]
    for whole in wholes:
        top, bottom, left, right = whole
        row, column = (top + bottom + 1) // 2, (left + right + 1) // 2
        upper, lower = (top, row, left, right), (row, bottom, left, right)
        before, after = (top, bottom, left, column), (top, bottom, column, right)
        if bottom - top == 1 and right - left == 1:
            cuts[whole] = []
        elif bottom - top == 1:
            cuts[whole] = [(before, after)]
            wholes += [before, after]
        elif right - left == 1:
            cuts[whole] = [(upper, lower)]
            wholes += [upper, lower]
        else:
            first, second = (top, row, left, column), (top, row, column, right)
            third, fourth = (row, bottom, left, column), (row, bottom, column, right)
            cuts[whole] = [(upper, lower)]
            cuts[upper], cuts[lower] = [(first, second)], [(third, fourth)]
            if both:
                cuts[whole].append((before, after))
                cuts[before], cuts[after] = [(first, third)], [(second, fourth)]
            wholes += [first, second, third, fourth]
    return cuts
