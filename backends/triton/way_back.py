"""The way forward and back of a plan on a device: buffers of a batch, and the launches over them, recorded if many.

What enters are codes and a seed for each row; what leaves are flows and sums where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from ...ir.linear import Indices
from ...ir.parameter import Floats
from . import policy
from .device import numbers_on, on
from .engine import MOST, Codes, Placed
from .graphs import captured, room
from .kernel import Kernel
from .module import options_of
from .plan import Drawn
from .reverse import Course, Spread, Swept
from .shares import Turns, shares, turns_of


@dataclass(slots=True, eq=False)
class Held:
    """Buffers of a batch: values with codes and flags; of the way back the seed of each row, flows, q, sums, and flags
    of rows beyond the range of the products. `forward` and `back` launch what fills them."""

    values: torch.Tensor
    codes: torch.Tensor
    flags: torch.Tensor
    seed: torch.Tensor
    flows: torch.Tensor
    largest: torch.Tensor
    sums: torch.Tensor
    beyond: torch.Tensor
    stride: int
    forward: Callable[[], None]
    back: Callable[[], None]


@dataclass(slots=True, eq=False)
class Way:
    """A plan all of whose buffers stay, and its reverse, in a device's memory."""

    drawn: Drawn
    placed: Placed
    course: Course
    places: torch.Tensor = field(init=False)
    turns: list[list[dict[int, Turns]]] = field(init=False)
    recorded: dict[int, Held] = field(default_factory=dict[int, Held])

    def __post_init__(self) -> None:
        device = self.placed.device
        self.places = torch.from_numpy(self.course.places).to(device)

        def of(spread: Spread) -> dict[int, Turns]:
            return {slot: turns_of(index, device) for slot, index in spread.indices.items()}

        self.turns = [[of(spread) for spread in act.spread] for act in self.course.acts]

    def parts(self, count: int) -> list[slice]:
        """The stretches of so many rows that its buffers hold at once: offsets within them are 32-bit."""
        plan = self.drawn.plan
        held = min(MOST, numbers_on(self.placed.device))
        most = max(plan.batch, held // max(1, plan.rows + self.course.numbers, plan.columns) // plan.batch * plan.batch)
        return [slice(start, min(count, start + most)) for start in range(0, count, most)]

    def held(self, codes: Indices | Codes, densities: Mapping[int, Floats]) -> Held:
        """Buffers with what is given of a batch; its launches are recorded for its size where they are many."""
        placed, device = self.placed, self.placed.device
        if not policy.records(device.type, len(self.drawn.plan.launches) + self.course.launches):
            return self._made(*placed.filled(codes, densities))
        found = self.recorded.pop(placed.stride(codes.shape[1]), None)
        if found is None:
            placed.fixed = True
            found = self._made(*placed.filled(codes, densities))
            found.forward = captured(device, found.forward)
            found.back = captured(device, found.back)
        else:
            placed.put(found.values, found.codes, codes, densities)
            found.seed.zero_()
        found.flags.zero_()
        room(self.recorded)[found.stride] = found
        return found

    def _made(self, values: torch.Tensor, codes: torch.Tensor, flags: torch.Tensor, stride: int) -> Held:
        way, device = self.course, self.placed.device
        seed = torch.zeros(stride, dtype=torch.float32, device=device)
        flows = torch.empty((way.rows, stride), dtype=torch.float32, device=device)
        largest = torch.empty((way.blocks, stride), dtype=torch.float32, device=device)
        sums = torch.empty(max(1, way.size), dtype=torch.float32, device=device)
        beyond = torch.empty(stride, dtype=torch.int32, device=device)

        def forward() -> None:
            self.placed.launch(values, codes, flags, stride)

        def back() -> None:
            self._back(held)

        held = Held(values, codes, flags, seed, flows, largest, sums, beyond, stride, forward, back)
        return held

    def _back(self, held: Held) -> None:
        """From the seed to flows, sums for tables, and rows beyond the range of the products."""
        placed, way, flows, sums, stride = self.placed, self.course, held.flows, held.sums, held.stride
        flows.zero_()
        sums.zero_()
        held.beyond.zero_()
        flows[way.root].copy_(held.seed)
        buffers = (held.values, placed.tables, placed.weights, held.codes, placed.indices, self.places, held.beyond)

        def launch(kernel: Kernel, programs: int, first: int, into: torch.Tensor) -> None:
            arguments = (*buffers, flows, held.largest, into, first, stride)
            with on(placed.device), np.errstate(all="ignore"):
                placed.make(kernel)[(programs,)](*arguments, **dict(kernel.constants), **options_of(kernel))

        for act, gathered in zip(way.acts, self.turns, strict=True):
            for source, target, width in act.added:
                flows[target : target + width] += flows[source : source + width]
            for turn in act.turns:
                launch(turn.kernel, turn.grid(stride), turn.first, sums)
            for each in act.swept:
                own = self._parts(each, stride)
                launch(each.kernel, each.grid(stride), each.first, own)
                for offsets, part in zip(each.sums, own, strict=True):
                    totals = part.double().sum(0).float().split(each.sizes)
                    for offset, size, total in zip(offsets, each.sizes, totals, strict=True):
                        sums[offset : offset + size] += total
            for spread, turns in zip(act.spread, gathered, strict=True):
                flow = flows[spread.row : spread.row + spread.value.width]
                for (row, adds), (_, share) in zip(spread.targets, shares(spread.value, flow, turns), strict=True):
                    if row >= 0:
                        place = flows[row : row + len(share)]
                        place.copy_(place + share if adds else share)
            for turn in act.tallies:
                launch(turn.kernel, turn.grid(stride), turn.first, sums)
            for source, width, offset in act.totals:
                sums[offset : offset + width] += flows[source : source + width].double().sum(1).float()

    def _parts(self, swept: Swept, stride: int) -> torch.Tensor:
        """Room for what each program of a loop has of its weights' sums."""
        shape = (len(swept.sums), stride // swept.batch, sum(swept.sizes))
        return torch.empty(shape, dtype=torch.float32, device=self.placed.device)
