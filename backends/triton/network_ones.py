"""Kernels of networks over polynomials in t, with t for each boolean that is 1: the mass of each number of ones.

A lane holds a coefficient. Coefficients rather than values at roots of unity: all terms are nonnegative and nothing is
taken away, so that each coefficient is right to rounding however small it is, where roots leave an error of the size of
the largest coefficient's rounding in all of them. Products convolve, the member of lower degree term by term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import LEAF, PRODUCT, SUM, Program
from . import sparse_policy
from .kernel import Argument, Kernel
from .network import CONSTANTS, RECORDS, TILE, Form, Numbers, Shape, counts, indented, jitted, sums
from .records import Edges, Tiles, Wired, tiles, wired
from .scalar import Device, Held, tables_for
from .shapes import network_about

PAIRS = 4
"""The kind of tiles of products of two."""


def degrees(net: Wired, variables: int) -> Indices:
    """A bound on each node's degree, where the first columns are so many booleans."""
    out = np.zeros(net.nodes, dtype=np.int64)
    leaf = net.kinds == LEAF
    out[leaf] = net.net.layout.leaf_columns[net.net.leaf] < variables
    order = np.argsort(net.levels, kind="stable")
    for nodes in np.split(order, np.flatnonzero(np.diff(net.levels[order])) + 1):
        lengths = np.diff(net.offsets)[nodes]
        nodes = nodes[lengths > 0]
        lengths = lengths[lengths > 0]
        if len(nodes):
            starts = np.cumsum(lengths) - lengths
            edges = np.repeat(net.offsets[:-1][nodes] - starts, lengths) + np.arange(int(lengths.sum()))
            below = out[net.members[edges]]
            added, most = np.add.reduceat(below, starts), np.maximum.reduceat(below, starts)
            out[nodes] = np.minimum(np.where(net.kinds[nodes] == PRODUCT, added, most), variables)
    return out


def tiles_of_ones(net: Wired, variables: int, width: int) -> Tiles:
    """Tiles from the leaves up; those of products of two say how many coefficients their first members have."""
    own = degrees(net, variables)
    lengths = np.diff(net.offsets)
    leaf = net.kinds == LEAF
    kinds = np.where((net.kinds == PRODUCT) & (lengths == 2), PAIRS, net.kinds)
    numbers = np.where(leaf, 1, lengths)
    offsets = np.concatenate([[0], np.cumsum(numbers)])
    inner = np.repeat(~leaf, numbers)
    members, names = np.empty(offsets[-1], dtype=np.int64), np.empty(offsets[-1], dtype=np.int64)
    layout = net.net.layout
    members[~inner], names[~inner] = layout.leaf_columns[net.net.leaf], layout.leaf_offsets[net.net.leaf]
    members[inner], names[inner] = net.members, net.weights
    first = offsets[:-1][kinds == PAIRS]
    left, right = members[first], members[first + 1]
    turned = own[left] > own[right]
    members[first], members[first + 1] = np.where(turned, right, left), np.where(turned, left, right)
    found = tiles(Edges(kinds, net.levels, np.arange(net.nodes), offsets, members, names), width)
    records = found.records.copy()
    for tile in np.flatnonzero(records[:, 0] == PAIRS).tolist():
        mine = found.members[records[tile, 1] : records[tile, 1] + width]
        records[tile, 3] = 1 + own[mine[mine >= 0]].max()
    return replace(found, records=records)


