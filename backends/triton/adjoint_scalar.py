"""The engine of derivatives of a network of scalar nodes, on a GPU: up and back in one launch, or level by level.

What enters are codes of rows and a weight for each; what leaves are log-likelihoods, derivatives of the weighted sum of
them with respect to tables, and the rows whose derivatives are beyond all numbers, which count nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.operation import Network
from ...ir.program.program import Program
from ...ir.program.shares import Share
from ...runtime.walking import Shared
from . import network_reverse, sparse_policy
from .adjoint import Derived
from .alone import Lock, alone, lock
from .engine import Bools
from .graphs import Launch, Tapes, played
from .network import Form, Shape
from .records import by_value, by_weight, downward
from .scalar import Device, Held, Scalar


@dataclass(frozen=True, slots=True)
class _Ways:
    """Records of the way back for tiles of a width, and which entry of the leaves' table each of their sums is for."""

    down: Held
    leaves: Held
    weights: Held
    entries: Indices


@dataclass(slots=True)
class AdjointScalar:
    """The adjoint of a Program that is one network of scalar nodes.

    `wanted` says of each entry of the leaves' table and of the weights' whether its derivative is asked for; of a table
    without any such they stay 0.
    """

    program: Program
    size: int
    form: Form
    wanted: tuple[Bools, Bools]
    device: Device
    forward: Scalar = field(init=False)
    tables: tuple[Floats, Floats] = field(init=False)
    ways: dict[int, _Ways] = field(default_factory=dict[int, _Ways])
    tapes: Tapes = field(default_factory=Tapes)
    lock: Lock = field(default_factory=lock, repr=False)

    def __post_init__(self) -> None:
        self.forward = Scalar(self.program, self.size, self.form, self.device)

    @alone
    def load(self, tables: Sequence[Floats], exactly: object) -> bool:
        """Tables in float64; False where some are negative or beyond float64.

        Flows do not say what a 0 would bring, so in logarithms those that are wanted must not be 0.
        """
        leaves, weights = (np.asarray(table, dtype=np.float64) for table in tables)
        if not all(table.min(initial=0.0) >= 0 and table.max(initial=0.0) < np.inf for table in (leaves, weights)):
            return False
        if self.form == "log" and any(
            not table[wanted].all() for table, wanted in zip((leaves, weights), self.wanted, strict=True)
        ):
            return False
        self.tables = leaves, weights
        self.forward.refill(self.tables)
        return True

    def _ways(self, width: int) -> _Ways:
        if width not in self.ways:
            net, held = self.forward.net, self.device.held
            leaves, entries = by_value(net, np.array(self.program.columns, dtype=np.int64), width)
            weights = by_weight(net, len(self.tables[1]), width)
            self.ways[width] = _Ways(held(downward(net, width)), held(leaves), held(weights), entries)
        return self.ways[width]

    @alone
    def run(
        self,
        codes: Indices | NDArray[np.int32],
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """For codes [columns, batch] and weights [batch]; derivatives come in the shapes of the tables."""
        assert not densities
        rows = codes.shape[1]
        out = Derived(np.empty(rows), np.zeros(rows, dtype=bool), [np.zeros(t.shape) for t in self.tables], {})
        step = sparse_policy.at_once(self.forward.net.nodes, len(codes), 2 * self.size)
        for start in range(0, rows, step):
            some = slice(start, min(start + step, rows))
            self._stretch(codes[:, some], np.asarray(weights[some], dtype=np.float64), some, out)
        if self.form == "log":  # flows are derivatives times values
            for found, table in zip(out.tables, self.tables, strict=True):
                np.divide(found, table, out=found, where=table > 0)
        for found, wanted in zip(out.tables, self.wanted, strict=True):
            if not wanted.any():
                found[:] = 0.0
        return out

    def _stretch(self, codes: Indices | NDArray[np.int32], weights: Floats, some: slice, out: Derived) -> None:
        """Adds what some rows give; where derivatives of rows are beyond all numbers, once more without them."""
        rows = codes.shape[1]
        shape = sparse_policy.reverse_shape(rows, self.form, self.device.drain)
        data = self.device.put(np.ascontiguousarray(codes, dtype=np.int32))
        while True:
            roots, beyond, sums = self._once(shape, data, weights, rows)
            beyond &= weights != 0
            if not beyond.any():
                break
            weights = np.where(beyond, 0.0, weights)
            out.unsure[some] |= beyond
        with np.errstate(divide="ignore"):
            out.log[some] = np.log(roots) if self.form == "linear" else roots
        np.add.at(out.tables[0], self._ways(shape.width).entries, sums[0])
        out.tables[1][:] += sums[1]

    def _once(self, shape: Shape, data: Any, weights: Floats, rows: int) -> tuple[Floats, Bools, tuple[Floats, Floats]]:
        """Roots, rows beyond all numbers, and sums for leaves and for weights."""
        ways, device = self._ways(shape.width), self.device
        code = self.forward.code(shape.width, False)
        given = device.put(weights.astype(np.float32 if self.size == 4 else np.float64))
        heavy, held = len(self.tables[1]), len(ways.entries)
        levels, tiles = code.up.levels, code.up.bounds[-1]
        programs = sparse_policy.programs(2 * code.size, rows, self.size, levels, tiles, device.gpu)
        run = self._whole if programs else self._by_levels
        leaf_sums = device.zeros(max(1, programs) * held, torch.float64)
        weight_sums = device.zeros(max(1, programs) * heavy, torch.float64)
        out, bad = run(shape, programs, data, given, leaf_sums, weight_sums, rows)
        found = tuple(
            sums[: max(1, programs) * count].view(max(1, programs), count).sum(0).cpu().numpy()
            for sums, count in ((leaf_sums, held), (weight_sums, heavy))
        )
        return out.double().cpu().numpy(), bad.cpu().numpy() != 0, (found[0], found[1])

    def _whole(
        self, shape: Shape, programs: int, data: Any, given: Any, leaf_sums: Any, weight_sums: Any, rows: int
    ) -> tuple[Any, Any]:
        forward, device = self.forward, self.device
        turns, room = -(-rows // shape.lanes), programs * forward.net.nodes * shape.lanes
        values, back = device.empty(room, self.size), device.empty(room, self.size)
        out, bad = device.empty(rows, self.size), device.zeros(rows, torch.int32)
        leaves, weights = (bool(wanted.any()) for wanted in self.wanted)
        make = partial(network_reverse.derive, forward.numbers, weights=weights, leaves=leaves)

        def launch(shape: Shape) -> None:
            code, ways = forward.code(shape.width, False), self._ways(shape.width)
            tables = (*code.up.arrays, forward.leaves, forward.weights, data, values, code.up.ranks)
            back_records = (*ways.down.arrays, ways.down.ranks, *ways.leaves.arrays, *ways.weights.arrays)
            sums = (given, back, leaf_sums, weight_sums, out, bad)
            counts = (rows, code.size, code.root, code.up.levels, turns, ways.leaves.bounds[-1], len(ways.entries))
            more = (ways.weights.bounds[-1], len(self.tables[1]))
            device.launch(make(shape), (programs,), (*tables, *back_records, *sums, *counts, *more))

        chosen = device.shaped(make, shape, forward.about, launch)
        leaf_sums.zero_()  # to which what was tried has added
        weight_sums.zero_()
        launch(chosen)
        return out, bad

    @alone
    def shares(self, codes: Indices) -> Shared:
        """What comes through the leaves in each row, for codes [columns, batch]."""
        rows, net = codes.shape[1], self.forward.net.net
        log, bad, parts = np.empty(rows), np.zeros(rows, dtype=bool), np.empty((net.leaves, rows))
        step = sparse_policy.at_once(self.forward.net.nodes, len(codes), 2 * self.size)
        none = self.device.zeros(0, torch.float64)
        for start in range(0, rows, step):
            some = slice(start, min(start + step, rows))
            count = some.stop - start
            shape = sparse_policy.reverse_shape(count, self.form, self.device.drain)
            data = self.device.put(np.ascontiguousarray(codes[:, some], dtype=np.int32))
            given = self.device.put(np.ones(count, dtype=np.float32 if self.size == 4 else np.float64))
            values, back = self._levels(shape, data, given, none, none, count)
            roots = values[:, self.forward.net.root].reshape(-1)[:count].double().cpu().numpy()
            with np.errstate(divide="ignore"):
                log[some] = np.log(roots) if self.form == "linear" else roots
            own = back[:, : net.leaves] * values[:, : net.leaves] if self.form == "linear" else back[:, : net.leaves]
            parts[:, some] = own.transpose(0, 1).reshape(net.leaves, -1)[:, :count].double().cpu().numpy()
            bad[some] = ~np.isfinite(parts[:, some]).all(axis=0)
        network = self.program.operations[0]
        assert isinstance(network, Network)
        columns = net.layout.leaf_columns[net.leaf]
        found = ((column, np.flatnonzero(columns == column)) for column in np.unique(columns).tolist())
        return Shared(log, bad, [Share(network, column, parts[own], net.leaf[own]) for column, own in found])

    def _by_levels(
        self, shape: Shape, programs: int, data: Any, given: Any, leaf_sums: Any, weight_sums: Any, rows: int
    ) -> tuple[Any, Any]:
        values, back = self._levels(shape, data, given, leaf_sums, weight_sums, rows)
        bad = (~torch.isfinite(back[:, : self.forward.net.net.leaves])).any(1).reshape(-1)[:rows].to(torch.int32)
        return values[:, self.forward.net.root].reshape(-1)[:rows], bad

    def _levels(
        self, shape: Shape, data: Any, given: Any, leaf_sums: Any, weight_sums: Any, rows: int
    ) -> tuple[Any, Any]:
        """Values and derivatives or flows of all nodes, [tiles of the batch, nodes, lanes]; sums are written."""
        forward, device, net = self.forward, self.device, self.forward.net
        turns = -(-rows // shape.lanes)
        values = forward.by_levels(shape, data, (), rows)
        totals = (leaf_sums, weight_sums)
        made_level = partial(network_reverse.reverse_level, forward.numbers)
        made_sums = [partial(network_reverse.sums, forward.numbers, weights=heavy) for heavy in (False, True)]

        def levels(back: Any, shape: Shape) -> None:
            down, kernel = self._ways(shape.width).down, made_level(shape)
            for first, last in pairwise(down.bounds):
                arguments = (forward.weights, given, values.view(-1), back, rows, net.nodes, first, net.root)
                device.launch(kernel, (last - first, turns), (*down.arrays, *arguments))

        def adding(heavy: bool, shape: Shape) -> None:
            added(room(), heavy, shape)

        def added(back: Any, heavy: bool, shape: Shape) -> None:
            ways = self._ways(shape.width)
            held = ways.weights if heavy else ways.leaves
            arguments = (forward.weights, data, values.view(-1), back, totals[heavy], rows, net.nodes, turns)
            device.launch(made_sums[heavy](shape), (held.bounds[-1],), (*held.arrays, *arguments))

        def room() -> Any:
            return device.empty(turns * net.nodes * shape.lanes, self.size)

        ways = self._ways(shape.width)
        asked = [
            bool(wanted.any()) and held.bounds[-1] > 0
            for held, wanted in zip((ways.leaves, ways.weights), self.wanted, strict=True)
        ]
        one = device.shaped(made_level, shape, forward.about, lambda each: levels(room(), each))
        others = [
            device.shaped(make, shape, forward.about, partial(adding, bool(heavy))) if asked[heavy] else shape
            for heavy, make in enumerate(made_sums)
        ]

        def made() -> tuple[tuple[Any, ...], Launch]:
            back = room()

            def launch() -> None:
                for total in totals:
                    total.zero_()
                levels(back, one)
                for heavy in (False, True):
                    if asked[heavy]:
                        added(back, heavy, others[heavy])

            return (back, *totals), launch

        count = self._ways(one.width).down.levels + sum(asked)
        key = (one, *others, rows)
        back, *found = played(self.tapes, device.name, key, count, (values, data, given), made)
        forward.fixed = forward.fixed or bool(self.tapes)
        for total, sums in zip((leaf_sums, weight_sums), found, strict=True):
            if total is not sums:
                total.copy_(sums)
        return values, back.view(turns, net.nodes, shape.lanes)
