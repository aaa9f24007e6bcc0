"""Queries on a GPU over a Program of vectors: what a runtime asks of a device, as walker.py for networks.

Values are float64 logarithms; the values of all buffers are kept for a stretch of the batch at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.ones import ones
from ...ir.program.tabled import Tabled
from ...runtime.walking import Path, Shared
from . import sparse_policy, steps_descent, steps_kernels, steps_ones
from .alone import Lock, alone, lock
from .engine import Bools
from .graphs import Launch, Tapes, played
from .inputs import Inputs
from .network import Form, Shape
from .network_queries import HELD, Walked, joined, signed
from .scalar import Device
from .shapes import steps_about
from .steps import LOADS, Steps, tables_of


@dataclass(slots=True)
class StepsWalker:
    """The queries of a Program of vectors without inputs on infinite domains; `maxima` says whether there are kernels
    of largest paths."""

    steps: Steps
    device: Device
    tabled: Tabled
    inputs: Inputs | None = None
    maxima: bool = True
    put: tuple[Any, ...] = field(init=False)
    about: str = field(init=False)
    made: dict[Form, tuple[Tabled, Any]] = field(default_factory=dict[Form, tuple[Tabled, Any]])
    counted: dict[int, steps_ones.Ones | None] = field(default_factory=dict[int, "steps_ones.Ones | None"])
    tapes: Tapes = field(default_factory=Tapes)
    lock: Lock = field(default_factory=lock, repr=False)

    def __post_init__(self) -> None:
        found = self.steps
        self.put = tuple(map(self.device.put, (found.records, found.terms, found.indices)))
        self.about = steps_about(found)

    def over(self, tabled: Tabled) -> StepsWalker:
        """The same over present tables."""
        self.tabled = tabled
        return self

    def _tables(self, form: Form) -> Any:
        """The logarithms of the present tables on the device, missing inputs at their largest for maxima."""
        tabled, held = self.made.get(form, (None, None))
        if tabled is not self.tabled:
            over = self.tabled.with_largest() if form == "max" else self.tabled
            logs = [over.numbers(table, True) for table in range(len(over.tables))]
            held = self.device.put(tables_of(over.program, self.steps, logs))
            self.made[form] = self.tabled, held
        return held

    @alone
    def sample(self, codes: Indices, count: int, seed: int) -> Walked:
        one = np.ascontiguousarray(codes, dtype=np.int32)
        values = self._filled("log", one, "log")
        parts = [
            self._descended("log", values, np.repeat(one, len(rows), axis=1), seed, rows.start, True, True)
            for rows in self._stretches(count, len(one))
        ]
        return joined(parts, one)

    @alone
    def sample_given(self, codes: Indices, seed: int) -> Walked:
        return self._each("log", codes, seed, True)

    @alone
    def best(self, codes: Indices) -> Walked:
        return self._each("max", codes, 0, False)

    @alone
    def ones(self, variables: int) -> Floats:
        """By coefficients; the CPU's where they do not fit."""
        if variables not in self.counted:
            self.counted[variables] = steps_ones.ones_of(self.tabled.program, variables)
        found = self.counted[variables]
        if found is None:
            return ones(self.tabled, variables)
        return steps_ones.ones(found, self._tables("log"), variables, self.device)

    @alone
    def log(self, codes: Indices | NDArray[np.int32], weights: Mapping[int, Floats]) -> Floats:
        laid, values = np.asarray(codes, dtype=np.int32), sum(np.shape(each)[-1] for each in weights.values())
        parts = [
            self._roots(
                self._filled(
                    "log",
                    np.ascontiguousarray(laid[:, rows.start : rows.stop]),
                    "log",
                    {column: np.asarray(given)[rows.start : rows.stop] for column, given in weights.items()},
                )
            )[: len(rows)]
            for rows in self._stretches(laid.shape[1], max(len(laid), values))
        ]
        return np.concatenate([np.empty(0), *(part.cpu().numpy() for part in parts)])

    @alone
    def shares(self, codes: Indices) -> Shared | None:
        return None if self.inputs is None else self.inputs.run(self.tabled, codes)

    @alone
    def reached(self, codes: Indices) -> Path | None:
        """Of each column the node of its input on the largest path, missing inputs summed out."""
        if not self.maxima:
            return None
        laid = np.ascontiguousarray(codes, dtype=np.int32)
        nodes, logs = np.full(laid.shape, -1, dtype=np.int32), np.empty(laid.shape[1])
        for rows in self._stretches(laid.shape[1], len(laid)):
            part = slice(rows.start, rows.stop)
            own = np.ascontiguousarray(laid[:, part])
            values = self._filled("max", own, "log")
            logs[part] = self._roots(values).cpu().numpy()[: len(rows)]
            _, _, states = self._down("log", values, own, 0, rows.start, False, False)
            for load in self.steps.records[self.steps.records[:, 0] == LOADS].tolist():
                there = states[:, load[1] : load[1] + load[2]] >= 0
                first = torch.where(there.any(1), there.int().argmax(1), -1).reshape(-1)[: len(rows)]
                nodes[load[6], part] = first.cpu().numpy()
        return Path(nodes, logs)

    def _each(self, form: Form, codes: Indices, seed: int, sampled: bool) -> Walked:
        laid = np.ascontiguousarray(codes, dtype=np.int32)
        parts: list[Walked] = []
        for rows in self._stretches(laid.shape[1], len(laid)):
            own = np.ascontiguousarray(laid[:, rows.start : rows.stop])
            values = self._filled(form, own, form)
            parts.append(self._descended(form, values, own, seed, rows.start, sampled, False))
        return joined(parts, laid)

    def _stretches(self, rows: int, columns: int) -> Sequence[range]:
        step = sparse_policy.at_once(self.steps.rows, columns, 12, HELD)
        return [range(start, min(start + step, rows)) for start in range(0, rows, step)]

    def _launched(self, kernel: Any, turns: int, before: tuple[Any, ...], rows: int, down: bool) -> None:
        """All steps in one launch, or each in one."""
        parts, bounds = self._bounds(turns)
        for first, last in reversed(bounds) if down else bounds:
            self.device.launch(kernel, (turns, parts), (*before, rows, self.steps.rows, first, last))

    def _bounds(self, turns: int) -> tuple[int, Sequence[tuple[int, int]]]:
        """Over how many programs the tiles of a step are spread, and the steps of each launch."""
        count = len(self.steps.records)
        parts = sparse_policy.parts(turns, self.steps.rows, count, self.device.gpu)
        return parts, [(0, count)] if parts == 1 else [(step, step + 1) for step in range(count)]

    def _filled(
        self, form: Form, codes: NDArray[np.int32], over: Form, weights: Mapping[int, Floats] | None = None
    ) -> Any:
        """The values of all buffers, [tiles of the batch, nodes, lanes], over tables as `over` takes missing inputs.

        Where launches are recorded, they are written again by the next call for so many rows.
        """
        rows, device = codes.shape[1], self.device
        shape = sparse_policy.walk_shape(rows, False, device.drain)
        turns = -(-rows // shape.lanes)
        tables, data = self._tables(over), device.put(codes)
        given = self._given(weights or {}, len(codes), rows)
        make = partial(steps_kernels.fill, form, weighted=bool(given))

        def values_of() -> Any:
            return device.empty(turns * self.steps.rows * shape.lanes, 8)

        def launches(values: Any, shape: Shape) -> None:
            self._launched(make(shape), turns, (*self.put, tables, data, *given, values), rows, False)

        chosen = device.shaped(make, shape, self.about, lambda each: launches(values_of(), each))

        def made() -> tuple[tuple[Any, ...], Launch]:
            values = values_of()
            return (values,), lambda: launches(values, chosen)

        # other tables that lie where those were that were recorded are read in their place
        key, count = (form, chosen, rows, tables.data_ptr()), len(self._bounds(turns)[1])
        (values,) = played(self.tapes, device.name, key, count, (data, *given), made)
        return values.view(turns, self.steps.rows, shape.lanes)

    def _given(self, weights: Mapping[int, Floats], columns: int, rows: int) -> tuple[Any, ...]:
        if not weights:
            return ()
        spots, start = np.full(columns, -1, dtype=np.int32), 0
        parts: list[Floats] = []
        for column, own in sorted(weights.items()):
            spots[column] = start
            start += own.shape[1]
            parts.append(np.broadcast_to(own, (rows, own.shape[1])).T)
        with np.errstate(divide="ignore"):
            return (self.device.put(np.log(np.concatenate(parts))), self.device.put(spots))

    def _roots(self, values: Any) -> Any:
        return values[:, self.steps.root].reshape(-1).contiguous()

    def _descended(
        self,
        form: Form,
        values: Any,
        codes: NDArray[np.int32],
        seed: int,
        first: int,
        sampled: bool,
        single: bool,
    ) -> Walked:
        """Rows from `first` on, from the root to the inputs; with `single`, over the values of one row."""
        data, possible, _ = self._down(form, values, codes, seed, first, sampled, single)
        out = data.cpu().numpy().reshape(-1)[: codes.size].reshape(codes.shape)
        return Walked(out, possible)

    def _down(
        self,
        form: Form,
        values: Any,
        codes: NDArray[np.int32],
        seed: int,
        first: int,
        sampled: bool,
        single: bool,
    ) -> tuple[Any, Bools, Any]:
        """Codes on the device, which rows are possible, and what is reached: −1 elsewhere, [tiles, nodes, lanes]."""
        device, rows = self.device, codes.shape[1]
        shape: Shape = sparse_policy.walk_shape(rows, False, device.drain)
        turns = -(-rows // shape.lanes)
        possible = self._roots(values).cpu().numpy() > -np.inf
        possible = np.repeat(possible[:1], rows) if single else possible[:rows]
        states = torch.empty((turns, self.steps.rows, shape.lanes), dtype=torch.int32, device=device.name)
        start = np.full(turns * shape.lanes, -1, dtype=np.int32)
        start[:rows] = np.where(possible, 0, -1)
        roots = torch.from_numpy(start.reshape(turns, shape.lanes)).to(device.name)
        data = device.put(codes)
        asked = data.clone()
        keys = (signed(seed & 0xFFFFFFFF), signed(seed >> 32))
        before = (*self.put, self._tables(form), data, values.reshape(-1), states.view(-1), first, *keys)
        make = partial(steps_descent.descend, sampled, single)

        def launch(shape: Shape) -> None:
            data.copy_(asked)  # what another launch has filled in is not missing any more
            states.fill_(-1)
            states[:, self.steps.root] = roots
            self._launched(make(shape), turns, before, rows, True)

        launch(device.shaped(make, shape, self.about, launch))
        return data, possible, states