def level_of_ones(numbers: Numbers, shape: Shape) -> Kernel:
    """The kernel that computes the tiles of one level, for every stretch of coefficients."""
    one, none = numbers.one, numbers.none
    arguments = (*RECORDS, Argument("leaves", numbers.pointer), Argument("weights", numbers.pointer))
    arguments += (Argument("values", numbers.pointer), *counts("count", "stride", "booleans", "first_tile"))
    leaves = [
        "column = tl.load(members + start + n)",
        "first = tl.load(names + start + n)",
        "two = (column >= 0) & (column < booleans)",
        f"zero = tl.load(leaves + first, column >= 0, {none})[:, None]",
        f"one = tl.load(leaves + first + 1, two, {none})[:, None]",
        f"value = tl.where(at == 0, zero, tl.where(at == 1, one, {none}))",
    ]
    single = [
        "for e in range(rounds):",
        "    member = tl.load(members + start + n)",
        "    there = (member >= 0)[:, None]",
        "    value = tl.where(there, tl.load(place[None, :] + member[:, None] * stride, there, 0.0), value)",
    ]
    term = [
        f"left = tl.load(values + a * stride + j, a >= 0, {none})[:, None]",
        "inside = (b >= 0)[:, None] & (at >= j)",
        f"right = tl.load(place[None, :] + b[:, None] * stride - j, inside, {none})",
    ]
    pairs = [
        "a = tl.load(members + start + n)",
        "b = tl.load(members + start + WIDTH + n)",
    ]
    if numbers.form == "linear":
        pairs += [
            "value = tl.zeros([WIDTH, LANES], tl.float64)",
            "for j in range(alone):",
            *indented([*term, "value += left * right"], 1),
        ]
    else:
        pairs += [
            f"top = tl.full([WIDTH, LANES], {none}, tl.float64)",
            "for j in range(alone):",
            *indented([*term, "top = tl.maximum(top, left + right)"], 1),
            f"shift = tl.where(top == {none}, 0.0, top)",
            "total = tl.zeros([WIDTH, LANES], tl.float64)",
            "for j in range(alone):",
            *indented([*term, "total += tl.exp(left + right - shift)"], 1),
            "value = tl.log(total) + shift",
        ]
    body = [
        "tile = first_tile + tl.program_id(0)",
        "n = tl.arange(0, WIDTH)",
        "lane = tl.program_id(1) * LANES + tl.arange(0, LANES)",
        "place = values + lane",
        "stride = tl.cast(stride, tl.int64)",
        "at = lane[None, :]",
        *TILE,
        f"value = tl.broadcast_to(tl.where(at == 0, {one}, {none}).to(tl.float64), [WIDTH, LANES])",
        f"if kind == {LEAF}:",
        *indented(leaves, 1),
        f"elif kind == {PAIRS}:",
        *indented(pairs, 1),
        f"elif kind == {SUM}:",
        *indented(sums(numbers, "stride"), 1),
        "else:",
        *indented(single, 1),
        "tl.store(place[None, :] + node[:, None] * stride, value, (node >= 0)[:, None] & (at < count))",
    ]
    doc = "One level of a network over polynomials, by coefficients."
    text = jitted("ones_level", arguments, CONSTANTS, doc, body)
    return Kernel("ones_level", text, arguments, shape.constants, shape.warps, registers=shape.registers)


def ones(program: Program, tables: Sequence[Floats], variables: int, form: Form, device: Device) -> Floats:
    """The logarithms of the root's coefficients of 1, t, t², …, where the first columns are so many booleans."""
    net, numbers, count = wired(program.layouts[0]), Numbers(form, 8), variables + 1
    shape = sparse_policy.shape(count, device.drain)

    @cache
    def records(width: int) -> Held:
        return device.held(tiles_of_ones(net, variables, width))

    leaves, weights = map(device.put, tables_for(numbers, tables))
    chunks = -(-count // shape.lanes)
    values = device.empty(net.nodes * count + chunks * shape.lanes, 8)

    def launch(shape: Shape) -> None:
        held, kernel = records(shape.width), level_of_ones(numbers, shape)
        for first, last in pairwise(held.bounds):
            arguments = (*held.arrays, leaves, weights, values, count, count, variables, first)
            device.launch(kernel, (last - first, chunks), arguments)

    launch(device.shaped(partial(level_of_ones, numbers), shape, network_about(program.layouts[0]), launch))
    found = values[net.root * count : (net.root + 1) * count].cpu().numpy()
    if form == "linear":
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(found))
    return np.asarray(found)
