"""Random region graphs (RAT-SPN): variables split in two at random, again and again, several times over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.block import Block
from ...ir.domain import Variable
from ...ir.linear import Indices
from ...ir.random import stream
from ...ir.span import Span
from ..fresh import Declarations
from .emission import require_size, require_variables
from .region import Layer, Region, region_circuit, require_graph_size


def rat(
    variables: Sequence[Variable],
    depth: int,
    repetitions: int,
    states: int,
    declarations: Declarations,
    stem: str,
    *,
    layer: Layer = "cp",
    span: Span | None = None,
) -> Block:
    """A region graph of random balanced splits, `depth` deep, in `repetitions` that meet at the root, as a circuit.

    A repetition puts the variables in a random order and halves it, the first half the larger, `depth` times or until a
    region has one variable. What is left is a leaf. The orders are a function of the stem and the number of
    variables and repetitions alone, so that trained parameters fit whatever the seed. Parameters are as region.py says;
    a region is named by its repetition and its path, 0 for a first half and 1 for a second: `stem.0:01`.

    Raises: DanausError `wrong-arguments`, `wrong-size`, `too-large`.

    Source: Peharz et al., "Random sum-product networks: a simple and effective approach to probabilistic deep
    learning", UAI 2019, algorithm 1.
    """
    require_variables(variables, "rat")
    require_size(depth, "depth")
    require_size(repetitions, "repetitions")
    count = len(variables)
    graph: list[Region] = []
    whole: list[tuple[int, ...]] = []
    if count > 1:
        splits = min(2 ** min(depth, 64), count) - 1
        require_graph_size(repetitions * (count + splits), "take fewer repetitions")
        draws = stream(0, f"{stem}.regions", repetitions * count).reshape(repetitions, count)
        for number, order in enumerate(np.argsort(draws, axis=1, kind="stable")):
            whole.append(_halved(graph, variables, order, depth, number))
    graph.append(Region("root", () if whole else tuple(variables), tuple(whole)))
    return region_circuit(graph, states, layer, declarations, stem, span)


def _halved(
    graph: list[Region], variables: Sequence[Variable], order: Indices, depth: int, number: int
) -> tuple[int, ...]:
    """Adds the regions of one repetition below the whole to a graph, and gives the places of the whole's halves."""
    stretches = [("", 0, len(order))]
    halves: list[tuple[int, int] | None] = []
    for path, start, end in stretches:
        if end - start == 1 or len(path) == depth:
            halves.append(None)
            continue
        middle = start + (end - start + 1) // 2
        halves.append((len(stretches), len(stretches) + 1))
        stretches += [(path + "0", start, middle), (path + "1", middle, end)]
    places: dict[int, int] = {}
    for i in reversed(range(1, len(stretches))):
        path, start, end = stretches[i]
        below = halves[i]
        places[i] = len(graph)
        name = f"{number}:{path}"
        if below is None:
            graph.append(Region(name, tuple(variables[j] for j in order[start:end].tolist())))
        else:
            graph.append(Region(name, (), ((places[below[0]], places[below[1]]),)))
    return places[1], places[2]
