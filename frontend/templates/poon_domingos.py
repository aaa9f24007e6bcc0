"""The region graph of Poon and Domingos: all rectangles of an image that a grid of cuts gives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ...ir.block import Block
from ...ir.domain import Variable
from ...ir.span import Span
from ..fresh import Declarations
from .emission import require_size
from .rectangles import Rectangle, rectangle_graph, require_image
from .region import Layer, region_circuit, require_graph_size


def poon_domingos(
    variables: Sequence[Variable],
    shape: tuple[int, int],
    delta: int,
    states: int,
    declarations: Declarations,
    stem: str,
    *,
    layer: Layer = "cp",
    span: Span | None = None,
) -> Block:
    """All rectangles with sides on multiples of `delta` or the image's border, each cut in all ways, as a circuit.

    A rectangle is cut in two at each row and each column that is a multiple of `delta` inside it. The smallest, of at
    most delta × delta pixels, are leaves. The variables are the pixels row by row; parameters are as region.py says, a
    region is named by its rows and columns: `stem.0..2,0..4`.

    Raises: DanausError `wrong-shape` where height times width is not the number of variables, `wrong-size`,
    `wrong-arguments`, `too-large`.

    Source: Poon and Domingos, "Sum-product networks: a new deep architecture", UAI 2011, section 4.
    """
    require_image(variables, shape, "poon_domingos")
    require_size(delta, "delta")
    height, width = shape
    rows, columns = -(-height // delta), -(-width // delta)
    cuts_in_all = _inner(rows) * _stretches(columns) + _stretches(rows) * _inner(columns)
    require_graph_size(cuts_in_all + len(variables), "take a larger delta")
    across, down = [*range(0, height, delta), height], [*range(0, width, delta), width]
    cuts: dict[Rectangle, list[tuple[Rectangle, Rectangle]]] = {}
    for top, bottom in combinations(across, 2):
        for left, right in combinations(down, 2):
            cuts[top, bottom, left, right] = [
                ((top, row, left, right), (row, bottom, left, right)) for row in across if top < row < bottom
            ] + [
                ((top, bottom, left, column), (top, bottom, column, right)) for column in down if left < column < right
            ]
    return region_circuit(rectangle_graph(variables, width, cuts), states, layer, declarations, stem, span)


def _stretches(cells: int) -> int:
    """The number of stretches of neighbouring cells."""
    return cells * (cells + 1) // 2


def _inner(cells: int) -> int:
    """The number of cuts in all of those stretches."""
    return (cells - 1) * cells * (cells + 1) // 6
