"""The engine of a Program that is one network of scalar nodes, on a GPU.

Tables enter, then codes of rows; what leaves are logarithms of the root. The records of the network lie on the device
from the first call on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import Program
from . import network, sparse_policy
from .alone import Lock, alone, lock
from .device import on
from .engine import Answer
from .graphs import Launch, Tapes, played
from .kernel import Kernel
from .module import function, options_of
from .network import Form, Numbers, Shape
from .records import Tiles, Wired, slotted, upward, wired
from .shapes import Make, Shaping, network_about, shaped
from .targets import MODEL, Gpu
from .tiled import NONE, Choices


@dataclass(frozen=True, slots=True)
class Held:
    """Tiles on the device; `ranks` are here too, where launches are counted."""

    records: Any
    nodes: Any
    members: Any
    names: Any
    ranks: Any
    bounds: tuple[int, ...]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What kernels read of them, in order."""
        return (self.records, self.nodes, self.members, self.names)

    @property
    def levels(self) -> int:
        return len(self.bounds) - 1


ShapeTuner = Callable[[Shaping, str, Callable[[Shape], None]], Shape]
"""Finds the shape of kernels, for a content, by what launches them with one."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device on which kernels run: a GPU of a kind, or the CPU for Triton's interpreter.

    `tiles` stand in place of the policy's, by lanes; with a `tuner` they are found on the device when first asked for.
    """

    name: torch.device
    gpu: Gpu = MODEL
    tiles: Mapping[int, Choices] = field(default_factory=dict[int, Choices])
    tuner: ShapeTuner | None = None

    @property
    def drain(self) -> bool:
        """Whether barriers have to wait for stores: on AMD's processors."""
        return self.gpu.backend == "hip"

    def shaped(self, make: Make, shape: Shape, about: str, probe: Callable[[Shape], None]) -> Shape:
        """The shape of the kernels that are made, for what is `about` in content; `probe` launches them with one."""
        if self.tuner is not None:
            return self.tuner(Shaping(make, shape), about, probe)
        return shaped(self.tiles.get(shape.lanes, NONE), make, shape)

    def launch(self, kernel: Kernel, grid: tuple[int, ...], arguments: Sequence[Any]) -> None:
        """Runs a kernel over a grid of programs, with its arguments in order."""
        with on(self.name), np.errstate(all="ignore"):  # the interpreter is numpy
            function(kernel)[grid](*arguments, **dict(kernel.constants), **options_of(kernel))

    def put(self, array: NDArray[Any]) -> Any:
        """An array there, with an entry at least, so that it has an address."""
        flat = np.ascontiguousarray(array).reshape(-1)
        return torch.from_numpy(flat if flat.size else np.zeros(1, flat.dtype)).to(self.name)

    def empty(self, count: int, size: int) -> Any:
        """Room for numbers of so many bytes."""
        return torch.empty(max(1, count), dtype=torch.float32 if size == 4 else torch.float64, device=self.name)

    def zeros(self, count: int, kind: Any) -> Any:
        return torch.zeros(max(1, count), dtype=kind, device=self.name)

    def held(self, tiles: Tiles) -> Held:
        """Tiles put there."""
        records, nodes, members, names = map(self.put, (tiles.records, tiles.nodes, tiles.members, tiles.names))
        return Held(records, nodes, members, names, self.put(tiles.ranks), tuple(tiles.ranks.tolist()))


