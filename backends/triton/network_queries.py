"""Queries on a network of scalar nodes that walk down from the root, on a GPU: samples, and the most probable values.

What enters are codes of rows, missing ones at their column's number of values; what leaves are the same codes with what
was missing in its place. Rows are taken in stretches, so that the values of all nodes fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.descent import Sites
from ...ir.program.program import Program
from . import network_descent, sparse_policy
from .engine import Bools
from .network import Form, Shape
from .records import by_leaf, descending
from .scalar import Device, Held, Scalar
from .shapes import Make

HELD = 1 << 31
"""Bytes that the values and states of a stretch of the batch may take."""


@dataclass(frozen=True, slots=True)
class Walked:
    """Codes [columns, rows] with nothing missing, and the rows in which the root is not zero."""

    codes: NDArray[np.int32]
    possible: Bools


@dataclass(frozen=True, slots=True)
class _Ways:
    down: Held
    leaves: Held


@dataclass(slots=True)
class Walks:
    """A network of scalar nodes, its values kept: `form` linear or log for samples, max for most probable values.

    `sites` say by what numbers the choices of nodes are counted. For maxima the tables have missing inputs at their
    largest.
    """

    program: Program
    sites: Sites
    size: int
    form: Form
    device: Device
    forward: Scalar = field(init=False)
    ids: Any = field(init=False)
    numbers: Any = field(init=False)
    ways: dict[int, _Ways] = field(default_factory=dict[int, _Ways])

    def __post_init__(self) -> None:
        self.forward = Scalar(self.program, self.size, self.form, self.device)
        net = self.forward.net
        ids, numbers = np.full(net.nodes, -1, dtype=np.int32), np.zeros(net.nodes, dtype=np.int32)
        ids[: net.net.nodes] = self.sites.node_places[net.net.node]
        numbers[: net.net.nodes] = self.sites.node_numbers[net.net.node]
        self.ids, self.numbers = self.device.put(ids), self.device.put(numbers)

    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables."""
        self.forward.refill(tables)

    def sample(self, codes: Indices | NDArray[np.int32], count: int, seed: int) -> Walked:
        """What is missing in one row of codes [columns, 1] drawn so many times, [columns, count]."""
        one = np.ascontiguousarray(codes, dtype=np.int32)
        values = self._filled(self._shape(1), one)
        parts = [
            self._descended(values, np.repeat(one, len(rows), axis=1), seed, rows.start, True, True)
            for rows in self._stretches(count, len(one))
        ]
        return joined(parts, one)

    def sample_given(self, codes: Indices | NDArray[np.int32], seed: int) -> Walked:
        """What is missing drawn given the rest of each row, [columns, rows]; row i of it draws as row i."""
        return self._each(codes, seed, True)

    def best(self, codes: Indices | NDArray[np.int32]) -> Walked:
        """What is missing at the values that lead to the largest term, [columns, rows]."""
        return self._each(codes, 0, False)

    def _each(self, codes: Indices | NDArray[np.int32], seed: int, sampled: bool) -> Walked:
        laid = np.ascontiguousarray(codes, dtype=np.int32)
        parts: list[Walked] = []
        for rows in self._stretches(laid.shape[1], len(laid)):
            own = np.ascontiguousarray(laid[:, rows.start : rows.stop])
            values = self._filled(self._shape(len(rows)), own)
            parts.append(self._descended(values, own, seed, rows.start, sampled, False))
        return joined(parts, laid)

    def _shape(self, rows: int) -> Shape:
        return sparse_policy.shape(rows, self.device.drain)

    def _stretches(self, rows: int, columns: int) -> list[range]:
        step = sparse_policy.at_once(self.forward.net.nodes, columns, self.size + 8, HELD)
        return [range(start, min(start + step, rows)) for start in range(0, rows, step)]

    def _filled(self, shape: Shape, codes: NDArray[np.int32]) -> Any:
        """The values of all nodes, [tiles of the batch, nodes, lanes]."""
        forward, rows = self.forward, codes.shape[1]
        code, data = forward.code(shape.width, False), self.device.put(codes)
        turns = -(-rows // shape.lanes)
        levels, tiles = code.up.levels, code.up.bounds[-1]
        if sparse_policy.programs(code.size, rows, self.size, levels, tiles, self.device.gpu) < turns:
            return forward.by_levels(shape, data, (), rows)
        return forward.whole(False, shape, turns, data, (), rows)[1]  # a program for each tile keeps its values

    def _way(self, width: int) -> _Ways:
        if width not in self.ways:
            net, held = self.forward.net, self.device.held
            columns = np.array(self.program.columns, dtype=np.int64)
            self.ways[width] = _Ways(held(descending(net, width)), held(by_leaf(net, columns, width)))
        return self.ways[width]

    def _descended(
        self, values: Any, codes: NDArray[np.int32], seed: int, first: int, sampled: bool, single: bool
    ) -> Walked:
        """Rows from `first` on, from the root to the leaves; with `single`, over the values of one row."""
        forward, device, net = self.forward, self.device, self.forward.net
        rows = codes.shape[1]
        shape = sparse_policy.walk_shape(rows, False, device.drain)
        ways = self._way(shape.width)
        deep, tiles = ways.down.levels, ways.down.bounds[-1]
        programs = sparse_policy.programs(3 * net.nodes, rows, 4, deep, tiles, device.gpu)
        if programs and sampled:
            shape = sparse_policy.walk_shape(rows, True, device.drain)
            ways = self._way(shape.width)
        turns, data = -(-rows // shape.lanes), device.put(codes)
        asked = data.clone()
        roots = values[:, net.root].reshape(-1).contiguous()
        room = (programs or turns) * net.nodes * shape.lanes
        states, choices = device.zeros(room, torch.int32), device.zeros(room, torch.int32)
        tables = (forward.leaves, forward.weights, data, self.ids, self.numbers, states, choices)
        keys = (signed(seed & 0xFFFFFFFF), signed(seed >> 32))
        counts = (*keys, rows, net.nodes, net.root)

        def given(ways: _Ways) -> tuple[Any, ...]:
            return (*ways.down.arrays, *ways.leaves.arrays, *tables, values.reshape(-1), roots, first)

        def whole(shape: Shape) -> None:
            ways = self._way(shape.width)
            more = (ways.down.ranks, *counts, ways.down.levels, turns, ways.leaves.bounds[-1])
            device.launch(made_whole(shape), (programs,), (*given(ways), *more))

        def levels(shape: Shape) -> None:
            ways, kernel = self._way(shape.width), made_level(shape)
            for start, stop in pairwise(ways.down.bounds):
                device.launch(kernel, (stop - start, turns), (*given(ways), *counts, start))

        def ends(shape: Shape) -> None:
            ways = self._way(shape.width)
            device.launch(made_leaves(shape), (ways.leaves.bounds[-1], turns), (*given(ways), *counts, 0))

        def chosen(make: Make, launch: Callable[[Shape], None]) -> Shape:
            def probe(shape: Shape) -> None:
                data.copy_(asked)  # what a walk has filled in is not missing any more
                launch(shape)

            found = device.shaped(make, shape, forward.about, probe)
            data.copy_(asked)
            return found

        made_whole = partial(network_descent.descend, forward.numbers, sampled=sampled, single=single)
        made_level = partial(network_descent.descend_level, forward.numbers, sampled=sampled, single=single)
        made_leaves = partial(network_descent.descend_leaves, forward.numbers, sampled=sampled)
        if programs:
            whole(chosen(made_whole, whole))
        else:
            last = chosen(made_leaves, ends) if ways.leaves.bounds[-1] else shape
            levels(chosen(made_level, levels))
            if ways.leaves.bounds[-1]:
                ends(last)
        none = 0.0 if self.form == "linear" else -np.inf
        possible = roots.cpu().numpy() > none
        out = data.cpu().numpy().reshape(-1)[: codes.size].reshape(codes.shape)
        return Walked(out, np.repeat(possible[:1], rows) if single else possible[:rows])


def joined(parts: Sequence[Walked], like: NDArray[np.int32]) -> Walked:
    """Walks of stretches of rows, one after the other."""
    if not parts:
        return Walked(like[:, :0], np.zeros(0, dtype=bool))
    return Walked(
        np.concatenate([part.codes for part in parts], axis=1), np.concatenate([part.possible for part in parts])
    )


def signed(word: int) -> int:
    """A word of 32 bits as the signed number of the same bits."""
    return word - (1 << 32) if word >= 1 << 31 else word
