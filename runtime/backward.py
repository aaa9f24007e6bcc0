"""Derivatives of log-likelihoods: the reverse of the Program in float64 logarithms, in stretches of the batch.

What enters are rows; what leaves are derivatives of Σ_b weight[b] · log p(x_b) with respect to tables, and for inputs
on infinite domains how much each node is responsible for each row. Impossible rows give 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..ir.linear import Indices
from ..ir.parameter import Floats
from ..ir.program.program import Program
from ..ir.program.reverse import recorded, reverse
from ..ir.semirings import LOG, SIGNED_LOG, Array
from .engines import Reverse

HELD = 1 << 28
"""Bytes that the kept buffers of a stretch of the batch may take, values and derivatives."""


@dataclass(frozen=True, slots=True)
class Flows:
    """log p per row, [batch], NaN where p is negative; derivatives per table; responsibilities by density, each
    [nodes, batch]."""

    log: Floats
    tables: list[Floats]
    densities: dict[int, Floats]


def flows(
    program: Program,
    tables: list[Floats],
    codes: Indices,
    densities: Mapping[int, Floats],
    weights: Floats,
    signed: bool = False,
) -> Flows:
    """For tables in float64 and logarithms of densities by source, [nodes, batch], or with signs [nodes, batch, 2];
    `signed` where a number is negative."""
    semiring = SIGNED_LOG if signed else LOG

    def lifted(values: Floats) -> Array:
        with np.errstate(divide="ignore"):
            logs = np.log(np.abs(values))
        return np.stack([logs, np.sign(values)], axis=-1) if signed else logs

    def lowered(elements: Array) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(elements[..., 0]) * elements[..., 1] if signed else np.exp(elements)

    logs = [lifted(table) for table in tables]
    rows = codes.shape[1]
    nodes = sum(program.buffers) + sum(layout.nodes for layout in program.layouts)
    step = max(1, HELD // (16 * max(1, nodes)))
    out = Flows(np.empty(rows), [np.zeros(table.shape) for table in tables], {})
    for source, values in densities.items():
        out.densities[source] = np.zeros(values.shape[:2])
    parts = [np.arange(rows)] if signed else [np.flatnonzero(weights >= 0), np.flatnonzero(weights < 0)]
    for part in parts:
        sign = 1.0 if signed or not len(part) or weights[part[0]] >= 0 else -1.0
        for start in range(0, len(part), step):
            own = part[start : start + step]
            inner = {source: _elements(values[:, own], signed) for source, values in densities.items()}
            tape = recorded(program, logs, codes[:, own], semiring, inner)
            root = tape.root
            found = reverse(tape, _seed(root, lifted(weights[own] if signed else np.abs(weights[own])), signed))
            out.log[own] = np.where(root[..., 1] < 0, np.nan, root[..., 0]) if signed else root
            for table, share in zip(out.tables, found.tables, strict=True):
                table += sign * lowered(share)
            for source, share in found.densities.items():
                out.densities[source][:, own] = sign * lowered(semiring.multiply(share, inner[source]))
    return out


def compiled_flows(
    reverse: Reverse,
    again: Callable[[Indices], Flows],
    codes: Indices,
    densities: Mapping[int, Floats],
    weights: Floats,
    threads: int,
    whole: bool,
) -> Flows:
    """As `flows`, by compiled code; what its numbers do not hold is taken by `again`, of rows by number.

    Derivatives of tables that came by node come so; with what the sums over their values add, if `whole`.
    """
    found = reverse.run(codes, densities, weights, threads, whole)
    if found.unsure.any():
        rows = np.flatnonzero(found.unsure)
        more = again(rows)
        found.log[rows] = more.log
        for table, share in zip(found.tables, more.tables, strict=True):
            by_node = table.shape != share.shape
            table += share[:-1].T + (share[-1][:, None] if whole else 0.0) if by_node else share
        for source, part in more.densities.items():
            found.densities[source][:, rows] = part
    return Flows(found.log, found.tables, found.densities)


def _elements(values: Floats, signed: bool) -> Array:
    """Densities as elements."""
    if not signed or values.ndim == 3:
        return values
    return np.stack([values, np.where(np.isneginf(values), 0.0, 1.0)], -1)


def _seed(root: Array, weights: Array, signed: bool) -> Array:
    """weight / root; 0 where the root is 0."""
    if signed:
        sign = root[..., 1] * weights[..., 1]
        size = np.where(sign == 0, -np.inf, weights[..., 0] - np.where(sign == 0, 0.0, root[..., 0]))
        return np.stack([size, sign], axis=-1)
    none = np.isneginf(root)
    return np.where(none, -np.inf, weights - np.where(none, 0.0, root))
