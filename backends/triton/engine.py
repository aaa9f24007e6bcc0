"""The engine of a Program on a GPU: its numbers in the device's memory, and the launches of a plan on batches.

Tables enter, then codes of rows; what leaves are logarithms of the root, and the rows that float32 cannot vouch for:
those in which a value was lost beside a larger one where that matters, and those beyond float32's logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import Program
from . import policy
from .alone import Lock, alone, lock
from .device import numbers_on, on
from .graphs import captured, room
from .kernel import Kernel
from .module import function, options_of
from .plan import Plan, plan
from .policy import Precision
from .tables import is_held, packed
from .targets import MODEL, Gpu
from .tiled import Choices

Bools = NDArray[np.bool_]
Codes = NDArray[np.int32]
Exactly = Callable[[Sequence[int]], Sequence[Floats]]
Make = Callable[[Kernel], Any]
Choose = Callable[[Program, Precision, int], Choices]

MOST = 2**31 - 2**16
"""So many numbers the buffers of a batch have at most: offsets within them are 32-bit. More rows run in parts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The natural logarithm of the root per row, and the rows in which it is not certain."""

    log: Floats
    unsure: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """All launches for a number of rows, recorded, and what they read and write."""

    values: torch.Tensor
    codes: torch.Tensor
    flags: torch.Tensor
    replay: Callable[[], None]


@dataclass(slots=True, eq=False)
class Placed:
    """A plan with its numbers in a device's memory; where that is `fixed`, others take their place there."""

    plan: Plan
    device: torch.device
    precision: Precision
    make: Make
    places: torch.Tensor = field(init=False)
    indices: torch.Tensor = field(init=False)
    weights: torch.Tensor = field(init=False)
    tables: torch.Tensor = field(init=False)
    functions: list[Any] = field(init=False)
    recorded: dict[int, Recorded] = field(default_factory=dict[int, "Recorded"])
    fixed: bool = False

    def __post_init__(self) -> None:
        self.places = torch.from_numpy(self.plan.places).to(self.device)
        self.indices = torch.from_numpy(self.plan.indices).to(self.device)
        self.functions = [self.make(launch.kernel) for launch in self.plan.launches]

    def fill(self, tables: Sequence[torch.Tensor]) -> None:
        """Other values for the tables: float64, on the device or on the host."""
        weights, logs = packed(self.plan, tables, self.precision)
        if self.recorded or self.fixed:  # what was recorded reads them where they are
            self.weights.copy_(weights)
            self.tables.copy_(logs)
            return
        self.weights, self.tables = weights.to(self.device), logs.to(self.device)

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats]) -> Answer:
        """The answer for codes [columns, batch]."""
        if policy.records(self.device.type, len(self.plan.launches)):
            return self._replayed(codes, densities)
        values, laid, flags, stride = self.filled(codes, densities)
        self.launch(values, laid, flags, stride)
        return self.answer(values, flags, codes.shape[1])

    def _replayed(self, codes: Indices | Codes, densities: Mapping[int, Floats]) -> Answer:
        """The same by launches that were recorded, over the buffers that they were recorded on."""
        count = codes.shape[1]
        found = self.recorded.pop(self.stride(count), None)
        if found is None:
            values, laid, flags, stride = self.filled(codes, densities)
            replay = captured(self.device, lambda: self.launch(values, laid, flags, stride))
            found = Recorded(values, laid, flags, replay)
        else:
            self.put(found.values, found.codes, codes, densities)
        room(self.recorded)[len(found.flags)] = found
        found.flags.zero_()
        found.replay()
        return self.answer(found.values, found.flags, count)

    def answer(self, values: torch.Tensor, flags: torch.Tensor, count: int) -> Answer:
        """What the launches have left of so many rows."""
        log = values[self.plan.root, :count].double().cpu().numpy()
        return Answer(log, (flags[:count] != 0).cpu().numpy() | np.isnan(log) | np.isposinf(log))

    def stride(self, count: int) -> int:
        """The rows of data up to which buffers are filled, of so many."""
        return max(1, -(-count // self.plan.batch)) * self.plan.batch

    def filled(
        self, codes: Indices | Codes, densities: Mapping[int, Floats]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
        """Buffers with what is given in them, codes, flags, and the rows of data up to which all are filled."""
        stride = self.stride(codes.shape[1])
        values = torch.empty((max(1, self.plan.rows), stride), dtype=torch.float32, device=self.device)
        laid = torch.empty((max(1, len(codes)), stride), dtype=torch.int32, device=self.device)
        self.put(values, laid, codes, densities)
        return values, laid, torch.zeros(stride, dtype=torch.int32, device=self.device), stride

    def put(
        self, values: torch.Tensor, laid: torch.Tensor, codes: Indices | Codes, densities: Mapping[int, Floats]
    ) -> None:
        """Writes what is given of a batch into buffers for it."""
        count = codes.shape[1]
        whole = np.zeros(tuple(laid.shape), dtype=np.int32)
        whole[: len(codes), :count] = codes
        laid.copy_(torch.from_numpy(whole))
        for source, (first, nodes) in self.plan.densities.items():
            given = np.zeros((nodes, values.shape[1]), dtype=np.float32)
            given[:, :count] = densities[source]
            values[first : first + nodes] = torch.from_numpy(given)

    def launch(self, values: torch.Tensor, codes: torch.Tensor, flags: torch.Tensor, stride: int) -> None:
        """All launches in order."""
        with on(self.device), np.errstate(all="ignore"):  # the interpreter is numpy
            self._launch(values, codes, flags, stride)

    def _launch(self, values: torch.Tensor, codes: torch.Tensor, flags: torch.Tensor, stride: int) -> None:
        for launch, jitted in zip(self.plan.launches, self.functions, strict=True):
            jitted[(launch.grid(stride),)](
                values,
                self.tables,
                self.weights,
                codes,
                self.indices,
                self.places,
                flags,
                launch.first,
                stride,
                **dict(launch.kernel.constants),
                **options_of(launch.kernel),
            )


@dataclass(slots=True, eq=False)
class Fused:
    """A Program as fused kernels; a plan is made for each class of batch sizes that comes.

    `make` gives what a kernel is called by: its jitted function, or code that was compiled ahead of time. `choose`
    gives tiles for a class of batches; without it they are the policy's. Plans are those for a kind of `gpu`.
    """

    program: Program
    device: torch.device
    precision: Precision
    by_node: frozenset[int] = frozenset()
    placed: dict[int, Placed] = field(default_factory=dict[int, Placed])
    tables: Sequence[torch.Tensor] = ()
    make: Make = function
    choose: Choose | None = None
    gpu: Gpu = MODEL
    lock: Lock = field(default_factory=lock, repr=False)

    @alone
    def refill(self, tables: Sequence[Floats]) -> None:
        """Other values for the tables: no kernel is made again."""
        self.tables = [torch.from_numpy(np.array(table, dtype=np.float64)) for table in tables]
        for placed in self.placed.values():
            placed.fill(self.tables)

    @alone
    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Tables as they lie in parameters, those `by_node` without the row of sums; False where they are not held."""
        with np.errstate(over="ignore"):
            found = [with_sums(table) if i in self.by_node else table for i, table in enumerate(tables)]
        if not all(is_held(table) for table in found):
            return False
        self.refill(found)
        return True

    @alone
    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """The answer for codes [columns, batch] and logarithms of densities [nodes, batch] by source."""
        count = codes.shape[1]
        placed = self._placed(count)
        held = min(MOST, numbers_on(self.device))
        most = max(placed.plan.batch, held // max(1, placed.plan.rows, placed.plan.columns))
        most = most // placed.plan.batch * placed.plan.batch
        if count <= most:
            return placed.run(codes, densities)
        parts = [
            placed.run(
                codes[:, at : at + most], {source: logs[:, at : at + most] for source, logs in densities.items()}
            )
            for at in range(0, count, most)
        ]
        return Answer(np.concatenate([part.log for part in parts]), np.concatenate([part.unsure for part in parts]))

    def _placed(self, count: int) -> Placed:
        rows = policy.batch_class(count, self.gpu)
        if rows not in self.placed:
            choices = {} if self.choose is None else self.choose(self.program, self.precision, rows)
            made = plan(self.program, self.precision, rows, choices, self.gpu)
            placed = self.placed[rows] = Placed(made, self.device, self.precision, self.make)
            placed.fill(self.tables)
        return self.placed[rows]


def with_sums(by_node: Floats) -> Floats:
    """An input's table [values + 1, width] from its numbers by node, [width, values]."""
    return np.concatenate([by_node.T, by_node.sum(axis=1)[None]])
