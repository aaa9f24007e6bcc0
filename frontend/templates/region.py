"""Region graphs, and the circuit of one: how a set of variables is parted, again and again, becomes layers of blocks.

A region is a set of variables; a partition parts it into regions. A circuit has K nodes for each region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...ir.block import Block, hadamard, pairs, weighted
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.linear import BlockDiagonal, Dense, compose, rotation
from ...ir.span import Span
from ..fresh import Declarations
from .emission import emission, require_size

Layer = Literal["cp", "tucker"]

# A graph of this size becomes some 400,000 blocks, in 6 s.
MAX_REGION_GRAPH = 1 << 17


@dataclass(frozen=True, slots=True)
class Region:
    """A region: the variables of a leaf, or the partitions of an inner one, each the positions of earlier regions."""

    name: str
    variables: tuple[Variable, ...] = ()
    partitions: tuple[tuple[int, ...], ...] = ()


def require_graph_size(parts: int, hint: str) -> None:
    """Raises DanausError `too-large` for a graph of more partitions and leaf inputs than anyone would wait for."""
    if parts > MAX_REGION_GRAPH:
        raise error(
            "too-large",
            f"a region graph of {parts} partitions and inputs",
            hint=f"{hint}; the largest has {MAX_REGION_GRAPH}",
        )


def region_circuit(
    graph: Sequence[Region],
    states: int,
    layer: Layer,
    declarations: Declarations,
    stem: str,
    span: Span | None = None,
) -> Block:
    """The root of the circuit of a region graph, whose last region is the whole.

    A leaf is the elementwise product of K input nodes per variable, of the domain's default family.
    - `cp`: a partition is the elementwise product of one dense sum [K, K] of each of its regions. A region of several
      partitions has as node k a weighted sum of their nodes k, weights [K, 1, partitions].
    - `tucker`: a partition is all products of nodes of its regions. A region is a dense sum of its partitions'.
    The root is a dense sum [1, …] of its partitions' products (of a leaf's nodes, where it is all there is).

    Parameters: `stem.VARIABLE` of inputs, `stem.REGION` of a region's dense sums, `stem.REGION.mix`, and `stem.root`;
    further ones of one name are numbered `#1`, … from the small regions to the large.

    Sources: Peharz et al., "Random sum-product networks", UAI 2019, for all pairs; Loconte et al., "What is the
    relationship between tensor factorizations and circuits?", TMLR 2025, for CP and Tucker layers.

    Raises: DanausError `wrong-size`, `wrong-domain`, `too-large`.
    """
    require_size(states, "states")
    blocks: list[Block] = []

    def dense(children: Sequence[Block], outputs: int, name: str) -> Block:
        inputs = sum(child.width for child in children)
        return weighted(children, Dense(declarations.fresh(name, (outputs, inputs), "simplex", span)), span)

    def products(region: Region) -> list[Block]:
        if not region.partitions:
            made = [emission(v, states, declarations, f"{stem}.{v.name}", span) for v in region.variables]
            return [made[0] if len(made) == 1 else hadamard(made, span)]
        if layer == "tucker":
            return [pairs([blocks[child] for child in partition], span) for partition in region.partitions]
        return [
            hadamard([dense([blocks[child]], states, f"{stem}.{graph[child].name}") for child in partition], span)
            for partition in region.partitions
        ]

    def mixed(parts: list[Block], region: Region) -> Block:
        weights = declarations.fresh(f"{stem}.{region.name}.mix", (states, 1, len(parts)), "simplex", span)
        return weighted(parts, compose([BlockDiagonal(weights), rotation((len(parts), states))]), span)

    for region in graph[:-1]:
        parts = products(region)
        if layer == "tucker" and region.partitions:
            blocks.append(dense(parts, states, f"{stem}.{region.name}"))
        else:
            blocks.append(parts[0] if len(parts) == 1 else mixed(parts, region))
    return dense(products(graph[-1]), 1, f"{stem}.root")
