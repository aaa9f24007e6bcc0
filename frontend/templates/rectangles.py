"""Region graphs of images: rectangles of pixels and how they are cut enter, a region graph leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ...ir.diagnostic import error
from ...ir.domain import Variable
from .emission import require_size, require_variables
from .region import Region

Rectangle: TypeAlias = tuple[int, int, int, int]
"""The first row and the one after the last, the first column and the one after the last."""

Cuts: TypeAlias = Mapping[Rectangle, Sequence[tuple[Rectangle, Rectangle]]]
"""For each rectangle the ways in which it is cut in two; none for a leaf."""


def require_image(variables: Sequence[Variable], shape: tuple[int, int], template: str) -> None:
    """Raises DanausError `wrong-shape` where the variables do not fill an image of this height and width."""
    require_variables(variables, template)
    height, width = shape
    require_size(height, "the height")
    require_size(width, "the width")
    if height * width != len(variables):
        raise error(
            "wrong-shape",
            f"shape=[{height}, {width}] has {height * width} pixels, but there are {len(variables)} variables",
            hint="height times width is the number of variables, which are taken row by row",
        )


def rectangle_graph(variables: Sequence[Variable], width: int, cuts: Cuts) -> list[Region]:
    """The regions of an image, the small before the large; rows 2 and 3 of columns 0 to 3 are called `2..4,0..4`."""
    order = sorted(cuts, key=lambda cut: ((cut[1] - cut[0]) * (cut[3] - cut[2]), cut))
    places = {rectangle: place for place, rectangle in enumerate(order)}
    graph: list[Region] = []
    for top, bottom, left, right in order:
        name = f"{top}..{bottom},{left}..{right}"
        parts = tuple((places[one], places[other]) for one, other in cuts[top, bottom, left, right])
        rows = () if parts else range(top, bottom)
        pixels = tuple(variables[row * width + column] for row in rows for column in range(left, right))
        graph.append(Region(name, pixels, parts))
    return graph