def tables_for(numbers: Numbers, tables: Sequence[Floats]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The tables of leaves and of weights, the weight 1 first, as kernels read them."""
    kind = np.float32 if numbers.size == 4 else np.float64
    leaves, weights = np.asarray(tables[0]), np.concatenate([[1.0], tables[1]])
    if numbers.form != "linear":
        with np.errstate(divide="ignore"):
            leaves, weights = np.log(leaves), np.log(weights)
    return leaves.astype(kind), weights.astype(kind)


@dataclass(frozen=True, slots=True)
class _Code:
    """Records for tiles of a width: over all nodes, or over slots."""

    up: Held
    size: int
    root: int


@dataclass(slots=True)
class Scalar:
    """A Program that is one network of scalar nodes.

    `evidence` of a run stands for the codes of columns: weights [batch, values] by column.
    """

    program: Program
    size: int
    form: Form
    device: Device
    numbers: Numbers = field(init=False)
    net: Wired = field(init=False)
    about: str = field(init=False)
    leaves: Any = field(init=False)
    weights: Any = field(init=False)
    codes: dict[tuple[int, bool], _Code] = field(default_factory=dict[tuple[int, bool], _Code])
    tapes: Tapes = field(default_factory=Tapes)
    fixed: bool = False
    lock: Lock = field(default_factory=lock, repr=False)

    def __post_init__(self) -> None:
        self.numbers = Numbers(self.form, self.size)
        self.net = wired(self.program.layouts[0])
        self.about = network_about(self.program.layouts[0])

    @alone
    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables: no code is made again."""
        leaves, weights = map(self.device.put, tables_for(self.numbers, tables))
        if self.fixed:  # what was recorded reads them where they are
            self.leaves.copy_(leaves)
            self.weights.copy_(weights)
            return
        self.leaves, self.weights = leaves, weights

    def load(self, tables: Sequence[Floats], exactly: object) -> bool:
        """Networks have their tables computed: `refill` takes them."""
        return False

    def code(self, width: int, whole: bool) -> _Code:
        """The records for tiles of a width; in one launch the values lie in slots."""
        key = (width, whole)
        if key not in self.codes:
            up = upward(self.net, width)
            if whole:
                tiles, size, root = slotted(self.net, up)
                self.codes[key] = _Code(self.device.held(tiles), size, root)
            else:
                self.codes[key] = _Code(self.device.held(up), self.net.nodes, self.net.root)
        return self.codes[key]

    @alone
    def run(
        self,
        codes: Indices | NDArray[np.int32],
        densities: Mapping[int, Floats],
        threads: int = 1,
        evidence: Mapping[int, Floats] | None = None,
    ) -> Answer:
        """The answer for codes [columns, batch]; every row is certain."""
        assert not densities
        rows = codes.shape[1]
        given = sum(np.shape(each)[-1] for each in (evidence or {}).values())
        step = sparse_policy.at_once(self.net.nodes, max(len(codes), given), self.size)
        parts = [np.empty(0)]
        for start in range(0, rows, step):
            some = slice(start, min(start + step, rows))
            own = {c: np.broadcast_to(each, (rows, each.shape[1]))[some] for c, each in (evidence or {}).items()}
            parts.append(self._stretch(codes[:, some], own))
        value = np.concatenate(parts)
        if self.form == "linear":
            with np.errstate(divide="ignore"):
                value = np.log(value)
        return Answer(value, np.zeros(rows, dtype=bool))

    def _stretch(self, codes: Indices | NDArray[np.int32], evidence: Mapping[int, Floats]) -> Floats:
        """The roots of some rows, [rows]."""
        rows = codes.shape[1]
        shape = sparse_policy.shape(rows, self.device.drain)
        code = self.code(shape.width, True)
        levels = code.up.levels
        programs = sparse_policy.programs(code.size, rows, self.size, levels, code.up.bounds[-1], self.device.gpu)
        data = self.device.put(np.ascontiguousarray(codes, dtype=np.int32))
        given = self.given(evidence, rows)
        if programs:
            out, _ = self.whole(True, shape, programs, data, given, rows)
        else:
            values = self.by_levels(shape, data, given, rows)
            out = values[:, self.net.root].reshape(-1)[:rows]
        return np.asarray(out.double().cpu().numpy())

    def given(self, evidence: Mapping[int, Floats], rows: int) -> tuple[Any, ...]:
        """Weights that stand for codes, as kernels read them: nothing where there are none."""
        if not evidence:
            return ()
        columns = self.program.columns
        spots, start = np.full(len(columns), -1, dtype=np.int32), 0
        parts: list[Floats] = []
        for column, weights in sorted(evidence.items()):
            spots[column] = start
            start += weights.shape[1]
            parts.append(np.broadcast_to(weights, (rows, weights.shape[1])).T)
        together = np.concatenate(parts)
        if self.form != "linear":
            with np.errstate(divide="ignore"):
                together = np.log(together)
        kind = np.float32 if self.size == 4 else np.float64
        return tuple(map(self.device.put, (together.astype(kind), spots, np.array(columns, dtype=np.int32))))

    def whole(
        self, slots: bool, shape: Shape, programs: int, data: Any, given: tuple[Any, ...], rows: int
    ) -> tuple[Any, Any]:
        """The roots [rows], in one launch, and the programs' scratches, [programs, nodes or slots, lanes]."""
        turns, size = -(-rows // shape.lanes), self.code(shape.width, slots).size
        values = self.device.empty(programs * size * shape.lanes, self.size)
        out = self.device.empty(rows, self.size)
        make = partial(network.whole, self.numbers, weighted=bool(given))

        def launch(shape: Shape) -> None:
            code = self.code(shape.width, slots)
            tables = (self.leaves, self.weights, data, *given, values, code.up.ranks, out)
            counts = (rows, code.size, code.root, code.up.levels, turns)
            self.device.launch(make(shape), (programs,), (*code.up.arrays, *tables, *counts))

        launch(self.device.shaped(make, shape, self.about, launch))
        return out, values.view(programs, size, shape.lanes)

    def by_levels(self, shape: Shape, data: Any, given: tuple[Any, ...], rows: int) -> Any:
        """The values of all nodes by place, [tiles of the batch, nodes, lanes], a launch for each level.

        Where launches are recorded, they are written again by the next call for so many rows.
        """
        turns, room = -(-rows // shape.lanes), self.net.nodes
        make = partial(network.level, self.numbers, weighted=bool(given))

        def launches(values: Any, shape: Shape) -> None:
            up, kernel = self.code(shape.width, False).up, make(shape)
            for first, last in pairwise(up.bounds):
                arguments = (self.leaves, self.weights, data, *given, values, rows, room, first)
                self.device.launch(kernel, (last - first, turns), (*up.arrays, *arguments))

        def values_of() -> Any:
            return self.device.empty(turns * room * shape.lanes, self.size)

        chosen = self.device.shaped(make, shape, self.about, lambda each: launches(values_of(), each))

        def made() -> tuple[tuple[Any, ...], Launch]:
            values = values_of()
            return (values,), lambda: launches(values, chosen)

        levels, key = self.code(chosen.width, False).up.levels, (chosen, rows, len(given))
        (values,) = played(self.tapes, self.device.name, key, levels, (data, *given), made)
        self.fixed = self.fixed or bool(self.tapes)
        return values.view(turns, room, shape.lanes)
